//! `list policy`, `codes`, `compact`.

use veilmatch_lists::Category;
use veilmatch_protocol::name::ListId;

use super::Agency;
use crate::{
    Error,
    clock::DAY,
    store::{CategoryRow, ChangeRow, Entries, Rule, SourceRow, Tally},
};

impl Agency {
    /// Gives a list another rule; it counts from the next publication on. Gives the rule.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Argument`] for a rule that would list nothing, [`Error::Busy`], [`Error::Store`].
    pub fn set_rule(&mut self, list: &ListId, change: impl FnOnce(Rule) -> Rule) -> Result<Rule, Error> {
        let _lock = self.dir.lock_changes()?;
        let before = self.store.list(list)?.rule;
        let rule = change(before);
        if rule.min_sources > 1 && rule.strongest {
            // A weak digest of one source and a strong one of another would neither be vouched for twice.
            let why = "several sources and the strongest kinds do not go together: `list policy` sets one of them back";
            return Err(Error::argument("policy", why));
        }
        if rule != before {
            self.store.set_rule(list, rule)?;
        }
        Ok(rule)
    }

    /// What stands for categories and sources in a list's labels.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Store`].
    pub fn codes(&self, list: &ListId) -> Result<(Vec<CategoryRow>, Vec<SourceRow>), Error> {
        self.store.list(list)?;
        let entries = Entries::open(&self.dir.entries_database())?;
        Ok((entries.categories(list)?, entries.sources(list)?))
    }

    /// Gives a category a text, which the next version's code book has.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Argument`] if there is no such category or the text is too long, [`Error::Busy`],
    /// [`Error::Store`].
    pub fn describe(&mut self, list: &ListId, category: &Category, text: &str, now: u64) -> Result<(), Error> {
        self.store.list(list)?;
        if text.len() > 256 || text.chars().any(char::is_control) {
            return Err(Error::argument("--text", "is at most 256 bytes without control characters"));
        }
        let _lock = self.dir.lock_changes()?;
        let mut entries = Entries::open(&self.dir.entries_database())?;
        let ledger = entries.change(list, false)?;
        if ledger.describe(&category.scheme, &category.code, text)? == 0 {
            return Err(Error::argument("--category", format!("the list has no category {category}")));
        }
        let row = ChangeRow {
            id: 0,
            kind: "describe".into(),
            file: String::new(),
            source: String::new(),
            at: now,
            tally: Tally::default(),
        };
        ledger.keep(&row, false)?;
        Ok(())
    }

    /// Forgets claims that were taken back before the last version of every served epoch, and longer ago than the history
    /// that is kept. Says how many.
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::Busy`], [`Error::Store`].
    pub fn compact(&mut self, list: &ListId, now: u64) -> Result<u64, Error> {
        self.store.list(list)?;
        let _lock = self.dir.lock_changes()?;
        let mut oldest = i64::MAX;
        for epoch in self.store.epochs(list)?.iter().filter(|epoch| epoch.is_served(now)) {
            let newest = self.store.newest_version(list, Some(epoch.epoch))?;
            oldest = oldest.min(newest.map_or(0, |newest| newest.edition.change));
        }
        let before = now.saturating_sub(u64::from(self.config.publication.history_days) * DAY);
        let mut entries = Entries::open(&self.dir.entries_database())?;
        entries.compact(list, oldest, before)
    }
}
