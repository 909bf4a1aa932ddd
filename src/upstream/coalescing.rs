//! The questions in flight: who asks one that is already on its way waits for the same answer.
//!
//! A flight is polled by those who wait for it and is dropped with the last of them. So one that
//! nobody waits for is over at once, without a task to be told.

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

/// Locks of the table: enough that the threads of a server seldom meet at one.
const SHARDS: usize = 16;

/// What a flight ends with.
pub(super) type Resolution = Result<Arc<Response>, Failure>;
/// A flight, for its first poll.
type Boxed = Pin<Box<dyn Future<Output = Resolution> + Send>>;
/// A flight, for one of those who wait for it.
pub(super) type InFlightQuery = Shared<Boxed>;

/// How a caller came to its flight.
pub(super) enum Joined {
    /// It is the first to ask.
    First(InFlightQuery),
    /// The question was in flight.
    Coalesced(InFlightQuery),
    /// There is no room.
    Full,
}

/// All questions in flight.
pub(super) struct InFlightQueries {
    /// Keyed: clients choose the names below those that are allowed.
    hasher: RandomState,
    shards: [Mutex<HashTable<InFlightEntry>>; SHARDS],
    /// Questions in flight, over all shards.
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

/// Takes a flight out of the table when it has landed or nobody waits for it any longer.
struct TableEntry {
    in_flight: Arc<InFlightQueries>,
    /// The permit's.
    hash: u64,
    number: usize,
}

impl Drop for TableEntry {
    fn drop(&mut self) {
        self.in_flight.count.fetch_sub(1, Ordering::Relaxed);
        let mut shard = self.in_flight.shard(self.hash);
        // The question may have been asked anew by now.
        if let Ok(entry) = shard.find_entry(self.hash, |entry| entry.number == self.number) {
            entry.remove();
        }
    }
}

impl InFlightQueries {
    /// At most `most` questions, and `coalesced` who wait for the same one.
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

    /// The flight of a question; `ask` begins one where there is none.
    pub(super) fn join<F, A>(self: &Arc<Self>, permit: &Permit, ask: F) -> Joined
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
            // Unlocked first: should everybody else have gone meanwhile, then dropping this flight
            // ends it, and it takes itself out of the table.
            drop(shard);
            // This one is counted.
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
            // In the place of one that has landed and not yet taken itself out.
            match shard.entry(hash, same, |entry| entry.hash) {
                table::Entry::Occupied(mut ended) => *ended.get_mut() = entry,
                table::Entry::Vacant(free) => {
                    free.insert(entry);
                }
            }
        }
        Joined::First(query)
    }

    /// Questions in flight.
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
        // The table goes by the upper bits and the lowest ones.
        let at = (hash >> 32) as usize % SHARDS;
        // A remainder is a position.
        let shard = &self.shards[at];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
