//! The snapshot in force: one whole configuration, seen by every query from its beginning to its
//! end.
//!
//! A worker keeps a [`Reader`] and asks it once for each batch of queries. That costs one atomic
//! load and no lock; a snapshot lives as long as somebody still reads it.
//!
//! Not here: reading files (`config`), and who is told of a new snapshot (`app`).

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use crate::{
    engine::{Policy, Snapshot},
    zone::Zone,
};

/// The number of the first snapshot of a process.
const FIRST_GENERATION: u64 = 1;

/// The snapshot in force. Clones share it.
#[derive(Clone, Debug)]
pub struct Live(Arc<ArcSwap<Snapshot>>);

impl Live {
    /// Puts the first policy of this process and its zones in force.
    #[must_use]
    pub fn new(policy: Policy, zones: Vec<Zone>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Snapshot::new(
            FIRST_GENERATION,
            policy,
            zones,
        ))))
    }

    /// A worker's view of it.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(Cache::new(Arc::clone(&self.0)))
    }

    /// The snapshot in force at this moment.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

/// One worker's view of the snapshot in force.
#[derive(Debug)]
pub struct Reader(Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>);

impl Reader {
    /// The snapshot in force at this moment.
    pub fn snapshot(&mut self) -> &Arc<Snapshot> {
        self.0.load()
    }
}
