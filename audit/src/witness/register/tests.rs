//! Tests of a witness's state.

use std::{fs, sync::Arc, thread};

use ed25519_dalek::SigningKey;
use tempfile::TempDir;
use veilmatch_protocol::merkle::leaf_hash;

use super::*;
use crate::tree::{Hash, consistency_proof, root_at};

const ORIGIN: &str = "agency.example/veilmatch/manifest";

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn log() -> Verifier {
    Verifier::new(ORIGIN, key(1).verifying_key()).unwrap()
}

fn open(dir: &TempDir) -> io::Result<Register> {
    Register::open(&dir.path().join("state"), vec![log()], Cosigner::new("w.example/one", key(2)).unwrap())
}

/// Leaves of a log; those of another branch differ from the fifth on.
fn leaves(number: u64, branch: u8) -> Vec<Hash> {
    (0..number).map(|n| leaf_hash(&[n as u8, if n < 4 { 0 } else { branch }])).collect()
}

fn body(old: u64, new: u64, branch: u8) -> Vec<u8> {
    let leaves = leaves(new, branch);
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: new, root: root_at(&leaves[..], new).unwrap() };
    let note = checkpoint::sign(&checkpoint, &key(1)).unwrap().into_bytes();
    AddCheckpoint { old_size: old, proof: consistency_proof(&leaves[..], old, new).unwrap(), note }.encode()
}

fn refusal(declined: Declined) -> Refusal {
    let Declined::Refused(refusal) = declined else { panic!("{declined}") };
    refusal
}

fn newest(register: &Register) -> Checkpoint {
    let note = register.newest(&origin_hash(ORIGIN)).unwrap().unwrap();
    checkpoint::open(&note, ORIGIN, &log()).unwrap()
}

#[test]
fn what_is_cosigned_is_stored_with_its_cosignature_and_survives_a_restart() {
    // SPEC §17.5
    let dir = TempDir::new().unwrap();
    let register = open(&dir).unwrap();
    assert_eq!(register.newest(&origin_hash(ORIGIN)).unwrap(), None);
    register.add(&body(0, 5, 0), 100).unwrap();
    let line = register.add(&body(5, 9, 0), 101).unwrap();
    drop(register);

    let register = open(&dir).unwrap();
    let note = register.newest(&origin_hash(ORIGIN)).unwrap().unwrap();
    assert!(note.ends_with(line.as_bytes()));
    let witness = register.cosigner.witness();
    assert_eq!(witness.cosigned(&Note::parse(&note).unwrap(), u64::MAX), Ok(Some(101)));
    assert_eq!(refusal(register.add(&body(0, 9, 0), 102).unwrap_err()), Refusal::Stale(9));
    assert_eq!(refusal(register.add(&body(5, 9, 0), 102).unwrap_err()), Refusal::Stale(9));
    assert!(register.add(&body(9, 12, 0), 102).is_ok());
}

#[test]
fn a_fork_is_never_cosigned() {
    // SPEC §17.5
    let dir = TempDir::new().unwrap();
    let register = open(&dir).unwrap();
    register.add(&body(0, 8, 0), 100).unwrap();
    assert_eq!(refusal(register.add(&body(8, 8, 1), 101).unwrap_err()), Refusal::OtherRoot);
    assert_eq!(refusal(register.add(&body(8, 9, 1), 101).unwrap_err()), Refusal::NotProven);
    assert_eq!(newest(&register).root, root_at(&leaves(8, 0)[..], 8).unwrap());
}

#[test]
fn of_many_branches_at_once_one_is_cosigned() {
    // SPEC §17.5
    let dir = TempDir::new().unwrap();
    let register = Arc::new(open(&dir).unwrap());
    register.add(&body(0, 4, 0), 100).unwrap();
    let branches = (1..=16).map(|branch| {
        let register = Arc::clone(&register);
        thread::spawn(move || (branch, register.add(&body(4, 5 + u64::from(branch), branch), 101)))
    });
    let ended: Vec<_> = branches.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect();
    let cosigned: Vec<u8> = ended.iter().filter(|(_, added)| added.is_ok()).map(|(branch, _)| *branch).collect();
    let [branch] = cosigned[..] else { panic!("{cosigned:?}") };
    let size = 5 + u64::from(branch);
    assert_eq!(newest(&register).root, root_at(&leaves(size, branch)[..], size).unwrap());
    for (other, added) in ended {
        if other != branch {
            assert_eq!(refusal(added.unwrap_err()), Refusal::Stale(size));
        }
    }
}

#[test]
fn a_checkpoint_that_was_stored_and_not_signed_counts_as_cosigned() {
    // A kill between the two: the state has the log's line alone.
    let dir = TempDir::new().unwrap();
    let register = open(&dir).unwrap();
    register.add(&body(0, 5, 0), 100).unwrap();
    let path = register.path(ORIGIN).join("checkpoint");
    let stored = fs::read_to_string(&path).unwrap();
    let (kept, _) = stored.trim_end().rsplit_once('\n').unwrap();
    fs::write(&path, format!("{kept}\n")).unwrap();
    drop(register);
    let register = open(&dir).unwrap();
    assert_eq!(refusal(register.add(&body(0, 5, 1), 101).unwrap_err()), Refusal::Stale(5));
    assert!(register.add(&body(5, 5, 0), 101).is_ok());
}

#[test]
fn a_second_process_does_not_get_the_state() {
    let dir = TempDir::new().unwrap();
    let register = open(&dir).unwrap();
    assert_eq!(open(&dir).err().unwrap().kind(), io::ErrorKind::WouldBlock);
    drop(register);
    assert!(open(&dir).is_ok());
}

#[test]
fn a_state_that_does_not_verify_is_not_gone_on_with() {
    let dir = TempDir::new().unwrap();
    let register = open(&dir).unwrap();
    register.add(&body(0, 5, 0), 100).unwrap();
    let path = register.path(ORIGIN).join("checkpoint");
    let stored = fs::read_to_string(&path).unwrap();
    for damaged in [stored.replace("\n5\n", "\n4\n"), stored.replace('A', "B"), String::new()] {
        fs::write(&path, damaged).unwrap();
        assert!(matches!(register.add(&body(5, 6, 0), 101), Err(Declined::State(_))));
    }
    drop(register);
    assert_eq!(open(&dir).err().unwrap().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_state_that_cannot_be_written_gives_no_cosignature() {
    let dir = TempDir::new().unwrap();
    let register = open(&dir).unwrap();
    register.add(&body(0, 5, 0), 100).unwrap();
    let drafts = register.path(ORIGIN).join(".drafts");
    fs::remove_dir(&drafts).unwrap();
    assert!(matches!(register.add(&body(5, 6, 0), 101), Err(Declined::State(_))));
    assert_eq!(newest(&register).size, 5);
    fs::create_dir(&drafts).unwrap();
    assert!(register.add(&body(5, 6, 0), 101).is_ok());
}

#[test]
fn a_clock_that_went_back_stops_cosigning() {
    let dir = TempDir::new().unwrap();
    let register = open(&dir).unwrap();
    register.add(&body(0, 5, 0), 100).unwrap();
    assert!(matches!(register.add(&body(5, 6, 0), 99), Err(Declined::ClockBehind)));
    assert_eq!(newest(&register).size, 5);
    assert!(register.add(&body(5, 6, 0), 100).is_ok());
}

#[test]
fn only_the_logs_that_are_named_are_served() {
    let dir = TempDir::new().unwrap();
    let register = open(&dir).unwrap();
    let other = Checkpoint { origin: "other.example/log".to_owned(), size: 1, root: [0; 32] };
    let note = checkpoint::sign(&other, &key(1)).unwrap().into_bytes();
    let request = AddCheckpoint { old_size: 0, proof: Vec::new(), note }.encode();
    assert_eq!(refusal(register.add(&request, 100).unwrap_err()), Refusal::UnknownLog);
    assert_eq!(register.newest(&origin_hash("other.example/log")).unwrap(), None);
    assert_eq!(register.newest("../lock").unwrap(), None);
    assert_eq!(refusal(register.add(b"nonsense", 100).unwrap_err()), Refusal::Malformed);
}
