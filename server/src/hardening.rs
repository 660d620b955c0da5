//! What the process asks of the system: keys kept out of core dumps and away from debuggers, and enough files.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

use crate::Error;

/// Switches core dumps off and makes the process undumpable, so that neither a crash nor another process of the same
/// user reads its memory.
///
/// # Errors
/// [`Error::Io`] if the system refuses.
pub fn forbid_core_dumps() -> Result<(), Error> {
    let refused = |errno: rustix::io::Errno| {
        Error::io("switch off core dumps of", std::path::Path::new("this process"))(errno.into())
    };
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(refused)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(refused)
}

/// Files that the server has open beside its connections: databases with their logs, downloads, the runtime's own.
const OTHER_FILES: u64 = 512;

/// Raises the number of files that this process may have open to the most that the system allows it, and warns if that is
/// less than `connections` need: beyond it nothing can be accepted, not even to be refused. Tells whether it is enough.
pub fn raise_open_files(connections: u32) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the number of open files");
    }
    // None is no limit.
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let wanted = u64::from(connections) + OTHER_FILES;
    if files < wanted {
        tracing::warn!(
            files,
            wanted,
            "too few open files for limits.connections; raise LimitNOFILE or lower the limit"
        );
    }
    files >= wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_raised_to_what_the_system_allows() {
        // The usual soft limit of 1,024 ended the accepting at a quarter of the connections that are promised.
        let maximum = getrlimit(Resource::Nofile).maximum;
        raise_open_files(1);
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
        if maximum.is_some_and(|maximum| maximum < u64::from(u32::MAX)) {
            assert!(!raise_open_files(u32::MAX));
        }
    }
}
