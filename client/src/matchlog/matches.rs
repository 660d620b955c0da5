//! Matches: receipt, salted commitment, sealed opening, once for each entry and label (SPEC §18.5, §19).

use std::{collections::HashSet, sync::OnceLock};

use veilmatch_audit::leaf::Match;
use veilmatch_protocol::{
    frame::BatchId,
    manifest::{Hash, Timestamp},
    merkle,
    oprf::AdditiveBlind,
    receipt::{Receipt, commit},
};

use super::{
    Counts, MatchLog, nonce,
    record::{LabelSays, MatchRecord, OpenedBlind, Record, salt},
};
use crate::{
    Error,
    held::Held,
    results::Row,
    store::{Entry, Flush, Found, NewMatch},
};

/// An item that is listed.
#[derive(Clone)]
pub(crate) struct Hit {
    /// Its evaluation.
    pub(crate) row: Row,
    /// The bytes of its label.
    pub(crate) label: Vec<u8>,
}

/// What is left of a frame to open a match in it: its elements, and the blinds of its items. Wiped when it is dropped.
pub(crate) struct Opened {
    batch: BatchId,
    elements: Vec<[u8; 32]>,
    blinds: Vec<(u16, AdditiveBlind)>,
    // The tree over the elements, leaf hashes first; made when something is found.
    levels: OnceLock<Vec<Vec<[u8; 32]>>>,
}

impl Opened {
    pub(crate) fn new(batch: BatchId, elements: Vec<[u8; 32]>, blinds: Vec<(u16, AdditiveBlind)>) -> Self {
        Self { batch, elements, blinds, levels: OnceLock::new() }
    }

    /// The blind at the place of a row, if the row is of this frame.
    fn open(&self, row: &Row) -> Option<OpenedBlind> {
        if row.batch != self.batch {
            return None;
        }
        let (_, blind) = self.blinds.iter().find(|(position, _)| *position == row.position)?;
        let element = *self.elements.get(usize::from(row.position))?;
        let path = self.path(row.position.into());
        Some(OpenedBlind { form: "add".to_owned(), blind: *blind.danger_to_bytes(), element, path })
    }

    /// The siblings from an element to the root. Sizes of frames are powers of two, so that every level is whole.
    fn path(&self, position: usize) -> Vec<[u8; 32]> {
        let levels = self.levels.get_or_init(|| {
            let mut levels = vec![self.elements.iter().map(|element| merkle::leaf_hash(element)).collect::<Vec<_>>()];
            while let Some(below) = levels.last().filter(|level| level.len() > 1) {
                let above = below.as_chunks::<2>().0.iter().map(|[left, right]| merkle::node_hash(left, right));
                levels.push(above.collect());
            }
            levels
        });
        let siblings = levels.iter().enumerate().filter(|(_, level)| level.len() > 1);
        siblings.map(|(height, level)| level[(position >> height) ^ 1]).collect()
    }
}

impl MatchLog {
    /// Makes durable what there is to say about answers before they are given out: the matches among them that are not in
    /// the log yet, and every total that waits. Counted totals make it one transaction that changes something, and so one
    /// flush of the disk, whether or not anything was found (SPEC §12.4). What the frame brought is on the disk with it.
    pub(crate) fn answered(
        &self,
        held: &Held,
        opened: Option<&Opened>,
        hits: &[Hit],
        counts: Counts,
        now: Timestamp,
    ) -> Result<(), Error> {
        let matches = self.new_matches(held, opened, hits, now)?;
        self.record_matches(held, &matches, counts, now)
    }

    /// Makes sure that what a rescan found is in the log. Give it what was found together: it is one flush of the disk, and
    /// none if nothing of it is new.
    pub(crate) fn found_again(&self, held: &Held, hits: &[Hit], now: Timestamp) -> Result<(), Error> {
        let matches = self.new_matches(held, None, hits, now)?;
        if matches.is_empty() { Ok(()) } else { self.record_matches(held, &matches, Counts::new(), now) }
    }

    fn record_matches(&self, held: &Held, matches: &[NewMatch], counts: Counts, now: Timestamp) -> Result<(), Error> {
        let found = Some(Found { list: &held.list(), epoch: held.epoch(), matches });
        self.record(&held.list(), &Entry { found, ..Entry::default() }, counts, now, Flush::Now)
    }

    fn new_matches(
        &self,
        held: &Held,
        opened: Option<&Opened>,
        hits: &[Hit],
        now: Timestamp,
    ) -> Result<Vec<NewMatch>, Error> {
        let (list, epoch) = (held.list(), held.epoch());
        let ids: Vec<[u8; 16]> =
            hits.iter().map(|hit| self.vault.match_id(&list, epoch, &hit.row.okm.tag(), &hit.label)).collect();
        if hits.is_empty() {
            return Ok(Vec::new());
        }
        let mut seen = HashSet::new();
        let known = self.store.matched(&ids)?;
        let new = hits.iter().zip(&ids).zip(known).filter(|((_, id), known)| !known && seen.insert(**id));
        Ok(new.map(|((hit, id), _)| self.new_match(held, opened, hit, *id, now)).collect())
    }

    fn new_match(&self, held: &Held, opened: Option<&Opened>, hit: &Hit, id: [u8; 16], now: Timestamp) -> NewMatch {
        let secret = hit.row.okm.match_secret();
        let receipt = Receipt {
            agency: self.agency.clone(),
            batch: hit.row.batch,
            epoch: held.epoch(),
            label: hit.label.clone(),
            list: held.list(),
            manifest: Hash(held.leaf_hash()),
            matched: now.minute(),
            object: String::new(),
            platform: self.platform.clone(),
            position: hit.row.position,
            tag: hit.row.okm.tag(),
            version: held.version(),
        };
        let signed = receipt.sign(&secret, &self.receipts).expect("names and numbers of a verified version are legal");
        let (salt, batch) = (salt(), hit.row.batch);
        let leaf = Match { batch, c: commit(&salt, signed.note()), nonce: nonce(), t: now.day() };
        let record = MatchRecord {
            salt: *salt.danger_as_bytes(),
            receipt: String::from_utf8(signed.note().to_vec()).expect("a note is text"),
            secret: *secret.danger_as_bytes(),
            kind: hit.row.kind.name().to_owned(),
            root: held.manifest().artifact.root.0,
            label: LabelSays::of(&held.label(hit.label.clone())),
            blind: opened.and_then(|opened| opened.open(&hit.row)),
        };
        let leaf = leaf.encode().expect("the start of a day is one");
        NewMatch { id, leaf, opening: self.vault.seal(&Record::Match(Box::new(record)).encode()) }
    }
}

impl LabelSays {
    fn of(label: &crate::Label) -> Self {
        let (scheme, code) = label.category().map(|category| (category.scheme.clone(), category.code.clone())).unzip();
        Self {
            scheme: scheme.unwrap_or_default(),
            code: code.unwrap_or_default(),
            source: label.source().unwrap_or_default().to_owned(),
            reference: label.reference().unwrap_or_default().to_owned(),
        }
    }
}
