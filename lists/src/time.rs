//! Times as sources write them.

/// Seconds since 1970: RFC 3339 (`2026-01-31T12:00:00Z`, `2026-01-31 13:00:00.5+01:00`), a date, which is its first
/// second in UTC, or the number itself. `None` if it is none of these or lies before 1970.
#[must_use]
pub fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.as_bytes() {
        [_, _, _, _, b'-', ..] => rfc3339(text),
        _ => number(text, 1..=19),
    }
}

fn rfc3339(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time_of_day(time)?),
        None => (text, 0),
    };
    u64::try_from(days(date)?.checked_mul(86_400)?.checked_add(time)?).ok()
}

/// Days since 1970 of `YYYY-MM-DD`.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let (year, month, day) =
        (number(parts.next()?, 4..=4)?, number(parts.next()?, 2..=2)?, number(parts.next()?, 2..=2)?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || !(1..=length).contains(&day) {
        return None;
    }
    // Years are counted from March, so that a leap day is the last one of its year.
    let year = i64::try_from(if month < 3 { year.checked_sub(1)? } else { year }).ok()?;
    let (month, day) = (i64::try_from((month + 9) % 12).ok()?, i64::try_from(day).ok()?);
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(days - 719_468)
}

/// Seconds since midnight in UTC of `HH:MM:SS`, with an optional fraction, which is cut off, and its zone.
fn time_of_day(text: &str) -> Option<i64> {
    let zone = text.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = text.split_at(zone);
    let time = match time.split_once('.') {
        Some((time, fraction)) => number(fraction, 1..=18).map(|_| time)?,
        None => time,
    };
    let (minutes, second) = time.rsplit_once(':')?;
    // The leap second is written as the 60th.
    let second = number(second, 2..=2).filter(|second| *second <= 60)?;
    let offset = match zone.split_at(1) {
        ("Z" | "z", "") => 0,
        ("+", offset) => minutes_of(offset)?,
        ("-", offset) => -minutes_of(offset)?,
        _ => return None,
    };
    Some(60 * (minutes_of(minutes)? - offset) + i64::try_from(second).ok()?)
}

/// Minutes of `HH:MM`.
fn minutes_of(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (number(hours, 2..=2)?, number(minutes, 2..=2)?);
    (hours < 24 && minutes < 60).then(|| i64::try_from(60 * hours + minutes).expect("a day has 1,440 minutes"))
}

/// A decimal number with so many digits and nothing else.
fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u64> {
    let fits = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        let cases = [
            ("0", 0),
            (" 1769860800 ", 1_769_860_800),
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2000-02-28T23:59:59Z", 951_782_399),
            ("2000-02-29t00:00:00.999z", 951_782_400),
            ("2000-02-29 01:30:00+01:30", 951_782_400),
            ("2000-02-28T22:00:00-02:00", 951_782_400),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
            ("2100-03-01", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        let cases = [
            "",
            "soon",
            "-1",
            "1e9",
            "99999999999999999999",
            "1969-12-31",
            "0000-01-01",
            "2001-02-29",
            "1900-02-29",
            "2000-13-01",
            "2000-00-01",
            "2000-01-00",
            "2000-1-1",
            "2000-01-01-01",
            "2000-01-01T",
            "2000-01-01T00:00:00",
            "2000-01-01T24:00:00Z",
            "2000-01-01T00:60:00Z",
            "2000-01-01T00:00:61Z",
            "2000-01-01T00:00Z",
            "2000-01-01T00:00:00.Z",
            "2000-01-01T00:00:00+1:00",
            "2000-01-01T00:00:00Zx",
            "1970-01-01T00:00:00+00:01",
        ];
        for text in cases {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
