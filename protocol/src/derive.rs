//! What follows from a PRF output: match secret, label key and tag (SPEC §4.5).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use veilmatch_ristretto::Sha512Many;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    encode::push_lp2,
    json,
    name::{Epoch, ListId},
    oprf::Output,
};

/// The name under which an entry is published: 16 bytes that show nothing without the entry's evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(#[serde(with = "json::bytes")] pub [u8; 16]);

/// The list and epoch that an output belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochContext {
    /// The list.
    pub list: ListId,
    /// The epoch whose key made the output.
    pub epoch: Epoch,
}

impl EpochContext {
    /// okm = SHA-512("veilmatch/v1/derive", list, epoch, y) of every output, every field behind I2OSP(len, 2).
    #[must_use]
    pub fn okms(&self, outputs: &[Output]) -> Vec<Okm> {
        let mut prefix = Vec::new();
        push_lp2(&mut prefix, b"veilmatch/v1/derive");
        push_lp2(&mut prefix, self.list.as_str().as_bytes());
        push_lp2(&mut prefix, &self.epoch.0.to_be_bytes());
        prefix.extend_from_slice(&[0, 64]);
        let mut digests = Zeroizing::new(vec![[0; 64]; outputs.len()]);
        Sha512Many::new(&prefix).digests(&mut digests, |i, message| message.extend(outputs[i].danger_as_bytes()));
        digests.iter().copied().map(Okm).collect()
    }

    /// As [`Self::okms`], of one output.
    #[must_use]
    pub fn okm(&self, output: &Output) -> Okm {
        self.okms(std::slice::from_ref(output)).swap_remove(0)
    }
}

/// 64 bytes from which an item's tag, receipts and label follow for one epoch. Sealed wherever it is kept.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Okm([u8; 64]);

impl Okm {
    /// okm from a sealed store.
    #[must_use]
    pub fn danger_from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// okm for a sealed store.
    #[must_use]
    pub fn danger_as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// The first half: a preimage of the tag, which makes a receipt.
    #[must_use]
    pub fn match_secret(&self) -> MatchSecret {
        MatchSecret(self.0[..32].try_into().expect("half of 64"))
    }

    /// The second half: seals and opens the entry's label.
    #[must_use]
    pub fn label_key(&self) -> LabelKey {
        LabelKey(self.0[32..].try_into().expect("half of 64"))
    }

    pub(crate) fn label_half(&self) -> &[u8] {
        &self.0[32..]
    }

    /// The item's tag.
    #[must_use]
    pub fn tag(&self) -> Tag {
        tag_of(&self.0[..32])
    }
}

/// Shows that its holder had the evaluation of the entry with this tag.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MatchSecret(pub(crate) [u8; 32]);

impl MatchSecret {
    /// A match secret that was shown, in an opening.
    #[must_use]
    pub fn danger_from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A match secret for an opening that shows it.
    ///
    /// # Security
    /// Whoever reads it can make receipts of level 1 for this entry: showing it spends it (SPEC §19.3).
    #[must_use]
    pub fn danger_as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256("veilmatch/v1/tag" ‖ match_secret), first 16 bytes.
    #[must_use]
    pub fn tag(&self) -> Tag {
        tag_of(&self.0)
    }
}

impl PartialEq for MatchSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Seals and opens one entry's label.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct LabelKey(pub(crate) [u8; 32]);

fn tag_of(match_secret: &[u8]) -> Tag {
    let digest = Sha256::new().chain_update(b"veilmatch/v1/tag").chain_update(match_secret).finalize();
    Tag(digest[..16].try_into().expect("SHA-256 gives 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{item::Item, item::Kind, oprf};

    #[test]
    fn list_epoch_and_item_each_change_the_tag() {
        // SPEC §4.5
        let list = ListId::parse("baseline").unwrap();
        let key = oprf::SecretKey::for_epoch(&[1; 32], &list, Epoch(1)).unwrap();
        let tag = |list: &str, epoch, byte| {
            let item = Item::new(Kind::Sha256, &[byte; 32]).unwrap();
            let output = oprf::evaluate(oprf::Mode::Voprf, &key, &[item.as_bytes()]).unwrap();
            let context = EpochContext { list: ListId::parse(list).unwrap(), epoch: Epoch(epoch) };
            let okm = context.okm(&output[0]);
            assert_eq!(okm.tag(), okm.match_secret().tag());
            okm.tag()
        };
        let all = [tag("baseline", 1, 7), tag("baselin", 1, 7), tag("baseline", 2, 7), tag("baseline", 1, 8)];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
    }
}
