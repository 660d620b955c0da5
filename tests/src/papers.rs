//! docs/errors.md and docs/config.md, made from the enums and the configurations that they describe.

use std::{collections::HashMap, fmt::Write};

use veilmatch_client::{NotChecked, cli, config as client_config, digest::Unread};
use veilmatch_lists::Quarantine;
use veilmatch_proto::Reason;
use veilmatch_server::config as server_config;

/// Both pages: where each stands, below the repository's root, and its text.
#[must_use]
pub fn pages() -> [(&'static str, String); 2] {
    [("docs/errors.md", errors()), ("docs/config.md", config())]
}

/// The command that writes both pages.
const COMMAND: &str = "cargo run -p veilmatch-tests --example papers";

/// Errors that are met at one place.
pub struct Group {
    /// The heading.
    pub title: &'static str,
    text: &'static str,
    columns: &'static [&'static str],
    /// Name, what it means, what to do next, and whatever more stands between.
    pub rows: Vec<Vec<String>>,
    /// The folders whose tests provoke them.
    pub tested: &'static [&'static str],
}

const MEANING: &[&str] = &["Reason", "What it means", "What to do"];

/// Every error of both programs, by where it is met.
#[must_use]
pub fn groups() -> Vec<Group> {
    let code = |reason: &Reason| screaming(&format!("{:?}", reason.code()));
    let reasons: Vec<(&str, &str)> = Reason::ALL.iter().map(|reason| (reason.name(), reason.action())).collect();
    let mut refusals = rows(include_str!("../../proto/src/reason.rs"), &reasons);
    for (row, reason) in refusals.iter_mut().zip(Reason::ALL) {
        row.insert(1, code(reason));
    }
    let quarantine: Vec<(&str, &str)> = Quarantine::ALL.iter().map(|of| (of.reason(), of.hint())).collect();
    let mut unread = rows(include_str!("../../client/src/digest.rs"), &Unread::REASONS);
    unread.extend(cli::LINE_REASONS.map(|(name, action)| row([name, "The line holds no digest.", action])));
    vec![
        Group {
            title: "Refusals of the server",
            text: "In the status of a call, as ErrorInfo's `reason`; in an answer of the platform's program as the reason \
                   of *not checked* (SPEC §10).",
            columns: &["Reason", "gRPC code", "What it means", "What to do"],
            rows: refusals,
            tested: &["server", "proto", "tests"],
        },
        Group {
            title: "Reasons of *not checked*",
            text: "Beside the server's refusals; the item was not looked up and must not be taken for *no match*.",
            columns: MEANING,
            rows: rows(include_str!("../../client/src/outcome.rs"), NotChecked::REASONS),
            tested: &["client", "tests"],
        },
        Group {
            title: "Reasons of *not checked* that a file has",
            text: "`check`, `scan` and `run`: the file gave no digests.",
            columns: MEANING,
            rows: unread,
            tested: &["client", "tests"],
        },
        Group {
            title: "veilmatch: errors of the library",
            text: "Printed as `veilmatch: error: … (REASON)`; the command did nothing, or nothing further.",
            columns: MEANING,
            rows: rows(include_str!("../../client/src/error.rs"), veilmatch_client::Error::REASONS),
            tested: &["client", "tests"],
        },
        Group {
            title: "veilmatch: errors of the command line",
            text: "",
            columns: MEANING,
            rows: rows(include_str!("../../client/src/cli/failure.rs"), cli::REASONS),
            tested: &["client", "tests"],
        },
        Group {
            title: "veilmatch-server",
            text: "Printed as `veilmatch-server: error: … (REASON)`; nothing was half done.",
            columns: MEANING,
            rows: rows(include_str!("../../server/src/error.rs"), veilmatch_server::Error::REASONS),
            tested: &["server", "tests"],
        },
        Group {
            title: "Lists of digests: the whole file",
            text: "`veilmatch-server list import`, `list retract`, `veilmatch check --hashes`, `scan --hashes`. Nothing is taken \
                   from the file.",
            columns: MEANING,
            rows: rows(include_str!("../../lists/src/error.rs"), veilmatch_lists::Error::REASONS),
            tested: &["lists", "tests"],
        },
        Group {
            title: "Lists of digests: one row",
            text: "The row is set aside and counted: read = accepted + duplicate + retracted + quarantined.",
            columns: MEANING,
            rows: rows(include_str!("../../lists/src/quarantine.rs"), &quarantine),
            tested: &["lists", "server"],
        },
        Group {
            title: "What the protocol refuses",
            text: "In evidence, logs and as the cause of other errors.",
            columns: &["Reason", "What it is"],
            rows: veilmatch_protocol::Error::ALL.iter().map(|e| row([e.reason(), &e.to_string()])).collect(),
            tested: &["protocol", "proto", "tests"],
        },
        Group {
            title: "What is refused of logs and receipts",
            text: "In evidence, logs and as the cause of other errors and findings (SPEC §17 to §21).",
            columns: &["Reason", "What it is"],
            rows: veilmatch_audit::Error::ALL.iter().map(|e| row([e.reason(), &e.to_string()])).collect(),
            tested: &["audit", "server", "client", "tests"],
        },
    ]
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// Name, meaning, next step. The meaning is what the variant's author wrote above it in the source.
fn rows(source: &str, reasons: &[(&str, &str)]) -> Vec<Vec<String>> {
    let meanings = meanings(source);
    let meaning = |name: &str| meanings.get(name).unwrap_or_else(|| panic!("the enum of {name} does not describe it"));
    reasons.iter().map(|(name, action)| row([name, meaning(name), action])).collect()
}

/// What the source of an enum says above the variant of each name. A variant gets its name where it is declared
/// (`Variant = "NAME"`) or in a match (`Self::Variant { .. } => "NAME"`).
fn meanings(source: &str) -> HashMap<&str, String> {
    let mut variants: HashMap<&str, String> = HashMap::new();
    let mut meanings = HashMap::new();
    let mut described = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            if !described.is_empty() {
                described.push(' ');
            }
            described.push_str(text);
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let (declared, word) = match line.strip_prefix("Self::") {
            Some(word) => (false, word),
            None => (line.starts_with(|c: char| c.is_ascii_uppercase()), line),
        };
        let variant = &word[..word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len())];
        if declared && !described.is_empty() {
            variants.insert(variant, plain(&described));
        }
        described.clear();
        let named = line.split_once(if declared { " = \"" } else { " => \"" });
        if let Some((name, meaning)) = named.zip(variants.get(variant)).map(|((_, rest), meaning)| (rest, meaning)) {
            meanings.insert(name.split('"').next().unwrap_or(name), meaning.clone());
        }
    }
    meanings
}

/// A doc comment for readers who have no rustdoc: links to other items are their names.
fn plain(doc: &str) -> String {
    let mut out = String::new();
    let mut rest = doc;
    while let Some((before, link)) = rest.split_once("[`") {
        let Some((name, after)) = link.split_once("`]") else { break };
        out.push_str(before);
        let _ = write!(out, "`{name}`");
        rest = after.strip_prefix('(').and_then(|target| target.split_once(')')).map_or(after, |(_, after)| after);
    }
    out + rest
}

/// `InvalidArgument` as gRPC writes it.
fn screaming(camel: &str) -> String {
    let mut out = String::new();
    for (at, letter) in camel.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

fn table(out: &mut String, columns: &[&str], rows: &[Vec<String>]) {
    let mut line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    };
    line(&columns.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    line(&columns.iter().map(|_| "---".to_owned()).collect::<Vec<_>>());
    for row in rows {
        let (name, rest) = row.split_first().expect("a row has a name");
        line(&std::iter::once(format!("`{name}`")).chain(rest.iter().cloned()).collect::<Vec<_>>());
    }
}

fn errors() -> String {
    let mut page = format!(
        "# Errors\n\nEvery error that people, programs and peers meet, and what to do about it. Names are stable; texts may change.\n\
         Made by `{COMMAND}`.\n"
    );
    for Group { title, text, columns, rows, .. } in groups() {
        let _ = write!(page, "\n## {title}\n\n");
        if !text.is_empty() {
            let _ = write!(page, "{text}\n\n");
        }
        table(&mut page, columns, &rows);
    }
    page
}

fn config() -> String {
    let mut page = format!(
        "# Configuration\n\nBoth programs read `config.toml` in their directory, which `init` writes with every default as a \
         comment. Unknown\nkeys are refused. Made by `{COMMAND}`.\n\n## veilmatch-server\n"
    );
    let mut tables: Vec<&'static str> = Vec::new();
    let settings = server_config::settings();
    for setting in &settings {
        if !tables.contains(&setting.table) {
            tables.push(setting.table);
        }
    }
    for name in tables {
        let heading = if name.is_empty() { "At the top".to_owned() } else { format!("`[{name}]`") };
        let _ = write!(page, "\n### {heading}\n\n");
        let of_table = settings.iter().filter(|setting| setting.table == name);
        let rows: Vec<Vec<String>> = of_table
            .map(|s| {
                row([s.key, &s.default.clone().unwrap_or_else(|| "none".to_owned()), s.unit, &s.meaning, s.reason])
            })
            .collect();
        table(&mut page, &["Key", "Default", "Unit", "Meaning", "Why this default"], &rows);
    }
    let _ = write!(page, "\n## veilmatch\n\n");
    let platform = row(["platform", "none", "The name under which the agency enrolled this platform."]);
    let fields = client_config::fields().into_iter().map(|field| row([field.name, &field.default, field.meaning]));
    table(&mut page, &["Key", "Default", "Meaning"], &std::iter::once(platform).chain(fields).collect::<Vec<_>>());
    page
}
