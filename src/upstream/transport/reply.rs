//! The result of a query to one server.

use std::time::Duration;

use dnsgate_core::dns::ServerFault;

/// A server's reply.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Reply {
    /// The message as received, with the question added if it had none. It is a response to the
    /// query; nothing else has been checked.
    pub(in crate::upstream) message: Vec<u8>,
    /// From the query to the reply.
    pub(in crate::upstream) rtt: Duration,
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum TransportFault {
    /// The server cannot be used.
    Server(ServerFault),
    /// Connecting to the server took too long.
    Silent,
    /// The message violates the transport's rules.
    Malformed,
    /// No resources to send the query.
    Busy,
}
