//! docs/errors.md and docs/config.md, made from the enums and the configurations that they describe.

use std::fmt::Write;

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

/// A group of errors: where they are met, and name, more columns, next step of each.
pub struct Group {
    title: &'static str,
    text: &'static str,
    columns: &'static [&'static str],
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

fn pairs(all: &[(&str, &str)]) -> Vec<Vec<String>> {
    all.iter().map(|(name, action)| row([name, action])).collect()
}

/// Every error of both programs, by where it is met.
#[must_use]
pub fn groups() -> Vec<Group> {
    let code = |reason: &Reason| screaming(&format!("{:?}", reason.code()));
    vec![
        Group {
            title: "Refusals of the server",
            text: "In the status of a call, as ErrorInfo's `reason`; in an answer of the platform's program as the reason \
                   of *not checked* (SPEC §10).",
            columns: &["Reason", "gRPC code", "Message", "What to do"],
            rows: Reason::ALL.iter().map(|r| row([r.name(), &code(r), r.message(), r.action()])).collect(),
        },
        Group {
            title: "Reasons of *not checked*",
            text: "Beside the server's refusals; the item was not looked up and must not be taken for *no match*.",
            columns: &["Reason", "What to do"],
            rows: pairs(NotChecked::REASONS),
        },
        Group {
            title: "Reasons of *not checked* that a file has",
            text: "`check`, `scan` and `run`: the file gave no digests.",
            columns: &["Reason", "What to do"],
            rows: pairs(&Unread::REASONS).into_iter().chain(pairs(&cli::LINE_REASONS)).collect(),
        },
        Group {
            title: "veilmatch: errors of the library",
            text: "Printed as `veilmatch: error: … (REASON)`; the command did nothing, or nothing further.",
            columns: &["Reason", "What to do"],
            rows: pairs(veilmatch_client::Error::REASONS),
        },
        Group {
            title: "veilmatch: errors of the command line",
            text: "",
            columns: &["Reason", "What to do"],
            rows: pairs(cli::REASONS),
        },
        Group {
            title: "veilmatch-server",
            text: "Printed as `veilmatch-server: error: … (REASON)`; nothing was half done.",
            columns: &["Reason", "What to do"],
            rows: pairs(veilmatch_server::Error::REASONS),
        },
        Group {
            title: "Lists of digests: the whole file",
            text: "`veilmatch-server list import`, `list retract`, `veilmatch check --hashes`, `scan --hashes`. Nothing is taken \
                   from the file.",
            columns: &["Reason", "What to do"],
            rows: pairs(veilmatch_lists::Error::REASONS),
        },
        Group {
            title: "Lists of digests: one row",
            text: "The row is set aside and counted: read = accepted + duplicate + quarantined.",
            columns: &["Reason", "What it is", "What to do"],
            rows: Quarantine::ALL.iter().map(|q| row([q.reason(), &q.to_string(), q.hint()])).collect(),
        },
        Group {
            title: "What the protocol refuses",
            text: "In evidence, logs and as the cause of other errors.",
            columns: &["Reason", "What it is"],
            rows: veilmatch_protocol::Error::ALL.iter().map(|e| row([e.reason(), &e.to_string()])).collect(),
        },
    ]
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
    for Group { title, text, columns, rows } in groups() {
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
