//! What keeps keys out of core dumps and away from debuggers.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

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
