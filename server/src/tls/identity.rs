//! Who a certificate says its holder is.

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use crate::Error;

/// The identity that a peer's certificate proved, in the extensions of each of its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// SHA-256 of the certificate's SubjectPublicKeyInfo.
    pub spki_sha256: [u8; 32],
    /// The URIs among its subject alternative names.
    pub uri_sans: Vec<String>,
}

impl PeerIdentity {
    /// Takes the identity out of a certificate whose chain was verified.
    ///
    /// # Errors
    /// [`Error::Certificate`] if it is not a certificate, or names its holder twice over.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let parsed = parse(certificate)?;
        let names = parsed.subject_alternative_name().map_err(|error| malformed(&error))?;
        let uri_sans = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        });
        Ok(Self { spki_sha256: Sha256::digest(parsed.public_key().raw).into(), uri_sans: uri_sans.collect() })
    }
}

/// SHA-256 of a certificate's SubjectPublicKeyInfo, and the end of its validity in Unix time.
///
/// # Errors
/// [`Error::Certificate`] if it is not a certificate.
pub fn certificate_key(certificate: &CertificateDer<'_>) -> Result<([u8; 32], u64), Error> {
    let spki_sha256 = Sha256::digest(parse(certificate)?.public_key().raw).into();
    Ok((spki_sha256, not_after(certificate)?))
}

/// The end of a certificate's validity, in Unix time.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Result<u64, Error> {
    Ok(u64::try_from(parse(certificate)?.validity().not_after.timestamp()).unwrap_or(0))
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    X509Certificate::from_der(certificate).map(|(_, parsed)| parsed).map_err(|error| malformed(&error))
}

fn malformed(error: &dyn std::error::Error) -> Error {
    Error::Certificate { why: error.to_string() }
}
