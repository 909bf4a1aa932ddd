//! The limits of one upstream.

use std::time::Duration;

/// The limits of one upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamLimits {
    /// Maximum time of a query over all servers and retries, unless its caller has less time.
    pub(crate) deadline: Duration,
    /// Maximum number of callers that wait for the same query.
    pub(crate) coalesced: usize,
    /// Maximum number of in-flight queries.
    pub(crate) questions: usize,
    /// Maximum number of connections to one server.
    pub(crate) connections: usize,
    /// Maximum number of in-flight queries on one connection.
    pub(crate) pipeline: usize,
    /// Maximum number of in-flight queries while all servers are down.
    pub(crate) probing: usize,
    /// The limits of UDP sockets.
    pub(crate) sockets: SocketLimits,
}

/// The limits of the UDP sockets toward one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketLimits {
    /// Maximum number of sockets that take questions, for each thread that asks.
    pub(crate) sockets: usize,
    /// The number of questions that a socket takes in all.
    pub(crate) questions: usize,
    /// How long a socket takes questions.
    pub(crate) lifetime: Duration,
    /// After this many mismatched datagrams a socket is closed, and its questions go to TCP.
    pub(crate) near_misses: usize,
}

impl Default for UpstreamLimits {
    /// 2 s, half of the time that Cloud DNS waits for its target; as many queries as clients may
    /// have in flight, and a tenth of them for one name; otherwise the defaults of the
    /// configuration, where each limit is explained.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(2),
            coalesced: 1000,
            questions: 10_000,
            connections: 4,
            pipeline: 512,
            probing: 10,
            sockets: SocketLimits {
                sockets: 16,
                questions: 128,
                lifetime: Duration::from_secs(2),
                near_misses: 1,
            },
        }
    }
}
