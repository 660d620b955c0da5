//! TLS: what the server shows, whom it lets in, and who is at the other end of a connection.
//!
//! TLS 1.3 alone, both sides with certificates, HTTP/2 alone. No session is resumed: each connection shows its
//! certificate, and there is no early data that could be replayed.

mod files;
mod identity;

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, kx_group},
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

pub use identity::{PeerIdentity, certificate_key};

use crate::{
    Error,
    clock::{DAY, rfc3339},
};

/// The protocol that ALPN must settle on.
pub(crate) const HTTP_2: &[u8] = b"h2";

/// The one that files may be read by beside it.
const HTTP_1_1: &[u8] = b"http/1.1";

/// How long before its end a server certificate is complained about.
const EXPIRY_NOTICE: u64 = 7 * DAY;

/// The server's side of TLS, from its files.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    not_after: u64,
}

impl ServerTls {
    /// Reads certificate chain, private key and the authority that signs platforms' certificates, all PEM.
    ///
    /// # Errors
    /// [`Error::Io`] with the file, [`Error::KeyFileMode`] and [`Error::KeyFile`] for a key that is not private or not
    /// a key, [`Error::Certificate`] for certificates that cannot be used, or no longer.
    pub fn load(certificate: &Path, key: &Path, authority: &Path, now: u64) -> Result<Self, Error> {
        Self::with(certificate, key, authority, now, false, &[HTTP_2])
    }

    /// The same for what everybody may read, by HTTP/1.1 or 2: a certificate is looked at if the peer shows one.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_public(certificate: &Path, key: &Path, authority: &Path, now: u64) -> Result<Self, Error> {
        Self::with(certificate, key, authority, now, true, &[HTTP_2, HTTP_1_1])
    }

    fn with(
        certificate: &Path,
        key: &Path,
        authority: &Path,
        now: u64,
        public: bool,
        protocols: &[&[u8]],
    ) -> Result<Self, Error> {
        let chain = files::certificates(certificate)?;
        let not_after = identity::not_after(&chain[0])?;
        if not_after <= now {
            let why = format!("{} expired at {}", certificate.display(), rfc3339(not_after));
            return Err(Error::Certificate { why });
        }
        let provider = Arc::new(provider());
        let mut roots = RootCertStore::empty();
        for root in files::certificates(authority)? {
            roots.add(root).map_err(|error| unusable(authority, &error))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = if public { verifier.allow_unauthenticated() } else { verifier }
            .build()
            .map_err(|error| unusable(authority, &error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unusable(certificate, &error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, files::private_key(key)?)
            .map_err(|error| unusable(certificate, &error))?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        // Without tickets nobody can come back under another certificate's session.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Ok(Self { config: Arc::new(config), not_after })
    }

    /// Until when the server's certificate is valid, in Unix time.
    #[must_use]
    pub fn not_after(&self) -> u64 {
        self.not_after
    }

    /// Logs a warning if the server's certificate expires within a week; tells whether it did.
    pub fn warn_of_expiry(&self, now: u64) -> bool {
        let soon = self.not_after <= now.saturating_add(EXPIRY_NOTICE);
        if soon {
            let until = rfc3339(self.not_after);
            tracing::warn!(until, "the server's certificate expires soon; put a new one in its place and restart");
        }
        soon
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

// The hybrid group first: what is recorded today stays closed to tomorrow's quantum computer.
fn provider() -> CryptoProvider {
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> Error {
    Error::Certificate { why: format!("{}: {error}", path.display()) }
}

#[cfg(test)]
mod tests;
