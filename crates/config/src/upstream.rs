//! Upstreams: the servers that dnsgate forwards to, and how it chooses one of them.

use std::sync::Arc;

mod server;

pub use server::{ServerAddr, ServerError};

/// One entry of `upstreams`: servers with the same data.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// The name that the operator gave it.
    pub name: Box<str>,
    /// Its servers, at least one, in the order of the file.
    pub servers: Vec<ServerAddr>,
    /// Which server is asked first.
    pub strategy: Strategy,
    /// The root certificates (PEM) for its servers; `None` means the system's.
    pub ca: Option<Arc<[u8]>>,
}

/// Which server of an upstream is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The server with the fastest recent answers; the others are tried now and then to measure them.
    #[default]
    Fastest,
    /// The first server of the list that is up.
    Ordered,
    /// Each server in turn.
    Spread,
}
