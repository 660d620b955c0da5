//! Building one version of one epoch: evaluate what changed, merge it into the last artifact, write the delta.
//!
//! Memory is bounded: entries stream from the store in batches, what goes and what comes sorts in runs on disk, artifacts
//! stream from file to file. Only a delta is held whole, in two pieces, and a delta that would be larger than the artifact
//! is neither made nor held.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    ops::{ControlFlow, Range},
    sync::mpsc,
};

use rayon::prelude::*;
use veilmatch_protocol::{
    artifact::{self, DummySeed, Layout, Summary, Writer, padded_count},
    delta::{self, Span},
    derive::{EpochContext, Tag},
    item::Item,
    manifest::{ArtifactRef, DeltaRef, Hash},
    name::{Epoch, Version},
    oprf::{self, Mode, SecretKey},
};

use super::{
    OnProgress, Progress,
    files::{self, NewFile},
    resume::{Question, Resume},
    sorting::Changes,
};
use crate::{
    Error,
    state_dir::StateDir,
    store::{Edition, Entries, ListRow, PendingEntry, PendingKind},
};

/// Entries that are evaluated together, on all processors.
const BATCH: usize = 32_768;

/// Entries of one call of the batch arithmetic.
const CHUNK: usize = 512;

/// Records between two reports of progress.
const REPORT: u64 = 65_536;

/// What a build is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Evaluating entries.
    Evaluate,
    /// Writing the artifact.
    Write,
}

/// The version that a new one of the same epoch builds upon.
pub(super) struct Base {
    pub(super) artifact: ArtifactRef,
    pub(super) version: Version,
    pub(super) entries: u64,
    pub(super) edition: Edition,
    pub(super) categories: Option<Hash>,
    pub(super) canary_root: Hash,
}

/// Everything that decides a version. The same inputs give the same bytes.
pub(super) struct Build<'a> {
    pub(super) dir: &'a StateDir,
    pub(super) list: &'a ListRow,
    pub(super) epoch: Epoch,
    pub(super) version: Version,
    pub(super) key: &'a SecretKey,
    pub(super) dummy_seed: &'a [u8; 32],
    pub(super) dummies: Range<u64>,
    pub(super) base: Option<&'a Base>,
    pub(super) progress: OnProgress<'a>,
    // Entries after which what is evaluated is put down, so that a killed publication goes on there.
    pub(super) put_down_every: u64,
}

/// A version whose files are on the disk.
pub(super) struct Built {
    pub(super) artifact: ArtifactRef,
    pub(super) delta: DeltaRef,
    pub(super) entries: u64,
    pub(super) dummies: Range<u64>,
}

// What entries become, without what only the reading side may use.
struct Evaluator<'a> {
    key: &'a SecretKey,
    context: EpochContext,
    layout: Layout,
    upon_base: bool,
}

impl Evaluator<'_> {
    // On all processors; the records in the order of the entries. Says how many come and how many go.
    fn evaluate(&self, batch: &[PendingEntry], changes: &mut Changes) -> Result<(u64, u64), Error> {
        let of_chunk = |chunk: &[PendingEntry]| {
            let inputs: Vec<&[u8]> = chunk.iter().map(|entry| entry.item.as_bytes()).collect();
            let labels: Vec<&[u8]> = chunk.iter().map(|entry| entry.label.as_slice()).collect();
            let okms = self.context.okms(&oprf::evaluate(Mode::Voprf, self.key, &inputs)?);
            artifact::records(self.layout, &okms, &labels)
        };
        let records: Vec<Vec<u8>> = batch.par_chunks(CHUNK).map(of_chunk).collect::<Result<_, _>>()?;
        let records = records.iter().flat_map(|records| records.chunks_exact(self.layout.record_len()));
        for (entry, record) in batch.iter().zip(records) {
            if self.upon_base && entry.kind != PendingKind::Added {
                changes.removed.push(&tag_of(record).0)?;
            }
            if entry.kind != PendingKind::Removed {
                changes.added.push(record)?;
            }
        }
        let of = |kind| batch.iter().filter(|entry| entry.kind == kind).count() as u64;
        Ok((of(PendingKind::Added), of(PendingKind::Removed)))
    }
}

// What a delta says, sorted: tags, and records one after the other.
#[derive(Default)]
struct Kept {
    removed: Vec<Tag>,
    added: Vec<u8>,
}

impl Build<'_> {
    /// The version that has the list as an edition has it.
    pub(super) fn with_changes(&self, entries: &Entries, edition: &Edition) -> Result<Built, Error> {
        let layout = Layout::new(self.list.label_bytes)?;
        let mut changes = Changes::new(layout, &self.dir.list(&self.list.list))?;
        let (added, removed) = self.evaluate(entries, edition, &mut changes)?;
        let entries = self.base.map_or(0, |base| base.entries) + added - removed;
        let dummies = self.pad(entries, layout, &mut changes)?;
        let (artifact, delta) = self.write(layout, padded_count(entries), changes)?;
        Ok(Built { artifact, delta, entries, dummies })
    }

    /// The last version once more, under a new number: the same artifact and an empty delta.
    pub(super) fn again(&self) -> Result<Built, Error> {
        let base = self.base.ok_or_else(|| Error::NothingPublished { list: self.list.list.to_string() })?;
        let layout = Layout::new(self.list.label_bytes)?;
        let old = self.dir.artifact(&self.list.list, base.version);
        files::link(&old, &self.dir.artifact(&self.list.list, self.version))?;
        let delta = self.write_delta(layout, base, &Kept::default())?;
        Ok(Built { artifact: base.artifact.clone(), delta, entries: base.entries, dummies: self.dummies.clone() })
    }

    // Reads entries while those before are evaluated: both take their time. Says how many came and how many went.
    fn evaluate(&self, entries: &Entries, edition: &Edition, changes: &mut Changes) -> Result<(u64, u64), Error> {
        let evaluator = Evaluator {
            key: self.key,
            context: EpochContext { list: self.list.list.clone(), epoch: self.epoch },
            layout: Layout::new(self.list.label_bytes)?,
            upon_base: self.base.is_some(),
        };
        let base = self.base.map_or(0, |base| base.version.0);
        let question = Question::new(edition, base, self.list.label_bytes, self.key.public().as_bytes());
        let folder = self.dir.list(&self.list.list);
        let mut resume = Resume::open(&folder, self.epoch, question, self.put_down_every, changes)?;
        let (last, done) = (resume.last()?, changes.added.count.max(changes.removed.count));
        std::thread::scope(|scope| {
            let (batches, queue) = mpsc::sync_channel::<Vec<PendingEntry>>(1);
            let resume = &mut resume;
            let evaluating = scope.spawn(move || {
                for batch in queue {
                    let counts = evaluator.evaluate(&batch, changes)?;
                    if let Some(last) = batch.last() {
                        resume.evaluated(batch.len() as u64, counts, &last.item, changes)?;
                    }
                }
                Ok(())
            });
            let read = self.read(entries, edition, last.as_ref(), done, &batches);
            drop(batches);
            // Where evaluating stopped, reading stopped too.
            evaluating.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(read)
        })?;
        Ok(resume.counts())
    }

    fn read(
        &self,
        entries: &Entries,
        edition: &Edition,
        after: Option<&Item>,
        mut done: u64,
        batches: &mpsc::SyncSender<Vec<PendingEntry>>,
    ) -> Result<(), Error> {
        let list = &self.list.list;
        let from = self.base.map_or(Edition::EMPTY, |base| base.edition);
        let labels = entries.labels(list, self.list.label_bytes)?;
        let total = entries.pending_at_most(list, &from, edition)?;
        let mut batch = Vec::with_capacity(BATCH);
        entries.visit(list, &from, edition, &labels, after, |entry| {
            if entry.kind != PendingKind::Kept {
                batch.push(entry);
            }
            if batch.len() == BATCH {
                done += batch.len() as u64;
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                if batches.send(full).is_err() {
                    return ControlFlow::Break(());
                }
                self.report(Stage::Evaluate, done, total.max(done));
            }
            ControlFlow::Continue(())
        })?;
        done += batch.len() as u64;
        let _ = batches.send(batch);
        self.report(Stage::Evaluate, done, done);
        Ok(())
    }

    // Dummies leave at the low end of their window and come at its high end, and none comes twice.
    fn pad(&self, entries: u64, layout: Layout, changes: &mut Changes) -> Result<Range<u64>, Error> {
        let seed = DummySeed::new(*self.dummy_seed);
        let wanted = padded_count(entries) - entries;
        let present = self.dummies.end - self.dummies.start;
        let low = self.dummies.start + present.saturating_sub(wanted);
        let high = self.dummies.end + wanted.saturating_sub(present);
        for leaving in self.dummies.start..low {
            changes.removed.push(&tag_of(&seed.record(leaving, layout)).0)?;
        }
        for coming in self.dummies.end..high {
            changes.added.push(&seed.record(coming, layout))?;
        }
        Ok(low..high)
    }

    fn write(&self, layout: Layout, count: u64, changes: Changes) -> Result<(ArtifactRef, DeltaRef), Error> {
        let Changes { removed, added } = changes;
        let delta_len = delta::file_len(layout, removed.count, added.count);
        let worth_a_delta = self.base.filter(|_| delta_len < artifact::file_len(layout, count));
        let mut kept = Kept::default();
        let artifact = {
            let (keep_removed, keep_added) = (&mut kept.removed, &mut kept.added);
            let mut removed = removed.sorted()?.map(|tag| tag.map(|tag| tag_of(&tag))).inspect(|tag| {
                if let (Some(_), Ok(tag)) = (worth_a_delta, tag) {
                    keep_removed.push(*tag);
                }
            });
            let mut added = added.sorted()?.inspect(|record| {
                if let (Some(_), Ok(record)) = (worth_a_delta, record) {
                    keep_added.extend_from_slice(record);
                }
            });
            self.write_artifact(layout, count, &mut removed, &mut added)?
        };
        let delta = match worth_a_delta {
            Some(base) => self.write_delta(layout, base, &kept)?,
            None => DeltaRef::NONE,
        };
        Ok((artifact, delta))
    }

    fn write_artifact(
        &self,
        layout: Layout,
        count: u64,
        removed: &mut dyn Iterator<Item = io::Result<Tag>>,
        added: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
    ) -> Result<ArtifactRef, Error> {
        let path = self.dir.artifact(&self.list.list, self.version);
        let mut file = NewFile::create(&self.dir.list(&self.list.list))?;
        let mut base = match self.base {
            Some(base) => Some(self.open_base(base, layout)?),
            None => None,
        };
        let summary = self
            .merge(layout, count, base.as_mut(), removed, added, file.writer())
            .map_err(Error::io("write", &path))?;
        let sha256 = files::sha256_of(file.path())?;
        file.persist(&path)?;
        Ok(summary.into_ref(sha256))
    }

    // The base's records, each once, without the removed ones, and the added ones, in ascending order.
    fn merge(
        &self,
        layout: Layout,
        count: u64,
        base: Option<&mut BaseRecords>,
        removed: &mut dyn Iterator<Item = io::Result<Tag>>,
        added: &mut dyn Iterator<Item = io::Result<Vec<u8>>>,
        out: impl Write + Seek,
    ) -> io::Result<Summary> {
        let mut writer = Writer::new(out, layout, self.epoch, count)?;
        let mut removed = removed.peekable();
        let mut added = added.peekable();
        let mut written = 0;
        let mut push = |record: &[u8]| -> io::Result<()> {
            written += 1;
            if written % REPORT == 0 {
                self.report(Stage::Write, written, count);
            }
            writer.push(record)
        };
        if let Some(base) = base {
            while let Some(record) = base.next()? {
                let tag = tag_of(record);
                while let Some(earlier) =
                    added.next_if(|added| added.as_ref().map_or(true, |added| tag_of(added) < tag))
                {
                    push(&earlier?)?;
                }
                // A tag to be removed that the base does not have makes the count wrong, which the writer refuses.
                match removed.next_if(|removed| removed.as_ref().map_or(true, |removed| *removed == tag)) {
                    Some(removed) => drop(removed?),
                    None => push(record)?,
                }
            }
        }
        for last in added {
            push(&last?)?;
        }
        self.report(Stage::Write, count, count);
        writer.finish().map(|(_, summary)| summary)
    }

    // The base is read twice: it must be exactly what was signed before anything is built upon it.
    fn open_base(&self, base: &Base, layout: Layout) -> Result<BaseRecords, Error> {
        let path = self.dir.artifact(&self.list.list, base.version);
        if files::sha256_of(&path)? != base.artifact.sha256.0 {
            return Err(Error::Damaged {
                what: path.display().to_string(),
                why: "it is not what was published".into(),
            });
        }
        let mut reader = files::reader(&path)?;
        let records = base.artifact.count * layout.record_len() as u64;
        reader.seek(SeekFrom::Start(base.artifact.bytes - records)).map_err(Error::io("read", &path))?;
        Ok(BaseRecords { reader, record: vec![0; layout.record_len()], left: base.artifact.count })
    }

    fn write_delta(&self, layout: Layout, base: &Base, kept: &Kept) -> Result<DeltaRef, Error> {
        let removed = &kept.removed;
        let added: Vec<&[u8]> = kept.added.chunks_exact(layout.record_len()).collect();
        let path = self.dir.delta(&self.list.list, self.version);
        let span = Span { epoch: self.epoch, from: base.version, to: self.version };
        let mut file = NewFile::create(&self.dir.list(&self.list.list))?;
        delta::write(file.writer(), layout, span, removed, &added).map_err(Error::io("write", &path))?;
        let sha256 = files::sha256_of(file.path())?;
        file.persist(&path)?;
        let (removed, added) = (removed.len() as u64, added.len() as u64);
        let bytes = delta::file_len(layout, removed, added);
        Ok(DeltaRef { from: base.version.0, removed, added, bytes, sha256: Some(Hash(sha256)) })
    }

    fn report(&self, stage: Stage, done: u64, total: u64) {
        (self.progress)(Progress { epoch: self.epoch, stage, done, total });
    }
}

struct BaseRecords {
    reader: BufReader<File>,
    record: Vec<u8>,
    left: u64,
}

impl BaseRecords {
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.reader.read_exact(&mut self.record)?;
        Ok(Some(&self.record))
    }
}

fn tag_of(record: &[u8]) -> Tag {
    Tag(*record.first_chunk().expect("a record begins with its tag"))
}
