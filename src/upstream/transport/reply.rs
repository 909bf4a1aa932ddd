//! How a question to one server ends.

use std::time::Duration;

use dnsgate_core::dns::ServerFault;

/// A server's reply.
#[derive(Debug)]
pub(in crate::upstream) struct Reply {
    /// The message as it came, with the question if it had none. It is a response to the question;
    /// nothing else of it was looked at.
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
    /// What came is not what the transport promises.
    Malformed,
    /// There was no room to ask.
    Busy,
}
