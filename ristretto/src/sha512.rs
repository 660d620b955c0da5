//! SHA-512 of many short messages: the hashing around a batch of elements (RFC 9497's expand_message and Finalize).

use sha2::Digest;
use zeroize::Zeroize;

use crate::{Backend, backend::Kind};
#[cfg(target_arch = "x86_64")]
use crate::{ifma, simd::Ifma};

/// Hashes many messages that begin alike.
///
/// With the vector back end eight messages cost little more than one does otherwise; the longest of the eight counts.
///
/// # Security
/// Constant time in the messages, not in their lengths. The copies that are hashed are wiped; the state of the hash is not.
#[derive(Clone)]
pub struct Sha512Many(Prefix);

#[derive(Clone)]
enum Prefix {
    Portable(sha2::Sha512),
    #[cfg(target_arch = "x86_64")]
    Ifma {
        ifma: Ifma,
        state: [u64; 8],
        absorbed: u64,
        rest: Vec<u8>,
    },
}

/// A message that is being written.
pub struct Message(Vec<u8>);

impl Message {
    /// Writes bytes behind what was written before.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            // A reallocation would leave a copy behind.
            let mut longer = Vec::with_capacity(2 * (self.0.len() + bytes.len()));
            longer.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = longer;
        }
        self.0.extend_from_slice(bytes);
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Sha512Many {
    /// For messages that all begin with `prefix`, whose whole blocks are hashed here, once.
    #[must_use]
    pub fn new(prefix: &[u8]) -> Self {
        Backend::chosen().sha512(prefix)
    }

    pub(crate) fn with(backend: Backend, prefix: &[u8]) -> Self {
        Self(match backend.0 {
            Kind::Portable => Prefix::Portable(sha2::Sha512::new_with_prefix(prefix)),
            #[cfg(target_arch = "x86_64")]
            Kind::Ifma(ifma) => {
                let (blocks, rest) = prefix.as_chunks::<128>();
                let mut digest = [[0; 64]];
                ifma.sha512(&ifma::SHA512_INITIAL, [blocks, &[], &[], &[], &[], &[], &[], &[]], &mut digest);
                let [digest] = digest;
                let mut state = [0; 8];
                for (word, bytes) in state.iter_mut().zip(digest.as_chunks::<8>().0) {
                    *word = u64::from_be_bytes(*bytes);
                }
                Prefix::Ifma { ifma, state, absorbed: (prefix.len() - rest.len()) as u64, rest: rest.to_vec() }
            }
        })
    }

    /// Digest i is that of the prefix and what `write` writes for i. It is called once for each, in order.
    pub fn digests(&self, digests: &mut [[u8; 64]], mut write: impl FnMut(usize, &mut Message)) {
        match &self.0 {
            Prefix::Portable(prefix) => {
                let mut message = Message(Vec::with_capacity(256));
                for (i, digest) in digests.iter_mut().enumerate() {
                    message.0.clear();
                    write(i, &mut message);
                    *digest = prefix.clone().chain_update(&message.0).finalize().into();
                }
            }
            #[cfg(target_arch = "x86_64")]
            Prefix::Ifma { ifma, state, absorbed, rest } => {
                let mut messages = [(); 8].map(|()| Message(Vec::with_capacity(256)));
                for (group, digests) in digests.chunks_mut(8).enumerate() {
                    let mut blocks: [&[ifma::Block]; 8] = [&[]; 8];
                    for (lane, message) in messages.iter_mut().enumerate().take(digests.len()) {
                        message.0.clear();
                        message.extend(rest);
                        write(8 * group + lane, message);
                        message.pad(*absorbed);
                    }
                    for (blocks, message) in blocks.iter_mut().zip(&messages).take(digests.len()) {
                        *blocks = message.0.as_chunks::<128>().0;
                    }
                    ifma.sha512(state, blocks, digests);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Message {
    /// Writes a one bit, zeros and the length in bits, to the end of a block (FIPS 180-4, Section 5.1.2).
    fn pad(&mut self, absorbed: u64) {
        let bits = 8 * (u128::from(absorbed) + self.0.len() as u128);
        let zeros = 127 - (self.0.len() + 16) % 128;
        self.extend(&[0x80]);
        self.extend(&[0; 128][..zeros]);
        self.extend(&bits.to_be_bytes());
    }
}
