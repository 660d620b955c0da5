//! How long a server is away that was killed with many leaves in its query log: from the start of its process to the first
//! answer, once after all is published and once in the middle of load.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, ensure};
use veilmatch_audit::origin::{LogOrigin, Shard};
use veilmatch_client::Client;
use veilmatch_protocol::{
    manifest::Timestamp,
    name::{AgencyName, Epoch},
};
use veilmatch_server::{
    logs::{LogKeys, keeper::Keeper},
    state_dir::StateDir,
    store::{FrameWriter, Store},
};

use crate::{
    frames::{Agency, check, digest},
    writer::load,
};
