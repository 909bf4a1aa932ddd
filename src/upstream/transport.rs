//! One question to one server, over its transport.
//!
//! Why not hickory-net's clients: they take and give messages of their own types, while what
//! leaves here must be the one encoding of a question ([`ask`]), and what comes back is read by
//! [`Response`](dnsgate_core::dns::Response). Its stream framing gives raw messages, but it reads nothing while
//! a write waits: against a server that does the same, a full pipeline stands still.
//!
//! | file | transport |
//! |---|---|
//! | `udp` | a datagram from a port of its own, and `tcp` for what does not fit or may be forged |
//! | `edns` | which servers are asked without an OPT record |
//! | `pool`, `connection` | connections: how many, when opened, when given up |
//! | `dial` | TCP and TLS, until the connection stands |
//! | `fault` | what an error of the network or of TLS says of the server |
//! | `tls`, `pinned` | whom TLS trusts |
//! | `pipeline` | messages with their length before them: TCP and DNS over TLS |
//! | `http2` | DNS over HTTPS |
//!
//! Not here: whom to ask, how long to wait, what the reply says. Nothing in here gives up by
//! itself: whoever asks drops the future.

mod connection_state;
mod datagram;
mod dial;
mod edns;
mod fault;
mod https;
mod pinned;
mod pool;
mod pooled_connection;
mod reply;
mod reporter;
mod stream;
mod tls;

use std::{net::SocketAddr, time::Duration};

pub(super) use reply::{Reply, TransportFault};
pub(super) use reporter::ServerReporter;
pub use tls::OpenError;
pub(super) use tls::Roots;

use self::{
    datagram::DatagramReply,
    dial::{Dialer, Protocol},
    edns::EdnsSupport,
    pool::Pool,
};
use super::{share::Requester, sockets, upstream_limits::UpstreamLimits};
use crate::clock::monotonic;
use dnsgate_config::ServerAddr;
use dnsgate_core::{dns::upstream_query, policy::Permit};

/// The way to one server.
pub(super) struct ServerTransport {
    transport: Channel,
    edns: EdnsSupport,
    reporter: ServerReporter,
    /// After so many datagrams that are no reply to it a question goes to TCP.
    near_misses: usize,
}

/// What carries the messages.
enum Channel {
    /// Datagrams, and connections for what does not fit into one.
    Udp { address: SocketAddr, tcp: Pool },
    /// Connections only.
    Stream(Pool),
}

impl ServerTransport {
    /// The way to `server`; nothing is opened yet. `roots` is called where TLS is needed.
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
            ServerAddr::Udp(_) => Channel::Udp { address, tcp: pool },
            _ => Channel::Stream(pool),
        };
        Ok(Self {
            transport,
            edns: EdnsSupport::default(),
            reporter,
            near_misses: limits.near_misses,
        })
    }

    /// Where the server is.
    pub(super) fn address(&self) -> SocketAddr {
        match &self.transport {
            Channel::Udp { address, .. } => *address,
            Channel::Stream(pool) => pool.address(),
        }
    }

    /// Asks; a second time without EDNS, if the server does not know it. After `patience` without a
    /// sign of life a connection gets no further question.
    pub(super) async fn ask(
        &self,
        permit: &Permit,
        patience: Duration,
        requester: Requester,
    ) -> Result<Reply, TransportFault> {
        if !self.edns.is_spoken(monotonic()) {
            return self.exchange(permit, false, patience, requester).await;
        }
        let reply = self.exchange(permit, true, patience, requester).await?;
        if !upstream_query::rejects_edns(&reply.message) {
            self.edns.works();
            return Ok(reply);
        }
        match self.exchange(permit, false, patience, requester).await {
            Ok(plain) => {
                // Else it is the question that it does not like.
                if !upstream_query::rejects_edns(&plain.message) && self.edns.fails(monotonic()) {
                    self.reporter.without_edns();
                }
                Ok(plain)
            }
            Err(_) => Ok(reply),
        }
    }

    /// Asks once, with an OPT record or without.
    async fn exchange(
        &self,
        permit: &Permit,
        edns: bool,
        patience: Duration,
        requester: Requester,
    ) -> Result<Reply, TransportFault> {
        let query = |id| match edns {
            true => encode(id, permit),
            false => upstream_query::without_edns(encode(id, permit)),
        };
        let (address, tcp) = match &self.transport {
            Channel::Stream(pool) => return pool.ask(query(0), patience, requester).await,
            Channel::Udp { address, tcp } => (*address, tcp),
        };
        let (id, most) = (rand::random(), self.near_misses);
        // Held until the answer is there, and so are those of the socket.
        let descriptor = sockets::datagram(requester.again).ok_or(TransportFault::Busy)?;
        let heard = datagram::ask(address, query(id), most, &self.reporter).await?;
        drop(descriptor);
        let rtt = match heard {
            DatagramReply::Reply(reply) if !upstream_query::is_truncated(&reply.message) => {
                return Ok(reply);
            }
            // It tells how far the server is; the second one has to connect.
            DatagramReply::Reply(truncated) => Some(truncated.rtt),
            DatagramReply::Forgeries => {
                self.reporter.forged();
                None
            }
        };
        let whole = tcp.ask(query(0), patience, requester).await?;
        Ok(Reply {
            rtt: rtt.unwrap_or(whole.rtt),
            ..whole
        })
    }
}

/// The only place where a message to a server is made, and it takes a permit.
fn encode(id: u16, permit: &Permit) -> Vec<u8> {
    let bits = permit.bits();
    upstream_query::encode(
        id,
        permit.name(),
        permit.qtype(),
        bits.dnssec_ok,
        bits.checking_disabled,
    )
}
