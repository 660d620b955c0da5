//! A plain accept loop over mutual TLS.

use std::{path::Path, sync::Arc};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use sha2::{Digest, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::ServiceExt;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::DRAIN;
use crate::{
    Error,
    config::Config,
    state_dir::{StateDir, read_secret},
    tls::PeerIdentity,
};

pub(super) fn tls(dir: &StateDir, config: &Config) -> Result<TlsAcceptor, Error> {
    let bad = |error: &dyn std::fmt::Display| Error::Certificate { why: error.to_string() };
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, Error> {
        let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        certificates.map_err(|error| bad(&error))
    };
    let mut roots = RootCertStore::empty();
    for root in certificates(&dir.resolve(&config.tls.authority))? {
        roots.add(root).map_err(|error| bad(&error))?;
    }
    let key = read_secret(&dir.resolve(&config.tls.key))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| bad(&error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| bad(&error))?;
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| bad(&error))?
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates(&dir.resolve(&config.tls.certificate))?, key)
        .map_err(|error| bad(&error))?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

pub(super) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    routes: Routes,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = shutdown.cancelled() => break,
        };
        let Ok((stream, _)) = stream else { continue };
        let (tls, routes, shutdown) = (tls.clone(), routes.clone(), shutdown.clone());
        connections.spawn(async move { connection(stream, &tls, routes, &shutdown).await });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn connection(stream: TcpStream, tls: &TlsAcceptor, routes: Routes, shutdown: &CancellationToken) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let stream = tls.accept(stream).await.ok()?;
    let identity = identity(stream.get_ref().1.peer_certificates()?.first()?)?;
    let service = routes.prepare().map_request(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(identity.clone());
        request.map(tonic::body::Body::new)
    });
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => ended.ok(),
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await.ok()
        }
    }
}

fn identity(certificate: &CertificateDer<'_>) -> Option<PeerIdentity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let uri_sans = names
        .value
        .general_names
        .iter()
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some((*uri).to_owned()) } else { None })
        .collect();
    Some(PeerIdentity { spki_sha256: Sha256::digest(parsed.public_key().raw).into(), uri_sans })
}
