//! `list canary`: files that nobody has but who is to find them.

mod opening;

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use rand::Rng;
use sha2::{Digest, Sha256, Sha512};
use veilmatch_audit::canary::Canary;
use veilmatch_lists::Category;
use veilmatch_protocol::{
    derive::{EpochContext, Okm},
    item::{Item, Kind},
    label::FIELDS_LEN,
    manifest::Hash,
    name::{Epoch, ListId, PlatformId},
    oprf::{self, Mode, SecretKey},
};

pub use opening::Opened;

use super::Agency;
use crate::{
    Error,
    clock::DAY,
    keys::draw,
    state_dir::create_private_dir,
    store::{CanaryRow, Change, ChangeRow, Entries, Said, Tally},
};

/// Bytes of a canary: random ones, of no format.
const CANARY_BYTES: usize = 4_096;

/// What canaries look like in labels.
#[derive(Debug, Clone, Copy)]
pub struct Cover<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// The category.
    pub category: &'a Category,
    /// The action of the category.
    pub action: &'a str,
    /// The case or series.
    pub reference: &'a str,
    /// Where the files are uploaded.
    pub platform: &'a PlatformId,
}

/// How long there is to upload canaries, if nothing else is said.
const UPLOAD_DAYS: u64 = 30;

impl Agency {
    /// Makes files of random bytes in a new folder and lists their digests, in all kinds of the list. Their labels name
    /// the source and the category of `cover`, so nothing in a published list tells them from its other entries. The next
    /// manifest commits the agency to each of them and to its `deadline` in Unix time (SPEC §18.7).
    ///
    /// # Errors
    /// [`Error::UnknownList`], [`Error::UnknownSource`], [`Error::Argument`] if the folder has something in it,
    /// [`Error::Io`], [`Error::Busy`], [`Error::Store`].
    pub fn canaries(
        &mut self,
        list: &ListId,
        count: u32,
        out: &Path,
        cover: &Cover<'_>,
        deadline: Option<u64>,
        now: u64,
    ) -> Result<Change, Error> {
        let deadline = deadline.unwrap_or(now + UPLOAD_DAYS * DAY) / 60;
        if deadline * 60 <= now {
            return Err(Error::argument("--deadline", "has passed already"));
        }
        let Cover { source, category, action, reference, platform } = *cover;
        let row = self.store.list(list)?;
        let _lock = self.dir.lock_changes()?;
        create_private_dir(out)?;
        if out.read_dir().map_err(Error::io("read", out))?.next().is_some() {
            return Err(Error::argument("--out", format!("{} has something in it", out.display())));
        }
        let mut entries = Entries::open(&self.dir.entries_database())?;
        let ledger = entries.change(list, false)?;
        let source = ledger.canary_source(&ledger.known_source(source)?)?;
        let mut categories = ledger.categories()?;
        if usize::from(row.label_bytes) < FIELDS_LEN && category.code.len() > row.label_bytes.into() {
            return Err(Error::LabelTooLong { given: category.code.len(), room: row.label_bytes.into() });
        }
        let said = Said {
            category: categories.number(&category.scheme, &category.code, action)?,
            reference: reference.to_owned(),
            ..Said::default()
        };
        ledger.put_categories(&categories)?;
        let (mut claims, mut canaries) = (Vec::new(), Vec::new());
        for number in 1..=count {
            let mut bytes = [0; CANARY_BYTES];
            rand::rng().fill_bytes(&mut bytes);
            write(&out.join(format!("canary-{number:05}.bin")), &bytes)?;
            let strongest = row.kinds.last().copied();
            if let Some(kind) = strongest {
                let item = Item::new(kind, &digest(kind, &bytes))?;
                let platform = Some(platform.clone());
                canaries.push(CanaryRow { item, salt: *draw::<32>()?, deadline, platform });
            }
            for kind in &row.kinds {
                let stronger = strongest.is_some_and(|strongest| strongest.id() > kind.id());
                claims.push((Item::new(*kind, &digest(*kind, &bytes))?, Said { stronger, ..said.clone() }));
            }
        }
        claims.sort_by(|one, other| one.0.cmp(&other.0));
        for (item, said) in &claims {
            ledger.claim(source.id, item.as_bytes(), b"", said)?;
            ledger.touch(item.as_bytes())?;
        }
        canaries.iter().try_for_each(|canary| ledger.keep_canary(canary))?;
        let added = claims.len() as u64;
        ledger.resize(&source, source.size + added)?;
        let tally = Tally { read: added, accepted: added, added, ..Tally::default() };
        let row = ChangeRow {
            id: 0,
            kind: "canary".into(),
            file: String::new(),
            source: source.name.clone(),
            at: now,
            tally: tally.clone(),
        };
        let id = ledger.keep(&row, false)?;
        Ok(Change { id, source: source.name, tally })
    }
}

/// Canaries with their tags under an epoch's key.
pub(crate) fn opened(key: &SecretKey, list: &ListId, epoch: Epoch, rows: &[CanaryRow]) -> Result<Vec<Canary>, Error> {
    let context = EpochContext { list: list.clone(), epoch };
    let inputs: Vec<&[u8]> = rows.iter().map(|row| row.item.as_bytes()).collect();
    let okms = context.okms(&oprf::evaluate(Mode::Voprf, key, &inputs)?);
    let of = |(row, okm): (&CanaryRow, &Okm)| Canary { deadline: row.deadline, salt: Hash(row.salt), tag: okm.tag() };
    Ok(rows.iter().zip(&okms).map(of).collect())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(Error::io("write", path))
}

fn digest(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    match kind {
        Kind::Md5 => md5::Md5::digest(bytes).to_vec(),
        Kind::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
        Kind::Sha256 => Sha256::digest(bytes).to_vec(),
        Kind::Sha512 => Sha512::digest(bytes).to_vec(),
    }
}

#[cfg(test)]
mod tests;
