//! Trees that others have seen under our key, compared with ours. Another one ends the log (SPEC §17.7).

use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    origin::LogOrigin,
    tree::root_at,
};

use super::{LogState, lost::go_on, reading::LogReader};
use crate::{
    Error,
    status::CallError,
    store::{LogRow, Store},
};

impl LogReader {
    /// Judges a checkpoint that somebody else was shown, if our key has signed it. A log that the store does not have is one,
    /// too: it began after the backup that the store was restored from.
    ///
    /// # Errors
    /// [`CallError::AuditUnavailable`] if it is of another tree than ours: then the log is halted. [`CallError::UnknownLog`],
    /// [`CallError::BadCheckpoint`] if it says nothing about us, [`CallError::Store`].
    pub(crate) fn judge(&self, origin: &LogOrigin, note: &[u8]) -> Result<Checkpoint, CallError> {
        let verifier = self.keys.of(origin).ok_or(CallError::UnknownLog)?;
        let seen = checkpoint::open(note, &origin.to_string(), &verifier).map_err(|_| CallError::BadCheckpoint)?;
        self.stores().with(|store| {
            let row = match store.log(&seen.origin)? {
                Some(row) => row,
                None if seen.size == 0 => return Ok(()),
                None => {
                    store.begin_log(&seen.origin)?;
                    store.log(&seen.origin)?.ok_or(Error::Internal("a log that was begun is not there"))?
                }
            };
            self.compare(store, origin, &row, &seen, note)
        })?;
        Ok(seen)
    }

    fn compare(
        &self,
        store: &mut Store,
        origin: &LogOrigin,
        row: &LogRow,
        seen: &Checkpoint,
        note: &[u8],
    ) -> Result<(), CallError> {
        if self.is_ours(store, origin, row, seen)?
            || row.lost.as_ref().is_some_and(|lost| lost.contains(&(seen.size - 1)))
        {
            return Ok(());
        }
        let why = format!("a checkpoint of size {} with our signature is of another tree", seen.size);
        tracing::error!(reason = "LOG_HALTED", origin = %origin, size = seen.size, "{why}");
        if row.lost.is_some() {
            return Ok(self.state_more(store, row, seen, note)?);
        }
        // Durable before anybody hears of it: a restart must not forget it.
        let stored = store.halt_log(row.id, &why, note);
        self.health.become_state(LogState::Halted);
        stored?;
        Err(CallError::AuditUnavailable)
    }

    fn is_ours(&self, store: &Store, origin: &LogOrigin, row: &LogRow, seen: &Checkpoint) -> Result<bool, CallError> {
        if seen.size == 0 {
            return Ok(true);
        }
        if seen.size <= row.published_size {
            return Ok(self.prove(origin, |files| root_at(&files.view(row.published_size), seen.size))? == seen.root);
        }
        // The head may have grown since the row was read, and is published in a moment.
        let head = store.log(&row.origin)?.map_or(row.head.clone(), |row| row.head);
        Ok(seen.size < head.size || (seen.size == head.size && head.root == seen.root))
    }

    // Of a log that was given up more comes to light than was stated: yet another log states it.
    fn state_more(&self, store: &mut Store, row: &LogRow, seen: &Checkpoint, note: &[u8]) -> Result<(), Error> {
        let Some(lost) = &row.lost else { return Ok(()) };
        let from = if seen.size > row.head.size { lost.start } else { 0 };
        store.halt_log(row.id, "", note)?;
        let next = go_on(store, &self.keys, row, &(from..lost.end.max(seen.size)), self.clock.now())?;
        tracing::error!(origin = row.origin, next = %next, "more of a lost log was seen than was stated: another log states it");
        Ok(())
    }
}
