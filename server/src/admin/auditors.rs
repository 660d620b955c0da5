//! `auditor add`, `list`, `suspend`.

use std::{fs, path::Path};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use veilmatch_protocol::name::PlatformId;

use super::Agency;
use crate::{
    Error,
    authority::{Authority, CertificateRequest},
    state_dir::write_public,
    store::AuditorRow,
    tls::certificate_key,
};

/// What an auditor has: a request to be certified here, or a certificate of the configured authority.
#[derive(Debug, Clone, Copy)]
pub enum AuditorKey<'a> {
    /// A certificate request in PEM; the certificate goes into the second file.
    Request(&'a Path, &'a Path),
    /// A certificate in PEM.
    Certificate(&'a Path),
}

impl Agency {
    /// Enrols an auditor, who may then read the entries of the query log. The same name again takes a new key.
    ///
    /// # Errors
    /// [`Error::Argument`], [`Error::Certificate`], [`Error::KeyInUse`], [`Error::Busy`], [`Error::Io`].
    pub fn auditor_add(&mut self, auditor: &PlatformId, key: AuditorKey<'_>, now: u64) -> Result<AuditorRow, Error> {
        let _lock = self.dir.lock_changes()?;
        let (spki_sha256, certificate_until) = match key {
            AuditorKey::Request(request, out) => self.certify_auditor(auditor, request, out, now)?,
            AuditorKey::Certificate(path) => {
                let pem = fs::read(path).map_err(Error::io("read", path))?;
                let certificate = CertificateDer::from_pem_slice(&pem)
                    .map_err(|_| Error::argument("--certificate", "holds no certificate in PEM"))?;
                certificate_key(&certificate)?
            }
        };
        let row = AuditorRow { name: auditor.clone(), spki_sha256, added: now, certificate_until, suspended_at: None };
        self.store.put_auditor(&row)?;
        Ok(row)
    }

    fn certify_auditor(
        &self,
        auditor: &PlatformId,
        request: &Path,
        out: &Path,
        now: u64,
    ) -> Result<([u8; 32], u64), Error> {
        let pem = fs::read_to_string(request).map_err(Error::io("read", request))?;
        let request = CertificateRequest::parse(&pem).map_err(|why| Error::argument("--csr", why))?;
        let authority = Authority::read(
            &self.dir.resolve(&self.config.tls.authority),
            &self.dir.resolve(&self.config.tls.authority_key),
        )?;
        let days = self.config.enrolment.certificate_days;
        let certified = authority.certify_auditor(&request, &self.config.agency(), auditor, now, days)?;
        write_public(out, certified.certificate.as_bytes())?;
        Ok((certified.spki_sha256, certified.not_after))
    }

    /// Every auditor.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn auditors(&self) -> Result<Vec<AuditorRow>, Error> {
        self.store.auditors()
    }

    /// Suspends an auditor, or with `resume` admits it again. A running server refuses its next request.
    ///
    /// # Errors
    /// [`Error::UnknownAuditor`], [`Error::Store`].
    pub fn auditor_suspend(&mut self, auditor: &PlatformId, resume: bool, now: u64) -> Result<(), Error> {
        self.store.suspend_auditor(auditor, (!resume).then_some(now))
    }
}
