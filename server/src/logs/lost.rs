//! A query log that was lost goes on as another one, whose first leaf says what is missing (SPEC §17.1, §18.2).

use std::ops::Range;

use veilmatch_audit::{
    leaf::{Key, Nonce, Role, VerifierKey},
    origin::LogOrigin,
};
use veilmatch_protocol::manifest::Timestamp;

use super::PublicKeys;
use crate::{
    Error,
    keys::draw,
    store::{LogRow, Store},
};

/// What is lost of a halted log: all behind the tree that was published here. Where another tree of no more leaves was signed, nobody
/// knows from where on they differ.
///
/// # Errors
/// [`Error::Store`].
pub fn lost_of(store: &Store, row: &LogRow) -> Result<Range<u64>, Error> {
    let seen = row.seen_tree().map_or(0, |tree| tree.size);
    let from = if seen > row.head.size { row.published_size } else { 0 };
    Ok(from..seen.max(store.log_len(row.id)?))
}

/// Lets another log go on from one that was halted; gives its origin. It is published as any other.
///
/// # Errors
/// [`Error::Internal`] if it is no query log, [`Error::Store`].
pub fn go_on(
    store: &mut Store,
    keys: &PublicKeys,
    row: &LogRow,
    lost: &Range<u64>,
    now: u64,
) -> Result<LogOrigin, Error> {
    let previous = LogOrigin::parse(&row.origin)?;
    let LogOrigin::Query(agency, newest) = store.newest_of(&previous)? else {
        return Err(Error::Internal("only a query log goes on as another one"));
    };
    let next = LogOrigin::Query(agency, newest.successor());
    let first = Key {
        cross: None,
        key: VerifierKey::signer(keys.query.name(), *keys.query.key())?,
        lost_from: lost.start,
        lost_to: lost.end,
        nonce: Nonce(*draw::<16>()?),
        old: None,
        previous: Some(previous),
        role: Role::QueryLog,
        t: Timestamp::from_unix(now),
    };
    store.go_on(row, lost, &next, &first.encode()?)?;
    Ok(next)
}
