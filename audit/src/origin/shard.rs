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

    /// The log that this one goes on from; the first of a half-year goes on from none.
    #[must_use]
    pub fn predecessor(self) -> Option<Self> {
        (self.generation > 1).then(|| Self { generation: self.generation - 1, ..self })
    }

    /// The first log of the same half-year: the half-year's own name.
    #[must_use]
    pub fn first(self) -> Self {
        Self { generation: 1, ..self }
    }

    /// The first log of the half-year after this one; the last of the year 9999 has none, and stays.
    #[must_use]
    pub fn next_half(self) -> Self {
        let (year, half) = if self.half == 1 || self.year == 9_999 { (self.year, 2) } else { (self.year + 1, 1) };
        Self { year, half, generation: 1 }
    }

    /// The first log of the half-year before this one; the first of the year 1970 has none, and stays.
    #[must_use]
    pub fn previous_half(self) -> Self {
        let (year, half) = if self.half == 2 || self.year == 1_970 { (self.year, 1) } else { (self.year - 1, 2) };
        Self { year, half, generation: 1 }
    }

    /// The first second behind the half-year.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.next_half().start()
    }

    /// The first second of the half-year.
    ///
    /// # Panics
    /// Never: a legal year and the first of a month make a time.
    #[must_use]
    pub fn start(self) -> Timestamp {
        let month = if self.half == 1 { 1 } else { 7 };
        Timestamp::parse(&format!("{:04}-{month:02}-01T00:00:00Z", self.year)).expect("a legal year")
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
