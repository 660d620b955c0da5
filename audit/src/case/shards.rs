//! The logs of one party in order, each of them once.

use std::io;

use veilmatch_protocol::note::MAX_NOTE_LEN;

use super::Source;
use crate::{
    checkpoint,
    origin::LogOrigin,
    verify::{Seen, Source as By},
};

/// The sources by origin, oldest first. Of several with the files of one log, the largest is read, and the checkpoints of
/// the others are compared with it.
pub(super) fn once_each<'a>(sources: Vec<Source<'a>>, not_judged: &mut Vec<String>) -> io::Result<Vec<Source<'a>>> {
    let mut sized = Vec::new();
    for source in sources {
        let note = source.files.read("checkpoint", MAX_NOTE_LEN)?.unwrap_or_default();
        let key = &source.known.key;
        let size = checkpoint::open(&note, key.name(), key).map_or(0, |checkpoint| checkpoint.size);
        sized.push((LogOrigin::parse(key.name()).ok(), size, note, source));
    }
    sized.sort_by(|a, b| (&a.0, b.1).cmp(&(&b.0, a.1)));
    let mut once: Vec<Source<'a>> = Vec::new();
    for (_, _, note, source) in sized {
        match once.last_mut().filter(|last| last.known.key.name() == source.known.key.name()) {
            Some(last) => {
                last.known.seen.push(Seen { by: By::OtherFiles, note });
                not_judged.push(format!("{}: given more than once, and the largest was read", last.known.key.name()));
            }
            None => once.push(source),
        }
    }
    Ok(once)
}
