//! Results kept sealed on disk for the epoch, so that a new version is matched without asking anybody (SPEC §12.5).
//!
//! A block holds subjects ascending by tag under XChaCha20-Poly1305, bound to its list, epoch and id: matching it walks
//! through the published list from front to back. Items are found by HMAC under a key of their own, never by digest; the
//! same HMAC stands beside each row, under the seal, so that a row is taken for its own item and for no other.

use std::borrow::Cow;

use chacha20poly1305::{
    AeadInOut, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use rand::{Rng, TryRng, rand_core::UnwrapErr, rngs::SysRng};
use sha2::Sha256;
use veilmatch_protocol::{
    derive::Okm,
    frame::BatchId,
    item::{Item, Kind},
    name::{Epoch, ListId},
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    Error,
    state_dir::{StateDir, read_secret, write_private},
    store::{BlockId, IdOf},
};

/// Length of a block's nonce, before its ciphertext.
const NONCE_LEN: usize = 24;

/// Length of a block's authentication tag, after its ciphertext.
const TAG_LEN: usize = 16;

/// Bytes of a row in a block: what its item is found by, kind, okm, batch id, position.
const ROW_LEN: usize = 16 + 1 + 64 + 16 + 2;

/// One item's result.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) okm: Okm,
    pub(crate) batch: BatchId,
    pub(crate) position: u16,
}

/// A subject and the results of its items.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) reference: Vec<u8>,
    pub(crate) whole: bool,
    pub(crate) rows: Vec<Row>,
    /// What the item of each row is found by, in the order of the rows.
    pub(crate) ids: Vec<IdOf>,
}

impl Kept {
    /// The row of the item that is found by this id.
    pub(crate) fn row_of(&self, id: &IdOf) -> Option<&Row> {
        self.ids.iter().position(|of| of == id).map(|at| &self.rows[at])
    }
}

/// A subject that is about to be sealed: as [`Kept`], and held by somebody else.
#[derive(Clone)]
pub(crate) struct ToSeal<'a> {
    pub(crate) reference: &'a [u8],
    pub(crate) whole: bool,
    pub(crate) rows: &'a [Row],
    pub(crate) ids: Cow<'a, [IdOf]>,
}

impl<'a> From<&'a Kept> for ToSeal<'a> {
    fn from(Kept { reference, whole, rows, ids }: &'a Kept) -> Self {
        Self { reference, whole: *whole, rows, ids: Cow::Borrowed(ids) }
    }
}

/// Finds ids of many items: the key goes into the hash once.
pub(crate) struct ItemIds(Hmac<Sha256>);

impl ItemIds {
    /// What an item's row is found by.
    pub(crate) fn of(&self, item: &Item) -> IdOf {
        short(&self.0.clone().chain_update(item.as_bytes()).finalize().into_bytes().into())
    }
}

/// Seals and finds the results of one (list, epoch).
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Seal {
    find: [u8; 32],
    seal: [u8; 32],
    mark: [u8; 32],
}

impl Seal {
    /// Reads the epoch's key, or makes it.
    pub(crate) fn open(dir: &StateDir, list: &ListId, epoch: Epoch) -> Result<Self, Error> {
        let path = dir.results_key(list, epoch);
        if !path.exists() {
            let mut key = Zeroizing::new([0; 32]);
            SysRng
                .try_fill_bytes(key.as_mut_slice())
                .map_err(|error| Error::io("draw random bytes for", &path)(std::io::Error::other(error)))?;
            write_private(&path, key.as_slice())?;
        }
        let key = read_secret(&path)?;
        if key.len() != 32 {
            return Err(Error::KeyFile { path, why: "is not 32 bytes" });
        }
        let subkey = |purpose: &[u8]| mac(&key, &[purpose]);
        Ok(Self {
            find: subkey(b"veilmatch/v1/results-find"),
            seal: subkey(b"veilmatch/v1/results-seal"),
            mark: subkey(b"veilmatch/v1/results-mark"),
        })
    }

    /// What rows of items are found by.
    pub(crate) fn item_ids(&self) -> ItemIds {
        ItemIds(keyed(&self.find).chain_update(b"item"))
    }

    /// What a subject is found by: its reference and what its items are found by.
    pub(crate) fn subject_id(&self, reference: &[u8], items: &[IdOf]) -> IdOf {
        let length = (reference.len() as u64).to_be_bytes();
        let mut parts = vec![&b"subject"[..], &length[..], reference];
        parts.extend(items.iter().map(|id| &id[..]));
        short(&mac(&self.find, &parts))
    }

    /// What a rescan remembers a match by: the subject, by what it is found by, and the label that it had.
    pub(crate) fn mark(&self, subject: &IdOf, label: &[u8]) -> IdOf {
        short(&mac(&self.mark, &[&subject[..], label]))
    }

    /// Seals the subjects of a block.
    pub(crate) fn seal(&self, list: &ListId, epoch: Epoch, id: BlockId, subjects: &[ToSeal<'_>]) -> Vec<u8> {
        let plain: usize = subjects.iter().map(ToSeal::len).sum();
        // As long as it will be, and sealed where it stands: no copy of what is in there stays behind.
        let mut out = Vec::with_capacity(NONCE_LEN + plain + TAG_LEN);
        out.resize(NONCE_LEN, 0);
        UnwrapErr(SysRng).fill_bytes(&mut out);
        let nonce: [u8; NONCE_LEN] = *out.first_chunk().expect("it is that long");
        subjects.iter().for_each(|subject| subject.encode(&mut out));
        debug_assert_eq!(out.len(), NONCE_LEN + plain);
        let aad = associated(list, epoch, id);
        let tag = self.cipher().encrypt_inout_detached(&XNonce::from(nonce), &aad, (&mut out[NONCE_LEN..]).into());
        out.extend_from_slice(&tag.expect("a block is far shorter than what the cipher takes"));
        out
    }

    /// Opens a block; nothing, if it was altered or moved or its key replaced.
    pub(crate) fn unseal(&self, list: &ListId, epoch: Epoch, id: BlockId, sealed: &[u8]) -> Option<Vec<Kept>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let aad = associated(list, epoch, id);
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: body, aad: &aad });
        decode(&Zeroizing::new(plain.ok()?))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.seal.into())
    }
}

fn short(mac: &[u8; 32]) -> IdOf {
    *mac.first_chunk().expect("16 of 32 bytes")
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn associated(list: &ListId, epoch: Epoch, id: BlockId) -> Vec<u8> {
    let mut aad = b"veilmatch/v1/results\0".to_vec();
    aad.extend_from_slice(&epoch.0.to_be_bytes());
    aad.extend_from_slice(&id.to_be_bytes());
    aad.extend_from_slice(list.as_str().as_bytes());
    aad
}

// Per subject: whole u8 ‖ length of the reference u32 ‖ reference ‖ number of rows u8 ‖ rows.
impl ToSeal<'_> {
    fn len(&self) -> usize {
        6 + self.reference.len() + self.rows.len() * ROW_LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.whole.into());
        out.extend_from_slice(&u32::try_from(self.reference.len()).expect("a path is short").to_be_bytes());
        out.extend_from_slice(self.reference);
        out.push(u8::try_from(self.rows.len()).expect("at most one row per kind"));
        for (row, id) in self.rows.iter().zip(self.ids.iter()) {
            out.extend_from_slice(id);
            out.push(row.kind.id());
            out.extend_from_slice(row.okm.danger_as_bytes());
            out.extend_from_slice(&row.batch.0);
            out.extend_from_slice(&row.position.to_be_bytes());
        }
    }
}

fn decode(mut bytes: &[u8]) -> Option<Vec<Kept>> {
    let mut subjects = Vec::new();
    while !bytes.is_empty() {
        let whole = bytes.split_off_first()? != &0;
        let length = u32::from_be_bytes(bytes.split_off(..4)?.try_into().ok()?) as usize;
        let reference = bytes.split_off(..length)?.to_vec();
        let rows = *bytes.split_off_first()?;
        let rows = (0..rows).map(|_| decode_row(bytes.split_off(..ROW_LEN)?)).collect::<Option<Vec<_>>>()?;
        let (ids, rows) = rows.into_iter().unzip();
        subjects.push(Kept { reference, whole, rows, ids });
    }
    Some(subjects)
}

fn decode_row(mut bytes: &[u8]) -> Option<(IdOf, Row)> {
    let id = bytes.split_off(..16)?.try_into().ok()?;
    let row = Row {
        kind: Kind::from_id(*bytes.split_off_first()?).ok()?,
        okm: Okm::danger_from_bytes(bytes.split_off(..64)?.try_into().ok()?),
        batch: BatchId(bytes.split_off(..16)?.try_into().ok()?),
        position: u16::from_be_bytes(bytes.try_into().ok()?),
    };
    Some((id, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(dir: &tempfile::TempDir) -> (Seal, ListId) {
        let list = ListId::parse("baseline").unwrap();
        let state = StateDir::create(dir.path()).unwrap();
        (Seal::open(&state, &list, Epoch(1)).unwrap(), list)
    }

    fn to_seal(kept: &[Kept]) -> Vec<ToSeal<'_>> {
        kept.iter().map(ToSeal::from).collect()
    }

    fn kept() -> Vec<Kept> {
        let row = |kind, byte| Row {
            kind,
            okm: Okm::danger_from_bytes([byte; 64]),
            batch: BatchId([byte; 16]),
            position: 513,
        };
        vec![
            Kept {
                reference: b"a/b.jpg".to_vec(),
                whole: true,
                rows: vec![row(Kind::Md5, 1), row(Kind::Sha256, 2)],
                ids: vec![[1; 16], [2; 16]],
            },
            Kept { reference: Vec::new(), whole: false, rows: vec![row(Kind::Sha1, 3)], ids: vec![[3; 16]] },
        ]
    }

    #[test]
    fn a_block_opens_to_what_was_sealed() {
        // SPEC §12.5
        let dir = tempfile::tempdir().unwrap();
        let (seal, list) = seal(&dir);
        let sealed = seal.seal(&list, Epoch(1), BlockId::of(7), &to_seal(&kept()));
        assert!(!sealed.windows(7).any(|window| window == b"a/b.jpg"));
        let opened = seal.unseal(&list, Epoch(1), BlockId::of(7), &sealed).unwrap();
        assert_eq!(opened.len(), 2);
        assert_eq!(opened[0].reference, b"a/b.jpg");
        assert_eq!(opened[0].rows[1].okm.danger_as_bytes(), &[2; 64]);
        assert_eq!(opened[0].row_of(&[2; 16]).unwrap().kind, Kind::Sha256);
        assert!(opened[0].row_of(&[3; 16]).is_none());
        assert_eq!((opened[1].rows[0].kind, opened[1].rows[0].position), (Kind::Sha1, 513));
    }

    #[test]
    fn a_moved_altered_or_foreign_block_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let (seal, list) = seal(&dir);
        let sealed = seal.seal(&list, Epoch(1), BlockId::of(7), &to_seal(&kept()));
        let other = ListId::parse("other").unwrap();
        assert!(seal.unseal(&list, Epoch(1), BlockId::of(8), &sealed).is_none());
        assert!(seal.unseal(&list, Epoch(2), BlockId::of(7), &sealed).is_none());
        assert!(seal.unseal(&other, Epoch(1), BlockId::of(7), &sealed).is_none());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(seal.unseal(&list, Epoch(1), BlockId::of(7), &altered).is_none());
        }
    }

    #[test]
    fn truncated_plaintext_is_no_result() {
        let mut plain = Vec::new();
        to_seal(&kept()).iter().for_each(|subject| subject.encode(&mut plain));
        let whole: Vec<usize> = (0..=plain.len()).filter(|&len| decode(&plain[..len]).is_some()).collect();
        assert_eq!(whole.len(), 3, "nothing, the first subject, both");
    }
}
