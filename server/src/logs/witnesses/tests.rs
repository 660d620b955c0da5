use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use ed25519_dalek::SigningKey;
use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    cosignature::Cosigner,
    witness::{AddCheckpoint, Refusal, SIZE_TYPE, judge},
};
use veilmatch_protocol::{
    name::AgencyName,
    note::{Note, Verifier},
};

use super::*;
use crate::{
    ServeOptions, Server,
    keys::read_signing_key,
    logs::{LogHealth, LogKeys, LogState},
    world::World,
};

const MANIFEST: &str = "agency.example/veilmatch/manifest";

fn cosigner() -> Cosigner {
    Cosigner::new("witness.example", SigningKey::from_bytes(&[77; 32])).unwrap()
}

/// The last checkpoint of each log, and its note.
type Last = HashMap<String, (Checkpoint, Vec<u8>)>;

/// A witness that shows and judges by what it saw last of each log.
struct Seen {
    url: String,
    last: Arc<Mutex<Last>>,
    // How often it cosigned.
    cosigned: Arc<AtomicU64>,
}

impl Seen {
    fn serve(keys: Vec<Verifier>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/w", listener.local_addr().unwrap());
        let last = Arc::new(Mutex::new(HashMap::new()));
        let seen = Arc::clone(&last);
        let cosigned = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&cosigned);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (path, body) = request(&mut stream);
                let (status, kind, body) = answer(&keys, &mut seen.lock().unwrap(), &path, &body);
                if status == 200 && path.ends_with("add-checkpoint") {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(&[head.as_bytes(), &body].concat());
            }
        });
        Self { url, last, cosigned }
    }

    fn policy(&self) -> String {
        format!("witness w {} {}\nquorum w\n", cosigner().witness(), self.url)
    }

    fn size_of(&self, origin: &str) -> u64 {
        self.last.lock().unwrap().get(origin).map_or(0, |seen| seen.0.size)
    }
}

// Path and body of a request.
fn request(stream: &mut impl Read) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let read = stream.read(&mut piece).unwrap();
        bytes.extend_from_slice(&piece[..read]);
        let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
            assert!(read > 0);
            continue;
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_ascii_lowercase();
        let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        if bytes.len() >= end + 4 + len {
            return (head.split(' ').nth(1).unwrap().to_owned(), bytes[end + 4..].to_vec());
        }
    }
}

fn answer(keys: &[Verifier], seen: &mut Last, path: &str, body: &[u8]) -> (u16, &'static str, Vec<u8>) {
    if path != "/w/add-checkpoint" {
        let found = seen.values().find(|(checkpoint, _)| path == format!("/w/{}", checkpoint_path(&checkpoint.origin)));
        return found.map_or((404, "text/plain", Vec::new()), |(_, note)| (200, "text/plain", note.clone()));
    }
    let asked = AddCheckpoint::decode(body).unwrap();
    let keys = |origin: &str| keys.iter().position(|key| key.name() == origin).map_or(&[][..], |at| &keys[at..=at]);
    let last = |origin: &str| Ok::<_, Refusal>(seen.get(origin).map(|seen| seen.0.clone()));
    match judge(&asked, keys, last) {
        Ok(extension) => {
            let (checkpoint, note) = (extension.checkpoint().clone(), extension.note().as_bytes().to_vec());
            let line = cosigner().cosign(&checkpoint, crate::world::NOON);
            seen.insert(checkpoint.origin.clone(), (checkpoint, note));
            (200, "text/plain", line.into_bytes())
        }
        Err(Refusal::Stale(size)) => (409, SIZE_TYPE, format!("{size}\n").into_bytes()),
        Err(refusal) => (refusal.status(), "text/plain", Vec::new()),
    }
}

fn manifest_key(world: &World) -> SigningKey {
    read_signing_key(&world.root().join("keys/manifest-log.key")).unwrap()
}

fn verifiers(world: &World) -> Vec<Verifier> {
    vec![Verifier::new(MANIFEST, manifest_key(world).verifying_key()).unwrap()]
}

fn work(world: &World) -> (Arc<WitnessWork>, Arc<LogHealth>) {
    let dir = world.agency().dir().clone();
    let keys = LogKeys::read(&dir, &AgencyName::parse("agency.example").unwrap()).unwrap();
    let health = Arc::new(LogHealth::new(|_| ()));
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let reader = LogReader::new(dir.clone(), keys.public().clone(), Arc::clone(&health), Arc::clone(&clock));
    let agency = AgencyName::parse("agency.example").unwrap();
    (Arc::new(WitnessWork { agency, dir, reader: Arc::new(reader), clock }), health)
}

fn policy(world: &World, seen: &Seen) -> Witnesses {
    let path = world.root().join("policy");
    std::fs::write(&path, seen.policy()).unwrap();
    Witnesses::read(&path).unwrap()
}

#[test]
fn each_checkpoint_is_handed_to_the_witness_and_published_with_its_line() {
    // SPEC §17.5
    let world = World::published(10);
    let seen = Seen::serve(verifiers(&world));
    let (work, _) = work(&world);
    let witnesses = policy(&world, &seen);
    let (witness, site) = witnesses.sites[0].clone();
    let mut one = One::new(&witness, &site, &witnesses, &work);
    for size in 1..=3 {
        one.round().unwrap();
        assert_eq!(seen.size_of(MANIFEST), size);
        let published = std::fs::read(world.root().join("logs/manifest/checkpoint")).unwrap();
        assert_eq!(witness.cosigned(&Note::parse(&published).unwrap(), u64::MAX >> 2), Ok(Some(crate::world::NOON)));
        world.import(u32::try_from(size).unwrap() * 100..u32::try_from(size).unwrap() * 100 + 5, "B2");
        world.publish();
    }
    // One that came back without its memory of us is told from the beginning.
    one.last.clear();
    one.round().unwrap();
    assert_eq!(seen.size_of(MANIFEST), 4);
}

#[test]
fn a_checkpoint_that_does_not_change_is_cosigned_anew_long_before_it_is_stale() {
    // SPEC §17.6: clients want a cosignature of the last 24 hours.
    let world = World::published(10);
    let seen = Seen::serve(verifiers(&world));
    let (work, _) = work(&world);
    let witnesses = policy(&world, &seen);
    let (witness, site) = witnesses.sites[0].clone();
    let mut one = One::new(&witness, &site, &witnesses, &work);
    let log = world.store().log(MANIFEST).unwrap().unwrap().id;
    for (pause, cosigned) in [(0, 1), (60, 1), (RENEW - 61, 1), (1, 2), (RENEW, 3), (86_400, 4)] {
        world.clock.advance(pause);
        one.round().unwrap();
        assert_eq!(seen.cosigned.load(Ordering::SeqCst), cosigned, "after {pause} more seconds");
    }
    assert_eq!(world.store().cosignatures(log, 1).unwrap()[0].at, world.now());
}

#[test]
fn a_log_that_the_store_does_not_know_is_asked_for_too() {
    // SPEC §17.7: it began, or went on as another, after the backup that the store was restored from.
    for (origin, asked) in [
        ("agency.example/veilmatch/query/2024h2", true),
        ("agency.example/veilmatch/query/2024h1", true),
        ("agency.example/veilmatch/query/2024h2.2", true),
        ("agency.example/veilmatch/query/2023h2", false),
    ] {
        let world = World::published(10);
        let seen = Seen::serve(verifiers(&world));
        let key = read_signing_key(&world.root().join("keys/query-log.key")).unwrap();
        let other = Checkpoint { origin: origin.into(), size: 4, root: [9; 32] };
        let note = checkpoint::sign(&other, &key).unwrap().into_bytes();
        seen.last.lock().unwrap().insert(origin.into(), (other, note.clone()));
        let (work, _) = work(&world);
        let started = WitnessTask::start(&policy(&world, &seen), &work);
        assert_eq!(started.err().map(|error| error.reason()), asked.then_some("LOG_HALTED"), "{origin}");
        let row = world.store().log(origin).unwrap();
        assert_eq!(row.map(|row| (row.halted.is_some(), row.seen)), asked.then_some((true, note)), "{origin}");
        // What is stated as lost of it is not asked for again, and the server may start.
        if asked {
            let recovered =
                world.agency().log_recover(crate::admin::Recover::Query, world.now()).unwrap().logs.remove(0);
            assert_eq!((recovered.lost.as_str(), recovered.range), (origin, 0..4));
            let (work, health) = self::work(&world);
            drop(WitnessTask::start(&policy(&world, &seen), &work).unwrap());
            assert_eq!(health.state(), LogState::Sound);
        }
    }
}

#[test]
fn a_witness_that_was_away_is_asked_again_soon_and_not_all_the_time() {
    let world = World::published(10);
    let seen = Seen::serve(verifiers(&world));
    let (work, _) = work(&world);
    let witnesses = policy(&world, &seen);
    let (witness, site) = witnesses.sites[0].clone();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = Site::new(&format!("http://{nobody}/"), &Access::default()).unwrap();
    let mut one = One::new(&witness, &away, &witnesses, &work);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        one.round().unwrap();
        one.round().unwrap();
        let failed = one.failed.get_mut(MANIFEST).unwrap();
        pauses.push(failed.1.as_secs());
        failed.0 = Instant::now();
    }
    assert_eq!(pauses, [4, 8, 16, 32, 60, 60]);
    one.site = site;
    one.round().unwrap();
    assert_eq!((seen.size_of(MANIFEST), one.failed.len()), (1, 0));
}

#[test]
fn a_command_asks_the_witnesses_before_it_publishes_and_names_those_that_are_away() {
    // SPEC §17.7
    let world = World::published(10);
    assert!(world.agency().ask_witnesses().unwrap().is_empty());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.configure("policy", "\"policy\"");
    let away = format!("witness w {} http://{nobody}/\nquorum w\n", cosigner().witness());
    std::fs::write(world.root().join("policy"), away).unwrap();
    assert_eq!(world.agency().ask_witnesses().unwrap(), ["witness.example"]);

    let seen = Seen::serve(verifiers(&world));
    std::fs::write(world.root().join("policy"), seen.policy()).unwrap();
    assert!(world.agency().ask_witnesses().unwrap().is_empty());
    let ahead = Checkpoint { origin: MANIFEST.into(), size: 7, root: [9; 32] };
    let note = checkpoint::sign(&ahead, &manifest_key(&world)).unwrap().into_bytes();
    seen.last.lock().unwrap().insert(MANIFEST.into(), (ahead, note));
    assert_eq!(world.agency().ask_witnesses().unwrap_err().reason(), "LOG_HALTED");
    // And it is remembered.
    world.import(10..20, "A1");
    let refused = world.agency().publish(&world.list, false, world.now(), &|_| ()).unwrap_err();
    assert_eq!(refused.reason(), "LOG_HALTED");
}

#[test]
fn a_witness_that_has_seen_a_larger_or_another_tree_keeps_the_log_from_going_on() {
    // SPEC §17.7
    for size in [1, 5] {
        let world = World::published(10);
        let seen = Seen::serve(verifiers(&world));
        let other = Checkpoint { origin: MANIFEST.into(), size, root: [9; 32] };
        let note = checkpoint::sign(&other, &manifest_key(&world)).unwrap().into_bytes();
        seen.last.lock().unwrap().insert(MANIFEST.into(), (other, note));
        let (work, health) = work(&world);
        let refused = WitnessTask::start(&policy(&world, &seen), &work).err().unwrap();
        assert_eq!(refused.reason(), "LOG_HALTED");
        assert_eq!(health.state(), LogState::Halted);
    }
}

#[tokio::test]
async fn a_server_does_not_start_behind_what_a_witness_has_seen() {
    // SPEC §17.7
    let world = World::at(crate::clock::SystemClock.now());
    world.import(0..3, "A1");
    world.publish();
    let seen = Seen::serve(verifiers(&world));
    std::fs::write(world.root().join("policy"), seen.policy()).unwrap();
    world.configure("policy", "\"policy\"");
    let ahead = Checkpoint { origin: MANIFEST.into(), size: 7, root: [9; 32] };
    let note = checkpoint::sign(&ahead, &manifest_key(&world)).unwrap().into_bytes();
    seen.last.lock().unwrap().insert(MANIFEST.into(), (ahead, note));
    world.write_a_version_and_no_checkpoint();
    let options = ServeOptions { listen: Some("127.0.0.1:0".parse().unwrap()), ..ServeOptions::default() };
    let refused = Server::start(&world.root(), options).await.err().unwrap();
    assert_eq!(refused.reason(), "LOG_HALTED");
    let row = world.store().log(MANIFEST).unwrap().unwrap();
    assert_eq!((row.head.size, world.store().log_len(row.id).unwrap()), (1, 2), "nothing was signed");
}

#[test]
fn a_witness_that_is_not_there_keeps_nobody_and_a_policy_that_is_none_is_named() {
    let world = World::published(10);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let path = world.root().join("policy");
    std::fs::write(&path, format!("witness w {} http://{nobody}/\nquorum w\n", cosigner().witness())).unwrap();
    let (work, health) = work(&world);
    drop(WitnessTask::start(&Witnesses::read(&path).unwrap(), &work).unwrap());
    assert_eq!(health.state(), LogState::Sound);
    for text in ["quorum nobody\n", "nonsense\n"] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(Witnesses::read(&path).err().unwrap().reason(), "BAD_ARGUMENT");
    }
}
