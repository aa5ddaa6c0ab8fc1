//! HTTPS by Rill itself. A new certificate is used for the connections that follow, and open ones go on.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::interval;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the files have changed.
const WATCH: Duration = Duration::from_secs(5);

/// The certificate with its key.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    config: RwLock<Arc<ServerConfig>>,
    /// The files as they were read.
    stamps: Mutex<Stamps>,
}

/// When a file was changed, and its length in bytes.
type Stamp = Option<(SystemTime, u64)>;
type Stamps = [Stamp; 2];

const HELD: &str = "no holder of the lock panics";

impl Tls {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// A sentence that names the file and says what is wrong.
    pub fn load(cert: PathBuf, key: PathBuf) -> Result<Self, String> {
        let stamps = stamps(&cert, &key);
        let config = read(&cert, &key)?;
        Ok(Self {
            cert,
            key,
            config: RwLock::new(config),
            stamps: Mutex::new(stamps),
        })
    }

    /// Reads the files again. A mistake changes nothing.
    ///
    /// # Errors
    /// A sentence that names the file and says what is wrong.
    pub fn reload(&self) -> Result<(), String> {
        *self.stamps.lock().expect(HELD) = stamps(&self.cert, &self.key);
        let config = read(&self.cert, &self.key)?;
        *self.config.write().expect(HELD) = config;
        Ok(())
    }

    /// Reads the files again whenever they have changed, until the server stops.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(WATCH);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if *self.stamps.lock().expect(HELD) == stamps(&self.cert, &self.key) {
                continue;
            }
            match self.reload() {
                Ok(()) => tracing::info!("the certificate was read again"),
                Err(sentence) => {
                    tracing::error!("the certificate before stays in use: {sentence}");
                }
            }
        }
    }

    /// Accepts a connection with the present certificate.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config.read().expect(HELD)))
    }
}

fn stamps(cert: &Path, key: &Path) -> Stamps {
    [cert, key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn read(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let in_file =
        |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let certificates = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| in_file(cert, &error))?;
    if certificates.is_empty() {
        return Err(in_file(cert, &"there is no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| in_file(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has both versions")
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                in_file(key, &format!("this is not the key of {}", cert.display()))
            }
            error => in_file(cert, &error),
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
