//! The current snapshot, as workers read it.
//!
//! A worker keeps a [`SnapshotReader`] and reads it once per batch of queries: one atomic load, no
//! lock. A snapshot lives until its last reader drops it. `reload` replaces it.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use dnsgate_core::engine::Snapshot;

/// The current snapshot. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct LiveSnapshot(Arc<ArcSwap<Snapshot>>);

impl LiveSnapshot {
    /// Starts with this snapshot.
    #[must_use]
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(Arc::new(ArcSwap::new(snapshot)))
    }

    /// Replaces the snapshot. Batches that begin from now on see the new one.
    pub(crate) fn set(&self, snapshot: Arc<Snapshot>) {
        self.0.store(snapshot);
    }

    /// A reader for one worker.
    #[must_use]
    pub(crate) fn reader(&self) -> SnapshotReader {
        SnapshotReader(Cache::new(Arc::clone(&self.0)))
    }

    /// The current snapshot.
    #[must_use]
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

/// One worker's reader of the current snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotReader(Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>);

impl SnapshotReader {
    /// The current snapshot.
    pub(crate) fn snapshot(&mut self) -> &Arc<Snapshot> {
        self.0.load()
    }
}
