//! One frame from end to end: blind, record the intent, send, verify, record the result, look up (SPEC §6, §12).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ed25519_dalek::{Signer, SigningKey};
use rand::{RngExt, rand_core::UnwrapErr, rngs::SysRng};
use tonic::{Code, Status};
use veilmatch_proto::{EvaluateFrame, FrameAnswer, Reason, Refused, pb};
use veilmatch_protocol::{
    derive::EpochContext,
    frame::{BatchId, BlindedFrame, FrameContext, FrameSize, request_digest, response_digest, signed_message},
    item::Item,
    manifest::Timestamp,
    name::{Origin, PlatformId},
    oprf::Proof,
};

use crate::{
    Error,
    connection::Connection,
    held::Held,
    keeper::Keeper,
    outcome::{NotChecked, Outcome, Subject},
    results::Row,
    state_dir::{StateDir, write_private},
    store::{Ended, Sent, Store},
};

/// First wait before a frame is sent again; it doubles up to [`MAX_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Longest wait between two tries.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// How long the server may take for one frame before the same bytes are sent again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What every frame of a platform needs.
pub(crate) struct Frames {
    pub(crate) dir: StateDir,
    pub(crate) store: Arc<Store>,
    pub(crate) connection: Connection,
    pub(crate) request_key: SigningKey,
    pub(crate) platform: PlatformId,
    pub(crate) origin: Origin,
}

/// Subjects whose unknown items fit into one frame, with what is known of them.
pub(crate) struct Batch {
    pub(crate) held: Arc<Held>,
    pub(crate) keeper: Option<Arc<Keeper>>,
    pub(crate) subjects: Vec<(Subject, Vec<Option<Row>>)>,
}

/// Why a whole frame gave no outcome.
pub(crate) enum Failed {
    /// The list must be synchronised and the items blinded anew.
    Stale(Reason),
    /// The items are not checked.
    NotChecked(NotChecked),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        tracing::error!(%error, "the platform's state cannot be used");
        Self::NotChecked(NotChecked::Storage)
    }
}

/// A frame between blinding and answer.
struct Open {
    context: FrameContext,
    blinded: BlindedFrame,
    size: FrameSize,
    request: pb::EvaluateRequest,
}

impl Frames {
    /// Answers every subject of a batch, in order. Runs to its end even if the caller stops waiting.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        batch: Batch,
        patience: Duration,
    ) -> Result<Vec<(u64, Outcome)>, Failed> {
        let items = unknown_items(&batch);
        if items.is_empty() {
            let this = Arc::clone(self);
            return blocking(move || this.conclude(batch, &HashMap::new(), None)).await;
        }
        let (this, held) = (Arc::clone(self), Arc::clone(&batch.held));
        let asked = items.clone();
        let open = blocking(move || this.open(&held, &asked)).await?;
        let answer = match self.send(&open.request, patience).await {
            Ok(answer) => answer,
            Err(failed) => {
                let refused = matches!(failed, Failed::Stale(_) | Failed::NotChecked(NotChecked::Refused { .. }));
                let ended = if refused { Ended::Refused } else { Ended::Abandoned };
                self.store.frame_ended(open.context.batch, ended, None)?;
                return Err(failed);
            }
        };
        let this = Arc::clone(self);
        blocking(move || this.close(batch, open, answer, &items)).await
    }

    /// Blinds, signs and records the intent.
    fn open(&self, held: &Held, items: &[Item]) -> Result<Open, Failed> {
        let mut rng = UnwrapErr(SysRng);
        let size =
            FrameSize::smallest_for(items.len(), &held.manifest().frame_sizes()).expect("a manifest names sizes");
        let context = FrameContext {
            origin: self.origin.clone(),
            list: held.list(),
            epoch: held.epoch(),
            platform: self.platform.clone(),
            batch: BatchId::random(&mut rng),
        };
        let blinded = BlindedFrame::blind(size, items, &mut rng)
            .map_err(|_| Failed::NotChecked(NotChecked::InvalidInput))?;
        let req = request_digest(&context, blinded.elements().encodings());
        let minute = now().unix() / 60;
        let message = signed_message(&req, &held.view(), held.version(), minute);
        let request = EvaluateFrame {
            list: context.list.clone(),
            epoch: context.epoch,
            version: held.version(),
            view: held.view(),
            batch: context.batch,
            minute,
            blinded: blinded.elements().encodings().to_vec(),
            size,
            signature: self.request_key.sign(&message).to_bytes(),
        };
        self.store.frame_sent(&Sent {
            batch: context.batch,
            list: &context.list,
            epoch: context.epoch,
            version: held.version(),
            n: size.len(),
            req,
            minute,
        })?;
        Ok(Open { context, blinded, size, request: request.into() })
    }

    /// Sends the same bytes until there is an answer, a refusal that waiting does not mend, or no patience left. A server
    /// that had answered before a connection broke gives the same answer again and charges nothing.
    async fn send(&self, request: &pb::EvaluateRequest, patience: Duration) -> Result<pb::EvaluateResponse, Failed> {
        let start = Instant::now();
        let mut wait = FIRST_WAIT;
        loop {
            let mut client = self.connection.evaluation();
            let call = client.evaluate(request.clone());
            let status = match tokio::time::timeout(ANSWER_TIMEOUT, call).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            let (failed, pause) = judge(&status, wait)?;
            let pause = pause.mul_f64(UnwrapErr(SysRng).random_range(0.8..1.2));
            if start.elapsed() + pause > patience {
                return Err(Failed::NotChecked(failed));
            }
            tracing::debug!(code = ?status.code(), pause_ms = pause.as_millis() as u64, "frame is sent again");
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(MAX_WAIT);
        }
    }

    /// Verifies, and only then unblinds; records the result; looks up.
    fn close(
        &self,
        batch: Batch,
        open: Open,
        answer: pb::EvaluateResponse,
        items: &[Item],
    ) -> Result<Vec<(u64, Outcome)>, Failed> {
        let Open { context, blinded, size, request } = open;
        let evidence = answer.clone();
        let decoded = FrameAnswer::decode(answer, context.batch, size);
        let req = request_digest(&context, blinded.elements().encodings());
        let key = batch.held.manifest().public_key();
        let verified = decoded.and_then(|answer| {
            let proof = Proof::from_bytes(&answer.proof)?;
            let resp = response_digest(&req, &answer.evaluated, &proof);
            let verified = blinded.verify(&context, &key, answer.evaluated.as_flattened(), &answer.proof)?;
            Ok((verified, resp))
        });
        let Ok((verified, resp)) = verified else {
            self.keep_evidence(&context, &request, &evidence);
            self.store.frame_ended(context.batch, Ended::Refused, None)?;
            return Err(Failed::NotChecked(NotChecked::BadProof));
        };
        let epoch = EpochContext { list: context.list.clone(), epoch: context.epoch };
        let rows = verified.finalize().into_iter().zip(items).map(|(evaluated, item)| {
            let okm = epoch.okm(&evaluated.output);
            (item.clone(), Row { kind: item.kind(), okm, batch: context.batch, position: evaluated.position })
        });
        let rows: HashMap<Item, Row> = rows.collect();
        self.conclude(batch, &rows, Some((context.batch, Ended::Answered(resp))))
    }

    /// Makes the results durable, then gives the outcomes.
    fn conclude(
        &self,
        batch: Batch,
        fresh: &HashMap<Item, Row>,
        ended: Option<(BatchId, Ended)>,
    ) -> Result<Vec<(u64, Outcome)>, Failed> {
        let complete: Vec<(Subject, Vec<Row>)> = batch
            .subjects
            .into_iter()
            .map(|(subject, known)| {
                let rows = subject
                    .items
                    .iter()
                    .zip(known)
                    .filter_map(|(item, known)| known.or_else(|| fresh.get(item).cloned()));
                let rows = rows.collect();
                (subject, rows)
            })
            .collect();
        let block = match &batch.keeper {
            Some(keeper) => {
                let mut new = Vec::new();
                for (subject, rows) in &complete {
                    if !rows.is_empty() && !keeper.has(subject)? {
                        new.push((subject, rows.clone()));
                    }
                }
                keeper.block_of(new)?
            }
            None => None,
        };
        match (ended, block) {
            (Some((id, ended)), block) => self.store.frame_ended(id, ended, block)?,
            (None, Some(block)) => self.store.add_block(&block)?,
            (None, None) => {}
        }
        let outcome = |(subject, rows): &(Subject, Vec<Row>)| (subject.key, judge_subject(&batch.held, subject, rows));
        Ok(complete.iter().map(outcome).collect())
    }

    /// A proof that does not verify is shown to others: request and answer are kept as they crossed the wire.
    fn keep_evidence(&self, context: &FrameContext, request: &pb::EvaluateRequest, answer: &pb::EvaluateResponse) {
        let hex = |bytes: &[u8]| hex::encode(bytes);
        let view = request.view.clone().unwrap_or_default();
        let evidence = serde_json::json!({
            "type": "veilmatch/bad-proof/v1",
            "origin": context.origin.as_str(),
            "platform": context.platform.as_str(),
            "list": request.list_id,
            "epoch": request.epoch,
            "version": request.version,
            "view": { "size": view.size, "root": hex(&view.root) },
            "batch": hex(&request.batch_id),
            "minute": request.minute,
            "blinded_elements": hex(&request.blinded_elements),
            "request_signature": hex(&request.request_signature),
            "answered_batch": hex(&answer.batch_id),
            "evaluated_elements": hex(&answer.evaluated_elements),
            "proof": hex(&answer.proof),
        });
        let path = self.dir.evidence().join(format!("frame-{}.json", hex(&context.batch.0)));
        tracing::error!(list = %context.list, epoch = context.epoch.0, path = %path.display(), "BAD_PROOF: evidence kept");
        if let Err(error) = write_private(&path, (evidence.to_string() + "\n").as_bytes()) {
            tracing::error!(%error, "evidence could not be kept");
        }
    }
}

/// Items of the list's kinds without a known result, each once. Other kinds are never asked.
fn unknown_items(batch: &Batch) -> Vec<Item> {
    let kinds = batch.held.kinds();
    let pairs = batch.subjects.iter().flat_map(|(subject, known)| subject.items.iter().zip(known));
    let unknown: HashSet<&Item> =
        pairs.filter(|(item, known)| known.is_none() && kinds.contains(&item.kind())).map(|(item, _)| item).collect();
    unknown.into_iter().cloned().collect()
}

/// What a failed call means: an end, or what to say if there is no patience left, and how long to wait first.
fn judge(status: &Status, wait: Duration) -> Result<(NotChecked, Duration), Failed> {
    let Some(Refused { reason, retry_after }) = Refused::from_status(status) else {
        // The transport's own errors: nothing was answered, so the same bytes may be sent again.
        let again = matches!(
            status.code(),
            Code::Unavailable
                | Code::Unknown
                | Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Internal
                | Code::ResourceExhausted
        );
        let end = NotChecked::Offline;
        return if again { Ok((end, wait)) } else { Err(Failed::NotChecked(end)) };
    };
    let refused = NotChecked::Refused { reason, retry_after };
    match reason {
        Reason::Overloaded | Reason::AuditUnavailable | Reason::NotServing | Reason::DeadlineExceeded => {
            Ok((refused, retry_after.unwrap_or(wait).max(wait)))
        }
        Reason::EpochRetired
        | Reason::UnknownEpoch
        | Reason::UnknownVersion
        | Reason::UnknownView
        | Reason::FrameSize
        | Reason::RetryLimit => Err(Failed::Stale(reason)),
        _ => Err(Failed::NotChecked(refused)),
    }
}

/// The outcome of a subject whose evaluated items are `rows` (SPEC §12).
pub(crate) fn judge_subject(held: &Held, subject: &Subject, rows: &[Row]) -> Outcome {
    let version = held.version().0;
    let (mut found, mut altered) = (None, None);
    for row in rows {
        match held.find(&row.okm) {
            Ok(Some(label)) => found = found.max(Some((row.kind, label))),
            Ok(None) => {}
            Err(error) => {
                let why = match error {
                    veilmatch_protocol::Error::LabelMismatch => NotChecked::LabelMismatch,
                    _ => NotChecked::AlteredRecord,
                };
                tracing::error!(list = %held.list(), version, reason = why.reason(), "a published record is not believed");
                altered = Some(why);
            }
        }
    }
    if let Some((kind, label)) = found {
        return Outcome::Match { label, kind, version };
    }
    if let Some(why) = altered {
        return Outcome::NotChecked(why);
    }
    let evaluated = |kind| rows.iter().any(|row| row.kind == kind);
    let wanted = || held.kinds().into_iter();
    if subject.whole {
        // No match needs every kind of the manifest, evaluated under one version.
        return match wanted().find(|&kind| !evaluated(kind)) {
            Some(kind) => Outcome::NotChecked(NotChecked::KindMissing(kind)),
            None => Outcome::NoMatch { version },
        };
    }
    match subject.items.iter().map(Item::kind).find(|&kind| !wanted().any(|listed| listed == kind)) {
        Some(kind) => Outcome::NotChecked(NotChecked::KindNotListed(kind)),
        None => Outcome::NoMatch { version },
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
        // A panic, or the runtime is ending: whatever it was, nothing was checked.
        Err(_) => Err(Failed::NotChecked(NotChecked::ShutDown)),
    }
}
