//! Editions: which items are listed, and how labelled, at a change, a time and under a rule; and what leads from one
//! edition to another.

use std::{collections::HashMap, ops::ControlFlow};

use rusqlite::{Rows, Statement};
use veilmatch_protocol::{
    item::Item,
    label::{CodedLabel, FIELDS_LEN, may_be_planted},
    name::ListId,
};

use super::{
    Entries,
    categories::CategoryRow,
    claims::{COLUMNS, Claim, claim},
    sources::{self, SourceRow},
};
use crate::{
    Error,
    store::{signed, unsigned},
};

/// Items of changes that are looked up one by one; where there are more, all claims are read in order instead.
const LOOKED_UP: i64 = 1_000_000;

/// What decides whether claims list an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How many sources must vouch for an item.
    pub min_sources: u32,
    /// Whether a digest is left out whose record names a stronger kind.
    pub strongest: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Self { min_sources: 1, strongest: false }
    }
}

/// A state of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition {
    /// The last change that it contains.
    pub change: i64,
    /// The time at which validity is asked, in seconds since 1970.
    pub at: u64,
    /// The rule.
    pub rule: Rule,
}

impl Edition {
    /// The one that lists nothing.
    pub const EMPTY: Self = Self { change: 0, at: 0, rule: Rule { min_sources: 1, strongest: false } };

    fn has(&self, claim: &Claim) -> bool {
        let said = &claim.said;
        claim.since <= self.change
            && claim.until.is_none_or(|until| until > self.change)
            && said.valid_from.is_none_or(|from| from <= self.at)
            && said.valid_until.is_none_or(|until| until > self.at)
            && !(self.rule.strongest && said.stronger)
    }
}

/// What the next version does with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingKind {
    /// Leaves it as the last version has it.
    Kept,
    /// Adds it.
    Added,
    /// Changes its label.
    Relabelled,
    /// Takes it out.
    Removed,
}

/// An entry on its way from one edition to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEntry {
    /// The entry.
    pub item: Item,
    /// Its label in the edition that it comes to, or that it leaves.
    pub label: Vec<u8>,
    /// What becomes of it.
    pub kind: PendingKind,
}

/// Makes labels of what claims say.
#[derive(Debug)]
pub struct Labels {
    len: usize,
    categories: HashMap<u16, CategoryRow>,
    sources: HashMap<i64, SourceRow>,
}

/// Names of sources that are canaries of another begin like this. No other name has a colon.
pub const CANARY: &str = "canary:";

impl Labels {
    fn of(&self, edition: &Edition, item: &Item, claims: &[&(i64, Claim)]) -> Vec<u8> {
        let mut label = vec![0; self.len];
        let Some((source, first)) = claims.first().map(|claim| (claim.0, &claim.1)) else { return label };
        if self.len < FIELDS_LEN {
            let text = self.categories.get(&first.said.category).map_or(&[][..], |row| row.code.as_bytes());
            let len = text.len().min(self.len);
            label[..len].copy_from_slice(&text[..len]);
            return label;
        }
        // Where several sources must vouch, the stronger digest of a record need not be listed.
        let says_stronger = edition.rule.min_sources == 1 && claims.iter().all(|claim| claim.1.said.stronger);
        let coded = CodedLabel {
            stronger_listed: says_stronger && may_be_planted(item.kind()),
            category: first.said.category,
            source: self.sources.get(&source).map_or(0, |source| source.number),
            reference: Some(fitting(&first.said.reference, self.len - FIELDS_LEN)),
        };
        u8::try_from(self.len).ok().and_then(|len| coded.encode(len).ok()).unwrap_or(label)
    }

    /// A label as columns of a CSV file: scheme, code, action, source, reference.
    #[must_use]
    pub fn in_csv(&self, label: &[u8]) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
        let fields = match CodedLabel::decode(label) {
            Ok(CodedLabel { category, source, reference, .. }) => {
                let category = self.categories.get(&category);
                let of = |field: fn(&CategoryRow) -> &String| category.map(field).cloned().unwrap_or_default();
                let source = self.sources.values().filter(|row| row.number == source && source > 0);
                let source = source.map(|row| row.name.clone()).find(|name| !name.starts_with(CANARY));
                [
                    of(|row| &row.scheme),
                    of(|row| &row.code),
                    of(|row| &row.action),
                    source.unwrap_or_default(),
                    reference.unwrap_or_default().to_owned(),
                ]
            }
            Err(_) => [String::new(), text(label), String::new(), String::new(), String::new()],
        };
        fields.map(quoted).join(",")
    }

    // The label under which claims list an item in an edition.
    fn state(&self, edition: &Edition, item: &Item, claims: &[(i64, Claim)]) -> Option<Vec<u8>> {
        let standing: Vec<_> = claims.iter().filter(|(_, claim)| edition.has(claim)).collect();
        let mut vouching: Vec<i64> = standing.iter().map(|claim| claim.0).collect();
        vouching.dedup();
        let canary = |id: &i64| self.sources.get(id).is_some_and(|source| source.name.starts_with(CANARY));
        let enough = vouching.len() >= usize::try_from(edition.rule.min_sources).unwrap_or(usize::MAX);
        (!standing.is_empty() && (enough || vouching.iter().any(canary))).then(|| self.of(edition, item, &standing))
    }

    fn pending(&self, from: &Edition, to: &Edition, item: &Item, claims: &[(i64, Claim)]) -> Option<PendingEntry> {
        let (before, after) = (self.state(from, item, claims), self.state(to, item, claims));
        let (kind, label) = match (before, after) {
            (None, None) => return None,
            (None, Some(label)) => (PendingKind::Added, label),
            (Some(label), None) => (PendingKind::Removed, label),
            (Some(old), Some(label)) if old == label => (PendingKind::Kept, label),
            (Some(_), Some(label)) => (PendingKind::Relabelled, label),
        };
        Some(PendingEntry { item: item.clone(), label, kind })
    }
}

// RFC 4180.
fn quoted(field: String) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

/// As much of a text as fits, whole characters only.
pub fn fitting(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

// Sees an item with all its claims, and the source of each.
type Look<'a> = &'a mut dyn FnMut(&Item, &[(i64, Claim)]) -> ControlFlow<()>;

impl Entries {
    /// What makes a list's labels of this length.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn labels(&self, list: &ListId, label_bytes: u8) -> Result<Labels, Error> {
        let categories = self.categories(list)?.into_iter().map(|row| (row.number, row)).collect();
        let sources = self.sources(list)?.into_iter().map(|row| (row.id, row)).collect();
        Ok(Labels { len: label_bytes.into(), categories, sources })
    }

    /// The edition with every change that was made.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn current(&self, list: &ListId, rule: Rule, at: u64) -> Result<Edition, Error> {
        Ok(Edition { change: self.last_change(list)?, at, rule })
    }

    /// Whether two editions of a list can differ, seen from outside: by a change, a rule, or a time at which some claim
    /// begins or ends.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn differ(&self, list: &ListId, from: &Edition, to: &Edition) -> Result<bool, Error> {
        if *from == Edition::EMPTY || from.rule != to.rule {
            return Ok(true);
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM change WHERE list = ?1 AND id > ?4 AND id <= ?5
                                  AND added + relabelled + removed > 0)
                       OR EXISTS (SELECT 1 FROM claim CROSS JOIN source ON source.id = claim.source WHERE list = ?1
                                  AND (valid_from > ?2 AND valid_from <= ?3))
                       OR EXISTS (SELECT 1 FROM claim CROSS JOIN source ON source.id = claim.source WHERE list = ?1
                                  AND (valid_until > ?2 AND valid_until <= ?3))";
        let list = self.list(list)?;
        let between = (list, signed(from.at), signed(to.at), from.change, to.change);
        Ok(self.connection.query_row(sql, between, |row| row.get(0))?)
    }

    /// About how many entries [`Self::visit`] visits, for people who wait. Seldom fewer.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn pending_at_most(&self, list: &ListId, from: &Edition, to: &Edition) -> Result<u64, Error> {
        if *from == Edition::EMPTY {
            return Ok(self.sources(list)?.iter().map(|source| source.size).sum());
        }
        let sql = "SELECT coalesce(sum(added + relabelled + removed), 0) FROM change
                   WHERE list = ?1 AND id > ?2 AND id <= ?3";
        let changes = self.connection.query_row(sql, (self.list(list)?, from.change, to.change), |row| row.get(0))?;
        Ok(unsigned(changes))
    }

    /// Counts the entries that differ between two editions: added, relabelled, removed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count(&self, list: &ListId, from: &Edition, to: &Edition, labels: &Labels) -> Result<[u64; 3], Error> {
        let mut counts = [0; 3];
        self.visit(list, from, to, labels, None, |entry| {
            match entry.kind {
                PendingKind::Kept => {}
                PendingKind::Added => counts[0] += 1,
                PendingKind::Relabelled => counts[1] += 1,
                PendingKind::Removed => counts[2] += 1,
            }
            ControlFlow::Continue(())
        })?;
        Ok(counts)
    }

    /// Visits every entry that differs between two editions, in the order of the items, until `visit` breaks off. Where
    /// `from` is [`Edition::EMPTY`] that is every entry. Entries that are kept may be visited or not. Those up to `after` are
    /// left out.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn visit(
        &self,
        list: &ListId,
        from: &Edition,
        to: &Edition,
        labels: &Labels,
        after: Option<&Item>,
        mut visit: impl FnMut(PendingEntry) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut look = |item: &Item, claims: &[(i64, Claim)]| match labels.pending(from, to, item, claims) {
            Some(entry) => visit(entry),
            None => ControlFlow::Continue(()),
        };
        let after = after.map_or(&[][..], |item| item.as_bytes());
        if self.few(list, from, to)? {
            self.visit_touched(list, from, to, after, &mut look)
        } else {
            self.visit_all(list, after, &mut look)
        }
    }

    // Whether what differs is told by the items that changes touched.
    fn few(&self, list: &ListId, from: &Edition, to: &Edition) -> Result<bool, Error> {
        if *from == Edition::EMPTY || from.rule != to.rule {
            return Ok(false);
        }
        let sql = "SELECT coalesce(sum(added + relabelled + removed), 0) <= ?4 AND coalesce(max(whole), 0) = 0
                   FROM change WHERE list = ?1 AND id > ?2 AND id <= ?3";
        let list = self.list(list)?;
        Ok(self.connection.query_row(sql, (list, from.change, to.change, LOOKED_UP), |row| row.get(0))?)
    }

    fn visit_touched(
        &self,
        list: &ListId,
        from: &Edition,
        to: &Edition,
        after: &[u8],
        look: Look<'_>,
    ) -> Result<(), Error> {
        let list = self.list(list)?;
        let sources = sources::all(&self.connection, list)?;
        let sql = "SELECT item FROM touched JOIN change ON change.id = touched.change
                   WHERE list = ?1 AND change > ?2 AND change <= ?3
                   UNION SELECT item FROM claim CROSS JOIN source ON source.id = claim.source
                   WHERE list = ?1 AND valid_from > ?4 AND valid_from <= ?5
                   UNION SELECT item FROM claim CROSS JOIN source ON source.id = claim.source
                   WHERE list = ?1 AND valid_until > ?4 AND valid_until <= ?5
                   ORDER BY item";
        // (A CROSS JOIN is SQLite's for: from left to right, which is by the indexes of the dates.)
        let mut touched = self.connection.prepare(sql)?;
        let mut touched = touched.query((list, from.change, to.change, signed(from.at), signed(to.at)))?;
        let of_item = format!("SELECT {COLUMNS} FROM claim WHERE source = ?1 AND item = ?2 ORDER BY record, since");
        let mut of_item = self.connection.prepare(&of_item)?;
        while let Some(row) = touched.next()? {
            let item = Item::from_bytes(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
            if item.as_bytes() <= after {
                continue;
            }
            let mut claims = Vec::new();
            for source in &sources {
                let mut rows = of_item.query((source.id, item.as_bytes()))?;
                while let Some(row) = rows.next()? {
                    claims.push((source.id, claim(row)?));
                }
            }
            if look(&item, &claims).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn visit_all(&self, list: &ListId, after: &[u8], look: Look<'_>) -> Result<(), Error> {
        let sources = sources::all(&self.connection, self.list(list)?)?;
        let sql = format!("SELECT {COLUMNS} FROM claim WHERE source = ?1 AND item > ?2 ORDER BY item, record, since");
        let prepared = sources.iter().map(|_| self.connection.prepare(&sql));
        let mut statements: Vec<Statement<'_>> = prepared.collect::<Result<_, _>>()?;
        let mut cursors = Vec::with_capacity(sources.len());
        for (statement, source) in statements.iter_mut().zip(&sources) {
            cursors.push(Cursor::open(source.id, statement.query((source.id, after))?)?);
        }
        let mut claims = Vec::new();
        while let Some(item) =
            cursors.iter().filter_map(|cursor| cursor.head.as_ref()).map(|head| &head.item).min().cloned()
        {
            claims.clear();
            for cursor in &mut cursors {
                cursor.take(&item, &mut claims)?;
            }
            if look(&item, &claims).is_break() {
                break;
            }
        }
        Ok(())
    }
}

// The claims of one source, in the order of their items.
struct Cursor<'a> {
    source: i64,
    rows: Rows<'a>,
    head: Option<Claim>,
}

impl<'a> Cursor<'a> {
    fn open(source: i64, rows: Rows<'a>) -> Result<Self, Error> {
        let mut cursor = Self { source, rows, head: None };
        cursor.step()?;
        Ok(cursor)
    }

    fn step(&mut self) -> Result<(), Error> {
        self.head = self.rows.next()?.map(claim).transpose()?;
        Ok(())
    }

    fn take(&mut self, item: &Item, claims: &mut Vec<(i64, Claim)>) -> Result<(), Error> {
        while self.head.as_ref().is_some_and(|head| head.item == *item) {
            claims.extend(self.head.take().map(|claim| (self.source, claim)));
            self.step()?;
        }
        Ok(())
    }
}
