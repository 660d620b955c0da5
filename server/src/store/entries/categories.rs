//! The categories of a list: what stands for a scheme, a code and an action in its labels.

use std::collections::HashMap;

use veilmatch_protocol::{
    codebook::{MAX_CODE_BOOK_LEN, is_code, is_scheme},
    name::ListId,
};

use super::{Entries, Ledger};
use crate::Error;

/// Room for 255 sources in a code book.
const SOURCES_BYTES: usize = 32_768;

/// A category with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryRow {
    /// What stands for it in labels, from 1.
    pub number: u16,
    /// The scheme.
    pub scheme: String,
    /// The code in that scheme.
    pub code: String,
    /// What the agency asks platforms to do; empty if it does not say.
    pub action: String,
    /// What people read.
    pub text: String,
}

/// The categories that a change knows, with those that it adds.
#[derive(Debug, Clone, Default)]
pub struct Categories {
    numbers: HashMap<(String, String, String), u16>,
    new: Vec<CategoryRow>,
}

impl Categories {
    /// How many there are. None ever goes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// Those that the change adds.
    #[must_use]
    pub fn added(&self) -> &[CategoryRow] {
        &self.new
    }

    /// The number of a category; a new one if it has none yet.
    ///
    /// # Errors
    /// [`Error::Argument`] if no code book can have it, or there are 65,535 already.
    pub fn number(&mut self, scheme: &str, code: &str, action: &str) -> Result<u16, Error> {
        let key = (scheme.to_owned(), code.to_owned(), action.to_owned());
        if let Some(number) = self.numbers.get(&key) {
            return Ok(*number);
        }
        if !is_scheme(scheme) || !is_code(code) || !(action.is_empty() || is_scheme(action)) {
            return Err(Error::argument("category", format!("{scheme}:{code} is none that a code book can have")));
        }
        let number = u16::try_from(self.numbers.len() + 1).map_err(|_| {
            Error::argument("category", "the list has 65,535 categories already, and no label names more")
        })?;
        self.numbers.insert(key, number);
        let (scheme, code, action) = (scheme.to_owned(), code.to_owned(), action.to_owned());
        self.new.push(CategoryRow { number, text: String::new(), scheme, code, action });
        Ok(number)
    }
}

impl Ledger<'_> {
    /// The categories that the list has.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn categories(&self) -> Result<Categories, Error> {
        let numbers = rows(&self.tx, self.list)?
            .into_iter()
            .map(|row| ((row.scheme, row.code, row.action), row.number))
            .collect();
        Ok(Categories { numbers, new: Vec::new() })
    }

    /// Writes those that were added.
    ///
    /// # Errors
    /// [`Error::Argument`] if the code book would be too long, [`Error::Store`].
    pub fn put_categories(&self, categories: &Categories) -> Result<(), Error> {
        let sql = "INSERT INTO category (list, number, scheme, code, action, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        for CategoryRow { number, scheme, code, action, text } in &categories.new {
            self.tx.prepare_cached(sql)?.execute((self.list, number, scheme, code, action, text))?;
        }
        self.check_book()
    }

    // A code book that is too long would stop every publication.
    fn check_book(&self) -> Result<(), Error> {
        // Names of members, numbers and punctuation; and each character may have to be escaped.
        let bytes =
            |row: &CategoryRow| 80 + 2 * (row.scheme.len() + row.code.len() + row.action.len() + row.text.len());
        let all: usize = rows(&self.tx, self.list)?.iter().map(bytes).sum();
        if all + SOURCES_BYTES <= MAX_CODE_BOOK_LEN {
            return Ok(());
        }
        let why = "the list would have more categories than its code book has room for: 1 MiB; is --column code right?";
        Err(Error::argument("category", why))
    }

    /// Gives every category of a scheme and code this text. Says how many there are.
    ///
    /// # Errors
    /// [`Error::Argument`] if the code book would be too long, [`Error::Store`].
    pub fn describe(&self, scheme: &str, code: &str, text: &str) -> Result<usize, Error> {
        let sql = "UPDATE category SET text = ?4 WHERE list = ?1 AND scheme = ?2 AND code = ?3";
        let described = self.tx.execute(sql, (self.list, scheme, code, text))?;
        self.check_book().map(|()| described)
    }
}

impl Entries {
    /// The categories of a list, by number.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn categories(&self, list: &ListId) -> Result<Vec<CategoryRow>, Error> {
        rows(&self.connection, self.list(list)?)
    }
}

fn rows(connection: &rusqlite::Connection, list: i64) -> Result<Vec<CategoryRow>, Error> {
    let sql = "SELECT number, scheme, code, action, text FROM category WHERE list = ?1 ORDER BY number";
    let mut rows = connection.prepare_cached(sql)?;
    let rows = rows.query_map([list], |row| {
        Ok(CategoryRow {
            number: row.get(0)?,
            scheme: row.get(1)?,
            code: row.get(2)?,
            action: row.get(3)?,
            text: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
