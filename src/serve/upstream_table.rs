//! The upstreams of the current configuration, by partition, and for a while the upstreams of the
//! previous one.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;

use super::in_flight::UpstreamLoad;
use crate::upstream::{Admitted, UpstreamClient};
use dnsgate_core::{
    dns::Failure,
    engine::{Partition, Permit, Snapshot},
};

/// An upstream, and the number of queries that wait for it.
#[derive(Clone)]
struct InstalledUpstream {
    client: Arc<UpstreamClient>,
    load: Arc<UpstreamLoad>,
}

type InstalledUpstreams = BTreeMap<Partition, InstalledUpstream>;

/// The upstreams that may receive queries.
#[derive(Default)]
pub(super) struct UpstreamTable(ArcSwap<InstalledUpstreams>);

/// The upstreams that an installation replaced, to be removed later.
pub(super) struct Replaced {
    before: Arc<InstalledUpstreams>,
    kept: Vec<Partition>,
}

impl UpstreamTable {
    /// The upstream of a partition, if it is installed.
    pub(super) fn get(&self, partition: Partition) -> Option<Arc<UpstreamClient>> {
        let all = self.0.load();
        all.get(&partition).map(|known| Arc::clone(&known.client))
    }

    /// The upstream of a permit; `None` if it was removed.
    pub(super) fn of_permit(
        &self,
        snapshot: &Snapshot,
        permit: &Permit,
    ) -> Option<Arc<UpstreamClient>> {
        self.get(snapshot.partition(permit.upstream())?)
    }

    /// The load counter of this permit's upstream.
    pub(super) fn load_of(&self, snapshot: &Snapshot, permit: &Permit) -> Arc<UpstreamLoad> {
        let all = self.0.load();
        let partition = snapshot.partition(permit.upstream());
        let known = partition.and_then(|partition| all.get(&partition));
        // A query to a removed upstream fails at once.
        known
            .map(|known| Arc::clone(&known.load))
            .unwrap_or_default()
    }

    /// Admits a query at this permit's upstream; `None` if it was removed.
    ///
    /// # Errors
    /// The reason why the query fails at once.
    pub(super) fn admit(
        &self,
        snapshot: &Snapshot,
        permit: &Permit,
    ) -> Result<Option<Admitted>, Failure> {
        let all = self.0.load();
        let partition = snapshot.partition(permit.upstream());
        let known = partition.and_then(|partition| all.get(&partition));
        known.map(|known| known.client.admit()).transpose()
    }

    /// Adds the upstreams of another configuration and starts the probes of the new ones. The
    /// replaced upstreams stay until [`Self::retire`].
    pub(super) fn install(&self, wanted: Vec<(Partition, Arc<UpstreamClient>)>) -> Replaced {
        let before = self.0.load_full();
        let mut all = InstalledUpstreams::clone(&before);
        let kept = wanted.iter().map(|&(partition, _)| partition).collect();
        let mut new = Vec::new();
        for (partition, client) in wanted {
            if !before.contains_key(&partition) {
                new.push(Arc::clone(&client));
            }
            let load = before.get(&partition).map(|known| Arc::clone(&known.load));
            let load = load.unwrap_or_default();
            all.insert(partition, InstalledUpstream { client, load });
        }
        self.0.store(Arc::new(all));
        // Start probes only after the table is stored: a probe that returns at once must find its
        // upstream.
        for client in new {
            tokio::spawn(client.watch());
        }
        Replaced { before, kept }
    }

    /// Removes the upstreams that an installation replaced. Upstreams that a later installation
    /// added stay.
    pub(super) fn retire(&self, Replaced { before, kept }: &Replaced) {
        self.0.rcu(|all| {
            let mut left = InstalledUpstreams::clone(all);
            left.retain(|partition, _| kept.contains(partition) || !before.contains_key(partition));
            left
        });
    }

    /// Handles a loop probe that one of our listeners received. Returns whether the probe was our
    /// own.
    pub(super) fn probe_returned(&self, token: u128, source: IpAddr) -> bool {
        let all = self.0.load();
        let returned = all
            .values()
            .map(|known| known.client.probe_returned(token, source));
        returned.fold(false, |own, returned| own | returned)
    }
}
