//! The pages that are made from code are as the code is, and each error that they name has a test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use veilmatch_tests::papers::{Group, groups, pages};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn the_pages_are_current() {
    for (path, page) in pages() {
        let stands = fs::read_to_string(root().join(path)).unwrap();
        assert!(stands == page, "{path} is old: cargo run -p veilmatch-tests --example papers");
    }
}

/// Test code below a folder: integration tests, files called tests.rs, and what follows `#[cfg(test)]` in a source file.
fn test_code(folder: &Path) -> String {
    let mut out = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            out.push_str(&test_code(&path));
        } else if name.ends_with(".rs") && name != "papers.rs" {
            let text = fs::read_to_string(&path).unwrap();
            let whole = name == "tests.rs" || path.strip_prefix(root()).unwrap().iter().any(|part| part == "tests");
            let tests = if whole { &text } else { text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests) };
            out.push_str(&claims(tests));
        }
    }
    out
}

/// Test code without what claims nothing: comments, and statements that one of several names satisfies (`a || b`).
fn claims(code: &str) -> String {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    let several = |statement: &&str| {
        statement.match_indices("|| ").any(|(at, _)| statement[..at].trim_end().ends_with([')', '"']))
    };
    code.split_inclusive([';', '{']).filter(|statement| !several(statement)).collect()
}

#[test]
fn an_alternative_and_a_comment_are_no_claims() {
    let code = "// (\"COMMENT\")\nassert!(a(\"ONE\")\n    || b(\"OTHER\"));\nlet c = || fail(\"CLOSURE\");\n";
    let claims = claims(code);
    assert!(claims.contains("CLOSURE") && !["COMMENT", "ONE", "OTHER"].iter().any(|name| claims.contains(name)));
}

/// `BAD_LINE` as a variant: `BadLine`.
fn variant(name: &str) -> String {
    name.split('_').map(|word| format!("{}{}", &word[..1], word[1..].to_lowercase())).collect()
}

/// It takes an item that maps to the identity (SPEC §4.3): one in 2^252.
const NOBODY_CAN_PROVOKE: [(&str, &str); 1] = [("Reasons of *not checked*", "INVALID_INPUT")];

#[test]
fn each_error_has_a_test() {
    let code: HashMap<&str, String> = ["lists", "protocol", "audit", "proto", "server", "client", "tests"]
        .map(|folder| (folder, test_code(&root().join(folder))))
        .into();
    let protocol: HashMap<&str, String> =
        veilmatch_protocol::Error::ALL.iter().map(|error| (error.reason(), format!("{error:?}"))).collect();
    let mut untested = Vec::new();
    for Group { title, rows, tested, .. } in groups() {
        let names = rows
            .into_iter()
            .map(|row| row[0].clone())
            .filter(|name| {
                // As the text that a test compares, or as a variant of its enum.
                let as_variant = protocol.get(name.as_str()).cloned().unwrap_or_else(|| variant(name));
                let said = |code: &String| {
                    code.contains(&format!("\"{name}\""))
                        || code.contains(&format!("({name})"))
                        || ends_a_word(code, &format!("::{as_variant}"))
                };
                !tested.iter().any(|folder| said(&code[folder]))
            })
            .filter(|name| !NOBODY_CAN_PROVOKE.contains(&(title, name.as_str())));
        untested.extend(names.map(|name| format!("{name} of {title}: below {tested:?}")));
    }
    assert!(untested.is_empty(), "no test provokes {untested:#?}");
}

fn ends_a_word(code: &str, text: &str) -> bool {
    let inner = |c: char| c == '_' || c.is_alphanumeric();
    code.match_indices(text).any(|(at, _)| !code[at + text.len()..].starts_with(inner))
}
