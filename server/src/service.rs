//! The gRPC services of `veilmatch.v1`, between the connection's identity and the rest.

mod caller;
mod evaluation;
mod frames;
mod lists;
mod logs;
mod readers;
mod refusals;

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use veilmatch_proto::{
    MAX_ANSWER_MESSAGE, MAX_EVALUATE_MESSAGE, MAX_LEAVES_MESSAGE, MAX_LISTS_MESSAGE, MAX_LOGS_REQUEST,
    pb::{DESCRIPTORS, evaluation_server::EvaluationServer, lists_server::ListsServer, logs_server::LogsServer},
};

pub use caller::Clients;
pub use frames::{FrameEvidence, FrameRules, Frames};
pub use logs::ServedLogs;
pub(crate) use readers::Readers;

use crate::{Error, catalogue::Catalogue, state_dir::StateDir};

/// Largest request of the Lists service: a name, two numbers and a digest.
const MAX_LISTS_REQUEST: usize = 4 * 1_024;

/// Largest request of the services that are not ours, health and reflection: a name.
const MAX_OTHER_REQUEST: usize = 4 * 1_024;

/// What the services share.
#[derive(Clone)]
pub struct Service {
    catalogue: watch::Receiver<Arc<Catalogue>>,
    frames: Arc<Frames>,
    logs: Arc<ServedLogs>,
    dir: StateDir,
    draining: CancellationToken,
}

impl Service {
    /// Serves what the catalogue says now and later. Long-lived streams end when `draining` is cancelled.
    #[must_use]
    pub fn new(
        catalogue: watch::Receiver<Arc<Catalogue>>,
        frames: Arc<Frames>,
        logs: Arc<ServedLogs>,
        dir: StateDir,
        draining: CancellationToken,
    ) -> Self {
        Self { catalogue, frames, logs, dir, draining }
    }

    /// All services with their message limits; compression is never offered, since sizes are what frames hide.
    ///
    /// # Errors
    /// [`Error::Network`] if the descriptors for reflection cannot be read.
    pub fn routes(self, health: HealthService, reflection: bool) -> Result<Routes, Error> {
        let evaluation = EvaluationServer::new(self.clone())
            .max_decoding_message_size(MAX_EVALUATE_MESSAGE)
            .max_encoding_message_size(MAX_ANSWER_MESSAGE);
        let logs = LogsServer::new(self.clone())
            .max_decoding_message_size(MAX_LOGS_REQUEST)
            .max_encoding_message_size(MAX_LEAVES_MESSAGE);
        let lists = ListsServer::new(self)
            .max_decoding_message_size(MAX_LISTS_REQUEST)
            .max_encoding_message_size(MAX_LISTS_MESSAGE);
        let mut routes = Routes::new(evaluation)
            .add_service(lists)
            .add_service(logs)
            .add_service(health.max_decoding_message_size(MAX_OTHER_REQUEST));
        if reflection {
            let reflection = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .build_v1()
                .map_err(|source| Error::Network { what: "describe the services", source: source.into() })?;
            routes = routes.add_service(reflection.max_decoding_message_size(MAX_OTHER_REQUEST));
        }
        Ok(routes)
    }

    /// The client table, for the network edge.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Clients(self.catalogue.clone())
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.borrow())
    }
}

/// grpc.health.v1.
pub type HealthService = tonic_health::pb::health_server::HealthServer<tonic_health::server::HealthService>;

#[cfg(test)]
mod tests;
