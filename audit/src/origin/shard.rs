//! Shards of query and match logs: a half-year of UTC, and a generation where one was lost (SPEC §17.1).

use std::{fmt, str::FromStr};

use veilmatch_protocol::manifest::Timestamp;

use crate::Error;

/// A half-year's log: `2026h2`, or `2026h2.2` where the first was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard {
    year: u16,
    half: u8,
    generation: u32,
}

impl Shard {
    /// The first log of the half-year that a time is in.
    ///
    /// # Panics
    /// Never: a time's text has four digits of year and two of month.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        let text = time.to_string();
        let number = |digits: &str| digits.parse().expect("a time begins with digits");
        Self { year: number(&text[..4]), half: if number(&text[5..7]) <= 6 { 1 } else { 2 }, generation: 1 }
    }

    /// Whether a leaf of this time belongs here, or to another generation of the half-year.
    #[must_use]
    pub fn contains(self, time: Timestamp) -> bool {
        Self { generation: self.generation, ..Self::of(time) } == self
    }

    /// 1, or as many as the half-year has had logs, with this one.
    #[must_use]
    pub fn generation(self) -> u32 {
        self.generation
    }

    /// The log that goes on from this one, once it is lost.
    ///
    /// # Panics
    /// After four thousand million losses.
    #[must_use]
    pub fn successor(self) -> Self {
        Self { generation: self.generation.checked_add(1).expect("nobody loses so many"), ..self }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}h{}", self.year, self.half)?;
        if self.generation > 1 { write!(f, ".{}", self.generation) } else { Ok(()) }
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (halves, generation) = text.split_once('.').unwrap_or((text, "1"));
        let read = || {
            let (year, half) = halves.split_once('h')?;
            Some(Self { year: year.parse().ok()?, half: half.parse().ok()?, generation: generation.parse().ok()? })
        };
        let legal = |shard: &Self| (1970..=9999).contains(&shard.year) && [1, 2].contains(&shard.half);
        // Writing it again refuses signs, zeros in front and a generation of 1 that is spelt out.
        read().filter(|shard| legal(shard) && shard.to_string() == text).ok_or(Error::BadCheckpoint)
    }
}
