//! Which code computes: chosen once per process, or explicitly.

use std::{fmt, sync::LazyLock};

use crate::{FixedBase, InvalidIndex, Points, Sha512Many, points::Inner, portable};
#[cfg(target_arch = "x86_64")]
use crate::{fixed_base::Table, simd::Ifma};

/// An implementation of the batch operations. All give the same bytes.
///
/// [`Points::decode`] and [`Points::from_uniform`] use [`Backend::chosen`]; the methods here use the one they are called
/// on, for tests and measurements that compare them. Whatever is computed from a batch stays with the back end that made
/// the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend(pub(crate) Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Ifma(Ifma),
}

impl Backend {
    /// curve25519-dalek: runs on every processor.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// Eight elements at once with AVX-512 IFMA, if this processor has it.
    #[must_use]
    pub fn vector() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return Ifma::detect().map(|ifma| Self(Kind::Ifma(ifma)));
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// What this process uses: the vector back end where the processor has it, the portable one elsewhere or where the
    /// environment says `VEILMATCH_BACKEND=portable`. Decided at the first call and then fixed.
    ///
    /// The variable is for bug reports and tests. With `vector` it asks for the vector back end and for nothing else, so
    /// that a test of it cannot pass without it. Any other value changes nothing.
    ///
    /// # Panics
    /// If the environment says `VEILMATCH_BACKEND=vector` and the processor lacks what that needs.
    #[must_use]
    pub fn chosen() -> Self {
        static CHOSEN: LazyLock<Backend> =
            LazyLock::new(|| Backend::choice(std::env::var("VEILMATCH_BACKEND").ok().as_deref(), Backend::vector()));
        *CHOSEN
    }

    fn choice(wanted: Option<&str>, vector: Option<Self>) -> Self {
        match wanted {
            Some("portable") => Self::PORTABLE,
            Some("vector") => vector.expect("VEILMATCH_BACKEND=vector, but this processor has no AVX-512 IFMA"),
            _ => vector.unwrap_or(Self::PORTABLE),
        }
    }

    /// All that this processor can run, the portable one first.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::PORTABLE).chain(Self::vector())
    }

    /// The name for version output, logs and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable (curve25519-dalek)",
            #[cfg(target_arch = "x86_64")]
            Kind::Ifma(_) => "AVX-512 IFMA, eight lanes",
        }
    }

    /// As [`Points::decode`].
    ///
    /// # Errors
    /// The index of the first encoding that is not canonical.
    pub fn decode(self, encodings: &[[u8; 32]]) -> Result<Points, InvalidIndex> {
        let inner = match self.0 {
            Kind::Portable => Inner::Portable(portable::Points::decode(encodings)?),
            #[cfg(target_arch = "x86_64")]
            Kind::Ifma(ifma) => Inner::Ifma(ifma, ifma.decode(encodings)?),
        };
        Ok(Points(inner))
    }

    /// As [`Points::from_uniform`].
    #[must_use]
    pub fn from_uniform(self, uniform: &[[u8; 64]]) -> Points {
        Points(match self.0 {
            Kind::Portable => Inner::Portable(portable::Points::from_uniform(uniform)),
            #[cfg(target_arch = "x86_64")]
            Kind::Ifma(ifma) => Inner::Ifma(ifma, ifma.map(uniform)),
        })
    }

    /// As [`FixedBase::new`]; the table serves batches of this back end.
    ///
    /// # Panics
    /// If the table does not agree with ordinary multiplication.
    #[must_use]
    pub fn fixed_base(self, encoding: &[u8; 32]) -> Option<FixedBase> {
        match self.0 {
            Kind::Portable => FixedBase::portable(encoding),
            #[cfg(target_arch = "x86_64")]
            Kind::Ifma(ifma) => ifma.fixed_base(encoding).map(|table| FixedBase(Table::Ifma(table))),
        }
    }

    /// As [`Sha512Many::new`].
    #[must_use]
    pub fn sha512(self, prefix: &[u8]) -> Sha512Many {
        Sha512Many::with(self, prefix)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_can_rule_the_vector_back_end_out_or_require_it_and_nothing_else() {
        let vector = Backend::vector();
        let best = Backend::all().last();
        assert_eq!(Backend::choice(Some("portable"), vector), Backend::PORTABLE);
        assert_eq!(Some(Backend::choice(None, vector)), best);
        assert_eq!(Some(Backend::choice(Some("ifma"), vector)), best);
        assert_eq!(Backend::choice(Some("ifma"), None), Backend::PORTABLE);
        if vector.is_some() {
            assert_eq!(Some(Backend::choice(Some("vector"), vector)), vector);
        }
    }

    #[test]
    #[should_panic = "VEILMATCH_BACKEND=vector, but this processor has no AVX-512 IFMA"]
    fn a_vector_back_end_that_is_required_and_absent_ends_the_process() {
        let _ = Backend::choice(Some("vector"), None);
    }

    #[test]
    fn a_batch_stays_with_the_back_end_that_made_it() {
        for backend in Backend::all() {
            let points = backend.from_uniform(&[[7; 64]; 3]);
            let kept = points.multiply_each_kept(&[crate::Scalar::ONE; 3], &mut [[0; 32]; 3]);
            for points in [points, kept] {
                assert_eq!(matches!(points.0, Inner::Portable(_)), backend == Backend::PORTABLE);
            }
        }
    }
}
