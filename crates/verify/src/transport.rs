//! How the checks reach a server: TCP connections with a time limit, datagrams, TLS with given roots,
//! and one bounded HTTP/1.1 request. Each fails with the reason why there is no usable reply.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UdpSocket},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use dnsgate_core::dns::{Name, RecordType, upstream_query};

/// Connects to the first address that accepts; if none does, returns the fault of the first one.
pub(super) async fn connect_any(
    addresses: &[IpAddr],
    port: u16,
    patience: Duration,
) -> Result<TcpStream, ProbeFault> {
    let mut first = None;
    for &address in addresses {
        match connect((address, port).into(), patience).await {
            Ok(stream) => return Ok(stream),
            Err(fault) => first = first.or(Some(fault)),
        }
    }
    Err(first.unwrap_or_else(|| ProbeFault::Local("there is no address".to_owned())))
}

/// Connects to one address.
pub(super) async fn connect(
    address: SocketAddr,
    patience: Duration,
) -> Result<TcpStream, ProbeFault> {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(|error| fault_of("connection", &error)),
        Err(_) => Err(ProbeFault::TimedOut("connection")),
    }
}

/// Linux's EAFNOSUPPORT: the kernel has no IPv6. `io::ErrorKind` has no variant for it.
const NO_FAMILY: i32 = 97;

/// Why there is no usable reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProbeFault {
    /// No reply within the time limit.
    TimedOut(&'static str),
    /// The connection was rejected by a reset or an ICMP message.
    Refused(&'static str),
    /// This machine sent nothing: no route, no local address, or its own firewall.
    Local(String),
    /// The attempt was impossible: no file descriptor, no memory. It proves nothing.
    Untried(String),
    /// The TCP connection was made, but TLS failed.
    Tls(String),
    /// The reply does not match the request.
    Garbled(String),
}

impl fmt::Display for ProbeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(what) => write!(f, "{what}: timed out"),
            Self::Refused(what) => write!(f, "{what}: refused"),
            Self::Local(error) | Self::Untried(error) => f.write_str(error),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Garbled(error) => f.write_str(error),
        }
    }
}

/// The fault for a socket error.
pub(super) fn fault_of(what: &'static str, error: &io::Error) -> ProbeFault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
            ProbeFault::Refused(what)
        }
        io::ErrorKind::TimedOut => ProbeFault::TimedOut(what),
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied => ProbeFault::Local(format!("{what}: {error}")),
        _ if error.raw_os_error() == Some(NO_FAMILY) => {
            ProbeFault::Local(format!("{what}: {error}"))
        }
        _ => ProbeFault::Untried(format!("{what}: {error}")),
    }
}

/// How often a datagram is sent: a single lost one would prove nothing.
const SENDINGS: u32 = 3;
/// The name queried at resolvers that should be unreachable. It reveals nothing.
const HARMLESS: &str = "www.example.com";
/// The smallest datagram that a QUIC server answers (RFC 9000 section 14.1).
const QUIC_LEAST: usize = 1200;
/// A version reserved so that no server supports it (RFC 9000 section 15): every server replies with
/// the versions that it supports.
const QUIC_VERSION: u32 = 0x1a2a_3a4a;
/// The first byte of a QUIC long header: the form bit and the fixed bit; the other bits depend on the version.
const QUIC_LONG: u8 = 0xc0;

/// The kind of datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datagram {
    /// A DNS query.
    Dns,
    /// The first datagram of a QUIC connection.
    Quic,
}

impl Datagram {
    const fn what(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Quic => "QUIC",
        }
    }

    fn bytes(self) -> Result<Vec<u8>, ProbeFault> {
        match self {
            Self::Dns => {
                let name: Name = HARMLESS
                    .parse()
                    .map_err(|_| ProbeFault::Untried("no name".to_owned()))?;
                let id = rand::random();
                Ok(upstream_query::encode(
                    id,
                    name.as_ref(),
                    RecordType::A,
                    false,
                    false,
                ))
            }
            Self::Quic => {
                let mut bytes = vec![QUIC_LONG];
                bytes.extend(QUIC_VERSION.to_be_bytes());
                // The connection IDs of destination and source: a length, then the ID.
                for id in [rand::random::<u64>(), rand::random()] {
                    bytes.push(8);
                    bytes.extend(id.to_be_bytes());
                }
                bytes.resize(QUIC_LEAST, 0);
                Ok(bytes)
            }
        }
    }
}

/// Whether any datagram comes back: even an unexpected one proves that the target is reachable.
pub(super) async fn answered(
    to: SocketAddr,
    datagram: Datagram,
    patience: Duration,
) -> Result<(), ProbeFault> {
    let socket = socket(to).await?;
    let bytes = datagram.bytes()?;
    let what = datagram.what();
    let broken = |error: io::Error| fault_of(what, &error);
    let mut reply = [0; 2048];
    for _ in 0..SENDINGS {
        socket.send(&bytes).await.map_err(broken)?;
        if let Ok(received) = timeout(patience / SENDINGS, socket.recv(&mut reply)).await {
            return received.map(drop).map_err(broken);
        }
    }
    Err(ProbeFault::TimedOut(what))
}

/// A socket connected to one server.
pub(super) async fn socket(server: SocketAddr) -> Result<UdpSocket, ProbeFault> {
    let local: SocketAddr = if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let local_fault = |error: io::Error| fault_of("DNS", &error);
    let socket = UdpSocket::bind(local).await.map_err(local_fault)?;
    socket.connect(server).await.map_err(local_fault)?;
    Ok(socket)
}

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

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

/// A response to an HTTPS request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HttpResponse {
    pub(super) status: u16,
    /// The header `Server`.
    pub(super) server: String,
}

impl fmt::Display for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        match &*self.server {
            "" => Ok(()),
            server => write!(f, " from {server}"),
        }
    }
}

/// A GET request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Get<'g> {
    pub(super) host: &'g str,
    /// Path and query.
    pub(super) path: &'g str,
    /// One additional header.
    pub(super) header: Option<(&'static str, &'g str)>,
    /// The most bytes of the body.
    pub(super) most: usize,
}

/// Sends the request and reads the whole response. If the body is too long or incomplete, it is
/// `None`: only some callers need it.
pub(super) async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    get: Get<'_>,
    patience: Duration,
) -> Result<(HttpResponse, Option<Bytes>), ProbeFault> {
    let asked = async {
        let broken = |error: hyper::Error| ProbeFault::Garbled(format!("HTTP: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let request = request(get)?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let server = response.headers().get(header::SERVER);
            let server = server.and_then(|it| it.to_str().ok()).unwrap_or_default();
            let seen = HttpResponse {
                status: response.status().as_u16(),
                server: server.chars().take(100).collect(),
            };
            let body = Limited::new(response.into_body(), get.most).collect().await;
            Ok((seen, body.ok().map(http_body_util::Collected::to_bytes)))
        };
        tokio::pin!(exchange);
        tokio::pin!(connection);
        // The connection moves the bytes, and may finish before the exchange has read the last ones.
        tokio::select! {
            biased;
            done = &mut exchange => done,
            _ = &mut connection => exchange.await,
        }
    };
    timeout(patience, asked)
        .await
        .unwrap_or(Err(ProbeFault::TimedOut("HTTPS request")))
}

fn request(get: Get<'_>) -> Result<Request<Empty<Bytes>>, ProbeFault> {
    let mut request = Request::get(get.path)
        .header(header::HOST, get.host)
        .header(
            header::USER_AGENT,
            concat!("dnsgate/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close");
    if let Some((name, value)) = get.header {
        request = request.header(name, value);
    }
    request
        .body(Empty::new())
        .map_err(|error| ProbeFault::Garbled(format!("the request cannot be made: {error}")))
}
