//! The trusted certificates and the expected server name of TLS.
//!
//! Without a `ca_file` in the configuration, the system's root certificates are trusted. They are
//! read together with the configuration.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig,
    client::{VerifierBuilderError, WebPkiServerVerifier},
    crypto::ring,
    pki_types::ServerName,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::pinned::Pinned;
use dnsgate_verify::{RootsError, TrustedRoots};

/// TLS to the servers of an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The `ca_file` contains no certificates.
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
    /// The name is not valid in a certificate.
    #[error("{0:?} is not a name that a certificate can have")]
    Name(Box<str>),
    /// The path is not valid in a URL.
    #[error("{0:?} cannot be the path of a URL")]
    Path(Box<str>),
    /// rustls reported an error.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// rustls rejected the root certificates.
    #[error("TLS: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// The trusted certificates of an upstream, read at first use.
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
    /// The certificates in `ca_file` (PEM), or the system's.
    pub(in crate::upstream) const fn new(ca: Option<&'c [u8]>) -> Self {
        Self { ca, read: None }
    }

    /// TLS to the server at `address` for the protocol `alpn`. The certificate must be valid for
    /// `name`, or for the address if there is no name.
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
        // "Dangerous" because a custom verifier could accept too much.
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
        let TrustedRoots { store, given } =
            TrustedRoots::read(self.ca).map_err(|error| match error {
                RootsError::Ca => OpenError::Ca,
                RootsError::None => OpenError::NoRoots,
                RootsError::Tls(error) => OpenError::Tls(error),
            })?;
        let provider = Arc::new(ring::default_provider());
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
        let verifier = Arc::new(Pinned::new(chains.build()?, given.into()));
        Ok(Arc::clone(self.read.insert(verifier)))
    }
}

impl Tls {
    /// Performs the handshake.
    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}
