//! The match log of a client: published every hour, and what people do with it.

use std::time::Duration;

use tokio::time::sleep;

use super::Client;
use crate::{
    Error,
    matchlog::{Published, Recovered},
};

/// How often a running client looks whether a day is over or a checkpoint is due.
const LOOK: Duration = Duration::from_secs(60);

/// Ends days and publishes checkpoints until the client is shut down.
pub(super) async fn keep_published(client: Client) {
    let mut stop = client.inner.stop.subscribe();
    let work = async {
        // What the agency cosigned is compared at once: an old backup is found when the client starts.
        let mut compared = false;
        loop {
            let log = &client.inner.frames.log;
            if !compared {
                let done = log.compare(&client.inner.frames.connection).await;
                compared = !matches!(done, Err(Error::Unreachable { .. }));
                done.unwrap_or_else(|error| tell(&error));
            }
            log.end_days(&client.lists()).map(drop).unwrap_or_else(|error| tell(&error));
            client.publish_if_due().await;
            sleep(LOOK).await;
        }
    };
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = work => {}
    }
}

fn tell(error: &Error) {
    tracing::warn!(error = error as &dyn std::error::Error, "the match log could not be brought on");
}

impl Client {
    /// Publishes checkpoints of the match log at once, and has them cosigned by the agency.
    ///
    /// # Errors
    /// [`Error::LogLost`] if the agency cosigned what is not here, [`Error::Unreachable`], [`Error::LogFiles`],
    /// [`Error::HeadChanged`].
    pub async fn publish_log(&self) -> Result<Vec<Published>, Error> {
        self.publish(true).await
    }

    async fn publish(&self, at_once: bool) -> Result<Vec<Published>, Error> {
        let (frames, invitation) = (&self.inner.frames, &self.inner.invitation);
        let published = frames.log.publish(&frames.connection, &invitation.witness_key(), at_once).await?;
        frames.log.close_days(&frames.connection, &invitation.ack_key()).await?;
        Ok(published)
    }

    /// Publishes what there is, if the last checkpoint is an hour old. That it cannot be is told, and is no reason for a
    /// command to fail.
    pub async fn publish_if_due(&self) {
        let published = match self.inner.frames.log.is_due() {
            Ok(false) => return,
            Ok(true) => self.publish(false).await.map(drop),
            Err(error) => Err(error),
        };
        published.unwrap_or_else(|error| tell(&error));
    }

    /// Goes on with a new match log where the agency has cosigned more than is here.
    ///
    /// # Errors
    /// [`Error::LogWhole`] if nothing is lost, [`Error::Unreachable`].
    pub async fn recover_log(&self) -> Result<Vec<Recovered>, Error> {
        self.inner.frames.log.recover(&self.inner.frames.connection).await
    }
}
