use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use tempfile::TempDir;
use veilmatch_protocol::name::AgencyName;

use super::*;
use crate::authority::{Authority, Certified};

const NOW: u64 = 1_800_000_000;

struct Files {
    _dir: TempDir,
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
    signer: Authority,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (signer, root) = Authority::create(&AgencyName::parse("agency.example").unwrap(), NOW).unwrap();
        let files = Self {
            certificate: dir.path().join("server.pem"),
            key: dir.path().join("server.key"),
            authority: dir.path().join("authority.pem"),
            _dir: dir,
            signer,
        };
        fs::write(&files.authority, root.certificate).unwrap();
        let server = files.certify();
        fs::write(&files.certificate, server.certificate).unwrap();
        fs::write(&files.key, server.key.as_bytes()).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
        files
    }

    fn certify(&self) -> Certified {
        self.signer.certify_server("localhost", NOW).unwrap()
    }

    fn load(&self, now: u64) -> Result<ServerTls, Error> {
        ServerTls::load(&self.certificate, &self.key, &self.authority, now)
    }

    fn refused(&self) -> Error {
        self.load(NOW).err().expect("the files were taken")
    }
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let files = Files::new();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = files.refused();
    assert_eq!(refused.reason(), "KEY_FILE_MODE");
    assert_eq!(refused.hint(), format!("chmod 600 {}", files.key.display()));
}

#[test]
fn what_is_no_key_or_no_certificate_is_refused_with_its_file() {
    type Pick = fn(&Files) -> &PathBuf;
    let cases: [(Pick, &str); 3] = [
        (|files| &files.key, "BAD_KEY_FILE"),
        (|files| &files.certificate, "CERTIFICATE"),
        (|files| &files.authority, "CERTIFICATE"),
    ];
    for (pick, reason) in cases {
        for text in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "nonsense"] {
            let files = Files::new();
            fs::write(pick(&files), text).unwrap();
            let refused = files.refused();
            assert_eq!(refused.reason(), reason, "{text:?}: {refused}");
        }
        let files = Files::new();
        fs::remove_file(pick(&files)).unwrap();
        let refused = files.refused();
        assert_eq!(refused.reason(), "IO");
        assert!(refused.to_string().contains(&*pick(&files).to_string_lossy()), "{refused}");
    }
}

#[test]
fn a_key_that_does_not_fit_its_certificate_is_refused() {
    let files = Files::new();
    fs::write(&files.certificate, files.certify().certificate).unwrap();
    assert_eq!(files.refused().reason(), "CERTIFICATE");
}

#[test]
fn an_expired_certificate_is_refused_and_one_with_a_week_left_is_complained_about() {
    let files = Files::new();
    let tls = files.load(NOW).unwrap();
    let end = tls.not_after();
    assert!(!tls.warn_of_expiry(end - 7 * DAY - 1));
    assert!(tls.warn_of_expiry(end - 7 * DAY));
    files.load(end - 1).unwrap();
    let refused = files.load(end).err().expect("it has expired").to_string();
    assert!(refused.contains(&rfc3339(end)), "{refused}");
}

#[test]
fn an_identity_is_the_keys_digest_and_every_uri() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let uris = ["veilmatch://agency.example/platform/a", "veilmatch://agency.example/platform/b"];
    params.subject_alt_names.extend(uris.map(|uri| rcgen::SanType::URI(uri.try_into().unwrap())));
    let certificate = params.self_signed(&key).unwrap();
    let identity = PeerIdentity::of(certificate.der()).unwrap();
    assert_eq!(identity.uri_sans, uris);
    let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
    assert_eq!(identity.spki_sha256, <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(spki)));
}

#[test]
fn what_is_no_certificate_has_no_identity() {
    let whole = {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::default().self_signed(&key).unwrap().der().to_vec()
    };
    for len in 0..whole.len() {
        assert!(PeerIdentity::of(&whole[..len].to_vec().into()).is_err(), "{len}");
    }
}
