//! Times in manifests: RFC 3339 in UTC, whole seconds, exactly `YYYY-MM-DDTHH:MM:SSZ`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::Error;

/// Seconds since 1970-01-01T00:00:00Z, up to the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

/// The first second of the year 10000.
const END: u64 = 253_402_300_800;

const DAY: u64 = 86_400;

impl Timestamp {
    /// The time that many seconds after the epoch of Unix; the last second of the year 9999 at most.
    #[must_use]
    pub fn from_unix(seconds: u64) -> Self {
        Self(seconds.min(END - 1))
    }

    /// Seconds since the epoch of Unix.
    #[must_use]
    pub fn unix(self) -> u64 {
        self.0
    }

    /// The start of its minute.
    #[must_use]
    pub fn minute(self) -> Self {
        Self(self.0 - self.0 % 60)
    }

    /// The start of its hour.
    #[must_use]
    pub fn hour(self) -> Self {
        Self(self.0 - self.0 % 3_600)
    }

    /// The start of its day.
    #[must_use]
    pub fn day(self) -> Self {
        Self(self.0 - self.0 % DAY)
    }

    /// Reads the one accepted form.
    ///
    /// # Errors
    /// [`Error::Manifest`] for any other form or a date that does not exist.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let number = |at: usize, len: usize| -> Option<u64> {
            let digits = text.get(at..at + len)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let read = || {
            let date = number(0, 4)?.checked_sub(1970)? + 1970;
            let (month, day) = (number(5, 2)?, number(8, 2)?);
            let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
            let legal = (1..=12).contains(&month) && day >= 1 && hour < 24 && minute < 60 && second < 60;
            legal.then(|| Self(days_before(date, month, day) * DAY + hour * 3_600 + minute * 60 + second))
        };
        // Writing it again refuses 30 February and any other punctuation.
        read().filter(|time| time.0 < END && time.to_string() == text).ok_or(Error::Manifest)
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counted from March so that leap days come last.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / DAY + 719_468, self.0 % DAY);
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (year, month) = if month < 10 { (year + era * 400, month + 3) } else { (year + era * 400 + 1, month - 9) };
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(|_| D::Error::custom("not a time in RFC 3339, UTC"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_are_written_and_read() {
        let known = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (END - 1, "9999-12-31T23:59:59Z"),
        ];
        for (seconds, text) in known {
            assert_eq!(Timestamp::from_unix(seconds).to_string(), text);
            assert_eq!(Timestamp::parse(text).unwrap().unix(), seconds);
        }
    }

    #[test]
    fn every_day_survives_its_text() {
        for day in (0..END / DAY).step_by(7) {
            let time = Timestamp::from_unix(day * DAY + day % DAY);
            assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        }
    }

    #[test]
    fn other_forms_and_impossible_dates_are_refused() {
        // SPEC §8.2
        let bad = [
            "2026-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01t00:00:00Z",
            "2026-01-01T00:00:00z",
            "2026-01-01T00:00:00+00:00",
            "2026-01-01T00:00:00.0Z",
            "1969-12-31T23:59:59Z",
            "+026-01-01T00:00:00Z",
            "2026-1-01T00:00:00Z",
            "",
            "2026-01-01T00:00:00Zé",
        ];
        for text in bad {
            assert_eq!(Timestamp::parse(text), Err(Error::Manifest), "{text}");
        }
    }
}
