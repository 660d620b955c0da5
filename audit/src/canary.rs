//! Canaries: entries that the agency fixes beforehand, to see whether they are found (SPEC §18.7).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use veilmatch_protocol::{derive::Tag, json, manifest::Hash, merkle};

use crate::{
    Error,
    tree::{self, MAX_PROOF},
};

/// What opens one canary's commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// By when it was uploaded, in minutes of Unix time.
    pub deadline: u64,
    /// 32 random bytes.
    pub salt: Hash,
    /// The entry's tag.
    pub tag: Tag,
}

impl Canary {
    /// C = SHA-256("veilmatch/v1/canary" ‖ salt ‖ tag ‖ u64(deadline)).
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        let hash = Sha256::new()
            .chain_update(b"veilmatch/v1/canary")
            .chain_update(self.salt.0)
            .chain_update(self.tag.0)
            .chain_update(self.deadline.to_be_bytes());
        hash.finalize().into()
    }
}

/// The commitments to a version's canaries, in their order.
#[derive(Debug, Clone)]
pub struct Commitments(Vec<[u8; 32]>);

impl Commitments {
    /// Orders the commitments to all canaries of a version.
    #[must_use]
    pub fn new(canaries: &[Canary]) -> Self {
        let mut commitments: Vec<_> = canaries.iter().map(Canary::commitment).collect();
        commitments.sort_unstable();
        Self(commitments)
    }

    /// What the manifest has as `canary_root`; without canaries, the root of the empty tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        Hash(merkle::root(self.leaves()))
    }

    /// Opens one of them.
    ///
    /// # Errors
    /// [`Error::NotInTree`] if it is not one of them.
    pub fn open(&self, canary: &Canary) -> Result<CanaryOpening, Error> {
        let index = self.0.binary_search(&canary.commitment()).map_err(|_| Error::NotInTree)?;
        let leaves: Vec<_> = self.leaves().collect();
        let path = merkle::path(&leaves, index).into_iter().map(Hash).collect();
        let &Canary { deadline, salt, tag } = canary;
        Ok(CanaryOpening {
            kind: Type::Canary,
            deadline,
            index: index as u64,
            path,
            salt,
            size: leaves.len() as u64,
            tag,
        })
    }

    fn leaves(&self) -> impl Iterator<Item = [u8; 32]> + '_ {
        self.0.iter().map(|commitment| merkle::leaf_hash(commitment))
    }
}

/// A canary, and that it is under a version's root: what an agency shows an auditor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryOpening {
    #[serde(rename = "type")]
    kind: Type,
    #[serde(with = "json::integer")]
    deadline: u64,
    #[serde(with = "json::integer")]
    index: u64,
    path: Vec<Hash>,
    salt: Hash,
    #[serde(with = "json::integer")]
    size: u64,
    tag: Tag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Type {
    #[serde(rename = "veilmatch/canary/v1")]
    Canary,
}

impl CanaryOpening {
    /// The canary.
    #[must_use]
    pub fn canary(&self) -> Canary {
        Canary { deadline: self.deadline, salt: self.salt, tag: self.tag }
    }

    /// Checks that the canary was fixed in a manifest with this `canary_root`.
    ///
    /// # Errors
    /// [`Error::BadOpening`] otherwise.
    pub fn verify(&self, canary_root: &Hash) -> Result<(), Error> {
        let path: Vec<_> = self.path.iter().map(|hash| hash.0).collect();
        let leaf = merkle::leaf_hash(&self.canary().commitment());
        tree::verify_inclusion(&leaf, self.index, self.size, &path, &canary_root.0).map_err(|_| Error::BadOpening)
    }

    /// One line of canonical JSON, without its newline.
    ///
    /// # Errors
    /// [`Error::BadOpening`] if a number is too large.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        json::encode(self).filter(|_| self.path.len() <= MAX_PROOF).ok_or(Error::BadOpening)
    }

    /// Reads one line, without its newline.
    ///
    /// # Errors
    /// [`Error::BadOpening`] for any other form.
    pub fn decode(line: &[u8]) -> Result<Self, Error> {
        let opening: Self = json::decode(line).ok_or(Error::BadOpening)?;
        if opening.path.len() <= MAX_PROOF { Ok(opening) } else { Err(Error::BadOpening) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canaries(n: u8) -> Vec<Canary> {
        (0..n).map(|i| Canary { deadline: 29_666_666, salt: Hash([i; 32]), tag: Tag([i; 16]) }).collect()
    }

    #[test]
    fn every_canary_opens_under_the_root_of_its_version_and_under_no_other() {
        // SPEC §18.7
        for n in 1..20 {
            let (all, other) = (canaries(n), Commitments::new(&canaries(n + 1)).root());
            let commitments = Commitments::new(&all);
            for canary in &all {
                let opening = commitments.open(canary).unwrap();
                let line = opening.encode().unwrap();
                assert_eq!(CanaryOpening::decode(&line).unwrap(), opening);
                assert_eq!(opening.canary(), *canary);
                assert_eq!(opening.verify(&commitments.root()), Ok(()));
                assert_eq!(opening.verify(&other), Err(Error::BadOpening));
            }
        }
    }

    #[test]
    fn an_entry_that_was_not_fixed_does_not_open() {
        // SPEC §18.7
        let commitments = Commitments::new(&canaries(5));
        let honest = commitments.open(&canaries(5)[3]).unwrap();
        let edits: [fn(&mut CanaryOpening); 6] = [
            |o| o.deadline += 1,
            |o| o.tag.0[0] ^= 1,
            |o| o.salt.0[0] ^= 1,
            |o| o.index ^= 1,
            |o| o.size = 0,
            |o| o.path.clear(),
        ];
        for edit in edits {
            let mut forged = honest.clone();
            edit(&mut forged);
            assert_eq!(forged.verify(&commitments.root()), Err(Error::BadOpening));
        }
        let later = Canary { deadline: 0, ..canaries(1)[0] };
        assert_eq!(commitments.open(&later).err(), Some(Error::NotInTree));
        assert_eq!(Commitments::new(&[]).root(), Hash(merkle::root([])));
    }

    #[test]
    fn a_line_of_another_form_is_no_opening() {
        // SPEC §18.7
        let line = Commitments::new(&canaries(2)).open(&canaries(2)[0]).unwrap().encode().unwrap();
        let line = String::from_utf8(line).unwrap();
        let bad = [
            line.replace("canary/v1", "canary/v2"),
            line.replace("{", "{ "),
            line.replace("29666666", "9007199254740992"),
            line.replace("}", ",\"z\":1}"),
        ];
        for line in bad {
            assert_eq!(CanaryOpening::decode(line.as_bytes()), Err(Error::BadOpening), "{line}");
        }
    }
}
