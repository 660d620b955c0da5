//! Commands that repeat the checks of each log with tools that are not ours, ready to be typed.

use std::{collections::BTreeMap, fmt::Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use veilmatch_protocol::note::Verifier;

use super::Command;
use crate::{source, verify::Audited};

/// Verifies checkpoints and cosignatures, and derives trees from folders and URLs.
const PYTHON: &str = "aics-tlog==0.2.1";

/// The logs of an audit by origin.
pub type Places = BTreeMap<String, Given>;

/// What was given of a log.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its key, under its origin as name.
    pub key: Verifier,
    /// Folder or URL.
    pub place: String,
}

/// What to type for each log with a checkpoint, and for the report itself.
pub(super) fn commands(logs: &[&Audited], places: &Places) -> Vec<Command> {
    let mut commands = vec![Command {
        what: "The tool for cosignatures, from PyPI, for Python 3.12 or later:".into(),
        command: format!("python3 -m pip install {PYTHON}"),
    }];
    for log in logs {
        if let Some(given) = places.get(&log.origin).filter(|_| log.checkpoint.is_some()) {
            commands.push(tree(log, given));
            commands.extend(cosignatures(log, given));
        }
    }
    commands.push(Command {
        what: "The signature of this report, where its files lie, with the auditor's key in the place of KEY:".into(),
        command: "veilmatch-audit verify-report report.note --key 'KEY'".into(),
    });
    commands
}

/// The root from the entries, and every tile.
fn tree(log: &Audited, given: &Given) -> Command {
    let Given { key, place } = given;
    if !source::is_url(place) {
        let go = "GO111MODULE=off GOPATH=/usr/share/gocode go run rederive.go";
        return Command {
            what: format!(
                "Checkpoint, root from the entries, and every tile of {}, with Go's own packages:",
                log.origin
            ),
            command: format!("{go} {} {}", quoted(place), quoted(&key.to_string())),
        };
    }
    let root = log.checkpoint.as_ref().map(|checkpoint| STANDARD.encode(checkpoint.root)).unwrap_or_default();
    let program = "import base64, sys; from aics_tlog import HttpTileReader, audit_tiles; \
                   print(audit_tiles(HttpTileReader([sys.argv[1]]), int(sys.argv[2]), base64.b64decode(sys.argv[3])))";
    Command {
        what: format!("Root from the entries, and every tile of {}, with aics-tlog:", log.origin),
        command: format!("python3 -c {} {} {} {root}", quoted(program), quoted(place), log.size()),
    }
}

/// The signature, and those of the witnesses that were counted.
fn cosignatures(log: &Audited, given: &Given) -> Option<Command> {
    let judged = log.judged.as_ref()?;
    let counted =
        judged.policy.witnesses().filter(|witness| log.cosigners.iter().any(|name| name == witness.key.name()));
    let mut keys = String::new();
    let mut quorum = 0;
    for witness in counted {
        write!(keys, " --witness-key {}", quoted(&witness.key.to_string())).expect("texts take text");
        quorum += 1;
    }
    let (place, key) = (quoted(&given.place), quoted(&given.key.to_string()));
    (quorum > 0).then(|| Command {
        what: format!("Checkpoint of {} and the cosignatures that were counted, with aics-tlog:", log.origin),
        command: format!(
            "python3 -m aics_tlog verify-checkpoint --tiles {place} --log-key {key}{keys} --quorum {quorum}"
        ),
    })
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
