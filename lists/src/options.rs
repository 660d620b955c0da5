//! What the operator says about an input.

use std::str::FromStr;

use veilmatch_protocol::item::Kind;

use crate::{Error, Format};

/// What the caller knows about an input and wants of it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The format, or `None` to recognise it from the first bytes.
    pub format: Option<Format>,
    /// The kind of digests that do not name theirs, or `None` to go by length where a length has one meaning.
    pub kind: Option<Kind>,
    /// Whether names are kept.
    pub names: Names,
    /// Only rows that fulfil all of these are taken; others are counted as filtered out.
    pub only: Vec<Condition>,
    /// What the columns of a table are, where the format does not say.
    pub columns: Columns,
    /// The scheme of the codes in [`Columns::code`]: `custom` if `None`. Also that of a VICS file which does not name its
    /// profile before its rows.
    pub scheme: Option<String>,
}

/// What happens to the names in a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// They are read past and never held: names in lists may be personal data.
    #[default]
    Drop,
    /// They are handed over, for output to the person whose files they name.
    Keep,
}

/// A condition on a field of a row: `Baseline=yes`, `Category=1,2`. The field is named as the format names it; case does
/// not count, and yes, y, true, t and 1 are the same, like no, n, false, f and 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The field.
    pub field: String,
    /// The values of which it must have one.
    pub values: Vec<String>,
}

impl Condition {
    /// Whether a value fulfils the condition.
    #[must_use]
    pub fn admits(&self, value: &str) -> bool {
        self.values.iter().any(|wanted| normal(wanted) == normal(value))
    }
}

/// One spelling for all that mean the same.
fn normal(value: &str) -> String {
    match yes_or_no(value) {
        Some(true) => "1".into(),
        Some(false) => "0".into(),
        None => value.trim().to_lowercase(),
    }
}

/// What a value answers, if it is an answer.
pub(crate) fn yes_or_no(value: &str) -> Option<bool> {
    let value = value.trim();
    let is_one_of = |words: [&str; 5]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    if is_one_of(["y", "yes", "t", "true", "1"]) {
        Some(true)
    } else {
        is_one_of(["n", "no", "f", "false", "0"]).then_some(false)
    }
}

impl FromStr for Condition {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let (field, values) = text.split_once('=').filter(|(field, _)| !field.is_empty()).ok_or(Error::Condition)?;
        let values = values.split(',').map(str::to_owned).collect();
        Ok(Self { field: field.to_owned(), values })
    }
}

/// The names of the columns of a table, or of the members of JSON objects, that hold what a row says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Columns of digests, each with its kind, or `None` to go by length.
    pub digests: Vec<(String, Option<Kind>)>,
    /// The key of the row.
    pub id: Option<String>,
    /// The code of the category, in the scheme of [`Options::scheme`].
    pub code: Option<String>,
    /// Case or series.
    pub reference: Option<String>,
    /// Begin of validity: RFC 3339, a date, or seconds since 1970.
    pub valid_from: Option<String>,
    /// End of validity.
    pub valid_until: Option<String>,
    /// The name of the file.
    pub name: Option<String>,
}

impl Columns {
    /// The names, of whatever they are.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let Self { digests, id, code, reference, valid_from, valid_until, name } = self;
        let others = [id, code, reference, valid_from, valid_until, name];
        let digests = digests.iter().map(|(column, _)| column.as_str());
        digests.chain(others.into_iter().flatten().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_a_field_and_its_values() {
        let condition: Condition = "Category=1,2".parse().unwrap();
        assert!(condition.admits("2") && condition.admits(" 1 ") && !condition.admits("3"));
        let condition: Condition = "Baseline=yes".parse().unwrap();
        assert!(condition.admits("TRUE") && condition.admits("t") && !condition.admits("n") && !condition.admits(""));
        assert!("Baseline".parse::<Condition>().is_err_and(|error| error.reason() == "LIST_CONDITION"));
        assert!("=1".parse::<Condition>().is_err());
    }
}
