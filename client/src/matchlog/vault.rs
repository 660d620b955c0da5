//! Openings at rest: each under a key of its own, which is sealed under the key of the directory. Who destroys the row has
//! destroyed key and record (SPEC §19.1).

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use rand::{Rng, rand_core::UnwrapErr, rngs::SysRng};
use sha2::Sha256;
use veilmatch_protocol::{
    derive::Tag,
    name::{Epoch, ListId},
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    Error,
    state_dir::{StateDir, read_secret, write_private},
    store::Sealed,
};

/// Length of a nonce, before its ciphertext.
const NONCE_LEN: usize = 24;

/// Seals openings, and names matches without showing them.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Vault {
    wrap: [u8; 32],
    find: [u8; 32],
}

impl Vault {
    /// Makes the key of a directory.
    pub(crate) fn make(dir: &StateDir) -> Result<(), Error> {
        write_private(&dir.openings_key(), random::<32>().as_slice())
    }

    /// Reads what [`Self::make`] made.
    pub(crate) fn open(dir: &StateDir) -> Result<Self, Error> {
        let path = dir.openings_key();
        let key = read_secret(&path)?;
        if key.len() != 32 {
            return Err(Error::KeyFile { path, why: "is not 32 bytes" });
        }
        Ok(Self {
            wrap: mac(&key, &[b"veilmatch/v1/openings-wrap"]),
            find: mac(&key, &[b"veilmatch/v1/openings-find"]),
        })
    }

    /// What a match is found by: the same for the same entry and label, whatever was checked.
    pub(crate) fn match_id(&self, list: &ListId, epoch: Epoch, tag: &Tag, label: &[u8]) -> [u8; 16] {
        // The label comes last: nothing else here has a length that varies, but for the name, which has no zero byte.
        let parts = [list.as_str().as_bytes(), b"\0", &epoch.0.to_be_bytes(), &tag.0, label];
        *mac(&self.find, &parts).first_chunk().expect("16 of 32 bytes")
    }

    /// Seals a record under a fresh key.
    pub(crate) fn seal(&self, record: &[u8]) -> Sealed {
        let key = random::<32>();
        Sealed { key: seal(&self.wrap, b"key", key.as_slice()), record: seal(&key, b"record", record) }
    }

    /// Opens a record; nothing, if it or its key was altered, or the directory's key replaced.
    pub(crate) fn unseal(&self, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let key = open(&self.wrap, b"key", &sealed.key)?;
        open(key.as_slice().try_into().ok()?, b"record", &sealed.record)
    }
}

fn random<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    UnwrapErr(SysRng).fill_bytes(bytes.as_mut_slice());
    bytes
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn seal(key: &[u8; 32], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce = random::<NONCE_LEN>();
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(&XNonce::from(*nonce), Payload { msg: plain, aad });
    let sealed = sealed.expect("a record is far shorter than what the cipher takes");
    [nonce.as_slice(), &sealed].concat()
}

fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let plain = XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), Payload { msg: body, aad });
    plain.ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> (tempfile::TempDir, Vault) {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::create(root.path()).unwrap();
        Vault::make(&dir).unwrap();
        let vault = Vault::open(&dir).unwrap();
        (root, vault)
    }

    #[test]
    fn a_record_opens_under_its_own_key_and_no_changed_one() {
        let (_root, vault) = vault();
        let sealed = vault.seal(b"a synthetic record");
        assert_eq!(vault.unseal(&sealed).unwrap().as_slice(), b"a synthetic record");
        assert!(!sealed.record.windows(9).any(|window| window == b"synthetic"));
        let other = vault.seal(b"another");
        assert!(vault.unseal(&Sealed { key: other.key, record: sealed.record.clone() }).is_none());
        for at in 0..sealed.key.len() {
            let mut key = sealed.key.clone();
            key[at] ^= 1;
            assert!(vault.unseal(&Sealed { key, record: sealed.record.clone() }).is_none());
        }
    }

    #[test]
    fn a_match_is_named_by_list_epoch_entry_and_label_and_by_the_directory() {
        let (_root, one) = vault();
        let (_other_root, two) = vault();
        let list = |name| ListId::parse(name).unwrap();
        let id = |vault: &Vault, name, epoch, tag, label: &[u8]| {
            vault.match_id(&list(name), Epoch(epoch), &Tag([tag; 16]), label)
        };
        let first = id(&one, "a", 1, 2, b"label");
        assert_eq!(first, id(&one, "a", 1, 2, b"label"));
        let others = [
            id(&one, "b", 1, 2, b"label"),
            id(&one, "a", 2, 2, b"label"),
            id(&one, "a", 1, 3, b"label"),
            id(&one, "a", 1, 2, b"labe"),
            id(&two, "a", 1, 2, b"label"),
        ];
        assert!(!others.contains(&first));
    }
}
