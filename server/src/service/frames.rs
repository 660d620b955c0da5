//! A frame's way through the server (SPEC §9.7):
//!
//! parse → authorise, verify signature → known batch id? → view, epoch, version → reserve budget → decode → evaluate and
//! prove → one durable transaction (record, leaf, charge, batch id) → acknowledge → answer. No record, no answer.

use std::{path::PathBuf, sync::Arc};

use ed25519_dalek::Signature;
use rand::Rng;
use veilmatch_proto::{EvaluateFrame, FrameAnswer};
use veilmatch_protocol::{
    frame::{self, BatchId, FrameContext, MINUTE_SKEW, RequestDigest, request_digest, response_digest, signed_message},
    name::{AgencyName, Origin},
    oprf::{self, Elements, Proof, SecretKey},
};

use super::{
    Readers,
    refusals::{Refusals, is_recorded},
};
use crate::{
    budget::{Budgets, Claim, DayBudget, Refund, Reservation},
    catalogue::{Client, ServedList},
    clock::{Clock, DAY},
    cpu::CpuPool,
    logs::{self, LogHealth, LogKeys, LogState},
    status::CallError,
    store::{
        AnsweredFrame, AuditState, FrameKey, FrameRecord, FrameStatus, FrameWriter, LoggedLeaf, NewLeaf, Recorded,
        Store,
    },
};

/// What the configuration decides about frames.
#[derive(Debug, Clone)]
pub struct FrameRules {
    /// Sizes that are answered, in elements.
    pub sizes: Vec<u32>,
    /// How often an answered frame is answered again.
    pub retries: u32,
    /// Until when, in minutes after its answer.
    pub retry_minutes: u64,
    /// Recorded refusals per platform and minute.
    pub refusals_per_minute: u32,
}

/// What makes a frame's record evidence.
pub struct FrameEvidence {
    /// The agency.
    pub agency: AgencyName,
    /// Signs acknowledgements.
    pub keys: Arc<LogKeys>,
    /// Whether the logs can go on.
    pub health: Arc<LogHealth>,
}

/// Answers frames.
pub struct Frames {
    cpu: CpuPool,
    writer: Arc<FrameWriter>,
    work: Arc<Work>,
}

// What a frame needs on a processor: everything up to the transaction.
struct Work {
    origin: Origin,
    evidence: FrameEvidence,
    rules: FrameRules,
    budgets: Budgets,
    refusals: Refusals,
    clock: Arc<dyn Clock>,
    readers: Readers,
}

// A frame whose signature verified.
struct Asked<'a> {
    context: &'a FrameContext,
    client: &'a Client,
    list: &'a ServedList,
    frame: &'a EvaluateFrame,
    request: RequestDigest,
    now: u64,
}

// What the processor leaves to be written.
enum Evaluated {
    Fresh { entry: Entry, reservation: Reservation, answer: FrameAnswer },
    Again { key: FrameKey, answer: FrameAnswer },
    // The answer cannot be repeated: the charge is given back.
    Mismatch { key: FrameKey, refund: Refund },
    Refused { entry: Entry, why: CallError },
}

// A record and its leaf.
struct Entry {
    record: FrameRecord,
    leaf: NewLeaf,
}

impl Frames {
    /// Takes the threads, the writer and the rules.
    #[must_use]
    pub fn new(
        cpu: CpuPool,
        writer: Arc<FrameWriter>,
        evidence: FrameEvidence,
        rules: FrameRules,
        clock: Arc<dyn Clock>,
        database: PathBuf,
    ) -> Self {
        let refusals = Refusals::new(rules.refusals_per_minute);
        let (budgets, readers) = (Budgets::default(), Readers::new(database));
        let origin = Origin::of(&evidence.agency);
        let work = Arc::new(Work { origin, evidence, rules, budgets, refusals, clock, readers });
        Self { cpu, writer, work }
    }

    /// Answers a frame of an authorised client.
    ///
    /// Dropping the future before the record is submitted leaves nothing behind; after that the record stands, and a
    /// retry of the same bytes gets the same answer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn answer(
        &self,
        client: &Arc<Client>,
        list: &Arc<ServedList>,
        frame: EvaluateFrame,
    ) -> Result<FrameAnswer, CallError> {
        // The same batch id may be in work twice. The second to be written finds the first, and is then a retry of it.
        for _ in 0..2 {
            if let Some(answer) = self.attempt(client, list, frame.clone()).await? {
                return Ok(answer);
            }
        }
        Err(CallError::Lost)
    }

    async fn attempt(
        &self,
        client: &Arc<Client>,
        list: &Arc<ServedList>,
        frame: EvaluateFrame,
    ) -> Result<Option<FrameAnswer>, CallError> {
        let sound = self.work.evidence.health.state() == LogState::Sound;
        if self.writer.state() != AuditState::Writable || !sound {
            return Err(CallError::AuditUnavailable);
        }
        let platform = &client.row.platform;
        let (work, client, list) = (Arc::clone(&self.work), Arc::clone(client), Arc::clone(list));
        let elements = frame.size.len();
        match self.cpu.run(platform, elements, move || work.evaluate(&client, &list, &frame)).await?? {
            Evaluated::Fresh { entry, reservation, answer } => {
                let Entry { record, leaf } = entry;
                let (batch, minute, bytes) = (answer.batch, record.minute, leaf.bytes.clone());
                match self.record(record, leaf, Some(reservation)).await {
                    Recorded::Durable(origin, index) => {
                        let logged = LoggedLeaf { origin: origin.to_string(), index, bytes };
                        Ok(Some(self.work.acknowledged(answer, batch, minute, logged)?))
                    }
                    Recorded::AlreadyAnswered => Ok(None),
                    _ => Err(CallError::AuditUnavailable),
                }
            }
            Evaluated::Again { key, answer } => match self.writer.retry(key, self.work.rules.retries).await {
                Recorded::Counted => Ok(Some(answer)),
                Recorded::TooManyRetries => Err(CallError::RetryLimit),
                _ => Err(CallError::AuditUnavailable),
            },
            Evaluated::Mismatch { key, refund } => {
                self.refund(key, refund).await;
                Err(CallError::ResponseMismatch)
            }
            Evaluated::Refused { entry: Entry { record, leaf }, why } => match self.record(record, leaf, None).await {
                Recorded::Durable(..) => Err(why),
                _ => Err(CallError::AuditUnavailable),
            },
        }
    }

    // Runs to its end even if the call is cut off meanwhile. If it cannot be written the next retry does it.
    async fn refund(&self, key: FrameKey, refund: Refund) {
        let writer = Arc::clone(&self.writer);
        let task = tokio::spawn(async move {
            if writer.refund(key, refund.day()).await == Recorded::Counted {
                refund.durable();
            }
        });
        // A panic of the task was reported where it happened.
        drop(task.await);
    }

    // Runs to its end even if the call is cut off meanwhile: what is charged on the disk is charged in memory.
    async fn record(&self, record: FrameRecord, leaf: NewLeaf, reservation: Option<Reservation>) -> Recorded {
        let writer = Arc::clone(&self.writer);
        let task = tokio::spawn(async move {
            let day = reservation.as_ref().map_or(0, Reservation::day);
            let recorded = writer.record(record, leaf, day).await;
            if let Some(reservation) = reservation.filter(|_| matches!(recorded, Recorded::Durable(..))) {
                reservation.charged();
            }
            recorded
        });
        task.await.unwrap_or(Recorded::Unavailable)
    }

    /// Whether frames can be recorded now.
    #[must_use]
    pub fn audit_state(&self) -> AuditState {
        self.writer.state()
    }
}

impl Work {
    fn evaluate(&self, client: &Client, list: &ServedList, frame: &EvaluateFrame) -> Result<Evaluated, CallError> {
        let context = FrameContext {
            origin: self.origin.clone(),
            list: frame.list.clone(),
            epoch: frame.epoch,
            platform: client.row.platform.clone(),
            batch: frame.batch,
        };
        let request = request_digest(&context, &frame.blinded);
        let message = signed_message(&request, &frame.view, frame.version, frame.minute);
        let signature = Signature::from_bytes(&frame.signature);
        if !client.request_key.verifies(&message, &signature) {
            return Err(CallError::BadSignature);
        }

        let now = self.clock.now();
        self.readers.with(|store| {
            let key = frame_key(&context);
            let asked = Asked { context: &context, client, list, frame, request, now };
            let outcome = match store.answered(&key)? {
                Some(answered) => self.answer_again(&asked, store, &key, &answered),
                None => self.answer_first(&asked, store),
            };
            match outcome {
                Err(why) if is_recorded(&why) => {
                    if !self.refusals.admit(&client.row.platform, now / 60) {
                        return Err(CallError::RefusalFlood);
                    }
                    let status = FrameStatus::Refused(why.refused().reason.name());
                    Ok(Evaluated::Refused { entry: self.entry(record(key, frame, request, status, now))?, why })
                }
                outcome => outcome,
            }
        })
    }

    fn answer_first(&self, asked: &Asked<'_>, store: &Store) -> Result<Evaluated, CallError> {
        let Asked { context, client, list, frame, request, now } = *asked;
        let minutes = frame.minute.abs_diff(now / 60);
        if minutes > MINUTE_SKEW {
            return Err(CallError::ClockSkew { minutes });
        }
        let n = u32::from(frame.size as u16);
        if !self.rules.sizes.contains(&n) {
            return Err(CallError::FrameSize);
        }
        self.check_view(store, list, frame)?;
        let secret = check_place(list, frame, now)?;
        let budget = DayBudget { elements: client.row.elements_per_day, frames: client.row.frames_per_day };
        let claim = Claim { platform: &context.platform, list: &context.list, epoch: context.epoch, elements: n };
        let reservation = self.budgets.reserve(store, budget, &claim, now)?;
        let blinded = decode(frame)?;
        let answer = frame::answer(context, secret, &blinded, &mut rand::rng());
        let response = response_digest(&request, &answer.evaluated, &answer.proof);
        let proof = answer.proof.to_bytes();
        let status = FrameStatus::Answered { response, proof };
        let record = record(frame_key(context), frame, request, status, now);
        let entry = self.entry(record)?;
        Ok(Evaluated::Fresh { entry, reservation, answer: frame_answer(frame, answer.evaluated, proof) })
    }

    // The elements are computed again; the proof is the stored one, and together they must be what was answered.
    fn answer_again(
        &self,
        asked: &Asked<'_>,
        store: &Store,
        key: &FrameKey,
        answered: &AnsweredFrame,
    ) -> Result<Evaluated, CallError> {
        let Asked { list, frame, request, now, .. } = *asked;
        if answered.request != request {
            return Err(CallError::BatchReused);
        }
        if answered.retries >= self.rules.retries || now / 60 > answered.minute + self.rules.retry_minutes {
            return Err(CallError::RetryLimit);
        }
        if answered.refunded {
            // Known from the retry that gave the charge back: what nobody pays for is not computed again.
            return Err(CallError::ResponseMismatch);
        }
        // What was answered before there was a log has no leaf, and is asked anew.
        let leaf = answered.leaf.clone().ok_or(CallError::RetryLimit)?;
        let secret = served_key(list, frame, now)?;
        let evaluated = oprf::blind_evaluate(secret, &decode(frame)?);
        let is_the_same = Proof::from_bytes(&answered.proof)
            .is_ok_and(|proof| response_digest(&request, &evaluated, &proof) == answered.response);
        let key = key.clone();
        if is_the_same {
            let answer = frame_answer(frame, evaluated, answered.proof);
            Ok(Evaluated::Again { key, answer: self.acknowledged(answer, frame.batch, answered.minute, leaf)? })
        } else {
            // The minute of the record is of the clock's reading that chose the day of the charge.
            let day = answered.minute * 60 / DAY;
            let elements = u32::from(frame.size as u16);
            let refund = self.budgets.refund(store, &key.platform, &key.list, day, elements)?;
            Ok(Evaluated::Mismatch { key, refund })
        }
    }

    // The view is a tree of the manifest log that was published, with the version's leaf in it.
    fn check_view(&self, store: &Store, list: &ServedList, frame: &EvaluateFrame) -> Result<(), CallError> {
        if store.published_root(&self.origin, frame.view.size)? != Some(frame.view.root) {
            return Err(CallError::UnknownView);
        }
        let index = list.version(frame.version).and_then(|version| version.log_index);
        match index {
            Some(index) if index < frame.view.size => Ok(()),
            _ => Err(CallError::ViewBehindVersion),
        }
    }

    fn entry(&self, record: FrameRecord) -> Result<Entry, CallError> {
        let leaf = logs::record::leaf(&self.evidence.agency, &record)?;
        Ok(Entry { record, leaf })
    }

    // Signed after the leaf is durable. The signature is deterministic: a retry gets the same bytes.
    fn acknowledged(
        &self,
        answer: FrameAnswer,
        batch: BatchId,
        minute: u64,
        leaf: LoggedLeaf,
    ) -> Result<FrameAnswer, CallError> {
        let acknowledgement = logs::record::acknowledge(&leaf, batch, minute, &self.evidence.keys)?;
        Ok(FrameAnswer { leaf: leaf.bytes, acknowledgement, ..answer })
    }
}

// Version and epoch are ones that this list has had, and fit each other.
fn check_place<'a>(list: &'a ServedList, frame: &EvaluateFrame, now: u64) -> Result<&'a SecretKey, CallError> {
    let secret = served_key(list, frame, now)?;
    let version = list.version(frame.version).ok_or(CallError::UnknownVersion)?;
    if version.epoch == frame.epoch { Ok(secret) } else { Err(CallError::VersionOfOtherEpoch) }
}

fn served_key<'a>(list: &'a ServedList, frame: &EvaluateFrame, now: u64) -> Result<&'a SecretKey, CallError> {
    let epoch = list.epochs.get(&frame.epoch).ok_or(CallError::UnknownEpoch)?;
    match &epoch.key {
        Some(key) if epoch.row.is_served(now) => Ok(key),
        _ => Err(CallError::EpochRetired),
    }
}

fn decode(frame: &EvaluateFrame) -> Result<Elements, CallError> {
    Elements::decode(frame.blinded.as_flattened()).map_err(|_| CallError::BadFrame)
}

fn frame_key(context: &FrameContext) -> FrameKey {
    FrameKey {
        platform: context.platform.clone(),
        list: context.list.clone(),
        epoch: context.epoch,
        batch: context.batch,
    }
}

fn record(key: FrameKey, frame: &EvaluateFrame, request: RequestDigest, status: FrameStatus, now: u64) -> FrameRecord {
    let mut nonce = [0; 16];
    rand::rng().fill_bytes(&mut nonce);
    FrameRecord {
        key,
        version: frame.version,
        view: frame.view,
        n: u32::from(frame.size as u16),
        request,
        signature: frame.signature,
        platform_minute: frame.minute,
        status,
        minute: now / 60,
        nonce,
    }
}

fn frame_answer(frame: &EvaluateFrame, evaluated: Vec<[u8; 32]>, proof: [u8; 64]) -> FrameAnswer {
    FrameAnswer { batch: frame.batch, evaluated, proof, leaf: Vec::new(), acknowledgement: Vec::new() }
}
