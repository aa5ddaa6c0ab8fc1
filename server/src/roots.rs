//! The certificate authorities that are trusted: those of the system, or, where it has none, Mozilla's list in the binary.
//! So the binary runs alone in an empty file system, and reaches providers from there.

use reqwest::{Certificate, Client, ClientBuilder};

/// Builds an HTTP client. `make` is called once more if the system has no certificates.
///
/// # Errors
/// When no client can be built, for another reason.
pub(crate) fn build(make: impl Fn() -> ClientBuilder) -> Result<Client, reqwest::Error> {
    make().build().or_else(|error| {
        let client = make().tls_certs_only(bundled()).build();
        client.map_err(|_| error)
    })
}

fn bundled() -> impl Iterator<Item = Certificate> {
    let all = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    all.filter_map(|certificate| Certificate::from_der(certificate).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_in_the_binary_is_taken_whole() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        assert!(bundled().count() > 100);
        let client = Client::builder().tls_certs_only(bundled()).build();
        assert!(client.is_ok(), "{client:?}");
    }
}
