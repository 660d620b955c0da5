//! Auditors: who may read the entries of the query log.

use rusqlite::Row;
use veilmatch_protocol::name::PlatformId;

use super::{Store, name, signed, unsigned};
use crate::Error;

/// An enrolled auditor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditorRow {
    /// Its name, of the same grammar as a platform's.
    pub name: PlatformId,
    /// SHA-256 of the SubjectPublicKeyInfo of its TLS key.
    pub spki_sha256: [u8; 32],
    /// When it was enrolled.
    pub added: u64,
    /// When its certificate expires.
    pub certificate_until: u64,
    /// Since when it is suspended.
    pub suspended_at: Option<u64>,
}

impl Store {
    /// Writes an auditor: a new one, or in place of the one of the same name, which stays suspended if it is.
    ///
    /// # Errors
    /// [`Error::KeyInUse`] if another auditor has the TLS key, [`Error::Store`].
    pub fn put_auditor(&mut self, auditor: &AuditorRow) -> Result<(), Error> {
        self.change(|tx| {
            let taken: bool = tx.query_row(
                "SELECT EXISTS (SELECT 1 FROM auditor WHERE spki_sha256 = ?1 AND name <> ?2)",
                (auditor.spki_sha256, auditor.name.as_str()),
                |row| row.get(0),
            )?;
            if taken {
                return Err(Error::KeyInUse);
            }
            tx.execute(
                "INSERT INTO auditor (name, spki_sha256, added, certificate_until) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET spki_sha256 = excluded.spki_sha256,
                     certificate_until = excluded.certificate_until",
                (auditor.name.as_str(), auditor.spki_sha256, signed(auditor.added), signed(auditor.certificate_until)),
            )?;
            Ok(())
        })
    }

    /// Suspends an auditor, or admits it again.
    ///
    /// # Errors
    /// [`Error::UnknownAuditor`], [`Error::Store`].
    pub fn suspend_auditor(&mut self, auditor: &PlatformId, since: Option<u64>) -> Result<(), Error> {
        self.change(|tx| {
            let sql = "UPDATE auditor SET suspended_at = ?2 WHERE name = ?1";
            match tx.execute(sql, (auditor.as_str(), since.map(signed)))? {
                0 => Err(Error::UnknownAuditor { auditor: auditor.to_string() }),
                _ => Ok(()),
            }
        })
    }

    /// Every auditor, by name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn auditors(&self) -> Result<Vec<AuditorRow>, Error> {
        let sql = "SELECT name, spki_sha256, added, certificate_until, suspended_at FROM auditor ORDER BY name";
        let mut rows = self.connection.prepare_cached(sql)?;
        Ok(rows.query_map([], auditor_row)?.collect::<Result<_, _>>()?)
    }
}

fn auditor_row(row: &Row<'_>) -> rusqlite::Result<AuditorRow> {
    Ok(AuditorRow {
        name: name(row, 0)?,
        spki_sha256: row.get(1)?,
        added: unsigned(row.get(2)?),
        certificate_until: unsigned(row.get(3)?),
        suspended_at: row.get::<_, Option<i64>>(4)?.map(unsigned),
    })
}
