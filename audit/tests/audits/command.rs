//! The command line on files: exit codes, what is written, and when the state moves.

mod witnesses;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use clap::Parser;
use veilmatch_audit::cli::{Args, Exit, run};
use veilmatch_protocol::note::Verifier;

use crate::{
    scenarios::{MANIFEST, MATCH, MONTH, QUERY},
    world::{
        COSIGNED, NOW, World, at,
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
    report_of(dir, out, "2026-10-31")
}

fn report_of(dir: &Path, out: &str, to: &str) -> (Exit, String) {
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
        to,
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
fn a_period_that_ends_before_it_begins_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    write(&MONTH.shown(), dir.path());
    let (exit, text) = report_of(dir.path(), "october", "2026-09-30");
    assert_eq!(exit, Exit::Failed);
    assert!(text.contains("is later than --to"), "{text}");
    assert!(!dir.path().join("october").exists());
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
