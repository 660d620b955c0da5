//! The kept results of one list: what is known of a subject already, and where new results go.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use veilmatch_protocol::{
    item::Item,
    name::{Epoch, ListId},
};

use crate::{
    Error,
    outcome::Subject,
    results::{Kept, Row, Seal},
    state_dir::StateDir,
    store::{NewBlock, Store},
};

/// Opened blocks that stay in memory: a scan that is run again meets its subjects in the order of the first time.
const OPEN_BLOCKS: usize = 4;

/// Keeps, finds and walks the sealed results of one (list, epoch).
pub(crate) struct Keeper {
    store: Arc<Store>,
    list: ListId,
    epoch: Epoch,
    seal: Seal,
    // Ids are handed out once; a crash leaves gaps, which nothing minds.
    next_block: Arc<AtomicI64>,
    open: Mutex<Vec<(i64, Arc<Vec<Kept>>)>>,
}

impl Keeper {
    pub(crate) fn open(
        dir: &StateDir,
        store: Arc<Store>,
        list: ListId,
        epoch: Epoch,
        next_block: Arc<AtomicI64>,
    ) -> Result<Self, Error> {
        let seal = Seal::open(dir, &list, epoch)?;
        Ok(Self { store, list, epoch, seal, next_block, open: Mutex::new(Vec::new()) })
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The result of an item that was evaluated before.
    pub(crate) fn known(&self, item: &Item) -> Result<Option<Row>, Error> {
        let Some((block, row)) = self.store.seen(&self.list, self.epoch, &self.seal.item_id(item))? else {
            return Ok(None);
        };
        let subjects = self.block(block)?;
        let row = usize::try_from(row).ok().and_then(|row| subjects.iter().flat_map(|kept| &kept.rows).nth(row));
        match row {
            Some(row) if row.kind == item.kind() => Ok(Some(row.clone())),
            _ => Err(Error::SealedResults { list: self.list.to_string() }),
        }
    }

    /// Whether this subject, by reference and items, is kept already.
    pub(crate) fn has(&self, subject: &Subject) -> Result<bool, Error> {
        let id = self.seal.subject_id(&subject.reference, &subject.items);
        self.store.has_subject(&self.list, self.epoch, &id)
    }

    /// A sealed block of these subjects with their results, for the transaction that ends their frame.
    pub(crate) fn block_of(&self, subjects: Vec<(&Subject, Vec<Row>)>) -> Result<Option<NewBlock<'_>>, Error> {
        if subjects.is_empty() {
            return Ok(None);
        }
        let id = self.next_block.fetch_add(1, Ordering::Relaxed);
        let (mut items, mut subject_ids, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        let mut row = 0;
        for (subject, rows) in subjects {
            for found in &rows {
                let item = subject.items.iter().find(|item| item.kind() == found.kind);
                items.extend(item.map(|item| (self.seal.item_id(item), row)));
                row += 1;
            }
            subject_ids.push(self.seal.subject_id(&subject.reference, &subject.items));
            kept.push(Kept { reference: subject.reference.clone(), whole: subject.whole, rows });
        }
        let sealed = self.seal.seal(&self.list, self.epoch, id, &kept)?;
        Ok(Some(NewBlock { id, list: &self.list, epoch: self.epoch, subjects: kept.len(), sealed, items, subject_ids }))
    }

    /// Every kept subject of the epoch, block by block, in bounded memory.
    pub(crate) fn walk(&self, mut visit: impl FnMut(&Kept) -> Result<(), Error>) -> Result<(), Error> {
        let mut last = 0;
        while let Some((id, sealed)) = self.store.block_after(&self.list, self.epoch, last)? {
            for kept in self.seal.unseal(&self.list, self.epoch, id, &sealed)? {
                visit(&kept)?;
            }
            last = id;
        }
        Ok(())
    }

    fn block(&self, id: i64) -> Result<Arc<Vec<Kept>>, Error> {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, block)) = open.iter().find(|(other, _)| *other == id) {
            return Ok(Arc::clone(block));
        }
        let sealed = self.store.block(id)?.ok_or_else(|| Error::SealedResults { list: self.list.to_string() })?;
        let block = Arc::new(self.seal.unseal(&self.list, self.epoch, id, &sealed)?);
        if open.len() == OPEN_BLOCKS {
            open.remove(0);
        }
        open.push((id, Arc::clone(&block)));
        Ok(block)
    }
}
