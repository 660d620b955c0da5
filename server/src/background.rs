//! A thread beside the calls, which ends when it is told to.

use std::{
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use crate::Error;

/// The thread. It is told to end when it is stopped or dropped; only the first waits for it, because a drop may happen on a
/// worker of a runtime.
#[derive(Debug)]
pub(crate) struct Background {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Background {
    /// Starts it under a name for the system; `what` is what people call it. `run` ends when its channel is closed.
    ///
    /// # Errors
    /// [`Error::Io`] if the system has no thread.
    pub(crate) fn start(
        name: &str,
        what: &str,
        run: impl FnOnce(&Receiver<()>) + Send + 'static,
    ) -> Result<Self, Error> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || run(&stopped))
            .map_err(Error::io("start", Path::new(what)))?;
        Ok(Self { stop, thread })
    }

    /// Tells it to end, and waits until it has finished what it is at. For a thread that may wait.
    pub(crate) fn stop(self) {
        drop(self.stop);
        // A panic of the thread was reported where it happened.
        drop(self.thread.join());
    }
}
