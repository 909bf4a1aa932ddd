//! The events of an upstream, for metrics and log.
//!
//! Not here: metrics and logs themselves. An [`Observer`] is called during query handling and must
//! return at once.

use std::{net::IpAddr, time::Duration};

use super::health::ServerStatus;
use dnsgate_core::dns::ServerFault;

/// Counts and logs events.
pub(crate) trait Observer: Send + Sync {
    /// Handles an event. Called often and from many threads; it must neither block nor panic.
    fn observe(&self, event: UpstreamEvent);

    /// Reports why a server failed; `None` means timeout. `detail` is the text of the underlying
    /// error for the operator and may be empty. Called before the resulting [`UpstreamEvent`],
    /// under the same conditions.
    fn trouble(&self, server: usize, fault: Option<ServerFault>, detail: &str);
}

/// An event. A server is identified by its position in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamEvent {
    /// A query to a server has ended. Reported exactly once per query; probes do not count.
    QueryEnded {
        /// The queried server.
        server: usize,
        /// The result.
        result: QueryEnd,
        /// Time from the query to the reply, if there was one, without the time to connect.
        rtt: Option<Duration>,
    },
    /// A message did not match the query (other ID, other question, or not a response) and was
    /// ignored.
    Mismatch {
        /// The apparent sender.
        server: usize,
    },
    /// A query had so many mismatches that it is sent again over TCP, because somebody may be
    /// forging replies.
    Forged {
        /// The server whose replies may be forged.
        server: usize,
    },
    /// A server does not support EDNS and is queried without it for a while.
    WithoutEdns {
        /// The server.
        server: usize,
    },
    /// A server does not repeat the letter case of questions, which is not checked for a while.
    WithoutCase {
        /// The server.
        server: usize,
    },
    /// The status of a server has changed.
    Changed {
        /// The server.
        server: usize,
        /// The new status.
        status: ServerStatus,
    },
    /// A hedged query was sent because another server was slow.
    Hedged {
        /// The server that got the hedged query.
        server: usize,
    },
    /// A caller joined a query that was already in flight.
    Coalesced,
    /// A caller was turned away: too many wait for this query, or too many queries are in flight.
    Shed,
    /// A query failed at once because no server may be asked.
    Refused {
        /// Whether all servers loop back to us; otherwise all are down.
        looping: bool,
    },
    /// A query was not sent: its party has reached its share of the slots on the connections to a
    /// server, or no slot is left.
    Full {
        /// The server.
        server: usize,
    },
    /// A server's loop probe arrived at our listener from an address that is not the server's.
    Copied {
        /// The probed server.
        server: usize,
        /// The source address of the probe.
        from: IpAddr,
    },
    /// A server's loop probes come back to our own listener, or no longer do.
    Looping {
        /// The probed server.
        server: usize,
        /// Whether probes come back.
        looping: bool,
    },
}

/// The result of a query to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum QueryEnd {
    /// NOERROR or NXDOMAIN.
    Answered,
    /// Another response code.
    ErrorCode,
    /// The reply is malformed.
    Malformed,
    /// No reply within the time that this server usually takes.
    Timeout,
    /// The server cannot be used.
    Fault(ServerFault),
    /// No resources to send the query: no file descriptor, or all connections full.
    Busy,
    /// Nobody waited for the reply any longer.
    Abandoned,
}
