//! Remembers that a day's budget is spent, so that a scan does not ask for every frame what was answered for one.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use veilmatch_protocol::{frame::FrameSize, name::ListId};

/// Per list: the smallest size that was refused, and until when.
#[derive(Default)]
pub(crate) struct Spent(Mutex<HashMap<ListId, (FrameSize, Instant)>>);

impl Spent {
    /// The wait that the server named when it refused a frame of this size or a smaller one, what is left of it.
    pub(super) fn wait(&self, list: &ListId, size: FrameSize) -> Option<Duration> {
        let spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (refused, until) = spent.get(list)?;
        if size < *refused { None } else { until.checked_duration_since(Instant::now()) }
    }

    /// Takes note of a refusal. One with a smaller size says more; one that is over says nothing.
    pub(super) fn refused(&self, list: &ListId, size: FrameSize, wait: Duration) {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let Some(until) = now.checked_add(wait) else { return };
        let known = spent.get(list).filter(|(_, until)| *until > now).map(|(refused, _)| *refused);
        spent.insert(list.clone(), (known.map_or(size, |known| known.min(size)), until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_from_the_refused_one_on_wait_and_smaller_ones_do_not() {
        let (spent, list) = (Spent::default(), ListId::parse("baseline").unwrap());
        assert_eq!(spent.wait(&list, FrameSize::Full), None);
        spent.refused(&list, FrameSize::Thousand, Duration::from_secs(60));
        assert!(spent.wait(&list, FrameSize::Full).is_some());
        assert!(spent.wait(&list, FrameSize::Thousand).is_some());
        assert_eq!(spent.wait(&list, FrameSize::Quarter), None);
        spent.refused(&list, FrameSize::Four, Duration::from_secs(60));
        assert!(spent.wait(&list, FrameSize::Quarter).is_some());
        spent.refused(&list, FrameSize::Full, Duration::from_secs(60));
        assert!(spent.wait(&list, FrameSize::Four).is_some(), "the larger refusal says nothing new");
        assert_eq!(spent.wait(&ListId::parse("other").unwrap(), FrameSize::Full), None);
    }

    #[test]
    fn a_wait_that_is_over_is_forgotten() {
        let (spent, list) = (Spent::default(), ListId::parse("baseline").unwrap());
        spent.refused(&list, FrameSize::One, Duration::ZERO);
        assert_eq!(spent.wait(&list, FrameSize::Full).filter(|wait| !wait.is_zero()), None);
        spent.refused(&list, FrameSize::Full, Duration::from_secs(60));
        assert_eq!(spent.wait(&list, FrameSize::One), None);
    }
}
