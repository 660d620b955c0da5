//! The connection to the agency's server: TLS 1.3, mutual, under the invitation's authority only (SPEC §9.1).

use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use veilmatch_proto::{
    MAX_CHUNK_MESSAGE, MAX_EVALUATE_MESSAGE, MAX_MANIFESTS_MESSAGE,
    pb::{evaluation_client::EvaluationClient, lists_client::ListsClient},
};

use crate::{
    Error,
    enrol::Invitation,
    state_dir::{StateDir, read_secret},
};

/// PINGs keep a connection alive through middle boxes and find out that it is dead.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// An unanswered PING ends the connection after this time.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Both services over one lazy, reconnecting channel.
#[derive(Clone)]
pub(crate) struct Connection {
    channel: Channel,
}

impl Connection {
    /// Prepares the channel; the first call connects.
    pub(crate) fn new(dir: &StateDir, invitation: &Invitation, timeout: Duration) -> Result<Self, Error> {
        let tls = TlsConnector::from(Arc::new(tls_config(dir, invitation)?));
        let name = ServerName::try_from(invitation.server_name.clone())
            .map_err(|_| Error::Tls("the invitation's server_name is not a name".into()))?;
        let address = invitation.address.clone();
        let connector = tower::service_fn(move |_| {
            let (tls, name, address) = (tls.clone(), name.clone(), address.clone());
            async move {
                let connect = async {
                    let tcp = TcpStream::connect(&address).await?;
                    tcp.set_nodelay(true)?;
                    tls.connect(name, tcp).await
                };
                let late = || io::Error::from(io::ErrorKind::TimedOut);
                let stream = tokio::time::timeout(timeout, connect).await.map_err(|_| late())??;
                Ok::<_, io::Error>(TokioIo::new(stream))
            }
        });
        // The URI only fills the authority of the requests; where to connect is the connector's matter.
        let endpoint = Endpoint::from_shared(format!("https://{}", invitation.address))
            .map_err(|error| Error::Tls(format!("address {}: {error}", invitation.address)))?
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        Ok(Self { channel: endpoint.connect_with_connector_lazy(connector) })
    }

    pub(crate) fn evaluation(&self) -> EvaluationClient<Channel> {
        EvaluationClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_EVALUATE_MESSAGE)
            .max_encoding_message_size(MAX_EVALUATE_MESSAGE)
    }

    pub(crate) fn lists(&self) -> ListsClient<Channel> {
        ListsClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MANIFESTS_MESSAGE.max(MAX_CHUNK_MESSAGE))
            .max_encoding_message_size(MAX_CHUNK_MESSAGE)
    }
}

fn tls_config(dir: &StateDir, invitation: &Invitation) -> Result<ClientConfig, Error> {
    let tls_error = |what: &str| Error::Tls(format!("the invitation's {what} cannot be used"));
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(invitation.authority.as_bytes()) {
        let certificate = certificate.map_err(|_| tls_error("authority"))?;
        authorities.add(certificate).map_err(|_| tls_error("authority"))?;
    }
    let chain: Vec<_> = CertificateDer::pem_slice_iter(invitation.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| tls_error("certificate"))?;
    let key_path = dir.tls_key();
    let key = PrivateKeyDer::from_pem_slice(&read_secret(&key_path)?)
        .map_err(|_| Error::KeyFile { path: key_path, why: "is not a private key in PEM" })?;
    // X25519MLKEM768 stands first in this provider: recorded traffic stays closed to a later quantum computer.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::Tls(error.to_string()))?
        .with_root_certificates(authorities)
        .with_client_auth_cert(chain, key)
        .map_err(|error| Error::Tls(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.enable_early_data = false;
    Ok(config)
}
