//! The platform's configuration: a commented file in which unknown fields are refused.

use std::time::Duration;

use serde::Deserialize;
use veilmatch_protocol::name::PlatformId;

use crate::{Error, state_dir::StateDir};

/// What `config.toml` says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    platform: String,
    #[serde(default = "keep_results")]
    keep_results: bool,
    #[serde(default = "check_deadline_ms")]
    check_deadline_ms: u64,
    #[serde(default = "patience_s")]
    patience_s: u64,
    #[serde(default = "poll_s")]
    poll_s: u64,
    #[serde(default = "connect_timeout_ms")]
    connect_timeout_ms: u64,
}

/// Rescans without the network need the results; they are sealed and die with the epoch.
fn keep_results() -> bool {
    true
}

/// An upload path waits a few seconds at most; later the item is *not checked*, never *no match*.
fn check_deadline_ms() -> u64 {
    5_000
}

/// Ten minutes cover a restart or an upgrade of the agency's server in the middle of a scan.
fn patience_s() -> u64 {
    600
}

/// The stream announces versions at once; asking every minute only bounds what a broken stream can hide.
fn poll_s() -> u64 {
    60
}

/// A server that does not finish TLS in this time is tried again.
fn connect_timeout_ms() -> u64 {
    10_000
}

/// One field of the configuration, for the template and docs/config.md.
pub struct Field {
    /// Its name, with the unit at the end.
    pub name: &'static str,
    /// Its default.
    pub default: String,
    /// What it does, and why the default is what it is.
    pub meaning: &'static str,
}

/// Every field that has a default.
#[must_use]
pub fn fields() -> Vec<Field> {
    let field = |name, default: &dyn ToString, meaning| Field { name, default: default.to_string(), meaning };
    vec![
        field(
            "keep_results",
            &keep_results(),
            "Keep evaluated items sealed on disk, so that a rescan asks nobody. They are destroyed with their epoch.",
        ),
        field("check_deadline_ms", &check_deadline_ms(), "A single check that has no answer by then is not checked."),
        field("patience_s", &patience_s(), "How long a scan goes on asking a server that is away or busy."),
        field("poll_s", &poll_s(), "How often new versions are asked for where the announcing stream is broken."),
        field("connect_timeout_ms", &connect_timeout_ms(), "How long TCP and TLS may take."),
    ]
}

/// The file that `init` writes.
#[must_use]
pub fn template(platform: &PlatformId) -> String {
    let mut text = format!(
        "# Configuration of a Veilmatch platform. Unknown fields are refused; a commented line shows its default.\n\n\
         # The name under which the agency enrolled this platform. Part of every request.\nplatform = \"{platform}\"\n"
    );
    for field in fields() {
        text.push_str(&format!("\n# {}\n#{} = {}\n", field.meaning, field.name, field.default));
    }
    text
}

impl Config {
    /// Reads the directory's configuration.
    ///
    /// # Errors
    /// [`Error::Config`] with line and field, [`Error::Io`].
    pub fn read(dir: &StateDir) -> Result<Self, Error> {
        let path = dir.config();
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let config: Self =
            toml::from_str(&text).map_err(|error| Error::Config { path: path.clone(), why: error.to_string() })?;
        config.platform().map_err(|error| Error::Config { path, why: format!("platform: {error}") })?;
        Ok(config)
    }

    /// The platform's name.
    ///
    /// # Errors
    /// [`Error::Config`], never after [`Self::read`].
    pub fn platform(&self) -> Result<PlatformId, Error> {
        PlatformId::parse(&self.platform)
            .map_err(|error| Error::Config { path: "config.toml".into(), why: error.to_string() })
    }

    /// Whether evaluated items are kept.
    #[must_use]
    pub fn keep_results(&self) -> bool {
        self.keep_results
    }

    /// Deadline of a single check.
    #[must_use]
    pub fn check_deadline(&self) -> Duration {
        Duration::from_millis(self.check_deadline_ms)
    }

    /// How long bulk work waits for a server.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_s)
    }

    /// How often new versions are asked for.
    #[must_use]
    pub fn poll(&self) -> Duration {
        Duration::from_secs(self.poll_s.max(1))
    }

    /// How long a connection may take.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_configuration_commented_or_not() {
        let platform = PlatformId::parse("platform.example").unwrap();
        let template = template(&platform);
        let commented: Config = toml::from_str(&template).unwrap();
        let uncommented =
            fields().iter().fold(template, |text, f| text.replace(&format!("#{} =", f.name), &format!("{} =", f.name)));
        let explicit: Config = toml::from_str(&uncommented).unwrap();
        assert_eq!(format!("{commented:?}"), format!("{explicit:?}"));
        assert!(fields().iter().all(|field| uncommented.contains(&format!("\n{} = ", field.name))));
    }

    #[test]
    fn an_unknown_field_is_refused_by_its_name() {
        let error = toml::from_str::<Config>("platform = \"a\"\nkeep_result = true\n").unwrap_err();
        assert!(error.to_string().contains("keep_result"), "{error}");
    }
}
