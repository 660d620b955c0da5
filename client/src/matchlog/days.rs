//! Days: totals of every UTC day and list, zeros too, and the statements that close a day with the agency (SPEC §18.5).

use std::collections::BTreeMap;

use veilmatch_audit::{
    date::Date,
    leaf::{Code, Day},
};
use veilmatch_protocol::{manifest::Timestamp, name::ListId};

use super::{MatchLog, nonce, shard};
use crate::{Error, frames::now};

/// A day is over for this program a moment after it is over: what ended in its last second is on its way to the disk still.
const AFTER_MIDNIGHT: u64 = 60;

impl MatchLog {
    /// Writes the leaves of days that are over; gives how many.
    pub(crate) fn end_days(&self, lists: &[ListId]) -> Result<u64, Error> {
        self.flush_totals()?;
        let now = now();
        let today = Date::of(Timestamp::from_unix(now.unix().saturating_sub(AFTER_MIDNIGHT)));
        let mut written = 0;
        for list in lists {
            while let Some(day) = self.day_to_end(list, today)? {
                let totals = self.store.totals(list.as_str(), &day.to_string())?;
                let leaf =
                    day_leaf(list, day, &totals).encode().expect("counted names are those of reasons and actions");
                let (date, next) = (day.to_string(), day.next().to_string());
                written += u64::from(self.store.end_day(&shard(now), list.as_str(), &date, &next, &leaf)?);
            }
        }
        Ok(written)
    }

    fn day_to_end(&self, list: &ListId, today: Date) -> Result<Option<Date>, Error> {
        let next = self.store.next_day(list.as_str(), &today.to_string())?;
        // What is written there was written here; anything else begins anew today.
        let next = Date::parse(&next).unwrap_or(today);
        Ok((next < today).then_some(next))
    }
}

fn day_leaf(list: &ListId, date: Date, totals: &BTreeMap<String, u64>) -> Day {
    let total = |what: &str| totals.get(what).copied().unwrap_or_default();
    let of = |kind: &str| {
        let named = totals.iter().filter_map(move |(what, n)| Some((what.strip_prefix(kind)?.to_owned(), *n)));
        named.collect::<Vec<(String, u64)>>()
    };
    let not_checked = of("not_checked:").into_iter().filter_map(|(reason, n)| Some((Code::parse(&reason).ok()?, n)));
    Day {
        actions: of("action:").into_iter().collect(),
        date,
        frames: total("frames"),
        list: list.clone(),
        matches: total("matches"),
        nonce: nonce(),
        not_checked: not_checked.collect(),
        offered: total("offered"),
        queried: total("queried"),
        receipts: total("receipts"),
    }
}
