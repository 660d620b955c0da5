//! Whose cosignatures count for which log, what witnesses are asked, and what others repeat.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
};

use veilmatch_audit::{cli::Exit, cosignature::Cosigner, witness::checkpoint_path};
use veilmatch_protocol::note::Verifier;

use super::{report, write};
use crate::{
    scenarios::{MANIFEST, MATCH, MONTH, QUERY},
    world::{COSIGNED, World, at, key},
};

/// Writes the month with logs of the agency that all but the first `absent` of five witnesses cosigned, and match logs that the
/// agency alone did, under a policy of four that has these lines in front.
fn write_four_of_five(dir: &Path, absent: usize, logs: &str) {
    let witness = |n: u8| Cosigner::new(&format!("w{n}.example/w"), key(100 + n)).unwrap();
    let five: Vec<Cosigner> = (1..=5).map(witness).collect();
    let mut shown = MONTH.shown();
    for log in MONTH.logs() {
        let of_agency = log.origin.starts_with("agency.example");
        let agency = World::witnesses().into_iter().take(1).collect();
        let witnesses: Vec<Cosigner> = if of_agency { (1..=5).skip(absent).map(witness).collect() } else { agency };
        let note = log.checkpoint(log.leaves.len(), &witnesses, at(COSIGNED).unix());
        shown.logs.get_mut(&log.origin).unwrap().0.insert("checkpoint".into(), note);
    }
    write(&shown, dir);
    let lines = five.iter().enumerate().map(|(n, witness)| format!("witness w{n} {}\n", witness.witness()));
    let policy = format!("{logs}{}group g 4 w0 w1 w2 w3 w4\nquorum g\n", lines.collect::<String>());
    fs::write(dir.join("policy.txt"), policy).unwrap();
}

#[test]
fn a_policy_of_common_witnesses_is_about_the_agencys_logs_and_not_about_match_logs() {
    // SPEC §17.5
    let both = format!("log {}\nlog {}\n", MONTH.agency.manifest.verifier(), MONTH.agency.query.verifier());
    for logs in ["", &both] {
        let dir = tempfile::tempdir().unwrap();
        write_four_of_five(dir.path(), 1, logs);
        let (exit, text) = report(dir.path(), "october");
        assert_eq!(exit, Exit::Clean, "{text}");
        assert!(!text.contains("not judged: cosignatures"), "{text}");
        assert_eq!(text.matches("(the counterparty alone is asked for)").count(), 2, "{text}");
        let note = fs::read_to_string(dir.path().join("october/report.note")).unwrap();
        assert_eq!(note.matches("\"policy\":\"agreed\"").count(), 2, "{note}");
        assert_eq!(note.matches("\"policy\":\"counterparty\"").count(), 2, "{note}");
        // SPEC §21.3: four of five share three.
        assert!(note.contains("\"split_view_open\":false"), "{note}");

        write_four_of_five(dir.path(), 2, logs);
        let (_, text) = report(dir.path(), "too-few");
        assert_eq!(text.matches("L05").count(), 2, "{text}");
        assert!(text.contains(&format!("L05 high: {MANIFEST}: checkpoint: counted: w3")), "{text}");
        let note = fs::read_to_string(dir.path().join("too-few/report.note")).unwrap();
        assert!(note.contains("\"split_view_open\":true"), "{note}");
    }
}

#[test]
fn a_match_log_that_the_agency_did_not_cosign_or_a_policy_of_its_own_asks_more_for_is_found() {
    // SPEC §17.5
    let dir = tempfile::tempdir().unwrap();
    write_four_of_five(dir.path(), 0, "");
    let note = MONTH.platforms[0].log.checkpoint(MONTH.platforms[0].log.leaves.len(), &[], 0);
    fs::write(dir.path().join("logs").join(MATCH).join("checkpoint"), note).unwrap();
    let (_, text) = report(dir.path(), "october");
    assert!(text.contains(&format!("L05 high: {MATCH}: checkpoint: counted: nobody\n")), "{text}");

    write_four_of_five(dir.path(), 0, "");
    let path = dir.path().join("audit.toml");
    let config = fs::read_to_string(&path).unwrap();
    let of_all = "policy = \"policy.txt\"\ncanaries";
    let own =
        config.replacen("[[platform]]\n", "[[platform]]\npolicy = \"policy.txt\"\n", 1).replace(of_all, "canaries");
    fs::write(&path, own).unwrap();
    let (_, text) = report(dir.path(), "own");
    assert_eq!(text.matches("L05").count(), 1, "{text}");
    assert!(text.contains(&format!("L05 high: {MATCH}: checkpoint: counted: nobody\n")), "{text}");
    assert!(text.contains(&format!("not judged: cosignatures of {MANIFEST}: no policy is about it")), "{text}");
}

#[test]
fn a_log_that_the_policy_names_with_another_key_cannot_be_audited() {
    // SPEC §17.5
    let dir = tempfile::tempdir().unwrap();
    let other = Verifier::new(MANIFEST, key(99).verifying_key()).unwrap();
    write_four_of_five(dir.path(), 0, &format!("log {other}\n"));
    let (exit, text) = report(dir.path(), "october");
    assert_eq!(exit, Exit::Failed);
    assert!(text.contains("is pinned with another key than the policy names"), "{text}");
}

#[test]
fn a_report_has_the_commands_that_repeat_the_checks_of_each_log_filled_in() {
    // SPEC §21.3
    let dir = tempfile::tempdir().unwrap();
    write_four_of_five(dir.path(), 1, "");
    let path = dir.path().join("audit.toml");
    let config = fs::read_to_string(&path).unwrap();
    let moved = dir.path().join("it's here");
    fs::rename(dir.path().join("logs").join(MATCH), &moved).unwrap();
    fs::write(&path, config.replace(&format!("logs/{MATCH}"), "it's here")).unwrap();
    assert_eq!(report(dir.path(), "october").0, Exit::Clean);
    let note = fs::read_to_string(dir.path().join("october/report.note")).unwrap();
    let json: serde_json::Value = serde_json::from_str(note.lines().nth(1).unwrap()).unwrap();
    let commands: Vec<&str> =
        json["repeat"].as_array().unwrap().iter().map(|row| row["command"].as_str().unwrap()).collect();
    let places = [MANIFEST, QUERY].map(|log| format!("'logs/{log}'"));
    let keys = [&MONTH.agency.manifest, &MONTH.agency.query, &MONTH.platforms[0].log].map(|log| log.verifier());
    for (place, key) in places.iter().map(String::as_str).chain(["'it'\\''s here'"]).zip(&keys) {
        let derive = format!("go run rederive.go {place} '{key}'");
        assert!(commands.iter().any(|command| command.ends_with(&derive)), "{commands:#?}");
        let cosigned = format!("verify-checkpoint --tiles {place} --log-key '{key}' --witness-key '");
        assert!(commands.iter().any(|command| command.contains(&cosigned)), "{commands:#?}");
    }
    assert_eq!(commands.iter().filter(|command| command.ends_with("--quorum 4")).count(), 2, "{commands:#?}");
    assert_eq!(commands.iter().filter(|command| command.ends_with("--quorum 1")).count(), 2, "{commands:#?}");
}

/// Shows one text at a path, until the test ends.
fn show_at(path: String, text: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/w", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = String::new();
            let mut head = BufReader::new(&stream);
            while !asked.ends_with("\r\n\r\n") && head.read_line(&mut asked).unwrap() > 0 {}
            let there = asked.starts_with(&format!("GET /w/{path} "));
            let (status, body) = if there { ("200 OK", &text[..]) } else { ("404 Not Found", &b""[..]) };
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).unwrap();
            stream.write_all(body).unwrap();
        }
    });
    url
}

#[test]
fn a_witness_is_asked_at_its_address_for_what_it_saw_of_each_log() {
    // SPEC §21.5
    let dir = tempfile::tempdir().unwrap();
    let forked = MONTH.edited(|logs| logs.get_mut(MATCH).unwrap().leaves.swap(1, 2));
    write(&MONTH.shown(), dir.path());
    let url = show_at(checkpoint_path(MATCH), forked.logs[MATCH].0["checkpoint"].clone());
    let path = dir.path().join("audit.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{config}[[witness]]\nname = \"witness.example\"\nurl = \"{url}\"\n")).unwrap();
    let (exit, text) = report(dir.path(), "october");
    assert_eq!(exit, Exit::Findings, "{text}");
    assert!(
        text.contains(&format!("L07 critical: {MATCH}: checkpoint: the checkpoint that witness.example shows")),
        "{text}"
    );
    assert!(text.ends_with("1 finding\n"), "{text}");
}
