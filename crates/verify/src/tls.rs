//! The root certificates by which the checks authenticate Google: the system's, or given ones.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::fault::ProbeFault;

/// There are no usable root certificates.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file contains no readable certificate.
    #[error("it holds no certificate that can be read; it must be certificates in PEM form")]
    Ca,
    /// The system has no root certificates.
    #[error(
        "the system has no root certificates; install them (Debian: ca-certificates) or give --ca FILE"
    )]
    None,
    /// rustls reports an error.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Root certificates, for verify's checks and for TLS to upstreams. No other code reads them.
#[derive(Debug)]
pub struct TrustedRoots {
    /// The store for verifying a certificate chain.
    pub store: RootCertStore,
    /// The certificates of the given file, unchanged; empty if the system's are used.
    pub given: Vec<CertificateDer<'static>>,
}

impl TrustedRoots {
    /// Reads the certificates of `ca` (PEM), or the system's. The system's include an operator's own CA, and an update of
    /// the system removes a root that is withdrawn.
    ///
    /// # Errors
    /// [`RootsError`].
    pub fn read(ca: Option<&[u8]>) -> Result<Self, RootsError> {
        let mut store = RootCertStore::empty();
        let mut given = Vec::new();
        if let Some(pem) = ca {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| RootsError::Ca)?;
                store.add(certificate.clone()).map_err(|_| RootsError::Ca)?;
                given.push(certificate);
            }
            if store.is_empty() {
                return Err(RootsError::Ca);
            }
        } else {
            // An unreadable certificate is skipped: the system has more than a hundred.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                return Err(RootsError::None);
            }
        }
        Ok(Self { store, given })
    }
}

/// A TLS connector for servers whose certificates chain to these roots.
#[derive(Clone)]
pub struct Roots(TlsConnector);

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Roots")
    }
}

impl Roots {
    /// Uses the certificates of `ca` (PEM), or the system's.
    ///
    /// # Errors
    /// [`RootsError`].
    pub fn read(ca: Option<&[u8]>) -> Result<Self, RootsError> {
        let TrustedRoots { store, .. } = TrustedRoots::read(ca)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Ok(Self(Arc::new(config).into()))
    }

    /// Makes a TLS handshake with a server whose certificate must be for `host`.
    pub(super) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, ProbeFault> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ProbeFault::Tls(format!("{host} cannot be the name of a certificate")))?;
        let shaken = self.0.connect(name, stream).await;
        shaken.map_err(|error| ProbeFault::Tls(error.to_string()))
    }
}
