//! Connections for calls that run side by side.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use crate::{status::CallError, store::Store};

/// A connection of its own for each thread that works at the same time; they are kept for the next.
pub(crate) struct Readers {
    database: PathBuf,
    kept: Mutex<Vec<Store>>,
}

impl Readers {
    /// None is opened before it is needed.
    pub(crate) fn new(database: PathBuf) -> Self {
        Self { database, kept: Mutex::default() }
    }

    /// Works with one that is free, or with another one.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Store) -> Result<T, CallError>) -> Result<T, CallError> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let free = kept().pop();
        let mut store = match free {
            Some(store) => store,
            None => Store::open(&self.database)?,
        };
        let result = work(&mut store);
        kept().push(store);
        result
    }
}
