//! HTTPS by Rill itself: the files with its certificate.

use std::path::PathBuf;

use clap::Args;

/// The files for HTTPS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct TlsOptions {
    /// Serve HTTPS with this certificate and those that lead to its root, in PEM format. The file is read again when
    /// it changes.
    #[arg(
        long = "tls-cert",
        env = "RILL_TLS_CERT",
        value_name = "FILE",
        global = true
    )]
    pub cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM format.
    #[arg(
        long = "tls-key",
        env = "RILL_TLS_KEY",
        value_name = "FILE",
        global = true
    )]
    pub key: Option<PathBuf>,
}

impl TlsOptions {
    /// The files of the certificate and of the key, if Rill serves HTTPS itself.
    ///
    /// # Errors
    /// A sentence if only one of them is named.
    pub fn files(&self) -> Result<Option<(PathBuf, PathBuf)>, String> {
        match (&self.cert, &self.key) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some((cert.clone(), key.clone()))),
            (Some(_), None) => Err("--tls-cert needs --tls-key, the file with its key".to_owned()),
            (None, Some(_)) => Err("--tls-key needs --tls-cert, its certificate".to_owned()),
        }
    }

    /// Whether Rill serves HTTPS itself.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.cert.is_some()
    }
}
