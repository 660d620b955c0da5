//! The codes of SPEC §21.1, from which the report, docs/auditing.md and the tests are made.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// To be explained.
    Low,
    /// A duty was not met, or the evidence is thinner than agreed.
    Medium,
    /// A party said what is not so, or kept back what it owed.
    High,
    /// The evidence itself was changed or forked.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// Whom a finding speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proves {
    /// The keeper of the log that it was found in.
    Keeper,
    /// The agency.
    Agency,
    /// The platform.
    Platform,
    /// One of the two; the evidence tells which.
    OneSide,
    /// A witness, or the log's keeper with it.
    Witness,
}

impl Proves {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Keeper => "the keeper of the log",
            Self::Agency => "the agency",
            Self::Platform => "the platform",
            Self::OneSide => "one of the two sides",
            Self::Witness => "the keeper of the log, or the witness",
        }
    }
}

// One row per code: name, severity, whom it speaks against, what it says, what to do.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident $severity:ident $proves:ident $sentence:literal $advice:literal;)*) => {
        /// A stable name of a finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $sentence] $code,)*
        }

        impl Code {
            /// Every code, in the order of SPEC §21.1.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// The name: `L01`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)* }
            }

            /// How much it weighs.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$code => Severity::$severity,)* }
            }

            /// Whom it speaks against.
            #[must_use]
            pub fn proves(self) -> Proves {
                match self { $(Self::$code => Proves::$proves,)* }
            }

            /// What it says, in one sentence.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$code => $sentence,)* }
            }

            /// What an auditor does next.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self { $(Self::$code => $advice,)* }
            }
        }
    };
}

codes! {
    L01 High Keeper "The checkpoint is not signed by the pinned key, or has another form or origin."
        "Fetch it again; if it stays, compare the pinned key with its owner over another channel.";
    L02 Critical Keeper "Two checkpoints with the keeper's signature do not belong to one tree: the log was forked."
        "Keep both notes: together they are the proof. Trust nothing that rests on this log until the keeper explains it.";
    L03 Critical Keeper "The tree is smaller than one that the keeper signed before: it shrank or was rolled back."
        "Keep both notes. Ask for the lost leaves, and whether a backup was restored without a new origin.";
    L04 Critical Keeper "Entries do not hash to the signed root, or a tile differs from what the entries give."
        "Fetch the file named again. If it stays, the keeper's store is damaged or was edited: ask for the original entry.";
    L05 High Keeper "The checkpoint does not have the cosignatures that the policy asks for."
        "Ask the keeper and the witnesses why. Until then a rewritten log would look the same.";
    L06 Medium Keeper "No counted cosignature is fresh."
        "Ask the witnesses whether they were asked. A counterparty that withholds cosignatures is named in the report.";
    L07 Critical Witness "A witness saw another root for this size."
        "Keep both notes: with the keeper's signature on both, this is a fork.";
    L08 High Keeper "A leaf is of an unknown type, not canonical, too long, or has a member outside its limits."
        "Ask the keeper what wrote it. A leaf that this version cannot read may be of a later one: update before you judge.";
    L09 High Keeper "Entries that the auditor is entitled to were not handed over."
        "Ask for them in writing, with the range named.";
    M01 Critical Agency "Manifests have a gap, a duplicate, a step back or a broken link to the one before."
        "Ask the agency for the manifest that is missing. Platforms that took the version did not follow the chain.";
    M02 Critical Agency "A published file is not the one that the manifest names."
        "Fetch it again. If it stays, platforms were served another list than was signed.";
    M03 Critical Agency "Two parties cite different roots for one size of the manifest log: a split view."
        "Keep both signed citations and the checkpoint. Ask every other platform for its view of that size.";
    M04 High Agency "A list key is used in two epochs, changed within one, is the identity or not canonical."
        "Platforms must not ask under that version. A key of its own could tell who asks.";
    M05 High Agency "A version has fewer certificates than the threshold."
        "Ask the certifying bodies; until then the list rests on the agency's word.";
    M06 Medium OneSide "A version was used outside of its validity."
        "Look at both clocks. Answers given then should have been `not checked`.";
    M07 High Platform "A withdrawn tag was matched after the deadline, although the platform had seen the withdrawal."
        "Ask what was done with the content, and that it be put right.";
    Q01 High Agency "A frame was acknowledged and is not in the query log."
        "The acknowledgement and the checkpoint are the proof. Ask the agency for the leaf.";
    Q02 High Platform "A frame that the platform signed is in the query log and in no leaf of its match log."
        "The platform's signature is the proof. Ask whether its request key was stolen.";
    Q03 High OneSide "A frame is in the match log and not in the query log."
        "With a valid acknowledgement it speaks against the agency (Q01); without one, ask the platform for it.";
    Q04 High OneSide "Both logs have the frame, but digests, n, list, epoch, version or state differ, or are not what was signed."
        "The request signature and the acknowledgement tell which side changed it. A signature that only a replaced request key \
         verifies may be the platform's own doing: it wrote the change into its log and went on with the old key.";
    Q05 High OneSide "One batch id was answered twice, or names two frames."
        "In the query log it speaks against the agency, in the match log against the platform.";
    Q06 Medium OneSide "A day's closing statement is missing in a log, or does not fit the frames of the day."
        "Compare with the statement that both keep; a refused one names its reason.";
    Q07 Low Agency "A budget was exceeded, or a frame refused without the cause that was given."
        "Ask the agency for the budget in force on that day.";
    R01 High Platform "A receipt is malformed, or not signed by the platform's receipt key."
        "It is worth nothing. Ask the platform for the original.";
    R02 High Platform "A receipt's `bind` or secret does not fit its tag, or the tag is not in the list."
        "Nobody had that entry evaluated for this receipt: the match is invented, or the receipt was changed.";
    R03 High Platform "The commitment in the match log does not open to the receipt."
        "The receipt is not the one that was fixed at the time.";
    R04 High Platform "The receipt's frame or position is in no query that both sides logged."
        "A borrowed receipt looks like this: the frame belongs to somebody else.";
    R05 Medium Platform "Receipts for one place of one frame name different tags."
        "At most one of them is true. Ask for level 2 of each.";
    R06 High OneSide "The label of the receipt is not that of the agency's record."
        "Compare with the artifact of the version: the sealed label there decides.";
    R07 Critical Platform "The opened blind does not give the element that was asked."
        "This platform did not have this digest evaluated in this frame.";
    R08 Medium Platform "A match was logged and no receipt was released for it by its deadline."
        "Ask for the receipt, or for the erasure and its basis.";
    C01 Medium Platform "A canary that was planted in time was not reported."
        "One can be a fault of upload or scanning. Ask the platform for its upload receipt; then it weighs as high.";
    C02 High Agency "An entry was called a canary without having been committed to beforehand."
        "It counts for nothing, and nothing may be concluded from its absence.";
    D01 Medium Platform "A day has no totals in the match log."
        "Silence is a finding: even a day of zeros is written.";
    D02 Medium Platform "A day's totals do not agree with the leaves of the day."
        "Ask the platform which of the two is wrong.";
    E01 High Platform "An erased record still opens, or one was not erased in time."
        "Tell the platform's data protection officer. Destroy the copy that was handed over.";
    T01 Low Keeper "Times are in an impossible order: a leaf is older than its place allows, or of the future."
        "Small differences are clocks. Larger ones are back-dating: the cosignatures before and after bound the truth.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
