//! Canonical JSON (RFC 8785), and how bytes and numbers stand in it (SPEC §8.1, §18.1).

use serde::{Serialize, de::DeserializeOwned};

/// The largest integer that stands in signed JSON: 2^53 − 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The canonical bytes; `None` where a member cannot be written, such as an integer of 2^53 or more.
#[must_use]
pub fn encode(value: &impl Serialize) -> Option<Vec<u8>> {
    serde_json_canonicalizer::to_vec(value).ok()
}

/// Reads exactly the bytes that [`encode`] gives for what they say: `None` for any others.
#[must_use]
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value = serde_json::from_slice(bytes).ok()?;
    (encode(&value)? == bytes).then_some(value)
}

/// N bytes in padded base64.
pub mod bytes {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// Writes them.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    /// Reads base64 of exactly the length that `T` has.
    ///
    /// # Errors
    /// The deserializer's, for another alphabet, padding or length.
    pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(|_| D::Error::custom("not padded base64"))?;
        T::try_from(bytes).map_err(|_| D::Error::custom("another length"))
    }
}

/// A text or, where there is none, the empty text: members are never left out.
pub mod maybe {
    use serde::{
        Deserialize, Deserializer, Serialize, Serializer,
        de::{DeserializeOwned, IntoDeserializer, value::StringDeserializer},
    };

    /// Writes it, or the empty text.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Option<impl Serialize>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    /// Reads it, or nothing from the empty text.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(None);
        }
        let inner: StringDeserializer<D::Error> = text.into_deserializer();
        T::deserialize(inner).map(Some)
    }
}

/// An integer from 0 to 2^53 − 1.
pub mod integer {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::Error as _};

    use super::MAX_INTEGER;

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's, for a larger one too.
    pub fn serialize<S: Serializer>(integer: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if *integer > MAX_INTEGER {
            return Err(S::Error::custom("2^53 or more"));
        }
        serializer.serialize_u64(*integer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// The deserializer's, for a larger one too.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let integer = u64::deserialize(deserializer)?;
        if integer > MAX_INTEGER { Err(D::Error::custom("2^53 or more")) } else { Ok(integer) }
    }
}
