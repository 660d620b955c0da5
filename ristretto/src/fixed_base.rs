//! Tables of elements that many scalars multiply.

use std::sync::LazyLock;

use curve25519_dalek::{constants::RISTRETTO_BASEPOINT_COMPRESSED, ristretto::RistrettoBasepointTable};

#[cfg(target_arch = "x86_64")]
use crate::ifma;
use crate::{Backend, portable};

/// A table of multiples of one public element, for [`Points::add_multiples`](crate::Points::add_multiples).
///
/// It serves batches of the back end that it was made for, which is the same wherever none is named
/// ([`Backend::chosen`]). With a batch of another one, which takes [`Backend::fixed_base`] or [`Backend::decode`] to
/// come by, the call panics before anything is computed.
///
/// Some 165 kB, made in less than a millisecond, and compared with ordinary multiplication when it is made: a wrong table
/// would be noticed by nobody.
pub struct FixedBase(pub(crate) Table);

pub(crate) enum Table {
    Portable(Box<RistrettoBasepointTable>),
    #[cfg(target_arch = "x86_64")]
    Ifma(ifma::FixedBase),
}

impl FixedBase {
    /// The table of an element, for the back end in use; `None` if the encoding is not canonical.
    ///
    /// # Panics
    /// If the table does not agree with ordinary multiplication.
    #[must_use]
    pub fn new(encoding: &[u8; 32]) -> Option<Self> {
        Backend::chosen().fixed_base(encoding)
    }

    /// The table of the group's generator, made at the first call.
    #[must_use]
    pub fn generator() -> &'static Self {
        static GENERATOR: LazyLock<FixedBase> = LazyLock::new(|| {
            FixedBase::new(RISTRETTO_BASEPOINT_COMPRESSED.as_bytes()).expect("the generator's encoding is canonical")
        });
        &GENERATOR
    }

    pub(crate) fn portable(encoding: &[u8; 32]) -> Option<Self> {
        portable::fixed_base(encoding).map(|table| Self(Table::Portable(table)))
    }
}
