//! The Logs service: what platforms read of the agency's logs, and both sides' cosignatures (SPEC §20).

use std::{pin::Pin, sync::Arc};

use tonic::{Request, Response, Status, async_trait};
use veilmatch_proto::{
    CheckpointAsked, Cosigned, InclusionAsked, LeavesAsked, Submitted, log_origin, note,
    pb::{self, logs_server::Logs},
};

use super::{Service, caller};
use crate::{
    catalogue::Client,
    logs::{closing::ClosedDays, reading::LogReader, witness::MatchLogs},
    status::{CallError, RequestId},
    tls::PeerIdentity,
};

/// Calls that read or write log files at the same time: the rest waits its turn.
const AT_ONCE: usize = 8;

/// What the service works with.
pub struct ServedLogs {
    /// The agency's own logs.
    pub own: Arc<LogReader>,
    /// The platforms' match logs.
    pub watched: MatchLogs,
    /// The days that both sides closed.
    pub closed: Arc<ClosedDays>,
    places: Arc<tokio::sync::Semaphore>,
}

impl ServedLogs {
    /// Puts them together.
    #[must_use]
    pub fn new(own: Arc<LogReader>, watched: MatchLogs, closed: ClosedDays) -> Self {
        let closed = Arc::new(closed);
        Self { own, watched, closed, places: Arc::new(tokio::sync::Semaphore::new(AT_ONCE)) }
    }
}

#[async_trait]
impl Logs for Service {
    async fn get_checkpoint(
        &self,
        request: Request<pb::GetCheckpointRequest>,
    ) -> Result<Response<pb::GetCheckpointResponse>, Status> {
        self.log_call("GetCheckpoint", request, |logs, _, request| {
            let asked = CheckpointAsked::try_from(request)?;
            Ok(logs.own.checkpoint(&asked)?.into())
        })
        .await
    }

    async fn get_inclusion(
        &self,
        request: Request<pb::GetInclusionRequest>,
    ) -> Result<Response<pb::GetInclusionResponse>, Status> {
        self.log_call("GetInclusion", request, |logs, client, request| {
            let asked = InclusionAsked::try_from(request)?;
            Ok(logs.own.inclusion(&client.row.platform, &asked)?.into())
        })
        .await
    }

    async fn list_leaves(
        &self,
        request: Request<pb::ListLeavesRequest>,
    ) -> Result<Response<pb::ListLeavesResponse>, Status> {
        self.log_call("ListLeaves", request, |logs, client, request| {
            let asked = LeavesAsked::try_from(request)?;
            Ok(logs.own.leaves(&client.row.platform, &asked)?.into())
        })
        .await
    }

    async fn add_cosignature(
        &self,
        request: Request<pb::AddCosignatureRequest>,
    ) -> Result<Response<pb::AddCosignatureResponse>, Status> {
        self.log_call("AddCosignature", request, |logs, client, request| {
            let cosigned = Cosigned::try_from(request)?;
            logs.own.add_cosignature(&client.row, &cosigned)?;
            Ok(pb::AddCosignatureResponse {})
        })
        .await
    }

    async fn add_checkpoint(
        &self,
        request: Request<pb::AddCheckpointRequest>,
    ) -> Result<Response<pb::AddCheckpointResponse>, Status> {
        self.log_call("AddCheckpoint", request, |logs, client, request| {
            let submitted = Submitted::try_from(request)?;
            let cosignature = logs.watched.cosign(&client.row, &submitted)?;
            Ok(pb::AddCheckpointResponse { cosignature })
        })
        .await
    }

    async fn get_cosigned(
        &self,
        request: Request<pb::GetCosignedRequest>,
    ) -> Result<Response<pb::GetCosignedResponse>, Status> {
        self.log_call("GetCosigned", request, |logs, client, request| {
            let origin = log_origin(&request.origin)?;
            let note = logs.watched.cosigned(&client.row, &origin)?.unwrap_or_default();
            Ok(pb::GetCosignedResponse { note })
        })
        .await
    }

    async fn close_day(&self, request: Request<pb::CloseDayRequest>) -> Result<Response<pb::CloseDayResponse>, Status> {
        let id = RequestId::draw();
        let refuse = |error: CallError, platform: Option<&str>| error.into_status(&id, "CloseDay", platform);
        let client = self.caller(request.extensions().get::<PeerIdentity>()).map_err(|error| refuse(error, None))?;
        let closed = async {
            let statement = note(request.into_inner().statement)?;
            self.logs.closed.close(&client, statement).await
        };
        match closed.await {
            Ok(signature) => Ok(Response::new(pb::CloseDayResponse { signature })),
            Err(error) => Err(refuse(error, Some(client.row.platform.as_str()))),
        }
    }
}

impl Service {
    fn caller(&self, identity: Option<&PeerIdentity>) -> Result<Arc<Client>, CallError> {
        caller::client(&self.catalogue(), identity)
    }

    // Does a call on a thread that may wait for the disk.
    async fn log_call<Q: Send + 'static, A: Send + 'static>(
        &self,
        name: &'static str,
        request: Request<Q>,
        work: impl FnOnce(&ServedLogs, &Client, Q) -> Result<A, CallError> + Send + 'static,
    ) -> Result<Response<A>, Status> {
        let id = RequestId::draw();
        let client = self.caller(request.extensions().get::<PeerIdentity>());
        let client = client.map_err(|error| error.into_status(&id, name, None))?;
        let (logs, of) = (Arc::clone(&self.logs), Arc::clone(&client));
        // A place is given back when the work is done, not when the caller goes away: the work goes on.
        let done: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
            let place = Arc::clone(&logs.places).acquire_owned().await.map_err(|_| CallError::Lost)?;
            let work = move || {
                let _place = place;
                work(&logs, &of, request.into_inner())
            };
            tokio::task::spawn_blocking(work).await.map_err(|_| CallError::Lost)?
        });
        match done.await {
            Ok(answer) => Ok(Response::new(answer)),
            Err(error) => Err(error.into_status(&id, name, Some(client.row.platform.as_str()))),
        }
    }
}
