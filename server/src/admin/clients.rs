//! `client add`, `list`, `suspend`.

use std::{fs, io, path::Path};

use veilmatch_protocol::name::{ListId, PlatformId};

use super::Agency;
use crate::{
    Error,
    authority::Authority,
    config::MAX_BUDGET,
    enrolment::{EnrolmentRequest, INVITATION, Invitation, InvitedBudget},
    logs::LogKeys,
    state_dir::prepare_private,
    store::ClientRow,
};

/// Longest file that may be an invitation (SPEC §9.2).
const MAX_INVITATION: u64 = 64 * 1_024;

/// What the agency decides about a platform.
#[derive(Debug, Clone, Default)]
pub struct ClientTerms {
    /// Elements of one list per UTC day; the configuration's default if not told.
    pub elements_per_day: Option<u64>,
    /// Frames of one list per UTC day; the configuration's default if not told.
    pub frames_per_day: Option<u64>,
    /// The lists that it may ask. If none is told: those that it may ask already, or all of them if it is new.
    pub lists: Vec<ListId>,
    /// Open all lists to it, also if it is known and may ask some.
    pub all_lists: bool,
    /// Take a platform's new keys in place of those that it was enrolled with.
    pub replace: bool,
}

/// What `client add` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAdded {
    /// The platform is new.
    Enrolled(ClientRow),
    /// The same keys got a new certificate.
    Renewed(ClientRow),
    /// Other keys took the place of the old ones.
    Replaced(ClientRow),
}

impl Agency {
    /// Answers a platform's request with an invitation. The invitation is on the disk before the client is enrolled, and
    /// gets its name afterwards: whoever finds one can use it, and where none can be written nobody is enrolled.
    ///
    /// # Errors
    /// [`Error::EnrolmentRequest`], [`Error::ClientExists`], [`Error::KeyInUse`], [`Error::UnknownList`],
    /// [`Error::Argument`], [`Error::Busy`], [`Error::Io`].
    pub fn client_add(
        &mut self,
        request: &Path,
        invitation: &Path,
        terms: &ClientTerms,
        now: u64,
    ) -> Result<ClientAdded, Error> {
        let _lock = self.dir.lock_changes()?;
        let request = EnrolmentRequest::read(request)?;
        let known = self.store.client(&request.platform)?;
        let same_keys = known.as_ref().is_some_and(|known| {
            known.spki_sha256 == request.certificate.spki_sha256()
                && known.request_key == request.request_key
                // Who enrolled before there were such keys brings them with a renewal.
                && known.evidence_keys.is_none_or(|keys| keys == request.evidence_keys)
        });
        if known.is_some() && !same_keys && !terms.replace {
            return Err(Error::ClientExists { platform: request.platform.to_string() });
        }
        let lists = self.invited_lists(terms, known.as_ref())?;
        let row = self.enrol(&request, known.as_ref(), lists, terms, now, invitation)?;
        Ok(match known {
            None => ClientAdded::Enrolled(row),
            Some(_) if same_keys => ClientAdded::Renewed(row),
            Some(_) => ClientAdded::Replaced(row),
        })
    }

    fn enrol(
        &mut self,
        request: &EnrolmentRequest,
        known: Option<&ClientRow>,
        lists: Vec<ListId>,
        terms: &ClientTerms,
        now: u64,
        invitation: &Path,
    ) -> Result<ClientRow, Error> {
        let agency = self.config.agency();
        let budget = &self.config.budget;
        let elements = terms.elements_per_day.or(known.map(|known| known.elements_per_day));
        let frames = terms.frames_per_day.or(known.map(|known| known.frames_per_day));
        for (what, told) in [("--elements-per-day", terms.elements_per_day), ("--frames-per-day", terms.frames_per_day)]
        {
            if told.is_some_and(|told| told >= MAX_BUDGET) {
                return Err(Error::argument(what, format!("must be less than {MAX_BUDGET}")));
            }
        }
        let authority_file = self.dir.resolve(&self.config.tls.authority);
        let authority = Authority::read(&authority_file, &self.dir.resolve(&self.config.tls.authority_key))?;
        let days = self.config.enrolment.certificate_days;
        let certified = authority.certify_client(&request.certificate, &agency, &request.platform, now, days)?;
        let row = ClientRow {
            platform: request.platform.clone(),
            spki_sha256: certified.spki_sha256,
            uri_san: certified.uri_san,
            request_key: request.request_key,
            evidence_keys: Some(request.evidence_keys),
            contact: request.contact.clone(),
            elements_per_day: elements.unwrap_or(budget.elements_per_day),
            frames_per_day: frames.unwrap_or(budget.frames_per_day),
            lists,
            added: known.map_or(now, |known| known.added),
            certificate_until: certified.not_after,
            suspended_at: known.and_then(|known| known.suspended_at),
        };
        let keys = LogKeys::read(&self.dir, &agency)?;
        let keys = keys.public();
        let file = Invitation {
            r#type: INVITATION,
            agency: agency.to_string(),
            address: self.config.network.address.clone(),
            server_name: self.config.server_name().map_err(|why| Error::argument("network.address", why))?.to_owned(),
            authority: fs::read_to_string(&authority_file).map_err(Error::io("read", &authority_file))?,
            certificate: certified.certificate,
            manifest_key: keys.manifest.to_string(),
            query_log_key: keys.query.to_string(),
            ack_key: keys.ack.to_string(),
            witness_key: keys.witness.to_string(),
            lists: row.lists.iter().map(ListId::to_string).collect(),
            budget: InvitedBudget { elements: row.elements_per_day, frames: row.frames_per_day },
        };
        refuse_to_replace(invitation)?;
        let written = prepare_private(invitation, file.to_json().as_bytes())?;
        self.store.put_client(&row)?;
        written.put_in_place()?;
        Ok(row)
    }

    // A renewal changes nothing that the operator did not name: who may ask one list goes on with that one.
    fn invited_lists(&self, terms: &ClientTerms, known: Option<&ClientRow>) -> Result<Vec<ListId>, Error> {
        if terms.all_lists && !terms.lists.is_empty() {
            return Err(Error::argument("--all-lists", "cannot be given together with --list"));
        }
        if let Some(known) = known.filter(|_| terms.lists.is_empty() && !terms.all_lists) {
            return Ok(known.lists.clone());
        }
        let all = self.lists()?;
        if terms.lists.is_empty() {
            return if all.is_empty() {
                Err(Error::argument(
                    "client add",
                    "there is no list yet to invite to; make one with `list create NAME`",
                ))
            } else {
                Ok(all)
            };
        }
        for list in &terms.lists {
            if !all.contains(list) {
                return Err(Error::UnknownList { list: list.to_string() });
            }
        }
        let mut lists = terms.lists.clone();
        lists.sort_unstable();
        lists.dedup();
        Ok(lists)
    }

    /// Every client.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn clients(&self) -> Result<Vec<ClientRow>, Error> {
        self.store.clients()
    }

    /// Suspends a client, or with `resume` admits it again. A running server refuses its next call.
    ///
    /// Waits for no other command: it is one transaction, and an import or a publication may hold the lock of changes for
    /// longer than a stolen key may be used.
    ///
    /// # Errors
    /// [`Error::UnknownClient`], [`Error::Store`].
    pub fn client_suspend(&mut self, platform: &PlatformId, resume: bool, now: u64) -> Result<(), Error> {
        self.store.suspend_client(platform, (!resume).then_some(now))
    }
}

// What already has the invitation's name may be replaced only if it is an invitation.
fn refuse_to_replace(path: &Path) -> Result<(), Error> {
    let refuse = || Err(Error::argument("--out", format!("{} exists and is no invitation", path.display())));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("read", path)(error)),
        Ok(metadata) if !metadata.is_file() || metadata.len() > MAX_INVITATION => return refuse(),
        Ok(_) => {}
    }
    let text = fs::read(path).map_err(Error::io("read", path))?;
    match serde_json::from_slice::<serde_json::Value>(&text) {
        Ok(file) if file["type"] == INVITATION => Ok(()),
        _ => refuse(),
    }
}
