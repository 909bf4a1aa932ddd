//! The state of one upstream that its questions under way and its probes share.

use std::sync::{Arc, atomic::AtomicUsize};

use super::{
    observer::Observer, probes::Probes, server_stats::ServerStats, transport::ServerTransport,
    upstream_limits::UpstreamLimits,
};
use crate::clock::monotonic;
use dnsgate_core::{dns::ServerFault, policy::UpstreamId};

/// What questions under way hold on to.
pub(super) struct UpstreamShared {
    pub(super) id: UpstreamId,
    pub(super) transports: Vec<ServerTransport>,
    pub(super) stats: ServerStats,
    pub(super) probes: Probes,
    /// Questions that were let in while all servers were down, and have not ended.
    pub(super) probing: AtomicUsize,
    pub(super) limits: UpstreamLimits,
    pub(super) observer: Arc<dyn Observer>,
}

impl UpstreamShared {
    /// A server cannot be used.
    pub(super) fn faulty(&self, server: usize, fault: ServerFault) {
        self.observer.trouble(server, Some(fault), "");
        self.stats.unreachable(server, monotonic());
    }
}
