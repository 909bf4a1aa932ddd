//! The settings of the checks: the resolver, the root certificates, the ports and the time limit.

use std::{net::IpAddr, time::Duration};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::client::TlsStream;

use super::{check::shown, machine::Machine, resolver::Resolver};
use crate::transport::connect_any;
use crate::transport::{self, Get, HttpResponse, ProbeFault, Roots};
use dnsgate_core::dns::Name;

/// The most bytes of a response body if only the status matters.
const MAX_BODY: usize = 64 << 10;

/// The settings of the checks.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The resolver for the names.
    pub resolver: Resolver,
    /// The machine's files, from which programs also take addresses.
    pub machine: Machine,
    /// The trusted root certificates.
    pub roots: Roots,
    /// The token for the bucket; if absent, the metadata server provides one.
    pub token: Option<String>,
    /// The time limit for each step of a check.
    pub timeout: Duration,
    /// The ports of the services.
    pub ports: Ports,
}

/// The ports; tests use other ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// DNS of resolvers that must be unreachable.
    pub dns: u16,
    /// DNS over TLS of the same resolvers.
    pub dot: u16,
    /// HTTPS of Google's addresses and of resolvers.
    pub https: u16,
    /// HTTP of resolvers.
    pub http: u16,
    /// The metadata server.
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
    /// Sends a request to a service at the address of its name.
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
        let (response, _) = transport::get(stream, get, self.timeout).await?;
        Ok(response)
    }

    /// Makes a TLS handshake on a connection, within the time limit.
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
