//! Upstreams: the servers that may be asked, and how one of them is chosen.

use std::sync::Arc;

mod server;

pub use server::{ServerAddr, ServerError};

/// One entry of `upstreams`: servers that know the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// Which server of an upstream is asked first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// The one that has answered fastest of late; the others now and then, to know.
    #[default]
    Fastest,
    /// The first of the list that is up.
    Ordered,
    /// Each in turn.
    Spread,
}
