//! Writes the cases of `audit/vectors/` anew: `cargo run -p veilmatch-audit --example vectors`. The layout is SPEC §16.

mod cases;

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    for case in cases::all() {
        let path = folder.join(case.path);
        fs::create_dir_all(path.parent().expect("a folder stands before the name"))?;
        fs::write(&path, case.text)?;
        println!("{}", path.display());
    }
    Ok(())
}
