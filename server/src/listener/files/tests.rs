//! The files as tools read them: over TLS, with and without an auditor's certificate.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsConnector, client::TlsStream};
use veilmatch_protocol::name::PlatformId;

use crate::{
    Running, ServeOptions, Server,
    admin::AuditorKey,
    clock::{Clock, SystemClock},
    world::World,
};

type Stream = TlsStream<tokio::net::TcpStream>;

/// An agency of today whose logs are served as files.
async fn serving() -> (World, Running) {
    let world = World::at(SystemClock.now());
    world.import(0..3, "A1");
    world.publish();
    let path = world.root().join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap().replace("# listen = \"\"", "listen = \"127.0.0.1:0\"");
    std::fs::write(&path, config).unwrap();
    let options = ServeOptions { listen: Some("127.0.0.1:0".parse().unwrap()), ..ServeOptions::default() };
    let running = Server::start(&world.root(), options).await.unwrap();
    (world, running)
}

/// The certificate of an auditor, enrolled by its request, and its key.
fn auditor(world: &World, name: &str) -> (PathBuf, rcgen::KeyPair) {
    let key = rcgen::KeyPair::generate().unwrap();
    let (request, certificate) = (world.path("auditor.csr"), world.path("auditor.pem"));
    let pem = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    std::fs::write(&request, pem).unwrap();
    let name = PlatformId::parse(name).unwrap();
    world.agency().auditor_add(&name, AuditorKey::Request(&request, &certificate), SystemClock.now()).unwrap();
    (certificate, key)
}

async fn connect(
    world: &World,
    running: &Running,
    protocol: &[u8],
    show: Option<&(PathBuf, rcgen::KeyPair)>,
) -> Stream {
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(world.root().join("keys/authority.pem")).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    let mut config = match show {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_file_iter(certificate).unwrap().collect::<Result<_, _>>().unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let tcp = tokio::net::TcpStream::connect(running.files_addr().unwrap()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

/// Status line and headers, and the body.
async fn ask(stream: &mut Stream, method: &str, path: &str) -> (String, Vec<u8>) {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
}

#[tokio::test]
async fn everybody_reads_checkpoints_and_tiles_and_an_auditor_alone_the_entries_of_the_query_log() {
    // SPEC §20.1
    let (world, running) = serving().await;
    let certified = auditor(&world, "auditor.example");
    let query = world.store().logs().unwrap().pop().unwrap();
    let shard = query.origin.rsplit_once('/').unwrap().1.to_owned();
    let entries = format!("/query/{shard}/tile/entries/000.p/1");
    let file = world.root().join("logs/query").join(&shard).join("tile/entries/000.p/1");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, b"\x00\x01x").unwrap();
    let get = async |path: &str, show| {
        let (head, body) = ask(&mut connect(&world, &running, b"http/1.1", show).await, "GET", path).await;
        (head.split(' ').nth(1).unwrap().parse::<u16>().unwrap(), head, body)
    };

    let (status, head, body) = get("/manifest/checkpoint", None).await;
    assert_eq!((status, body), (200, std::fs::read(world.root().join("logs/manifest/checkpoint")).unwrap()));
    assert!(
        head.contains("content-type: text/plain; charset=utf-8") && head.contains("cache-control: no-cache"),
        "{head}"
    );
    let (status, head, body) = get("/manifest/tile/0/000.p/1", None).await;
    assert_eq!((status, body.len()), (200, 32));
    assert!(head.contains("application/octet-stream") && head.contains("immutable"), "{head}");
    assert_eq!(get("/manifest/tile/entries/000.p/1", None).await.0, 200);
    assert_eq!(get(&format!("/query/{shard}/checkpoint"), None).await.0, 200);

    assert_eq!(get(&entries, None).await.0, 403);
    // The server learns of the auditor when it next looks.
    let until = async |wanted| {
        let answered = async {
            loop {
                let answer = get(&entries, Some(&certified)).await;
                if answer.0 == wanted {
                    return answer;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), answered).await.unwrap()
    };
    let (_, head, body) = until(200).await;
    assert_eq!(body, b"\x00\x01x");
    assert!(head.contains("cache-control: private"), "{head}");
    // A platform's certificate, of the same authority, is not an auditor's.
    let platform = rcgen::KeyPair::generate().unwrap();
    let invitation = world.path("invitation.json");
    let request = world.request_file("platform.example", &platform, &ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
    world.agency().client_add(&request, &invitation, &Default::default(), SystemClock.now()).unwrap();
    let invitation: serde_json::Value = serde_json::from_slice(&std::fs::read(&invitation).unwrap()).unwrap();
    std::fs::write(world.path("platform.pem"), invitation["certificate"].as_str().unwrap()).unwrap();
    let platform = (world.path("platform.pem"), platform);
    assert_eq!(get(&entries, Some(&platform)).await.0, 403);

    let name = PlatformId::parse("auditor.example").unwrap();
    world.agency().auditor_suspend(&name, false, SystemClock.now()).unwrap();
    until(403).await;
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn nothing_but_get_and_head_of_a_log_s_path_is_answered() {
    // SPEC §20.1
    let (world, running) = serving().await;
    let status = async |method: &str, path: &str| {
        let (head, body) = ask(&mut connect(&world, &running, b"http/1.1", None).await, method, path).await;
        (head.split(' ').nth(1).unwrap().parse::<u16>().unwrap(), body.len())
    };
    assert_eq!(status("HEAD", "/manifest/checkpoint").await, (200, 0));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        assert_eq!(status(method, "/manifest/checkpoint").await, (405, 0), "{method}");
    }
    for path in [
        "/",
        "/veilmatch.db",
        "/manifest/../../keys/manifest-log.key",
        "/manifest/%2e%2e/manifest.lock",
        "/manifest/tile/0/001",
        "/manifest/.drafts",
        "/manifest/checkpoint?x=1",
        "/query/1999h1/checkpoint",
    ] {
        assert_eq!(status("GET", path).await, (404, 0), "{path}");
    }
    drop(running);
}

#[tokio::test]
async fn the_files_are_read_by_http_2_as_well() {
    // SPEC §20.1
    let (world, running) = serving().await;
    let stream = connect(&world, &running, b"h2", None).await;
    let (h2, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut h2 = h2.ready().await.unwrap();
    let request = http::Request::get("https://localhost/manifest/tile/0/000.p/1").body(()).unwrap();
    let (response, _) = h2.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(bytes, std::fs::read(world.root().join("logs/manifest/tile/0/000.p/1")).unwrap());
    drop(running);
}
