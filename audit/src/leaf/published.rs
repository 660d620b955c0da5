//! Leaves of the manifest log beside manifests: withdrawals, and items shown not to be listed (SPEC §18.2).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use veilmatch_protocol::{
    derive::{EpochContext, Tag},
    frame::{BatchId, FrameContext, verify_answer},
    item::Item,
    json,
    manifest::{Hash, Timestamp},
    name::{AgencyName, Epoch, ListId, Origin, PlatformId, Version},
    oprf::{self, Blind, Mode, PublicKey},
};

use super::{Code, Nonce, Signature, leaf, member::counted};
use crate::Error;

/// A version, or one tag, that is not to be used any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/withdraw/v1", deny_unknown_fields)]
pub struct Withdraw {
    /// The agency.
    pub agency: AgencyName,
    /// A match after this is a finding.
    pub deadline: Timestamp,
    /// The epoch.
    pub epoch: Epoch,
    /// The list.
    pub list: ListId,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// Why.
    pub reason: Code,
    /// When it was written.
    pub t: Timestamp,
    /// The tag; none withdraws the whole version.
    #[serde(with = "json::maybe")]
    pub tag: Option<Tag>,
    /// The version.
    pub version: Version,
}

impl Withdraw {
    fn within_limits(&self) -> bool {
        counted(self.epoch, self.version)
    }
}

/// The evaluation of a named lawful item: everybody can compute its tag, and see that the list does not have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "veilmatch/absent/v1", deny_unknown_fields)]
pub struct Absent {
    /// The agency.
    pub agency: AgencyName,
    /// The epoch.
    pub epoch: Epoch,
    /// k·HashToGroup(item).
    pub evaluated: Hash,
    /// The item; it is lawful and public.
    #[serde(serialize_with = "write_item", deserialize_with = "read_item")]
    pub item: Item,
    /// The list.
    pub list: ListId,
    /// 16 random bytes.
    pub nonce: Nonce,
    /// The proof, of a frame of one.
    pub proof: Signature,
    /// When it was written.
    pub t: Timestamp,
    /// The version.
    pub version: Version,
}

impl Absent {
    /// The item's tag, once the evaluation is proven: what no record of the version may have.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] if the proof does not hold under the epoch's key.
    ///
    /// # Panics
    /// Never: one is a blind.
    pub fn tag(&self, key: &PublicKey) -> Result<Tag, Error> {
        let mut one = [0; 32];
        one[0] = 1;
        let blind = [Blind::danger_from_bytes(one).expect("one is canonical and not zero")];
        let item = [self.item.as_bytes()];
        let blinded = oprf::blind(Mode::Voprf, &item, &blind).map_err(|_| Error::BadLeaf)?;
        let context = FrameContext {
            origin: Origin::of(&self.agency),
            list: self.list.clone(),
            epoch: self.epoch,
            platform: PlatformId::parse(self.agency.as_str()).map_err(|_| Error::BadLeaf)?,
            batch: BatchId([0; 16]),
        };
        let evaluated = verify_answer(&context, key, &blinded, &self.evaluated.0, &self.proof.0);
        let outputs = oprf::finalize(&item, &blind, &evaluated.map_err(|_| Error::BadLeaf)?);
        Ok(EpochContext { list: self.list.clone(), epoch: self.epoch }.okm(&outputs[0]).tag())
    }

    fn within_limits(&self) -> bool {
        counted(self.epoch, self.version)
    }
}

fn write_item<S: Serializer>(item: &Item, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(item.as_bytes()))
}

fn read_item<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Item, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = STANDARD.decode(text).map_err(|_| D::Error::custom("not padded base64"))?;
    Item::from_bytes(&bytes).map_err(|_| D::Error::custom("not an item"))
}

leaf!(Withdraw);
leaf!(Absent);
