//! Forgetting: kept subjects leave their blocks, the index and the marks of rescans, and nothing of them stays on disk.

use std::{collections::HashSet, sync::PoisonError};

use veilmatch_protocol::item::Item;

use super::{Block, Keeper};
use crate::{
    Error,
    results::{Kept, ToSeal},
    store::{BlockId, Gone, IdOf, NewBlock, Place},
};

impl Keeper {
    /// What an item's row is found by, to be compared with those of [`Kept`].
    pub(crate) fn item_ids(&self, items: &[Item]) -> HashSet<IdOf> {
        let of = self.seal.item_ids();
        items.iter().map(|item| of.of(item)).collect()
    }

    /// Forgets the subjects that `which` picks; gives how many. Walks through everything that is kept, so pick many at once.
    ///
    /// A crash leaves each block either as it was or without them. What is kept meanwhile stays.
    pub(crate) fn forget(&self, which: impl Fn(&Kept) -> bool + Sync) -> Result<u64, Error> {
        // No block is joined with others meanwhile: each is where the walk saw it.
        let _one = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut affected: Vec<BlockId> = Vec::new();
        let picks = |id, kept: &[Kept]| kept.iter().any(&which).then_some(id);
        self.walk_blocks(picks, |id| {
            affected.extend(id);
            Ok(())
        })?;
        let (mut count, mut orphans) = (0, HashSet::new());
        for id in affected {
            let Block::Open(block) = self.block(id)? else { continue };
            let (gone, left): (Vec<&Kept>, Vec<&Kept>) = block.iter().partition(|kept| which(kept));
            count += gone.len() as u64;
            orphans.extend(gone.iter().flat_map(|kept| &kept.ids));
            self.rewrite(id, &gone, left)?;
        }
        if count > 0 {
            self.adopt(orphans)?;
            self.store.empty_log()?;
        }
        Ok(count)
    }

    /// Deletes the blocks that do not open, so that rescans speak no more of them.
    pub(crate) fn forget_damaged(&self) -> Result<(), Error> {
        let _one = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let walked = self.walk_blocks(|_, _| (), |()| Ok(()))?;
        walked.damaged.into_iter().try_for_each(|id| self.store.delete_block(id))
    }

    /// Puts what is left of a block into a new one. Its entries wait with the fresh ones: those of the subjects that were
    /// found in the old block, and no others.
    fn rewrite(&self, old: BlockId, gone: &[&Kept], left: Vec<&Kept>) -> Result<(), Error> {
        let subject_id = |kept: &Kept| self.seal.subject_id(&kept.reference, &kept.ids);
        let mut ids: Vec<(IdOf, u16)> = Vec::new();
        for (at, kept) in left.iter().enumerate() {
            let at = u16::try_from(at).expect("fewer than in the old block");
            ids.extend(kept.ids.iter().copied().chain([subject_id(kept)]).map(|id| (id, at)));
        }
        let places = self.places(&ids.iter().map(|(id, _)| *id).collect::<Vec<_>>())?;
        let mut places = places.into_iter();
        ids.retain(|_| places.next().flatten().is_some_and(|Place { block, .. }| block == old));
        let left: Vec<ToSeal<'_>> = left.into_iter().map(ToSeal::from).collect();
        let new = (!left.is_empty()).then(|| {
            let id = self.store.next_block();
            let sealed = self.seal.seal(&self.list, self.epoch, id, &left);
            NewBlock { id, shelf: self.shelf, subjects: left.len(), sealed, ids }
        });
        let gone: Vec<Gone> =
            gone.iter().map(|kept| Gone { subject: subject_id(kept), items: kept.ids.clone() }).collect();
        self.store.replace_block(self.shelf, old, new.as_ref(), &gone)?;
        // Whoever looks up between the two finds a block that is gone, and asks anew what it does not find.
        let mut fresh = self.fresh();
        fresh.leave_out(old);
        if let Some(new) = &new {
            // It is settled with the next ones.
            let _ = fresh.add(new);
        }
        drop(fresh);
        self.open_blocks().retain(|(id, _)| *id != old);
        Ok(())
    }

    /// Items that were found at a forgotten subject may be others', too: these are found by them from now on.
    fn adopt(&self, mut orphans: HashSet<IdOf>) -> Result<(), Error> {
        let ids: Vec<IdOf> = orphans.iter().copied().collect();
        for (id, place) in ids.iter().zip(self.places(&ids)?) {
            if place.is_some() {
                orphans.remove(id);
            }
        }
        if orphans.is_empty() {
            return Ok(());
        }
        let look = |id, kept: &[Kept]| {
            let places = kept.iter().enumerate().map(|(at, kept)| {
                let place = Place { block: id, subject: u16::try_from(at).expect("a block's subjects are few") };
                kept.ids.iter().filter(|id| orphans.contains(*id)).map(move |id| (*id, place))
            });
            places.flatten().collect::<Vec<(IdOf, Place)>>()
        };
        self.walk_blocks(look, |mut entries| {
            entries.sort_unstable();
            if entries.is_empty() { Ok(()) } else { self.index(&entries) }
        })?;
        Ok(())
    }
}
