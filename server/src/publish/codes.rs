//! The code book of a version: what the numbers in its labels stand for (SPEC §7.7).

use std::io::Write;

use veilmatch_protocol::{
    codebook::{Category, CodeBook, Source},
    label::FIELDS_LEN,
    manifest::Hash,
    name::{AgencyName, Version},
};

use super::files::{self, NewFile};
use crate::{
    Error,
    state_dir::StateDir,
    store::{CANARY, Entries, ListRow},
};

/// The code book of a list as it is now; `None` if its labels are too short for numbers.
pub(super) fn code_book(agency: &AgencyName, list: &ListRow, entries: &Entries) -> Result<Option<CodeBook>, Error> {
    if usize::from(list.label_bytes) < FIELDS_LEN {
        return Ok(None);
    }
    let categories = entries.categories(&list.list)?.into_iter().map(|row| Category {
        number: row.number,
        scheme: row.scheme,
        code: row.code,
        action: row.action,
        text: row.text,
    });
    let sources = entries.sources(&list.list)?.into_iter();
    let sources = sources
        // Canaries go under the name of another source, which is there itself.
        .filter(|row| row.number > 0 && !row.name.starts_with(CANARY))
        .map(|row| Source { number: row.number, name: row.name });
    Ok(Some(CodeBook::new(agency, &list.list, categories.collect(), sources.collect())?))
}

/// Writes the code book of a version; gives its digest.
pub(super) fn write(dir: &StateDir, list: &ListRow, version: Version, book: &CodeBook) -> Result<Hash, Error> {
    let path = dir.code_book(&list.list, version);
    let mut file = NewFile::create(&dir.list(&list.list))?;
    let mut writer = file.writer();
    writer.write_all(&book.to_bytes()).and_then(|()| writer.flush()).map_err(Error::io("write", &path))?;
    drop(writer);
    file.persist(&path)?;
    Ok(book.digest())
}

/// Offers the code book of one version under another, too.
pub(super) fn link(dir: &StateDir, list: &ListRow, from: Version, to: Version) -> Result<(), Error> {
    files::link(&dir.code_book(&list.list, from), &dir.code_book(&list.list, to))
}
