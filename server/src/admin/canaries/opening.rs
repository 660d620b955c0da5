//! `list canary --export`: what opens the commitments to canaries, for an auditor who is to look for them (SPEC §21.4).

use std::{collections::HashSet, path::Path};

use veilmatch_audit::{
    canary::{Canary, Commitments},
    reconcile::CanaryLine,
};
use veilmatch_protocol::name::{ListId, Version};

use super::opened;
use crate::{
    Error,
    admin::Agency,
    clock::DAY,
    keys::read_signing_key,
    publish::open_manifest,
    state_dir::write_private,
    store::{CanaryRow, Entries, VersionRow},
};

/// What became of the canaries of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opened {
    /// Those that were written.
    pub written: usize,
    /// Those that would count for nothing, or against somebody who did nothing wrong: published after their deadline; with
    /// another key since, under which they have another tag; or of a key that is destroyed.
    pub left_out: usize,
}

impl Agency {
    /// Writes a line for each canary, with its opening under the first version that commits to it, of the newest epoch then.
    ///
    /// # Errors
    /// [`Error::NothingPublished`], [`Error::Damaged`] if they are not what the newest version commits to, [`Error::Io`],
    /// [`Error::Store`], [`Error::KeyFile`].
    pub fn canary_export(&self, list: &ListId, out: &Path) -> Result<Opened, Error> {
        let versions = self.store.versions_after(list, Version(0))?;
        if versions.is_empty() {
            return Err(Error::NothingPublished { list: list.to_string() });
        }
        let entries = Entries::open(&self.dir.entries_database())?;
        let (mut met, mut lines, mut done) = (HashSet::new(), Vec::new(), Opened::default());
        let mut later = &versions[..];
        for publication in versions.chunk_by(|one, next| one.not_before == next.not_before) {
            later = &later[publication.len()..];
            // While two epochs overlap, platforms use the newer one.
            let Some(row) = publication.iter().max_by_key(|row| row.epoch) else { continue };
            let rows = entries.canaries(list, &row.edition)?;
            let fresh: Vec<_> = (0..rows.len()).filter(|&canary| met.insert(rows[canary].item.clone())).collect();
            // The newest version is compared with what it commits to in any case.
            if fresh.is_empty() && !later.is_empty() {
                continue;
            }
            let commitments = self.commitments(list, row, &rows, later.is_empty())?;
            for canary in fresh {
                let counts = counts(&rows[canary], row, later);
                match (&commitments, &rows[canary].platform) {
                    (Some((all, canaries)), Some(platform)) if counts => {
                        let opening = all.open(&canaries[canary])?;
                        let line = CanaryLine::new(platform.clone(), list.clone(), row.version, opening);
                        lines.extend(line.encode().ok_or(Error::Internal("the line of a canary cannot be written"))?);
                        lines.push(b'\n');
                        done.written += 1;
                    }
                    _ => done.left_out += 1,
                }
            }
        }
        write_private(out, &lines)?;
        Ok(done)
    }

    // The commitments of a version and what they are to; none where its key, or what it listed, is not known any more.
    fn commitments(
        &self,
        list: &ListId,
        row: &VersionRow,
        rows: &[CanaryRow],
        newest: bool,
    ) -> Result<Option<(Commitments, Vec<Canary>)>, Error> {
        let Some(secret) = self.epoch_key(list, row.epoch)? else { return Ok(None) };
        let canaries = opened(&secret, list, row.epoch, rows)?;
        let all = Commitments::new(&canaries);
        let key = read_signing_key(&self.dir.manifest_key())?;
        if all.root() == open_manifest(&self.config, &key, row)?.manifest().canary_root {
            return Ok(Some((all, canaries)));
        }
        if newest {
            let what = format!("version {} of list {list}", row.version.0);
            return Err(Error::Damaged { what, why: "its canaries are not those that it commits to".into() });
        }
        Ok(None)
    }
}

// Whether a platform that reports the canary in time must have reported it by the tag that it has in its first version.
fn counts(canary: &CanaryRow, first: &VersionRow, later: &[VersionRow]) -> bool {
    let deadline = canary.deadline * 60;
    let in_time = |row: &&VersionRow| row.not_before <= deadline + DAY;
    first.not_before <= deadline && later.iter().filter(in_time).all(|row| row.epoch <= first.epoch)
}
