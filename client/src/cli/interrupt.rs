//! Ctrl-C and SIGTERM: once ends what is under way in order, twice ends at once.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{exit::Exit, failure::Failure};

/// Whether somebody asked this process to stop.
#[derive(Clone)]
pub struct Interrupt {
    asked: watch::Receiver<bool>,
}

impl Interrupt {
    /// Listens from now on.
    pub fn listen(note: &'static str) -> Result<Self, Failure> {
        let failed = |source| Failure::System { what: "listen for signals", source };
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let (ask, asked) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if ask.send_replace(true) {
                    // The second time: whatever is written line by line is whole, the rest is repaired when it is used.
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
                eprintln!("veilmatch: {note}; once more stops at once");
            }
        });
        Ok(Self { asked })
    }

    /// Whether it was asked already.
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Waits until it is asked.
    pub async fn asked(&self) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            // Nobody listens any more, so nobody will ask.
            std::future::pending::<()>().await;
        }
    }
}
