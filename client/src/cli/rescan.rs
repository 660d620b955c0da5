//! `rescan`: everything that was checked before, against the version held now, without the network.

use std::{
    collections::HashSet,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};
use veilmatch_protocol::name::ListId;

use super::{args::Telling, check::tell, exit::Exit, failure::Failure, session::Session, tally::Tally};
use crate::{
    Found, Outcome,
    output::{Answer, Format, Origin, Printer},
    state_dir::{create_private_dir, write_private},
};

/// Length of the salt and of each mark.
const LEN: usize = 32;

pub async fn rescan(
    dir: &Path,
    list: Option<ListId>,
    only_new: bool,
    format: Format,
    telling: Telling,
) -> Result<Exit, Failure> {
    let Session { client, list, .. } = Session::open(dir, list)?;
    let mut marks = Marks::open(dir, &list)?;
    let mut printer = Printer::new(format, true, BufWriter::new(io::stdout().lock()));
    let (mut tally, mut new_matches, mut failed) = (Tally::default(), 0, None);
    let looked_at = client.rescan(&list, |Found { reference, outcome }| {
        let new = matches!(outcome, Outcome::Match { .. }).then(|| marks.is_new(&reference, &outcome));
        new_matches += u64::from(new == Some(true));
        if only_new && new == Some(false) {
            return;
        }
        tally.count(&outcome);
        let answer =
            Answer { origin: &Origin::of_reference(reference), list: &list, outcome: &outcome, detail: None, new };
        if failed.is_none() {
            failed = printer.answer(&answer).err();
        }
    })?;
    if let Some(error) = failed {
        return Err(Failure::Print(error));
    }
    printer.flush().map_err(Failure::Print)?;
    drop(printer);
    client.shutdown().await;
    // Only now: what nobody could read is new once more the next time.
    let gone = marks.save()?;
    if !only_new {
        tally.no_match = looked_at - tally.total();
    }
    if !telling.quiet {
        let mut err = io::stderr().lock();
        // Nobody can be told that nobody can be told anything.
        let _ = writeln!(
            err,
            "veilmatch: {looked_at} kept; {new_matches} new since the rescan before, {gone} no longer listed"
        );
    }
    tell(&tally, list.as_str(), telling);
    Ok(Exit::after(&tally))
}

/// The matches of the rescan before, each as a salted digest: who finds the file alone learns nothing from it.
struct Marks {
    path: PathBuf,
    salt: [u8; LEN],
    before: HashSet<[u8; LEN]>,
    now: HashSet<[u8; LEN]>,
}

impl Marks {
    fn open(dir: &Path, list: &ListId) -> Result<Self, Failure> {
        let folder = dir.join("rescans");
        create_private_dir(&folder)?;
        let path = folder.join(format!("{list}.marks"));
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Failure::io("read", &path)(error)),
        };
        let (chunks, _) = bytes.as_chunks::<LEN>();
        let (salt, before) = match chunks.split_first() {
            Some((salt, marks)) => (*salt, marks.iter().copied().collect()),
            None => {
                let mut salt = [0; LEN];
                let failed = |error| Failure::System { what: "draw random bytes", source: io::Error::other(error) };
                SysRng.try_fill_bytes(&mut salt).map_err(failed)?;
                (salt, HashSet::new())
            }
        };
        Ok(Self { path, salt, before, now: HashSet::new() })
    }

    /// Marks a match; whether the rescan before did not have it, with this label.
    fn is_new(&mut self, reference: &[u8], outcome: &Outcome) -> bool {
        let mut hash = Sha256::new_with_prefix(self.salt);
        hash.update((reference.len() as u64).to_be_bytes());
        hash.update(reference);
        if let Outcome::Match { label, .. } = outcome {
            hash.update(label);
        }
        let mark = hash.finalize().into();
        self.now.insert(mark);
        !self.before.contains(&mark)
    }

    /// Keeps the matches of this rescan; gives how many of the one before are gone.
    fn save(self) -> Result<usize, Failure> {
        let mut marks: Vec<&[u8; LEN]> = self.now.iter().collect();
        marks.sort_unstable();
        let bytes: Vec<u8> = std::iter::once(&self.salt).chain(marks).flatten().copied().collect();
        write_private(&self.path, &bytes)?;
        Ok(self.before.difference(&self.now).count())
    }
}

#[cfg(test)]
mod tests {
    use veilmatch_protocol::item::Kind;

    use super::*;

    #[test]
    fn a_match_is_new_once_and_again_under_another_label() {
        let dir = tempfile::tempdir().unwrap();
        let list = ListId::parse("baseline").unwrap();
        let found = |label: &[u8]| Outcome::Match { label: label.to_vec(), kind: Kind::Md5, version: 1 };
        let mut first = Marks::open(dir.path(), &list).unwrap();
        assert!(first.is_new(b"/a", &found(b"A1")) && first.is_new(b"/b", &found(b"A1")));
        assert_eq!(first.save().unwrap(), 0);

        let mut second = Marks::open(dir.path(), &list).unwrap();
        assert!(!second.is_new(b"/a", &found(b"A1")));
        assert!(second.is_new(b"/b", &found(b"B2")));
        assert_eq!(second.save().unwrap(), 1, "/b under its old label");
    }
}
