//! TLS: who is at the other end of a connection.

/// The identity that a peer's certificate proved, in the extensions of each of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// SHA-256 of the certificate's SubjectPublicKeyInfo.
    pub spki_sha256: [u8; 32],
    /// The URIs among its subject alternative names.
    pub uri_sans: Vec<String>,
}
