//! `init`: a directory that can serve, in one step.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use veilmatch_protocol::name::AgencyName;

use crate::{
    Error,
    authority::Authority,
    config::{commented_file, split_address},
    keys::create_signing_key,
    state_dir::{StateDir, write_private, write_public},
    store::{Entries, Store},
};

/// What `init` must be told.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// Name of the agency.
    pub agency: AgencyName,
    /// `HOST:PORT` that platforms connect to.
    pub address: String,
    /// Where to listen, if not where the address says.
    pub listen: Option<SocketAddr>,
    /// Where to serve the logs as files, if at all.
    pub log_listen: Option<SocketAddr>,
}

impl InitOptions {
    // A literal address is listened on itself; a name may lead here by any interface.
    fn listen(&self) -> Result<SocketAddr, Error> {
        let (host, port) = split_address(&self.address).map_err(|why| Error::argument("--address", why))?;
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let local = if host == "localhost" { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { any };
        Ok(self.listen.unwrap_or_else(|| SocketAddr::new(host.parse().unwrap_or(local), port)))
    }
}

/// Makes an agency's directory: keys, trial authority, server certificate, databases, configuration.
///
/// The configuration comes last. Killed before it, `init` can be given again and makes everything anew.
///
/// # Errors
/// [`Error::AlreadyInitialised`], [`Error::Argument`], [`Error::Io`], [`Error::Certificate`].
pub fn init(root: &Path, options: &InitOptions, now: u64) -> Result<StateDir, Error> {
    let listen = options.listen()?;
    let (host, _) = split_address(&options.address).map_err(|why| Error::argument("--address", why))?;
    let dir = StateDir::create(root)?;
    let _lock = dir.lock_changes()?;
    // Under the lock: another `init` may have ended meanwhile.
    if dir.config().exists() {
        return Err(Error::AlreadyInitialised { dir: root.to_owned() });
    }
    let mut store = Store::open(&dir.database())?;
    let founded = store.agency()?;
    let another = founded.as_deref().is_some_and(|founded| founded != options.agency.as_str());
    if another && !store.lists()?.is_empty() {
        // Its configuration is gone, but not what it is for.
        return Err(Error::AlreadyInitialised { dir: root.to_owned() });
    }

    let (authority, own) = Authority::create(&options.agency, now)?;
    let server = authority.certify_server(host, now)?;
    let keys = dir.keys();
    write_private(&keys.join("authority.key"), own.key.as_bytes())?;
    write_public(&keys.join("authority.pem"), own.certificate.as_bytes())?;
    write_private(&keys.join("server.key"), server.key.as_bytes())?;
    write_public(&keys.join("server.pem"), server.certificate.as_bytes())?;
    for key in [dir.manifest_key(), dir.query_log_key(), dir.ack_key(), dir.witness_key()] {
        create_signing_key(&key)?;
    }

    if another || founded.is_none() {
        store.found_agency(&options.agency, now)?;
    }
    Entries::open(&dir.entries_database())?;
    let config = commented_file(&options.agency, listen, &options.address, options.log_listen);
    write_private(&dir.config(), config.as_bytes())?;
    Ok(dir)
}
