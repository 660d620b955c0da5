//! From evaluations to the answer about a subject (SPEC §12).

use veilmatch_protocol::{
    Error as ProtocolError,
    item::Kind,
    label::{CodedLabel, may_be_planted},
};

use crate::{
    held::{Held, Looking},
    outcome::{NotChecked, Outcome},
    results::Row,
};

/// The answer about a subject of which `asked` are the kinds given and `rows` the evaluations. A whole file is no match
/// only if every kind of the list was evaluated; a bare digest is answered for its kind. A match is of weak kinds only if
/// the list has the same content under a stronger kind, and the subject's digest of a stronger kind is not listed (SPEC
/// §12.6). `hit` gets every evaluation that is listed, with its label.
pub(crate) fn verdict(
    held: &Looking<'_>,
    whole: bool,
    asked: &[Kind],
    rows: &[Row],
    mut hit: impl FnMut(&Row, &[u8]),
) -> Outcome {
    let version = held.version().0;
    let (mut found, mut missed, mut altered) = (None, None, None);
    let mut weak = held.has_coded_labels();
    for row in rows {
        match held.find(&row.okm) {
            Ok(None) => missed = missed.max(Some(row.kind)),
            Ok(Some(label)) => {
                hit(row, &label);
                weak &= may_be_planted(row.kind) && stronger_is_listed(&label);
                found = found.max(Some((row.kind, label)));
            }
            Err(error) => altered = Some(alarm(held, error)),
        }
    }
    if let Some((kind, label)) = found {
        // The strongest that matched, and a stronger one that did not, although the list has one for that content.
        let weak_only = weak && altered.is_none() && missed > Some(kind);
        return Outcome::Match { label: held.label(label), kind, version, weak_only };
    }
    if let Some(why) = altered {
        return Outcome::NotChecked(why);
    }
    let listed = held.listed();
    if let Some(&kind) = asked.iter().find(|kind| !whole && !listed.contains(kind)) {
        return Outcome::NotChecked(NotChecked::KindNotListed(kind));
    }
    let needed = if whole || asked.is_empty() { listed } else { asked };
    match needed.iter().find(|&&kind| !rows.iter().any(|row| row.kind == kind)) {
        Some(&kind) => Outcome::NotChecked(NotChecked::KindMissing(kind)),
        None => Outcome::NoMatch { version },
    }
}

fn stronger_is_listed(label: &[u8]) -> bool {
    CodedLabel::decode(label).is_ok_and(|label| label.stronger_listed)
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

#[cfg(test)]
mod tests;
