//! Names that stand in transcripts: of agencies, platforms and lists (SPEC §2).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::Error;

fn fits(name: &str, extra: &[u8]) -> bool {
    let edge = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes.first().is_some_and(edge)
        && bytes.last().is_some_and(edge)
        && bytes.iter().all(|b| edge(b) || b".-".contains(b) || extra.contains(b))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $extra:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Takes a name that fits the grammar.
            ///
            /// # Errors
            /// [`Error::Name`] otherwise.
            pub fn parse(name: &str) -> Result<Self, Error> {
                if fits(name, $extra) { Ok(Self(name.to_owned())) } else { Err(Error::Name) }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(name: &str) -> Result<Self, Error> {
                Self::parse(name)
            }
        }
    };
}

name!(
    /// Name of an agency, by convention a domain name of its own: `agency.example`.
    AgencyName, b""
);
name!(
    /// Name of a platform, by convention a domain name of its own: `platform.example`.
    PlatformId, b""
);
name!(
    /// Name of a list within an agency: `baseline`.
    ListId, b"_"
);

/// Origin of an agency's manifest log, `<agency>/veilmatch/manifest`: it separates agencies in every transcript.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// The origin that belongs to `agency`.
    #[must_use]
    pub fn of(agency: &AgencyName) -> Self {
        Self(format!("{agency}/veilmatch/manifest"))
    }

    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Number of a key's life in a list: 1, 2, …; each has an independent key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u32);

/// Number of a publication of a list: 1, 2, …, one counter per list across its epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_grammar_are_refused() {
        // SPEC §2.1
        for bad in ["", "-a", "a-", "A", "a b", "ä", "a/b", &"a".repeat(65)] {
            assert_eq!(PlatformId::parse(bad), Err(Error::Name), "{bad:?}");
        }
        assert!(ListId::parse("base_line-2").is_ok());
        assert_eq!(AgencyName::parse("base_line"), Err(Error::Name));
    }
}
