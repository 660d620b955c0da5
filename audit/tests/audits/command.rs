//! The command line on files: exit codes, what is written, and when the state moves.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use clap::Parser;
use veilmatch_audit::{
    cli::{Args, Exit, run},
    cosignature::Cosigner,
    witness::checkpoint_path,
};
use veilmatch_protocol::note::Verifier;

use crate::{
    scenarios::{MANIFEST, MATCH, MONTH, QUERY},
    world::{
        COSIGNED, NOW, World, at, key,
        shown::{Shown, cosigners},
    },
};

/// Writes everything that the parties show, and the configuration; `edit` may change files of a log.
fn write(shown: &Shown, dir: &Path) {
    for (origin, files) in &shown.logs {
        for (path, bytes) in &files.0 {
            let path = dir.join("logs").join(origin).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    for (number, bytes) in &shown.files.artifacts {
        fs::create_dir_all(dir.join("lists/baseline")).unwrap();
        fs::write(dir.join(format!("lists/baseline/{number}.artifact")), bytes).unwrap();
    }
    let lines =
        |lines: &[Vec<u8>]| lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect::<Vec<u8>>();
    fs::write(dir.join("canaries.jsonl"), lines(&shown.canaries)).unwrap();
    fs::write(dir.join("items.jsonl"), lines(&shown.items)).unwrap();
    fs::write(dir.join("policy.txt"), World::policy_text()).unwrap();
    let agency = &MONTH.agency;
    let named =
        |name: &str, key: &ed25519_dalek::SigningKey| Verifier::new(name, key.verifying_key()).unwrap().to_string();
    let mut config = format!(
        "agency = \"agency.example\"\nstate = \"state\"\npolicy = \"policy.txt\"\ncanaries = \"canaries.jsonl\"\n\
         items = \"items.jsonl\"\nwitness_key = \"{}\"\n[manifest]\nlog = \"logs/{MANIFEST}\"\nkey = \"{}\"\nartifacts = \"lists\"\n[query]\n\
         logs = [\"logs/{QUERY}\"]\nkey = \"{}\"\nack_key = \"{}\"\n",
        World::witnesses()[0].witness(),
        agency.manifest.verifier(),
        named("agency.example/veilmatch/query", &agency.query.key),
        named("agency.example/veilmatch/ack", &agency.ack_key),
    );
    for platform in &MONTH.platforms {
        let name = platform.name.as_str();
        fs::write(dir.join(format!("{name}.acks")), lines(&shown.acks[name])).unwrap();
        fs::write(dir.join(format!("{name}.openings")), lines(&shown.openings[name])).unwrap();
        config += &format!(
            "[[platform]]\nname = \"{name}\"\nlogs = [\"logs/{}\"]\nmatch_key = \"{}\"\nreceipt_key = \"{}\"\n\
             request_key = \"{}\"\nacknowledgements = \"{name}.acks\"\nopenings = \"{name}.openings\"\n",
            platform.log.origin,
            named(&format!("{name}/veilmatch/match"), &platform.log.key),
            named(&format!("{name}/veilmatch/receipt"), &platform.receipt_key),
            named(&format!("{name}/veilmatch/request"), &platform.request_key),
        );
    }
    fs::write(dir.join("audit.toml"), config).unwrap();
}

fn report(dir: &Path, out: &str) -> (Exit, String) {
    let path = |name: &str| dir.join(name).display().to_string();
    if !dir.join("key").exists() {
        let made =
            run(Args::parse_from(["veilmatch-audit", "new-key", "auditor.example/veilmatch/report", &path("key")]));
        fs::write(dir.join("vkey"), made.unwrap().text()).unwrap();
    }
    let args = [
        "veilmatch-audit",
        "report",
        "--from",
        "2026-10-01",
        "--to",
        "2026-10-31",
        "--at",
        NOW,
        "--config",
        &path("audit.toml"),
        "--out",
        &path(out),
        "--key",
        &path("key"),
    ];
    match run(Args::parse_from(args)) {
        Ok(outcome) => (outcome.exit(), outcome.text()),
        Err(failure) => (failure.exit(), failure.to_string()),
    }
}

fn states(dir: &Path) -> usize {
    fs::read_dir(dir.join("state")).map_or(0, Iterator::count)
}

#[test]
fn a_clean_month_exits_with_0_and_leaves_a_signed_report_and_a_state() {
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    let (exit, text) = report(dir.path(), "october");
    assert_eq!(exit, Exit::Clean, "{text}");
    assert!(text.ends_with("no findings\n"), "{text}");
    assert_eq!(states(dir.path()), 4);
    // SPEC §21.3: two of the other three share a platform that is audited.
    let note = fs::read_to_string(dir.path().join("october/report.note")).unwrap();
    assert!(note.contains("\"split_view_open\":true"), "{note}");
    let vkey = fs::read_to_string(dir.path().join("vkey")).unwrap();
    let note = dir.path().join("october/report.note").display().to_string();
    let verified = run(Args::parse_from(["veilmatch-audit", "verify-report", &note, "--key", vkey.trim()]));
    assert!(verified.unwrap().text().starts_with("{\"agency\":\"agency.example\""));
    assert!(fs::read_to_string(dir.path().join("october/report.html")).unwrap().contains("No findings"));
    let mode = fs::metadata(dir.path().join("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn findings_exit_with_1_and_their_evidence_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut shown = MONTH.shown();
    shown.logs.get_mut(MATCH).unwrap().0.get_mut("tile/0/000").unwrap()[0] ^= 1;
    write(&shown, dir.path());
    let (exit, text) = report(dir.path(), "october");
    assert_eq!(exit, Exit::Findings, "{text}");
    assert!(text.contains("L04 critical"), "{text}");
    let evidence = fs::read_dir(dir.path().join("october/evidence")).unwrap().next().unwrap().unwrap().path();
    let kept = fs::read(evidence.join("0001-L04/tile-0-000")).unwrap();
    assert_eq!(kept, shown.logs[MATCH].0["tile/0/000"]);
}

#[test]
fn the_state_is_that_of_the_last_report_and_a_fork_of_it_is_found() {
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    assert_eq!(report(dir.path(), "first").0, Exit::Clean);
    let forked = MONTH.edited(|logs| logs.get_mut(MATCH).unwrap().leaves.swap(1, 2));
    write(&forked, dir.path());
    // It stays found: the state does not move onto the fork.
    for out in ["second", "a/folder/that/is/new"] {
        let (exit, text) = report(dir.path(), out);
        assert_eq!(exit, Exit::Findings);
        assert!(text.contains("L02 critical"), "{text}");
    }
}

#[test]
fn a_report_that_cannot_be_written_leaves_the_state() {
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    fs::write(dir.path().join("october"), b"a file where the folder should be").unwrap();
    let (exit, text) = report(dir.path(), "october");
    assert_eq!(exit, Exit::Failed, "{text}");
    assert_eq!(states(dir.path()), 0);
}

#[test]
fn frames_of_a_platform_without_a_request_key_are_told_once() {
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    let log = dir.path().join("logs").join(QUERY).display().to_string();
    let vkey =
        |key: &ed25519_dalek::SigningKey| Verifier::new("agency.example/veilmatch/query", key.verifying_key()).unwrap();
    let pinned = vkey(&MONTH.agency.query.key).to_string();
    let args = ["veilmatch-audit", "verify", &log, "--key", &pinned, "--at", NOW];
    let outcome = run(Args::parse_from(args)).unwrap();
    assert_eq!(outcome.exit(), Exit::Clean, "{}", outcome.text());
    assert_eq!(outcome.text().matches("not judged: frames of platform.example: no request key").count(), 1);
}

#[test]
fn papers_that_the_configuration_does_not_name_are_told() {
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    let path = dir.path().join("audit.toml");
    let config = fs::read_to_string(&path).unwrap();
    let left_out = ["policy = ", "witness_key = ", "canaries = "];
    let lines = config.lines().filter(|line| !left_out.iter().any(|start| line.starts_with(start)));
    fs::write(
        &path,
        lines.collect::<Vec<_>>().join(
            "
",
        ),
    )
    .unwrap();
    let (exit, text) = report(dir.path(), "october");
    assert_eq!(exit, Exit::Clean, "{text}");
    let cosignatures = [MANIFEST, QUERY, MATCH].map(|log| format!("cosignatures of {log}: no policy is about it"));
    for told in cosignatures.iter().map(String::as_str).chain(["omissions: the agency opened no canaries"]) {
        assert_eq!(text.matches(&format!("not judged: {told}")).count(), 1, "{text}");
    }
}

#[test]
fn a_remembered_checkpoint_of_another_key_cannot_be_audited() {
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    assert_eq!(report(dir.path(), "first").0, Exit::Clean);
    for state in fs::read_dir(dir.path().join("state")).unwrap() {
        fs::write(state.unwrap().path(), b"not a checkpoint").unwrap();
    }
    let (exit, text) = report(dir.path(), "second");
    assert_eq!(exit, Exit::Failed, "{text}");
    assert!(text.contains("did not sign"), "{text}");
}

#[test]
fn a_key_of_another_log_is_a_configuration_that_cannot_be_audited() {
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    let path = dir.path().join("audit.toml");
    let config = fs::read_to_string(&path).unwrap().replace(&format!("logs/{MANIFEST}"), &format!("logs/{QUERY}"));
    fs::write(&path, config).unwrap();
    let (exit, text) = report(dir.path(), "october");
    assert_eq!(exit, Exit::Failed);
    assert!(text.contains("is of another log"), "{text}");
}

/// The configuration with another line of match logs for the first platform.
fn show(dir: &Path, logs: &str) {
    let path = dir.join("audit.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace(&format!("logs = [\"logs/{MATCH}\"]"), &format!("logs = [{logs}]"))).unwrap();
}

#[test]
fn a_log_that_begins_anew_does_not_escape_what_was_audited() {
    // SPEC §21.5
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    assert_eq!(report(dir.path(), "first").0, Exit::Clean);
    let mut anew = MONTH.platforms[0].log.clone();
    anew.origin += ".2";
    let files = anew.files(anew.leaves.len(), &cosigners(&anew), at(COSIGNED).unix());
    for (path, bytes) in &files.0 {
        let path = dir.path().join("anew").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    show(dir.path(), "\"anew\"");
    let (exit, text) = report(dir.path(), "second");
    assert_eq!(exit, Exit::Findings);
    assert!(text.contains(&format!("L03 critical: {MATCH}.2: leaf 0: it does not begin with")), "{text}");
    // None at all is what the auditor may have left out.
    write(&MONTH.shown(), dir.path());
    show(dir.path(), "");
    let (_, text) = report(dir.path(), "third");
    assert!(!text.contains("L03"), "{text}");
    assert!(text.contains(&format!("not judged: {MATCH}: seen before with ")), "{text}");
}

#[test]
fn two_logs_of_one_origin_are_a_fork() {
    // SPEC §17.4
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    fs::rename(dir.path().join("logs").join(MATCH), dir.path().join("one")).unwrap();
    write(&MONTH.edited(|logs| logs.get_mut(MATCH).unwrap().leaves.swap(1, 2)), dir.path());
    show(dir.path(), &format!("\"one\", \"logs/{MATCH}\""));
    let (exit, text) = report(dir.path(), "october");
    assert_eq!(exit, Exit::Findings);
    assert!(text.contains(&format!("L02 critical: {MATCH}: checkpoint: the checkpoint in other files")), "{text}");
    write(&MONTH.shown(), dir.path());
    show(dir.path(), &format!("\"one\", \"logs/{MATCH}\""));
    let (exit, text) = report(dir.path(), "again");
    assert_eq!(exit, Exit::Clean, "{text}");
    assert!(text.contains("given more than once"), "{text}");
}

#[test]
fn a_match_log_about_another_agency_cannot_be_audited() {
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    let mut other = MONTH.platforms[0].log.clone();
    other.origin = "platform.example/veilmatch/match/other.example/2026h2".into();
    fs::create_dir_all(dir.path().join("other")).unwrap();
    let note = other.checkpoint(other.leaves.len(), &[], 0);
    fs::write(dir.path().join("other/checkpoint"), note).unwrap();
    show(dir.path(), "\"other\"");
    let (exit, text) = report(dir.path(), "october");
    assert!(exit == Exit::Failed && text.contains("about another agency"), "{text}");
}

#[test]
fn a_log_that_is_verified_without_a_policy_says_so() {
    // SPEC §17.5
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    let log = dir.path().join("logs").join(MATCH).display().to_string();
    let pinned = Verifier::new("platform.example/veilmatch/match", MONTH.platforms[0].log.key.verifying_key());
    let (pinned, policy) = (pinned.unwrap().to_string(), dir.path().join("policy.txt").display().to_string());
    let args = ["veilmatch-audit", "verify", &log, "--key", &pinned, "--at", NOW];
    let told_of = format!("not judged: cosignatures of {MATCH}: no policy is about it");
    let other = dir.path().join("other.txt").display().to_string();
    fs::write(&other, format!("log {}\n{}", MONTH.agency.manifest.verifier(), World::policy_text())).unwrap();
    for (more, told) in [(&[][..], 1), (&["--policy", &other][..], 1), (&["--policy", &policy][..], 0)] {
        let outcome = run(Args::parse_from(args.iter().chain(more))).unwrap();
        assert_eq!(outcome.exit(), Exit::Clean, "{}", outcome.text());
        assert_eq!(outcome.text().matches(&told_of).count(), told);
    }
    let outcome = run(Args::parse_from(args.iter().chain(&["--tree-only"]))).unwrap();
    assert!(outcome.text().contains("not judged: leaves: only the tree was asked for"), "{}", outcome.text());
}

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
