//! Writes docs/errors.md and docs/config.md: `cargo run -p veilmatch-tests --example papers`

use std::path::Path;

use veilmatch_tests::papers::pages;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    pages().into_iter().try_for_each(|(path, page)| std::fs::write(root.join(path), page))
}
