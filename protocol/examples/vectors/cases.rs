//! The cases of `protocol/vectors/`, made with this crate from fixed seeds.

#[path = "codebooks.rs"]
mod codebooks;
#[path = "frames.rs"]
mod frames;
#[path = "lists.rs"]
mod lists;
#[path = "series.rs"]
mod series;
#[path = "values.rs"]
mod values;

use serde_json::Value;
use sha2::{Digest, Sha512};

/// One file of the vectors.
pub struct Case {
    /// Path below `protocol/vectors/`.
    pub path: String,
    /// The file's text.
    pub text: String,
}

impl Case {
    fn new(path: impl Into<String>, value: &Value) -> Self {
        let text = serde_json::to_string_pretty(value).expect("a value is JSON") + "\n";
        Self { path: path.into(), text }
    }
}

/// SHA-512 of a text and a number: what stands in the vectors in the place of long rows of random bytes.
fn made(text: &str, i: u64) -> [u8; 64] {
    Sha512::new().chain_update(text).chain_update(i.to_be_bytes()).finalize().into()
}

/// Every case that a command can make; those of the RFCs are carried over by hand.
pub fn all() -> Vec<Case> {
    frames::all().into_iter().chain(lists::all()).chain(series::all()).chain(values::all()).collect()
}
