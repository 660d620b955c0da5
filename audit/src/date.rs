//! Days of UTC, as `day` leaves and closing statements name them: `YYYY-MM-DD` (SPEC §18.5).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use veilmatch_protocol::manifest::Timestamp;

use crate::Error;

/// A day of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(Timestamp);

impl Date {
    /// The day that a time is in.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self(time.day())
    }

    /// Its first second.
    #[must_use]
    pub fn start(self) -> Timestamp {
        self.0
    }

    /// The day after it; the last day of the year 9999 has none, and stays.
    #[must_use]
    pub fn next(self) -> Self {
        Self::of(Timestamp::from_unix(self.0.unix() + 86_400))
    }

    /// The day before it; the first day of 1970 has none, and stays.
    #[must_use]
    pub fn previous(self) -> Self {
        Self::of(Timestamp::from_unix(self.0.unix().saturating_sub(86_400)))
    }

    /// Whether a time is in it.
    #[must_use]
    pub fn contains(self, time: Timestamp) -> bool {
        time.day() == self.0
    }

    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// [`Error::BadLeaf`] for any other form or a date that does not exist.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Timestamp::parse(&format!("{text}T00:00:00Z")).map(Self).map_err(|_| Error::BadLeaf)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.split('T').next().expect("a time has a date"))
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_survives_its_text_and_other_forms_are_refused() {
        // SPEC §18.5
        let date = Date::parse("2026-05-28").unwrap();
        assert_eq!(date.to_string(), "2026-05-28");
        assert_eq!(Date::parse("2026-05-31").unwrap().next().to_string(), "2026-06-01");
        assert_eq!(Date::parse("2026-06-01").unwrap().previous().to_string(), "2026-05-31");
        assert!(date.contains(Timestamp::parse("2026-05-28T23:59:59Z").unwrap()));
        assert!(!date.contains(date.next().start()));
        for bad in ["2026-02-29", "2026-5-28", "2026-05-28T00:00:00Z", "", "2026-05-28 "] {
            assert_eq!(Date::parse(bad), Err(Error::BadLeaf), "{bad}");
        }
    }
}
