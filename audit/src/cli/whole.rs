//! The commands about both sides, and the report.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ed25519_dalek::SigningKey;
use veilmatch_protocol::{
    manifest::Quota,
    name::{AgencyName, PlatformId},
    note::Verifier,
};

use super::{
    Failure,
    args::{Reconcile, Report},
    artifacts,
    config::Config,
    key, open,
    open::{Around, Policies},
    outcome::Outcome,
    state,
};
use crate::{
    case::{self, Case, Examined, Member},
    finding::Finding,
    folder::create_dir,
    leaf::Certificate,
    opening::Opening,
    origin::{LogOrigin, ack_key},
    policy::Policy,
    reconcile::{Acknowledged, CanaryLine, Items, Paper, Period, Terms},
    report,
    source::{Access, Site},
    verify::{Remembered, Seen},
};

/// Checks signature and form of a report.
pub(super) fn verify_report(note: &Path, key: &str) -> Result<Outcome, Failure> {
    let text = fs::read_to_string(note).map_err(|error| Failure::file(note, error))?;
    let given = |_| Failure::Given { what: "key", value: key.to_owned(), why: "is not a verifier key" };
    let json = report::open(&text, &Verifier::parse(key).map_err(given)?)?;
    Ok(Outcome::Text(format!("{json}\n")))
}

/// Compares both sides.
pub(super) fn reconcile(args: &Reconcile, now: u64) -> Result<Outcome, Failure> {
    let Done { examined, .. } = examine(&Prepared::read(args)?, args, now)?;
    let logs = report::log_rows(&examined, now);
    let findings = examined.findings.iter().map(|finding| report::FindingRow::new(finding, Vec::new())).collect();
    let not_judged = examined.reconciled.not_judged.clone();
    Ok(Outcome::Audit { logs, findings, not_judged, report: None, json: args.json })
}

/// Compares both sides, writes the report and moves the state forward, in this order.
pub(super) fn report(args: &Report, now: u64) -> Result<Outcome, Failure> {
    let (name, key) = key::read(&args.key)?;
    let prepared = Prepared::read(&args.of)?;
    let Done { examined, places, state } = examine(&prepared, &args.of, now)?;
    let period = Period { from: args.of.from, to: args.of.to };
    let made = report::Made { auditor: &name, period, now, artifacts: &prepared.artifacts, places: &places };
    let mut page = report::summarise(&examined, &made);
    let evidence = args.out.join("evidence").join(&page.id);
    write_evidence(&evidence, &mut page.findings, &examined.findings)?;
    write_report(&args.out, &page, &name, &key)?;
    let logs = examined.agency.queries.iter().map(|(audited, _)| audited);
    let logs = logs.chain([&examined.agency.manifests.0]);
    let match_logs = examined.platforms.iter().flat_map(|platform| platform.logs.iter().map(|(audited, _)| audited));
    state::advance(&state, logs.chain(match_logs), &examined.findings)?;
    Ok(Outcome::Audit {
        logs: page.logs,
        findings: page.findings,
        not_judged: page.not_judged,
        report: Some(args.out.join("report.html").display().to_string()),
        json: args.of.json,
    })
}

fn write_evidence(dir: &Path, rows: &mut [report::FindingRow], findings: &[Finding]) -> Result<(), Failure> {
    for (at, (row, finding)) in rows.iter_mut().zip(findings).enumerate() {
        row.evidence.clear();
        let folder = format!("{:04}-{}", at + 1, row.code);
        let dir = dir.join(&folder);
        if !finding.evidence.files.is_empty() {
            create_dir(&dir).map_err(|error| Failure::file(&dir, error))?;
        }
        for (file, bytes) in &finding.evidence.files {
            // Names come from paths of a log: whatever is in them, they stay within the folder.
            let file: String =
                file.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' }).collect();
            let path = dir.join(&file);
            state::write(&path, bytes).map_err(|error| Failure::file(&path, error))?;
            row.evidence.push(format!("{folder}/{file}"));
        }
    }
    Ok(())
}

fn write_report(out: &Path, page: &report::Report, name: &str, key: &SigningKey) -> Result<(), Failure> {
    create_dir(out).map_err(|error| Failure::file(out, error))?;
    let files = [("report.html", report::render(page)), ("report.note", report::sign(page, name, key)?)];
    for (file, text) in files {
        let path = out.join(file);
        state::write(&path, text.as_bytes()).map_err(|error| Failure::file(&path, error))?;
    }
    Ok(())
}

/// The configuration, and what must live as long as the audit.
struct Prepared {
    config: Config,
    base: PathBuf,
    agency: AgencyName,
    agreed: Option<Policy>,
    agency_alone: Option<Policy>,
    /// Of each platform its own.
    own: Vec<Option<Policy>>,
    seen: Vec<Seen>,
    sites: Vec<(String, Site)>,
    artifacts: artifacts::Folder,
}

impl Prepared {
    fn read(args: &Reconcile) -> Result<Self, Failure> {
        if args.from > args.to {
            let value = args.from.to_string();
            return Err(Failure::Given { what: "--from", value, why: "is later than --to" });
        }
        let (config, base) = Config::read(&args.config)?;
        let refused = |_| Failure::Given { what: "agency", value: config.agency.clone(), why: "is not a name" };
        let agency = AgencyName::parse(&config.agency).map_err(refused)?;
        let policy = |path: &Option<PathBuf>| path.as_ref().map(|path| open::policy(&base.join(path))).transpose();
        let agreed = policy(&config.policy)?;
        let own = config.platform.iter().map(|platform| policy(&platform.policy)).collect::<Result<_, _>>()?;
        let agency_alone = config.witness_key.as_ref().map(|key| open::agency_alone(&agency, key)).transpose()?;
        let (mut witnessed, mut sites) = (Vec::new(), Vec::new());
        for witness in &config.witness {
            if let Some(url) = &witness.url {
                sites.push((witness.name.clone(), open::site(url)?));
            }
            for path in &witness.checkpoints {
                witnessed.push(open::seen(&base.join(path), &witness.name)?);
            }
        }
        let artifacts = match &config.manifest.artifacts {
            Some(dir) => artifacts::Folder::open(&base.join(dir))?,
            None => artifacts::Folder::default(),
        };
        Ok(Self { config, base, agency, agreed, agency_alone, own, seen: witnessed, sites, artifacts })
    }
}

/// What an audit gives.
struct Done {
    examined: Examined,
    places: report::Places,
    state: PathBuf,
}

/// Audits what is configured.
fn examine(prepared: &Prepared, args: &Reconcile, now: u64) -> Result<Done, Failure> {
    let Prepared { config, base, agency, agreed, agency_alone, own, seen, sites, artifacts } = prepared;
    let state = base.join(&config.state);
    let access = Access {
        authorities: config.ca.as_ref().map(|path| base.join(path)),
        certificate: config.certificate.as_ref().map(|of| (base.join(&of.chain), base.join(&of.key))),
    };
    let policies = Policies { own: None, agreed: agreed.as_ref(), agency: agency_alone.as_ref() };
    let around = Around { base, state: Some(&state), policies, seen, sites, access: &access, now };
    let case = Case {
        manifest: open::log(&around, &config.manifest.log, &config.manifest.key, None)?,
        queries: logs(&around, &config.query.logs, &config.query.key, agency)?,
        ack_key: pinned(&config.query.ack_key, &ack_key(agency))?,
        canaries: open::paper(base, config.canaries.as_ref())?.map(|bytes| Paper::read(&bytes, CanaryLine::decode)),
        items: items(base, config)?,
        certificates: certificates(base, config)?,
        platforms: config
            .platform
            .iter()
            .zip(own)
            .map(|(platform, own)| member(&around.of_party(own.as_ref()), platform, agency))
            .collect::<Result<_, _>>()?,
        remembered: remembered(&around, config)?,
        artifacts,
        terms: Terms {
            receipt_days: config.terms.receipt_days,
            erase_days: config.terms.erase_days,
            certificates: config.terms.certificates,
        },
        period: Period { from: args.from, to: args.to },
        now,
        threads: args.threads,
        agency: agency.clone(),
    };
    eprintln!("veilmatch-audit: reading {} logs", case.sources().count());
    let given = |source: &case::Source<'_>| {
        let key = source.known.key.clone();
        (key.name().to_owned(), report::Given { key, place: source.place.clone() })
    };
    let places = case.sources().map(given).collect();
    let examined = case::examine(case)?;
    Ok(Done { examined, places, state })
}

/// Opens logs of one party, which must be about this agency.
fn logs<'a>(
    around: &Around<'a>,
    places: &[String],
    key: &str,
    agency: &AgencyName,
) -> Result<Vec<case::Source<'a>>, Failure> {
    let open = |place: &String| {
        let log = open::log(around, place, key, None)?;
        let other = LogOrigin::parse(log.known.key.name()).is_ok_and(|origin| origin.agency() != agency);
        let refused = || Failure::Given { what: "log", value: place.clone(), why: "is about another agency" };
        if other { Err(refused()) } else { Ok(log) }
    };
    places.iter().map(open).collect()
}

/// What was seen before of all query and match logs.
fn remembered(around: &Around<'_>, config: &Config) -> Result<Vec<Remembered>, Failure> {
    let keys = config.platform.iter().map(|platform| &platform.match_key);
    let notes = around.state.map_or(Ok(Vec::new()), state::all)?;
    let mut remembered = Vec::new();
    for key in keys.chain([&config.query.key]) {
        remembered.extend(open::remembered(around, &notes, key)?);
    }
    Ok(remembered)
}

fn pinned(text: &str, name: &str) -> Result<ed25519_dalek::VerifyingKey, Failure> {
    let given = |why| Failure::Given { what: "key", value: text.to_owned(), why };
    let verifier = Verifier::parse(text).map_err(|_| given("is not a verifier key"))?;
    if verifier.name() == name { Ok(*verifier.key()) } else { Err(given("has another name than the party's")) }
}

fn member<'a>(
    around: &Around<'a>,
    platform: &super::config::PlatformLogs,
    agency: &AgencyName,
) -> Result<Member<'a>, Failure> {
    let refused = |_| Failure::Given { what: "platform", value: platform.name.clone(), why: "is not a name" };
    let name = PlatformId::parse(&platform.name).map_err(refused)?;
    let acks = open::paper(around.base, platform.acknowledgements.as_ref())?;
    let openings = open::paper(around.base, platform.openings.as_ref())?;
    Ok(Member {
        request_key: open::key(&platform.request_key)?,
        receipt_key: pinned(&platform.receipt_key, &crate::origin::receipt_key(&name))?,
        logs: logs(around, &platform.logs, &platform.match_key, agency)?,
        acks: acks.map(|bytes| Paper::read(&bytes, Acknowledged::decode)),
        openings: openings.map(|bytes| Paper::read(&bytes, |line| Opening::decode(line).ok())),
        budget: platform.budget.map(|budget| Quota { elements: budget.elements, frames: budget.frames }),
        name,
    })
}

fn items(base: &Path, config: &Config) -> Result<Option<Items>, Failure> {
    let Some(bytes) = open::paper(base, config.items.as_ref())? else { return Ok(None) };
    let refused = || Failure::Given { what: "items", value: "".to_owned(), why: "have a line that cannot be read" };
    Items::read(&bytes).map(Some).ok_or_else(refused)
}

fn certificates(
    base: &Path,
    config: &Config,
) -> Result<Vec<(String, veilmatch_protocol::manifest::Hash, Certificate)>, Failure> {
    let Some(dir) = config.manifest.certificates.as_ref().map(|dir| base.join(dir)) else { return Ok(Vec::new()) };
    let parse = |text: &String| {
        let refused = |_| Failure::Given { what: "certifier", value: text.clone(), why: "is not a verifier key" };
        Verifier::parse(text).map_err(refused)
    };
    let certifiers = config.manifest.certifiers.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let mut certificates = Vec::new();
    for entry in fs::read_dir(&dir).map_err(|error| Failure::file(&dir, error))? {
        let path = entry.map_err(|error| Failure::file(&dir, error))?.path();
        let note = fs::read(&path).map_err(|error| Failure::file(&path, error))?;
        let opened =
            certifiers.iter().find_map(|key| Certificate::open(&note, key).ok().map(|said| (key.name(), said)));
        certificates.extend(opened.map(|(name, said)| (name.to_owned(), Certificate::digest(&note), said)));
    }
    Ok(certificates)
}
