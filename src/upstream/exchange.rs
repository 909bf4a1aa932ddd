//! One question to one server, over its transport.
//!
//! Why not hickory-net's clients: they take and give messages of their own types, while what
//! leaves here must be the one encoding of a question ([`ask`]), and what comes back is read by
//! [`Facts`](crate::dns::Facts). Its stream framing gives raw messages, but it reads nothing while
//! a write waits: against a server that does the same, a full pipeline stands still.
//!
//! | file | transport |
//! |---|---|
//! | `udp` | a datagram from a port of its own, and `tcp` for what does not fit |
//! | `pool`, `connection` | connections: how many, when opened, when given up |
//! | `dial` | TCP and TLS, until the connection stands |
//! | `pipeline` | messages with their length before them: TCP and DNS over TLS |
//! | `http2` | DNS over HTTPS |
//!
//! Not here: whom to ask, how long to wait, what the reply says. Nothing in here gives up by
//! itself: whoever asks drops the future.

mod connection;
mod dial;
mod http2;
mod pipeline;
mod pool;
mod tls;
mod udp;

use std::{net::SocketAddr, sync::Arc, time::Duration};

pub use tls::OpenError;
pub(super) use tls::Roots;

use self::{
    dial::{Dialer, Protocol},
    pool::Pool,
};
use super::{Event, Limits, Observer, descriptors, share::Party};
use crate::{config::ServerAddr, dns::ask, policy::Permit};

/// Whose turn it is to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Whose question it is.
    pub(super) party: Party,
    /// Whether it has been asked before, here or elsewhere. Then it leaves room to those that have not.
    pub(super) again: bool,
}

/// The way to one server.
pub(super) enum Way {
    /// Datagrams, and connections for what does not fit into one.
    Udp {
        address: SocketAddr,
        tcp: Pool,
        tell: Tell,
    },
    /// Connections only.
    Stream(Pool),
}

/// A server's reply.
#[derive(Debug)]
pub(super) struct Reply {
    /// The message as it came. It is a response to the question; nothing else of it was looked at.
    pub(super) message: Vec<u8>,
    /// From the query to the reply.
    pub(super) rtt: Duration,
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Refused, reset, no route, no TLS.
    Unreachable,
    /// What came is not what the transport promises.
    Malformed,
    /// There was no room to ask.
    Busy,
}

/// Tells of messages that were ignored.
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
        self.observer.observe(Event::Mismatch {
            server: self.server,
        });
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
                let tls = roots.client(*address, name.as_deref(), b"h2")?;
                let url = http2::url(*address, name.as_deref(), path)?;
                (*address, Protocol::Https(tls, url))
            }
        };
        let pool = Pool::new(Dialer { address, protocol }, tell.clone(), limits);
        Ok(match server {
            ServerAddr::Udp(_) => Self::Udp {
                address,
                tcp: pool,
                tell,
            },
            _ => Self::Stream(pool),
        })
    }

    /// Where the server is.
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Udp { address, .. } => *address,
            Self::Stream(pool) => pool.address(),
        }
    }

    /// Asks. After `patience` without a sign of life a connection gets no further question.
    pub(super) async fn ask(
        &self,
        permit: &Permit,
        patience: Duration,
        turn: Turn,
    ) -> Result<Reply, Fault> {
        match self {
            Self::Stream(pool) => pool.ask(encode(0, permit), patience, turn).await,
            Self::Udp { address, tcp, tell } => {
                // Held until the answer is there, and so are those of the socket.
                let descriptor = descriptors::datagram(turn.again).ok_or(Fault::Busy)?;
                let reply = udp::ask(*address, encode(rand::random(), permit), tell).await?;
                drop(descriptor);
                if !ask::is_truncated(&reply.message) {
                    return Ok(reply);
                }
                let whole = tcp.ask(encode(0, permit), patience, turn).await?;
                // The first reply tells how far the server is; the second had to connect.
                Ok(Reply {
                    rtt: reply.rtt,
                    ..whole
                })
            }
        }
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
