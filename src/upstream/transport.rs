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

mod connection;
mod datagram;
mod dial;
mod edns;
mod fault;
mod https;
mod pinned;
mod pool;
mod stream;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

pub use tls::OpenError;
pub(super) use tls::Roots;

use self::{
    datagram::Heard,
    dial::{Dialer, Protocol},
    edns::Edns,
    pool::Pool,
};
use super::{Event, Limits, Observer, share::Party, sockets};
use crate::clock::monotonic;
use dnsgate_config::ServerAddr;
use dnsgate_core::{
    dns::{ServerFault, ask},
    policy::Permit,
};

/// Whose turn it is to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Whose question it is.
    pub(super) party: Party,
    /// Whether it has been asked before, here or elsewhere. Then it leaves room to those that have not.
    pub(super) again: bool,
}

/// The way to one server.
pub(super) struct Way {
    transport: Transport,
    edns: Edns,
    tell: Tell,
    /// After so many datagrams that are no reply to it a question goes to TCP.
    near_misses: usize,
}

/// What carries the messages.
enum Transport {
    /// Datagrams, and connections for what does not fit into one.
    Udp { address: SocketAddr, tcp: Pool },
    /// Connections only.
    Stream(Pool),
}

/// A server's reply.
#[derive(Debug)]
pub(super) struct Reply {
    /// The message as it came, with the question if it had none. It is a response to the question;
    /// nothing else of it was looked at.
    pub(super) message: Vec<u8>,
    /// From the query to the reply.
    pub(super) rtt: Duration,
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server cannot be used.
    Server(ServerFault),
    /// Connecting to the server took too long.
    Silent,
    /// What came is not what the transport promises.
    Malformed,
    /// There was no room to ask.
    Busy,
}

/// Tells of messages that were ignored, and of what was found out about the server.
#[derive(Clone)]
pub(super) struct Tell {
    observer: Arc<dyn Observer>,
    server: usize,
}

impl Tell {
    pub(super) const fn new(observer: Arc<dyn Observer>, server: usize) -> Self {
        Self { observer, server }
    }

    fn full(&self) {
        self.observer.observe(Event::Full {
            server: self.server,
        });
    }

    fn mismatch(&self) {
        let server = self.server;
        self.observer.observe(Event::Mismatch { server });
    }

    /// A question is asked again over TCP because its replies may be forged.
    fn forged(&self) {
        let server = self.server;
        self.observer.observe(Event::Forged { server });
    }

    fn without_edns(&self) {
        let server = self.server;
        self.observer.observe(Event::WithoutEdns { server });
    }

    /// The server cannot be used, in words for the log.
    fn trouble(&self, fault: ServerFault, detail: &str) {
        self.observer.trouble(self.server, Some(fault), detail);
    }
}

impl Way {
    /// The way to `server`; nothing is opened yet. `roots` is called where TLS is needed.
    ///
    /// # Errors
    /// [`OpenError`]: TLS cannot be set up.
    pub(super) fn new(
        server: &ServerAddr,
        roots: &mut Roots<'_>,
        tell: Tell,
        limits: &Limits,
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
        let pool = Pool::new(Dialer { address, protocol }, tell.clone(), limits);
        let transport = match server {
            ServerAddr::Udp(_) => Transport::Udp { address, tcp: pool },
            _ => Transport::Stream(pool),
        };
        Ok(Self {
            transport,
            edns: Edns::default(),
            tell,
            near_misses: limits.near_misses,
        })
    }

    /// Where the server is.
    pub(super) fn address(&self) -> SocketAddr {
        match &self.transport {
            Transport::Udp { address, .. } => *address,
            Transport::Stream(pool) => pool.address(),
        }
    }

    /// Asks; a second time without EDNS, if the server does not know it. After `patience` without a
    /// sign of life a connection gets no further question.
    pub(super) async fn ask(
        &self,
        permit: &Permit,
        patience: Duration,
        turn: Turn,
    ) -> Result<Reply, Fault> {
        if !self.edns.is_spoken(monotonic()) {
            return self.exchange(permit, false, patience, turn).await;
        }
        let reply = self.exchange(permit, true, patience, turn).await?;
        if !ask::rejects_edns(&reply.message) {
            self.edns.works();
            return Ok(reply);
        }
        match self.exchange(permit, false, patience, turn).await {
            Ok(plain) => {
                // Else it is the question that it does not like.
                if !ask::rejects_edns(&plain.message) && self.edns.fails(monotonic()) {
                    self.tell.without_edns();
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
        turn: Turn,
    ) -> Result<Reply, Fault> {
        let query = |id| match edns {
            true => encode(id, permit),
            false => ask::without_edns(encode(id, permit)),
        };
        let (address, tcp) = match &self.transport {
            Transport::Stream(pool) => return pool.ask(query(0), patience, turn).await,
            Transport::Udp { address, tcp } => (*address, tcp),
        };
        let (id, most) = (rand::random(), self.near_misses);
        // Held until the answer is there, and so are those of the socket.
        let descriptor = sockets::datagram(turn.again).ok_or(Fault::Busy)?;
        let heard = datagram::ask(address, query(id), most, &self.tell).await?;
        drop(descriptor);
        let rtt = match heard {
            Heard::Reply(reply) if !ask::is_truncated(&reply.message) => return Ok(reply),
            // It tells how far the server is; the second one has to connect.
            Heard::Reply(truncated) => Some(truncated.rtt),
            Heard::Forgeries => {
                self.tell.forged();
                None
            }
        };
        let whole = tcp.ask(query(0), patience, turn).await?;
        Ok(Reply {
            rtt: rtt.unwrap_or(whole.rtt),
            ..whole
        })
    }
}

/// The only place where a message to a server is made, and it takes a permit.
fn encode(id: u16, permit: &Permit) -> Vec<u8> {
    let bits = permit.bits();
    ask::encode(
        id,
        permit.name(),
        permit.qtype(),
        bits.dnssec_ok,
        bits.checking_disabled,
    )
}
