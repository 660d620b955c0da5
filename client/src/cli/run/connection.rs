//! One connection to the socket: requests in any number up to a bound, answers as they are ready.

use std::{path::PathBuf, sync::Arc};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
};
use veilmatch_protocol::item::{Item, Kind};

use super::{
    Shared,
    request::{Bad, Request, What, origin, parse, refusal, reply},
};
use crate::{
    NotChecked, Outcome, Subject,
    cli::sweep::reference,
    digest::{Digester, Links, Unread},
    output::Answer,
};

/// Longest request. Four digests and a path of the system's greatest length fit several times.
const MAX_LINE: u64 = 64 * 1_024;

/// Requests of one connection that are answered at a time; the next ones wait in the socket.
const AT_A_TIME: usize = 256;

/// Answers requests until the other side closes, breaks the rules, or `stopped` says so; what was read is answered.
pub async fn serve(stream: UnixStream, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let (read, mut write) = stream.into_split();
    let (answers, mut ready) = mpsc::channel::<Vec<u8>>(AT_A_TIME);
    let written = tokio::spawn(async move {
        while let Some(line) = ready.recv().await {
            if write.write_all(&line).await.is_err() {
                // The other side is gone; dropping the receiver tells the tasks.
                return;
            }
        }
    });
    let slots = Arc::new(Semaphore::new(AT_A_TIME));
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("never closed");
        line.clear();
        let next = tokio::select! {
            next = next_line(&mut read, &mut line) => next,
            _ = stopped.wait_for(|stopped| *stopped) => Next::End,
            () = answers.closed() => Next::End,
        };
        match next {
            Next::Line if line.trim_ascii().is_empty() => {}
            Next::Line => answer(&line, &shared, answers.clone(), slot),
            Next::TooLong => {
                let why = format!("a line is longer than {MAX_LINE} bytes; the connection ends");
                // If the other side is gone, nobody needs to be told.
                let _ = answers.send(refusal(&Bad { id: serde_json::Value::Null, why })).await;
                break;
            }
            Next::End => break,
        }
    }
    drop(answers);
    // Ends when every request that was read is answered.
    let _ = written.await;
}

enum Next {
    Line,
    TooLong,
    End,
}

async fn next_line(read: &mut (impl AsyncBufReadExt + Unpin), line: &mut Vec<u8>) -> Next {
    match read.take(MAX_LINE + 1).read_until(b'\n', line).await {
        Ok(0) | Err(_) => Next::End,
        Ok(_) if line.len() as u64 > MAX_LINE => Next::TooLong,
        // The last line of a stream need not end.
        Ok(_) => Next::Line,
    }
}

fn answer(line: &[u8], shared: &Arc<Shared>, answers: mpsc::Sender<Vec<u8>>, slot: OwnedSemaphorePermit) {
    let request = parse(line, &shared.client);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let line = match request {
            Ok(request) => {
                let (outcome, detail) = outcome(&request, &shared).await;
                let origin = origin(&request);
                let answer = Answer {
                    origin: &origin,
                    list: &request.list,
                    outcome: &outcome,
                    detail: detail.as_deref(),
                    new: None,
                };
                reply(&request.id, &answer)
            }
            Err(bad) => refusal(&bad),
        };
        // If the other side is gone, nobody waits for it.
        let _ = answers.send(line).await;
        drop(slot);
    });
}

/// Checks what a request is about. Its deadline covers the reading of a file, too.
async fn outcome(request: &Request, shared: &Arc<Shared>) -> (Outcome, Option<String>) {
    let checked = async {
        let (items, whole) = match &request.what {
            What::Digests(items) => (items.clone(), items.len() > 1),
            What::File(path) => match digests(path.clone(), shared.client.kinds(&request.list), shared).await {
                Ok(items) => (items, true),
                Err(unread) => {
                    return (Outcome::NotChecked(NotChecked::Source(unread.reason())), unread.detail());
                }
            },
        };
        let reference = match &request.name {
            Some(name) => name.clone().into_bytes(),
            None => reference(&origin(request), &items),
        };
        let subject = Subject { key: 0, reference, items, whole };
        (shared.client.check(&request.list, subject, request.deadline).await, None)
    };
    match tokio::time::timeout(request.deadline, checked).await {
        Ok(answered) => answered,
        Err(_) => (Outcome::NotChecked(NotChecked::Deadline), None),
    }
}

async fn digests(path: PathBuf, kinds: Vec<Kind>, shared: &Shared) -> Result<Vec<Item>, Unread> {
    let read = in_turn(&shared.readers, move || Digester::new(&kinds).file(&path, Links::Follow)).await;
    read.unwrap_or_else(|_| Err(Unread::Unreadable(std::io::Error::other("the reading thread ended"))))
}

/// Reads off the workers, so many at a time. The turn ends with the reading and not with who waits for it: a file on a
/// server that is gone blocks its thread for hours, and frames need threads as well.
async fn in_turn<T: Send + 'static>(
    readers: &Arc<Semaphore>,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    let turn = Arc::clone(readers).acquire_owned().await.expect("never closed");
    let read = move || {
        let read = read();
        drop(turn);
        read
    };
    tokio::task::spawn_blocking(read).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_reading_that_nobody_waits_for_keeps_its_turn_until_it_ends() {
        // The turn ended with the deadline and the blocked thread stayed: enough requests for files on a file server that was
        // gone took every thread of the pool, and then no frame could be made.
        let readers = Arc::new(Semaphore::new(1));
        let (mend, gone) = std::sync::mpsc::channel::<()>();
        let blocked = in_turn(&readers, move || gone.recv());
        assert!(tokio::time::timeout(Duration::from_millis(10), blocked).await.is_err());
        assert_eq!(readers.available_permits(), 0);
        mend.send(()).unwrap();
        assert_eq!(in_turn(&readers, || 7).await.unwrap(), 7);
    }
}
