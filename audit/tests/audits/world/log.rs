//! A log in memory.

use std::{collections::BTreeMap, io};

use ed25519_dalek::SigningKey;
use veilmatch_audit::{
    checkpoint::{self, Checkpoint},
    cosignature::Cosigner,
    origin::{LogOrigin, Shard},
    tile::{Files, Growth},
};
use veilmatch_protocol::note::Verifier;

/// The files of a log by path.
#[derive(Debug, Clone, Default)]
pub struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Files for Memory {
    type Error = io::Error;

    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(path).map(|bytes| bytes[..bytes.len().min(limit + 1)].to_vec()))
    }
}

/// Leaves, and the key that signs them.
#[derive(Clone)]
pub struct Log {
    pub origin: String,
    pub key: SigningKey,
    pub leaves: Vec<Vec<u8>>,
}

impl Log {
    pub fn new(origin: &str, key: &SigningKey) -> Self {
        Self { origin: origin.to_owned(), key: key.clone(), leaves: Vec::new() }
    }

    /// The log of another half-year takes the place of this one, which is given then.
    pub fn turn(&mut self, shard: Shard) -> Option<Self> {
        let origin = LogOrigin::parse(&self.origin).unwrap();
        let other = origin.shard().unwrap().first() != shard;
        let next = Self::new(&origin.in_shard(shard).to_string(), &self.key);
        other.then(|| std::mem::replace(self, next))
    }

    pub fn verifier(&self) -> Verifier {
        Verifier::new(&self.origin, self.key.verifying_key()).unwrap()
    }

    /// The checkpoint of the first `size` leaves, cosigned at `time`.
    pub fn checkpoint(&self, size: usize, witnesses: &[Cosigner], time: u64) -> Vec<u8> {
        self.files(size, witnesses, time).0.remove("checkpoint").unwrap()
    }

    /// The files of the first `size` leaves.
    pub fn files(&self, size: usize, witnesses: &[Cosigner], time: u64) -> Memory {
        let mut growth = Growth::new();
        for leaf in &self.leaves[..size] {
            growth.push(leaf).unwrap();
        }
        let mut files: BTreeMap<String, Vec<u8>> =
            growth.take_files().into_iter().map(|file| (file.path.to_string(), file.bytes)).collect();
        let checkpoint = Checkpoint { origin: self.origin.clone(), size: growth.size(), root: growth.root() };
        let mut note = checkpoint::sign(&checkpoint, &self.key).unwrap();
        witnesses.iter().for_each(|witness| note += &witness.cosign(&checkpoint, time));
        files.insert("checkpoint".to_owned(), note.into_bytes());
        Memory(files)
    }
}
