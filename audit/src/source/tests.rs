//! Tests of reading a log from a site.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use clap::Parser;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use veilmatch_protocol::merkle::{leaf_hash, root};

use super::*;
use crate::{
    checkpoint::Checkpoint,
    cli,
    tile::{Growth, View},
};

/// A site on a free port: each request is answered by what `respond` makes of its number and its path.
struct Served {
    url: String,
    requests: Arc<AtomicUsize>,
}

type Respond = dyn Fn(usize, &str) -> Vec<u8> + Send + Sync;

fn serve(tls: Option<Arc<ServerConfig>>, respond: impl Fn(usize, &str) -> Vec<u8> + Send + Sync + 'static) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://127.0.0.1:{}/log", listener.local_addr().unwrap().port());
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            match &tls {
                None => respond_once(stream, &counted, &respond),
                Some(config) => {
                    let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                    respond_once(
                        StreamOwned::<ServerConnection, TcpStream>::new(connection, stream),
                        &counted,
                        &respond,
                    );
                }
            }
        }
    });
    Served { url, requests }
}

/// A peer that goes away in the middle, as those do whose certificate is refused, gets nothing.
fn respond_once(stream: impl Read + Write, requests: &AtomicUsize, respond: &Respond) {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    if stream.read_line(&mut first).is_err() {
        return;
    }
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = respond(requests.fetch_add(1, Ordering::SeqCst), &path);
    let _ = stream.get_mut().write_all(&answer).and_then(|()| stream.get_mut().flush());
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Answers from the files of a folder.
fn from_folder(folder: &LogFolder, path: &str) -> Vec<u8> {
    match fs::read(folder.dir().join(path.trim_start_matches("/log/"))) {
        Ok(bytes) => answer("200 OK", &bytes),
        Err(_) => answer("404 Not Found", b""),
    }
}

fn log(size: u64) -> (TempDir, LogFolder) {
    let temp = TempDir::new().unwrap();
    let folder = LogFolder::create(temp.path()).unwrap();
    let mut growth = Growth::new();
    (0..size).for_each(|n| {
        growth.push(&n.to_be_bytes()).unwrap();
    });
    folder.write(&growth.take_files()).unwrap();
    (temp, folder)
}

fn site(served: &Served, access: &Access) -> Site {
    Site { first_pause: Duration::from_millis(1), ..Site::new(&served.url, access).unwrap() }
}

fn size_and_root(site: &Site, size: u64) -> io::Result<Hash> {
    crate::tree::root_at(&View::new(site, size), size)
}

fn root_of(size: u64) -> Hash {
    root((0..size).map(|n| leaf_hash(&n.to_be_bytes())))
}

#[test]
fn a_log_is_read_from_a_site_as_from_its_folder() {
    let (temp, folder) = log(600);
    let in_folder = open(temp.path(), "", &Access::default()).unwrap();
    let served = serve(None, move |_, path| from_folder(&folder, path));
    for place in [served.url.clone(), served.url.clone() + "/"] {
        let files = open(temp.path(), &place, &Access::default()).unwrap();
        let (here, there) = (View::new(&*in_folder, 600), View::new(&*files, 600));
        assert_eq!(crate::tree::root_at(&there, 600).unwrap(), root_of(600));
        assert_eq!(there.entries(2).unwrap(), here.entries(2).unwrap());
        assert_eq!(files.read("checkpoint", 100).unwrap(), None);
    }
}

#[test]
fn an_audit_of_a_log_at_a_url_finds_what_one_of_its_folder_finds() {
    let (temp, folder) = log(600);
    let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
    let vkey = veilmatch_protocol::note::Verifier::new("log.example/a", key.verifying_key()).unwrap().to_string();
    let publish = |root| {
        let checkpoint = Checkpoint { origin: "log.example/a".to_owned(), size: 600, root };
        folder.publish(crate::checkpoint::sign(&checkpoint, &key).unwrap().as_bytes()).unwrap();
    };
    let files = folder.clone();
    let served = serve(None, move |_, path| from_folder(&files, path));
    let audit = |place: &str| {
        let line = ["veilmatch-audit", "verify", place, "--key", &vkey, "--tree-only"];
        cli::run(cli::Args::try_parse_from(line).unwrap()).unwrap().exit()
    };
    for (root, exit) in [(root_of(600), cli::Exit::Clean), (root_of(599), cli::Exit::Findings)] {
        publish(root);
        assert_eq!(audit(temp.path().to_str().unwrap()), exit);
        assert_eq!(audit(&served.url), exit);
    }
}

#[test]
fn a_place_that_is_neither_folder_nor_site_is_refused() {
    let temp = TempDir::new().unwrap();
    assert!(open(temp.path(), "missing", &Access::default()).is_err());
    for url in ["ftp://a.example", "http://a.example/?x", "https://a.example/#x", "a.example"] {
        assert_eq!(Site::new(url, &Access::default()).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{url}");
    }
}

#[test]
fn a_site_that_fails_now_and_then_is_asked_again() {
    let (_temp, folder) = log(3);
    let served = serve(None, move |number, path| match number % 4 {
        0 => answer("503 Service Unavailable", b""),
        1 => b"HTTP/1.1 200 OK\r\nContent-Length: 96\r\n\r\nbroken off".to_vec(),
        2 => Vec::new(),
        _ => from_folder(&folder, path),
    });
    assert_eq!(size_and_root(&site(&served, &Access::default()), 3).unwrap(), root_of(3));
    assert_eq!(served.requests.load(Ordering::SeqCst), 4);
}

#[test]
fn a_site_that_never_answers_is_given_up() {
    let served = serve(None, |_, _| answer("500 Internal Server Error", b""));
    assert!(site(&served, &Access::default()).read("checkpoint", 10).is_err());
    assert_eq!(served.requests.load(Ordering::SeqCst), TRIES as usize);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let served = Served { url: format!("http://{nobody}"), requests: Arc::default() };
    assert!(site(&served, &Access::default()).read("checkpoint", 10).is_err());
}

#[test]
fn refusals_are_told_apart_and_not_repeated() {
    for (status, kind) in [
        ("403 Forbidden", io::ErrorKind::PermissionDenied),
        ("401 Unauthorized", io::ErrorKind::PermissionDenied),
        ("302 Found", io::ErrorKind::InvalidData),
        ("204 No Content", io::ErrorKind::InvalidData),
    ] {
        let served = serve(None, move |_, _| answer(status, b""));
        let refused = site(&served, &Access::default()).read("checkpoint", 10).unwrap_err();
        assert_eq!(refused.kind(), kind, "{status}");
        assert_eq!(served.requests.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn an_answer_that_does_not_end_is_cut_off_behind_what_was_asked_for() {
    let served = serve(None, |_, _| {
        let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n".to_vec();
        [endless, vec![7; 4_096]].concat()
    });
    let site = site(&served, &Access::default());
    assert_eq!(site.read("tile/0/000.p/3", 96).unwrap().unwrap().len(), 97);
    let refused = View::new(&site, 3).hashes(0, 0).unwrap_err();
    assert_eq!(refused.get_ref().unwrap().downcast_ref(), Some(&crate::Error::BadTile));
}

/// An authority, and a certificate of it with its key, as PEM files.
struct Authority {
    _dir: TempDir,
    pem: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
    chain: PathBuf,
    key: PathBuf,
    der: (Vec<u8>, Vec<u8>),
}

fn authority() -> Authority {
    let dir = TempDir::new().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (pem, chain, key_file) =
        (file("ca.pem", issuer.pem()), file("cert.pem", certificate.pem()), file("key.pem", key.serialize_pem()));
    let der = (certificate.der().to_vec(), key.serialize_der());
    Authority { pem, chain, key: key_file, der, issuer, _dir: dir }
}

/// A server with the certificate of `own` that reads only for certificates of `clients`.
fn mutual(own: &Authority, clients: &Authority) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.issuer.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let (certificate, key) = own.der.clone();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.into()], PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)));
    Arc::new(config.unwrap())
}

#[test]
fn entries_are_read_over_tls_with_a_certificate_of_the_reader() {
    let (own, clients, stranger) = (authority(), authority(), authority());
    let (_temp, folder) = log(3);
    let served = serve(Some(mutual(&own, &clients)), move |_, path| from_folder(&folder, path));
    let shown = |of: &Authority| Some((of.chain.clone(), of.key.clone()));
    let access = Access { authorities: Some(own.pem.clone()), certificate: shown(&clients) };
    assert_eq!(size_and_root(&site(&served, &access), 3).unwrap(), root_of(3));
    for refused in [
        Access { certificate: None, ..access.clone() },
        Access { certificate: shown(&stranger), ..access.clone() },
        Access { authorities: Some(stranger.pem.clone()), ..access.clone() },
    ] {
        assert!(size_and_root(&site(&served, &refused), 3).is_err());
    }
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let own = authority();
    for access in [
        Access { authorities: Some(own.key.clone()), certificate: None },
        Access { authorities: Some(own.pem.clone()), certificate: Some((own.chain.clone(), own.chain.clone())) },
        Access { authorities: Some(own.pem.with_extension("gone")), certificate: None },
    ] {
        let refused = Site::new("https://127.0.0.1/", &access).unwrap_err().to_string();
        assert!(refused.contains(".pem") || refused.contains(".gone"), "{refused}");
    }
}
