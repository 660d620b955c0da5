use Kind::{Md5, Sha1, Sha256, Sha512};
use veilmatch_protocol::{derive::Okm, frame::BatchId, name::Version};

use super::*;
use crate::{
    fake,
    state_dir::{StateDir, create_private_dir},
};

/// Label of an entry whose content is listed under a stronger kind, too.
const FLAGGED: &[u8] = b"\x01\0\x02\x01case";

/// Label of an entry that is listed by itself.
const ALONE: &[u8] = b"\0\0\x02\x01case";

/// A digest of a kind: 0 is listed with the flag, 1 without it, 2 is not listed.
fn okm(kind: Kind, which: u8) -> Okm {
    let mut okm = [kind.id(); 64];
    okm[0] = which;
    Okm::danger_from_bytes(okm)
}

struct Home {
    _root: tempfile::TempDir,
    held: Held,
}

impl Home {
    /// A version whose entries of every kind have the flag, or have it not; without its code book, which decides nothing.
    fn new() -> Self {
        let okms: Vec<(Okm, &[u8])> =
            Kind::ALL.iter().flat_map(|&kind| [(okm(kind, 0), FLAGGED), (okm(kind, 1), ALONE)]).collect();
        let entries: Vec<(&Okm, &[u8])> = okms.iter().map(|(okm, label)| (okm, *label)).collect();
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::create(root.path()).unwrap();
        create_private_dir(&dir.list(&fake::list())).unwrap();
        let (signed, bytes) = fake::coded(&entries);
        std::fs::write(dir.artifact(&fake::list(), Version(1)), bytes).unwrap();
        Self { _root: root, held: Held::open(&dir, signed, None).unwrap() }
    }

    /// Kind and weakness of a match on these digests; none where there is no match.
    fn matched(&self, whole: bool, digests: &[(Kind, u8)]) -> Option<(Kind, bool)> {
        let row =
            |&(kind, which): &(Kind, u8)| Row { kind, okm: okm(kind, which), batch: BatchId([0; 16]), position: 0 };
        let rows: Vec<Row> = digests.iter().map(row).collect();
        let asked: Vec<Kind> = digests.iter().map(|(kind, _)| *kind).collect();
        match verdict(&self.held.look_ups(), whole, &asked, &rows, |_, _| {}) {
            Outcome::Match { kind, weak_only, .. } => Some((kind, weak_only)),
            _ => None,
        }
    }
}

#[test]
fn a_match_of_weak_kinds_is_weak_only_if_the_stronger_digest_is_not_listed() {
    // SPEC §12.6
    let home = Home::new();
    for (digests, expected) in [
        // The flag, and a stronger kind that does not match.
        (&[(Md5, 0), (Sha256, 2)][..], (Md5, true)),
        (&[(Sha256, 2), (Md5, 0)], (Md5, true)),
        (&[(Md5, 0), (Sha1, 2)], (Md5, true)),
        (&[(Sha1, 0), (Sha512, 2)], (Sha1, true)),
        (&[(Md5, 0), (Sha1, 0), (Sha256, 2)], (Sha1, true)),
        // The stronger kind matches, too.
        (&[(Md5, 0), (Sha256, 1)], (Sha256, false)),
        (&[(Md5, 0), (Sha256, 1), (Sha512, 2)], (Sha256, false)),
        // No flag, or not on each of them.
        (&[(Md5, 1), (Sha256, 2)], (Md5, false)),
        (&[(Md5, 0), (Sha1, 1), (Sha256, 2)], (Sha1, false)),
        (&[(Md5, 1), (Sha1, 0), (Sha256, 2)], (Sha1, false)),
        // Nothing stronger was evaluated.
        (&[(Md5, 0)], (Md5, false)),
        (&[(Md5, 2), (Sha1, 0)], (Sha1, false)),
        (&[(Md5, 0), (Sha1, 0)], (Sha1, false)),
        // No collision can be made for this kind, whatever its label says.
        (&[(Sha256, 0), (Sha512, 2)], (Sha256, false)),
        (&[(Md5, 0), (Sha256, 0), (Sha512, 2)], (Sha256, false)),
    ] {
        for whole in [false, true] {
            assert_eq!(home.matched(whole, digests), Some(expected), "{digests:?}");
        }
    }
    assert_eq!(home.matched(false, &[(Md5, 2), (Sha256, 2)]), None);
}

#[test]
fn without_a_code_book_no_byte_of_a_label_is_a_flag() {
    // SPEC §12.6
    let root = tempfile::tempdir().unwrap();
    let dir = StateDir::create(root.path()).unwrap();
    create_private_dir(&dir.list(&fake::list())).unwrap();
    let (mut signed, bytes) = fake::coded(&[(&okm(Md5, 0), FLAGGED)]);
    std::fs::write(dir.artifact(&fake::list(), Version(1)), bytes).unwrap();
    signed = fake::with_opaque_labels(&signed);
    let home = Home { held: Held::open(&dir, signed, None).unwrap(), _root: root };
    assert_eq!(home.matched(false, &[(Md5, 0), (Sha256, 2)]), Some((Md5, false)));
}
