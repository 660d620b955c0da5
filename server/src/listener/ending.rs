//! How a connection's calls hear that it ends.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use veilmatch_proto::{Reason, Refused};

/// The two steps of a connection's end, shared with its calls.
#[derive(Clone, Default)]
pub(super) struct Ending {
    soon: CancellationToken,
    now: CancellationToken,
    why: Arc<OnceLock<Refused>>,
}

impl Ending {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// No further message is read from any stream; what was read is answered.
    pub(super) fn soon(&self) {
        self.soon.cancel();
    }

    /// Every call ends at once and hears this. The first reason counts.
    pub(super) fn now(&self, why: Refused) {
        self.why.get_or_init(|| why);
        self.soon.cancel();
        self.now.cancel();
    }

    /// What a call hears if it must end at once.
    pub(super) fn refusal(&self) -> Option<Refused> {
        self.now.is_cancelled().then(|| self.why())
    }

    /// Waits for the end and gives what the call hears.
    pub(super) async fn refused(&self) -> Refused {
        self.now.cancelled().await;
        self.why()
    }

    pub(super) fn is_soon(&self) -> bool {
        self.soon.is_cancelled()
    }

    pub(super) fn until_soon(&self) -> WaitForCancellationFutureOwned {
        self.soon.clone().cancelled_owned()
    }

    pub(super) fn until_now(&self) -> WaitForCancellationFutureOwned {
        self.now.clone().cancelled_owned()
    }

    fn why(&self) -> Refused {
        self.why.get().copied().unwrap_or(Reason::NotServing.into())
    }
}
