//! The pages that are made from code are as the code is, and each error that they name has a test.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use veilmatch_tests::papers::{groups, pages};

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

/// Test code: integration tests, files called tests.rs, and what follows `#[cfg(test)]` in a source file.
fn test_code(folder: &Path, out: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !["target", ".git", "trial"].contains(&name.as_str()) {
            test_code(&path, out);
        } else if name.ends_with(".rs") && name != "papers.rs" {
            let text = fs::read_to_string(&path).unwrap();
            let whole = name == "tests.rs" || path.strip_prefix(root()).unwrap().iter().any(|part| part == "tests");
            out.push_str(if whole { &text } else { text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests) });
        }
    }
}

/// `BAD_LINE` as a variant: `BadLine`.
fn variant(name: &str) -> String {
    name.split('_').map(|word| format!("{}{}", &word[..1], word[1..].to_lowercase())).collect()
}

#[test]
fn each_error_has_a_test() {
    let mut code = String::new();
    test_code(&root(), &mut code);
    let names = groups().into_iter().flat_map(|group| group.rows).map(|row| row[0].clone());
    let protocol: HashMap<&str, String> =
        veilmatch_protocol::Error::ALL.iter().map(|error| (error.reason(), format!("{error:?}"))).collect();
    let untested: Vec<String> = names
        .filter(|name| {
            // By its name, or as a variant of its enum.
            let word = |text: &str| code.match_indices(text).any(|(at, _)| ends_word(&code, at + text.len()));
            let named = code.match_indices(name.as_str()).any(|(at, _)| {
                ends_word(&code, at + name.len()) && !code[..at].ends_with(|c: char| c == '_' || c.is_alphanumeric())
            });
            let as_variant = protocol.get(name.as_str()).cloned().unwrap_or_else(|| variant(name));
            !named && !word(&format!("::{as_variant}"))
        })
        .collect();
    assert!(untested.is_empty(), "no test provokes {untested:#?}");
}

fn ends_word(code: &str, at: usize) -> bool {
    !code[at..].starts_with(|c: char| c == '_' || c.is_alphanumeric())
}
