//! Enrolment: keys are made here and stay here; a request goes to the agency, an invitation comes back (SPEC §9.2).

use std::{path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use rand::{TryRng, rngs::SysRng};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    pki_types::{CertificateDer, UnixTime},
    server::WebPkiClientVerifier,
};
use serde::{Deserialize, Serialize};
use veilmatch_protocol::{
    name::{AgencyName, ListId, Origin, PlatformId},
    note::Verifier,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::{
    Error, config,
    connection::{authorities, chain},
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
    let mut seed = Zeroizing::new([0; 32]);
    SysRng
        .try_fill_bytes(seed.as_mut_slice())
        .map_err(|error| Error::io("draw random bytes for", &dir.request_key())(std::io::Error::other(error)))?;
    let request_key = SigningKey::from_bytes(&seed);
    write_private(&dir.request_key(), Zeroizing::new(STANDARD.encode(seed.as_slice()) + "\n").as_bytes())?;

    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, platform.as_str());
    let csr = params.serialize_request(&tls).and_then(|csr| csr.pem()).map_err(tls_error)?;
    let signature = request_key.sign(&signed_message(platform.as_str(), &csr, contact));
    let request = RequestFile {
        r#type: "veilmatch/enrolment-request/v1",
        platform: platform.as_str(),
        csr: &csr,
        request_key: STANDARD.encode(request_key.verifying_key().as_bytes()),
        contact,
        signature: STANDARD.encode(signature.to_bytes()),
    };
    let text = serde_json::to_string_pretty(&request).expect("strings always serialise") + "\n";
    write_private(&dir.request(), text.as_bytes())?;
    write_private(&dir.config(), config::template(platform).as_bytes())?;
    Ok(dir)
}

/// What a request's signature covers: domain, platform, certificate request and contact, each length-prefixed.
fn signed_message(platform: &str, csr: &str, contact: &str) -> Vec<u8> {
    let mut message = Vec::new();
    for field in ["veilmatch/v1/enrolment", platform, csr, contact] {
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
        let key =
            Verifier::parse(&invitation.manifest_key).map_err(|_| wrong("manifest_key: is not a verifier key"))?;
        if key.name() != Origin::of(&agency).as_str() {
            return Err(wrong("manifest_key: is not the agency's"));
        }
        // What a later version puts there is checked by clients of that version; this one would leave it unchecked.
        if !invitation.query_log_key.is_empty() || !invitation.ack_key.is_empty() {
            return Err(wrong("query_log_key, ack_key: must be empty; this program is too old for that agency"));
        }
        if invitation.lists.is_empty() || invitation.lists.iter().any(|list| ListId::parse(list).is_err()) {
            return Err(wrong("lists: is empty or has something that is not a name"));
        }
        Ok(invitation)
    }
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

/// The key that signs requests.
pub(crate) fn request_key(dir: &StateDir) -> Result<SigningKey, Error> {
    let path = dir.request_key();
    let wrong = || Error::KeyFile { path: path.clone(), why: "is not 32 bytes of base64" };
    let text = read_secret(&path)?;
    let seed = Zeroizing::new(STANDARD.decode(text.trim_ascii()).map_err(|_| wrong())?);
    Ok(SigningKey::from_bytes(seed.as_slice().try_into().map_err(|_| wrong())?))
}

fn tls_error(error: rcgen::Error) -> Error {
    Error::Tls(error.to_string())
}

#[cfg(test)]
pub(crate) mod tests;
