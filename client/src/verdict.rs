//! From evaluations to the answer about a subject (SPEC §12).

use veilmatch_protocol::{Error as ProtocolError, item::Kind};

use crate::{
    held::{Held, Looking},
    outcome::{NotChecked, Outcome},
    results::Row,
};

/// The answer about a subject of which `asked` are the kinds given and `rows` the evaluations. A whole file is no match
/// only if every kind of the list was evaluated; a bare digest is answered for its kind.
pub(crate) fn verdict(held: &Looking<'_>, whole: bool, asked: &[Kind], rows: &[Row]) -> Outcome {
    let version = held.version().0;
    let (mut found, mut altered) = (None, None);
    for row in rows {
        match held.find(&row.okm) {
            Ok(None) => {}
            Ok(Some(label)) => found = found.max(Some((row.kind, label))),
            Err(error) => altered = Some(alarm(held, error)),
        }
    }
    if let Some((kind, label)) = found {
        return Outcome::Match { label: held.label(label), kind, version };
    }
    if let Some(why) = altered {
        return Outcome::NotChecked(why);
    }
    let listed = held.kinds();
    if let Some(&kind) = asked.iter().find(|kind| !whole && !listed.contains(kind)) {
        return Outcome::NotChecked(NotChecked::KindNotListed(kind));
    }
    let needed = if whole || asked.is_empty() { &listed[..] } else { asked };
    match needed.iter().find(|&&kind| !rows.iter().any(|row| row.kind == kind)) {
        Some(&kind) => Outcome::NotChecked(NotChecked::KindMissing(kind)),
        None => Outcome::NoMatch { version },
    }
}

/// A record that is not believed is an alarm, and never *no match*.
fn alarm(held: &Held, error: ProtocolError) -> NotChecked {
    let why = match error {
        ProtocolError::LabelMismatch | ProtocolError::LabelLength => NotChecked::LabelMismatch,
        _ => NotChecked::AlteredRecord,
    };
    tracing::error!(list = %held.list(), version = held.version().0, reason = why.reason(), "a published record is not believed");
    why
}
