use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use veilmatch_protocol::{
    frame::{BatchId, RequestDigest, ResponseDigest, View},
    name::{AgencyName, Epoch, ListId, PlatformId, Version},
};

use super::*;

const NOW: u64 = 1_800_000_000;

fn list() -> ListId {
    ListId::parse("base").unwrap()
}

fn frame(batch: u16, n: u32) -> FrameRecord {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&batch.to_be_bytes());
    FrameRecord {
        key: FrameKey {
            platform: PlatformId::parse("platform.example").unwrap(),
            list: list(),
            epoch: Epoch(1),
            batch: BatchId(id),
        },
        version: Version(1),
        view: View { size: 1, root: [1; 32] },
        n,
        request: RequestDigest([2; 32]),
        signature: [3; 64],
        platform_minute: NOW / 60,
        status: FrameStatus::Answered { response: ResponseDigest([4; 32]), proof: [5; 64] },
        minute: NOW / 60,
        nonce: [6; 16],
    }
}

fn agency() -> AgencyName {
    AgencyName::parse("agency.example").unwrap()
}

async fn record(writer: &FrameWriter, record: FrameRecord) -> Recorded {
    let leaf = crate::logs::record::leaf(&agency(), &record).unwrap();
    writer.record(record, leaf, 7).await
}

#[test]
fn a_store_of_a_newer_program_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("veilmatch.db");
    Store::open(&path).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
    let refused = Store::open(&path).unwrap_err();
    assert!(matches!(refused, Error::NewerSchema { found: 99, known: 6, .. }), "{refused}");
    assert_eq!(refused.reason(), "NEWER_SCHEMA");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("veilmatch.db");
    let garbage = "not a database ".repeat(100);
    std::fs::write(&path, &garbage).unwrap();
    assert_eq!(Store::open(&path).unwrap_err().reason(), "STORE");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), garbage);
}

#[test]
fn settings_are_those_that_durability_rests_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("veilmatch.db")).unwrap();
    let read = |pragma: &str| store.connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((read("synchronous"), read("foreign_keys")), (2, 1));
    let mode: String = store.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_change_of_a_command_raises_the_revision_and_a_failed_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("veilmatch.db")).unwrap();
    let before = store.revision().unwrap();
    let nobody = PlatformId::parse("nobody").unwrap();
    assert_eq!(store.suspend_client(&nobody, None).unwrap_err().reason(), "UNKNOWN_CLIENT");
    assert_eq!(store.revision().unwrap(), before);
    store.found_agency(&veilmatch_protocol::name::AgencyName::parse("a").unwrap(), NOW).unwrap();
    assert_eq!(store.revision().unwrap(), before + 1);
}

#[tokio::test]
async fn frames_that_wait_are_committed_together_and_charged_each_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("veilmatch.db");
    let writer = FrameWriter::start(&path, |_| ()).unwrap();
    let records = (0..2_000).map(|batch| record(&writer, frame(batch, 16)));
    let recorded = futures::future::join_all(records).await;
    // SPEC §9.7: each has an index of its own, and none is left out.
    let mut indices: Vec<u64> = recorded
        .iter()
        .map(|outcome| if let Recorded::Durable(_, index) = outcome { *index } else { panic!("{outcome:?}") })
        .collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..2_000).collect::<Vec<_>>());
    let store = Store::open(&path).unwrap();
    let platform = PlatformId::parse("platform.example").unwrap();
    let used = store.budget_use(&platform, &list(), 7).unwrap();
    assert_eq!(used, BudgetUse { elements: 32_000, frames: 2_000 });
    assert_eq!(store.evaluations(&list(), Epoch(1)).unwrap(), 32_000);
    assert_eq!(store.count_frames().unwrap(), (2_000, 0));
}

#[tokio::test]
async fn an_answered_batch_id_is_neither_written_nor_charged_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("veilmatch.db");
    let writer = FrameWriter::start(&path, |_| ()).unwrap();
    let refused = FrameRecord { status: FrameStatus::Refused("CLOCK_SKEW"), ..frame(1, 4) };
    assert!(matches!(record(&writer, refused.clone()).await, Recorded::Durable(..)));
    assert!(matches!(record(&writer, frame(1, 4)).await, Recorded::Durable(..)));
    assert_eq!(record(&writer, frame(1, 4)).await, Recorded::AlreadyAnswered);
    assert!(matches!(record(&writer, refused).await, Recorded::Durable(..)));
    let store = Store::open(&path).unwrap();
    assert_eq!(store.evaluations(&list(), Epoch(1)).unwrap(), 4);
    let answered = store.answered(&frame(1, 4).key).unwrap().unwrap();
    assert_eq!((answered.request, answered.proof), (RequestDigest([2; 32]), [5; 64]));
    assert_eq!(writer.retry(frame(1, 4).key, 1).await, Recorded::Counted);
    assert_eq!(writer.retry(frame(1, 4).key, 1).await, Recorded::TooManyRetries);
    assert_eq!(writer.retry(frame(2, 4).key, 1).await, Recorded::TooManyRetries);
}

#[test]
fn databases_and_their_logs_are_their_owners_alone_from_the_first_byte() {
    // SQLite made them with the umask's rights. The entries are the list in clear.
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let _store = Store::open(&dir.path().join("veilmatch.db")).unwrap();
    let _entries = Entries::open(&dir.path().join("entries.db")).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    assert_eq!(seen, 6, "two databases, each with its log and its index");
}

#[tokio::test]
async fn a_charge_is_given_back_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("veilmatch.db");
    let writer = FrameWriter::start(&path, |_| ()).unwrap();
    for batch in [1, 2] {
        assert!(matches!(record(&writer, frame(batch, 4)).await, Recorded::Durable(..)));
    }
    assert_eq!(writer.refund(frame(1, 4).key, 7).await, Recorded::Counted);
    assert_eq!(writer.refund(frame(1, 4).key, 7).await, Recorded::AlreadyRefunded);
    assert_eq!(writer.refund(frame(3, 4).key, 7).await, Recorded::AlreadyRefunded);
    let store = Store::open(&path).unwrap();
    let used = store.budget_use(&frame(1, 4).key.platform, &list(), 7).unwrap();
    assert_eq!(used, BudgetUse { elements: 4, frames: 1 });
    assert_eq!(store.evaluations(&list(), Epoch(1)).unwrap(), 8);
}

#[tokio::test]
async fn what_is_acknowledged_is_on_the_disk_when_the_writer_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("veilmatch.db");
    let writer = FrameWriter::start(&path, |_| ()).unwrap();
    assert!(matches!(record(&writer, frame(1, 4)).await, Recorded::Durable(..)));
    drop(writer);
    let recorded = Store::open(&path).unwrap().recorded(&frame(1, 4).key).unwrap().unwrap();
    assert_eq!(recorded, frame(1, 4));
}

#[tokio::test]
async fn a_leaf_is_in_the_shard_of_its_minute_with_its_frame_and_is_found_by_its_hash() {
    // SPEC §9.7, §17.1, §17.7
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("veilmatch.db");
    let writer = FrameWriter::start(&path, |_| ()).unwrap();
    // 2027-01-15, and half a year later; a refused frame has a leaf as well.
    let later = FrameRecord { minute: frame(2, 4).minute + 182 * 1_440, ..frame(2, 4) };
    let refused = FrameRecord { status: FrameStatus::Refused("CLOCK_SKEW"), ..frame(3, 4) };
    let frames = [frame(1, 4), later, refused];
    for (frame, index) in frames.iter().zip([0, 0, 1]) {
        assert!(matches!(record(&writer, frame.clone()).await, Recorded::Durable(_, at) if at == index));
    }
    drop(writer);
    let mut store = Store::open(&path).unwrap();
    let [first, second] = &store.logs().unwrap()[..] else { panic!("two shards") };
    assert_eq!(store.leaf_index(first.id, &veilmatch_protocol::merkle::leaf_hash(b"")).unwrap(), None);
    store.log_published(first.id, &Head { size: 2, root: [0; 32], note: Vec::new(), at: 0 }, false).unwrap();
    assert_eq!(first.origin, "agency.example/veilmatch/query/2027h1");
    assert_eq!(second.origin, "agency.example/veilmatch/query/2027h2");
    assert_eq!((store.log_len(first.id).unwrap(), store.log_len(second.id).unwrap()), (2, 1));
    let answered = store.answered(&frames[1].key).unwrap().unwrap().leaf.unwrap();
    assert_eq!((&answered.origin, answered.index), (&second.origin, 0));
    let leaves = store.leaves(first.id, 0..9).unwrap();
    for (index, leaf) in (0..).zip(&leaves) {
        let hash = veilmatch_protocol::merkle::leaf_hash(leaf);
        assert_eq!(store.leaf_index(first.id, &hash).unwrap(), Some((index, "platform.example".into())));
        assert_eq!(store.leaf_index(second.id, &hash).unwrap(), None);
    }
    let own = store.leaves_of(first.id, Some(&frames[0].key.platform), 1..9, 10, 1 << 20).unwrap();
    assert_eq!(own, [(1, leaves[1].clone())]);
    let other = PlatformId::parse("other.example").unwrap();
    assert!(store.leaves_of(first.id, Some(&other), 0..9, 10, 1 << 20).unwrap().is_empty());
}

#[test]
fn a_head_is_replaced_by_whoever_knows_it_and_by_nobody_else() {
    // SPEC §17.4
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("veilmatch.db")).unwrap();
    store.begin_log("a/veilmatch/manifest").unwrap();
    let row = store.log("a/veilmatch/manifest").unwrap().unwrap();
    let head = |size| Head { size, root: [7; 32], note: b"note".to_vec(), at: 9 };
    assert!(store.swap_head(row.id, &row.head, &head(1)).unwrap());
    assert!(!store.swap_head(row.id, &row.head, &head(2)).unwrap());
    assert!(!store.swap_head(row.id, &Head { root: [8; 32], ..head(1) }, &head(2)).unwrap());
    assert!(store.swap_head(row.id, &head(1), &head(2)).unwrap());
    store.halt_log(row.id, "seen elsewhere", b"").unwrap();
    assert!(!store.swap_head(row.id, &head(2), &head(3)).unwrap());
    assert_eq!(store.log(&row.origin).unwrap().unwrap().head, head(2));
}

#[test]
fn a_head_whose_commit_failed_on_the_disk_is_unclear_and_one_that_found_it_full_is_not() {
    // SPEC §17.4
    let error = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
    assert_eq!(logs::not_swapped(error(rusqlite::ffi::SQLITE_IOERR_FSYNC)).reason(), "HEAD_UNCLEAR");
    assert_eq!(logs::not_swapped(error(rusqlite::ffi::SQLITE_FULL)).reason(), "STORE");
}

#[test]
fn a_watched_checkpoint_is_replaced_from_its_own_size_alone() {
    // SPEC §20.2
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&dir.path().join("veilmatch.db")).unwrap();
    store.connection.pragma_update(None, "foreign_keys", "OFF").unwrap();
    let platform = PlatformId::parse("platform.example").unwrap();
    let at = |size, root| Watched { origin: "x".into(), size, root: [root; 32], note: b"n".to_vec(), at: size };
    assert!(!store.watch(&platform, 3, &at(4, 1)).unwrap());
    assert!(store.watch(&platform, 0, &at(4, 1)).unwrap());
    for (old, new) in [(0, at(5, 2)), (3, at(5, 2)), (4, at(4, 2)), (4, at(3, 1))] {
        assert!(!store.watch(&platform, old, &new).unwrap());
    }
    assert!(store.watch(&platform, 4, &at(4, 1)).unwrap());
    assert!(store.watch(&platform, 4, &at(9, 3)).unwrap());
    assert_eq!(store.watched("x").unwrap(), Some(at(9, 3)));
}

#[tokio::test]
async fn a_full_disk_is_not_answered_through_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("veilmatch.db")).unwrap();
    store.fill_disk();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let states = Arc::clone(&seen);
    let writer = FrameWriter::run(store, move |state| states.lock().unwrap().push(state)).unwrap();
    let mut durable = 0_u16;
    while matches!(record(&writer, frame(durable, 4)).await, Recorded::Durable(..)) {
        durable += 1;
    }
    assert_eq!(writer.state(), AuditState::Unwritable);
    // The probe changes a page that is there, so it succeeds.
    tokio::time::timeout(Duration::from_secs(10), async {
        while writer.state() != AuditState::Writable {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(*seen.lock().unwrap(), [AuditState::Unwritable, AuditState::Writable]);
    drop(writer);
    let store = Store::open(&dir.path().join("veilmatch.db")).unwrap();
    assert_eq!(store.count_frames().unwrap(), (durable.into(), 0));
}

#[test]
fn a_failed_sync_is_final_and_a_full_disk_is_not() {
    let error = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
    for code in [rusqlite::ffi::SQLITE_FULL, rusqlite::ffi::SQLITE_BUSY, rusqlite::ffi::SQLITE_IOERR_SHMSIZE] {
        assert!(writer::can_recover(&error(code)), "{code}");
    }
    for code in [
        rusqlite::ffi::SQLITE_IOERR_FSYNC,
        rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC,
        rusqlite::ffi::SQLITE_IOERR_WRITE,
        rusqlite::ffi::SQLITE_CORRUPT,
        rusqlite::ffi::SQLITE_READONLY,
    ] {
        assert!(!writer::can_recover(&error(code)), "{code}");
    }
    assert!(!writer::can_recover(&rusqlite::Error::InvalidQuery));
}

#[test]
fn entries_of_an_earlier_program_become_claims_with_the_codes_that_their_labels_were() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("entries.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(schema::ENTRIES.steps[0]).unwrap();
    old.execute_batch(
        "PRAGMA user_version = 1;
         INSERT INTO list VALUES (1, 'base');
         INSERT INTO change VALUES (1, 1, 'import', 'file', 5, 3, 3, 0, 0), (2, 1, 'retract', 'file', 6, 1, 1, 0, 0);
         INSERT INTO quarantine VALUES (1, 9, 'MALFORMED');
         INSERT INTO entry VALUES (1, x'0100112233445566778899aabbccddeeff', x'41310000', 1, NULL, 0),
                                  (1, x'0110112233445566778899aabbccddeeff', x'00000000', 1, 2, 0),
                                  (1, x'0120112233445566778899aabbccddeeff', x'42324333', 1, NULL, 2);",
    )
    .unwrap();
    drop(old);
    let entries = Entries::open(&path).unwrap();
    let codes: Vec<_> = entries.categories(&list()).unwrap().into_iter().map(|row| (row.scheme, row.code)).collect();
    assert_eq!(codes, [("custom".into(), "A1".into()), ("custom".into(), "B2C3".into())]);
    let [source] = &entries.sources(&list()).unwrap()[..] else { panic!("one source") };
    assert_eq!((&source.name[..], source.size), ("local", 2));
    let labels = entries.labels(&list(), 4).unwrap();
    let at = |change| Edition { change, at: 9, rule: Rule::default() };
    let count = |from, to| entries.count(&list(), &from, &to, &labels).unwrap();
    assert_eq!(count(Edition::EMPTY, at(1)), [3, 0, 0]);
    assert_eq!(count(at(1), at(2)), [0, 1, 1]);
    assert_eq!(entries.changes(&list(), 9).unwrap().len(), 2);
}

#[tokio::test]
async fn frames_and_leaves_of_an_earlier_program_keep_their_places_and_their_day() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("veilmatch.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    schema::STORE.steps[..5].iter().for_each(|step| old.execute_batch(step).unwrap());
    // Answered before there was a log; answered, refused and published; answered, and not published yet.
    old.execute_batch(
        "PRAGMA user_version = 5;
         INSERT INTO log VALUES (1, 'agency.example/veilmatch/query/2027h1', 2, x'', x'', 0, 2, x'', '', x'', NULL, NULL);
         INSERT INTO log_leaf VALUES (1, 0, 'platform.example', x'aa'), (1, 1, 'platform.example', x'bb'),
                                     (1, 2, 'platform.example', x'cc');
         INSERT INTO budget VALUES ('platform.example', 'base', 7, 12, 3);
         INSERT INTO evaluations VALUES ('base', 1, 12);",
    )
    .unwrap();
    let rows = [(1_u16, "ok", None), (2, "ok", Some(0)), (3, "refused", Some(1)), (4, "ok", Some(2))];
    for (batch, status, index) in rows {
        old.execute(
            "INSERT INTO frame (platform, list, epoch, version, view_size, view_root, batch, n, req, resp, req_sig, minute,
                 status, code, t, nonce, proof, retries, log, idx)
             SELECT 'platform.example', 'base', 1, 1, 1, ?2, ?1, 4, ?3, ?4, ?5, ?6, ?7, '', ?6, ?8, ?9, 2, iif(?10, 1, NULL), ?11",
            rusqlite::params![
                frame(batch, 4).key.batch.0,
                [1_u8; 32],
                [2_u8; 32],
                [4_u8; 32],
                [3_u8; 64],
                signed(NOW / 60),
                status,
                [6_u8; 16],
                [5_u8; 64],
                index.is_some(),
                index
            ],
        )
        .unwrap();
    }
    drop(old);

    let mut store = Store::open(&path).unwrap();
    let key = |batch| frame(batch, 4).key;
    for (batch, index) in [(1, None), (2, Some((0, vec![0xaa]))), (4, Some((2, vec![0xcc])))] {
        assert_eq!(store.recorded(&key(batch)).unwrap(), Some(frame(batch, 4)));
        let answered = store.answered(&key(batch)).unwrap().unwrap();
        assert_eq!((answered.leaf.map(|leaf| (leaf.index, leaf.bytes)), answered.retries), (index, 2));
    }
    assert_eq!(store.answered(&key(3)).unwrap(), None, "it was refused");
    assert_eq!(store.count_frames().unwrap(), (3, 1));
    let platform = key(1).platform;
    assert_eq!(store.budget_use(&platform, &list(), 7).unwrap(), BudgetUse { elements: 12, frames: 3 });
    let of_the_day =
        |store: &Store| store.answered_frames(&platform, &list(), Epoch(1), NOW / 60..NOW / 60 + 1).unwrap().len();
    assert_eq!(of_the_day(&store), 3);
    let own = |store: &Store, size| store.leaves_of(1, Some(&platform), 0..size, 9, 9_999).unwrap();
    assert_eq!(own(&store, 2), [(0, vec![0xaa]), (1, vec![0xbb])]);
    // The log goes on behind them, and what is published then is found as before.
    let writer = FrameWriter::start(&path, |_| ()).unwrap();
    assert_eq!(record(&writer, frame(2, 4)).await, Recorded::AlreadyAnswered);
    assert!(matches!(record(&writer, frame(5, 4)).await, Recorded::Durable(_, 3)));
    assert_eq!(of_the_day(&store), 4);
    store.log_published(1, &Head { size: 4, root: [0; 32], note: Vec::new(), at: 0 }, false).unwrap();
    assert_eq!((of_the_day(&store), own(&store, 4).len()), (4, 4));
    assert!(store.answered_frames(&platform, &list(), Epoch(1), NOW / 60 + 1..u64::MAX >> 1).unwrap().is_empty());
}

#[test]
fn a_day_that_has_other_frames_than_were_compared_is_not_closed() {
    // SPEC §20.3
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("veilmatch.db");
    let writer = FrameWriter::start(&path, |_| ()).unwrap();
    let platform = PlatformId::parse("platform.example").unwrap();
    let leaf = NewLeaf { origin: "a/veilmatch/query/2024h2".into(), platform: platform.clone(), bytes: b"{}".to_vec() };
    let day = |frames| ClosedDay {
        platform: platform.clone(),
        list: ListId::parse("base").unwrap(),
        epoch: Epoch(1),
        date: "2024-10-04".into(),
        minutes: 0..1_440,
        frames,
        statement: b"statement".to_vec(),
    };
    let close = |frames| futures::executor::block_on(writer.close(day(frames), leaf.clone()));
    assert_eq!(close(1), Recorded::Differs);
    assert_eq!(Store::open(&path).unwrap().logs().unwrap(), []);
    assert!(matches!(close(0), Recorded::Durable(_, 0)));
    assert_eq!(close(0), Recorded::AlreadyAnswered);
}
