//! Makes a synthetic trial: a list in `sha256sum` format and a tree of small files, some of them listed.
//!
//! ```text
//! cargo run --release -p veilmatch-lists --example synthetic -- DIR ENTRIES FILES LISTED [SEED]
//!
//! DIR/lists/A1.sha256, DIR/lists/B2.sha256   ENTRIES lines in all, in two categories
//! DIR/files/…                                FILES files, LISTED of them in the lists
//! DIR/expected.tsv                           path below DIR/files, tab, category: the listed files by path
//! ```
//!
//! The same arguments give the same bytes. No digest here is of anything but generated noise.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256, Sha512};

const CATEGORIES: [&str; 2] = ["A1", "B2"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [dir, entries, files, listed, seed @ ..] = &arguments[..] else {
        return Err("usage: synthetic DIR ENTRIES FILES LISTED [SEED]".into());
    };
    let trial = Trial {
        entries: entries.parse()?,
        files: files.parse()?,
        listed: listed.parse()?,
        seed: seed.first().map_or(Ok(1), |seed| seed.parse())?,
    };
    if trial.listed > trial.files || trial.listed > trial.entries {
        return Err("LISTED must be at most FILES and at most ENTRIES".into());
    }
    trial.write(Path::new(dir))?;
    Ok(())
}

struct Trial {
    entries: u64,
    files: u64,
    listed: u64,
    seed: u64,
}

impl Trial {
    fn write(&self, dir: &Path) -> io::Result<()> {
        let listed = self.write_tree(dir)?;
        fs::create_dir_all(dir.join("lists"))?;
        let list = |category| File::create(dir.join(format!("lists/{category}.sha256"))).map(BufWriter::new);
        let mut lists = [list(CATEGORIES[0])?, list(CATEGORIES[1])?];
        // The listed files stand at even distances among entries that nobody has.
        let mut listed = listed.into_iter().zip(spread(self.listed, self.entries)).peekable();
        for entry in 0..self.entries {
            let (digest, category) = match listed.next_if(|(_, place)| *place == entry) {
                Some(((digest, category), _)) => (digest, category),
                None => (Sha256::digest(self.noise("entry", entry)).into(), category_of(entry)),
            };
            writeln!(lists[category], "{}  entry-{entry:09}", hex::encode(digest))?;
        }
        lists.iter_mut().try_for_each(Write::flush)
    }

    /// Writes the files; gives the digest and category of the listed ones.
    fn write_tree(&self, dir: &Path) -> io::Result<Vec<([u8; 32], usize)>> {
        fs::create_dir_all(dir)?;
        let mut expected = BufWriter::new(File::create(dir.join("expected.tsv"))?);
        let mut places = spread(self.listed, self.files).peekable();
        let mut listed = Vec::new();
        for file in 0..self.files {
            let path = PathBuf::from(format!("{:03}/upload {file:06}.bin", file / 500));
            if file % 500 == 0 {
                fs::create_dir_all(dir.join("files").join(path.parent().expect("a file stands in a folder")))?;
            }
            let content = self.content(file);
            fs::write(dir.join("files").join(&path), &content)?;
            if places.next_if_eq(&file).is_some() {
                let category = category_of(listed.len() as u64);
                writeln!(expected, "{}\t{}", path.display(), CATEGORIES[category])?;
                listed.push((Sha256::digest(&content).into(), category));
            }
        }
        expected.flush()?;
        Ok(listed)
    }

    /// 64 bytes to 8 KiB that no other file has.
    fn content(&self, file: u64) -> Vec<u8> {
        let seed = self.noise("file", file);
        let blocks = 1 + u64::from(u16::from_be_bytes([seed[0], seed[1]])) % 128;
        (0..blocks).flat_map(|block| Sha512::digest([&seed[..], &block.to_be_bytes()].concat())).collect()
    }

    fn noise(&self, what: &str, index: u64) -> Vec<u8> {
        Sha512::digest(format!("veilmatch synthetic {} {what} {index}", self.seed)).to_vec()
    }
}

/// `count` places in `0..total`, ascending.
fn spread(count: u64, total: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |index| index * total / count)
}

fn category_of(index: u64) -> usize {
    usize::from(index % 3 == 2)
}
