//! Frames of one element from end to end, from platforms that keep nothing: what a server answers, and what two processors
//! do when the platform's own records and its disk are left out.

use std::{path::Path, sync::Arc, time::SystemTime};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use veilmatch_audit::{acknowledgement::Acknowledgement, leaf::Leaf};
use veilmatch_client::{config::Config, enrol::Invitation, state_dir::StateDir};
use veilmatch_proto::{EvaluateFrame, FrameAnswer, pb};
use veilmatch_protocol::{
    derive::EpochContext,
    frame::{BatchId, BlindedFrame, FrameContext, FrameSize, View, request_digest, response_digest, signed_message},
    item::{Item, Kind},
    manifest::SignedManifest,
    name::{ListId, Origin, Version},
    note::Verifier,
    oprf::{Proof, PublicKey},
};
use veilmatch_server::store::Store;

/// A platform without a disk.
pub struct Bare {
    channel: Channel,
    request_key: SigningKey,
    ack_key: Verifier,
    context: FrameContext,
    version: Version,
    key: PublicKey,
    view: View,
}

impl Bare {
    /// Takes keys and certificate from the directory of a platform that has joined, and the newest version from the agency's
    /// store.
    pub async fn open(platform: &Path, store: &Store, list: &ListId) -> anyhow::Result<Self> {
        let (dir, invitation) = (StateDir::open(platform)?, Invitation::of(platform)?);
        let row = store.newest_version(list, None)?.context("the list was published")?;
        let manifest = SignedManifest::verify(&row.note, &invitation.manifest_key())?;
        let origin = Origin::of(&invitation.agency());
        let size = store.published_size(origin.as_str())?;
        let root = store.published_root(&origin, size)?.context("the manifest log was published")?;
        let seed = STANDARD.decode(std::fs::read_to_string(dir.request_key())?.trim())?;
        let platform = Config::read(&dir)?.platform()?;
        let (epoch, batch) = (row.epoch, BatchId([0; 16]));
        Ok(Self {
            channel: connect(&dir, &invitation).await?,
            request_key: SigningKey::try_from(&seed[..])?,
            ack_key: invitation.ack_key(),
            context: FrameContext { origin, list: list.clone(), epoch, platform, batch },
            key: manifest.manifest().public_key(),
            version: row.version,
            view: View { size, root },
        })
    }

    /// Asks one item, and verifies everything that a platform verifies of the answer.
    pub async fn check(&self, digest: [u8; 32]) -> anyhow::Result<()> {
        let context = FrameContext { batch: BatchId::random(&mut rand::rng()), ..self.context.clone() };
        let item = Item::new(Kind::Sha256, &digest)?;
        let blinded = BlindedFrame::blind(FrameSize::One, std::slice::from_ref(&item), &mut rand::rng());
        let req = request_digest(&context, blinded.elements().encodings());
        let minute = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() / 60;
        let version = self.version;
        let frame = EvaluateFrame {
            list: context.list.clone(),
            epoch: context.epoch,
            version,
            view: self.view,
            batch: context.batch,
            minute,
            blinded: blinded.elements().encodings().to_vec(),
            size: FrameSize::One,
            signature: self.request_key.sign(&signed_message(&req, &self.view, version, minute)).to_bytes(),
        };
        let mut evaluation = pb::evaluation_client::EvaluationClient::new(self.channel.clone());
        let answer = evaluation.evaluate(pb::EvaluateRequest::from(frame)).await?.into_inner();
        let answer = FrameAnswer::decode(answer, context.batch, FrameSize::One)?;
        let resp = response_digest(&req, &answer.evaluated, &Proof::from_bytes(&answer.proof)?);
        let verified = blinded.verify(&context, &self.key, answer.evaluated.as_flattened(), &answer.proof)?;
        let note = Acknowledgement::open(&answer.acknowledgement, &self.ack_key)?;
        let Leaf::Query(leaf) = Leaf::decode(&answer.leaf)? else { anyhow::bail!("a leaf of another log") };
        note.promises(&answer.leaf, &leaf)?;
        anyhow::ensure!(leaf.req == req && leaf.resp == Some(resp), "a record of another frame");
        let outputs = verified.finalize()?;
        let epoch = EpochContext { list: context.list.clone(), epoch: context.epoch };
        let tag = epoch.okm(&outputs[0].output).tag();
        std::hint::black_box(tag);
        Ok(())
    }
}

async fn connect(dir: &StateDir, invitation: &Invitation) -> anyhow::Result<Channel> {
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(invitation.authority.as_bytes()) {
        authorities.add(certificate?)?;
    }
    let chain = CertificateDer::pem_slice_iter(invitation.certificate.as_bytes()).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&std::fs::read(dir.tls_key())?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(authorities)
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (tls, name) = (TlsConnector::from(Arc::new(config)), ServerName::try_from(invitation.server_name.clone())?);
    let address = invitation.address.clone();
    let connector = tower::service_fn(move |_| {
        let (tls, name, address) = (tls.clone(), name.clone(), address.clone());
        async move {
            let tcp = TcpStream::connect(&address).await?;
            tcp.set_nodelay(true)?;
            anyhow::Ok(TokioIo::new(tls.connect(name, tcp).await?))
        }
    });
    let endpoint = Endpoint::from_shared(format!("https://{}", invitation.address))?;
    Ok(endpoint.connect_with_connector(connector).await?)
}
