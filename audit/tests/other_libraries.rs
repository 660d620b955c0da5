//! The same logs, notes and policies seen by libraries that are not ours.

#![allow(clippy::unwrap_used)]

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use signed_note::{StandardVerifier, VerifierList};
use tempfile::TempDir;
use tlog_tiles::{HashReader, TileHashReader, TileReader, tile, tlog};
use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    cosignature::Cosigner,
    folder::LogFolder,
    policy::Policy,
    tile::{Files, Growth, Tile, TilePath, growth},
    tree::{self, Hash},
};
use veilmatch_protocol::{
    merkle::leaf_hash,
    note::{self, Note, Verifier},
};

fn leaf(seed: u64, n: u64) -> Vec<u8> {
    let digest = Sha256::digest([seed.to_be_bytes(), n.to_be_bytes()].concat());
    digest[..1 + n as usize % 32].to_vec()
}

/// A log of random leaves in a folder, published at each of these sizes.
fn log(seed: u64, sizes: &[u64]) -> (TempDir, LogFolder, Growth) {
    let temp = TempDir::new().unwrap();
    let (folder, mut growth) = (LogFolder::create(temp.path()).unwrap(), Growth::new());
    for &size in sizes {
        for n in growth.size()..size {
            growth.push(&leaf(seed, n)).unwrap();
        }
        folder.write(&growth.take_files()).unwrap();
    }
    (temp, folder, growth)
}

/// The folder as `tlog_tiles` reads it, which hashes every tile up to the root before it believes it.
struct Tiles(LogFolder);

impl TileReader for Tiles {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tile::Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        let read = |tile: &tile::Tile| self.0.read(&ours(tile).to_string(), 8_192).ok().flatten();
        tiles.iter().map(|tile| read(tile).ok_or(tlog::Error::InvalidTile)).collect()
    }

    fn save_tiles(&self, _: &[tile::Tile], _: &[Vec<u8>]) {}
}

fn ours(tile: &tile::Tile) -> TilePath {
    TilePath::Hashes(Tile { level: tile.level(), index: tile.level_index(), width: tile.width() as u16 })
}

fn theirs(hashes: &[Hash]) -> Vec<tlog::Hash> {
    hashes.iter().copied().map(tlog::Hash).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn tlog_tiles_reads_our_tiles_and_makes_and_checks_the_same_proofs(
        seed in any::<u64>(), old in 1_u64..1_500, more in 0_u64..1_500, at in any::<prop::sample::Index>()
    ) {
        let size = old + more;
        let (_temp, folder, growth) = log(seed, &[old, size]);
        let (root, view) = (growth.root(), folder.view(size));
        let tiles = Tiles(folder.clone());
        let reader = TileHashReader::new(size, tlog::Hash(root), &tiles);
        prop_assert_eq!(tlog::tree_hash(size, &reader).unwrap().0, root);

        let index = at.index(size as usize) as u64;
        let leaf = leaf_hash(&leaf(seed, index));
        let proof = tree::inclusion_proof(&view, index, size).unwrap();
        prop_assert_eq!(&tlog::prove_record(size, index, &reader).unwrap(), &theirs(&proof));
        prop_assert!(tlog::check_record(&theirs(&proof), size, tlog::Hash(root), index, tlog::Hash(leaf)).is_ok());
        prop_assert_eq!(reader.read_hashes(&[tlog::stored_hash_index(0, index)]).unwrap()[0].0, leaf);

        let old_root = tree::root_at(&view, old).unwrap();
        let proof = tree::consistency_proof(&view, old, size).unwrap();
        prop_assert_eq!(&tlog::prove_tree(size, old, &reader).unwrap(), &theirs(&proof));
        let checked = tlog::check_tree(&theirs(&proof), size, tlog::Hash(root), old, tlog::Hash(old_root));
        prop_assert!(checked.is_ok());
    }

    #[test]
    fn ct_merkle_has_the_same_roots_and_proofs(
        seed in any::<u64>(), old in 1_u64..700, more in 1_u64..700, at in any::<prop::sample::Index>()
    ) {
        let size = old + more;
        let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        (0..old).for_each(|n| other.push(leaf(seed, n)));
        let other_old = other.root();
        (old..size).for_each(|n| other.push(leaf(seed, n)));
        let leaves: Vec<Hash> = (0..size).map(|n| leaf_hash(&leaf(seed, n))).collect();
        let root = tree::root_at(&leaves[..], size).unwrap();
        prop_assert_eq!(other.root().as_bytes().to_vec(), root.to_vec());

        let index = at.index(size as usize);
        let proof = other.prove_inclusion(index);
        prop_assert_eq!(&tree::inclusion_proof(&leaves[..], index as u64, size).unwrap().concat(), proof.as_bytes());
        let proof = other.prove_consistency(more as usize);
        prop_assert_eq!(&tree::consistency_proof(&leaves[..], old, size).unwrap().concat(), proof.as_bytes());
        prop_assert!(other.root().verify_consistency(&other_old, &proof).is_ok());
    }

    #[test]
    fn the_tiles_that_a_growth_writes_are_those_of_tlog_tiles(old in 0_u64..1 << 34, more in 0_u64..2_000) {
        let expected: Vec<TilePath> = tile::Tile::new_tiles(8, old, old + more).iter().map(ours).collect();
        prop_assert_eq!(growth(old, old + more).map(TilePath::Hashes).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn sigsum_counts_every_quorum_alike(groups in proptest::collection::vec((1_usize..4, 1_usize..4), 1..5),
                                        cosigned in any::<u16>()) {
        let cosigners: Vec<Cosigner> = (0..16_u8).map(|n| {
            Cosigner::new(&format!("w{n}.example/w"), SigningKey::from_bytes(&[n + 1; 32])).unwrap()
        }).collect();
        let policy = |key: &dyn Fn(&Cosigner) -> String| nested(&cosigners, &groups, key);
        let signers: Vec<&Cosigner> =
            cosigners.iter().enumerate().filter(|(n, _)| cosigned >> n & 1 == 1).map(|(_, cosigner)| cosigner).collect();

        let hex_key = |cosigner: &Cosigner| hex::encode(cosigner.witness().key().as_bytes());
        let other = sigsum::Policy::parse(&policy(&hex_key)).unwrap();
        let key_hash = |cosigner: &Cosigner| sigsum::Hash::new(cosigner.witness().key().as_bytes());
        let key_hashes: Vec<sigsum::Hash> = signers.iter().map(|cosigner| key_hash(cosigner)).collect();

        let checkpoint = Checkpoint { origin: "log.example/a".to_owned(), size: 1, root: [7; 32] };
        let mut note = checkpoint::sign(&checkpoint, &SigningKey::from_bytes(&[99; 32])).unwrap();
        signers.iter().for_each(|cosigner| note.push_str(&cosigner.cosign(&checkpoint, 1_000)));
        let ours = Policy::parse(&policy(&|cosigner| cosigner.witness().to_string())).unwrap();
        let counted = ours.count(&Note::parse(note.as_bytes()).unwrap(), 1_000).unwrap();
        prop_assert_eq!(counted.met, other.check_quorum(&key_hashes));
        // Those who are counted make the quorum without the others.
        let named = |cosigner: &&&Cosigner| counted.names.iter().any(|name| name == cosigner.witness().name());
        let key_hashes: Vec<sigsum::Hash> = signers.iter().filter(named).map(|cosigner| key_hash(cosigner)).collect();
        prop_assert_eq!(counted.names.len(), key_hashes.len());
        prop_assert_eq!(counted.met, other.check_quorum(&key_hashes));
    }
}

/// Groups of witnesses, each in the next one: `k` of `n` new witnesses and the group before.
fn nested(cosigners: &[Cosigner], groups: &[(usize, usize)], key: &dyn Fn(&Cosigner) -> String) -> String {
    let mut text: String =
        cosigners.iter().enumerate().map(|(n, cosigner)| format!("witness w{n} {}\n", key(cosigner))).collect();
    let mut next = 0..cosigners.len();
    for (at, (k, members)) in groups.iter().enumerate() {
        let mut names: Vec<String> = next.by_ref().take(*members).map(|n| format!("w{n}")).collect();
        names.extend(at.checked_sub(1).map(|before| format!("g{before}")));
        text += &format!("group g{at} {} {}\n", k.min(&names.len()), names.join(" "));
    }
    text + &format!("quorum g{}\n", groups.len() - 1)
}

#[test]
fn signed_note_opens_our_checkpoints_and_knows_our_keys() {
    let key = SigningKey::from_bytes(&[3; 32]);
    let checkpoint = Checkpoint { origin: "agency.example/log".to_owned(), size: 20_852_163, root: [9; 32] };
    let note = checkpoint::sign(&checkpoint, &key).unwrap();
    let cosigner = Cosigner::new("platform.example/w", SigningKey::from_bytes(&[4; 32])).unwrap();
    let note = note + &cosigner.cosign(&checkpoint, 1_780_000_000);
    let verifier = Verifier::new("agency.example/log", key.verifying_key()).unwrap();

    let other = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let known = VerifierList::new(vec![Box::new(StandardVerifier::new(&verifier.to_string()).unwrap())]);
    let (verified, unknown) = other.verify(&known).unwrap();
    assert_eq!((verified.len(), unknown.len()), (1, 1));
    assert_eq!(unknown[0].name(), "platform.example/w");
    assert_eq!(unknown[0].id(), u32::from_be_bytes(cosigner.witness().key_id()));
    let parsed = tlog_tiles::Checkpoint::from_bytes(other.text()).unwrap();
    assert_eq!((parsed.origin(), parsed.size(), parsed.hash().0), ("agency.example/log", 20_852_163, [9; 32]));
}

#[test]
fn notes_that_signed_note_refuses_are_refused_and_the_others_open() {
    let key = SigningKey::from_bytes(&[3; 32]);
    let verifier = Verifier::new("agency.example/log", key.verifying_key()).unwrap();
    let note = note::sign("one\n\ntwo\n", "agency.example/log", &key).unwrap();
    let known = || VerifierList::new(vec![Box::new(StandardVerifier::new(&verifier.to_string()).unwrap())]);
    let other_opens = |note: &[u8]| signed_note::Note::from_bytes(note).is_ok_and(|note| note.verify(&known()).is_ok());
    assert!(other_opens(note.as_bytes()) && note::open(note.as_bytes(), &verifier).is_ok());
    for at in 0..note.len() {
        for flip in [1, 0x10, 0x80] {
            let mut changed = note.clone().into_bytes();
            changed[at] ^= flip;
            let opens = note::open(&changed, &verifier).is_ok();
            assert_eq!(opens, other_opens(&changed), "byte {at}");
        }
    }
}
