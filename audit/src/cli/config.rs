//! `audit.toml`: the parties, their keys as they said them themselves, and where their logs and papers are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::Failure;

/// The whole file. Paths are relative to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the agency.
    pub agency: String,
    /// Folder with the checkpoints of the last audit.
    pub state: PathBuf,
    /// Policy whose cosignatures count; none, if none was agreed. It is about the logs that its lines `log` name, and about
    /// the agency's if it has none.
    pub policy: Option<PathBuf>,
    /// Verifier key that the agency cosigns with: what counts for match logs that no policy is about.
    pub witness_key: Option<String>,
    /// Authorities in PEM to believe for logs at https URLs, in the place of the system's.
    pub ca: Option<PathBuf>,
    /// The certificate to show there.
    pub certificate: Option<CertificateFiles>,
    /// The manifest log.
    pub manifest: ManifestLog,
    /// The query logs.
    pub query: QueryLogs,
    /// The platforms.
    pub platform: Vec<PlatformLogs>,
    /// Canaries that the agency opens.
    pub canaries: Option<PathBuf>,
    /// The agency's own records, for level 2: digests, so only in a sealed setting.
    pub items: Option<PathBuf>,
    /// What the parties agreed on.
    #[serde(default)]
    pub terms: TermsOf,
    /// Checkpoints that witnesses show.
    #[serde(default)]
    pub witness: Vec<WitnessView>,
}

/// A certificate of the auditor's, to read entries with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// PEM file of certificates, the own one first.
    pub chain: PathBuf,
    /// PEM file of their private key.
    pub key: PathBuf,
}

/// The manifest log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestLog {
    /// Folder or URL.
    pub log: String,
    /// Verifier key.
    pub key: String,
    /// Folder with `<list>/<version>.artifact`, `.delta` and `.codes`, as far as they are at hand.
    pub artifacts: Option<PathBuf>,
    /// Folder with certificates, and the keys of the certifiers.
    pub certificates: Option<PathBuf>,
    /// Verifier keys of certifiers.
    #[serde(default)]
    pub certifiers: Vec<String>,
}

/// The query logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryLogs {
    /// Folders or URLs, one per shard.
    pub logs: Vec<String>,
    /// Verifier key named `<agency>/veilmatch/query`.
    pub key: String,
    /// Verifier key named `<agency>/veilmatch/ack`.
    pub ack_key: String,
}

/// A platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformLogs {
    /// Its name.
    pub name: String,
    /// Its match logs, folders or URLs, one per shard.
    pub logs: Vec<String>,
    /// Policy of its match logs, in the place of the one of all.
    pub policy: Option<PathBuf>,
    /// Verifier key of its match logs.
    pub match_key: String,
    /// Verifier key of its receipts.
    pub receipt_key: String,
    /// Its request key, base64.
    pub request_key: String,
    /// Acknowledgements that it kept.
    pub acknowledgements: Option<PathBuf>,
    /// Receipts that it released.
    pub openings: Option<PathBuf>,
    /// Its daily budget, if its invitation says another than the manifest.
    pub budget: Option<Budget>,
}

/// A daily budget.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Elements.
    pub elements: u64,
    /// Frames.
    pub frames: u64,
}

/// Terms outside of the logs.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TermsOf {
    /// Days until a match's receipt is released.
    pub receipt_days: Option<u64>,
    /// Days until a match's record is erased.
    pub erase_days: Option<u64>,
    /// Certificates that a version has at least.
    pub certificates: usize,
}

/// A checkpoint that a witness shows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessView {
    /// Name of the witness.
    pub name: String,
    /// Files with its newest checkpoints, of any of the logs.
    #[serde(default)]
    pub checkpoints: Vec<PathBuf>,
    /// Where it shows its newest checkpoint of each log (C2SP tlog-witness).
    pub url: Option<String>,
}

impl Config {
    /// Reads the file; gives it with the folder that its paths are relative to.
    ///
    /// # Errors
    /// [`Failure::File`], [`Failure::Config`].
    pub fn read(path: &Path) -> Result<(Self, PathBuf), Failure> {
        let text = fs::read_to_string(path).map_err(|error| Failure::file(path, error))?;
        let refused = |error: toml::de::Error| Failure::Config {
            path: path.display().to_string(),
            why: error.message().to_owned(),
        };
        let config = toml::from_str(&text).map_err(refused)?;
        Ok((config, path.parent().unwrap_or(Path::new("")).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_the_paper_is_read() {
        let paper = include_str!("../../../docs/auditing.md");
        let sample = paper.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let config: Config = toml::from_str(sample).unwrap();
        assert_eq!(config.certificate.unwrap().chain, Path::new("auditor.pem"));
        assert_eq!(config.platform[0].name, "platform.example");
        assert!(toml::from_str::<Config>(&format!("unknown = 1\n{sample}")).is_err());
    }
}
