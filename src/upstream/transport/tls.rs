//! Whom TLS trusts, and whom it expects.
//!
//! Without a `ca_file` in the configuration the system's root certificates count, read when the
//! configuration is: so an operator's own CA is among them as for every other program, and a root
//! that is withdrawn goes with an update of the system. Roots compiled in would do neither.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::{VerifierBuilderError, WebPkiServerVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::pinned::Pinned;

/// TLS to the servers of an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The `ca_file` is not certificates.
    #[error(
        "its `ca_file` holds no certificate that can be read; it must be certificates in PEM form"
    )]
    Ca,
    /// There are no root certificates.
    #[error(
        "the system has no root certificates; install them (Debian: ca-certificates), name their \
         file in SSL_CERT_FILE, or give the upstream a `ca_file`"
    )]
    NoRoots,
    /// No certificate can have this name.
    #[error("{0:?} is not a name that a certificate can have")]
    Name(Box<str>),
    /// The URL cannot be made.
    #[error("{0:?} cannot be the path of a URL")]
    Path(Box<str>),
    /// rustls refuses.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// rustls refuses the root certificates.
    #[error("TLS: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// The certificates that those of an upstream's servers must go back to; read at first use.
pub(in crate::upstream) struct Roots<'c> {
    ca: Option<&'c [u8]>,
    read: Option<Arc<Pinned>>,
}

/// TLS to one server.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl<'c> Roots<'c> {
    /// Those of `ca_file` (PEM), or the system's.
    pub(in crate::upstream) const fn new(ca: Option<&'c [u8]>) -> Self {
        Self { ca, read: None }
    }

    /// TLS to the server at `address`, whose certificate must be for `name` or else for its
    /// address, to speak the protocol `alpn`.
    pub(super) fn client(
        &mut self,
        address: SocketAddr,
        name: Option<&str>,
        alpn: &[u8],
    ) -> Result<Tls, OpenError> {
        let name = match name {
            Some(name) => {
                ServerName::try_from(name.to_owned()).map_err(|_| OpenError::Name(name.into()))?
            }
            None => ServerName::IpAddress(address.ip().into()),
        };
        let provider = Arc::new(ring::default_provider());
        // What is dangerous about a verifier of one's own: that it could accept too much.
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(self.read()?)
            .with_no_client_auth();
        config.alpn_protocols.push(alpn.to_vec());
        Ok(Tls {
            connector: Arc::new(config).into(),
            name,
        })
    }

    fn read(&mut self) -> Result<Arc<Pinned>, OpenError> {
        if let Some(read) = &self.read {
            return Ok(Arc::clone(read));
        }
        let mut store = RootCertStore::empty();
        let mut own = Vec::new();
        if let Some(pem) = self.ca {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| OpenError::Ca)?;
                store.add(certificate.clone()).map_err(|_| OpenError::Ca)?;
                own.push(certificate);
            }
            if store.is_empty() {
                return Err(OpenError::Ca);
            }
        } else {
            // One that cannot be read is as good as absent: the store has more than a hundred.
            let system = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(system.certs);
            if store.is_empty() {
                return Err(OpenError::NoRoots);
            }
        }
        let provider = Arc::new(ring::default_provider());
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
        let verifier = Arc::new(Pinned::new(chains.build()?, own.into()));
        Ok(Arc::clone(self.read.insert(verifier)))
    }
}

impl Tls {
    /// The handshake.
    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}
