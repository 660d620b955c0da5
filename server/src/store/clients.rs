//! The client table: who may ask, by certificate and by request key.

use rusqlite::Row;
use veilmatch_protocol::name::{ListId, PlatformId};

use super::{Store, name, signed, unsigned};
use crate::{Error, enrolment::EvidenceKeys};

/// An enrolled platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRow {
    /// Its name.
    pub platform: PlatformId,
    /// SHA-256 of the SubjectPublicKeyInfo of its TLS key.
    pub spki_sha256: [u8; 32],
    /// The URI in its certificate's subject alternative names.
    pub uri_san: String,
    /// Its Ed25519 request key.
    pub request_key: [u8; 32],
    /// The keys behind its evidence; `None` if it enrolled before there were any, and has not renewed since.
    pub evidence_keys: Option<EvidenceKeys>,
    /// How to reach its people.
    pub contact: String,
    /// Elements of one list per UTC day.
    pub elements_per_day: u64,
    /// Frames of one list per UTC day.
    pub frames_per_day: u64,
    /// The lists that it may ask, by name.
    pub lists: Vec<ListId>,
    /// When it was enrolled.
    pub added: u64,
    /// When its certificate expires.
    pub certificate_until: u64,
    /// Since when it is suspended.
    pub suspended_at: Option<u64>,
}

impl Store {
    /// Writes a client and what it may ask: a new one, or in place of the one of the same name. Whether that one is
    /// suspended stays as it is: another command may have decided it a moment ago.
    ///
    /// # Errors
    /// [`Error::KeyInUse`] if another client has the TLS key, [`Error::Store`].
    pub fn put_client(&mut self, client: &ClientRow) -> Result<(), Error> {
        let platform = client.platform.as_str();
        self.change(|tx| {
            let taken: bool = tx.query_row(
                "SELECT EXISTS (SELECT 1 FROM client WHERE spki_sha256 = ?1 AND platform <> ?2)",
                (client.spki_sha256, platform),
                |row| row.get(0),
            )?;
            if taken {
                return Err(Error::KeyInUse);
            }
            tx.execute(
                "INSERT INTO client (platform, spki_sha256, uri_san, request_key, contact, elements_per_day,
                     frames_per_day, added, certificate_until, suspended_at, match_log_key, receipt_key, witness_key)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT (platform) DO UPDATE SET spki_sha256 = excluded.spki_sha256, uri_san = excluded.uri_san,
                     request_key = excluded.request_key, contact = excluded.contact,
                     elements_per_day = excluded.elements_per_day, frames_per_day = excluded.frames_per_day,
                     certificate_until = excluded.certificate_until, match_log_key = excluded.match_log_key,
                     receipt_key = excluded.receipt_key, witness_key = excluded.witness_key",
                rusqlite::params![
                    platform,
                    client.spki_sha256,
                    &client.uri_san,
                    client.request_key,
                    &client.contact,
                    signed(client.elements_per_day),
                    signed(client.frames_per_day),
                    signed(client.added),
                    signed(client.certificate_until),
                    client.suspended_at.map(signed),
                    key(client, |keys| &keys.match_log),
                    key(client, |keys| &keys.receipt),
                    key(client, |keys| &keys.witness),
                ],
            )?;
            tx.execute("DELETE FROM access WHERE platform = ?1", [platform])?;
            for list in &client.lists {
                tx.execute("INSERT INTO access (platform, list) VALUES (?1, ?2)", (platform, list.as_str()))?;
            }
            Ok(())
        })
    }

    /// Suspends a client, or admits it again.
    ///
    /// # Errors
    /// [`Error::UnknownClient`], [`Error::Store`].
    pub fn suspend_client(&mut self, platform: &PlatformId, since: Option<u64>) -> Result<(), Error> {
        self.change(|tx| {
            let sql = "UPDATE client SET suspended_at = ?2 WHERE platform = ?1";
            match tx.execute(sql, (platform.as_str(), since.map(signed)))? {
                0 => Err(Error::UnknownClient { platform: platform.to_string() }),
                _ => Ok(()),
            }
        })
    }

    /// Every client, by name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn clients(&self) -> Result<Vec<ClientRow>, Error> {
        let sql =
            "SELECT platform, spki_sha256, uri_san, request_key, contact, elements_per_day, frames_per_day, added,
                       certificate_until, suspended_at, match_log_key, receipt_key, witness_key
                   FROM client ORDER BY platform";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut clients = statement.query_map([], client_row)?.collect::<Result<Vec<_>, _>>()?;
        for client in &mut clients {
            client.lists = self.lists_of(&client.platform)?;
        }
        Ok(clients)
    }

    /// A client by name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn client(&self, platform: &PlatformId) -> Result<Option<ClientRow>, Error> {
        Ok(self.clients()?.into_iter().find(|client| client.platform == *platform))
    }

    fn lists_of(&self, platform: &PlatformId) -> Result<Vec<ListId>, Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT list FROM access WHERE platform = ?1 ORDER BY list")?;
        Ok(statement.query_map([platform.as_str()], |row| name(row, 0))?.collect::<Result<_, _>>()?)
    }
}

// Empty where there is none.
fn key(client: &ClientRow, of: impl Fn(&EvidenceKeys) -> &[u8; 32]) -> &[u8] {
    client.evidence_keys.as_ref().map_or(&[], |keys| of(keys))
}

fn evidence_keys(row: &Row<'_>) -> rusqlite::Result<Option<EvidenceKeys>> {
    if row.get_ref(10)?.as_blob()?.is_empty() {
        return Ok(None);
    }
    Ok(Some(EvidenceKeys { match_log: row.get(10)?, receipt: row.get(11)?, witness: row.get(12)? }))
}

fn client_row(row: &Row<'_>) -> rusqlite::Result<ClientRow> {
    Ok(ClientRow {
        platform: name(row, 0)?,
        spki_sha256: row.get(1)?,
        uri_san: row.get(2)?,
        request_key: row.get(3)?,
        evidence_keys: evidence_keys(row)?,
        contact: row.get(4)?,
        elements_per_day: unsigned(row.get(5)?),
        frames_per_day: unsigned(row.get(6)?),
        lists: Vec::new(),
        added: unsigned(row.get(7)?),
        certificate_until: unsigned(row.get(8)?),
        suspended_at: row.get::<_, Option<i64>>(9)?.map(unsigned),
    })
}
