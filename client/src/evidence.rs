//! What proves that the agency's server broke the rules: kept in `evidence/` until people have looked at it.

use std::{fs, path::PathBuf};

use crate::state_dir::{StateDir, write_private};

/// Files kept at most of each kind: a server that goes on lying must not fill the disk, and lies of one kind must not take
/// the places of another. The first ones prove as much as the rest.
const MAX_FILES: usize = 256;

/// What evidence is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About {
    /// An answer whose proof or acknowledgement does not verify.
    Frame,
    /// A manifest that is not signed as it must be, or that does not continue the chain.
    Manifest,
    /// A checkpoint of the agency's that is not vouched for.
    Log,
    /// Two checkpoints of the agency's that do not agree: no other kind may take their places.
    Fork,
    /// A closing statement that the agency contradicts.
    Closing,
    /// An acknowledgement that was not kept, and the checkpoint that does not have its leaf.
    Acknowledgement,
}

/// Keeps a piece of evidence under a name of its own; gives its path if it is kept.
pub(crate) fn keep(dir: &StateDir, about: About, name: &str, bytes: &[u8]) -> Option<PathBuf> {
    let kind = match about {
        About::Frame => "frame-",
        About::Manifest => "manifest-",
        About::Log => "log-",
        About::Fork => "fork-",
        About::Closing => "closing-",
        About::Acknowledgement => "acknowledged-",
    };
    let path = dir.evidence().join(format!("{kind}{name}"));
    let files = fs::read_dir(dir.evidence()).into_iter().flatten().flatten();
    let of_kind = files.filter(|file| file.file_name().as_encoded_bytes().starts_with(kind.as_bytes()));
    if !path.exists() && of_kind.count() >= MAX_FILES {
        tracing::error!(?about, "evidence/ is full; this piece is not kept");
        return None;
    }
    match write_private(&path, bytes) {
        Ok(()) => Some(path),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "evidence could not be kept");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_evidence_has_a_bound_of_its_own() {
        // Refused manifests were kept without a bound, and 256 of them took every place that a frame with a wrong proof
        // could have had.
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::create(root.path()).unwrap();
        for n in 0..MAX_FILES {
            assert!(keep(&dir, About::Manifest, &format!("{n}.note"), b"note").is_some());
        }
        assert_eq!(keep(&dir, About::Manifest, "one-more.note", b"note"), None);
        assert!(keep(&dir, About::Manifest, "0.note", b"the same again").is_some());
        assert!(keep(&dir, About::Frame, "a.json", b"{}").is_some());
        assert_eq!(fs::read_dir(dir.evidence()).unwrap().count(), MAX_FILES + 1);
    }
}
