//! What happens toward the servers of an upstream, told to whoever counts it.
//!
//! Not here: metrics and logs. An [`Observer`] is called in the middle of things and must return
//! at once.

use std::{net::IpAddr, time::Duration};

use super::health::ServerStatus;
use dnsgate_core::dns::ServerFault;

/// Whoever counts what happens.
pub trait Observer: Send + Sync {
    /// Something happened. Called often, from many threads; it must neither wait nor panic.
    fn observe(&self, event: UpstreamEvent);

    /// A server did not do what it was asked, for this reason, or `None` where it said nothing in
    /// time. `detail` is in the words of whoever found it, for an operator alone, and may be empty.
    /// Called before the [`UpstreamEvent`] that comes of it, under the same conditions.
    fn trouble(&self, server: usize, fault: Option<ServerFault>, detail: &str);
}

/// What happened. A server is named by its place in the configuration's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamEvent {
    /// A question to a server has ended; exactly once for each that was sent. Probes do not count.
    QueryEnded {
        /// Who was asked.
        server: usize,
        /// How it ended.
        result: QueryEnd,
        /// The time from the query to the reply, where there was one; what it took to connect is
        /// not in it.
        rtt: Option<Duration>,
    },
    /// A message came that is no reply to the question it came for, and was ignored: another id,
    /// another question, no response.
    Mismatch {
        /// Whom it came from, or seemed to.
        server: usize,
    },
    /// So many mismatches came for a question that it is asked again over TCP: somebody may be
    /// forging replies.
    Forged {
        /// In whose name.
        server: usize,
    },
    /// A server turned out not to know EDNS: for a while it is asked without.
    WithoutEdns {
        /// Which.
        server: usize,
    },
    /// A server's standing has changed.
    Changed {
        /// Whose.
        server: usize,
        /// What it is now.
        status: ServerStatus,
    },
    /// A server was asked early because another one took long.
    Hedged {
        /// Who was asked early.
        server: usize,
    },
    /// A caller waits for a question that was already in flight.
    Coalesced,
    /// A caller was turned away: too many wait for this question, or too many questions are in
    /// flight.
    Shed,
    /// A question failed at once, because no server may be asked.
    Refused {
        /// Whether all lead back to us; else all are down.
        looping: bool,
    },
    /// A question was not asked: its party has as many places on the connections to a server as it may,
    /// or none is left.
    Full {
        /// Whose connections.
        server: usize,
    },
    /// The name of a server's probe came to our listener from an address that is not the server's.
    Copied {
        /// Whose probe.
        server: usize,
        /// Where it came from.
        from: IpAddr,
    },
    /// A server's probe came back to our own listener, or no longer does.
    Looping {
        /// Whose probe.
        server: usize,
        /// Whether it came back.
        looping: bool,
    },
}

/// How a question to one server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryEnd {
    /// With an answer: NOERROR or NXDOMAIN.
    Answered,
    /// With another code.
    ErrorCode,
    /// With a reply that is no well-formed answer.
    Malformed,
    /// Without a reply for longer than this server usually takes.
    Timeout,
    /// The server cannot be used.
    Fault(ServerFault),
    /// There was no room to ask: no file descriptor, all connections full.
    Busy,
    /// Nobody waited for the reply any longer.
    Abandoned,
}
