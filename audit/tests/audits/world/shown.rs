//! What the parties show to the auditor, and what the auditor makes of it.

use std::collections::BTreeMap;

use veilmatch_audit::{
    case::{Case, Examined, Member, Source, examine},
    checkpoint,
    cosignature::Cosigner,
    date::Date,
    finding::Finding,
    leaf::Certificate,
    opening::Opening,
    origin::LogOrigin,
    policy::Policy,
    reconcile::{Acknowledged, CanaryLine, Items, Paper, Period, Terms},
    verify::{Applied, Known, Remembered, Seen, Source as By},
};
use veilmatch_protocol::{manifest::Hash, name::Epoch};

use super::{
    BEFORE, COSIGNED, NOW, World,
    agency::{Files, certifier},
    at, days_earlier,
    evidence::assert_complete,
    list,
    log::Log,
    log::Memory,
};

/// Files and papers, to be altered before they are audited.
#[derive(Clone)]
pub struct Shown {
    pub logs: BTreeMap<String, Memory>,
    pub keys: BTreeMap<String, veilmatch_protocol::note::Verifier>,
    pub seen: BTreeMap<String, Vec<Seen>>,
    pub files: Files,
    pub acks: BTreeMap<String, Vec<Vec<u8>>>,
    pub openings: BTreeMap<String, Vec<Vec<u8>>>,
    pub canaries: Vec<Vec<u8>>,
    pub items: Vec<Vec<u8>>,
    pub certificates: Vec<(String, Hash, Certificate)>,
    pub terms: Terms,
    pub now: u64,
    /// Logs that no policy is about.
    pub without_policy: Vec<String>,
}

impl World {
    /// Signs all logs as they are.
    pub fn shown(&self) -> Shown {
        self.shown_with(|_| ())
    }

    /// Signs all logs after they were edited, as if they had been so from the first: no audit was made before.
    pub fn edited(&self, edit: impl FnOnce(&mut BTreeMap<String, Log>)) -> Shown {
        let mut shown = self.shown_with(edit);
        shown.seen.values_mut().for_each(Vec::clear);
        shown
    }

    /// Signs all logs after they were edited.
    pub fn shown_with(&self, edit: impl FnOnce(&mut BTreeMap<String, Log>)) -> Shown {
        days_earlier(self.earlier, || self.shown_at(edit))
    }

    fn shown_at(&self, edit: impl FnOnce(&mut BTreeMap<String, Log>)) -> Shown {
        let mut logs: BTreeMap<String, Log> =
            self.logs().into_iter().map(|log| (log.origin.clone(), log.clone())).collect();
        edit(&mut logs);
        let mut shown = Shown {
            logs: BTreeMap::new(),
            keys: BTreeMap::new(),
            seen: BTreeMap::new(),
            files: self.agency.files.clone(),
            acks: BTreeMap::new(),
            openings: BTreeMap::new(),
            canaries: self.canaries.iter().map(|line| line.encode().unwrap()).collect(),
            items: self.items(),
            certificates: read_certificates(self.agency.files.certificates.values()),
            terms: self.terms,
            now: at(NOW).unix(),
            without_policy: Vec::new(),
        };
        for original in self.logs() {
            let log = &logs[&original.origin];
            let witnesses = cosigners(log);
            let files = log.files(log.leaves.len(), &witnesses, at(COSIGNED).unix());
            shown.logs.insert(log.origin.clone(), files);
            shown.keys.insert(log.origin.clone(), log.verifier());
            let before = self.audited.get(&log.origin);
            let note = before.map(|&size| original.checkpoint(size, &witnesses, at(BEFORE).unix()));
            let seen = note.map(|note| Seen { by: By::LastAudit, note });
            shown.seen.insert(log.origin.clone(), seen.into_iter().collect());
        }
        for platform in &self.platforms {
            let name = platform.name.to_string();
            let acks = platform.acks.iter().map(|ack| ack.encode().unwrap());
            shown.acks.insert(name.clone(), acks.collect());
            let openings = platform.openings.iter().map(|opening| opening.encode().unwrap().to_vec());
            shown.openings.insert(name, openings.collect());
        }
        shown
    }

    fn items(&self) -> Vec<Vec<u8>> {
        let line = |(entry, epoch): (&super::agency::Entry, u32)| {
            let tag = entry.okms[epoch as usize - 1].tag();
            Items::line(&list(), Epoch(epoch), tag, &entry.item, &entry.label).unwrap()
        };
        self.agency.entries.iter().flat_map(|entry| [(entry, 1), (entry, 2)]).map(line).collect()
    }
}

/// The certificates that a known certifier signed, as an auditor reads their files.
pub fn read_certificates<'a>(notes: impl Iterator<Item = &'a Vec<u8>>) -> Vec<(String, Hash, Certificate)> {
    let read = |note: &Vec<u8>| {
        let said = Certificate::open(note, &certifier()).ok()?;
        Some((certifier().name().to_owned(), Certificate::digest(note), said))
    };
    notes.filter_map(read).collect()
}

/// Who cosigns a log: two who do not keep it.
pub fn cosigners(log: &Log) -> Vec<Cosigner> {
    let keeper = log.origin.split('/').next().unwrap();
    World::witnesses().into_iter().filter(|witness| !witness.witness().name().starts_with(keeper)).take(2).collect()
}

fn lines(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect()
}

impl Shown {
    fn source<'a>(&self, origin: &str, policy: &'a Policy) -> Source<'a> {
        let known = Known {
            key: self.keys[origin].clone(),
            policy: (!self.without_policy.iter().any(|of| of == origin)).then_some(Applied { policy, agreed: true }),
            now: self.now,
            seen: self.seen.get(origin).cloned().unwrap_or_default(),
            every_root: false,
        };
        Source { place: format!("logs/{origin}"), files: Box::new(self.logs[origin].clone()), known }
    }

    /// The whole audit of the month.
    pub fn examine(&self, world: &World) -> Examined {
        days_earlier(world.earlier, || self.examine_at(world))
    }

    /// The logs that are shown, of those that there are.
    fn sources<'a, 'b>(&self, logs: impl Iterator<Item = &'b Log>, policy: &'a Policy) -> Vec<Source<'a>> {
        logs.filter(|log| self.logs.contains_key(&log.origin)).map(|log| self.source(&log.origin, policy)).collect()
    }

    fn remembered(&self) -> Vec<Remembered> {
        let of_log = |(origin, seen): (&String, &Vec<Seen>)| {
            let of = |seen: &Seen| Remembered {
                origin: LogOrigin::parse(origin).unwrap(),
                size: checkpoint::open(&seen.note, origin, &self.keys[origin]).unwrap().size,
                by: seen.by.clone(),
                note: seen.note.clone(),
            };
            let of_shards = !origin.ends_with("manifest");
            seen.iter().filter(|_| of_shards).map(of).collect::<Vec<_>>()
        };
        self.seen.iter().flat_map(of_log).collect()
    }

    fn examine_at(&self, world: &World) -> Examined {
        let policy = World::policy();
        let member = |platform: &super::platform::Platform| Member {
            name: platform.name.clone(),
            request_key: platform.request_key.verifying_key(),
            receipt_key: platform.receipt_key.verifying_key(),
            logs: self.match_logs(platform.name.as_str()).map(|origin| self.source(origin, &policy)).collect(),
            acks: self.acks.get(platform.name.as_str()).map(|acks| Paper::read(&lines(acks), Acknowledged::decode)),
            openings: self
                .openings
                .get(platform.name.as_str())
                .map(|openings| Paper::read(&lines(openings), |line| Opening::decode(line).ok())),
            budget: None,
        };
        let examined = examine(Case {
            agency: world.agency.name.clone(),
            manifest: self.source(&world.agency.manifest.origin, &policy),
            queries: self.sources(world.agency.queries(), &policy),
            ack_key: world.agency.ack_key.verifying_key(),
            canaries: Some(Paper::read(&lines(&self.canaries), CanaryLine::decode)),
            items: Items::read(&lines(&self.items)),
            certificates: self.certificates.clone(),
            platforms: world.platforms.iter().map(member).collect(),
            remembered: self.remembered(),
            artifacts: &self.files,
            terms: self.terms,
            period: Period { from: Date::of(at("2026-10-01T00:00:00Z")), to: Date::of(at("2026-10-31T00:00:00Z")) },
            now: self.now,
            threads: 2,
        })
        .unwrap();
        assert_complete(self, &examined);
        examined
    }

    fn match_logs(&self, platform: &str) -> impl Iterator<Item = &str> {
        let of_it = format!("{platform}/veilmatch/match/");
        self.logs.keys().map(String::as_str).filter(move |origin| origin.starts_with(&of_it))
    }

    /// Shows one more log.
    pub fn add(&mut self, log: &Log) {
        self.logs.insert(log.origin.clone(), log.files(log.leaves.len(), &cosigners(log), at(COSIGNED).unix()));
        self.keys.insert(log.origin.clone(), log.verifier());
    }

    pub fn findings(&self, world: &World) -> Vec<Finding> {
        self.examine(world).findings
    }
}
