use ed25519_dalek::SigningKey;

use super::*;
use crate::leaf::{Nonce, VerifierKey};

const DAY: u64 = 86_400;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn change(old: u8, new: u8, day: u64) -> Key {
    let verifier = |seed| VerifierKey::signer("platform.example/veilmatch/receipt", key(seed).verifying_key()).unwrap();
    let mut change = Key {
        cross: None,
        key: verifier(new),
        lost_from: 0,
        lost_to: 0,
        nonce: Nonce([0; 16]),
        old: Some(verifier(old)),
        previous: None,
        role: Role::Receipt,
        t: Timestamp::from_unix(day * DAY),
    };
    change.cross_sign(&key(old));
    change
}

fn followed(pinned: u8, changes: &[Key], before: u64) -> KeySet {
    let mut set = KeySet::pinned(Role::Receipt, key(pinned).verifying_key());
    for change in changes.iter().chain(changes.iter().rev()) {
        set.take(change, || Some(Timestamp::from_unix(before * DAY)));
    }
    set
}

/// Whether a key counts on a day, ten minutes after midnight.
fn counts(set: &KeySet, seed: u8, day: u64, second: u64) -> bool {
    let t = Timestamp::from_unix(day * DAY + 600 + second);
    set.keys().iter().any(|dated| dated.key == key(seed).verifying_key() && dated.counts(t))
}

#[test]
fn a_key_that_was_replaced_counts_for_what_was_dated_before() {
    // SPEC §18.2: whichever key of the chain is pinned.
    let changes = [change(1, 2, 10), change(2, 3, 20)];
    for pinned in 1..=3 {
        let set = followed(pinned, &changes, 0);
        assert!(counts(&set, 1, 10, 0) && !counts(&set, 1, 10, 1), "{pinned}");
        assert!(counts(&set, 2, 20, 0) && !counts(&set, 2, 20, 1), "{pinned}");
        assert!(counts(&set, 3, 10_000, 0), "{pinned}");
    }
}

#[test]
fn a_change_that_is_back_dated_disowns_nothing() {
    // SPEC §18.2
    let set = followed(1, &[change(1, 2, 10)], 15);
    assert!(counts(&set, 1, 15, 0) && !counts(&set, 1, 15, 1));
}

struct Log {
    keys: Vec<(u64, Key)>,
    latest: u64,
}

impl Sharded for Log {
    fn keys(&self) -> &[(u64, Key)] {
        &self.keys
    }

    fn latest_before(&self, index: u64) -> Option<Timestamp> {
        (index > 0).then(|| Timestamp::from_unix(self.latest * DAY))
    }
}

#[test]
fn a_change_at_the_head_of_a_half_year_is_not_dated_before_the_half_year_in_front_of_it() {
    // SPEC §18.2
    let (first, second) =
        (Log { keys: Vec::new(), latest: 180 }, Log { keys: vec![(0, change(1, 2, 10))], latest: 181 });
    let mut set = KeySet::pinned(Role::Receipt, key(1).verifying_key());
    set.follow_in(&[&first, &second]);
    assert!(counts(&set, 1, 180, 0) && !counts(&set, 1, 180, 1));
}

#[test]
fn a_key_that_was_replaced_does_not_come_back() {
    // SPEC §18.2
    let set = followed(1, &[change(1, 2, 10), change(2, 1, 20), change(1, 3, 30)], 0);
    assert!(!counts(&set, 1, 25, 0) && !counts(&set, 3, 35, 0));
}

#[test]
fn what_the_old_key_did_not_sign_is_not_followed() {
    let mut forged = change(1, 2, 10);
    forged.cross_sign(&key(2));
    assert_eq!(followed(1, &[forged], 0), followed(1, &[], 0));
}

#[test]
fn a_log_cannot_make_the_auditor_try_keys_without_end() {
    // SPEC §18.2
    let changes: Vec<Key> = (1..100).map(|seed| change(seed, seed + 1, seed.into())).collect();
    assert_eq!(followed(1, &changes, 0).keys().len(), MOST);
}
