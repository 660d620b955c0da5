//! The connection to the agency's server: TLS 1.3, mutual, under the invitation's authority only (SPEC §9.1).

mod backoff;
mod watched;

use std::{
    error::Error as _,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::{
    AlertDescription, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{
    Code, ConnectError, Response, Status,
    transport::{Channel, Endpoint},
};
use veilmatch_proto::{
    MAX_ANSWER_MESSAGE, MAX_CHUNK_MESSAGE, MAX_EVALUATE_MESSAGE, MAX_LEAVES_MESSAGE, MAX_LISTS_MESSAGE,
    MAX_LOGS_REQUEST, Reason, Refused,
    pb::{evaluation_client::EvaluationClient, lists_client::ListsClient, logs_client::LogsClient},
};

use crate::{
    Error,
    enrol::Invitation,
    state_dir::{StateDir, read_secret},
};
pub(crate) use backoff::Backoff;
use watched::Watched;

/// PINGs keep a connection alive through middle boxes and find out that it is dead.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// An unanswered PING ends the connection after this time.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for an answer of a call that only reads, and for each next piece of a file. A server that answers PINGs can
/// still stall, and whoever synchronises keeps others from it.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Tries of a call that only reads, if connections break under it.
const READ_TRIES: u32 = 5;

/// Longest wait that a server can ask a reader for.
const READ_WAIT: Duration = Duration::from_secs(10);

/// The services over one lazy, reconnecting channel.
#[derive(Clone)]
pub(crate) struct Connection {
    channel: Channel,
    address: String,
    distrust: Distrust,
    read_timeout: Duration,
}

/// The last thing that TLS said about a certificate, ours or theirs; nothing once bytes came in again. HTTP/2 above keeps
/// only the text of an I/O error, so the connector looks at it on its way.
#[derive(Clone, Default)]
pub(crate) struct Distrust(Arc<Mutex<Option<rustls::Error>>>);

impl Distrust {
    fn set(&self, error: Option<rustls::Error>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    fn last(&self) -> Option<rustls::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers the error if it is about certificates: waiting does not mend those.
    fn see(&self, error: &io::Error) {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(tls) = tls.filter(|tls| is_about_certificates(tls)) {
            self.set(Some(tls.clone()));
        }
    }
}

fn is_about_certificates(error: &rustls::Error) -> bool {
    use AlertDescription as Alert;
    matches!(
        error,
        rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::AlertReceived(
                Alert::BadCertificate
                    | Alert::UnsupportedCertificate
                    | Alert::CertificateRevoked
                    | Alert::CertificateExpired
                    | Alert::CertificateUnknown
                    | Alert::CertificateRequired
                    | Alert::UnknownCA
                    | Alert::AccessDenied
                    | Alert::DecryptError
            )
    )
}

impl Connection {
    /// Prepares the channel; the first call connects.
    pub(crate) fn new(dir: &StateDir, invitation: &Invitation, timeout: Duration) -> Result<Self, Error> {
        let tls = TlsConnector::from(Arc::new(tls_config(dir, invitation)?));
        let name = ServerName::try_from(invitation.server_name.clone())
            .map_err(|_| Error::Tls("the invitation's server_name is not a name".into()))?;
        let (address, distrust) = (invitation.address.clone(), Distrust::default());
        let seen = distrust.clone();
        let connector = tower::service_fn(move |_| {
            let (tls, name, address, seen) = (tls.clone(), name.clone(), address.clone(), seen.clone());
            async move {
                let connect = async {
                    let tcp = TcpStream::connect(&address).await?;
                    tcp.set_nodelay(true)?;
                    tls.connect(name, tcp).await.inspect_err(|error| seen.see(error))
                };
                let late = || io::Error::from(io::ErrorKind::TimedOut);
                let stream = tokio::time::timeout(timeout, connect).await.map_err(|_| late())??;
                Ok::<_, io::Error>(TokioIo::new(Watched::new(stream, seen)))
            }
        });
        // The URI only fills the authority of the requests; where to connect is the connector's matter.
        let channel = endpoint("https", &invitation.address)?.connect_with_connector_lazy(connector);
        Ok(Self { channel, address: invitation.address.clone(), distrust, read_timeout: READ_TIMEOUT })
    }

    /// Without TLS, to a service in the same process.
    #[cfg(test)]
    pub(crate) fn plain(address: &str) -> Self {
        let channel = endpoint("http", address).expect("a loopback address").connect_lazy();
        let read_timeout = Duration::from_millis(300);
        Self { channel, address: address.to_owned(), distrust: Distrust::default(), read_timeout }
    }

    pub(crate) fn evaluation(&self) -> EvaluationClient<Channel> {
        EvaluationClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_ANSWER_MESSAGE)
            .max_encoding_message_size(MAX_EVALUATE_MESSAGE)
    }

    /// Calls the Lists service. Its calls only read, so one that went down with its connection is made again on another
    /// (SPEC §9.6).
    pub(crate) async fn read<T, F>(&self, call: impl Fn(ListsClient<Channel>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut reading = self.reading();
        loop {
            match self.in_time(call(self.lists())).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => reading.again(status).await?,
            }
        }
    }

    /// Calls the Logs service with what only reads.
    pub(crate) async fn read_logs<T, F>(&self, call: impl Fn(LogsClient<Channel>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut reading = self.reading();
        loop {
            match self.in_time(call(self.logs())).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => reading.again(status).await?,
            }
        }
    }

    pub(crate) fn logs(&self) -> LogsClient<Channel> {
        LogsClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_LEAVES_MESSAGE)
            .max_encoding_message_size(MAX_LOGS_REQUEST)
    }

    /// Waits for an answer, or for the next piece of one, but not for ever.
    pub(crate) async fn in_time<T>(&self, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let late = |_| Err(Status::deadline_exceeded("nothing came in time"));
        tokio::time::timeout(self.read_timeout, answer).await.unwrap_or_else(late)
    }

    /// The tries of a call that only reads.
    pub(crate) fn reading(&self) -> Reading<'_> {
        Reading { connection: self, backoff: Backoff::new(), left: READ_TRIES - 1 }
    }

    pub(crate) fn lists(&self) -> ListsClient<Channel> {
        ListsClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_LISTS_MESSAGE)
            .max_encoding_message_size(MAX_CHUNK_MESSAGE)
    }

    /// Whether the two sides' certificates are what failed last.
    pub(crate) fn distrust(&self) -> Option<rustls::Error> {
        self.distrust.last()
    }

    /// What a failed call means: a refusal, certificates, or the way there.
    pub(crate) fn failure(&self, status: Status) -> Error {
        if let Some(refused) = Refused::from_status(&status) {
            return refused.into();
        }
        let address = self.address.clone();
        match self.distrust() {
            Some(source) => Error::Certificate { address, source },
            None => Error::Unreachable { address, source: Box::new(status) },
        }
    }
}

/// Tries of a call that only reads.
pub(crate) struct Reading<'a> {
    connection: &'a Connection,
    backoff: Backoff,
    left: u32,
}

impl Reading<'_> {
    /// Waits until it is time to try again; an error if that would not help. A server that is not there at all is
    /// reported at once: somebody waits for the answer.
    pub(crate) async fn again(&mut self, status: Status) -> Result<(), Error> {
        let asked = match Refused::from_status(&status) {
            Some(Refused {
                reason: Reason::NotServing | Reason::Overloaded | Reason::DeadlineExceeded,
                retry_after,
            }) => retry_after.unwrap_or_default(),
            None if is_passing(&status) && !never_sent(&status) && self.connection.distrust().is_none() => {
                Duration::ZERO
            }
            _ => return Err(self.connection.failure(status)),
        };
        if self.left == 0 || asked > READ_WAIT {
            return Err(self.connection.failure(status));
        }
        self.left -= 1;
        tracing::debug!(code = ?status.code(), left = self.left, "a call is made again");
        tokio::time::sleep(self.backoff.next(asked)).await;
        Ok(())
    }
}

/// Whether a status of the transport's own may be gone with the next try.
pub(crate) fn is_passing(status: &Status) -> bool {
    use Code::{Cancelled, DeadlineExceeded, Internal, ResourceExhausted, Unavailable, Unknown};
    matches!(status.code(), Unavailable | Unknown | Cancelled | DeadlineExceeded | Internal | ResourceExhausted)
}

/// Whether a call failed before it was sent, because no connection could be made.
pub(crate) fn never_sent(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn endpoint(scheme: &str, address: &str) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(|error| Error::Tls(format!("address {address}: {error}")))?
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Ok(endpoint)
}

fn tls_config(dir: &StateDir, invitation: &Invitation) -> Result<ClientConfig, Error> {
    let key_path = dir.tls_key();
    let key = PrivateKeyDer::from_pem_slice(&read_secret(&key_path)?)
        .map_err(|_| Error::KeyFile { path: key_path, why: "is not a private key in PEM" })?;
    // X25519MLKEM768 stands first in this provider: recorded traffic stays closed to a later quantum computer.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::Tls(error.to_string()))?
        .with_root_certificates(authorities(&invitation.authority)?)
        .with_client_auth_cert(chain(&invitation.certificate)?, key)
        .map_err(|error| Error::Tls(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.enable_early_data = false;
    Ok(config)
}

/// The authorities of an invitation.
pub(crate) fn authorities(pem: &str) -> Result<RootCertStore, Error> {
    let wrong = || Error::Tls("the invitation's authority cannot be used".to_owned());
    let mut authorities = RootCertStore::empty();
    for certificate in chain(pem).map_err(|_| wrong())? {
        authorities.add(certificate).map_err(|_| wrong())?;
    }
    if authorities.is_empty() { Err(wrong()) } else { Ok(authorities) }
}

/// The certificates of a PEM text.
pub(crate) fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| Error::Tls("the invitation's certificate cannot be used".to_owned()))
}

#[cfg(test)]
mod tests {
    use veilmatch_proto::pb::EvaluateRequest;

    use super::*;

    #[test]
    fn the_hybrid_key_exchange_is_offered_first() {
        let first = rustls::crypto::aws_lc_rs::default_provider().kx_groups[0].name();
        assert_eq!(first, rustls::NamedGroup::X25519MLKEM768);
    }

    #[test]
    fn only_errors_about_certificates_are_remembered() {
        let distrust = Distrust::default();
        distrust.see(&io::Error::from(io::ErrorKind::ConnectionReset));
        distrust.see(&io::Error::other(rustls::Error::AlertReceived(AlertDescription::InternalError)));
        assert_eq!(distrust.last(), None);
        let unknown = rustls::Error::AlertReceived(AlertDescription::UnknownCA);
        distrust.see(&io::Error::new(io::ErrorKind::InvalidData, unknown.clone()));
        assert_eq!(distrust.last(), Some(unknown));
    }

    #[tokio::test]
    async fn a_server_that_stalls_does_not_hold_a_call_for_ever() {
        // SPEC §9.6. A server that answered PINGs and nothing else held the synchronisation that had called it, and with it
        // every later one, and every check that was told to synchronise first.
        let connection = Connection::plain(&crate::fake::stalling().await);
        let ask = |mut lists: ListsClient<Channel>| async move {
            let request = veilmatch_proto::pb::GetManifestRequest { list_id: "baseline".to_owned(), version: 0 };
            lists.get_manifest(request).await
        };
        let ended = connection.read(ask).await.unwrap_err();
        assert!(matches!(ended, Error::Unreachable { .. }), "{ended:?}");
    }

    #[tokio::test]
    async fn a_call_that_found_no_server_was_never_sent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let status = Connection::plain(&address).evaluation().evaluate(EvaluateRequest::default()).await.unwrap_err();
        assert!(never_sent(&status), "{status:?}");
        assert!(!never_sent(&Status::unavailable("cut")));
    }
}
