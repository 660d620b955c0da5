//! What readers of foreign bytes must do whatever the bytes.
//!
//! Each target takes bytes and panics if a promise is broken. libFuzzer calls it from `fuzz/fuzz_targets/`, and an ordinary
//! test calls it with everything in `fuzz/corpus/`.

mod archives;
mod artifact;
mod delta;
mod evidence;
mod lists;
mod logs;

use veilmatch_lists::Format;

/// A target.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("detect", |bytes| lists::read(bytes, None)),
    ("sums", |bytes| lists::read(bytes, Some(Format::Sums))),
    ("sums-z", |bytes| lists::read(bytes, Some(Format::SumsZ))),
    ("hashdeep", |bytes| lists::read(bytes, Some(Format::Hashdeep))),
    ("plain", |bytes| lists::read(bytes, Some(Format::Plain))),
    ("icse", |bytes| lists::read(bytes, Some(Format::Icse))),
    ("nsrl", |bytes| lists::read(bytes, Some(Format::Nsrl))),
    ("csv", |bytes| lists::read(bytes, Some(Format::Csv))),
    ("jsonl", |bytes| lists::read(bytes, Some(Format::Jsonl))),
    ("stopncii", |bytes| lists::read(bytes, Some(Format::Stopncii))),
    ("vics", |bytes| lists::read(bytes, Some(Format::Vics))),
    ("ncmec", |bytes| lists::read(bytes, Some(Format::Ncmec))),
    ("archives", archives::open),
    ("artifact", artifact::open),
    ("delta", delta::apply),
    ("notes", logs::note),
    ("bundles", logs::bundle),
    ("policies", logs::policy),
    ("witness", logs::witness),
    ("leaves", logs::leaf),
    ("evidence", evidence::read),
];

/// Calls a target by its name.
///
/// # Panics
/// If a promise is broken, or there is no such target.
pub fn run(target: &str, bytes: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    found.expect("the target is among TARGETS").1(bytes);
}

/// Inputs to begin with that no sample file has: valid artifacts, deltas, and what logs consist of.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut seeds = vec![("artifact", artifact::seeds()), ("delta", delta::seeds()), ("evidence", evidence::seeds())];
    seeds.extend(logs::seeds());
    seeds
}
