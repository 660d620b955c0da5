//! The keys behind the agency's logs: the manifest log's, the query log's, that of acknowledgements, and the one that
//! cosigns.

use ed25519_dalek::{SigningKey, VerifyingKey};
use veilmatch_audit::{
    cosignature::{Cosigner, Witness},
    origin::{self, LogOrigin},
};
use veilmatch_protocol::{
    name::{AgencyName, Origin},
    note::Verifier,
};

use crate::{Error, keys::read_signing_key, state_dir::StateDir};

/// What the running server signs with beside manifests.
pub struct LogKeys {
    /// Signs the checkpoints of the query log.
    pub query: SigningKey,
    /// Signs acknowledgements and closing statements.
    pub ack: SigningKey,
    /// Cosigns the platforms' checkpoints.
    pub witness: Cosigner,
    public: PublicKeys,
}

impl LogKeys {
    /// Reads the keys from an agency's directory.
    ///
    /// # Errors
    /// [`Error::KeyFile`], [`Error::KeyFileMode`], [`Error::Io`].
    pub fn read(dir: &StateDir, agency: &AgencyName) -> Result<Self, Error> {
        let manifest = read_signing_key(&dir.manifest_key())?.verifying_key();
        let query = read_signing_key(&dir.query_log_key())?;
        let ack = read_signing_key(&dir.ack_key())?;
        let witness = read_signing_key(&dir.witness_key())?;
        let witness = Cosigner::new(&origin::agency_witness_key(agency), witness)?;
        let public = PublicKeys {
            manifest: Verifier::new(Origin::of(agency).as_str(), manifest)?,
            query: Verifier::new(&origin::query_log_key(agency), query.verifying_key())?,
            ack: Verifier::new(&origin::ack_key(agency), ack.verifying_key())?,
            witness: witness.witness(),
        };
        Ok(Self { query, ack, witness, public })
    }

    /// What others verify with.
    #[must_use]
    pub fn public(&self) -> &PublicKeys {
        &self.public
    }
}

/// The keys that an invitation pins.
#[derive(Debug, Clone)]
pub struct PublicKeys {
    /// The manifest log's.
    pub manifest: Verifier,
    /// The query log's, for all its shards.
    pub query: Verifier,
    /// That of acknowledgements.
    pub ack: Verifier,
    /// The one that the agency cosigns with.
    pub witness: Witness,
}

impl PublicKeys {
    /// What the checkpoints of a log of the agency's are verified with; `None` if it is not the agency's log.
    #[must_use]
    pub fn of(&self, log: &LogOrigin) -> Option<Verifier> {
        let pinned = match log {
            LogOrigin::Manifest(_) => &self.manifest,
            LogOrigin::Query(..) => &self.query,
            LogOrigin::Match(..) => return None,
        };
        log.verifier(pinned).ok()
    }

    /// The public key of a platform's log or witness, as its row has it.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is none.
    pub fn decode(key: &[u8; 32]) -> Result<VerifyingKey, Error> {
        let damaged = |_| Error::Damaged { what: "the client table".into(), why: "a key in it is no key".into() };
        VerifyingKey::from_bytes(key).map_err(damaged)
    }
}
