//! The limits of streams.

use std::time::Duration;

/// The limits of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamLimits {
    /// Connections in all. One more closes the one that has waited longest.
    pub(crate) connections: usize,
    /// Connections of one client: an IPv4 address, or an IPv6 network of 64 bits. One more is
    /// closed at once.
    pub(crate) per_client: usize,
    /// How long a connection may wait for the first byte of a message.
    pub(crate) idle: Duration,
    /// How long a message may take from its first byte to its last.
    pub(crate) message: Duration,
    /// How long a client may take to read one reply.
    pub(crate) write: Duration,
    /// Messages that are answered on one connection before other connections are served.
    pub(crate) pipeline: usize,
    /// Bytes of replies that clients have not read, of all connections. More of them close the one
    /// whose client has not read for longest.
    pub(crate) unread: usize,
    /// The same of one connection: a later reply that does not fit is refused.
    pub(crate) unread_per_connection: usize,
    /// The kernel's buffers of one connection, each way.
    pub(crate) socket_buffer: usize,
}
