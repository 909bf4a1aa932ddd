//! Where the counters of all workers come together: which blocks are in use, what blocks that are
//! not in use any more had counted, and which labels each generation had.
//!
//! The one lock here is taken when a worker starts, ends or sees a new generation, when a query
//! ends that began under an older one, and by a scrape; never by a query otherwise. It is held
//! while a scrape sums, so that no block is counted twice or not at all while it changes hands.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::telemetry::Tally;

use super::{
    block::Block,
    labels::Labels,
    totals::{MAX_KEPT, Totals},
};

/// How many generations' labels are remembered, for queries and log lines that are still under
/// way when the configuration is reloaded: those live for seconds.
const KEPT_GENERATIONS: usize = 8;

/// The counters of all workers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    open: Vec<Arc<Block>>,
    closed: Totals,
    /// The newest last.
    generations: VecDeque<(u64, Arc<Labels>)>,
}

impl Books {
    fn labels(&self, generation: u64) -> Arc<Labels> {
        let known = self.generations.iter().rev();
        known
            .filter(|&&(number, _)| number == generation)
            .map(|(_, labels)| Arc::clone(labels))
            .next()
            .unwrap_or_default()
    }

    fn close(&mut self, block: &Arc<Block>) {
        let Some(at) = self.open.iter().position(|open| Arc::ptr_eq(open, block)) else {
            return;
        };
        self.open.swap_remove(at);
        self.closed.add(block, MAX_KEPT);
    }
}

impl Ledger {
    /// Makes a generation's labels known; it must be done before a query can see the generation.
    pub(crate) fn publish(&self, generation: u64, labels: Labels) {
        let mut books = self.lock();
        if books.generations.len() >= KEPT_GENERATIONS {
            books.generations.pop_front();
        }
        books.generations.push_back((generation, Arc::new(labels)));
    }

    /// The labels of a generation; none at all when it is long gone.
    pub(crate) fn labels(&self, generation: u64) -> Arc<Labels> {
        self.lock().labels(generation)
    }

    /// The labels of the newest generation.
    pub(crate) fn newest(&self) -> Arc<Labels> {
        let books = self.lock();
        let newest = books.generations.back();
        newest.map_or_else(Arc::default, |(_, labels)| Arc::clone(labels))
    }

    /// A block for a worker that starts, under the newest generation.
    pub(crate) fn open(&self) -> Arc<Block> {
        let mut books = self.lock();
        let newest = books.generations.back().cloned();
        let (generation, labels) = newest.unwrap_or_default();
        let block = Arc::new(Block::new(generation, labels));
        books.open.push(Arc::clone(&block));
        block
    }

    /// A block for a worker that has come to a new generation; its old one is folded.
    pub(crate) fn turn(&self, old: &Arc<Block>, generation: u64) -> Arc<Block> {
        let labels = self.labels(generation);
        // Made before the lock is taken again: filling a megabyte takes a while.
        let block = Arc::new(Block::new(generation, labels));
        let mut books = self.lock();
        books.close(old);
        books.open.push(Arc::clone(&block));
        block
    }

    /// Folds the block of a worker that ends.
    pub(crate) fn close(&self, block: &Arc<Block>) {
        self.lock().close(block);
    }

    /// Counts a query that began under a generation older than its worker's block.
    pub(crate) fn count_late(&self, generation: u64, tally: &Tally) {
        let mut books = self.lock();
        let labels = books.labels(generation);
        books.closed.count(tally, &labels);
    }

    /// The sum of everything counted so far.
    pub(crate) fn sum(&self) -> Totals {
        let books = self.lock();
        let mut sum = books.closed.clone();
        for block in &books.open {
            sum.add(block, usize::MAX);
        }
        sum
    }

    /// A panic while the lock was held leaves counters behind, and counters have no invariant that
    /// a half-done change could break.
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
