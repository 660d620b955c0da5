//! The configuration of an agency's directory: `config.toml`, every key of it, and why each default is what it is.
//!
//! The structs, the commented file that `init` writes and docs/config.md are made from one list, [`settings`].

mod defaults;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use veilmatch_protocol::{frame::FrameSize, name::AgencyName};

use crate::{Error, limits::Limits, state_dir::StateDir};

/// No budget reaches this: canonical JSON holds smaller integers exactly (SPEC §8.2).
pub const MAX_BUDGET: u64 = 1 << 53;

/// Ten years: no certificate, version or epoch is meant to last longer, and no date computed from it is one that cannot
/// be written.
const MAX_DAYS: u32 = 3_650;

/// Half of the time within which a leaf is under a published checkpoint (SPEC §17.7): what fails can be tried again in time.
const MAX_CHECKPOINT_SECONDS: u64 = 30;

/// One key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The table that holds it.
    pub table: &'static str,
    /// Its name.
    pub key: &'static str,
    /// Its default in TOML; `None` if `init` must be told.
    pub default: Option<String>,
    /// What it counts: `days`, `elements`, `path`.
    pub unit: &'static str,
    /// What it does, in one or two sentences.
    pub meaning: String,
    /// Why the default is what it is.
    pub reason: &'static str,
}

// Makes a table's struct, its defaults and its rows of `settings` from one list.
macro_rules! table {
    ($(#[doc = $table_doc:literal])+ $name:ident, $table:literal {
        $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $default:ident, $unit:literal;)*
    }) => {
        $(#[doc = $table_doc])+
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: defaults::$default().0,)* }
            }
        }

        impl $name {
            fn settings() -> Vec<Setting> {
                vec![$({
                    let (default, reason) = defaults::$default();
                    Setting {
                        table: $table,
                        key: stringify!($field),
                        default: Some(in_toml(default)),
                        unit: $unit,
                        meaning: [$($doc),+].map(str::trim).join(" "),
                        reason,
                    }
                }),*]
            }
        }
    };
}

/// Everything in `config.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the agency.
    pub agency: String,
    /// Where the server listens and how platforms reach it.
    pub network: Network,
    /// Certificates and keys of the connection.
    #[serde(default)]
    pub tls: Tls,
    /// How lists are published.
    #[serde(default)]
    pub publication: Publication,
    /// What is taken from sources without a word.
    #[serde(default)]
    pub import: Import,
    /// What a platform may ask in a UTC day unless its enrolment says otherwise.
    #[serde(default)]
    pub budget: Budget,
    /// How platforms are enrolled.
    #[serde(default)]
    pub enrolment: Enrolment,
    /// How frames are answered.
    #[serde(default)]
    pub frames: Frames,
    /// How the agency's logs are published.
    #[serde(default)]
    pub log: Log,
    /// How the process behaves.
    #[serde(default)]
    pub process: Process,
    /// What a peer may take of the connection layer.
    #[serde(default)]
    pub limits: Limits,
}

/// Where the server listens and how platforms reach it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// `HOST:PORT` that stands in invitations.
    pub address: String,
}

table! {
    /// Certificates and keys of the connection. Paths are relative to the directory.
    Tls, "tls" {
        /// The server's certificate chain, PEM.
        certificate: PathBuf = tls_certificate, "path";
        /// The server's private key, PEM, mode 0600.
        key: PathBuf = tls_key, "path";
        /// The authority that platforms check the server against and that the server checks platforms against, PEM.
        authority: PathBuf = tls_authority, "path";
        /// The trial authority's private key, PEM, mode 0600: `client add` signs with it. A deployment with its own
        /// authority keeps this key elsewhere.
        authority_key: PathBuf = tls_authority_key, "path";
    }
}

table! {
    /// How lists are published.
    Publication, "publication" {
        /// How long a version may be used after it was published. Half-way through, `serve` publishes the same list
        /// again.
        validity_hours: u32 = validity_hours, "hours";
        /// How long an old epoch is served beside the new one after `key rotate`; then its key is destroyed. 0 destroys
        /// it at once. With less than `validity_hours`, platforms that have not synchronised get no evaluations after it,
        /// although the version that they hold is still valid.
        overlap_hours: u32 = overlap_hours, "hours";
        /// Newest artifacts kept per epoch, so that a download which has begun can end.
        kept_artifacts: u32 = kept_artifacts, "versions";
        /// How long a delta is offered at most; together they never take more room than the artifact. A platform that was
        /// away for longer fetches the whole artifact.
        delta_days: u32 = delta_days, "days";
        /// How long it is remembered who claimed an entry that was taken out: `list compact` forgets what is older.
        history_days: u32 = history_days, "days";
        /// How often the running server publishes what has changed; 0 leaves that to `list publish`. What leaves a list
        /// should not wait: say --publish when you retract.
        every_minutes: u32 = every_minutes, "minutes";
        /// Frame sizes that platforms may use.
        frame_sizes: Vec<u32> = frame_sizes, "elements";
    }
}

table! {
    /// What `list import --source` takes from a source without a word. Beyond it, the import stops and takes nothing, unless
    /// it is repeated with `--allow-jump`.
    Import, "import" {
        /// By how much a source may grow with one file.
        growth_percent: u32 = growth_percent, "percent";
        /// By how much a source may shrink with one file.
        shrink_percent: u32 = shrink_percent, "percent";
        /// A source with fewer digests may grow and shrink as it likes.
        jump_from: u64 = jump_from, "digests";
    }
}

table! {
    /// What a platform may ask of one list in a UTC day, unless its enrolment says otherwise.
    Budget, "budget" {
        /// Elements, dummies included.
        elements_per_day: u64 = elements_per_day, "elements per day";
        /// Frames of any size.
        frames_per_day: u64 = frames_per_day, "frames per day";
    }
}

table! {
    /// How platforms are enrolled.
    Enrolment, "enrolment" {
        /// Life of the certificates that `client add` signs. The same request, given again, renews.
        certificate_days: u32 = certificate_days, "days";
    }
}

table! {
    /// How frames are answered.
    Frames, "frames" {
        /// Elements that may wait for a processor; beyond it frames are refused with a time to wait. An eighth is kept for
        /// frames of at most 16; of larger ones a platform may have half waiting, of small ones a sixteenth.
        waiting_elements: u32 = waiting_elements, "elements";
        /// Processors that evaluate; 0 takes all.
        threads: u32 = threads, "threads";
        /// How often an answered frame is answered again.
        retries: u32 = retries, "answers";
        /// How long after its first answer a frame is answered again.
        retry_hours: u32 = retry_hours, "hours";
        /// Records of refused frames that one platform can cause in a minute.
        refusals_per_minute: u32 = refusals_per_minute, "records per minute";
    }
}

table! {
    /// How the agency's logs are published.
    Log, "log" {
        /// How often the query log is signed and published; at most 30, half of what acknowledgements promise.
        checkpoint_seconds: u32 = checkpoint_seconds, "seconds";
        /// Address and port where the logs are served as files, by the server's certificate and to everybody; entries of the
        /// query log to enrolled auditors alone. Empty: they are not.
        listen: String = log_listen, "address";
        /// A tlog-policy of C2SP. Each of its witnesses that has an address is asked to cosign each checkpoint. Empty: none is.
        policy: PathBuf = log_policy, "path";
    }
}

table! {
    /// How the process behaves.
    Process, "process" {
        /// How often the running server looks for what commands have changed.
        poll_ms: u32 = poll_ms, "milliseconds";
        /// `text` or `json`, on stderr.
        log_format: LogFormat = log_format, "format";
        /// What is logged, in the syntax of tracing's EnvFilter.
        log_filter: String = log_filter, "filter";
        /// Offer gRPC server reflection.
        reflection: bool = reflection, "yes or no";
    }
}

impl Log {
    /// Where the logs are served as files, if they are.
    ///
    /// # Errors
    /// What is wrong with `log.listen`.
    pub fn listen(&self) -> Result<Option<SocketAddr>, String> {
        if self.listen.is_empty() {
            return Ok(None);
        }
        let parsed = self.listen.parse().map_err(|_| "log.listen: is no address and port, as 127.0.0.1:7444 is one");
        Ok(Some(parsed?))
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Every key, in the order of the file.
#[must_use]
pub fn settings() -> Vec<Setting> {
    let required = |table, key, unit, meaning: &str, reason| Setting {
        table,
        key,
        default: None,
        unit,
        meaning: meaning.to_owned(),
        reason,
    };
    let mut all = vec![
        required(
            "",
            "agency",
            "name",
            "Name of the agency, by convention its domain name; it is part of every transcript.",
            "set by `init --agency`; never changed afterwards",
        ),
        required(
            "network",
            "listen",
            "address",
            "Address and port to listen on.",
            "set by `init --address` or `--listen`",
        ),
        required(
            "network",
            "address",
            "HOST:PORT",
            "How platforms reach the server; stands in invitations, and its host in the certificate.",
            "set by `init --address`",
        ),
    ];
    all.extend(Tls::settings());
    all.extend(Publication::settings());
    all.extend(Import::settings());
    all.extend(Budget::settings());
    all.extend(Enrolment::settings());
    all.extend(Frames::settings());
    all.extend(Log::settings());
    all.extend(Process::settings());
    all.extend(Limits::settings());
    all
}

/// The file that `init` writes: what was told is set, every default stands there as a comment.
#[must_use]
pub fn commented_file(
    agency: &AgencyName,
    listen: SocketAddr,
    address: &str,
    log_listen: Option<SocketAddr>,
) -> String {
    let mut file = String::from(
        "# Configuration of a Veilmatch agency. Unknown keys are refused.\n\
         # A line that begins with '#' shows a default; remove the '#' to set another value.\n",
    );
    let mut table = "";
    for setting in settings() {
        if setting.table != table {
            table = setting.table;
            file += &format!("\n[{table}]\n");
        }
        file += &wrapped_comment(&format!("{} ({})", setting.meaning, setting.unit));
        let told = match (setting.table, setting.key) {
            ("", "agency") => Some(in_toml(agency.as_str())),
            ("network", "listen") => Some(in_toml(listen.to_string())),
            ("log", "listen") => log_listen.map(|listen| in_toml(listen.to_string())),
            ("network", "address") => Some(in_toml(address)),
            _ => None,
        };
        let (key, default) = (setting.key, setting.default.unwrap_or_default());
        file += &told.map_or_else(|| format!("# {key} = {default}\n"), |told| format!("{key} = {told}\n"));
    }
    file
}

fn wrapped_comment(text: &str) -> String {
    let mut out = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > 100 {
            out += &format!("{line}\n");
            line = String::from("#");
        }
        line += " ";
        line += word;
    }
    out + &line + "\n"
}

impl Config {
    /// Reads and checks the configuration of a directory.
    ///
    /// # Errors
    /// [`Error::Config`] with line and field, [`Error::Io`].
    pub fn read(dir: &StateDir) -> Result<Self, Error> {
        let path = dir.config();
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        Self::parse(&text, &path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let refuse = |why: String| Error::Config { path: path.to_owned(), why };
        let config: Self = toml::from_str(text).map_err(|error| refuse(error.to_string().trim_end().to_owned()))?;
        config.check().map_err(refuse)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        AgencyName::parse(&self.agency).map_err(|error| format!("agency: {error}"))?;
        self.server_name()?;
        self.limits.check()?;
        self.log.listen()?;
        for &size in &self.publication.frame_sizes {
            let legal = usize::try_from(size).is_ok_and(|size| FrameSize::try_from(size).is_ok());
            if !legal {
                return Err(format!("publication.frame_sizes: {size} is none of 1, 4, 16, 256, 1024, 4096"));
            }
        }
        let most: [(&str, u64, u64); 7] = [
            ("budget.elements_per_day", self.budget.elements_per_day, MAX_BUDGET - 1),
            ("budget.frames_per_day", self.budget.frames_per_day, MAX_BUDGET - 1),
            ("enrolment.certificate_days", self.enrolment.certificate_days.into(), MAX_DAYS.into()),
            ("publication.validity_hours", self.publication.validity_hours.into(), u64::from(MAX_DAYS) * 24),
            ("publication.overlap_hours", self.publication.overlap_hours.into(), u64::from(MAX_DAYS) * 24),
            ("frames.retry_hours", self.frames.retry_hours.into(), u64::from(MAX_DAYS) * 24),
            ("log.checkpoint_seconds", self.log.checkpoint_seconds.into(), MAX_CHECKPOINT_SECONDS),
        ];
        if let Some((key, _, most)) = most.into_iter().find(|(_, value, most)| value > most) {
            return Err(format!("{key}: must be at most {most}"));
        }
        let ascending = self.publication.frame_sizes.is_sorted_by(|a, b| a < b);
        let positive: [(&str, u64); 9] = [
            ("publication.frame_sizes", if ascending { self.publication.frame_sizes.len() as u64 } else { 0 }),
            ("publication.validity_hours", self.publication.validity_hours.into()),
            ("publication.kept_artifacts", self.publication.kept_artifacts.into()),
            ("budget.elements_per_day", self.budget.elements_per_day),
            ("budget.frames_per_day", self.budget.frames_per_day),
            ("enrolment.certificate_days", self.enrolment.certificate_days.into()),
            ("process.poll_ms", self.process.poll_ms.into()),
            ("log.checkpoint_seconds", self.log.checkpoint_seconds.into()),
            ("frames.waiting_elements", u64::from(self.frames.waiting_elements) / 8_192),
        ];
        match positive.into_iter().find(|(_, value)| *value == 0) {
            Some(("frames.waiting_elements", _)) => {
                Err("frames.waiting_elements: must hold two frames of 4096 at least".to_owned())
            }
            Some(("publication.frame_sizes", _)) => {
                Err("publication.frame_sizes: must be a non-empty ascending list".to_owned())
            }
            Some((key, _)) => Err(format!("{key}: must not be 0")),
            None => Ok(()),
        }
    }

    /// The agency's name.
    #[must_use]
    pub fn agency(&self) -> AgencyName {
        AgencyName::parse(&self.agency).expect("checked when the configuration was read")
    }

    /// The host of the public address: what the server's certificate names.
    ///
    /// # Errors
    /// What is wrong with `network.address`.
    pub fn server_name(&self) -> Result<&str, String> {
        split_address(&self.network.address).map(|(host, _)| host)
    }
}

/// Splits `HOST:PORT` or `[IPv6]:PORT`.
///
/// # Errors
/// What is wrong with it.
pub fn split_address(address: &str) -> Result<(&str, u16), String> {
    let wrong = || format!("network.address: {address:?} is not HOST:PORT");
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.contains(['/', ' ', '[', ']']) { Err(wrong()) } else { Ok((host, port)) }
}

// The text of a value in a TOML file.
fn in_toml(value: impl InToml) -> String {
    value.write()
}

trait InToml {
    fn write(&self) -> String;
}

impl InToml for &str {
    fn write(&self) -> String {
        toml::Value::String((*self).to_owned()).to_string()
    }
}

impl InToml for String {
    fn write(&self) -> String {
        self.as_str().write()
    }
}

impl InToml for PathBuf {
    fn write(&self) -> String {
        self.to_string_lossy().into_owned().write()
    }
}

impl InToml for u32 {
    fn write(&self) -> String {
        self.to_string()
    }
}

impl InToml for u64 {
    fn write(&self) -> String {
        self.to_string()
    }
}

impl InToml for bool {
    fn write(&self) -> String {
        self.to_string()
    }
}

impl InToml for Vec<u32> {
    fn write(&self) -> String {
        let items: Vec<String> = self.iter().map(u32::to_string).collect();
        format!("[{}]", items.join(", "))
    }
}

impl InToml for LogFormat {
    fn write(&self) -> String {
        match self {
            Self::Text => "text".write(),
            Self::Json => "json".write(),
        }
    }
}

#[cfg(test)]
mod tests;
