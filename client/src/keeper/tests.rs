use veilmatch_protocol::{derive::Okm, frame::BatchId, item::Kind};

use super::*;
use crate::store::results::FreshBlock;

struct Home {
    dir: tempfile::TempDir,
    list: ListId,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(dir.path()).unwrap();
        std::fs::write(state.config(), "").unwrap();
        Self { dir, list: ListId::parse("baseline").unwrap() }
    }

    /// As a process that starts finds it.
    fn keeper(&self) -> Keeper {
        let dir = StateDir::open(self.dir.path()).unwrap();
        let store = Arc::new(Store::open(&dir.database()).unwrap());
        Keeper::open(&dir, store, self.list.clone(), Epoch(1)).unwrap()
    }
}

fn item(n: u32) -> Item {
    let mut digest = [7; 16];
    digest[..4].copy_from_slice(&n.to_be_bytes());
    Item::new(Kind::Md5, &digest).unwrap()
}

fn subject(n: u32, reference: &str) -> Subject {
    Subject { key: 0, reference: reference.into(), items: vec![item(n)], whole: false }
}

fn row(n: u32) -> Row {
    let mut okm = [9; 64];
    okm[..4].copy_from_slice(&n.to_be_bytes());
    Row { kind: Kind::Md5, okm: Okm::danger_from_bytes(okm), batch: BatchId([1; 16]), position: 0 }
}

/// Keeps what is not kept yet, as the end of a frame does.
fn keep(keeper: &Keeper, subjects: &[(u32, &str)]) -> Due {
    let given: Vec<Subject> = subjects.iter().map(|(n, reference)| subject(*n, reference)).collect();
    let known = keeper.known(&given).unwrap();
    let new = given.iter().zip(&known).zip(subjects).filter(|((_, known), _)| !known.kept);
    let block = keeper.block_of(new.map(|((given, known), (n, _))| (given, known, vec![row(*n)])).collect()).unwrap();
    let Some(block) = block else { return Due::No };
    keeper.store.add_block(&block).unwrap();
    keeper.added(&block)
}

fn all(keeper: &Keeper) -> Vec<Vec<u8>> {
    let mut references = Vec::new();
    let count = keeper.walk(|kept| Some(kept.reference.clone()), |reference| references.push(reference)).unwrap();
    assert_eq!(count, references.len() as u64);
    references.sort();
    references
}

fn is_known(keeper: &Keeper, n: u32) -> bool {
    let known = keeper.known(&[subject(n, "elsewhere")]).unwrap();
    let found = known[0].rows[0].as_ref();
    found.inspect(|found| assert_eq!(found.okm.tag(), row(n).okm.tag(), "the row is the item's own"));
    found.is_some()
}

#[test]
fn a_result_is_found_again_by_its_item_before_and_after_a_restart() {
    let home = Home::new();
    let keeper = home.keeper();
    keep(&keeper, &[(1, "/a"), (2, "/b")]);
    assert!(is_known(&keeper, 1) && is_known(&keeper, 2) && !is_known(&keeper, 3));
    drop(keeper);
    let keeper = home.keeper();
    assert!(is_known(&keeper, 1) && is_known(&keeper, 2) && !is_known(&keeper, 3));
}

#[test]
fn the_same_item_under_another_name_is_kept_once_more_and_then_no_more() {
    let home = Home::new();
    let keeper = home.keeper();
    keep(&keeper, &[(1, "/a")]);
    for _ in 0..3 {
        keep(&keeper, &[(1, "/a"), (1, "/copy")]);
    }
    assert_eq!(all(&keeper), [b"/a".to_vec(), b"/copy".to_vec()]);
}

#[test]
fn two_names_of_an_item_in_one_frame_are_both_kept() {
    let home = Home::new();
    let keeper = home.keeper();
    keep(&keeper, &[(1, "/a"), (1, "/copy")]);
    keep(&keeper, &[(1, "/copy"), (1, "/a")]);
    assert_eq!(all(&keeper), [b"/a".to_vec(), b"/copy".to_vec()]);
}

#[test]
fn settling_joins_small_blocks_and_changes_nothing_that_is_found() {
    let home = Home::new();
    let keeper = home.keeper();
    for n in 0..50 {
        keep(&keeper, &[(n, &format!("/{n}"))]);
    }
    let before = all(&keeper);
    keeper.settle(Due::Overdue).unwrap();
    assert_eq!(all(&keeper), before);
    assert!((0..50).all(|n| is_known(&keeper, n)) && !is_known(&keeper, 50));
    let mut snapshot = keeper.store.snapshot(keeper.shelf).unwrap();
    assert!(snapshot.next().unwrap().is_some() && snapshot.next().unwrap().is_none(), "one block");
    assert!(keeper.store.fresh(keeper.shelf).unwrap().is_empty());
    drop(snapshot);

    keep(&keeper, &[(3, "/3"), (50, "/50")]);
    drop(keeper);
    let keeper = home.keeper();
    assert!((0..=50).all(|n| is_known(&keeper, n)));
    assert_eq!(all(&keeper).len(), 51, "/3 is kept already");
}

#[test]
fn settling_that_a_crash_cut_off_is_done_again() {
    let home = Home::new();
    let keeper = home.keeper();
    for n in 0..10 {
        keep(&keeper, &[(n, &format!("/{n}"))]);
    }
    // Some entries reached the index, the blocks were not joined yet.
    let entries = ascending(&keeper.store.fresh(keeper.shelf).unwrap().into_iter().flat_map(places).collect());
    keeper.store.index(keeper.shelf, &entries[..5]).unwrap();
    drop(keeper);
    let keeper = home.keeper();
    assert!((0..10).all(|n| is_known(&keeper, n)));
    keeper.settle(Due::Overdue).unwrap();
    assert!((0..10).all(|n| is_known(&keeper, n)));
    assert_eq!(all(&keeper).len(), 10);
}

fn places(block: FreshBlock) -> Vec<(IdOf, Place)> {
    block.ids.into_iter().map(|(id, subject)| (id, Place { block: block.id, subject })).collect()
}

#[test]
fn many_entries_are_due_for_the_index_and_too_many_overdue() {
    let home = Home::new();
    let keeper = home.keeper();
    let full = |from: u32| -> Vec<(u32, String)> { (from..from + 4_096).map(|n| (n, format!("/{n}"))).collect() };
    let mut due = Vec::new();
    for at in 0..64 {
        let subjects = full(at * 4_096);
        due.push(keep(&keeper, &subjects.iter().map(|(n, name)| (*n, name.as_str())).collect::<Vec<_>>()));
    }
    assert!(due[..31].iter().all(|due| *due == Due::No));
    assert!(due[31..63].iter().all(|due| *due == Due::Yes));
    assert_eq!(due[63], Due::Overdue);
    keeper.settle(due[63]).unwrap();
    assert!(is_known(&keeper, 0) && is_known(&keeper, 64 * 4_096 - 1));
    assert_eq!(keep(&keeper, &[(300_000, "/last")]), Due::No);
}

#[test]
fn an_altered_block_is_an_error_and_never_a_missing_result() {
    let home = Home::new();
    let keeper = home.keeper();
    keep(&keeper, &[(1, "/a")]);
    drop(keeper);
    let raw = rusqlite::Connection::open(home.dir.path().join("state.db")).unwrap();
    raw.execute("UPDATE block SET sealed = zeroblob(200)", []).unwrap();
    let keeper = home.keeper();
    assert!(matches!(keeper.known(&[subject(1, "/a")]), Err(Error::SealedResults { .. })));
    assert!(matches!(keeper.walk(|_| Some(()), |()| ()), Err(Error::SealedResults { .. })));
}
