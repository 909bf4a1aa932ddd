//! Establishes a connection: TCP, TLS, HTTP/2.

use std::net::SocketAddr;

use http::Uri;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{
    fault::ConnectError,
    https::{self, Http},
    reply::TransportFault,
    tls::Tls,
};
use dnsgate_core::dns::ServerFault;

/// How to connect to one server.
pub(super) struct Dialer {
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
}

/// The protocol on the connection.
pub(super) enum Protocol {
    /// Messages with a length prefix (RFC 7766).
    Tcp,
    /// The same over TLS (RFC 7858).
    Tls(Tls),
    /// HTTP/2 over TLS, to a URL (RFC 8484).
    Https(Tls, Uri),
}

/// An established connection.
pub(super) enum Established {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Http(Box<Http>),
}

impl Dialer {
    /// Connects.
    ///
    /// # Errors
    /// Refused, reset, no route, a certificate that is not valid for the server, no HTTP/2.
    pub(super) async fn dial(&self) -> Result<Established, ConnectError> {
        let stream = TcpStream::connect(self.address).await?;
        // Each query is written whole, so it can leave at once.
        stream.set_nodelay(true)?;
        Ok(match &self.protocol {
            Protocol::Tcp => Established::Plain(stream),
            Protocol::Tls(tls) => Established::Tls(Box::new(tls.connect(stream).await?)),
            Protocol::Https(tls, url) => {
                let stream = Box::pin(tls.connect(stream)).await?;
                if stream.get_ref().1.alpn_protocol() != Some(https::ALPN) {
                    return Err(ServerFault::NoHttp2.into());
                }
                let http = Box::pin(https::open(stream, url.clone())).await;
                Established::Http(Box::new(http.map_err(|error| ConnectError {
                    fault: TransportFault::Server(ServerFault::NoHttp2),
                    detail: error.to_string(),
                })?))
            }
        })
    }
}
