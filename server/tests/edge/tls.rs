//! Who gets through TLS.

use std::sync::Arc;

use rustls::{
    ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore, crypto::aws_lc_rs, version::TLS12,
};

use crate::{
    client::until_closed,
    pki::{Authority, as_client},
    scripted::ECHO,
    world::World,
};
use tokio::io::AsyncWriteExt;

// A client of TLS 1.3 thinks that it is through before the server has looked at its certificate: it hears the alert when
// it reads. Nothing that it sent meanwhile was read.
async fn is_refused(world: &World, config: ClientConfig) {
    let alert = match world.tls(config).await {
        Err(refused) => refused,
        Ok(mut stream) => {
            drop(stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await);
            until_closed(stream).await.1.expect_err("the connection was let in")
        }
    };
    assert!(!matches!(alert.kind(), std::io::ErrorKind::TimedOut), "{alert}");
    assert!(world.service.callers().is_empty());
}

#[tokio::test]
async fn no_certificate_is_refused() {
    // SPEC §9.1
    let world = World::start().await;
    is_refused(&world, world.authority.client_config(None)).await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    // SPEC §9.1
    let world = World::start().await;
    let other = Authority::new().client("platform.example");
    is_refused(&world, world.authority.client_config(Some(&other))).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    // SPEC §9.1
    let world = World::start().await;
    let expired = world.authority.expired_client("platform.example");
    is_refused(&world, world.authority.client_config(Some(&expired))).await;
}

#[tokio::test]
async fn a_servers_certificate_is_refused_from_a_client() {
    let world = World::start().await;
    let server = world.authority.leaf(|params| {
        as_client(params, "platform.example");
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    is_refused(&world, world.authority.client_config(Some(&server))).await;
}

#[tokio::test]
async fn a_certificate_that_its_holder_signed_itself_is_refused() {
    let world = World::start().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    as_client(&mut params, "platform.example");
    let leaf = crate::pki::Leaf { certificate: params.self_signed(&key).unwrap(), key };
    is_refused(&world, world.authority.client_config(Some(&leaf))).await;
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    // SPEC §9.1
    let world = World::start().await;
    let leaf = world.enrol("platform.example");
    let mut roots = RootCertStore::empty();
    roots.add(world.authority.certificate.der().clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![leaf.certificate.der().clone()], leaf.private_key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    is_refused(&world, config).await;
}

#[tokio::test]
async fn the_hybrid_group_is_agreed_on_and_no_session_is_resumed() {
    let world = World::start().await;
    let leaf = world.enrol("platform.example");
    let config = world.authority.client_config(Some(&leaf));
    for _ in 0..2 {
        let stream = world.tls(config.clone()).await.unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert_eq!(session.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
        assert_ne!(session.handshake_kind(), Some(HandshakeKind::Resumed));
        let mut client = crate::client::Client::open(stream).await;
        assert_eq!(client.evaluate(ECHO).await.echoed(), ECHO);
    }
}
