//! `list canary`: files that nobody has but who is to find them.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use rand::Rng;
use sha2::{Digest, Sha256, Sha512};
use veilmatch_audit::canary::{Canary, Commitments};
use veilmatch_lists::Category;
use veilmatch_protocol::{
    derive::{EpochContext, Okm},
    item::{Item, Kind},
    label::FIELDS_LEN,
    manifest::Hash,
    name::{Epoch, ListId},
    oprf::{self, Mode, SecretKey},
};

use super::Agency;
use crate::{
    Error,
    clock::DAY,
    keys::{EpochSeeds, draw, read_signing_key},
    publish::open_manifest,
    state_dir::{create_private_dir, write_private},
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
        let Cover { source, category, action, reference } = *cover;
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
                canaries.push(CanaryRow { item, salt: *draw::<32>()?, deadline });
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

    /// Writes what opens the newest version's commitments to its canaries, a line each: for an auditor who is to look for
    /// them. Gives how many.
    ///
    /// # Errors
    /// [`Error::NothingPublished`], [`Error::Damaged`] if they are not what the version commits to, [`Error::Io`],
    /// [`Error::Store`], [`Error::KeyFile`].
    pub fn canary_export(&self, list: &ListId, out: &Path) -> Result<usize, Error> {
        let nothing = || Error::NothingPublished { list: list.to_string() };
        let row = self.store.newest_version(list, None)?.ok_or_else(nothing)?;
        let key = read_signing_key(&self.dir.manifest_key())?;
        let manifest = open_manifest(&self.config, &key, &row)?;
        let entries = Entries::open(&self.dir.entries_database())?;
        let secret = EpochSeeds::read(&self.dir.epoch_seed(list, row.epoch))?.secret_key(list, row.epoch)?;
        let canaries = opened(&secret, list, row.epoch, &entries.canaries(list, &row.edition)?)?;
        let all = Commitments::new(&canaries);
        if all.root() != manifest.manifest().canary_root {
            let what = format!("version {} of list {list}", row.version.0);
            return Err(Error::Damaged { what, why: "its canaries are not those that it commits to".into() });
        }
        let mut lines = Vec::new();
        for canary in &canaries {
            lines.extend(all.open(canary)?.encode()?);
            lines.push(b'\n');
        }
        write_private(out, &lines)?;
        Ok(canaries.len())
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
mod tests {
    use std::fs;

    use veilmatch_audit::canary::CanaryOpening;
    use veilmatch_protocol::manifest::no_canaries;

    use super::*;
    use crate::world::{NOON, World, custom};

    #[test]
    fn a_version_commits_to_its_canaries_and_each_can_be_opened() {
        // SPEC §18.7
        let world = World::published(10);
        assert_eq!(world.manifest(1).manifest().canary_root, no_canaries());
        let category = custom("A1");
        let cover = Cover { source: "local", category: &category, action: "", reference: "" };
        let plant = |folder: &str, count, deadline| {
            world.agency().canaries(&world.list, count, &world.path(folder), &cover, deadline, NOON)
        };
        plant("first", 3, Some(NOON + 600)).unwrap();
        world.publish();
        let root = world.manifest(2).manifest().canary_root;
        assert_ne!(root, no_canaries());
        let export = |file: &str| {
            let path = world.path(file);
            let count = world.agency().canary_export(&world.list, &path).unwrap();
            let text = fs::read(&path).unwrap();
            let lines: Vec<_> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
            assert_eq!(lines.len(), count);
            lines.iter().map(|line| CanaryOpening::decode(line).unwrap()).collect::<Vec<_>>()
        };
        let openings = export("openings");
        assert_eq!(openings.len(), 3);
        let artifact = world.artifact(2);
        for opening in &openings {
            opening.verify(&root).unwrap();
            assert!(opening.verify(&no_canaries()).is_err());
            assert_eq!(opening.canary().deadline, (NOON + 600) / 60);
            assert!(artifact.lookup(&opening.canary().tag).unwrap().is_some());
        }
        // The same list again commits to the same; another canary, to one more.
        world.agency().publish(&world.list, true, NOON + 1, &|_| ()).unwrap();
        assert_eq!(world.manifest(3).manifest().canary_root, root);
        plant("second", 1, None).unwrap();
        world.publish();
        assert_eq!(export("more").len(), 4);
        assert_eq!(plant("late", 1, Some(NOON)).unwrap_err().reason(), "BAD_ARGUMENT");
    }

    #[test]
    fn a_new_epoch_commits_to_the_same_canaries_by_other_tags() {
        // SPEC §18.7
        let world = World::published(10);
        let category = custom("A1");
        let cover = Cover { source: "local", category: &category, action: "", reference: "" };
        world.agency().canaries(&world.list, 2, &world.path("files"), &cover, None, NOON).unwrap();
        world.publish();
        world.agency().rotate(&world.list, NOON, &|_| ()).unwrap();
        let roots = [2, 4].map(|version| world.manifest(version).manifest().canary_root);
        assert_ne!(roots[0], roots[1]);
        assert_eq!(world.agency().canary_export(&world.list, &world.path("openings")).unwrap(), 2);
    }
}
