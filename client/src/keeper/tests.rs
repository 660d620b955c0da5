use veilmatch_protocol::{
    derive::Okm,
    frame::BatchId,
    item::{Item, Kind},
};

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
    let rows: Vec<[Row; 1]> = subjects.iter().map(|(n, _)| [row(*n)]).collect();
    let new = given.iter().zip(&known).zip(&rows).filter(|((_, known), _)| !known.kept);
    let new: Vec<_> = new.map(|((given, known), rows)| (given, known, &rows[..])).collect();
    let Some(block) = keeper.block_of(&new) else { return Due::No };
    keeper.store.add_block(&block).unwrap();
    keeper.added(&block)
}

fn all(keeper: &Keeper) -> Vec<Vec<u8>> {
    let mut references = Vec::new();
    let walked = keeper
        .walk(
            |kept| Some(kept.reference.clone()),
            |of_block| {
                references.extend(of_block);
                Ok(())
            },
        )
        .unwrap();
    assert_eq!(walked.subjects, references.len() as u64);
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

impl Home {
    fn raw(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.dir.path().join("state.db")).unwrap()
    }

    /// Everything that the database has on disk.
    fn bytes(&self) -> Vec<u8> {
        let file = |name: &str| std::fs::read(self.dir.path().join(name)).unwrap_or_default();
        [file("state.db"), file("state.db-wal")].concat()
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn walked(keeper: &Keeper) -> Walked {
    keeper.walk(|_| Some(()), |_| Ok(())).unwrap()
}

#[test]
fn an_entry_of_the_index_that_leads_to_another_item_is_no_result() {
    // The index is not sealed. One flipped bit of a place led to another subject, its row of the same kind was taken, and a
    // listed item was answered *no match*: nothing that was sealed said which item a row is for.
    let home = Home::new();
    let keeper = home.keeper();
    keep(&keeper, &[(1, "/a"), (2, "/b")]);
    drop(keeper);
    let flip = |raw: &rusqlite::Connection, sql: &str| assert_eq!(raw.execute(sql, []).unwrap(), 1, "{sql}");
    // Of two fresh entries of 16 + 2 bytes, the numbers change places.
    let fresh = "UPDATE fresh SET ids = CAST(substr(ids, 1, 16) || substr(ids, 35, 2) || substr(ids, 19, 16) || \
                 substr(ids, 17, 2) AS BLOB)";
    flip(&home.raw(), fresh);
    let keeper = home.keeper();
    let none = |keeper: &Keeper| (1..=2).all(|n| !is_known(keeper, n));
    assert!(none(&keeper));
    flip(&home.raw(), fresh);
    drop(keeper);
    let keeper = home.keeper();
    assert!(is_known(&keeper, 1) && is_known(&keeper, 2));

    keep(&keeper, &[(3, "/c")]);
    keeper.settle(Due::Overdue).unwrap();
    drop(keeper);
    assert_eq!(home.raw().execute("UPDATE seen SET place = (place | 1) - (place & 1)", []).unwrap(), 3);
    let keeper = home.keeper();
    assert!(none(&keeper), "or it leads nowhere");
    // Asked anew, they are found again, and are still the same subjects.
    keep(&keeper, &[(1, "/a"), (2, "/b")]);
    assert!(is_known(&keeper, 1) && is_known(&keeper, 2));
}

#[test]
fn an_entry_of_a_subject_that_leads_to_another_does_not_keep_it_from_being_kept() {
    let home = Home::new();
    let keeper = home.keeper();
    keep(&keeper, &[(1, "/a"), (2, "/b")]);
    keep(&keeper, &[(1, "/copy"), (2, "/other copy")]);
    keeper.settle(Due::Overdue).unwrap();
    drop(keeper);
    // Numbers 0 to 3 of the joined block: the copies' change places with one another.
    home.raw().execute("UPDATE seen SET place = (place | 3) - (place & 3)", []).unwrap();
    let keeper = home.keeper();
    let subjects = [subject(1, "/copy"), subject(2, "/other copy")];
    assert!(keeper.known(&subjects).unwrap().iter().all(|known| !known.kept));
}

#[test]
fn a_damaged_block_is_asked_anew_and_missed_in_every_walk_until_it_is_forgotten() {
    // SPEC §12.5. One block that did not open made every check of its items, every settling and every rescan fail until the
    // epoch ended.
    let home = Home::new();
    let keeper = home.keeper();
    for (n, name) in [(1, "/a"), (2, "/b"), (3, "/c")] {
        keep(&keeper, &[(n, name)]);
    }
    drop(keeper);
    let raw = home.raw();
    raw.execute("UPDATE block SET sealed = zeroblob(200) WHERE id = (SELECT min(id) FROM block)", []).unwrap();
    let keeper = home.keeper();
    assert!(!is_known(&keeper, 1) && is_known(&keeper, 2) && is_known(&keeper, 3));
    assert_eq!((walked(&keeper).subjects, walked(&keeper).lost), (2, 1));
    keep(&keeper, &[(1, "/a")]);
    assert!(is_known(&keeper, 1));
    drop(keeper);
    let keeper = home.keeper();
    assert!(is_known(&keeper, 1), "its old entry does not stand before the new one");
    keeper.settle(Due::Overdue).unwrap();
    assert!((1..=3).all(|n| is_known(&keeper, n)));
    assert_eq!((walked(&keeper).subjects, walked(&keeper).lost), (3, 1), "who was in there besides is not known");
    keeper.forget_damaged().unwrap();
    assert_eq!((walked(&keeper).subjects, walked(&keeper).lost), (3, 0));
}

#[test]
fn a_block_that_is_damaged_after_it_was_settled_is_asked_anew() {
    let home = Home::new();
    let keeper = home.keeper();
    keep(&keeper, &[(1, "/a"), (2, "/b")]);
    keeper.settle(Due::Overdue).unwrap();
    drop(keeper);
    home.raw().execute("UPDATE block SET sealed = zeroblob(20)", []).unwrap();
    let keeper = home.keeper();
    assert!(!is_known(&keeper, 1));
    keep(&keeper, &[(1, "/a")]);
    keeper.settle(Due::Overdue).unwrap();
    drop(keeper);
    let keeper = home.keeper();
    assert!(is_known(&keeper, 1) && !is_known(&keeper, 2));
    assert_eq!((walked(&keeper).subjects, walked(&keeper).lost), (1, 2));
}

#[test]
fn what_is_forgotten_leaves_nothing_on_disk_and_all_else_is_found_as_before() {
    // SPEC §12.5: a kept result is destroyed with its item. There was no way to.
    for settled in [false, true] {
        let home = Home::new();
        let keeper = home.keeper();
        keep(&keeper, &[(1, "/a"), (2, "/b"), (3, "/c")]);
        keep(&keeper, &[(2, "/copy of b"), (4, "/d")]);
        keep(&keeper, &[(5, "/e")]);
        if settled {
            keeper.settle(Due::Overdue).unwrap();
        }
        let old = keeper.store.snapshot(keeper.shelf).unwrap().next().unwrap().unwrap().sealed;
        let (gone, stays) = (keeper.seal.item_ids().of(&item(1)), keeper.seal.item_ids().of(&item(3)));
        keeper.store.empty_log().unwrap();
        assert!(contains(&home.bytes(), &gone) && contains(&home.bytes(), &old[..64]));

        assert_eq!(keeper.forget(|kept| [&b"/a"[..], b"/b"].contains(&&kept.reference[..])).unwrap(), 2);
        assert_eq!(keeper.forget(|kept| kept.reference == b"/a").unwrap(), 0);
        let bytes = home.bytes();
        assert!(!contains(&bytes, &gone) && !contains(&bytes, &old[..64]) && contains(&bytes, &stays));
        let rest = [&b"/c"[..], b"/copy of b", b"/d", b"/e"];
        for keeper in [keeper, home.keeper()] {
            assert_eq!(all(&keeper), rest);
            assert!(!is_known(&keeper, 1) && (2..=5).all(|n| is_known(&keeper, n)), "settled: {settled}");
            keep(&keeper, &[(2, "/copy of b"), (4, "/d")]);
            assert_eq!(all(&keeper), rest, "what is kept is known to be");
        }
        let keeper = home.keeper();
        let items = keeper.item_ids(&[item(2), item(4)]);
        assert_eq!(keeper.forget(|kept| kept.ids.iter().any(|id| items.contains(id))).unwrap(), 2);
        assert_eq!(all(&keeper), [&b"/c"[..], b"/e"]);
    }
}

#[test]
fn marks_are_keyed_and_go_with_their_subject_and_with_their_epoch() {
    // SPEC §12.5. They were plain digests of reference and label with the salt beside them: whoever had the file could try
    // any digest against it.
    let home = Home::new();
    let keeper = Arc::new(home.keeper());
    keep(&keeper, &[(1, "/a"), (2, "/b")]);
    let rescan = || {
        let mut marks = Marks::begin(Arc::clone(&keeper)).unwrap();
        let mut new = 0;
        let mark = |kept: &Kept| Some(keeper.mark(kept, b"A1"));
        let counted = |of_block: Vec<_>| {
            for mark in of_block {
                new += u32::from(marks.take(Note::Match(mark))? == Some(true));
            }
            Ok(())
        };
        keeper.walk(mark, counted).unwrap();
        (new, marks.remember().unwrap())
    };
    assert_eq!(rescan(), (2, 0));
    assert_eq!(rescan(), (0, 0));
    let other = Home::new();
    let other_keeper = other.keeper();
    let kept = Kept { reference: b"/a".to_vec(), whole: false, rows: vec![row(1)], ids: vec![[7; 16]] };
    assert_ne!(keeper.mark(&kept, b"A1"), other_keeper.mark(&kept, b"A1"), "the key is the epoch's");
    assert_ne!(keeper.mark(&kept, b"A1"), keeper.mark(&kept, b"A2"));

    keeper.forget(|kept| kept.reference == b"/a").unwrap();
    let count = || home.raw().query_row("SELECT count(*) FROM mark", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(), 1);
    keeper.store.destroy(keeper.shelf).unwrap();
    while keeper.store.clear(keeper.shelf).unwrap() {}
    assert_eq!(count(), 0);
}

#[test]
fn what_is_not_in_the_index_is_told_without_asking_it_and_what_comes_in_is_found() {
    let home = Home::new();
    let keeper = home.keeper();
    keep(&keeper, &[(1, "/a"), (2, "/b")]);
    keeper.settle(Due::Overdue).unwrap();
    assert!(!keeper.must_learn(1), "for one subject it is not worth it");
    assert!(keeper.must_learn(4_096) && !keeper.must_learn(4_096), "one is told");
    // As an entry that is put there after its place was read.
    keep(&keeper, &[(3, "/c")]);
    keeper.learn_absent().unwrap();
    keep(&keeper, &[(4, "/d")]);
    keeper.settle(Due::Overdue).unwrap();
    assert!(!keeper.must_learn(4_096), "it is learnt");
    assert!((1..=4).all(|n| is_known(&keeper, n)) && !is_known(&keeper, 5));

    let ids: Vec<IdOf> = (0..10_000).map(|n| keeper.seal.item_ids().of(&item(n))).collect();
    let mut possible: Vec<usize> = (0..ids.len()).collect();
    keeper.absent.leave_possible(&mut possible, &ids);
    assert!(possible.len() < 10 && (1..=4).all(|n| possible.contains(&n)), "{possible:?}");

    // Forgetting gives an item another place in the index.
    keep(&keeper, &[(4, "/copy of d")]);
    keeper.forget(|kept| kept.reference == b"/d").unwrap();
    assert!((1..=4).all(|n| is_known(&keeper, n)));
}
