//! A subject has one digest of a kind at most: two are those of two subjects, and what is known of one is not known of the
//! other.

use std::time::Duration;

use veilmatch_protocol::name::ListId;

use super::Client;
use crate::outcome::{NotChecked, Outcome, Subject};

impl Client {
    /// Answers the subjects of one batch, in their order; those with two digests of a kind are not asked about.
    pub(super) async fn answer_all(
        &self,
        list: &ListId,
        subjects: Vec<Subject>,
        patience: Duration,
    ) -> Vec<(u64, Outcome)> {
        if !subjects.iter().any(has_a_kind_twice) {
            return self.answer_askable(list, subjects, patience).await;
        }
        let refused: Vec<Option<u64>> =
            subjects.iter().map(|subject| has_a_kind_twice(subject).then_some(subject.key)).collect();
        let askable = subjects.into_iter().filter(|subject| !has_a_kind_twice(subject)).collect();
        let mut answered = self.answer_askable(list, askable, patience).await.into_iter();
        let outcome = |refused: Option<u64>| match refused {
            Some(key) => Some((key, Outcome::NotChecked(NotChecked::KindTwice))),
            None => answered.next(),
        };
        refused.into_iter().filter_map(outcome).collect()
    }
}

fn has_a_kind_twice(subject: &Subject) -> bool {
    let mut items = subject.items.iter();
    while let Some(item) = items.next() {
        if items.clone().any(|other| other.kind() == item.kind()) {
            return true;
        }
    }
    false
}
