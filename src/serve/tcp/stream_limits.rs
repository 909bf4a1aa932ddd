//! The limits of TCP connections.

use std::time::Duration;

/// The limits of TCP connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamLimits {
    /// Connections in total. Drops the oldest idle connection when the limit is reached.
    pub(crate) connections: usize,
    /// Connections of one client: an IPv4 address or an IPv6 /64. A further connection is closed at
    /// once.
    pub(crate) per_client: usize,
    /// How long a connection may wait for the first byte of a message.
    pub(crate) idle: Duration,
    /// How long a message may take from its first byte to its last.
    pub(crate) message: Duration,
    /// How long a client may take to read one reply.
    pub(crate) write: Duration,
    /// Replies that one connection may await, and messages that it may handle in a row before other
    /// connections get a turn.
    pub(crate) pipeline: usize,
    /// Bytes of unread replies on all connections together. Beyond the limit, the connection whose
    /// client has stopped reading for longest is closed.
    pub(crate) unread: usize,
    /// Bytes of unread replies on one connection. A later reply that does not fit is refused.
    pub(crate) unread_per_connection: usize,
    /// The kernel's buffer of one connection in bytes, for each direction.
    pub(crate) socket_buffer: usize,
}
