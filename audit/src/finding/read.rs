//! Places as they stand in a report (SPEC §21.3): the words in them are known ones.

use serde::{Deserialize, Deserializer, de::Error};

const FILES: [&str; 4] = ["artifact", "delta", "codes", "certificates"];
const PAPERS: [&str; 3] = ["acknowledgement", "opening", "canary"];

/// A [`super::Part`] whose words can be any.
#[derive(Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
enum Part {
    Checkpoint,
    File { path: String, index: Option<u64> },
    Leaf { index: u64 },
    Version { list: String, version: u32, file: String },
    Line { paper: String, line: u64 },
    Day { date: String, list: String, epoch: u32 },
}

impl<'de> Deserialize<'de> for super::Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let known = |words: &[&'static str], word: &str| {
            let found = words.iter().find(|known| **known == word).copied();
            found.ok_or_else(|| D::Error::custom("a word that no part has"))
        };
        Ok(match Part::deserialize(deserializer)? {
            Part::Checkpoint => Self::Checkpoint,
            Part::File { path, index } => Self::File { path, index },
            Part::Leaf { index } => Self::Leaf { index },
            Part::Version { list, version, file } => Self::Version { list, version, file: known(&FILES, &file)? },
            Part::Line { paper, line } => Self::Line { paper: known(&PAPERS, &paper)?, line },
            Part::Day { date, list, epoch } => Self::Day { date, list, epoch },
        })
    }
}
