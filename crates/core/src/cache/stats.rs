//! Counts hits and misses. Each of a few threads has counters of its own, so that workers do not share a cache line; they are
//! summed when they are read.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// The number of places: as many as there commonly are workers.
const PLACES: usize = 16;

/// The result of one lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookupResult {
    Hit,
    Stale,
    Miss,
}

/// The cache's statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Lookups answered from an unexpired entry, a remembered failure included.
    pub hits: u64,
    /// Lookups that found nothing.
    pub misses: u64,
    /// Lookups that found a stale entry.
    pub stale: u64,
    /// Entries evicted, or not admitted, because there was no room.
    pub evictions: u64,
    /// Entries in the cache, remembered failures included.
    pub entries: usize,
    /// Their weight in bytes; never more than the cache's size.
    pub bytes: u64,
}

/// Counters on a cache line of their own, and on the one that is fetched with it.
#[derive(Default)]
#[repr(align(128))]
struct Place {
    events: [AtomicU64; 3],
}

#[derive(Default)]
pub(super) struct Counters {
    places: [Place; PLACES],
}

thread_local! {
    /// The place where this thread counts, of every cache.
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// A place for each new thread in turn.
fn place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    PLACE.with(|place| {
        let own = place.get().unwrap_or_else(|| NEXT.fetch_add(1, Relaxed));
        place.set(Some(own));
        own
    })
}

impl Counters {
    pub(super) fn add(&self, event: LookupResult) {
        let counter = self
            .places
            .get(place() % PLACES)
            .and_then(|place| place.events.get(event as usize));
        if let Some(counter) = counter {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// All places together; what is not counted here is 0.
    pub(super) fn sum(&self) -> CacheStats {
        let mut stats = CacheStats::default();
        for place in &self.places {
            let [hits, stale, misses] = place.events.each_ref().map(|event| event.load(Relaxed));
            stats.hits += hits;
            stats.stale += stale;
            stats.misses += misses;
        }
        stats
    }
}
