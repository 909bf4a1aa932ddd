//! The limits of streams.

use std::time::Duration;

/// What streams may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections in all. One more closes the one that has waited longest.
    pub connections: usize,
    /// Connections of one client: an IPv4 address, or an IPv6 network of 64 bits. One more is
    /// closed at once.
    pub per_client: usize,
    /// How long a connection may wait for the first byte of a message.
    pub idle: Duration,
    /// How long a message may take from its first byte to its last.
    pub message: Duration,
    /// How long a client may take to read one reply.
    pub write: Duration,
    /// Messages that are answered on one connection before it is others' turn.
    pub pipeline: usize,
    /// Bytes of replies that clients have not read, of all connections. More of them close the one
    /// whose client has not read for longest.
    pub unread: usize,
    /// The same of one connection: what comes later and finds no room is not taken.
    pub unread_per_connection: usize,
    /// What the kernel is asked to hold of one connection, each way.
    pub socket_buffer: usize,
}
