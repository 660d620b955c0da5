//! Enrolment: keys are made here and stay here; a request goes to the agency, an invitation comes back (SPEC §9.2).

use std::{path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::Signer;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    pki_types::{CertificateDer, UnixTime},
    server::WebPkiClientVerifier,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use veilmatch_audit::{
    cosignature::Witness,
    origin::{ack_key, agency_witness_key, match_log_key, platform_witness_key, query_log_key, receipt_key},
};
use veilmatch_protocol::{
    name::{AgencyName, ListId, Origin, PlatformId},
    note::Verifier,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::{
    Error, config,
    connection::{authorities, chain},
    keys::Keys,
    matchlog::Vault,
    state_dir::{StateDir, read_secret, write_private},
};

/// Longest invitation that is read.
const MAX_INVITATION: u64 = 64 * 1_024;

/// Longest contact, in bytes.
const MAX_CONTACT: usize = 256;

#[derive(Serialize)]
struct RequestFile<'a> {
    r#type: &'a str,
    platform: &'a str,
    csr: &'a str,
    request_key: String,
    match_log_key: String,
    receipt_key: String,
    witness_key: String,
    contact: &'a str,
    signature: String,
}

/// Makes a platform's directory: keys, configuration and the request for the agency.
///
/// # Errors
/// [`Error::Contact`], [`Error::AlreadyInitialised`], [`Error::Io`], [`Error::Tls`].
pub fn init(root: &Path, platform: &PlatformId, contact: &str) -> Result<StateDir, Error> {
    if contact.len() > MAX_CONTACT || contact.chars().any(char::is_control) {
        return Err(Error::Contact);
    }
    let dir = StateDir::create(root)?;
    let tls = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(tls_error)?;
    write_private(&dir.tls_key(), Zeroizing::new(tls.serialize_pem()).as_bytes())?;
    let keys = Keys::make(&dir)?;
    Vault::make(&dir)?;

    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, platform.as_str());
    let csr = params.serialize_request(&tls).and_then(|csr| csr.pem()).map_err(tls_error)?;
    let verifier = |name: &str, key| Verifier::new(name, key).expect("names of platforms are legal").to_string();
    let match_log_key = verifier(&match_log_key(platform), keys.match_log.verifying_key());
    let receipt_key = verifier(&receipt_key(platform), keys.receipt.verifying_key());
    let witness = Witness::new(&platform_witness_key(platform), keys.witness.verifying_key());
    let witness_key = witness.expect("names of platforms are legal").to_string();
    let covered =
        ["veilmatch/v1/enrolment", platform.as_str(), &csr, contact, &match_log_key, &receipt_key, &witness_key];
    let signature = keys.request.sign(&signed_message(&covered));
    let request = RequestFile {
        r#type: "veilmatch/enrolment-request/v1",
        platform: platform.as_str(),
        csr: &csr,
        request_key: STANDARD.encode(keys.request.verifying_key().as_bytes()),
        match_log_key,
        receipt_key,
        witness_key,
        contact,
        signature: STANDARD.encode(signature.to_bytes()),
    };
    let text = serde_json::to_string_pretty(&request).expect("strings always serialise") + "\n";
    write_private(&dir.request(), text.as_bytes())?;
    write_private(&dir.config(), config::template(platform).as_bytes())?;
    Ok(dir)
}

/// What a request's signature covers: domain, platform, certificate request, contact and keys, each length-prefixed.
fn signed_message(fields: &[&str]) -> Vec<u8> {
    let mut message = Vec::new();
    for field in fields {
        let len = u16::try_from(field.len()).expect("`init` bounds the contact, the rest is ours");
        message.extend_from_slice(&len.to_be_bytes());
        message.extend_from_slice(field.as_bytes());
    }
    message
}

/// The agency's invitation, as `join` keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    r#type: String,
    agency: String,
    /// `HOST:PORT` of the server.
    pub address: String,
    /// The name in the server's certificate.
    pub server_name: String,
    /// The authority that certifies the server, PEM.
    pub authority: String,
    /// Our certificate, PEM.
    pub certificate: String,
    manifest_key: String,
    query_log_key: String,
    ack_key: String,
    witness_key: String,
    lists: Vec<String>,
    /// What may be asked of each list in a UTC day.
    pub budget: Budget,
}

/// A daily budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Elements, dummies included.
    pub elements: u64,
    /// Frames.
    pub frames: u64,
}

impl Invitation {
    /// The agency's name.
    #[must_use]
    pub fn agency(&self) -> AgencyName {
        AgencyName::parse(&self.agency).expect("checked when read")
    }

    /// The pinned key of the manifest log.
    #[must_use]
    pub fn manifest_key(&self) -> Verifier {
        Verifier::parse(&self.manifest_key).expect("checked when read")
    }

    /// The pinned key of all shards of the query log.
    #[must_use]
    pub fn query_log_key(&self) -> Verifier {
        Verifier::parse(&self.query_log_key).expect("checked when read")
    }

    /// The pinned key of acknowledgements.
    #[must_use]
    pub fn ack_key(&self) -> Verifier {
        Verifier::parse(&self.ack_key).expect("checked when read")
    }

    /// The agency as a witness of this platform's match log.
    #[must_use]
    pub fn witness_key(&self) -> Witness {
        Witness::parse(&self.witness_key).expect("checked when read")
    }

    /// SHA-256 of our certificate, in hexadecimal: what a record of a match names it by.
    ///
    /// # Errors
    /// [`Error::Tls`], never after [`join`].
    pub fn certificate_digest(&self) -> Result<String, Error> {
        let leaf = chain(&self.certificate)?.into_iter().next();
        let leaf = leaf.ok_or_else(|| Error::Tls("the invitation's certificate is empty".to_owned()))?;
        Ok(hex::encode(Sha256::digest(&leaf)))
    }

    /// The lists that may be asked.
    #[must_use]
    pub fn lists(&self) -> Vec<ListId> {
        self.lists.iter().map(|list| ListId::parse(list).expect("checked when read")).collect()
    }

    /// The invitation that a directory has taken over.
    ///
    /// # Errors
    /// [`Error::NotInitialised`], [`Error::NotJoined`], [`Error::Invitation`].
    pub fn of(root: &Path) -> Result<Self, Error> {
        let dir = StateDir::open(root)?;
        if !dir.invitation().is_file() {
            return Err(Error::NotJoined { dir: root.to_owned() });
        }
        Self::read(&dir.invitation())
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let length = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
        let wrong = |why: &str| Error::Invitation { path: path.to_owned(), why: why.to_owned() };
        if length > MAX_INVITATION {
            return Err(wrong("is longer than 64 KiB"));
        }
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        let invitation: Self = serde_json::from_slice(&text).map_err(|error| wrong(&error.to_string()))?;
        if invitation.r#type != "veilmatch/invitation/v1" {
            return Err(wrong("type: is not veilmatch/invitation/v1"));
        }
        let agency = AgencyName::parse(&invitation.agency).map_err(|_| wrong("agency: is not a name"))?;
        let foreign = invitation.foreign_key(&agency);
        if let Some(field) = foreign {
            return Err(wrong(&format!("{field}: is not a verifier key of the agency's for this purpose")));
        }
        if invitation.lists.is_empty() || invitation.lists.iter().any(|list| ListId::parse(list).is_err()) {
            return Err(wrong("lists: is empty or has something that is not a name"));
        }
        Ok(invitation)
    }
}

impl Invitation {
    /// The first field that has no key, or one of another name.
    fn foreign_key(&self, agency: &AgencyName) -> Option<&'static str> {
        let named = |key: &str, name: &str| Verifier::parse(key).is_ok_and(|key| key.name() == name);
        let witness = Witness::parse(&self.witness_key).is_ok_and(|key| key.name() == agency_witness_key(agency));
        let fields = [
            ("manifest_key", named(&self.manifest_key, Origin::of(agency).as_str())),
            ("query_log_key", named(&self.query_log_key, &query_log_key(agency))),
            ("ack_key", named(&self.ack_key, &ack_key(agency))),
            ("witness_key", witness),
        ];
        fields.into_iter().find(|(_, right)| !right).map(|(field, _)| field)
    }
}

/// The policy that a platform starts with: itself as the only witness (SPEC §17.5).
pub(crate) fn default_policy(invitation: &Invitation, witness: &Witness) -> String {
    format!(
        "# Whose cosignatures the agency's manifest log must have (C2SP tlog-policy). This platform alone stops rewriting and\n\
         # rollback. It does not exclude that two platforms are shown two lists: for that, add other witnesses and a group.\n\
         log {}\n\
         witness self {witness}\n\
         quorum self\n",
        invitation.manifest_key
    )
}

/// Takes an invitation over: its certificate must be for the key that `init` made.
///
/// # Errors
/// [`Error::Invitation`] names the field, [`Error::NotInitialised`], [`Error::Io`].
pub fn join(root: &Path, path: &Path) -> Result<Invitation, Error> {
    let dir = StateDir::open(root)?;
    let invitation = Invitation::read(path)?;
    let wrong = |why: &str| Error::Invitation { path: path.to_owned(), why: why.to_owned() };
    let platform = config::Config::read(&dir)?.platform()?;

    if dir.invitation().is_file() && Invitation::read(&dir.invitation())?.manifest_key != invitation.manifest_key {
        return Err(wrong(
            "manifest_key: this directory has joined another agency; make another with `veilmatch init`",
        ));
    }
    let certificates = chain(&invitation.certificate).map_err(|_| wrong("certificate: is not PEM"))?;
    let (leaf, intermediates) = certificates.split_first().ok_or_else(|| wrong("certificate: is empty"))?;
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| wrong("certificate: is not X.509"))?;
    let key = KeyPair::from_pem(&String::from_utf8_lossy(&read_secret(&dir.tls_key())?)).map_err(tls_error)?;
    let ours = rcgen::PublicKeyData::subject_public_key_info(&key);
    if certificate.public_key().raw != ours.as_slice() {
        return Err(wrong("certificate: is for another key; was the request made anew since?"));
    }
    let identity = format!("veilmatch://{}/platform/{platform}", invitation.agency);
    let names = certificate.subject_alternative_name().ok().flatten();
    let named = names.is_some_and(|names| {
        let uri = |name: &_| matches!(name, x509_parser::extensions::GeneralName::URI(uri) if *uri == identity);
        names.value.general_names.iter().any(uri)
    });
    if !named {
        return Err(wrong("certificate: is for another platform"));
    }
    let roots =
        authorities(&invitation.authority).map_err(|_| wrong("authority: has no certificate that can be used"))?;
    verify_chain(roots, leaf, intermediates).map_err(|error| wrong(&format!("certificate: {error}")))?;
    let text = serde_json::to_string_pretty(&invitation).expect("strings and numbers always serialise") + "\n";
    if !dir.policy().exists() {
        let witness = Witness::new(&platform_witness_key(&platform), Keys::read(&dir)?.witness.verifying_key());
        let policy = default_policy(&invitation, &witness.expect("names of platforms are legal"));
        write_private(&dir.policy(), policy.as_bytes())?;
    }
    write_private(&dir.invitation(), text.as_bytes())?;
    Ok(invitation)
}

/// Whether the authority of the invitation certifies us now: found out here, not at the first connection.
fn verify_chain(
    roots: rustls::RootCertStore,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|error| error.to_string())?;
    verifier.verify_client_cert(leaf, intermediates, UnixTime::now()).map(drop).map_err(|error| error.to_string())
}

fn tls_error(error: rcgen::Error) -> Error {
    Error::Tls(error.to_string())
}

#[cfg(test)]
pub(crate) mod tests;
