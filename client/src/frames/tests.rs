use veilmatch_protocol::{
    name::Version,
    oprf::{self, Mode, SecretKey},
};

use super::*;
use crate::{fake, state_dir::create_private_dir};

/// A subject of one item whose result is known and not listed, in a version that is valid until `end`.
fn known(home: &fake::Home, end: u64) -> impl Fn() -> Answers {
    let dir = &home.dir;
    let (signed, bytes) = fake::published(Timestamp::from_unix(end));
    create_private_dir(&dir.list(&fake::list())).unwrap();
    std::fs::write(dir.artifact(&fake::list(), Version(1)), bytes).unwrap();
    let held = Arc::new(Held::open(dir, signed, None).unwrap());
    let item = Item::new(Kind::Sha256, &[7; 32]).unwrap();
    let context = EpochContext { list: fake::list(), epoch: held.epoch() };
    let key = SecretKey::for_epoch(&[6; 32], &fake::list(), held.epoch()).unwrap();
    let outputs = oprf::evaluate(Mode::Voprf, &key, &[item.as_bytes()]).unwrap();
    let row = Row { kind: Kind::Sha256, okm: context.okm(&outputs[0]), batch: BatchId([0; 16]), position: 0 };
    let subject = Subject { key: 0, reference: Vec::new(), items: vec![item], whole: false };
    let batch = Arc::new(Batch {
        held,
        keeper: None,
        subjects: vec![subject],
        known: vec![Known::default()],
        unknown: Unknown::default(),
    });
    let log = Arc::clone(&home.log);
    move || Answers { batch: Arc::clone(&batch), rows: vec![vec![row.clone()]], opened: None, log: Arc::clone(&log) }
}

#[test]
fn nothing_is_answered_from_a_version_that_expired_while_the_frame_was_on_its_way() {
    // SPEC §8.5. Whether the version was valid was asked before the frame left and not again: a scan that a server kept
    // waiting gave answers from an expired version.
    let home = fake::Home::new();
    let end = 1_800_000_000;
    let answers = known(&home, end);
    assert_eq!(answers().outcomes(Timestamp::from_unix(end)), [Outcome::NoMatch { version: 1 }]);
    assert_eq!(answers().outcomes(Timestamp::from_unix(end + 1)), [Outcome::NotChecked(NotChecked::Expired)]);
}

#[test]
fn nothing_is_answered_that_could_not_be_recorded_and_it_is_counted_once_as_not_checked() {
    let home = fake::Home::new();
    let now = Timestamp::from_unix(1_800_000_000);
    let answers = known(&home, now.unix());
    let raw = rusqlite::Connection::open(home.dir.database()).unwrap();
    raw.execute_batch("ALTER TABLE total RENAME TO elsewhere").unwrap();
    assert_eq!(answers().outcomes(now), [Outcome::NotChecked(NotChecked::Storage)]);
    raw.execute_batch("ALTER TABLE elsewhere RENAME TO total").unwrap();
    home.log.flush_totals().unwrap();
    let count =
        |what: &str| raw.query_row("SELECT sum(n) FROM total WHERE what = ?1", [what], |row| row.get(0)).unwrap();
    let counts: [Option<i64>; 2] = ["answered", "not_checked:STORAGE"].map(count);
    assert_eq!(counts, [None, Some(1)]);
    assert_eq!(answers().outcomes(now), [Outcome::NoMatch { version: 1 }]);
}
