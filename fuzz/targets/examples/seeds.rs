//! Writes the inputs that a corpus begins with and that no sample file has: `seeds CORPORA`.

use std::fs;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let corpora = PathBuf::from(std::env::args_os().nth(1).expect("usage: seeds CORPORA"));
    for (target, inputs) in veilmatch_fuzz_targets::seeds() {
        fs::create_dir_all(corpora.join(target))?;
        for (number, input) in inputs.iter().enumerate() {
            fs::write(corpora.join(target).join(format!("seed-{number}")), input)?;
        }
    }
    Ok(())
}
