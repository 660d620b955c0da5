//! The command about one log.

use std::path::Path;

use veilmatch_protocol::{manifest::Timestamp, name::PlatformId};

use super::{
    Failure,
    args::Verify,
    open,
    open::{Around, Policies},
    outcome::Outcome,
};
use crate::{
    case,
    date::Date,
    finding::Finding,
    leaf::Role,
    origin::LogOrigin,
    report,
    source::Access,
    verify::{Audited, Coverage, KeySet, Sharded, Totals, follow, judge_days, verify as verify_tree},
};

/// Verifies one log.
pub(super) fn verify(args: &Verify, now: u64) -> Result<Outcome, Failure> {
    let policy = args.policy.as_deref().map(open::policy).transpose()?;
    let seen = args.seen.iter().map(|path| open::seen(path, "--seen")).collect::<Result<Vec<_>, _>>()?;
    let base = Path::new("");
    let access = Access {
        authorities: args.ca.clone(),
        certificate: args.certificate.clone().zip(args.certificate_key.clone()),
    };
    let state = args.state.as_deref();
    let policies = Policies { own: policy.as_ref(), ..Policies::default() };
    let around = Around { base, state, policies, seen: &seen, sites: &[], access: &access, now };
    let source = open::log(&around, &args.log, &args.key, args.origin.as_deref())?;
    let mut not_judged: Vec<String> = source.without_policy().into_iter().collect();
    if args.tree_only {
        not_judged.push("leaves: only the tree was asked for".to_owned());
    }
    let mut alone = Alone { args, now, findings: Vec::new(), not_judged };
    let audited = alone.audit(&source)?;
    let Alone { findings, not_judged, .. } = alone;
    let logs = vec![report::log_row(&audited, &findings, now)];
    let findings = findings.iter().map(|finding| report::FindingRow::new(finding, Vec::new())).collect();
    Ok(Outcome::Audit { logs, findings, not_judged, report: None, json: args.json })
}

/// The audit of one log by itself.
struct Alone<'a> {
    args: &'a Verify,
    now: u64,
    findings: Vec<Finding>,
    not_judged: Vec<String>,
}

impl Alone<'_> {
    fn audit(&mut self, source: &case::Source<'_>) -> Result<Audited, Failure> {
        let Self { args, now, .. } = *self;
        match LogOrigin::parse(source.known.key.name()) {
            Ok(LogOrigin::Manifest(agency)) if !args.tree_only => {
                let (audited, _) = case::manifest_log(source, &agency, now, &mut self.findings)?;
                Ok(self.unfollowed(audited))
            }
            Ok(LogOrigin::Query(..)) if !args.tree_only => {
                let keys = request_keys(&args.request_key)?;
                let read = case::query_log(source, &keys, now, args.threads, &mut self.findings)?;
                self.not_judged.extend(read.1.not_judged());
                Ok(self.follow(read).0)
            }
            Ok(LogOrigin::Match(..)) if !args.tree_only => {
                let read = case::match_log(source, now, args.threads, &mut self.findings)?;
                let (audited, log, coverage) = self.follow(read);
                let totals = Totals { logs: vec![&log], coverage: &coverage };
                self.findings.extend(judge_days(&totals, &[]));
                Ok(audited)
            }
            _ => {
                let mut audited = verify_tree(&*source.files, &source.known)?;
                self.findings.append(&mut audited.findings);
                Ok(self.unfollowed(audited))
            }
        }
    }

    fn unfollowed(&mut self, mut audited: Audited) -> Audited {
        self.findings.extend(audited.take_unfollowed());
        audited
    }

    /// How the log begins; the others of its party are not shown.
    fn follow<L: Sharded>(&mut self, read: (Audited, L)) -> (Audited, L, Coverage) {
        let today = Date::of(Timestamp::from_unix(self.now));
        let continuity = follow(std::slice::from_ref(&read), &[], &(today..=today), self.now);
        self.findings.extend(continuity.findings);
        self.not_judged.extend(continuity.not_judged);
        (read.0, read.1, continuity.coverage)
    }
}

fn request_keys(given: &[String]) -> Result<Vec<(PlatformId, KeySet)>, Failure> {
    let read = |text: &String| {
        let refused = || Failure::Given { what: "request key", value: text.clone(), why: "is not PLATFORM=KEY" };
        let (name, key) = text.split_once('=').ok_or_else(refused)?;
        let name = PlatformId::parse(name).map_err(|_| refused())?;
        Ok((name, KeySet::pinned(Role::Request, open::key(key)?)))
    };
    given.iter().map(read).collect()
}
