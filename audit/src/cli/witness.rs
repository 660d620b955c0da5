//! `veilmatch-audit witness`

use std::{
    fs::File,
    io,
    io::Read,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rand::{TryRng, rngs::SysRng};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use veilmatch_protocol::note::Verifier;
use zeroize::Zeroizing;

use super::{Failure, open};
use crate::witness::{key, register::Register, service};

/// Longest file of certificates that is read.
const MAX_FILE: u64 = 1 << 20;

/// A witness of C2SP tlog-witness for everybody's logs: it keeps the last checkpoint of each, and cosigns only what extends it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write the key of a new witness NAME to FILE, print its verifier key, and end
    #[arg(long, num_args = 2, value_names = ["NAME", "FILE"], conflicts_with_all = ["key", "log", "policy", "state", "listen"])]
    new_key: Option<Vec<String>>,
    /// Key of this witness, made with --new-key
    #[arg(long, value_name = "FILE", required_unless_present = "new_key")]
    key: Option<PathBuf>,
    /// A log to serve, by its verifier key; can be given again, also for a log's next key
    #[arg(long, value_name = "VKEY", value_parser = verifier, required_unless_present_any = ["policy", "new_key"])]
    log: Vec<Verifier>,
    /// Serve the logs that a policy names in its lines `log`
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Folder for what was cosigned last. Never restore it from a backup: an older state cosigns a fork
    #[arg(long, value_name = "DIR", required_unless_present = "new_key")]
    state: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7380")]
    listen: SocketAddr,
    /// Certificates in PEM to serve HTTPS with, the own one first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

fn verifier(vkey: &str) -> Result<Verifier, String> {
    Verifier::parse(vkey).map_err(|_| "not a verifier key of type 0x01: <name>+<id>+<base64>".to_owned())
}

/// Makes a key, or serves until a signal says to stop; gives what is printed at the end.
pub(super) fn run(args: Args) -> Result<String, Failure> {
    if let Some([name, file]) = args.new_key.as_deref() {
        return new_key(name, Path::new(file));
    }
    let key_file = args.key.expect("clap asks for --key");
    let state = args.state.expect("clap asks for --state");
    let mut logs = args.log;
    if let Some(path) = &args.policy {
        let named = open::policy(path)?;
        logs.extend(named.logs().iter().map(|log| log.key.clone()));
        if logs.is_empty() {
            return Err(Failure::Given { what: "policy", value: path.display().to_string(), why: "has no line `log`" });
        }
    }
    let cosigner = key::read(&key_file).map_err(|error| Failure::file(&key_file, error))?;
    let register = Register::open(&state, logs, cosigner).map_err(|error| Failure::file(&state, error))?;
    let tls = args.tls_cert.zip(args.tls_key).map(|(chain, key)| acceptor(&chain, &key)).transpose()?;
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::serve("start the runtime"))?;
    runtime.block_on(serve(args.listen, tls, register))?;
    Ok(String::new())
}

fn new_key(name: &str, file: &Path) -> Result<String, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    SysRng.try_fill_bytes(&mut seed[..]).map_err(|error| Failure::file(file, io::Error::other(error)))?;
    let witness = key::create(file, name, &seed).map_err(|error| Failure::file(file, error))?;
    Ok(format!("{witness}\n"))
}

async fn serve(listen: SocketAddr, tls: Option<TlsAcceptor>, register: Register) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signal = signal(kind).map_err(Failure::serve("listen for signals"))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signal.recv().await;
            stop.cancel();
        });
    }
    let listener = TcpListener::bind(listen).await.map_err(Failure::serve(format!("listen on {listen}")))?;
    let address = listener.local_addr().map_err(Failure::serve("listen"))?;
    eprintln!("veilmatch-audit: listening on {}://{address}", if tls.is_some() { "https" } else { "http" });
    service::serve(listener, tls, Arc::new(register), stop).await;
    eprintln!("veilmatch-audit: stopped");
    Ok(())
}

fn acceptor(certificates: &Path, key: &Path) -> Result<TlsAcceptor, Failure> {
    let unusable = |path: &Path| {
        let value = path.display().to_string();
        move |_| Failure::Given { what: "PEM file", value, why: "cannot be used for TLS" }
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificates)?).collect();
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(unusable(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain.map_err(unusable(certificates))?, private);
    let config = config.map_err(|_| Failure::Given {
        what: "certificate and key",
        value: certificates.display().to_string(),
        why: "do not belong together",
    })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(|error| Failure::file(path, error))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| Failure::file(path, error))?;
    if bytes.len() as u64 <= MAX_FILE {
        Ok(bytes)
    } else {
        Err(Failure::file(path, io::Error::other("the file is too long")))
    }
}
