use veilmatch_protocol::{
    name::Version,
    oprf::{self, Mode, SecretKey},
};

use super::*;
use crate::{fake, state_dir::create_private_dir};

#[test]
fn nothing_is_answered_from_a_version_that_expired_while_the_frame_was_on_its_way() {
    // SPEC §8.5. Whether the version was valid was asked before the frame left and not again: a scan that a server kept
    // waiting gave answers from an expired version.
    let home = fake::Home::new();
    let dir = &home.dir;
    let end = 1_800_000_000;
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
    let batch = Batch {
        held,
        keeper: None,
        subjects: vec![subject],
        known: vec![Known::default()],
        unknown: Unknown::default(),
    };
    let (rows, log) = (vec![vec![row]], Arc::clone(&home.log));
    let recorded = Recorded { batch: Arc::new(batch), rows, opened: None, log };
    assert_eq!(recorded.outcomes(Timestamp::from_unix(end)), [Outcome::NoMatch { version: 1 }]);
    assert_eq!(recorded.outcomes(Timestamp::from_unix(end + 1)), [Outcome::NotChecked(NotChecked::Expired)]);
}
