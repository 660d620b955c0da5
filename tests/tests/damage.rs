//! What the platform's disk does to its copy of a list is mended by a synchronisation; what an agency loses with an old backup is
//! stated.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use veilmatch_client::{Client, Forget, NotChecked, Outcome};
use veilmatch_proto::pb;
use veilmatch_server::{
    Server,
    admin::{ClientTerms, Recover},
};
use veilmatch_tests::{PATIENCE, World, bare, copy, listed, matched, middle::Acts, now, unlisted};

const PLATFORM: &str = "platform.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_damaged_on_the_disk_is_fetched_anew() {
    // SPEC §7.4, §12.1. A file that was gone or cut kept the directory from being opened, and so from being synchronised;
    // one with a rotten record was "already held", although ALTERED_RECORD sends people to `sync`.
    let world = World::serving(3).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    world.open(&dir).await.shutdown().await;
    let artifact = dir.join("lists/baseline/1.vml");
    let whole = fs::read(&artifact).unwrap();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        Some(bytes)
    };
    let damages = [
        ("a record", changed(whole.len() - 1)),
        ("the directory", changed(50)),
        ("cut", Some(whole[..whole.len() / 2].to_vec())),
        ("empty", Some(Vec::new())),
        ("gone", None),
    ];
    for (what, damaged) in damages {
        match damaged {
            Some(bytes) => fs::write(&artifact, bytes).unwrap(),
            None => fs::remove_file(&artifact).unwrap(),
        }
        let client = Client::open(&dir).unwrap();
        let before = client.check(&world.list, bare(0, listed(0)), PATIENCE).await;
        assert!(matches!(before, Outcome::NotChecked(NotChecked::NoList | NotChecked::AlteredRecord)), "{what}");
        let report = client.sync(&world.list, |_| {}).await.unwrap();
        assert_eq!((report.before, report.version, report.fetched), (Some(1), 1, whole.len() as u64), "{what}");
        assert!(fs::read(&artifact).unwrap() == whole, "{what}");
        assert_eq!(client.check(&world.list, bare(0, listed(0)), PATIENCE).await, matched("A1", 1), "{what}");
        client.shutdown().await;
    }
    let client = Client::open(&dir).unwrap();
    assert_eq!(client.sync(&world.list, |_| {}).await.unwrap().fetched, 0, "nothing is wrong any more");
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_version_that_opens_what_is_kept_is_not_called_nothing() {
    // The rescan of a library's caller was one of nothing at all, with nothing lost, and forgetting forgot nothing.
    let world = World::serving(3).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let client = world.open(&dir).await;
    let nothing = Forget::default();
    assert_eq!(client.forget(&world.list, &nothing).unwrap(), 0);
    assert_eq!(client.check(&world.list, bare(0, listed(0)), PATIENCE).await, matched("A1", 1));
    client.shutdown().await;
    fs::write(dir.join("lists/baseline/1.vml"), "").unwrap();
    let client = Client::open(&dir).unwrap();
    let errors = [
        client.rescan(&world.list, |_| ()).err(),
        client.forget(&world.list, &nothing).err(),
        client.forget_lost(&world.list).err(),
    ];
    assert_eq!(errors.map(|error| error.unwrap().reason()), ["NO_LIST"; 3]);
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rots_while_it_is_in_use_is_mended_without_a_restart() {
    // SPEC §7.4. A running platform went on with the damaged file until its next version.
    let world = World::serving(3).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    let client = world.open(&dir).await;
    assert_eq!(client.check(&world.list, bare(0, listed(0)), PATIENCE).await, matched("A1", 1));
    let mut file = fs::OpenOptions::new().write(true).open(dir.join("lists/baseline/1.vml")).unwrap();
    file.seek(SeekFrom::End(-2)).unwrap();
    file.write_all(&[0xa5, 0x5a]).unwrap();
    let rotten = client.check(&world.list, bare(0, listed(0)), PATIENCE).await;
    assert_eq!(rotten, Outcome::NotChecked(NotChecked::AlteredRecord));
    assert!(client.sync(&world.list, |_| {}).await.unwrap().fetched > 0);
    assert_eq!(client.check(&world.list, bare(0, listed(0)), PATIENCE).await, matched("A1", 1));
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn catching_up_keeps_one_version_in_between_and_takes_the_shorter_way() {
    // SPEC §7.6. Each delta left a whole artifact behind until the last was applied: a platform that was ten versions behind
    // needed room for eleven. And it took the deltas, however much longer than the artifact they were.
    let mut world = World::serving(3).await;
    let dir = world.enrol(PLATFORM, &ClientTerms::default());
    world.open(&dir).await.shutdown().await;
    world.stop().await;
    let publish = |world: &World, entries: std::ops::Range<usize>| {
        for n in entries {
            world.import(&[listed(n)], "A1");
            world.publish();
        }
    };
    publish(&world, 3..7);
    let folder = dir.join("lists/baseline");
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let chunk = Arc::new(move |name: &'static str, chunk: pb::Chunk| {
        let files = fs::read_dir(&folder).unwrap().flatten();
        let artifacts = files.filter(|file| file.path().extension().is_some_and(|of| of == "vml")).count();
        if name == "delta" {
            seen.fetch_max(artifacts, Ordering::SeqCst);
        }
        Ok(chunk)
    });
    let middle = world.start_behind(&dir, Acts { chunk, ..Acts::default() }).await;
    let client = Client::open(&dir).unwrap();
    let report = client.sync(&world.list, |_| {}).await.unwrap();
    assert_eq!((report.version, report.by_delta, report.fetched), (5, true, 4 * 4_096));
    assert_eq!(most.load(Ordering::SeqCst), 2, "the one in use and the newest");
    assert_eq!(client.check(&world.list, bare(0, listed(6)), PATIENCE).await, matched("A1", 5));
    client.shutdown().await;
    drop(middle);
    world.stop().await;

    publish(&world, 7..14);
    world.options.listen = None;
    world.start().await;
    let client = Client::open(&dir).unwrap();
    let report = client.sync(&world.list, |_| {}).await.unwrap();
    assert_eq!((report.version, report.by_delta), (12, false));
    assert!(report.fetched < 7 * 4_096, "{}", report.fetched);
    assert_eq!(client.check(&world.list, bare(0, listed(13)), PATIENCE).await, matched("A1", 12));
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_old_backup_was_restored_a_platform_goes_on_once_what_is_lost_is_stated() {
    // SPEC §17.1, §17.7, §18.4, §20.2
    let mut world = World::serving(5).await;
    let dir = world.enrol("platform.example", &ClientTerms::default());
    let ask = async |world: &World, n: usize| {
        let client = world.open(&dir).await;
        let outcome = client.check(&world.list, bare(0, unlisted(n)), PATIENCE).await;
        assert_eq!(outcome, Outcome::NoMatch { version: 1 });
        client.shutdown().await;
    };
    ask(&world, 0).await;
    world.stop().await;
    let (agency, backup) = (world.agency_dir(), world.platform_dir("backup"));
    copy(&agency, &backup);
    world.start().await;
    ask(&world, 1).await;
    // What is recorded last is published at the end, and seen after it.
    world.stop().await;
    world.start().await;
    world.open(&dir).await.shutdown().await;
    world.stop().await;
    fs::remove_dir_all(&agency).unwrap();
    copy(&backup, &agency);

    // The platform shows what it has seen, and the agency stops.
    world.start().await;
    let client = Client::open(&dir).unwrap();
    assert_eq!(client.sync(&world.list, |_| {}).await.unwrap_err().reason(), "LOG_ROLLBACK");
    let outcome = client.check(&world.list, bare(0, unlisted(2)), std::time::Duration::from_millis(500)).await;
    assert!(matches!(outcome, Outcome::NotChecked(_)), "{outcome:?}");
    client.shutdown().await;
    world.stop().await;
    let refused = Server::start(&agency, world.options.clone()).await.err().unwrap();
    assert_eq!(refused.reason(), "LOG_HALTED");

    let recovery = world.agency().log_recover(Recover::Query, now()).unwrap();
    assert_eq!(recovery.logs[0].range, 1..2);
    world.start().await;
    ask(&world, 3).await;
    world.stop().await;
    let status = world.agency().log_status().unwrap();
    let newest = &status.last().unwrap().row;
    assert_eq!((newest.origin.as_str(), newest.published_size), (recovery.logs[0].log.as_str(), 2));
}
