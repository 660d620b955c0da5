//! Many subjects: packed into full frames, a window of them on its way at a time.
//!
//! ```text
//! subjects → pack → batches → frames, up to four on their way → recorded → looked up → outcomes
//!                             └ at the server's pace ────────┘   └ at the reader's pace ──────┘
//! ```
//! What is right of the middle must not slow down what is left of it, or the server could tell from the pace of frames how
//! much matched (SPEC §12.4).

use std::{sync::Arc, time::Duration};

use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use veilmatch_proto::{Reason, STREAM_WINDOW};
use veilmatch_protocol::{frame::FrameSize, name::ListId};

use super::Client;
use crate::{
    frames::{Answers, Batch, Failed, Unknown, blocking, items, now},
    keeper::{Keeper, Known},
    outcome::{NotChecked, Outcome, Subject},
};

/// Subjects of one batch at most, where all their results are known already.
const BATCH_SUBJECTS: usize = 4_096;

/// Subjects that are taken at once, if they are there without waiting.
const TAKEN: usize = 256;

/// Batches that are recorded and wait for their look-ups, or for a reader of their outcomes: about a megabyte each. Frames
/// go on until there are so many.
pub(super) const AHEAD: usize = 16;

/// What became of some subjects, before anything is looked up.
pub(super) struct Asked {
    keys: Vec<u64>,
    ended: Result<Answers, NotChecked>,
}

impl Asked {
    fn not_checked(keys: Vec<u64>, why: NotChecked) -> Self {
        Self { keys, ended: Err(why) }
    }

    fn outcomes(self) -> Vec<(u64, Outcome)> {
        let outcomes = match self.ended {
            Ok(answers) => answers.outcomes(now()),
            Err(why) => vec![Outcome::NotChecked(why); self.keys.len()],
        };
        self.keys.into_iter().zip(outcomes).collect()
    }
}

/// Looks up what was asked. Outcomes in the order of the subjects.
pub(super) async fn look_up(asked: Vec<Asked>) -> Vec<(u64, Outcome)> {
    let keys: Vec<u64> = asked.iter().flat_map(|asked| &asked.keys).copied().collect();
    let looked_up = blocking(move || Ok(asked.into_iter().flat_map(Asked::outcomes).collect())).await;
    looked_up.unwrap_or_else(|_| Asked::not_checked(keys, NotChecked::ShutDown).outcomes())
}

impl Client {
    /// Checks many subjects in full frames, some of them on their way at a time; outcomes come in the order of the
    /// subjects, after their results are durable. Memory does not depend on how many there are. Frames do not wait for a
    /// reader until many outcomes are ahead of it.
    pub fn check_stream(
        &self,
        list: &ListId,
        subjects: impl Stream<Item = Subject> + Send + 'static,
    ) -> BoxStream<'static, (u64, Outcome)> {
        let (batches, queue) = mpsc::channel(1);
        let (asked, recorded) = mpsc::channel(AHEAD);
        let (on_their_way, taken_over) = oneshot::channel();
        let (unasked, left_over) = oneshot::channel();
        let (this, name, patience) = (self.clone(), list.clone(), self.inner.config.patience());
        let frames = ReceiverStream::new(queue)
            .map(move |subjects| this.run_to_end(name.clone(), subjects, patience))
            .buffered(STREAM_WINDOW)
            .boxed();
        let (this, name) = (self.clone(), list.clone());
        let task = async move {
            let stop = this.inner.stop.subscribe();
            let pack = this.pack(&name, subjects.fuse().boxed(), batches, unasked);
            tokio::join!(pack, drive(frames, asked, stop, on_their_way));
        };
        if let Err(task) = self.spawn(task) {
            // It only hands over what it has.
            tokio::spawn(task);
        }
        ReceiverStream::new(recorded)
            .chain(handed_over(taken_over))
            .then(look_up)
            .flat_map(stream::iter)
            .chain(handed_over(left_over).map(|subject| (subject.key, Outcome::NotChecked(NotChecked::ShutDown))))
            .boxed()
    }

    /// Cuts a stream of subjects into batches whose items fit into the largest frame. When the client is shut down, what is
    /// not asked yet goes to `unasked`.
    async fn pack(
        &self,
        list: &ListId,
        subjects: BoxStream<'static, Subject>,
        batches: mpsc::Sender<Vec<Subject>>,
        unasked: oneshot::Sender<BoxStream<'static, Subject>>,
    ) {
        let mut stop = self.inner.stop.subscribe();
        let mut chunks = subjects.ready_chunks(TAKEN);
        let mut taken = Vec::new().into_iter();
        let (mut batch, mut items, mut most) = (Vec::new(), 0, 0);
        loop {
            let next = match taken.next() {
                Some(next) => Some(next),
                None => {
                    let chunk = tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop) => break,
                        // The reader has gone away; nothing was asked for these.
                        () = batches.closed() => return,
                        chunk = chunks.next() => chunk,
                    };
                    taken = chunk.unwrap_or_default().into_iter();
                    taken.next()
                }
            };
            let full =
                next.as_ref().is_none_or(|subject| items + subject.items.len() > most || batch.len() == BATCH_SUBJECTS);
            if full && !batch.is_empty() {
                let room = tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => {
                        batch.extend(next);
                        break;
                    }
                    room = batches.reserve() => room,
                };
                let Ok(room) = room else { return };
                room.send(std::mem::take(&mut batch));
                items = 0;
            }
            let Some(subject) = next else { return };
            if batch.is_empty() {
                most = self.largest_frame(list);
            }
            items += subject.items.len();
            batch.push(subject);
        }
        // Without a reader nobody asks for them.
        let rest = stream::iter(taken).chain(chunks.flat_map(stream::iter));
        let _ = unasked.send(stream::iter(batch).chain(rest).boxed());
    }

    /// Items that a frame may have at most.
    pub(super) fn largest_frame(&self, list: &ListId) -> usize {
        let sizes = self.held(list).map_or_else(Vec::new, |held| self.inner.frames.sizes(&held));
        sizes.last().copied().unwrap_or(FrameSize::Full).len()
    }

    /// A frame on its way is finished and recorded even if nobody waits for its outcomes any more.
    fn run_to_end(
        &self,
        list: ListId,
        subjects: Vec<Subject>,
        patience: Duration,
    ) -> impl Future<Output = Vec<Asked>> + Send + use<> {
        let keys: Vec<u64> = subjects.iter().map(|subject| subject.key).collect();
        let (done, asked) = oneshot::channel();
        let this = self.clone();
        // One that is not begun is answered by the end of `done`.
        let _ = self.spawn(async move {
            // Nobody waits any more: the results are durable all the same.
            let _ = done.send(this.ask(&list, subjects, patience).await);
        });
        async move { asked.await.unwrap_or_else(|_| vec![Asked::not_checked(keys, NotChecked::ShutDown)]) }
    }

    /// Asks about some subjects, in one frame if they fit into one, with one synchronisation in between if the server says
    /// that we are behind. In the order of the subjects.
    pub(super) async fn ask(&self, list: &ListId, subjects: Vec<Subject>, patience: Duration) -> Vec<Asked> {
        let log = &self.inner.frames.log;
        log.count(list, "offered", items(&subjects));
        let (mut to_ask, mut asked) = (vec![subjects], Vec::new());
        let mut synchronised = false;
        while let Some(subjects) = to_ask.pop() {
            let many = items(&subjects);
            let give_up = |keys, why: NotChecked| {
                log.count_not_checked(list, &why, many);
                Asked::not_checked(keys, why)
            };
            let keys: Vec<u64> = subjects.iter().map(|subject| subject.key).collect();
            let (this, name) = (self.clone(), list.clone());
            let begin = move || {
                let batch = this.batch(&name, subjects).map(Arc::new)?;
                let open = this.inner.frames.open(&batch);
                Ok((batch, open))
            };
            let (batch, open) = match blocking(begin).await {
                Ok(begun) => begun,
                Err(failed) => {
                    asked.push(give_up(keys, failed.into()));
                    continue;
                }
            };
            let answers = match open {
                Ok(open) => self.inner.frames.ask(Arc::clone(&batch), open, patience).await,
                Err(failed) => Err(failed),
            };
            let failed = match answers {
                Ok(answers) => {
                    asked.push(Asked { keys, ended: Ok(answers) });
                    continue;
                }
                Err(failed) => failed,
            };
            let subjects = || Arc::try_unwrap(batch).map_or_else(|shared| shared.subjects.clone(), |own| own.subjects);
            match failed {
                // They were packed for another version's frames, or a day's budget holds none that is large enough.
                Failed::TooMany if keys.len() > 1 => {
                    let mut first = subjects();
                    let second = first.split_off(first.len() / 2);
                    to_ask.extend([second, first]);
                }
                Failed::Behind(why) if !synchronised => {
                    synchronised = true;
                    tracing::info!(%list, reason = why.reason(), "behind the server; synchronising");
                    match self.sync(list, |_| {}).await {
                        Ok(_) => to_ask.push(subjects()),
                        Err(error) => {
                            let told = &error as &dyn std::error::Error;
                            tracing::warn!(%list, error = told, "synchronisation failed");
                            asked.push(give_up(keys, error.fault().unwrap_or(why)));
                        }
                    }
                }
                failed => asked.push(give_up(keys, failed.into())),
            }
        }
        if asked.iter().any(|asked| asked.ended.is_err()) {
            self.make_totals_durable().await;
        }
        asked
    }

    /// What is given up is counted before anybody is told. A disk that fails says so at each of them.
    async fn make_totals_durable(&self) {
        let frames = Arc::clone(&self.inner.frames);
        let flush = move || {
            if let Err(error) = frames.log.flush_totals() {
                tracing::error!(error = &error as &dyn std::error::Error, "totals of the day wait in memory");
            }
            Ok(())
        };
        // A runtime that ends takes the process with it.
        let _ = blocking(flush).await;
    }

    /// What is known of the subjects under the version held now.
    fn batch(&self, list: &ListId, mut subjects: Vec<Subject>) -> Result<Batch, Failed> {
        if self.is_shut_down() {
            return Err(Failed::NotChecked(NotChecked::ShutDown));
        }
        let held = self.held(list).ok_or(Failed::NotChecked(NotChecked::NoList))?;
        if !held.valid_at(now()) {
            return Err(Failed::NotChecked(NotChecked::Expired));
        }
        let (keeper, kinds) = (self.keeper(list, &held)?, held.kinds());
        // What a file has beyond the list's kinds is neither asked nor kept; a bare digest is told that it is not listed.
        for subject in subjects.iter_mut().filter(|subject| subject.whole) {
            subject.items.retain(|item| kinds.contains(&item.kind()));
        }
        let mut known = match &keeper {
            Some(keeper) => {
                learn_soon(keeper, subjects.len());
                keeper.known(&subjects)?
            }
            None => {
                let known = |s: &Subject| Known { rows: vec![None; s.items.len()], ..Known::default() };
                subjects.iter().map(known).collect()
            }
        };
        for (known, _) in known.iter_mut().zip(&subjects).filter(|(_, subject)| subject.has_a_kind_twice()) {
            // Neither asked nor kept: what is known of one of the two is not known of the other.
            known.rows.fill(None);
            known.kept = true;
        }
        let unknown = Unknown::of(&kinds, &subjects, &known);
        Ok(Batch { held, keeper, subjects, known, unknown })
    }
}

/// Nobody waits until it is learnt what is absent.
fn learn_soon(keeper: &Arc<Keeper>, asked: usize) {
    if keeper.must_learn(asked) {
        let keeper = Arc::clone(keeper);
        let learn = move || {
            if let Err(error) = keeper.learn_absent() {
                tracing::error!(error = &error as &dyn std::error::Error, "the index of kept results cannot be read");
            }
        };
        drop(tokio::task::spawn_blocking(learn));
    }
}

impl From<Failed> for NotChecked {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NotChecked(why) | Failed::Behind(why) => why,
            // One subject alone: the manifest's largest frame holds a file of every kind, so it is the budget.
            Failed::TooMany => Self::Refused { reason: Reason::FrameExceedsBudget, retry_after: None },
        }
    }
}

/// Keeps frames on their way whether or not somebody reads their outcomes. When the client is shut down, the reader takes
/// over: what is on its way is finished by its own task.
async fn drive(
    mut frames: BoxStream<'static, Vec<Asked>>,
    asked: mpsc::Sender<Vec<Asked>>,
    mut stop: watch::Receiver<bool>,
    on_their_way: oneshot::Sender<BoxStream<'static, Vec<Asked>>>,
) {
    let mut waiting = None;
    loop {
        let next = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            () = asked.closed() => return,
            next = frames.next() => next,
        };
        let Some(next) = next else { return };
        let room = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {
                waiting = Some(next);
                break;
            }
            room = asked.reserve() => room,
        };
        let Ok(room) = room else { return };
        room.send(next);
    }
    // Without a reader nobody asks for them.
    let _ = on_their_way.send(stream::iter(waiting).chain(frames).boxed());
}

/// What a task hands over before its end, if it does.
fn handed_over<T: Send + 'static>(
    from: oneshot::Receiver<BoxStream<'static, T>>,
) -> impl Stream<Item = T> + Send + 'static {
    stream::once(from).flat_map(|handed| handed.unwrap_or_else(|_| stream::empty().boxed()))
}
