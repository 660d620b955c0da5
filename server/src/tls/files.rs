//! PEM files of certificates and keys.

use std::{fs, path::Path};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::{Error, state_dir::read_secret};

/// The certificates of a file, in its order; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = fs::read(path).map_err(Error::io("read", path))?;
    let unreadable = |why: String| Error::Certificate { why: format!("{}: {why}", path.display()) };
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = read.map_err(|error| unreadable(error.to_string()))?;
    if chain.is_empty() { Err(unreadable("holds no certificate in PEM".to_owned())) } else { Ok(chain) }
}

/// The first private key of a file that is ours and nobody else's to read.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let pem = read_secret(path)?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| Error::KeyFile { path: path.to_owned(), why: "holds no private key in PEM" })
}
