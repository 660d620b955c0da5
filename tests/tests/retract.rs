//! An entry that is taken out of the list stops matching, by a delta that is as small as its changes.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use veilmatch_protocol::{item::Kind, name::ListId};
use veilmatch_tests::{
    World, listed, now,
    programs::{Pair, Paths, ended, eventually},
    unlisted,
};

const PROGRAMS: Paths = Paths { agency: env!("CARGO_BIN_EXE_agency"), platform: env!("CARGO_BIN_EXE_platform") };

#[test]
fn a_running_platform_stops_matching_what_the_agency_retracted() {
    let mut pair = Pair::new(PROGRAMS);
    let sums = |items: Vec<_>| -> String { items.iter().map(|item| format!("{item}  name\n")).collect() };
    let hex_of = |n| hex::encode(listed(n).digest());
    let list = pair.write("list.sha256", sums((0..100).map(hex_of).collect()));
    pair.publish(&list, "A1");
    pair.enrol("1000000");
    pair.serve();
    assert_eq!(pair.platform(["sync"]).code, Some(0));
    let run = pair.platform_command().arg("run").stderr(Stdio::piped()).spawn().unwrap();
    let socket = pair.platform_dir().join("veilmatch.sock");
    let stream = eventually(|| UnixStream::connect(&socket).ok());
    let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut ask = |n| -> Value {
        writeln!(&stream, "{}", json!({"id": 1, "digests": {"sha256": hex_of(n)}})).unwrap();
        serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap()
    };
    assert_eq!((&ask(7)["outcome"], &ask(8)["outcome"]), (&"match".into(), &"match".into()));

    let gone = pair.write("gone.sha256", sums(vec![hex_of(7)]));
    pair.agency(["list".as_ref(), "retract".as_ref(), "baseline".as_ref(), gone.as_os_str()]);
    pair.agency(["list", "publish", "baseline"]);
    let answer = eventually(|| Some(ask(7)).filter(|answer| answer["outcome"] != "match"));
    assert_eq!((&answer["outcome"], &answer["version"]), (&"no_match".into(), &2.into()), "{answer}");
    assert_eq!((&ask(8)["outcome"], &ask(8)["version"]), (&"match".into(), &2.into()));
    let delta = std::fs::metadata(pair.agency_dir().join("lists/baseline/2.delta")).unwrap().len();
    assert!(delta <= limit(1, 4), "{delta}");

    assert!(Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap().success());
    assert_eq!(ended(run).code, Some(0));
}

/// The next class above 36 + L bytes per change, and 4 KiB.
fn limit(changes: u64, label_bytes: u8) -> u64 {
    (changes * (36 + u64::from(label_bytes)) + 1).next_power_of_two().max(4_096) + 4_096
}

#[test]
fn a_delta_is_at_most_the_next_class_above_its_changes_and_4_kib() {
    // SPEC §7.6
    for label_bytes in [0, 1, 4, 16, 64] {
        let mut world = World::new();
        world.list = ListId::parse("of-labels").unwrap();
        world.agency().list_create(&world.list, label_bytes, &[Kind::Sha256], now()).unwrap();
        let label = if label_bytes == 0 { "" } else { "A" };
        world.import(&(0..3_000).map(listed).collect::<Vec<_>>(), label);
        world.publish();
        let mut from = 0;
        for changes in [1, 2, 10, 100, 300, 700] {
            world.retract(&(from..from + changes).map(listed).collect::<Vec<_>>());
            from += changes;
            let changes = changes as u64;
            let [retracted] = &world.publish()[..] else { panic!("one epoch") };
            let (_, _, bytes) = retracted.delta.unwrap();
            assert!(bytes <= limit(changes, label_bytes), "L {label_bytes}, {changes} retracted: {bytes}");

            world.import(&(0..changes).map(|n| unlisted(from * 1_000 + n as usize)).collect::<Vec<_>>(), label);
            let [added] = &world.publish()[..] else { panic!("one epoch") };
            let (_, _, bytes) = added.delta.unwrap();
            assert!(bytes <= limit(changes, label_bytes), "L {label_bytes}, {changes} added: {bytes}");
        }
    }
}
