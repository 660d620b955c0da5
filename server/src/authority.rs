//! The trial certificate authority: it certifies the server, and each platform under a name of the agency's choosing.

use std::{fs, net::IpAddr, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
    SerialNumber, date_time_ymd,
};
use sha2::{Digest, Sha256};
use veilmatch_protocol::name::{AgencyName, PlatformId};
use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::ParsedExtension,
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS9_EXTENSION_REQUEST, OID_SIG_ECDSA_WITH_SHA256},
    prelude::FromDer,
};
use zeroize::Zeroizing;

use crate::{Error, clock::DAY, keys::draw, state_dir::read_secret};

/// Life of the trial authority: longer than any trial.
const AUTHORITY_DAYS: u64 = 3_650;

/// Life of the trial server's certificate: a trial does not stop in the middle.
const SERVER_DAYS: u64 = 825;

/// How far certificates begin before they are made, for clocks that are a little late.
const BACKDATED: u64 = 3_600;

/// A certificate and the key that was made for it, both PEM.
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: Zeroizing<String>,
}

/// What a platform's certificate says, and how the server recognises its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM.
    pub certificate: String,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub spki_sha256: [u8; 32],
    /// The URI in its subject alternative names.
    pub uri_san: String,
    /// When it expires.
    pub not_after: u64,
}

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority for one agency.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn create(agency: &AgencyName, now: u64) -> Result<(Self, Certified), Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refused)?;
        let mut params = params(&format!("Veilmatch trial authority of {agency}"), now, AUTHORITY_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(refused)?.pem();
        let certified = Certified { certificate, key: Zeroizing::new(key.serialize_pem()) };
        Ok((Self { issuer: Issuer::new(params, key) }, certified))
    }

    /// Reads an authority's certificate and key.
    ///
    /// # Errors
    /// [`Error::KeyFileMode`], [`Error::Io`], [`Error::Certificate`].
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, Error> {
        let pem = fs::read_to_string(certificate).map_err(Error::io("read", certificate))?;
        let key_pem = read_secret(key)?;
        let key_pem =
            std::str::from_utf8(&key_pem).map_err(|_| Error::KeyFile { path: key.to_owned(), why: "is not PEM" })?;
        let key = KeyPair::from_pem(key_pem).map_err(refused)?;
        Ok(Self { issuer: Issuer::from_ca_cert_pem(&pem, key).map_err(refused)? })
    }

    /// Certifies a server for the host that platforms connect to.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn certify_server(&self, host: &str, now: u64) -> Result<Certified, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refused)?;
        let mut params = params(host, now, SERVER_DAYS)?;
        params.subject_alt_names = vec![match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.try_into().map_err(refused)?),
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(refused)?.pem();
        Ok(Certified { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// Certifies a platform's key. Of its request only the key is taken: names, extensions and life are the agency's.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn certify_client(
        &self,
        request: &CertificateRequest,
        agency: &AgencyName,
        platform: &PlatformId,
        now: u64,
        days: u32,
    ) -> Result<ClientCertificate, Error> {
        self.certify_peer(request, platform.as_str(), client_uri(agency, platform), now, days)
    }

    /// Certifies the key of an auditor's request.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub fn certify_auditor(
        &self,
        request: &CertificateRequest,
        agency: &AgencyName,
        auditor: &PlatformId,
        now: u64,
        days: u32,
    ) -> Result<ClientCertificate, Error> {
        self.certify_peer(request, auditor.as_str(), format!("veilmatch://{agency}/auditor/{auditor}"), now, days)
    }

    fn certify_peer(
        &self,
        request: &CertificateRequest,
        name: &str,
        uri_san: String,
        now: u64,
        days: u32,
    ) -> Result<ClientCertificate, Error> {
        let mut params = params(name, now, days.into())?;
        params.subject_alt_names = vec![SanType::URI(uri_san.as_str().try_into().map_err(refused)?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = &request.0.public_key;
        let certificate = params.signed_by(key, &self.issuer).map_err(refused)?.pem();
        Ok(ClientCertificate {
            certificate,
            spki_sha256: request.spki_sha256(),
            uri_san,
            not_after: now + u64::from(days) * DAY,
        })
    }
}

/// A PKCS #10 request whose own signature verified: its sender holds the key.
pub struct CertificateRequest(CertificateSigningRequestParams);

impl CertificateRequest {
    /// Reads a PEM request of the one form that SPEC §9.2 has, and verifies its signature.
    ///
    /// # Errors
    /// What is wrong with it, in words for people.
    pub fn parse(pem: &str) -> Result<Self, String> {
        let der = only_block(pem).ok_or("is not one block CERTIFICATE REQUEST of PEM and nothing else")?;
        check_form(&der)?;
        CertificateSigningRequestParams::from_der(&der.into()).map(Self).map_err(|error| error.to_string())
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.public_key.subject_public_key_info()).into()
    }
}

// A reader that looks for a block somewhere in a text lets two readers see two requests in one file.
fn only_block(pem: &str) -> Option<Vec<u8>> {
    let body = pem.strip_prefix("-----BEGIN CERTIFICATE REQUEST-----")?.trim_end_matches(['\r', '\n']);
    let body = body.strip_suffix("-----END CERTIFICATE REQUEST-----")?;
    STANDARD.decode(body.split(['\r', '\n']).collect::<String>()).ok()
}

// Of a request only the key is used. What else it may hold is bounded all the same: nobody is to believe that a wish was
// granted which was never read.
fn check_form(der: &[u8]) -> Result<(), String> {
    let (rest, request) = X509CertificationRequest::from_der(der).map_err(|error| error.to_string())?;
    let (info, key) = (&request.certification_request_info, &request.certification_request_info.subject_pki);
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    let algorithms = request.signature_algorithm.algorithm == OID_SIG_ECDSA_WITH_SHA256
        && key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
        && curve == Some(OID_EC_P256);
    let attributes = info.attributes();
    let only_extensions =
        attributes.len() <= 1 && attributes.iter().all(|attribute| attribute.oid == OID_PKCS9_EXTENSION_REQUEST);
    let known = |extension: &ParsedExtension<'_>| {
        matches!(
            extension,
            ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::BasicConstraints(_)
        )
    };
    let few_extensions = request.requested_extensions().is_none_or(|mut all| all.all(known));
    if !rest.is_empty() {
        Err("has bytes behind the request".into())
    } else if !algorithms {
        Err("is not of a key for ECDSA P-256, signed with SHA-256".into())
    } else if !(only_extensions && few_extensions) {
        Err("asks for more than alternative names, key usage and basic constraints".into())
    } else {
        Ok(())
    }
}

/// The URI that names a platform in its certificate.
#[must_use]
pub fn client_uri(agency: &AgencyName, platform: &PlatformId) -> String {
    format!("veilmatch://{agency}/platform/{platform}")
}

fn params(common_name: &str, now: u64, days: u64) -> Result<CertificateParams, Error> {
    let at = |unix| date_time_ymd(1970, 1, 1) + Duration::from_secs(unix);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = at(now.saturating_sub(BACKDATED));
    params.not_after = at(now + days * DAY);
    let mut serial = draw::<16>()?;
    // Positive and of full length, as RFC 5280 asks.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(serial.as_slice()));
    Ok(params)
}

fn refused(error: rcgen::Error) -> Error {
    Error::Certificate { why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::X509Certificate;

    #[test]
    fn a_platform_gets_the_agencys_name_and_nothing_that_it_asked_for_itself() {
        let agency = AgencyName::parse("agency.example").unwrap();
        let platform = PlatformId::parse("platform.example").unwrap();
        let (authority, _) = Authority::create(&agency, 1_800_000_000).unwrap();

        let key = KeyPair::generate().unwrap();
        let mut wishes = CertificateParams::new(vec!["agency.example".to_owned()]).unwrap();
        wishes.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        wishes.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let csr = wishes.serialize_request(&key).unwrap().pem().unwrap();
        let request = CertificateRequest::parse(&csr).unwrap();

        let client = authority.certify_client(&request, &agency, &platform, 1_800_000_000, 30).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(client.certificate.as_bytes()).unwrap();
        let (_, parsed) = X509Certificate::from_der(&pem.contents).unwrap();
        assert!(!parsed.is_ca());
        let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names.len(), 1);
        assert_eq!(names[0].to_string(), format!("URI({})", client.uri_san));
        let usage = parsed.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.client_auth && !usage.server_auth);
        assert_eq!(parsed.validity().not_after.timestamp(), 1_800_000_000 + 30 * 86_400);
        assert_eq!(<[u8; 32]>::from(Sha256::digest(parsed.public_key().raw)), client.spki_sha256);
    }

    fn requested(key: &KeyPair, wish: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::default();
        wish(&mut params);
        params.serialize_request(key).unwrap().pem().unwrap()
    }

    #[test]
    fn a_request_of_another_algorithm_is_refused() {
        // SPEC §9.2
        assert!(CertificateRequest::parse(&requested(&KeyPair::generate().unwrap(), |_| ())).is_ok());
        for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let why = CertificateRequest::parse(&requested(&key, |_| ())).err().unwrap();
            assert!(why.contains("P-256"), "{why}");
        }
    }

    #[test]
    fn a_request_that_asks_for_more_is_refused() {
        // SPEC §9.2
        let key = KeyPair::generate().unwrap();
        let names = requested(&key, |params| {
            params.subject_alt_names = vec![SanType::DnsName("platform.example".try_into().unwrap())];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.is_ca = IsCa::ExplicitNoCa;
        });
        assert!(CertificateRequest::parse(&names).is_ok());
        let usage = requested(&key, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
        assert!(CertificateRequest::parse(&usage).err().unwrap().contains("more than"));
    }

    #[test]
    fn a_file_with_anything_but_one_request_is_refused() {
        // SPEC §9.2
        let csr = requested(&KeyPair::generate().unwrap(), |_| ());
        assert!(CertificateRequest::parse(&csr.replace("\r\n", "\n")).is_ok());
        let label = csr.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
        for bad in [label, format!("a word\n{csr}"), format!("{csr}a word\n"), format!("{csr}{csr}"), String::new()] {
            assert!(CertificateRequest::parse(&bad).err().unwrap().contains("PEM"), "{bad}");
        }
    }

    #[test]
    fn a_request_whose_signature_is_broken_is_refused() {
        // SPEC §9.2
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap();
        let mut der = csr.der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        assert!(CertificateSigningRequestParams::from_der(&der.into()).is_err());
        assert!(CertificateRequest::parse("nonsense").is_err());
    }
}
