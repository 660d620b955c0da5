//! Single checks: those that come in while a frame is on its way share the next one.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc, oneshot};
use veilmatch_protocol::name::ListId;

use super::{
    Client, Inner,
    bulk::{AHEAD, look_up},
};
use crate::outcome::{NotChecked, Outcome, Subject};

/// Checks that wait for the next frame. Those behind them wait in their callers.
pub(super) const WAITING: usize = 4_096;

pub(super) struct WaitingCheck {
    subject: Subject,
    reply: oneshot::Sender<Outcome>,
}

impl Client {
    /// Checks one subject. Concurrent checks share frames: one leaves at once when no frame is on its way, and otherwise
    /// with the next. No answer by the deadline is *not checked*; the frame still runs to its end and is recorded.
    pub async fn check(&self, list: &ListId, subject: Subject, deadline: Duration) -> Outcome {
        let Ok(state) = self.state(list) else { return Outcome::NotChecked(NotChecked::NoList) };
        let (reply, answer) = oneshot::channel();
        let asked = async {
            state.checks.send(WaitingCheck { subject, reply }).await.ok()?;
            answer.await.ok()
        };
        match tokio::time::timeout(deadline, asked).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Outcome::NotChecked(NotChecked::ShutDown),
            Err(_) => Outcome::NotChecked(NotChecked::Deadline),
        }
    }
}

/// Gathers what waits while a frame is on its way into the next one.
pub(super) async fn share_frames(inner: Weak<Inner>, list: ListId, mut queue: mpsc::Receiver<WaitingCheck>) {
    let mut waiting: VecDeque<WaitingCheck> = VecDeque::new();
    let ahead = Arc::new(Semaphore::new(AHEAD));
    loop {
        if waiting.is_empty() {
            let Some(stop) = inner.upgrade().map(|inner| inner.stop.subscribe()) else { return };
            let mut stop = stop;
            let next = tokio::select! {
                next = queue.recv() => next,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            match next {
                Some(check) => waiting.push_back(check),
                None => return,
            }
        }
        while let Ok(check) = queue.try_recv() {
            waiting.push_back(check);
        }
        let Some(client) = inner.upgrade().map(|inner| Client { inner }) else { return };
        let room = client.largest_frame(&list);
        let mut items = 0;
        let fits = waiting.iter().take_while(|check| {
            items += check.subject.items.len();
            items <= room
        });
        let count = fits.count().max(1);
        let (subjects, replies): (Vec<_>, Vec<_>) = waiting
            .drain(..count)
            .filter(|check| !check.reply.is_closed())
            .enumerate()
            .map(|(at, check)| (Subject { key: at as u64, ..check.subject }, check.reply))
            .unzip();
        if subjects.is_empty() {
            continue;
        }
        let patience = client.inner.config.check_deadline();
        let asked = client.ask(&list, subjects, patience).await;
        let turn = Arc::clone(&ahead).acquire_owned().await.expect("never closed");
        // The next frame does not wait for look-ups, which take the longer the more there is to find (SPEC §12.4).
        let kept = client.clone();
        let answering = async move {
            // Whoever drops the last client does not cut off an answer that is being recorded.
            let _kept = kept;
            for ((_, outcome), reply) in look_up(asked).await.into_iter().zip(replies) {
                // A caller whose deadline has passed is gone.
                let _ = reply.send(outcome);
            }
            drop(turn);
        };
        if let Err(answering) = client.spawn(answering) {
            answering.await;
        }
    }
}
