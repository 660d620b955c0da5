//! Checkpoints, closing statements and logs that were lost: with an agency.

use super::*;

/// An agency that cosigns.
async fn agency() -> (FakeLogs, Connection) {
    let published = fake::published(Timestamp::from_unix(4_000_000_000));
    let logs = FakeLogs::of(&published.0);
    let connection = Connection::plain(&fake::with_logs(published, logs.clone()).await);
    (logs, connection)
}

async fn publish(home: &Home, connection: &Connection) -> Result<Vec<Published>, Error> {
    home.log.publish(connection, &fake::invitation().witness_key(), true).await
}

fn folder(home: &Home) -> (LogFolder, Checkpoint) {
    let (_, path) = home.log.folders().unwrap().pop().unwrap();
    let folder = LogFolder::new(path);
    let note = folder.checkpoint().unwrap().unwrap();
    let checkpoint = Checkpoint::parse(Note::parse(&note).unwrap().text()).unwrap();
    (folder, checkpoint)
}

#[tokio::test]
async fn a_published_tree_is_padded_cosigned_and_read_from_its_files() {
    // SPEC §18.5, §17.3, §17.4, §20.2
    let home = Home::new();
    let (logs, connection) = agency().await;
    asked(&home, 3).answered(&home, true);
    let published = publish(&home, &connection).await.unwrap();
    assert_eq!((published[0].size, published[0].cosigned), (64, true));
    let (files, checkpoint) = folder(&home);
    assert_eq!(tree::root_at(&files.view(64), 64).unwrap(), checkpoint.root);
    let note = files.checkpoint().unwrap().unwrap();
    assert_eq!(Note::parse(&note).unwrap().lines().len(), 2, "the agency's line stands beside the platform's");
    // Whether something was found does not decide that there is a checkpoint, nor its size.
    let published = publish(&home, &connection).await.unwrap();
    assert_eq!((published[0].size, published[0].cosigned), (128, true));
    home.log.erase(&[first()], "retention").unwrap();
    publish(&home, &connection).await.unwrap();
    let (files, checkpoint) = folder(&home);
    assert_eq!(checkpoint.size, 192);
    let proof = tree::inclusion_proof(&files.view(192), 0, 192).unwrap();
    let leaf = veilmatch_audit::leaf::hash(&files.view(192).entries(0).unwrap()[0]);
    tree::verify_inclusion(&leaf, 0, 192, &proof, &checkpoint.root).unwrap();
    assert_eq!(logs.state().cosigned.len(), 1);
}

#[tokio::test]
async fn a_day_is_closed_once_with_both_signatures_and_a_contradiction_is_kept() {
    // SPEC §18.6, §20.3 CLOSE_DIFFERS
    let home = Home::new();
    let (logs, connection) = agency().await;
    (1..=2).for_each(|byte| {
        sent(&home, byte);
        home.log.frame_ended(&fake::list(), BatchId([byte; 16]), answered(), 3).unwrap();
    });
    let ack_key = fake::invitation().ack_key();
    let close = || home.log.close_days(&connection, &ack_key);
    close().await.unwrap();
    assert_eq!(leaves(&home).len(), 2, "nothing is closed that the agency contradicts");
    let kept: Vec<_> = fs::read_dir(home.dir.evidence()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(kept, ["closing-baseline-1-2026-05-28.note"]);
    let key = Keys::read(&home.dir).unwrap().receipt.verifying_key();
    logs.state().agrees = Some(Verifier::new(&receipt_key(&fake::platform()), key).unwrap());
    for _ in 0..2 {
        close().await.unwrap();
    }
    let leaves = leaves(&home);
    let [Leaf::Frame(_), Leaf::Frame(_), Leaf::Close(closed)] = &leaves[..] else { panic!("{leaves:?}") };
    assert_eq!(
        (closed.date.to_string().as_str(), closed.epoch, closed.list.as_str()),
        ("2026-05-28", Epoch(1), "baseline")
    );
}

#[tokio::test]
async fn files_that_were_lost_are_written_anew_before_anything_is_signed() {
    // SPEC §17.4
    let home = Home::new();
    let (_logs, connection) = agency().await;
    asked(&home, 3).answered(&home, true);
    publish(&home, &connection).await.unwrap();
    let (_, path) = home.log.folders().unwrap().pop().unwrap();
    fs::remove_dir_all(path.join("tile")).unwrap();
    assert_eq!(publish(&home, &connection).await.unwrap()[0].size, 128);
    let (files, checkpoint) = folder(&home);
    assert_eq!(tree::root_at(&files.view(128), 128).unwrap(), checkpoint.root);
}

#[tokio::test]
async fn nothing_is_signed_behind_what_the_agency_cosigned_and_a_lost_log_goes_on_as_another() {
    // SPEC §20.2, §17.1, §18.2 LOG_LOST, LOG_WHOLE
    let home = Home::new();
    let (logs, connection) = agency().await;
    asked(&home, 3).answered(&home, true);
    publish(&home, &connection).await.unwrap();
    assert_eq!(home.log.recover(&connection).await.unwrap_err().reason(), "LOG_WHOLE");
    home.store.empty_log().unwrap();
    let backup = fs::read(home.dir.database()).unwrap();
    publish(&home, &connection).await.unwrap();
    home.store.empty_log().unwrap();
    // An old backup of the database is restored.
    let database = home.dir.database();
    fs::write(&database, backup).unwrap();
    let home = home.again();
    sent(&home, 5);
    home.log.frame_ended(&fake::list(), BatchId([5; 16]), answered(), 1).unwrap();
    let before = logs.state().cosigned.clone();
    assert_eq!(home.log.compare(&connection).await.unwrap_err().reason(), "LOG_LOST");
    assert_eq!(publish(&home, &connection).await.unwrap_err().reason(), "LOG_LOST");
    assert_eq!(logs.state().cosigned, before, "nothing was signed");

    let recovered = home.log.recover(&connection).await.unwrap();
    assert_eq!((recovered[0].from, recovered[0].to), (64, 128));
    assert!(recovered[0].log.to_string().ends_with(".2"));
    let leaves = leaves(&home);
    let Leaf::Key(key) = &leaves[0] else { panic!("{leaves:?}") };
    assert_eq!((key.lost_from, key.lost_to, key.previous.is_some()), (64, 128, true));
    assert!(
        matches!(&leaves[1], Leaf::Frame(frame) if frame.batch == BatchId([5; 16])),
        "what was not signed goes along"
    );
    let published = publish(&home, &connection).await.unwrap();
    assert_eq!((published.len(), published[0].size, published[0].cosigned), (1, 64, true));
    assert_eq!(logs.state().cosigned.len(), 2);
    home.log.compare(&connection).await.unwrap();
}

#[tokio::test]
async fn a_database_that_was_lost_altogether_is_noticed_too() {
    // SPEC §20.2 LOG_LOST
    let home = Home::new();
    let (logs, connection) = agency().await;
    asked(&home, 3).answered(&home, true);
    publish(&home, &connection).await.unwrap();
    let lost = fs::read_dir(home.dir.root()).unwrap().map(|file| file.unwrap().path());
    lost.filter(|path| path.to_str().unwrap().contains("state.db")).for_each(|path| fs::remove_file(path).unwrap());
    let home = home.again();
    assert_eq!(publish(&home, &connection).await.unwrap_err().reason(), "LOG_LOST");
    let recovered = home.log.recover(&connection).await.unwrap();
    assert_eq!((recovered[0].from, recovered[0].to), (0, 64));
    publish(&home, &connection).await.unwrap();
    assert_eq!(logs.state().cosigned.len(), 2);
}

#[tokio::test]
async fn a_head_that_changed_meanwhile_is_not_replaced() {
    // SPEC §17.4 HEAD_CHANGED
    let home = Home::new();
    asked(&home, 3).answered(&home, true);
    let log = home.store.logs().unwrap().pop().unwrap();
    assert!(home.store.set_head(log.id, 0, 1, b"note", 1).unwrap());
    assert!(!home.store.set_head(log.id, 0, 2, b"note", 1).unwrap());
    let error = Error::HeadChanged { log: "log".to_owned() };
    assert_eq!(error.reason(), "HEAD_CHANGED");
}

#[tokio::test]
async fn a_head_that_is_not_signed_by_this_platform_is_not_built_upon() {
    // LOG_FILES
    let home = Home::new();
    let (_logs, connection) = agency().await;
    asked(&home, 3).answered(&home, true);
    let log = home.store.logs().unwrap().pop().unwrap();
    home.store.set_head(log.id, 0, 1, b"no note", 1).unwrap();
    assert_eq!(publish(&home, &connection).await.unwrap_err().reason(), "LOG_FILES");
}

fn in_database(home: &Home, statement: &str) {
    rusqlite::Connection::open(home.dir.database()).unwrap().execute_batch(statement).unwrap();
}

fn at(text: &str) -> Place {
    text.parse().unwrap()
}

fn leaves_of(home: &Home, log: &str) -> Vec<Leaf> {
    let log = home.store.logs().unwrap().into_iter().find(|row| row.name().to_string() == log).unwrap();
    let leaves = home.store.leaves(log.id, 0, log.leaves).unwrap();
    leaves.iter().map(|leaf| Leaf::decode(leaf).unwrap()).collect()
}

/// The name and size of what was published.
fn sizes(published: &[Published]) -> Vec<(String, u64)> {
    published.iter().map(|published| (published.log.to_string(), published.size)).collect()
}

#[tokio::test]
async fn a_half_year_that_is_over_has_one_last_checkpoint_whether_or_not_something_came() {
    // SPEC §18.5, §12.4. What was done about a match of an earlier half-year stood in its log, which was published for that
    // alone: the agency saw that it had one.
    for something in [false, true] {
        let home = Home::new();
        let (_logs, connection) = agency().await;
        home.store.begin_log(&shard(now())).unwrap();
        if something {
            asked(&home, 3).answered(&home, true);
        }
        in_database(&home, "UPDATE log SET shard = '2020h1', signed = 1590000000");

        let newest = shard(now());
        let both = [("2020h1".to_owned(), 64), (newest.clone(), 64)];
        assert_eq!(sizes(&publish(&home, &connection).await.unwrap()), both, "{something}");
        if something {
            let done = home.log.act(at("2020h1/0"), Taken::Reported, "").unwrap();
            assert_eq!(done.to_string(), format!("{newest}/64"));
        }
        assert_eq!(sizes(&publish(&home, &connection).await.unwrap()), [(newest, 128)], "{something}");
        assert!(!home.log.is_due().unwrap());
    }
}

/// A platform with two matches in a log whose newer part was lost: its database is that of the first checkpoint.
async fn restored() -> (Home, Connection, LogName) {
    let home = Home::new();
    let (_logs, connection) = agency().await;
    [3, 4].iter().for_each(|byte| asked(&home, *byte).answered(&home, true));
    let log = publish(&home, &connection).await.unwrap()[0].log;
    home.store.empty_log().unwrap();
    let backup = fs::read(home.dir.database()).unwrap();
    publish(&home, &connection).await.unwrap();
    home.store.empty_log().unwrap();
    fs::write(home.dir.database(), backup).unwrap();
    (home.again(), connection, log)
}

#[tokio::test]
async fn what_is_done_about_a_match_of_a_lost_log_is_published_in_the_one_that_goes_on() {
    // SPEC §18.5, §17.1. It went into the log that was lost, which nothing is published of any more.
    let (home, connection, lost) = restored().await;
    let new = home.log.recover(&connection).await.unwrap()[0].log;
    let (of, other) = (Place { log: Some(lost), index: 0 }, Place { log: Some(lost), index: 1 });
    let done = home.log.act(of, Taken::Removed, "").unwrap();
    assert_eq!(done, Place { log: Some(new), index: 1 });
    assert_eq!(home.log.one_match(of).unwrap().view.actions[0].taken, "removed");
    let erased = home.log.erase(&[other], "retention").unwrap();
    assert_eq!((erased[0].log, erased[0].leaf), (lost, Place { log: Some(new), index: 2 }));
    assert_eq!(home.log.one_match(other).map(drop).unwrap_err().reason(), "ERASED");

    publish(&home, &connection).await.unwrap();
    let (files, checkpoint) = folder(&home);
    assert_eq!(checkpoint.origin, home.log.origin(new).to_string());
    let published: Vec<Leaf> =
        files.view(checkpoint.size).leaves(0..3).map(|leaf| Leaf::decode(&leaf.unwrap().1).unwrap()).collect();
    let [Leaf::Key(_), Leaf::Action(action), Leaf::Erase(erase)] = &published[..] else { panic!("{published:?}") };
    assert_eq!((&action.log, action.index), (&home.log.origin(lost), 0));
    assert_eq!((&erase.log, &erase.indices[..]), (&home.log.origin(lost), &[1][..]));
}

#[tokio::test]
async fn leaves_that_go_along_name_what_goes_along_by_its_new_place_and_what_stays_by_its_old_one() {
    // SPEC §18.2, §18.5
    let (home, connection, lost) = restored().await;
    let place = |index| Place { log: None, index };
    home.log.act(place(0), Taken::Reported, "").unwrap();
    asked(&home, 5).answered(&home, true);
    home.log.act(place(65), Taken::Removed, "").unwrap();
    home.log.erase(&[place(1), place(65)], "retention").unwrap();
    asked(&home, 6).answered(&home, true);
    home.log.act(place(68), Taken::Rejected, "").unwrap();

    let new = home.log.recover(&connection).await.unwrap()[0].log;
    let (of_lost, of_new) = (home.log.origin(lost), home.log.origin(new));
    let leaves = leaves_of(&home, &new.to_string());
    let names = |leaf: &Leaf| match leaf {
        Leaf::Action(leaf) => Some((leaf.log.clone(), vec![leaf.index])),
        Leaf::Erase(leaf) => Some((leaf.log.clone(), leaf.indices.clone())),
        _ => None,
    };
    let named: Vec<_> = leaves.iter().map(names).collect();
    let (none, old) = (|| None, |index| Some((of_lost.clone(), vec![index])));
    let along = |index| Some((of_new.clone(), vec![index]));
    // The key, an action, a match, an action, the erasure's first part, a match, an action, and its second part.
    assert_eq!(named, [none(), old(0), none(), along(2), old(1), none(), along(5), along(2)]);
    assert!(matches!((&leaves[0], &leaves[2], &leaves[5]), (Leaf::Key(_), Leaf::Match(_), Leaf::Match(_))));
    let taken = |place| home.log.one_match(place).map(|opened| opened.view.actions[0].taken.clone());
    assert_eq!(taken(Place { log: Some(lost), index: 0 }).unwrap(), "reported");
    assert_eq!(taken(Place { log: Some(new), index: 5 }).unwrap(), "rejected");
    assert_eq!(taken(Place { log: Some(new), index: 2 }).unwrap_err().reason(), "ERASED");
    assert_eq!(taken(Place { log: Some(lost), index: 1 }).unwrap_err().reason(), "ERASED");
}

#[tokio::test]
async fn a_log_whose_head_is_lost_is_not_begun_anew_over_its_files_and_can_be_recovered() {
    // SPEC §17.4, §20.2 LOG_LOST. Where the agency had not cosigned either, publishing said that the log was lost, and
    // recovering that it was not.
    let home = Home::new();
    let (logs, connection) = agency().await;
    asked(&home, 3).answered(&home, true);
    publish(&home, &connection).await.unwrap();
    logs.state().cosigned.clear();
    in_database(&home, "UPDATE log SET head = NULL, size = 0, cosigned = 0, signed = 0");
    let before = folder(&home).1;
    assert_eq!(publish(&home, &connection).await.unwrap_err().reason(), "LOG_LOST");
    assert_eq!(folder(&home).1, before, "nothing was written");
    let recovered = home.log.recover(&connection).await.unwrap();
    assert_eq!((recovered[0].from, recovered[0].to), (0, 64));
    assert!(matches!(&leaves(&home)[..2], [Leaf::Key(_), Leaf::Match(_)]), "what is here goes along");
    assert_eq!(publish(&home, &connection).await.unwrap()[0].size, 128);
}

#[tokio::test]
async fn a_head_that_is_older_than_the_files_is_not_signed_over_and_can_be_recovered() {
    // SPEC §17.4, §20.2 LOG_LOST. An older database beside the files, where the agency had not cosigned what came after.
    let home = Home::new();
    let (logs, connection) = agency().await;
    asked(&home, 3).answered(&home, true);
    publish(&home, &connection).await.unwrap();
    in_database(&home, "CREATE TABLE kept AS SELECT head, size, cosigned, signed FROM log");
    publish(&home, &connection).await.unwrap();
    logs.state().cosigned.clear();
    in_database(
        &home,
        "UPDATE log SET (head, size, cosigned, signed) = (SELECT * FROM kept); DELETE FROM leaf WHERE number >= 64",
    );
    let before = folder(&home).1;
    assert_eq!(before.size, 128);
    assert_eq!(publish(&home, &connection).await.unwrap_err().reason(), "LOG_LOST");
    assert_eq!(folder(&home).1, before, "nothing was written");
    let recovered = home.log.recover(&connection).await.unwrap();
    assert_eq!((recovered[0].from, recovered[0].to), (64, 128));
}

#[tokio::test]
async fn a_head_that_was_not_cosigned_is_compared_by_its_files_or_without_them_by_its_leaves() {
    // SPEC §20.2. All leaves were hashed again at each start for as long as the newest head was not cosigned.
    let home = Home::new();
    let (_logs, connection) = agency().await;
    asked(&home, 3).answered(&home, true);
    publish(&home, &connection).await.unwrap();
    let (_, first) = folder(&home);
    publish(&home, &connection).await.unwrap();
    let log = home.store.logs().unwrap().pop().unwrap();
    assert_eq!((first.size, log.size), (64, 128));
    let forked = Checkpoint { root: [7; 32], ..first.clone() };
    let compare = |theirs: &Checkpoint| home.log.is_whole(&log, Some(theirs));
    compare(&first).unwrap();
    assert_eq!(compare(&forked).unwrap_err().reason(), "LOG_LOST");

    let database = rusqlite::Connection::open(home.dir.database()).unwrap();
    database.execute_batch("CREATE TABLE kept AS SELECT * FROM leaf; DELETE FROM leaf;").unwrap();
    compare(&first).unwrap();
    assert_eq!(compare(&forked).unwrap_err().reason(), "LOG_LOST");
    database.execute_batch("INSERT INTO leaf SELECT * FROM kept").unwrap();
    let (_, path) = home.log.folders().unwrap().pop().unwrap();
    fs::remove_dir_all(path.join("tile")).unwrap();
    compare(&first).unwrap();
    assert_eq!(compare(&forked).unwrap_err().reason(), "LOG_LOST");
}
