//! Many subjects: packed into full frames, a window of them on its way at a time.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream::BoxStream};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use veilmatch_proto::STREAM_WINDOW;
use veilmatch_protocol::{frame::FrameSize, name::ListId};

use super::Client;
use crate::{
    frames::{Batch, Failed, blocking, now},
    keeper::Known,
    outcome::{NotChecked, Outcome, Subject},
};

/// Subjects of one batch at most, where all their results are known already.
const BATCH_SUBJECTS: usize = 4_096;

impl Client {
    /// Checks many subjects in full frames, some of them on their way at a time; outcomes come in the order of the
    /// subjects, after their results are durable. Memory does not depend on how many there are.
    pub fn check_stream(
        &self,
        list: &ListId,
        subjects: impl Stream<Item = Subject> + Send + 'static,
    ) -> BoxStream<'static, (u64, Outcome)> {
        let (batches, queue) = mpsc::channel(1);
        let (this, name) = (self.clone(), list.clone());
        self.spawn(async move { this.pack(&name, subjects, batches).await });
        let (this, name) = (self.clone(), list.clone());
        let patience = self.inner.config.patience();
        ReceiverStream::new(queue)
            .map(move |subjects| this.run_to_end(name.clone(), subjects, patience))
            .buffered(STREAM_WINDOW)
            .flat_map(futures::stream::iter)
            .boxed()
    }

    /// Cuts a stream of subjects into batches whose items fit into the largest frame.
    async fn pack(
        &self,
        list: &ListId,
        subjects: impl Stream<Item = Subject> + Send,
        batches: mpsc::Sender<Vec<Subject>>,
    ) {
        let mut subjects = std::pin::pin!(subjects);
        let mut stop = self.inner.stop.subscribe();
        let (mut batch, mut items) = (Vec::new(), 0);
        loop {
            let next = tokio::select! {
                next = subjects.next() => next,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            let Some(subject) = next else { break };
            let room = self.largest_frame(list);
            if !batch.is_empty() && (items + subject.items.len() > room || batch.len() == BATCH_SUBJECTS) {
                items = 0;
                if batches.send(std::mem::take(&mut batch)).await.is_err() {
                    return;
                }
            }
            items += subject.items.len();
            batch.push(subject);
        }
        if !batch.is_empty() {
            // The reader has gone away; nothing was asked for these.
            let _ = batches.send(batch).await;
        }
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
    ) -> impl Future<Output = Vec<(u64, Outcome)>> + Send + use<> {
        let keys: Vec<u64> = subjects.iter().map(|subject| subject.key).collect();
        let (done, outcomes) = oneshot::channel();
        let this = self.clone();
        self.spawn(async move {
            // Nobody waits any more: the results are durable all the same.
            let _ = done.send(this.answer_all(&list, subjects, patience).await);
        });
        async move {
            let ended = |_| keys.iter().map(|&key| (key, Outcome::NotChecked(NotChecked::ShutDown))).collect();
            outcomes.await.unwrap_or_else(ended)
        }
    }

    /// One batch, with one synchronisation in between if the server says that we are behind. Outcomes in the order of the
    /// subjects.
    pub(super) async fn answer_askable(
        &self,
        list: &ListId,
        subjects: Vec<Subject>,
        patience: Duration,
    ) -> Vec<(u64, Outcome)> {
        let keys: Vec<u64> = subjects.iter().map(|subject| subject.key).collect();
        let all = |reason: NotChecked| keys.iter().map(|&key| (key, Outcome::NotChecked(reason.clone()))).collect();
        let mut subjects = subjects;
        let mut synchronised = false;
        loop {
            let (this, name) = (self.clone(), list.clone());
            let batch = match blocking(move || this.batch(&name, subjects).map(Arc::new)).await {
                Ok(batch) => batch,
                Err(Failed::NotChecked(reason)) => return all(reason),
                Err(Failed::Stale(reason)) => return all(NotChecked::Refused { reason, retry_after: None }),
            };
            let reason = match self.inner.frames.answer(Arc::clone(&batch), patience).await {
                Ok(outcomes) => return keys.into_iter().zip(outcomes).collect(),
                Err(Failed::NotChecked(reason)) => return all(reason),
                Err(Failed::Stale(reason)) => reason,
            };
            let refused = NotChecked::Refused { reason, retry_after: None };
            if std::mem::replace(&mut synchronised, true) {
                return all(refused);
            }
            tracing::info!(%list, reason = reason.name(), "behind the server; synchronising");
            if let Err(error) = self.sync(list, |_| {}).await {
                tracing::warn!(%list, error = &error as &dyn std::error::Error, "synchronisation failed");
                return all(refused);
            }
            subjects = Arc::try_unwrap(batch).map_or_else(|shared| shared.subjects.clone(), |batch| batch.subjects);
        }
    }

    /// What is known of the subjects under the version held now.
    fn batch(&self, list: &ListId, mut subjects: Vec<Subject>) -> Result<Batch, Failed> {
        let held = self.held(list).ok_or(Failed::NotChecked(NotChecked::NoList))?;
        if !held.valid_at(now()) {
            return Err(Failed::NotChecked(NotChecked::Expired));
        }
        let (keeper, kinds) = (self.keeper(list, &held)?, held.kinds());
        // What a file has beyond the list's kinds is neither asked nor kept; a bare digest is told that it is not listed.
        for subject in subjects.iter_mut().filter(|subject| subject.whole) {
            subject.items.retain(|item| kinds.contains(&item.kind()));
        }
        let known = match &keeper {
            Some(keeper) => keeper.known(&subjects)?,
            None => subjects.iter().map(|s| Known { rows: vec![None; s.items.len()], kept: false }).collect(),
        };
        Ok(Batch { held, keeper, subjects, known })
    }
}
