//! Numbers of people's matters: small ones are not shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Below this a number could point at a case.
const SMALL: u64 = 5;

/// A number, not shown where it is 1 to 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u64);

impl Count {
    /// The number, unless it is small.
    #[must_use]
    pub fn shown(self) -> Option<u64> {
        (self.0 == 0 || self.0 >= SMALL).then_some(self.0)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shown() {
            Some(number) => write!(f, "{number}"),
            None => write!(f, "< {SMALL}"),
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.shown() {
            Some(number) => serializer.serialize_u64(number),
            None => serializer.serialize_str("<5"),
        }
    }
}

/// A small number is read as 1: what it was, nobody can tell.
impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Shown {
            Number(u64),
            Small(String),
        }
        match Shown::deserialize(deserializer)? {
            Shown::Number(number) if Self(number).shown().is_some() => Ok(Self(number)),
            Shown::Small(text) if text == "<5" => Ok(Self(1)),
            _ => Err(D::Error::custom("neither a number that is shown nor that of a small one")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_four_are_not_shown_and_zero_is() {
        let shown: Vec<String> = [0, 1, 4, 5].map(|n| Count(n).to_string()).to_vec();
        assert_eq!(shown, ["0", "< 5", "< 5", "5"]);
        assert_eq!(serde_json::to_string(&[Count(3), Count(7)]).expect("numbers serialise"), "[\"<5\",7]");
    }
}
