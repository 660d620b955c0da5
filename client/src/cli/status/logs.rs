//! What `status` says of logs: how far they are, who vouches for them, and what that does not exclude.

use std::fs;

use indicatif::HumanCount;
use serde::Serialize;
use veilmatch_audit::policy::Policy;
use veilmatch_protocol::{
    manifest::Timestamp,
    note::{Note, Verifier},
};

use crate::{
    Error,
    config::Config,
    enrol::Invitation,
    state_dir::StateDir,
    store::{LogRow, Store},
};

/// The logs that this platform keeps or watches.
#[derive(Serialize)]
pub(super) struct Logs {
    manifest: Option<Watched>,
    matches: Vec<Match>,
    // Whether any two quorums of the policy share a witness other than this platform: only then two lists for two platforms
    // would show.
    split_view_excluded: bool,
    promises: Promises,
}

/// What the agency acknowledged and has not kept.
#[derive(Serialize)]
struct Promises {
    // Not published within a minute. It may come yet.
    late: u64,
    // Not in a tree that must have it: finding Q01.
    absent: u64,
}

/// The agency's manifest log.
#[derive(Serialize)]
struct Watched {
    size: u64,
    /// Newest cosignature that counted.
    cosigned: String,
    by: Vec<String>,
}

/// A log of this platform's.
#[derive(Serialize)]
struct Match {
    log: String,
    leaves: u64,
    published: u64,
    signed: Option<String>,
    by: Vec<String>,
    lost: bool,
}

impl Logs {
    pub(super) fn read(dir: &StateDir, store: &Store, invitation: &Invitation) -> Result<Self, Error> {
        let manifest = store.watched(invitation.manifest_key().name())?.map(|watched| Watched {
            size: watched.size,
            cosigned: time(watched.counted),
            by: cosigners(&watched.note, &invitation.manifest_key()),
        });
        let (log, own) = (invitation.manifest_key(), Config::read(dir)?.platform()?);
        let policy = fs::read_to_string(dir.policy()).unwrap_or_default();
        let (late, absent) = store.broken_promises()?;
        let promises = Promises { late, absent };
        let matches = store.logs()?.iter().map(Match::of).collect();
        Ok(Self {
            manifest,
            matches,
            split_view_excluded: excludes_split_view(&policy, log.name(), own.as_str()),
            promises,
        })
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(Watched { size, cosigned, by }) = &self.manifest {
            lines.push(format!("manifests: {} leaves, cosigned {cosigned} by {}", HumanCount(*size), by.join(", ")));
        }
        lines.extend(self.matches.iter().map(Match::line));
        let Promises { late, absent } = self.promises;
        let broken = |n: u64, what: &str| (n > 0).then(|| format!("{} acknowledged frames {what}", HumanCount(n)));
        let absent =
            broken(absent, "are NOT in the agency's query log (finding Q01): see evidence/, and tell an auditor");
        lines.extend(absent);
        lines.extend(broken(late, "are not published yet, though a minute is over: see evidence/"));
        if !self.split_view_excluded {
            lines.push(
                "a split view is not excluded: two quorums of policy.txt need share no witness but this platform"
                    .to_owned(),
            );
        }
        lines
    }
}

impl Match {
    fn of(row: &LogRow) -> Self {
        // The line of the log itself is the one without a witness.
        let by = row.head.as_ref().map_or_else(Vec::new, |note| names(note));
        Self {
            log: row.name().to_string(),
            leaves: row.leaves,
            published: row.size,
            signed: row.head.as_ref().map(|_| time(row.signed)),
            by: by.into_iter().filter(|name| name.ends_with("/veilmatch/witness")).collect(),
            lost: row.lost,
        }
    }

    fn line(&self) -> String {
        let Self { log, leaves, published, signed, by, lost } = self;
        let state = match (signed, by.is_empty()) {
            _ if *lost => "lost, and gone on as another".to_owned(),
            (None, _) => "nothing published yet".to_owned(),
            (Some(t), true) => format!("{} published {t}, NOT cosigned", HumanCount(*published)),
            (Some(t), false) => format!("{} published {t}, cosigned by {}", HumanCount(*published), by.join(", ")),
        };
        format!("matches {log}: {} leaves, {state}", HumanCount(*leaves))
    }
}

/// A policy that cannot be read excludes nothing.
fn excludes_split_view(policy: &str, log: &str, own: &str) -> bool {
    Policy::parse(policy).is_ok_and(|policy| policy.excludes_split_view(log, &[own]))
}

fn time(unix: u64) -> String {
    Timestamp::from_unix(unix).to_string()
}

/// Names of the signature lines of a note but for the log's own.
fn cosigners(note: &[u8], log: &Verifier) -> Vec<String> {
    let mut names = names(note);
    names.retain(|name| name != log.name());
    names
}

fn names(note: &[u8]) -> Vec<String> {
    let Ok(note) = Note::parse(note) else { return Vec::new() };
    let mut names: Vec<String> = note.lines().iter().map(|line| line.name.to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use ed25519_dalek::SigningKey;
    use veilmatch_audit::cosignature::Witness;

    use super::*;

    #[test]
    fn naming_another_witness_excludes_no_split_view_unless_every_quorum_has_one() {
        // SPEC §17.5: a witness outside of the quorum was enough for `status` to say that it is excluded.
        let mut five = String::new();
        for (n, name) in (1..).zip(["platform.example", "a.example", "b.example", "c.example", "d.example"]) {
            let key = SigningKey::from_bytes(&[n; 32]).verifying_key();
            let witness = Witness::new(&format!("{name}/veilmatch/witness"), key).unwrap();
            writeln!(five, "witness w{n} {witness}").unwrap();
        }
        let excludes = |groups: &str| {
            let policy = five.clone() + groups;
            excludes_split_view(&policy, "agency.example/veilmatch/manifest", "platform.example")
        };
        assert!(!excludes("quorum w1\n"));
        assert!(!excludes("group g 2 w1 w2 w3 w4\nquorum g\n"));
        assert!(excludes("group g 4 w1 w2 w3 w4 w5\nquorum g\n"));
        assert!(excludes("group g all w1 w2\nquorum g\n"));
        assert!(!excludes("quorum nobody\n"));
    }
}
