//! The cases of `protocol/vectors/`, made with this crate from fixed seeds.

#[path = "frames.rs"]
mod frames;
#[path = "lists.rs"]
mod lists;

use serde_json::Value;

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

/// Every case that a command can make; those of the RFCs are carried over by hand.
pub fn all() -> Vec<Case> {
    frames::all().into_iter().chain(lists::all()).collect()
}
