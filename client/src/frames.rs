//! One frame from end to end: blind, record the intent, send, verify, record the result (SPEC §6, §12). Looking the result
//! up comes after its end and out of its way.

mod acknowledgement;
mod budget;
mod evidence;
mod send;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ed25519_dalek::{Signer, SigningKey};
use tokio::sync::watch;
use veilmatch_proto::{EvaluateFrame, FrameAnswer, Reason, pb};
use veilmatch_protocol::{
    derive::EpochContext,
    frame::{
        BatchId, BlindedFrame, FrameContext, FrameSize, RequestDigest, View, request_digest, response_digest,
        signed_message,
    },
    item::{Item, Kind},
    manifest::Timestamp,
    name::{Origin, PlatformId},
    oprf::Proof,
};

use crate::{
    Error,
    connection::Connection,
    held::Held,
    keeper::{Due, Keeper, Known},
    matchlog::{Brought, Counts, Hit, MatchLog, Opened, not_checked},
    outcome::{NotChecked, Outcome, Subject},
    random::SystemRandom,
    results::Row,
    state_dir::StateDir,
    store::{Answered, Ended, Promise, Sent},
    verdict::verdict,
    watch::Watch,
};
pub(crate) use acknowledgement::Acknowledger;
pub(crate) use budget::Spent;

/// What every frame of a platform needs.
pub(crate) struct Frames {
    pub(crate) dir: StateDir,
    pub(crate) connection: Connection,
    pub(crate) request_key: SigningKey,
    pub(crate) platform: PlatformId,
    pub(crate) origin: Origin,
    /// What was verified of the agency's logs: without it nothing is asked.
    pub(crate) watch: Arc<Watch>,
    /// Whose acknowledgements count.
    pub(crate) acknowledger: Acknowledger,
    /// Where every frame and every match is recorded.
    pub(crate) log: Arc<MatchLog>,
    /// Elements that may be asked in a day: larger frames are not made.
    pub(crate) daily_elements: u64,
    pub(crate) spent: Spent,
    /// Whether the client was shut down: nothing more is sent then.
    pub(crate) stopped: watch::Receiver<bool>,
}

/// Subjects whose unknown items fit into one frame, with what is known of them.
pub(crate) struct Batch {
    pub(crate) held: Arc<Held>,
    pub(crate) keeper: Option<Arc<Keeper>>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) known: Vec<Known>,
    pub(crate) unknown: Unknown,
}

/// Items without a known result.
#[derive(Default)]
pub(crate) struct Unknown {
    /// Each once.
    items: Vec<Item>,
    /// For all items of all subjects, in their order: the number in `items` of one that is to be asked.
    numbers: Vec<Option<usize>>,
}

impl Unknown {
    /// Items of the list's kinds without a known result. Other kinds are never asked, nor is a subject with two of a kind.
    pub(crate) fn of(kinds: &[Kind], subjects: &[Subject], known: &[Known]) -> Self {
        let mut number_of: HashMap<&Item, usize> = HashMap::with_capacity(subjects.len());
        let (mut items, mut numbers) = (Vec::with_capacity(subjects.len()), Vec::with_capacity(subjects.len()));
        for (subject, known) in subjects.iter().zip(known) {
            let askable = !subject.has_a_kind_twice();
            for (item, row) in subject.items.iter().zip(&known.rows) {
                let asked = askable && row.is_none() && kinds.contains(&item.kind());
                numbers.push(asked.then(|| {
                    *number_of.entry(item).or_insert_with(|| {
                        items.push(item.clone());
                        items.len() - 1
                    })
                }));
            }
        }
        Self { items, numbers }
    }
}

/// How many digests subjects have together.
pub(crate) fn items(subjects: &[Subject]) -> u64 {
    subjects.iter().map(|subject| subject.items.len() as u64).sum()
}

/// What is known of a batch's subjects and recorded, before any of it is looked up. Two steps, because SPEC §12.4 lets nothing
/// that is sent depend on results: a hit costs the hashing of a shard, so who waits for look-ups waits longer the more there
/// are, and what is known of an item decides whether a frame asks it again.
pub(crate) struct Answers {
    batch: Arc<Batch>,
    rows: Vec<Vec<Row>>,
    /// Of the frame that brought some of it; kept in memory until it is known what matches.
    opened: Option<Opened>,
    log: Arc<MatchLog>,
}

impl Answers {
    /// The outcomes, in the order of the subjects, with everything behind them durable. There are none from a version that
    /// has expired meanwhile (SPEC §8.5); what was evaluated is kept all the same.
    pub(crate) fn outcomes(&self, now: Timestamp) -> Vec<Outcome> {
        let (outcomes, hits) = self.look_up(now);
        let Batch { held, subjects, .. } = &*self.batch;
        let mut counts = Counts::new();
        for (subject, outcome) in subjects.iter().zip(&outcomes) {
            let what = match outcome {
                Outcome::NotChecked(why) => not_checked(why),
                _ => "answered".to_owned(),
            };
            *counts.entry(what).or_default() += subject.items.len() as u64;
        }
        // What is answered is counted before, and no match is answered before it stands in the match log.
        if let Err(error) = self.log.answered(held, self.opened.as_ref(), &hits, counts, now) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "answers could not be recorded: they are not given"
            );
            self.log.count_not_checked(&held.list(), &NotChecked::Storage, items(subjects));
            return vec![Outcome::NotChecked(NotChecked::Storage); subjects.len()];
        }
        outcomes
    }

    fn look_up(&self, now: Timestamp) -> (Vec<Outcome>, Vec<Hit>) {
        let Batch { held, subjects, .. } = &*self.batch;
        if !held.valid_at(now) {
            return (vec![Outcome::NotChecked(NotChecked::Expired); subjects.len()], Vec::new());
        }
        let looking = held.look_ups();
        let (mut asked, mut hits): (Vec<Kind>, Vec<Hit>) = (Vec::new(), Vec::new());
        let outcome = |(subject, rows): (&Subject, &Vec<Row>)| {
            if subject.has_a_kind_twice() {
                return Outcome::NotChecked(NotChecked::KindTwice);
            }
            asked.clear();
            asked.extend(subject.items.iter().map(Item::kind));
            verdict(&looking, subject.whole, &asked, rows, |row, label| {
                hits.push(Hit { row: row.clone(), label: label.to_vec() });
            })
        };
        let outcomes = subjects.iter().zip(&self.rows).map(outcome).collect();
        (outcomes, hits)
    }
}

/// Why a whole frame was not recorded.
pub(crate) enum Failed {
    /// No frame that may be asked holds the items of the batch: it must be cut.
    TooMany,
    /// The list must be synchronised and the items blinded anew.
    Behind(NotChecked),
    /// The items are not checked.
    NotChecked(NotChecked),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the platform's state cannot be used");
        Self::NotChecked(NotChecked::Storage)
    }
}

/// A frame between blinding and answer.
pub(crate) struct Open {
    context: FrameContext,
    blinded: BlindedFrame,
    size: FrameSize,
    req: RequestDigest,
    request: pb::EvaluateRequest,
}

impl Frames {
    /// The sizes that may be asked, ascending: the manifest's, as far as a day's budget holds one.
    pub(crate) fn sizes(&self, held: &Held) -> Vec<FrameSize> {
        let all = held.manifest().frame_sizes();
        let fits: Vec<FrameSize> =
            all.iter().copied().filter(|size| size.len() as u64 <= self.daily_elements).collect();
        // Where none fits, the server says so better than we do.
        if fits.is_empty() { all } else { fits }
    }

    /// Makes the frame that asks what is not known of a batch, and records the intent to send it; none if everything is known.
    pub(crate) fn open(&self, batch: &Batch) -> Result<Option<Open>, Failed> {
        if *self.stopped.borrow() {
            return Err(Failed::NotChecked(NotChecked::ShutDown));
        }
        let many = batch.unknown.items.len();
        if many == 0 {
            return Ok(None);
        }
        let size = FrameSize::smallest_for(many, &self.sizes(&batch.held)).expect("a manifest names sizes");
        if size.len() < many {
            return Err(Failed::TooMany);
        }
        if let Some(wait) = self.spent.wait(&batch.held.list(), size) {
            let reason = Reason::BudgetExhausted;
            return Err(Failed::NotChecked(NotChecked::Refused { reason, retry_after: Some(wait) }));
        }
        let view = self.watch.standing(now().unix()).map_err(|why| match why {
            NotChecked::UnprovenLog | NotChecked::StaleLog => Failed::Behind(why),
            fault => Failed::NotChecked(fault),
        })?;
        self.blind(batch, size, view).map(Some)
    }

    /// Asks what is not known of a batch in the frame that was opened for it, and records it. Runs to its end even if the caller
    /// stops waiting.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        batch: Arc<Batch>,
        open: Option<Open>,
        patience: Duration,
    ) -> Result<Answers, Failed> {
        let frames = Arc::clone(self);
        let Some(open) = open else {
            return blocking(move || frames.record(batch, &[], None, None)).await;
        };
        let many = batch.unknown.items.len();
        match self.send(&open.request, patience).await {
            Ok(answer) => blocking(move || frames.close(batch, open, answer)).await,
            Err(failed) => {
                let list = batch.held.list();
                if let Failed::NotChecked(NotChecked::Refused {
                    reason: Reason::BudgetExhausted,
                    retry_after: Some(wait),
                }) = &failed
                {
                    self.spent.refused(&list, open.size, *wait);
                }
                let ended = match &failed {
                    // An earlier try may have been answered: the log must not say that this frame was not.
                    Failed::Behind(NotChecked::Refused { reason, .. })
                    | Failed::NotChecked(NotChecked::Refused { reason, .. })
                        if !send::is_passing_refusal(*reason) =>
                    {
                        Ended::Refused(reason.name())
                    }
                    _ => Ended::Abandoned,
                };
                let id = open.context.batch;
                blocking(move || Ok(frames.log.frame_ended(&list, id, ended, many)?)).await?;
                Err(failed)
            }
        }
    }

    /// Blinds, signs and records the intent.
    fn blind(&self, batch: &Batch, size: FrameSize, view: View) -> Result<Open, Failed> {
        let held = &batch.held;
        let mut rng = SystemRandom::new();
        let context = FrameContext {
            origin: self.origin.clone(),
            list: held.list(),
            epoch: held.epoch(),
            platform: self.platform.clone(),
            batch: BatchId::random(&mut rng),
        };
        let blinded = BlindedFrame::blind(size, &batch.unknown.items, &mut rng);
        let req = request_digest(&context, blinded.elements().encodings());
        let minute = now().unix() / 60;
        let message = signed_message(&req, &view, held.version(), minute);
        let request = EvaluateFrame {
            list: context.list.clone(),
            epoch: context.epoch,
            version: held.version(),
            view,
            batch: context.batch,
            minute,
            blinded: blinded.elements().encodings().to_vec(),
            size,
            signature: self.request_key.sign(&message).to_bytes(),
        };
        self.log.frame_sent(&Sent {
            batch: context.batch,
            list: &context.list,
            epoch: context.epoch,
            version: held.version(),
            n: size.len(),
            req,
            minute,
        })?;
        Ok(Open { context, blinded, size, req, request: request.into() })
    }

    /// Verifies proof and acknowledgement, and only then unblinds; records the result.
    fn close(&self, batch: Arc<Batch>, open: Open, answer: pb::EvaluateResponse) -> Result<Answers, Failed> {
        let Open { context, blinded, size, req, request } = open;
        let (list, many) = (&context.list, batch.unknown.items.len());
        let refuse = |why: NotChecked, answer: &pb::EvaluateResponse| {
            evidence::keep(&self.dir, &context, &request, answer, why.reason());
            self.log.frame_ended(list, context.batch, Ended::Refused(why.reason()), many)?;
            Err(Failed::NotChecked(why))
        };
        let bytes = answer.clone();
        let decoded = FrameAnswer::decode(answer, context.batch, size);
        let verified = decoded.and_then(|answer| {
            let proof = Proof::from_bytes(&answer.proof)?;
            let resp = response_digest(&req, &answer.evaluated, &proof);
            let verified =
                blinded.verify(&context, batch.held.key(), answer.evaluated.as_flattened(), &answer.proof)?;
            Ok((verified, resp))
        });
        let Ok((verified, resp)) = verified else { return refuse(NotChecked::BadProof, &bytes) };
        let Ok(record) = self.acknowledger.verify(&context, &request, (&req, &resp), &bytes, now()) else {
            return refuse(NotChecked::BadAcknowledgement, &bytes);
        };
        self.watch.acknowledged_in(&record.origin);
        let promise = Promise { origin: record.origin.to_string(), number: record.index, received: now().unix() };
        let (ack, day, acknowledged) = (record.ack, record.day, record.bytes);
        let ended = Ended::Answered(Answered { resp, ack, day, acknowledged, promise });
        let Ok(evaluated) = verified.finalize() else {
            self.log.frame_ended(list, context.batch, ended, many)?;
            return Err(Failed::NotChecked(NotChecked::InvalidInput));
        };
        let epoch = EpochContext { list: context.list.clone(), epoch: context.epoch };
        let mut blinds = Vec::with_capacity(evaluated.len());
        let (outputs, positions): (Vec<_>, Vec<_>) = evaluated
            .into_iter()
            .map(|evaluated| {
                blinds.push((evaluated.position, evaluated.blind));
                (evaluated.output, evaluated.position)
            })
            .unzip();
        let results = epoch.okms(&outputs).into_iter().zip(positions);
        let row = |(item, (okm, position)): (&Item, _)| Row { kind: item.kind(), okm, batch: context.batch, position };
        let rows: Vec<Row> = batch.unknown.items.iter().zip(results).map(row).collect();
        let elements = request.blinded_elements.as_chunks::<32>().0.to_vec();
        let opened = Opened::new(context.batch, elements, blinds);
        self.record(batch, &rows, Some((context.batch, ended, many)), Some(opened))
    }

    /// Records the end of a frame with its results; `fresh` are those of the batch's unknown items.
    fn record(
        &self,
        batch: Arc<Batch>,
        fresh: &[Row],
        end: Option<(BatchId, Ended, usize)>,
        opened: Option<Opened>,
    ) -> Result<Answers, Failed> {
        let mut numbers = batch.unknown.numbers.iter();
        let mut row_of = |known: &Option<Row>| {
            let number = numbers.next().expect("every item of the batch has a place");
            known.as_ref().or_else(|| number.map(|number| &fresh[number])).cloned()
        };
        let rows: Vec<Vec<Row>> =
            batch.known.iter().map(|known| known.rows.iter().filter_map(&mut row_of).collect()).collect();
        let block = batch.keeper.as_ref().and_then(|keeper| {
            let all = batch.subjects.iter().zip(&batch.known).zip(&rows);
            let new = all.filter(|((_, known), rows)| !known.kept && !rows.is_empty());
            keeper.block_of(&new.map(|((subject, known), rows)| (subject, known, &rows[..])).collect::<Vec<_>>())
        });
        let brought = Brought { end, block };
        self.log.keep(&batch.held.list(), &brought)?;
        if let (Some(keeper), Some(block)) = (&batch.keeper, &brought.block) {
            settle_soon(keeper, keeper.added(block));
        }
        Ok(Answers { batch, rows, opened, log: Arc::clone(&self.log) })
    }
}

/// Nobody waits for the index, unless more comes in than it takes. A failure leaves everything as it was, for the next
/// time.
fn settle_soon(keeper: &Arc<Keeper>, due: Due) {
    let keeper = Arc::clone(keeper);
    let settle = move || {
        if let Err(error) = keeper.settle(due) {
            tracing::error!(error = &error as &dyn std::error::Error, "results could not be put into the index");
        }
    };
    match due {
        Due::No => {}
        Due::Yes => drop(tokio::task::spawn_blocking(settle)),
        Due::Overdue => settle(),
    }
}

/// The clock, for validity and for the minute of a request.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Arithmetic and disk stay off the runtime's workers.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failed> + Send + 'static,
) -> Result<T, Failed> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            if error.is_panic() {
                tracing::error!("a thread panicked; its items are not checked");
            }
            Err(Failed::NotChecked(NotChecked::ShutDown))
        }
    }
}

#[cfg(test)]
mod tests;
