//! Coalescing: identical queries in flight share one answer.
//!
//! The callers that wait for an in-flight query poll it, and the last of them drops it. A query
//! that nobody waits for therefore ends at once.

use std::{
    future::Future,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::{FutureExt, Shared, WeakShared};
use hashbrown::{HashTable, hash_table as table};

use dnsgate_core::{
    dns::{Failure, Response},
    policy::Permit,
};

/// Number of locks of the table, chosen so that threads rarely contend.
const SHARDS: usize = 16;

/// The result of a query.
pub(super) type Resolution = Result<Arc<Response>, Failure>;
/// A query in flight, before it is shared.
type Boxed = Pin<Box<dyn Future<Output = Resolution> + Send>>;
/// A handle to an in-flight query, for one caller.
pub(super) type InFlightQuery = Shared<Boxed>;

/// How a caller joined a query.
pub(super) enum Joined {
    /// The caller started the query.
    First(InFlightQuery),
    /// The query was already in flight.
    Coalesced(InFlightQuery),
    /// A limit is reached.
    Full,
    /// The query may not be started.
    Refused(Failure),
}

/// All in-flight queries.
pub(super) struct InFlightQueries {
    /// Randomly keyed, because clients choose the names below allowed domains.
    hasher: RandomState,
    shards: [Mutex<HashTable<InFlightEntry>>; SHARDS],
    /// In-flight queries over all shards.
    count: AtomicUsize,
    most: usize,
    coalesced: usize,
    next: AtomicUsize,
}

struct InFlightEntry {
    hash: u64,
    permit: Arc<Permit>,
    number: usize,
    query: WeakShared<Boxed>,
}

/// Removes a query from the table when it has ended or nobody waits for it any longer.
struct TableEntry {
    in_flight: Arc<InFlightQueries>,
    /// The permit's hash.
    hash: u64,
    number: usize,
}

impl Drop for TableEntry {
    fn drop(&mut self) {
        self.in_flight.count.fetch_sub(1, Ordering::Relaxed);
        let mut shard = self.in_flight.shard(self.hash);
        // An identical query may have replaced it by now.
        if let Ok(entry) = shard.find_entry(self.hash, |entry| entry.number == self.number) {
            entry.remove();
        }
    }
}

impl InFlightQueries {
    /// Allows at most `most` queries, and `coalesced` callers per query.
    pub(super) fn new(most: usize, coalesced: usize) -> Arc<Self> {
        Arc::new(Self {
            hasher: RandomState::new(),
            shards: Default::default(),
            count: AtomicUsize::new(0),
            most,
            coalesced,
            next: AtomicUsize::new(0),
        })
    }

    /// Returns the identical query in flight; `ask` starts one if there is none and `may_start` does
    /// not refuse it.
    pub(super) fn join<F, A>(
        self: &Arc<Self>,
        permit: &Permit,
        may_start: impl FnOnce() -> Result<(), Failure>,
        ask: F,
    ) -> Joined
    where
        F: FnOnce(Arc<Permit>) -> A,
        A: Future<Output = Resolution> + Send + 'static,
    {
        let hash = self.hasher.hash_one(permit);
        let mut shard = self.shard(hash);
        let under_way = shard
            .find(hash, |entry| *entry.permit == *permit)
            .and_then(|entry| entry.query.upgrade())
            .filter(|query| query.peek().is_none());
        if let Some(query) = under_way {
            // Unlock first: if all other callers have gone in the meantime, dropping this handle
            // ends the query, which locks the table to remove it.
            drop(shard);
            // The count includes this caller.
            let full = query
                .strong_count()
                .is_none_or(|waiting| waiting > self.coalesced);
            return if full {
                Joined::Full
            } else {
                Joined::Coalesced(query)
            };
        }
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Joined::Full;
        }
        if let Err(failure) = may_start() {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Joined::Refused(failure);
        }
        let permit = Arc::new(permit.clone());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let table_entry = TableEntry {
            in_flight: Arc::clone(self),
            hash,
            number,
        };
        let asked = ask(Arc::clone(&permit));
        let query: Boxed = Box::pin(async move {
            let _table_entry = table_entry;
            asked.await
        });
        let query = query.shared();
        if let Some(weak) = query.downgrade() {
            let same = |entry: &InFlightEntry| *entry.permit == *permit;
            let entry = InFlightEntry {
                hash,
                permit: Arc::clone(&permit),
                number,
                query: weak,
            };
            // Replaces a query that has ended but has not yet removed itself.
            match shard.entry(hash, same, |entry| entry.hash) {
                table::Entry::Occupied(mut ended) => *ended.get_mut() = entry,
                table::Entry::Vacant(free) => {
                    free.insert(entry);
                }
            }
        }
        Joined::First(query)
    }

    /// The number of in-flight queries.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let table_entry = self.shards.iter();
        let table_entry: usize = table_entry
            .map(|shard| shard.lock().expect("no panic").len())
            .sum();
        assert_eq!(table_entry, self.count.load(Ordering::Relaxed));
        table_entry
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, HashTable<InFlightEntry>> {
        // The hash table uses the highest and the lowest bits.
        let at = (hash >> 32) as usize % SHARDS;
        // The remainder is a valid index.
        let shard = &self.shards[at];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
