//! Why a value from outside was refused.

use thiserror::Error;

/// A value that the protocol refuses. No variant carries an item, an element or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// A name has a character or a length that its grammar forbids (SPEC §2).
    #[error(
        "name does not fit the grammar: 1 to 64 of a-z, 0-9, '.', '-' (a list also '_'), letter or digit at both ends"
    )]
    Name,
    /// The kind is unknown or reserved for a matcher that is not exact (SPEC §3).
    #[error("kind is not served by exact matching")]
    UnsupportedKind,
    /// The digest has another length than its kind.
    #[error("digest length does not fit its kind")]
    DigestLength,
    /// A public key is not a canonical, non-identity element.
    #[error("public key is not a canonical element other than the identity")]
    PublicKey,
    /// A request's elements, size or signature are refused; one reason for all causes (SPEC §6).
    #[error("frame is refused")]
    BadFrame,
    /// An answer's elements or proof are refused; one reason for all causes (SPEC §6).
    #[error("proof is refused")]
    BadProof,
    /// The key derivation found no scalar; the seed must be drawn again.
    #[error("key derivation failed; draw another seed")]
    DeriveKeyPair,
    /// An input hashes to the identity element; nobody can make one on purpose (RFC 9497, Section 3.3.1).
    #[error("input hashes to the identity")]
    InvalidInput,
    /// A sealed label does not open to a label with its nonce: the record was altered (SPEC §7).
    #[error("sealed label does not open")]
    LabelMismatch,
    /// A label has another length than the list's labels.
    #[error("label length differs from the list's")]
    LabelLength,
    /// A label's reference has control characters (SPEC §7.7).
    #[error("reference has control characters")]
    Reference,
    /// A code book is not canonical, a member is outside its limits, or it is not the manifest's (SPEC §7.7).
    #[error("code book is malformed or not the one that its manifest names")]
    CodeBook,
    /// A signed note has another form, no signature of the known key, or one that fails (SPEC §8.3).
    #[error("signed note does not verify under the pinned key")]
    Note,
    /// A manifest is not canonical, or a member is outside its limits (SPEC §8.2).
    #[error("manifest is malformed")]
    Manifest,
    /// A manifest is not valid at this time (SPEC §8.5).
    #[error("manifest is expired or not valid yet")]
    ManifestExpired,
    /// A manifest is not newer than the one held (SPEC §8.4).
    #[error("manifest is older than the one held")]
    StaleManifest,
    /// A manifest does not continue the chain that is held (SPEC §8.4).
    #[error("manifest does not continue the chain")]
    BrokenChain,
    /// A file is not the artifact that its manifest describes (SPEC §7).
    #[error("artifact does not fit its manifest")]
    BadArtifact,
    /// A file is not a delta from the version held to the manifest's root (SPEC §7.6).
    #[error("delta does not lead to the manifest's root")]
    BadDelta,
    /// Two records have one tag: two items of the list gave one output, which nobody can cause.
    #[error("two records have one tag")]
    DuplicateTag,
    /// A member of a receipt is outside its limits, or the secret is another entry's (SPEC §19.2).
    #[error("receipt has a member outside its limits, or another entry's secret")]
    Receipt,
}

// One line per variant: the match and the table for docs/errors.md cannot disagree.
macro_rules! reasons {
    ($($variant:ident = $name:literal;)*) => {
        impl Error {
            /// Every error, for docs/errors.md.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name of this error, as in SPEC §10 and docs/errors.md.
            #[must_use]
            pub fn reason(&self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    Name = "BAD_NAME";
    UnsupportedKind = "UNSUPPORTED_KIND";
    DigestLength = "BAD_DIGEST_LENGTH";
    PublicKey = "BAD_PUBLIC_KEY";
    BadFrame = "BAD_FRAME";
    BadProof = "BAD_PROOF";
    DeriveKeyPair = "DERIVE_KEY_PAIR";
    InvalidInput = "INVALID_INPUT";
    LabelMismatch = "LABEL_MISMATCH";
    LabelLength = "LABEL_LENGTH";
    Reference = "BAD_REFERENCE";
    CodeBook = "BAD_CODE_BOOK";
    Note = "BAD_NOTE";
    Manifest = "BAD_MANIFEST";
    ManifestExpired = "EXPIRED";
    StaleManifest = "STALE_MANIFEST";
    BrokenChain = "BROKEN_CHAIN";
    BadArtifact = "BAD_ARTIFACT";
    BadDelta = "BAD_DELTA";
    DuplicateTag = "DUPLICATE_TAG";
    Receipt = "BAD_RECEIPT";
}

/// For functions that read or write what the caller hands in.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn reasons_are_stable_names_and_each_its_own() {
        let names: HashSet<_> = Error::ALL.iter().map(Error::reason).collect();
        assert_eq!(names.len(), Error::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')));
    }

    #[test]
    fn what_nobody_can_provoke_still_has_a_name() {
        // An input of the identity, or 256 tries that give zero, would take more than 2^250 hashes to find.
        assert_eq!(Error::InvalidInput.reason(), "INVALID_INPUT");
        assert_eq!(Error::DeriveKeyPair.reason(), "DERIVE_KEY_PAIR");
    }
}
