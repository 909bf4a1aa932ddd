//! The snapshot in force, as workers read it.
//!
//! A worker keeps a [`SnapshotReader`] and asks it once for each batch of queries: one atomic load, no lock. A
//! snapshot lives as long as somebody still reads it. What replaces it is `reload`'s.

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use dnsgate_core::engine::Snapshot;

/// The snapshot in force. Clones share it.
#[derive(Clone, Debug)]
pub struct LiveSnapshot(Arc<ArcSwap<Snapshot>>);

impl LiveSnapshot {
    /// With this one to begin with.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(snapshot)))
    }

    /// Puts another snapshot in force: batches that begin from now on see it.
    pub fn set(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }

    /// A worker's view of it.
    #[must_use]
    pub fn reader(&self) -> SnapshotReader {
        SnapshotReader(Cache::new(Arc::clone(&self.0)))
    }

    /// The snapshot in force at this moment.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

/// One worker's view of the snapshot in force.
#[derive(Debug)]
pub struct SnapshotReader(Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>);

impl SnapshotReader {
    /// The snapshot in force at this moment.
    pub fn snapshot(&mut self) -> &Arc<Snapshot> {
        self.0.load()
    }
}
