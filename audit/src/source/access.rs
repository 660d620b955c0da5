//! How a site is reached: whose certificates are believed, and which one is shown.

use std::{fs, io, path::Path, path::PathBuf, sync::Arc, time::Duration};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use ureq::{
    Agent,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider},
};
use zeroize::Zeroizing;

/// To connect, and for the head of an answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// For a whole answer: four megabytes over a bad line.
const WHOLE: Duration = Duration::from_secs(120);

/// Files of certificates for HTTPS. Without any, the system's authorities are believed and no certificate is shown.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Authorities to believe, in PEM, in the place of the system's.
    pub authorities: Option<PathBuf>,
    /// Certificates to show, in PEM, the own one first, and the file with their private key: what an auditor reads
    /// entries with.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Access {
    pub(super) fn agent(&self, prefix: &str) -> io::Result<Agent> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("veilmatch-audit/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_global(Some(WHOLE));
        if is_loopback(prefix) {
            config = config.proxy(None);
        }
        if prefix.starts_with("https://") {
            config = config.tls_config(self.tls()?);
        }
        Ok(config.build().new_agent())
    }

    fn tls(&self) -> io::Result<TlsConfig> {
        let roots: Vec<Certificate<'static>> = match &self.authorities {
            Some(path) => certificates(path)?,
            None => system_authorities()?,
        };
        let shown = match &self.certificate {
            None => None,
            Some((chain, key)) => {
                let pem = Zeroizing::new(fs::read(key).map_err(named(key))?);
                let unusable = || io::Error::new(io::ErrorKind::InvalidInput, "no private key in PEM");
                let private = PrivateKey::from_pem(&pem).map_err(|_| named(key)(unusable()))?;
                Some(ClientCert::new_with_certs(&certificates(chain)?, private))
            }
        };
        Ok(TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(shown)
            .build())
    }
}

fn certificates(path: &Path) -> io::Result<Vec<Certificate<'static>>> {
    let pem = fs::read(path).map_err(named(path))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(chain) if !chain.is_empty() => Ok(chain.iter().map(|der| Certificate::from_der(der).to_owned()).collect()),
        _ => Err(named(path)(io::Error::new(io::ErrorKind::InvalidInput, "no certificate in PEM"))),
    }
}

fn system_authorities() -> io::Result<Vec<Certificate<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the system has no authorities: name a file of them"));
    }
    Ok(found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect())
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// What runs on this machine is not asked for through a proxy.
fn is_loopback(prefix: &str) -> bool {
    let host = prefix.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
    ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}
