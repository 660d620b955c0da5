//! Who calls: the connection's identity against the client table.

use std::sync::Arc;

use tokio::sync::watch;
use veilmatch_proto::Refused;
use veilmatch_protocol::name::ListId;

use crate::{
    catalogue::{Catalogue, Client, ServedList},
    listener::{Methods, Peer, PeerTable},
    status::CallError,
    tls::PeerIdentity,
};

/// An enrolled platform, by its key and by its name: a valid certificate alone is not enough.
pub(super) fn client(catalogue: &Catalogue, identity: Option<&PeerIdentity>) -> Result<Arc<Client>, CallError> {
    let identity = identity.ok_or(CallError::NoIdentity)?;
    let client = catalogue.client(&identity.spki_sha256).ok_or(CallError::UnknownKey)?;
    if !identity.uri_sans.contains(&client.row.uri_san) {
        return Err(CallError::WrongName);
    }
    if client.row.suspended_at.is_some() {
        return Err(CallError::Suspended);
    }
    Ok(Arc::clone(client))
}

/// A list that is open to the platform.
pub(super) fn list(catalogue: &Catalogue, client: &Client, list: &ListId) -> Result<Arc<ServedList>, CallError> {
    let served = catalogue.list(list).ok_or(CallError::UnknownList)?;
    if !client.row.lists.contains(list) {
        return Err(CallError::ListNotOpen);
    }
    Ok(Arc::clone(served))
}

/// The client table as the network edge sees it.
pub struct Clients(pub(super) watch::Receiver<Arc<Catalogue>>);

impl PeerTable for Clients {
    fn admit(&self, identity: &PeerIdentity) -> Result<Peer, Refused> {
        let catalogue = Arc::clone(&self.0.borrow());
        let client = client(&catalogue, Some(identity)).map_err(|error| error.refused())?;
        Ok(Peer { platform: client.row.platform.clone(), methods: Methods::PLATFORM })
    }
}
