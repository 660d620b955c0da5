//! The operating system's generator, read in blocks: a frame draws thousands of small numbers, and a system call for each
//! would cost more than the arithmetic around them.

use std::convert::Infallible;

use rand::{TryCryptoRng, TryRng, rngs::SysRng};
use zeroize::{Zeroize, Zeroizing};

const BLOCK: usize = 4_096;

/// Bytes of the operating system's generator. Each is given once, and wiped when it is given.
///
/// # Panics
/// Drawing panics if the operating system gives nothing: then nothing must be sent (SPEC §5.1).
pub(crate) struct SystemRandom {
    block: Zeroizing<[u8; BLOCK]>,
    given: usize,
}

impl SystemRandom {
    pub(crate) fn new() -> Self {
        Self { block: Zeroizing::new([0; BLOCK]), given: BLOCK }
    }

    fn next<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let Ok(()) = self.try_fill_bytes(&mut bytes);
        bytes
    }
}

impl TryRng for SystemRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.next()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.next()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let system = |out: &mut [u8]| SysRng.try_fill_bytes(out).expect("the operating system's generator works");
        if out.len() >= BLOCK {
            system(out);
            return Ok(());
        }
        if BLOCK - self.given < out.len() {
            system(&mut self.block[..]);
            self.given = 0;
        }
        let giving = &mut self.block[self.given..][..out.len()];
        out.copy_from_slice(giving);
        giving.zeroize();
        self.given += out.len();
        Ok(())
    }
}

impl TryCryptoRng for SystemRandom {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::Rng;

    use super::*;

    #[test]
    fn no_byte_is_given_twice_and_none_stays() {
        let mut random = SystemRandom::new();
        let mut seen = HashSet::new();
        for n in 0..3_000 {
            let mut bytes = vec![0; 16 + n % 40];
            random.fill_bytes(&mut bytes);
            assert!(bytes.windows(16).all(|window| seen.insert(window.to_vec())), "draw {n}");
            assert!(random.block[..random.given].iter().all(|byte| *byte == 0));
        }
        let mut long = vec![0; 2 * BLOCK];
        random.fill_bytes(&mut long);
        assert!(long.windows(16).all(|window| seen.insert(window.to_vec())));
    }
}
