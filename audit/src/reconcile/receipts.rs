//! Released receipts, level 1 and 2, and matches without one (R01 to R08, M06, M07, E01).

use std::collections::{BTreeMap, HashMap, HashSet};

use veilmatch_protocol::{
    artifact::Artifact,
    derive::Tag,
    frame::BatchId,
    note::Verifier,
    receipt::{Fault, Receipt, SignedReceipt},
};

use super::{Agency, Disclosed, Period, Platform, Reconciled, Terms, frames, papers::Line, settled_day};
use crate::{
    date::Date,
    finding::{Code, Finding, Part, Place},
    origin::{self, LogOrigin},
    verify::{Asked, Dated},
};

/// What is named in evidence.
const PAPER: &str = "opening";

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Seconds that clocks and rounding may put a match before its frame.
const HOUR: u64 = 3_600;

/// The published files that are at hand.
pub trait Artifacts {
    /// The artifact of a version, whole; nothing if it is not at hand.
    fn artifact(&self, list: &str, version: u32) -> Option<&[u8]>;

    /// The delta of a version, whole; nothing if it is not at hand.
    fn delta(&self, list: &str, version: u32) -> Option<&[u8]>;

    /// The code book of a version; nothing if it is not at hand.
    fn code_book(&self, list: &str, version: u32) -> Option<&[u8]>;
}

/// What became of a released receipt or of a match without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// This platform had this digest evaluated in this frame.
    LevelTwo,
    /// The platform vouches for the entry, and somebody had it evaluated.
    LevelOne,
    /// The platform vouches for the entry; the secret that would bind it, or the list to look it up in, was not shown.
    Signed,
    /// A check failed.
    Failed,
    /// The logs that would show it were not whole.
    NotJudged,
    /// No receipt was released.
    NotReleased,
    /// The record was erased.
    Erased,
}

impl Status {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::LevelTwo, Self::LevelOne, Self::Signed, Self::Failed, Self::NotJudged, Self::NotReleased, Self::Erased];

    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::LevelTwo => "level 2",
            Self::LevelOne => "level 1",
            Self::Signed => "signed alone",
            Self::Failed => "failed",
            Self::NotJudged => "not judged",
            Self::NotReleased => "not released",
            Self::Erased => "erased",
        }
    }
}

/// Receipts of one platform.
#[derive(Debug, Default)]
pub struct Receipts {
    /// How many have which state.
    pub statuses: BTreeMap<Status, u64>,
    /// Those that hold, at either level.
    pub good: Vec<Receipt>,
    /// Those with the secret of their tag that could not be judged, or not looked up in the list.
    pub open: Vec<Receipt>,
}

pub(super) fn judge(
    agency: &Agency,
    platform: &Platform,
    artifacts: &dyn Artifacts,
    terms: &Terms,
    (period, now): (Period, u64),
    all: &mut Reconciled,
) -> Receipts {
    let unfit = all.findings.iter().filter_map(unfit).collect();
    let asked = asked(agency, platform);
    let tags = HashMap::new();
    let settled = settled_day(now);
    let keys = platform.receipt_keys.verifiers(&origin::receipt_key(&platform.name));
    let (unlisted, unrecorded, alone) = (0, 0, 0);
    let mut judge =
        Judge { agency, platform, keys, artifacts, settled, asked, tags, unfit, unlisted, unrecorded, alone };
    let mut receipts = Receipts::default();
    let mut opened = HashSet::new();
    for line in platform.openings.iter().flat_map(|openings| &openings.lines) {
        let place = Place::line(platform.name.as_str(), PAPER, line.number);
        let status = match judge.line(line, &mut receipts) {
            Ok(status) => status,
            Err(None) => Status::NotJudged,
            Err(Some((code, text))) => {
                let mut finding = Finding::new(code, place, text).with("opening.json", line.bytes.clone());
                let leaf = line.said.as_ref().map(|said| Place::leaf(&said.log.to_string(), said.index));
                finding.evidence.others.extend(leaf);
                all.findings.push(finding);
                Status::Failed
            }
        };
        *receipts.statuses.entry(status).or_default() += 1;
        if let Some(said) = &line.said {
            opened.insert((said.log.to_string(), said.index));
        }
    }
    unreleased(platform, terms, (period, now), &opened, &mut receipts, all);
    all.not_judged.extend(judge.not_judged());
    if platform.openings.is_none() {
        all.not_judged.push(format!("receipts of {}: it released none", platform.name));
    } else if agency.items.is_none() {
        all.not_judged.push(format!("level 2 of receipts of {}: the agency's items were not at hand", platform.name));
    }
    receipts
}

struct Judge<'a> {
    agency: &'a Agency,
    platform: &'a Platform,
    // Of its receipts.
    keys: Vec<(Dated, Verifier)>,
    artifacts: &'a dyn Artifacts,
    // The last day for which the logs must have everything.
    settled: Date,
    asked: HashMap<BatchId, &'a Asked>,
    // The tag that the first receipt of a place names.
    tags: HashMap<(BatchId, u16), (Tag, u64)>,
    // Versions whose artifact at hand is another than the manifest names, which is a finding of its own.
    unfit: HashSet<(String, u32)>,
    // Receipts whose tag could not be looked up in the list, such without a record of the agency's, and such that are
    // signed alone: without the secret, and without level 2.
    unlisted: u64,
    unrecorded: u64,
    alone: u64,
}

/// What is wrong with a receipt; nothing, if that cannot be judged.
type Wrong = Option<(Code, String)>;

impl<'a> Judge<'a> {
    /// One opening. Its receipt is kept if it holds, and if nobody can tell although it has the secret of its tag.
    fn line(&mut self, line: &Line<Disclosed>, receipts: &mut Receipts) -> Result<Status, Wrong> {
        let said = line.said.as_ref().ok_or_else(|| wrong(Code::R01, "the line cannot be read"))?;
        let open = |(dated, key): &(Dated, Verifier)| {
            let signed = said.receipt(key).ok()?;
            dated.counts(signed.receipt().matched).then_some(signed)
        };
        let signed = self.keys.iter().find_map(open);
        let signed = signed.ok_or_else(|| of(Fault::Signature))?;
        if let Some(secret) = &said.secret {
            signed.verify_secret(secret).map_err(of)?;
        }
        let judged = self.bound(said, &signed, line.number);
        match &judged {
            Ok(Status::LevelOne | Status::LevelTwo) => receipts.good.push(signed.receipt().clone()),
            Ok(_) | Err(None) if said.secret.is_some() => receipts.open.push(signed.receipt().clone()),
            Ok(_) => self.alone += 1,
            Err(_) => {}
        }
        judged
    }

    /// What an opening comes to whose secret, if it has one, is that of its tag: from step 3 of SPEC §19.4 on.
    fn bound(&mut self, said: &Disclosed, signed: &SignedReceipt, line: u64) -> Result<Status, Wrong> {
        let receipt = signed.receipt();
        let listed = self.listed(signed)?;
        self.committed(said, signed)?;
        let frame = self.evaluated(signed)?;
        self.one_tag(receipt, line)?;
        self.not_withdrawn(receipt, frame)?;
        let record = self.agency.items.as_ref().and_then(|items| items.of(&receipt.list, receipt.epoch, receipt.tag));
        if let Some((_, label)) = record {
            signed.verify_label(label).map_err(of)?;
        }
        self.unlisted += u64::from(!listed);
        self.unrecorded += u64::from(record.is_none() && self.agency.items.is_some());
        let without = if said.secret.is_some() && listed { Status::LevelOne } else { Status::Signed };
        let Some(opened) = &said.element else { return Ok(without) };
        opened.verify_path(receipt, frame.n, &frame.req).map_err(of)?;
        let Some((item, _)) = record else { return Ok(without) };
        opened.verify(receipt, frame.n, &frame.req, item).map_err(of)?;
        Ok(if listed { Status::LevelTwo } else { Status::Signed })
    }

    /// What was not at hand for receipts that hold otherwise.
    fn not_judged(&self) -> impl Iterator<Item = String> {
        let name = &self.platform.name;
        let unlisted =
            format!("whether the tags of {} receipts of {name} are listed: no artifact to look in", self.unlisted);
        let unrecorded = format!("level 2 of {} receipts of {name}: the agency's items lack them", self.unrecorded);
        let alone = format!(
            "{} receipts of {name} are signed alone, without the secret: nothing shows that the digest was evaluated",
            self.alone
        );
        let lines = [(self.unlisted, unlisted), (self.unrecorded, unrecorded), (self.alone, alone)];
        lines.into_iter().filter(|(number, _)| *number > 0).map(|(_, line)| line)
    }

    /// Step 3: the tag is in the version's artifact, the manifest is in the log, and was valid. Gives whether the tag could
    /// be looked up: without that, a secret of the platform's own making would do.
    fn listed(&self, signed: &SignedReceipt) -> Result<bool, Wrong> {
        let (receipt, (audited, manifests)) = (signed.receipt(), &self.agency.manifests);
        let list = receipt.list.as_str();
        let Some(version) = manifests.version_of(list, receipt.version.0) else {
            return Err(wrong(Code::M06, "its version is not in the manifest log").filter(|_| audited.complete()));
        };
        let at_hand = self.artifacts.artifact(list, receipt.version.0);
        let fit = at_hand.filter(|_| !self.unfit.contains(&(list.to_owned(), receipt.version.0)));
        let artifact = fit.and_then(|bytes| Artifact::open(bytes, &version.manifest.artifact, receipt.epoch).ok());
        if let Some(artifact) = &artifact {
            signed.verify_listed(&artifact.look_ups()).map_err(of)?;
        }
        signed.verify_manifest(&version.manifest).map_err(of)?;
        Ok(artifact.is_some())
    }

    /// Step 4: the match leaf is in the log, and its commitment opens to this note.
    fn committed(&self, said: &Disclosed, signed: &SignedReceipt) -> Result<(), Wrong> {
        let named = said.log.to_string();
        let Some((audited, log)) = self.platform.logs.iter().find(|(_, log)| log.origin == named) else {
            let hidden = self.may_be_hidden(said, signed.receipt());
            return Err(wrong(Code::R03, "its match log is not one of the platform's").filter(|_| !hidden));
        };
        let leaf = log.matches.get(&said.index);
        let lost = self.platform.coverage.gap_of(&said.log, said.index).is_some();
        // It may not be under a checkpoint yet.
        let recent = said.index >= audited.size() && Date::of(signed.receipt().matched) > self.settled;
        let judged = audited.complete() && !lost && !recent;
        let leaf = leaf.ok_or_else(|| wrong(Code::R03, "the leaf that it names is not a match").filter(|_| judged))?;
        if let Some(erased) = self.platform.erased(log, said.index) {
            return Err(wrong(Code::E01, &format!("its record was erased on {erased}, and it still opens")));
        }
        signed.verify_commitment(&leaf.c, &leaf.batch, &said.salt).map_err(of)?;
        if signed.receipt().matched.day() == leaf.t {
            return Ok(());
        }
        Err(wrong(Code::R03, "`matched` is of another day than its match leaf"))
    }

    /// Step 5: both logs have the frame, answered and alike.
    fn evaluated(&self, signed: &SignedReceipt) -> Result<&'a Asked, Wrong> {
        let receipt = signed.receipt();
        let asked = self.asked.get(&receipt.batch).copied();
        let frame = frames::frame_of(self.platform, &receipt.batch).map(|(_, _, frame)| frame);
        let unasked = || wrong(Code::R04, "no query of this platform was answered under its batch");
        let (since, matched) = (self.since(receipt), Date::of(receipt.matched));
        let ended = frame.map_or(since..=matched, |frame| Date::of(frame.t).previous()..=Date::of(frame.t));
        let there = *ended.end() <= self.settled && self.agency.coverage.covers_all(*ended.start(), *ended.end());
        let asked = asked.ok_or_else(|| unasked().filter(|_| there))?;
        let ends = Date::of(asked.t);
        if frame.is_none() && !self.platform.coverage.covers_all(ends, matched.max(ends.next())) {
            return Err(None);
        }
        let alike = frame.is_some_and(|frame| frame.req == asked.req && frame.resp == asked.resp);
        if !alike || asked.list != receipt.list || asked.epoch != receipt.epoch.0 {
            return Err(wrong(Code::R04, "the frame is not in both logs alike"));
        }
        signed.verify_position(asked.n).map_err(of)?;
        let earliest = frame.map_or(0, |frame| frame.t.unix().saturating_sub(HOUR));
        if receipt.matched.unix() < earliest {
            return Err(wrong(Code::T01, "it was matched before its frame was answered"));
        }
        Ok(asked)
    }

    /// Whether the log that an opening names may be one that is not shown: of another half-year, or before one that is.
    fn may_be_hidden(&self, said: &Disclosed, receipt: &Receipt) -> bool {
        let LogOrigin::Match(platform, agency, shard) = &said.log else { return false };
        let of_both = *platform == self.platform.name && agency.as_str() == self.agency.manifests.1.agency();
        let coverage = &self.platform.coverage;
        let other = !coverage.halves.contains_key(&shard.first()) && shard.contains(receipt.matched);
        of_both && (other || coverage.gap_of(&said.log, said.index).is_some())
    }

    /// The first day on which the receipt's epoch can have been asked.
    fn since(&self, receipt: &Receipt) -> Date {
        let versions = self.agency.manifests.1.versions.values().map(|version| &version.manifest);
        let of_epoch =
            versions.filter(|version| version.list == receipt.list.as_str() && version.epoch == receipt.epoch.0);
        let first = of_epoch.map(|version| version.not_before).min();
        Date::of(first.unwrap_or(receipt.matched)).previous()
    }

    /// All receipts for one place of a frame name one tag.
    fn one_tag(&mut self, receipt: &Receipt, line: u64) -> Result<(), Wrong> {
        let place = (receipt.batch, receipt.position);
        let (tag, first) = *self.tags.entry(place).or_insert((receipt.tag, line));
        if tag == receipt.tag {
            return Ok(());
        }
        Err(wrong(Code::R05, &format!("{PAPER} {first} names another tag for the same place of the frame")))
    }

    /// A tag that the platform knew to be withdrawn is no match after the deadline.
    fn not_withdrawn(&self, receipt: &Receipt, frame: &Asked) -> Result<(), Wrong> {
        let seen = self.newest_view(receipt).max(frame.view.size);
        let of_it = self.agency.manifests.1.withdrawn.iter().find(|(index, leaf)| {
            let same = leaf.list == receipt.list && leaf.epoch == receipt.epoch;
            let meant = match leaf.tag {
                Some(tag) => tag == receipt.tag,
                None => leaf.version == receipt.version,
            };
            same && meant && *index < seen && leaf.deadline < receipt.matched
        });
        match of_it {
            Some((index, _)) => Err(wrong(Code::M07, &format!("withdrawn by leaf {index} of the manifest log"))),
            None => Ok(()),
        }
    }

    /// The largest view that the platform had adopted when it found the match.
    fn newest_view(&self, receipt: &Receipt) -> u64 {
        let adopts = self.platform.logs.iter().flat_map(|(_, log)| &log.adopts);
        let before = adopts.filter(|(_, adopt)| adopt.list == receipt.list && adopt.t <= receipt.matched);
        before.map(|(_, adopt)| adopt.view.size).max().unwrap_or(0)
    }
}

fn asked<'a>(agency: &'a Agency, platform: &Platform) -> HashMap<BatchId, &'a Asked> {
    let frames = agency.queries.iter().flat_map(|(_, log)| &log.frames);
    let frames = frames.filter(|frame| frame.platform == platform.name && frame.answered() && frame.signed);
    frames.map(|frame| (frame.batch, frame)).collect()
}

fn wrong(code: Code, text: &str) -> Wrong {
    Some((code, text.to_owned()))
}

/// The version whose artifact a finding is about.
fn unfit(finding: &Finding) -> Option<(String, u32)> {
    match &finding.place.part {
        Part::Version { list, version, file: "artifact" } => Some((list.clone(), *version)),
        _ => None,
    }
}

/// The finding of a step that failed.
fn of(fault: Fault) -> Wrong {
    let code = Code::ALL.iter().copied().find(|code| code.name() == fault.finding());
    Some((code.expect("faults name codes of the specification"), fault.to_string()))
}

/// Matches whose receipt is overdue, and records whose erasure is.
fn unreleased(
    platform: &Platform,
    terms: &Terms,
    (period, now): (Period, u64),
    opened: &HashSet<(String, u64)>,
    receipts: &mut Receipts,
    all: &mut Reconciled,
) {
    for (_, log) in &platform.logs {
        for (&index, leaf) in &log.matches {
            let place = Place::leaf(&log.origin, index);
            // An erasure is said in the log of its own time: until the end of the period they must have been shown.
            let shown = || platform.coverage.covers_all(Date::of(leaf.t), period.to);
            let over = |days: Option<u64>| days.is_some_and(|days| leaf.t.unix() + (days + 1) * DAY < now) && shown();
            if platform.erased(log, index).is_some() {
                *receipts.statuses.entry(Status::Erased).or_default() += 1;
                continue;
            }
            if over(terms.erase_days) {
                all.findings.push(Finding::new(Code::E01, place.clone(), "the record is past its time and not erased"));
            }
            if opened.contains(&(log.origin.clone(), index)) {
                continue;
            }
            *receipts.statuses.entry(Status::NotReleased).or_default() += 1;
            if over(terms.receipt_days) && platform.openings.is_some() {
                all.findings.push(Finding::new(Code::R08, place, "no receipt was released for this match"));
            }
        }
    }
}
