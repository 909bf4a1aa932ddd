//! Sends one query to one server over its transport.
//!
//! # Why hickory-net's framing serves clients and not upstreams
//!
//! Toward clients (`serve::tcp`) hickory-net frames the messages: a connection handles one message
//! at a time and is not read while the client does not read replies. Toward servers, neither
//! hickory-net's clients nor its framing fit. The clients use their own message types, but every
//! query must have the one encoding of a question ([`upstream_query`]), and
//! [`Response`](dnsgate_core::dns::Response) parses the replies. The framing reads nothing while a
//! write waits, so with a server that does the same, a full pipeline deadlocks. `stream` therefore
//! frames the messages itself and reads while it writes.
//!
//! | file | transport |
//! |---|---|
//! | `datagram`, `socket_pool`, `shared_socket` | UDP: letter case, ports, IDs; truncated or possibly forged replies lead to TCP |
//! | `server_feature` | which servers get queries without an OPT record, or in lower case |
//! | `pool`, `pooled_connection`, `connection_state` | connections: how many, when opened, when closed |
//! | `dial` | connects: TCP, TLS, HTTP/2 |
//! | `fault` | maps errors of the network and of TLS to server faults |
//! | `tls`, `pinned` | which certificates TLS accepts |
//! | `stream` | messages with a length prefix: TCP and DNS over TLS |
//! | `reply`, `reporter` | the result of a query, and the reported events |
//! | `https` | DNS over HTTPS |
//!
//! Not here: the choice of the server, the timeout of a query, the content of the reply. The caller
//! sets the timeout and drops the future.

mod connection_state;
mod datagram;
mod dial;
mod fault;
mod https;
mod pinned;
mod pool;
mod pooled_connection;
mod reply;
mod reporter;
mod server_feature;
mod shared_socket;
mod socket_pool;
mod stream;
mod tls;

use std::{net::SocketAddr, time::Duration};

pub(super) use reply::{Reply, TransportFault};
pub(super) use reporter::ServerReporter;
pub(crate) use tls::OpenError;
pub(super) use tls::Roots;

use self::{
    datagram::Datagrams,
    dial::{Dialer, Protocol},
    pool::Pool,
    server_feature::ServerFeature,
    socket_pool::SocketPools,
};
use super::{share::Requester, upstream_limits::UpstreamLimits};
use crate::clock::monotonic;
use dnsgate_config::ServerAddr;
use dnsgate_core::{dns::upstream_query, policy::Permit};

/// The transport to one server.
pub(super) struct ServerTransport {
    transport: Channel,
    edns: ServerFeature,
    reporter: ServerReporter,
}

/// The way messages are carried.
enum Channel {
    /// Datagrams, and connections for replies that do not fit.
    Udp { udp: Datagrams, tcp: Pool },
    /// Connections only.
    Stream(Pool),
}

impl ServerTransport {
    /// Creates the transport to `server`; opens nothing yet. `roots` is used if TLS is needed.
    ///
    /// # Errors
    /// [`OpenError`]: TLS cannot be set up.
    pub(super) fn new(
        server: &ServerAddr,
        roots: &mut Roots<'_>,
        reporter: ServerReporter,
        limits: &UpstreamLimits,
    ) -> Result<Self, OpenError> {
        let (address, protocol) = match server {
            ServerAddr::Udp(address) | ServerAddr::Tcp(address) => (*address, Protocol::Tcp),
            ServerAddr::Tls { address, name } => {
                let tls = roots.client(*address, name.as_deref(), b"dot")?;
                (*address, Protocol::Tls(tls))
            }
            ServerAddr::Https {
                address,
                name,
                path,
            } => {
                let tls = roots.client(*address, name.as_deref(), https::ALPN)?;
                let url = https::url(*address, name.as_deref(), path)?;
                (*address, Protocol::Https(tls, url))
            }
        };
        let pool = Pool::new(Dialer { address, protocol }, reporter.clone(), limits);
        let transport = match server {
            ServerAddr::Udp(_) => Channel::Udp {
                udp: Datagrams::new(
                    SocketPools::new(address, limits.sockets, reporter.clone()),
                    reporter.clone(),
                ),
                tcp: pool,
            },
            _ => Channel::Stream(pool),
        };
        Ok(Self {
            transport,
            edns: ServerFeature::default(),
            reporter,
        })
    }

    /// The server's address.
    pub(super) fn address(&self) -> SocketAddr {
        match &self.transport {
            Channel::Udp { udp, .. } => udp.pools().address(),
            Channel::Stream(pool) => pool.address(),
        }
    }

    /// Queries the server, and repeats the query without EDNS if the server does not support it. A
    /// connection without any message for `patience` gets no further query.
    pub(super) async fn ask(
        &self,
        permit: &Permit,
        patience: Duration,
        requester: Requester,
    ) -> Result<Reply, TransportFault> {
        if !self.edns.is_used(monotonic) {
            return self.exchange(permit, false, patience, requester).await;
        }
        let reply = self.exchange(permit, true, patience, requester).await?;
        if !upstream_query::rejects_edns(&reply.message) {
            self.edns.works();
            return Ok(reply);
        }
        match self.exchange(permit, false, patience, requester).await {
            Ok(plain) => {
                // Otherwise the server rejects the question itself, not EDNS.
                if !upstream_query::rejects_edns(&plain.message) && self.edns.fails(monotonic()) {
                    self.reporter.without_edns();
                }
                Ok(plain)
            }
            Err(_) => Ok(reply),
        }
    }

    /// Sends one query, with an OPT record or without.
    async fn exchange(
        &self,
        permit: &Permit,
        edns: bool,
        patience: Duration,
        requester: Requester,
    ) -> Result<Reply, TransportFault> {
        let over_stream = |pool: &Pool| match edns {
            true => pool.with_options(encode(permit)),
            false => upstream_query::without_edns(encode(permit)),
        };
        let (udp, tcp) = match &self.transport {
            Channel::Stream(pool) => return pool.ask(over_stream(pool), patience, requester).await,
            Channel::Udp { udp, tcp } => (udp, tcp),
        };
        let query = match edns {
            true => encode(permit),
            false => upstream_query::without_edns(encode(permit)),
        };
        let rtt = match udp.ask(query).await? {
            Some(reply) if !upstream_query::is_truncated(&reply.message) => return Ok(reply),
            // Use the time of the truncated reply: the TCP query may include connecting.
            truncated => truncated.map(|reply| reply.rtt),
        };
        let whole = tcp.ask(over_stream(tcp), patience, requester).await?;
        Ok(Reply {
            rtt: rtt.unwrap_or(whole.rtt),
            ..whole
        })
    }
}

/// Encodes a message to a server. Every such message is created here, from a permit; whoever sends it
/// gives it an ID.
fn encode(permit: &Permit) -> Vec<u8> {
    let bits = permit.bits();
    upstream_query::encode(
        0,
        permit.name(),
        permit.qtype(),
        bits.dnssec_ok,
        bits.checking_disabled,
    )
}
