use veilmatch_protocol::{
    manifest::{Chain, SignedManifest},
    name::{Epoch, ListId},
    note::Verifier,
};

use super::*;

fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(&dir.path().join("state.db")).unwrap()
}

fn list() -> ListId {
    ListId::parse("baseline").unwrap()
}

fn block(store: &Store, shelf: Shelf, subjects: usize) -> NewBlock {
    let ids = (0..subjects).map(|n| ([n as u8; 16], n as u16)).collect();
    NewBlock { id: store.next_block(), shelf, subjects, sealed: vec![7; 10], ids }
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(store(&dir));
    let raw = Connection::open(dir.path().join("state.db")).unwrap();
    raw.pragma_update(None, "user_version", SCHEMA + 1).unwrap();
    let opened = Store::open(&dir.path().join("state.db"));
    assert!(matches!(opened, Err(Error::NewerSchema { found: 5, known: 4, .. })));
}

#[test]
fn a_chain_is_taken_up_where_it_was_left() {
    // SPEC §8.4, §8.7
    let case: serde_json::Value =
        serde_json::from_str(include_str!("../../../protocol/vectors/accept/chain.json")).unwrap();
    let verifier = Verifier::parse(case["verifier_key"].as_str().unwrap()).unwrap();
    let notes = case["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap().as_bytes());
    let links: Vec<_> = notes.map(|note| SignedManifest::verify(note, &verifier).unwrap()).collect();
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    for (at, link) in links.iter().enumerate() {
        let kept = store.newest_of_each_epoch(&list()).unwrap();
        let kept = kept.iter().map(|note| SignedManifest::verify(note, &verifier).unwrap());
        let mut chain = Chain::resume(list(), kept);
        assert_eq!(chain.newest(), links[..at].last());
        chain.extend(link.clone()).unwrap();
        store.add_manifests(&list(), std::slice::from_ref(link)).unwrap();
        let used = store.manifest_to_use(&list()).unwrap();
        assert_eq!(used.as_deref(), chain.to_use().map(SignedManifest::note));
    }
}

#[test]
fn a_transaction_that_is_flushed_later_is_followed_by_one_that_flushes() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let level =
        || -> i64 { lock(&store.writer).connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap() };
    let counts = Pending::from([(("baseline".to_owned(), "2026-05-28".to_owned(), "answered".to_owned()), 1)]);
    for (flush, normal_or_full) in [(Flush::Later, 1), (Flush::Later, 1), (Flush::Now, 2), (Flush::Later, 1)] {
        store.record(("2026h1", "2026-05-28"), &Entry::default(), &counts, flush).unwrap();
        assert_eq!(level(), normal_or_full);
    }
    store.add_totals(&counts).unwrap();
    assert_eq!(level(), 2);
}

#[test]
fn ids_of_blocks_are_not_used_again_after_the_last_one_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(&dir);
    let shelf = first.shelf(&list(), Epoch(1)).unwrap();
    let last = block(&first, shelf, 1);
    first.add_block(&last).unwrap();
    first.settled(&[last.id], &[], &[last.id]).unwrap();
    drop(first);
    assert!(store(&dir).next_block() > last.id);
}

#[test]
fn a_snapshot_does_not_see_what_is_added_or_merged_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let shelf = store.shelf(&list(), Epoch(1)).unwrap();
    let (a, b) = (block(&store, shelf, 2), block(&store, shelf, 3));
    store.add_block(&a).unwrap();
    store.add_block(&b).unwrap();
    let mut snapshot = store.snapshot(shelf).unwrap();
    assert_eq!(snapshot.next().unwrap().unwrap().id, a.id);
    let merged = block(&store, shelf, 5);
    store.settled(&[a.id, b.id], &[merged], &[a.id, b.id]).unwrap();
    assert_eq!(snapshot.next().unwrap().unwrap().id, b.id);
    assert!(snapshot.next().unwrap().is_none());
    assert_eq!(store.kept(&list(), Epoch(1)).unwrap(), 5);
    assert!(store.fresh(shelf).unwrap().is_empty());
}

#[test]
fn entries_are_found_where_they_were_put_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let (one, two) = (store.shelf(&list(), Epoch(1)).unwrap(), store.shelf(&list(), Epoch(2)).unwrap());
    let place = Place { block: store.next_block(), subject: u16::MAX };
    store.index(one, &[([1; 16], place)]).unwrap();
    assert_eq!(store.seen(one, &[[0; 16], [1; 16]]).unwrap(), [None, Some(place)]);
    assert_eq!(store.seen(two, &[[1; 16]]).unwrap(), [None]);
}

#[test]
fn an_epoch_is_forgotten_with_all_that_belongs_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    for epoch in [1, 2] {
        let shelf = store.shelf(&list(), Epoch(epoch)).unwrap();
        store.add_block(&block(&store, shelf, 4)).unwrap();
    }
    let old = store.shelves_before(&list(), Epoch(2)).unwrap();
    assert_eq!(old.len(), 1);
    assert_eq!(old[0].1, Epoch(1));
    store.destroy(old[0].0).unwrap();
    while store.clear(old[0].0).unwrap() {}
    assert_eq!(store.kept(&list(), Epoch(1)).unwrap(), 0);
    assert_eq!(store.kept(&list(), Epoch(2)).unwrap(), 4);
    assert!(store.shelves_before(&list(), Epoch(2)).unwrap().is_empty());
}

#[test]
fn an_epoch_is_deleted_in_slices_and_what_still_ends_on_its_shelf_is_not_kept() {
    // A whole epoch was deleted in one transaction, with the writer locked: every check waited until it was done. And a
    // frame that ended on a shelf that was gone left a block that nobody would ever delete.
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let shelf = store.shelf(&list(), Epoch(1)).unwrap();
    for _ in 0..100 {
        store.add_block(&block(&store, shelf, 40)).unwrap();
    }
    let place = Place { block: store.next_block(), subject: 0 };
    let entries: Vec<(IdOf, Place)> = (0..20_000_u128).map(|n| (n.to_be_bytes(), place)).collect();
    store.index(shelf, &entries).unwrap();
    let round = store.begin_round(shelf).unwrap();
    store.add_marks(shelf, round, &[Mark { subject: [1; 16], mark: [2; 16] }]).unwrap();
    store.end_round(shelf, round).unwrap();

    store.destroy(shelf).unwrap();
    store.add_block(&block(&store, shelf, 1)).unwrap();
    store.index(shelf, &[([7; 16], place)]).unwrap();
    let count = |table: &str| -> i64 {
        let query = format!("SELECT count(*) FROM {table}");
        store.read(|c| c.query_row(&query, [], |row| row.get(0))).unwrap()
    };
    assert_eq!((count("block"), count("seen")), (100, 20_000));
    let mut slices = 0;
    let mut before = (100, 20_000);
    while store.clear(shelf).unwrap() {
        let now = (count("block"), count("seen"));
        assert!(before.0 - now.0 <= 16 && before.1 - now.1 <= 8_192, "{now:?}");
        before = now;
        slices += 1;
    }
    assert!(slices > 10, "{slices}");
    assert_eq!([count("block"), count("fresh"), count("seen"), count("mark"), count("shelf")], [0; 5]);
    assert_eq!(store.lost(&list()).unwrap(), Some(Lost { epoch: Epoch(1), subjects: 4_000 }));
}

#[test]
fn an_epoch_without_results_is_not_missed_and_two_that_had_some_are_both_missed() {
    // Of two losses only the larger one was told.
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    for (epoch, subjects) in [(1, 0), (2, 5), (3, 2)] {
        let shelf = store.shelf(&list(), Epoch(epoch)).unwrap();
        if subjects > 0 {
            store.add_block(&block(&store, shelf, subjects)).unwrap();
        }
        store.destroy(shelf).unwrap();
        store.destroy(shelf).unwrap();
        assert_eq!(store.lost(&list()).unwrap().is_some(), epoch > 1);
    }
    assert_eq!(store.lost(&list()).unwrap(), Some(Lost { epoch: Epoch(3), subjects: 7 }));
    store.forget_lost(&list()).unwrap();
    assert_eq!(store.lost(&list()).unwrap(), None);
}

#[test]
fn what_a_rescan_could_not_look_at_is_neither_gone_nor_new_the_next_time() {
    // It deleted the marks of all that it could not look up, as under an expired version, and called them no longer listed.
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let shelf = store.shelf(&list(), Epoch(1)).unwrap();
    let mark = |subject: u8| Mark { subject: [subject; 16], mark: [1; 16] };
    let rescan = |marks: &[Mark], unknown: Option<&[IdOf]>| {
        let round = store.begin_round(shelf).unwrap();
        let new = marks.iter().filter(|mark| store.is_new(shelf, round, mark).unwrap()).count();
        store.add_marks(shelf, round, marks).unwrap();
        store.keep_marks(shelf, round, unknown).unwrap();
        (new, store.end_round(shelf, round).unwrap())
    };
    assert_eq!(rescan(&[mark(1), mark(2), mark(3)], Some(&[])), (3, 0));
    assert_eq!(rescan(&[], Some(&[[1; 16], [2; 16], [9; 16]])), (0, 1), "one was looked up");
    assert_eq!(rescan(&[mark(4)], None), (1, 0), "who could not be looked at is not known");
    assert_eq!(rescan(&[mark(1), mark(4)], Some(&[])), (0, 1));
}

#[test]
fn a_match_is_new_once_and_again_under_another_label() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let shelf = store.shelf(&list(), Epoch(1)).unwrap();
    let mark = |subject: u8, label: u8| Mark { subject: [subject; 16], mark: [label; 16] };
    let rescan = |marks: &[Mark]| {
        let round = store.begin_round(shelf).unwrap();
        let new = marks.iter().filter(|mark| store.is_new(shelf, round, mark).unwrap()).count();
        store.add_marks(shelf, round, marks).unwrap();
        (new, round)
    };
    let (new, round) = rescan(&[mark(1, 1), mark(2, 1)]);
    assert_eq!((new, store.end_round(shelf, round).unwrap()), (2, 0));
    // One that nobody read to its end changes nothing.
    assert_eq!(rescan(&[mark(3, 1)]).0, 1);
    let (new, round) = rescan(&[mark(1, 1), mark(2, 2), mark(3, 1)]);
    assert_eq!((new, store.end_round(shelf, round).unwrap()), (2, 1), "one is gone under its old label");
    let (_, first) = rescan(&[mark(1, 1)]);
    let (_, second) = rescan(&[mark(1, 1)]);
    assert_eq!(store.end_round(shelf, first).unwrap(), 0, "another was begun meanwhile");
    assert_eq!(store.end_round(shelf, second).unwrap(), 2);
}
