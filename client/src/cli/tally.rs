//! Counts the answers of a check, and says at its end what was counted.

use std::{collections::BTreeMap, fmt};

use veilmatch_proto::Reason;

use super::source::LINE_REASONS;
use crate::{NotChecked, Outcome};

/// Answers by outcome.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Matches.
    pub matches: u64,
    /// Of these, matches of weak kinds only.
    pub weak_only: u64,
    /// No matches.
    pub no_match: u64,
    by_reason: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts an answer.
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Match { weak_only, .. } => self.count_match(*weak_only),
            Outcome::NoMatch { .. } => self.no_match += 1,
            Outcome::NotChecked(why) => self.count_not_checked(why.reason()),
        }
    }

    /// Counts a match.
    pub fn count_match(&mut self, weak_only: bool) {
        self.matches += 1;
        self.weak_only += u64::from(weak_only);
    }

    /// Counts something that was not checked.
    pub fn count_not_checked(&mut self, reason: &str) {
        match self.by_reason.get_mut(reason) {
            Some(count) => *count += 1,
            None => drop(self.by_reason.insert(reason.to_owned(), 1)),
        }
    }

    /// Counts so many things that were not checked for one reason.
    pub fn count_many(&mut self, why: &NotChecked, many: u64) {
        if many > 0 {
            *self.by_reason.entry(why.reason().to_owned()).or_default() += many;
        }
    }

    /// Answers that are no answer.
    pub fn not_checked(&self) -> u64 {
        self.by_reason.values().sum()
    }

    /// All answers.
    pub fn total(&self) -> u64 {
        self.matches + self.no_match + self.not_checked()
    }

    /// What the operator can do about what was not checked.
    pub fn hints(&self) -> impl Iterator<Item = &'static str> {
        self.by_reason.keys().filter_map(|reason| hint(reason))
    }
}

/// What to do about a reason; nothing about those of a single file, which its line tells.
fn hint(reason: &str) -> Option<&'static str> {
    let ours = NotChecked::REASONS.iter().chain(&LINE_REASONS).find(|(name, _)| *name == reason);
    ours.map(|(_, action)| *action).or_else(|| Reason::from_name(reason).map(Reason::action))
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { matches, weak_only, no_match, .. } = self;
        let es = if *matches == 1 { "" } else { "es" };
        write!(f, "{matches} match{es}")?;
        if *weak_only > 0 {
            write!(f, " ({weak_only} of weak kinds only: let a person look at them)")?;
        }
        write!(f, ", {no_match} no match, {} not checked", self.not_checked())?;
        let reasons: Vec<String> = self.by_reason.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        if reasons.is_empty() { Ok(()) } else { write!(f, " ({})", reasons.join(", ")) }
    }
}

/// Whether an answer says nothing about the subject itself, so that asking again later can give another one.
pub fn is_passing(why: &NotChecked) -> bool {
    match why {
        NotChecked::NoList
        | NotChecked::Expired
        | NotChecked::Deadline
        | NotChecked::Offline
        | NotChecked::BadProof
        | NotChecked::BadAcknowledgement
        | NotChecked::UnprovenLog
        | NotChecked::StaleLog
        | NotChecked::LogFork
        | NotChecked::LogRollback
        | NotChecked::AlteredRecord
        | NotChecked::Refused { .. }
        | NotChecked::Certificate
        | NotChecked::Storage
        | NotChecked::ShutDown => true,
        NotChecked::KindMissing(_)
        | NotChecked::KindTwice
        | NotChecked::ResultLost
        | NotChecked::KindNotListed(_)
        | NotChecked::LabelMismatch
        | NotChecked::InvalidInput
        | NotChecked::Source(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use veilmatch_protocol::item::Kind;

    use super::*;

    #[test]
    fn a_record_that_rotted_on_the_disk_is_not_a_scans_last_word() {
        // A scan wrote ALTERED_RECORD down as final and never asked again, although `sync` fetches the list anew.
        assert!(is_passing(&NotChecked::AlteredRecord));
        assert!(!is_passing(&NotChecked::LabelMismatch));
    }

    #[test]
    fn what_was_counted_is_said_with_its_reasons() {
        let mut tally = Tally::default();
        assert_eq!(tally.to_string(), "0 matches, 0 no match, 0 not checked");
        let matched = |weak_only| Outcome::Match { label: vec![].into(), kind: Kind::Md5, version: 1, weak_only };
        let mut planted = Tally::default();
        [matched(false), matched(true)].iter().for_each(|outcome| planted.count(outcome));
        assert_eq!(
            planted.to_string(),
            "2 matches (1 of weak kinds only: let a person look at them), 0 no match, 0 not checked"
        );
        tally.count(&Outcome::NoMatch { version: 1 });
        tally.count(&Outcome::NotChecked(NotChecked::Expired));
        tally.count(&Outcome::NotChecked(NotChecked::Source("CHANGED")));
        tally.count(&Outcome::NotChecked(NotChecked::Source("CHANGED")));
        assert_eq!(tally.to_string(), "0 matches, 1 no match, 3 not checked (2 CHANGED, 1 EXPIRED)");
        assert_eq!(tally.total(), 4);
        assert_eq!(
            tally.hints().collect::<Vec<_>>(),
            ["run `veilmatch sync`; if that brings nothing newer, call the agency"]
        );
    }
}
