//! A whole audit: every log by itself, then both sides against each other.

mod evidence;
mod shards;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use ed25519_dalek::VerifyingKey;
use veilmatch_protocol::{
    manifest::{Hash, Quota},
    name::{AgencyName, PlatformId},
    prepared::PreparedKey,
};

use crate::{
    finding::{Code, Finding},
    leaf::{Certificate, Leaf, Role},
    origin::LogOrigin,
    reconcile::{
        self, Acknowledged, Agency, Artifacts, CanaryLine, Disclosed, Items, Paper, Period, Platform, Reconciled, Terms,
    },
    verify::{
        Audited, Continuity, Coverage, KeySet, Known, LogFiles, Manifests, Matches, Queries, Remembered, follow,
        read_leaves, verify,
    },
};

/// A log to be read, and what is known of it.
pub struct Source<'a> {
    /// Where they are, as it was given: a folder or a URL.
    pub place: String,
    /// Its files.
    pub files: Box<LogFiles<'a>>,
    /// Key, policy, and checkpoints seen before.
    pub known: Known<'a>,
}

impl Case<'_> {
    /// All logs that are to be read.
    pub fn sources(&self) -> impl Iterator<Item = &Source<'_>> {
        let match_logs = self.platforms.iter().flat_map(|platform| &platform.logs);
        std::iter::once(&self.manifest).chain(&self.queries).chain(match_logs)
    }
}

impl Source<'_> {
    /// That its cosignatures are not judged, if no policy is about the log.
    #[must_use]
    pub fn without_policy(&self) -> Option<String> {
        let Known { key, policy, .. } = &self.known;
        policy.is_none().then(|| format!("cosignatures of {}: no policy is about it", key.name()))
    }
}

/// What is to be audited.
pub struct Case<'a> {
    /// The agency.
    pub agency: AgencyName,
    /// Its manifest log.
    pub manifest: Source<'a>,
    /// Its query logs that overlap the period.
    pub queries: Vec<Source<'a>>,
    /// Its pinned key of acknowledgements.
    pub ack_key: VerifyingKey,
    /// Canaries that it opens.
    pub canaries: Option<Paper<CanaryLine>>,
    /// Its own records of entries.
    pub items: Option<Items>,
    /// Certificates whose signature verified: name of the certifier, digest of the note, what it says.
    pub certificates: Vec<(String, Hash, Certificate)>,
    /// The platforms.
    pub platforms: Vec<Member<'a>>,
    /// Checkpoints of query and match logs that were seen before, of whatever log, shown or not.
    pub remembered: Vec<Remembered>,
    /// Published files that are at hand.
    pub artifacts: &'a dyn Artifacts,
    /// Terms outside of the logs.
    pub terms: Terms,
    /// What is reconciled.
    pub period: Period,
    /// Unix seconds.
    pub now: u64,
    /// Threads for signatures.
    pub threads: usize,
}

/// A platform of a case.
pub struct Member<'a> {
    /// Its name.
    pub name: PlatformId,
    /// Its pinned request key.
    pub request_key: VerifyingKey,
    /// Its pinned receipt key.
    pub receipt_key: VerifyingKey,
    /// Its match logs about the agency that overlap the period.
    pub logs: Vec<Source<'a>>,
    /// Acknowledgements that it kept; none if it showed none at all.
    pub acks: Option<Paper<Acknowledged>>,
    /// Receipts that it released.
    pub openings: Option<Paper<Disclosed>>,
    /// Its daily budget, if another than the manifest's.
    pub budget: Option<Quota>,
}

/// What was read and found.
pub struct Examined {
    /// The agency's side.
    pub agency: Agency,
    /// The platforms.
    pub platforms: Vec<Platform>,
    /// Both sides against each other.
    pub reconciled: Reconciled,
    /// Everything that was found, heaviest first.
    pub findings: Vec<Finding>,
}

/// Audits a case. The manifest log is read last: what others cite of it was there before.
///
/// # Errors
/// If a file could not be read, which says nothing about any log.
pub fn examine(mut case: Case<'_>) -> io::Result<Examined> {
    let mut told = Told { not_judged: not_given(&case), ..Told::default() };
    let mut request_keys = Vec::new();
    let mut platforms = Vec::new();
    let mut sources = Vec::new();
    for mut member in std::mem::take(&mut case.platforms) {
        let logs = shards::once_each(std::mem::take(&mut member.logs), &mut told.not_judged)?;
        let (platform, keys) = platform(&case, member, &logs, &mut told)?;
        sources.extend(logs);
        request_keys.push((platform.name.clone(), keys));
        platforms.push(platform);
    }
    let mut ack_keys = KeySet::pinned(Role::Ack, case.ack_key);
    let mut queries = Vec::new();
    for source in shards::once_each(std::mem::take(&mut case.queries), &mut told.not_judged)? {
        let (audited, log) = query_log(&source, &request_keys, case.now, case.threads, &mut told.findings)?;
        queries.push((audited, log));
        sources.push(source);
    }
    ack_keys.follow(&queries);
    let coverage = told.continuity(follow(&queries, &of_agency(&case), &case.period.range(), case.now));
    let mut manifests = manifest_log(&case.manifest, &case.agency, case.now, &mut told.findings)?;
    told.findings.extend(manifests.0.take_unfollowed());
    sources.push(case.manifest);
    let (canaries, items, certificates) = (case.canaries, case.items, case.certificates);
    let agency = Agency { manifests, queries, coverage, ack_keys, canaries, items, certificates };
    let mut reconciled = reconcile::reconcile(&agency, &platforms, case.artifacts, &case.terms, case.period, case.now);
    let strangers: BTreeSet<String> = agency.queries.iter().flat_map(|(_, log)| log.not_judged()).collect();
    reconciled.not_judged.extend(strangers);
    let versions = &agency.manifests.1.versions;
    if !versions.keys().any(|(list, version)| case.artifacts.artifact(list, *version).is_some()) {
        told.not_judged.push("lists: no artifact was at hand".to_owned());
    }
    reconciled.not_judged.append(&mut told.not_judged);
    let mut findings = told.findings;
    findings.extend(reconciled.findings.iter().cloned());
    findings.sort_by(|a, b| (b.code.severity(), a.code, &a.place).cmp(&(a.code.severity(), b.code, &b.place)));
    let read = agency.queries.iter().map(|(audited, _)| audited).chain([&agency.manifests.0]);
    let read = read.chain(platforms.iter().flat_map(|platform| &platform.logs).map(|(audited, _)| audited));
    evidence::attach(&mut findings, &sources, &read.collect::<Vec<_>>());
    Ok(Examined { agency, platforms, reconciled, findings })
}

/// What is said while the logs are read.
#[derive(Default)]
struct Told {
    findings: Vec<Finding>,
    not_judged: Vec<String>,
}

impl Told {
    fn continuity(&mut self, continuity: Continuity) -> Coverage {
        self.findings.extend(continuity.findings);
        self.not_judged.extend(continuity.not_judged);
        continuity.coverage
    }
}

fn platform(
    case: &Case<'_>,
    member: Member<'_>,
    sources: &[Source<'_>],
    told: &mut Told,
) -> io::Result<(Platform, KeySet)> {
    let mut keys = KeySet::pinned(Role::Request, member.request_key);
    let mut receipt_keys = KeySet::pinned(Role::Receipt, member.receipt_key);
    let mut logs = Vec::new();
    for source in sources {
        logs.push(match_log(source, case.now, case.threads, &mut told.findings)?);
    }
    keys.follow(&logs);
    receipt_keys.follow(&logs);
    let of_platform = |origin: &LogOrigin| matches!(origin, LogOrigin::Match(of, about, _) if (of, about) == (&member.name, &case.agency));
    let remembered: Vec<Remembered> =
        case.remembered.iter().filter(|seen| of_platform(&seen.origin)).cloned().collect();
    let coverage = told.continuity(follow(&logs, &remembered, &case.period.range(), case.now));
    let platform = Platform {
        name: member.name,
        logs,
        coverage,
        acks: member.acks.unwrap_or_default(),
        openings: member.openings,
        receipt_keys,
        budget: member.budget,
    };
    Ok((platform, keys))
}

fn of_agency(case: &Case<'_>) -> Vec<Remembered> {
    let of_it = |seen: &&Remembered| matches!(&seen.origin, LogOrigin::Query(agency, _) if *agency == case.agency);
    case.remembered.iter().filter(of_it).cloned().collect()
}

/// What was not given to the audit, one sentence each: without it there can be no finding, which is no good sign.
fn not_given(case: &Case<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(case.sources().filter_map(Source::without_policy));
    if case.canaries.is_none() {
        lines.push("omissions: the agency opened no canaries".to_owned());
    }
    if case.terms.receipt_days.is_none() {
        lines.push("matches without a receipt: no receipt_days were agreed on".to_owned());
    }
    let silent = case.platforms.iter().filter(|platform| platform.acks.is_none());
    lines.extend(silent.map(|platform| format!("acknowledgements of {}: it showed none", platform.name)));
    lines
}

/// Audits a manifest log by itself.
///
/// # Errors
/// If a file could not be read.
pub fn manifest_log(
    source: &Source<'_>,
    agency: &AgencyName,
    now: u64,
    findings: &mut Vec<Finding>,
) -> io::Result<(Audited, Manifests)> {
    let known = Known { every_root: true, ..source.known.clone() };
    let mut audited = verify(&*source.files, &known)?;
    let mut told = Leaves::default();
    let mut log = Manifests::new(&audited.origin, agency.as_str(), now);
    read_leaves(&*source.files, &mut audited, 1, &|_| true, |read| told.extend(log.take(read)))?;
    findings.append(&mut audited.findings);
    told.finish(findings);
    Ok((audited, log))
}

/// Audits a query log by itself, with the request keys of the platforms.
///
/// # Errors
/// If a file could not be read.
pub fn query_log(
    source: &Source<'_>,
    request_keys: &[(PlatformId, KeySet)],
    now: u64,
    threads: usize,
    findings: &mut Vec<Finding>,
) -> io::Result<(Audited, Queries)> {
    let mut audited = verify(&*source.files, &source.known)?;
    let mut told = Leaves::default();
    let known = request_keys.iter().map(|(platform, _)| platform.clone()).collect();
    let prepare =
        |keys: &KeySet| keys.keys().iter().map(|dated| (*dated, PreparedKey::new(dated.key))).collect::<Vec<_>>();
    let request_keys: Vec<_> = request_keys.iter().map(|(platform, keys)| (platform, prepare(keys))).collect();
    let mut log = Queries::new(&audited.origin, now, &audited.bounds, known);
    let signed = |leaf: &Leaf| match leaf {
        Leaf::Query(query) => request_keys
            .iter()
            .filter(|(platform, _)| **platform == query.platform)
            .flat_map(|(_, keys)| keys)
            .any(|(dated, key)| dated.counts(query.t) && query.verify_signature(key).is_ok()),
        _ => true,
    };
    read_leaves(&*source.files, &mut audited, threads, &signed, |read| told.extend(log.take(read)))?;
    findings.append(&mut audited.findings);
    told.finish(findings);
    Ok((audited, log))
}

/// Audits a match log by itself.
///
/// # Errors
/// If a file could not be read.
pub fn match_log(
    source: &Source<'_>,
    now: u64,
    threads: usize,
    findings: &mut Vec<Finding>,
) -> io::Result<(Audited, Matches)> {
    let mut audited = verify(&*source.files, &source.known)?;
    let mut told = Leaves::default();
    let mut log = Matches::new(&audited.origin, now, &audited.bounds);
    read_leaves(&*source.files, &mut audited, threads, &|_| true, |read| told.extend(log.take(read)))?;
    findings.append(&mut audited.findings);
    told.finish(findings);
    Ok((audited, log))
}

/// Findings about the leaves of one log that are told one by one, of each code.
const TOLD: usize = 100;

/// Collects findings of one log: a key that was pinned wrongly would otherwise be found in each of a million leaves.
#[derive(Default)]
struct Leaves {
    findings: Vec<Finding>,
    more: BTreeMap<Code, (usize, usize)>,
}

impl Leaves {
    fn extend(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let (number, last) = self.more.entry(finding.code).or_default();
            *number += 1;
            if *number <= TOLD {
                *last = self.findings.len();
                self.findings.push(finding);
            }
        }
    }

    fn finish(mut self, into: &mut Vec<Finding>) {
        for (number, last) in self.more.values().filter(|(number, _)| *number > TOLD) {
            self.findings[*last].evidence.text += &format!("; and {} leaves more", number - TOLD);
        }
        into.append(&mut self.findings);
    }
}
