//! `init` and `join`: the two steps between a platform and its agency.

use std::path::Path;

use veilmatch_protocol::name::{ListId, PlatformId};

use super::failure::Failure;
use crate::enrol;

pub fn init(dir: &Path, platform: &PlatformId, contact: &str) -> Result<String, Failure> {
    let made = enrol::init(dir, platform, contact)?;
    let dir = dir.display();
    Ok(format!(
        "platform {platform} ready in {dir}\n\
         next: send {} to the agency, on a channel where it knows you; then, with its answer:\n  \
         veilmatch --dir {dir} join INVITATION\n",
        made.request().display()
    ))
}

pub fn join(dir: &Path, invitation: &Path) -> Result<String, Failure> {
    let invitation = enrol::join(dir, invitation)?;
    let lists = invitation.lists();
    let lists: Vec<&str> = lists.iter().map(ListId::as_str).collect();
    Ok(format!(
        "joined {} at {}\n\
         lists: {}\n\
         budget: {} elements and {} frames a day and list\n\
         next: veilmatch --dir {} sync\n",
        invitation.agency(),
        invitation.address,
        lists.join(", "),
        invitation.budget.elements,
        invitation.budget.frames,
        dir.display()
    ))
}
