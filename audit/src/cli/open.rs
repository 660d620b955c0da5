//! Opens logs and papers.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::VerifyingKey;
use veilmatch_protocol::{
    name::AgencyName,
    note::{MAX_NOTE_LEN, Verifier},
};

use super::{Failure, state};
use crate::{
    case::Source,
    checkpoint,
    cosignature::Witness,
    origin::{LogOrigin, agency_witness_key},
    policy::Policy,
    source::{self, Access, Site},
    tile::Files as _,
    verify::{Applied, Known, LogFiles, Remembered, Seen, Source as SeenBy},
    witness::checkpoint_path,
};

/// What is known of all logs of an audit.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    /// Where relative paths begin.
    pub base: &'a Path,
    /// Where the checkpoints of the last audit are.
    pub state: Option<&'a Path>,
    /// Whose cosignatures count.
    pub policies: Policies<'a>,
    /// What witnesses show.
    pub seen: &'a [Seen],
    /// Names of witnesses that are asked what they show, and where.
    pub sites: &'a [(String, Site)],
    /// Certificates for logs at URLs.
    pub access: &'a Access,
    /// Unix seconds.
    pub now: u64,
}

impl<'a> Around<'a> {
    /// What is known of the logs of a party with a policy of its own.
    pub(super) fn of_party(self, own: Option<&'a Policy>) -> Self {
        Self { policies: Policies { own, ..self.policies }, ..self }
    }
}

/// Whose cosignatures of which log count (SPEC §17.5).
#[derive(Clone, Copy, Default)]
pub(super) struct Policies<'a> {
    /// The policy of the logs of one party.
    pub own: Option<&'a Policy>,
    /// The policy of all.
    pub agreed: Option<&'a Policy>,
    /// That the agency alone cosigns.
    pub agency: Option<&'a Policy>,
}

impl<'a> Policies<'a> {
    /// The policy of a log. One without a line `log` is about the agency's logs: a match log is handed to the agency alone.
    fn about(&self, key: &Verifier) -> Result<Option<Applied<'a>>, Failure> {
        let matches = matches!(LogOrigin::parse(key.name()), Ok(LogOrigin::Match(..)));
        let own = self.own.filter(|policy| policy.is_about(key.name()));
        let about = |policy: &&Policy| if matches { policy.names(key.name()) } else { policy.is_about(key.name()) };
        let agreed = own.or_else(|| self.agreed.filter(about)).map(|policy| Applied { policy, agreed: true });
        let alone = self.agency.filter(|_| matches).map(|policy| Applied { policy, agreed: false });
        let applied = agreed.or(alone);
        if applied.is_some_and(|applied| applied.policy.names(key.name()) && !applied.policy.accepts(key)) {
            let why = "is pinned with another key than the policy names";
            return Err(Failure::Given { what: "log", value: key.name().to_owned(), why });
        }
        Ok(applied)
    }
}

/// The files of a log in a folder or at a URL.
pub(super) fn files(around: &Around<'_>, place: &str) -> Result<Box<LogFiles<'static>>, Failure> {
    if !source::is_url(place) && !around.base.join(place).is_dir() {
        return Err(Failure::Given { what: "log", value: place.to_owned(), why: "is neither a folder nor a URL" });
    }
    source::open(around.base, place, around.access).map_err(|error| Failure::file(Path::new(place), error))
}

/// Opens a log: the origin that its checkpoint claims, or the one that is asked for, must be of the pinned key.
pub(super) fn log<'a>(
    around: &Around<'a>,
    place: &str,
    pinned: &str,
    origin: Option<&str>,
) -> Result<Source<'a>, Failure> {
    let files = files(around, place)?;
    let given = |why| Failure::Given { what: "key", value: pinned.to_owned(), why };
    let pinned = Verifier::parse(pinned).map_err(|_| given("is not a verifier key"))?;
    let claimed = files.read("checkpoint", MAX_NOTE_LEN)?.and_then(|note| checkpoint::claimed_origin(&note).ok());
    let origin = origin.map(str::to_owned).or(claimed);
    // Without a readable checkpoint the name of the key is all there is; the audit then says so.
    let key = match origin.as_deref().map(LogOrigin::parse) {
        Some(Ok(origin)) => origin.verifier(&pinned).map_err(|_| given("is of another log"))?,
        _ => pinned,
    };
    let mut seen: Vec<Seen> = around.seen.to_vec();
    for (name, site) in around.sites {
        let note = site.read(&checkpoint_path(key.name()), MAX_NOTE_LEN)?;
        seen.extend(note.map(|note| Seen { by: SeenBy::Witness(name.clone()), note }));
    }
    if let Some(state) = around.state {
        let last = state::last(state, key.name())?;
        if last.as_ref().is_some_and(|last| checkpoint::open(&last.note, key.name(), &key).is_err()) {
            return Err(not_signed(&key));
        }
        seen.extend(last);
    }
    let policy = around.policies.about(&key)?;
    Ok(Source {
        place: place.to_owned(),
        files,
        known: Known { key, policy, now: around.now, seen, every_root: false },
    })
}

/// What the last audit, by its notes, and witnesses saw of the logs of a pinned key, whether or not they are shown.
pub(super) fn remembered(around: &Around<'_>, notes: &[Vec<u8>], pinned: &str) -> Result<Vec<Remembered>, Failure> {
    let given = |_| Failure::Given { what: "key", value: pinned.to_owned(), why: "is not a verifier key" };
    let pinned = Verifier::parse(pinned).map_err(given)?;
    let mut remembered = Vec::new();
    for note in notes {
        let Some((origin, key)) = of_key(note, &pinned) else { continue };
        let Ok(checkpoint) = checkpoint::open(note, key.name(), &key) else { return Err(not_signed(&key)) };
        remembered.push(Remembered { origin, size: checkpoint.size, by: SeenBy::LastAudit, note: note.clone() });
    }
    for Seen { by, note } in around.seen {
        let opened = of_key(note, &pinned)
            .and_then(|(origin, key)| Some((origin, checkpoint::open(note, key.name(), &key).ok()?.size)));
        let seen = opened.map(|(origin, size)| Remembered { origin, size, by: by.clone(), note: note.clone() });
        remembered.extend(seen);
    }
    Ok(remembered)
}

/// The log that a checkpoint claims to be of, and its verifier, if that is of the pinned key.
fn of_key(note: &[u8], pinned: &Verifier) -> Option<(LogOrigin, Verifier)> {
    let origin = LogOrigin::parse(&checkpoint::claimed_origin(note).ok()?).ok()?;
    let key = origin.verifier(pinned).ok()?;
    Some((origin, key))
}

fn not_signed(key: &Verifier) -> Failure {
    let why = "has a checkpoint of the last audit that the pinned key did not sign";
    Failure::Given { what: "state of", value: key.name().to_owned(), why }
}

/// A checkpoint that somebody shows.
pub(super) fn seen(path: &Path, by: &str) -> Result<Seen, Failure> {
    let note = fs::read(path).map_err(|error| Failure::file(path, error))?;
    Ok(Seen { by: SeenBy::Witness(by.to_owned()), note })
}

/// The policy that the agency's witness key is enough.
pub(super) fn agency_alone(agency: &AgencyName, vkey: &str) -> Result<Policy, Failure> {
    let given = |why| Failure::Given { what: "witness key", value: vkey.to_owned(), why };
    let witness = Witness::parse(vkey).map_err(|_| given("is not a verifier key of a witness"))?;
    if witness.name() == agency_witness_key(agency) {
        Ok(Policy::of(witness))
    } else {
        Err(given("has another name than the agency's"))
    }
}

/// Where a witness is asked. It is no party: it gets no certificate of the auditor's.
pub(super) fn site(url: &str) -> Result<Site, Failure> {
    let given = |_| Failure::Given { what: "witness", value: url.to_owned(), why: "is not a URL" };
    Site::new(url, &Access::default()).map_err(given)
}

/// Reads a policy.
pub(super) fn policy(path: &Path) -> Result<Policy, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::file(path, error))?;
    let refused = |_| Failure::Given { what: "policy", value: path.display().to_string(), why: "is not a tlog-policy" };
    Policy::parse(&text).map_err(refused)
}

/// A public key: a verifier key, or 32 bytes in base64.
pub(super) fn key(text: &str) -> Result<VerifyingKey, Failure> {
    let given = || Failure::Given { what: "key", value: text.to_owned(), why: "is neither a verifier key nor base64" };
    if let Ok(verifier) = Verifier::parse(text) {
        return Ok(*verifier.key());
    }
    let bytes = STANDARD.decode(text).map_err(|_| given())?;
    VerifyingKey::try_from(&bytes[..]).map_err(|_| given())
}

/// The bytes of a paper, if one is named.
pub(super) fn paper(base: &Path, path: Option<&PathBuf>) -> Result<Option<Vec<u8>>, Failure> {
    let Some(path) = path.map(|path| base.join(path)) else { return Ok(None) };
    fs::read(&path).map(Some).map_err(|error| Failure::file(&path, error))
}
