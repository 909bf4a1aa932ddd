//! The state of one upstream that its in-flight queries and its probes share.

use std::sync::{Arc, atomic::AtomicUsize};

use super::{
    observer::Observer, probes::Probes, server_stats::ServerStats, transport::ServerTransport,
    upstream_limits::UpstreamLimits,
};
use crate::clock::monotonic;
use dnsgate_core::{dns::ServerFault, policy::UpstreamId};

/// The state that in-flight queries keep alive.
pub(super) struct UpstreamShared {
    pub(super) id: UpstreamId,
    pub(super) transports: Vec<ServerTransport>,
    pub(super) stats: ServerStats,
    pub(super) probes: Probes,
    /// Queries in flight that were admitted while all servers were down.
    pub(super) probing: AtomicUsize,
    pub(super) limits: UpstreamLimits,
    pub(super) observer: Arc<dyn Observer>,
}

impl UpstreamShared {
    /// Records that a server cannot be used.
    pub(super) fn faulty(&self, server: usize, fault: ServerFault) {
        self.observer.trouble(server, Some(fault), "");
        self.stats.unreachable(server, monotonic());
    }
}
