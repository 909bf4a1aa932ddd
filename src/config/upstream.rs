//! Upstreams: the servers that may be asked, and how one of them is chosen.

use std::{fmt, net::SocketAddr, sync::Arc};

/// One entry of `upstreams`: servers that know the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The operator's name for it.
    pub name: Box<str>,
    /// Its servers, at least one, in the order of the file.
    pub servers: Vec<ServerAddr>,
    /// Which of them is asked first.
    pub strategy: Strategy,
    /// The certificates (PEM) that its servers' must go back to; `None` for the system's.
    pub ca: Option<Arc<[u8]>>,
}

/// One server and the way to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddr {
    /// `udp://ADDRESS[:53]`: UDP, and TCP for what does not fit.
    Udp(SocketAddr),
    /// `tcp://ADDRESS[:53]`
    Tcp(SocketAddr),
    /// `tls://ADDRESS[:853][#NAME]`: DNS over TLS (RFC 7858). The certificate must be for the name,
    /// or for the address where there is none.
    Tls {
        /// Where it listens.
        address: SocketAddr,
        /// The name that its certificate must have.
        name: Option<Box<str>>,
    },
    /// `https://ADDRESS[:443]/PATH[#NAME]`: DNS over HTTPS (RFC 8484).
    Https {
        /// Where it listens.
        address: SocketAddr,
        /// The name that its certificate must have, and the authority of the URL.
        name: Option<Box<str>>,
        /// The path of the URL, from its slash.
        path: Box<str>,
    },
}

impl ServerAddr {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        match self {
            Self::Udp(address)
            | Self::Tcp(address)
            | Self::Tls { address, .. }
            | Self::Https { address, .. } => *address,
        }
    }
}

impl fmt::Display for ServerAddr {
    /// As the file has it, the port always shown: the label `server` of metrics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Udp(address) => return write!(f, "udp://{address}"),
            Self::Tcp(address) => return write!(f, "tcp://{address}"),
            Self::Tls { address, name } => {
                write!(f, "tls://{address}")?;
                name
            }
            Self::Https {
                address,
                name,
                path,
            } => {
                write!(f, "https://{address}{path}")?;
                name
            }
        };
        match name {
            Some(name) => write!(f, "#{name}"),
            None => Ok(()),
        }
    }
}

/// Which server of an upstream is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The one that has answered fastest of late; the others now and then, to know.
    #[default]
    Fastest,
    /// The first of the list that is up.
    Ordered,
    /// Each in turn.
    Spread,
}

/// How the cache keeps what upstreams said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSettings {
    /// The most bytes of facts; 0 keeps none.
    pub size: usize,
    /// Facts are kept for at least this long, in seconds.
    pub min_ttl: u32,
    /// Facts are kept for at most this long, in seconds.
    pub max_ttl: u32,
    /// How long facts may still be used after their time when no upstream answers, in seconds.
    pub serve_stale: u32,
}
