//! Categories: a code within a scheme, and never the code alone.

use std::borrow::Cow;
use std::fmt;

/// What a source says a subject is: two schemes may use one code for different things.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Category {
    /// The scheme, by its name in code books (SPEC §7.7): `baseline`, `icse`, `ncmec`, `uk`, `vics-us`, `stopncii`, `custom`.
    pub scheme: Cow<'static, str>,
    /// The code in that scheme: `A1`, `2`.
    pub code: String,
}

impl Category {
    /// A category of a scheme that a format has.
    pub(crate) fn of(scheme: &'static str, code: impl Into<String>) -> Self {
        Self { scheme: Cow::Borrowed(scheme), code: code.into() }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.code)
    }
}
