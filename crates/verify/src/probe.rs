//! What the checks are done with: the resolver, the trusted certificates, the ports and the time.

use std::{net::IpAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;

use super::{
    check::shown,
    connect::connect_any,
    fault::ProbeFault,
    https::{self, Get, HttpResponse},
    machine::Machine,
    resolver::Resolver,
    tls::Roots,
};
use dnsgate_core::dns::Name;

/// The body of a page that is only asked for its status.
const MAX_BODY: usize = 64 << 10;

/// With what the checks are done.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Whom to ask for names.
    pub resolver: Resolver,
    /// What the machine's files say, by which programs find addresses beside the resolver.
    pub machine: Machine,
    /// Whom to believe.
    pub roots: Roots,
    /// The token for the bucket; the metadata server's if absent.
    pub token: Option<String>,
    /// How long each step of a check may take.
    pub timeout: Duration,
    /// Where things are.
    pub ports: Ports,
}

/// The ports, which are other ones in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Of resolvers that must not be reachable.
    pub dns: u16,
    /// Of the same, over TLS.
    pub dot: u16,
    /// Of Google's addresses and of resolvers over HTTPS.
    pub https: u16,
    /// Of resolvers over HTTP.
    pub http: u16,
    /// Of the metadata server.
    pub metadata: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            dns: 53,
            dot: 853,
            https: 443,
            http: 80,
            metadata: 80,
        }
    }
}

impl Probe {
    /// A request to a service where its name leads.
    pub(super) async fn service(&self, name: &Name) -> Result<HttpResponse, ProbeFault> {
        let addresses = self.resolver.addresses(name).await?;
        if addresses.is_empty() {
            return Err(ProbeFault::Garbled("the name does not resolve".to_owned()));
        }
        self.request(&addresses, &shown(name)).await
    }

    pub(super) async fn request(
        &self,
        addresses: &[IpAddr],
        host: &str,
    ) -> Result<HttpResponse, ProbeFault> {
        let stream = connect_any(addresses, self.ports.https, self.timeout).await?;
        let stream = self.handshake(host, stream).await?;
        let get = Get {
            host,
            path: "/",
            header: None,
            most: MAX_BODY,
        };
        let (response, _) = https::get(stream, get, self.timeout).await?;
        Ok(response)
    }

    /// TLS on a connection, within the time.
    pub(super) async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, ProbeFault> {
        timeout(self.timeout, self.roots.handshake(host, stream))
            .await
            .unwrap_or(Err(ProbeFault::TimedOut("TLS handshake")))
    }
}
