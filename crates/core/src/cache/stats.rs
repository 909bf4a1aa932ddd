//! Counts hits and misses. The counters are spread over several cache lines by thread, so that
//! workers do not share one; reading sums them.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// The number of counter sets: a common number of workers.
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

/// Counters aligned to a pair of cache lines, which the processor prefetches together.
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
    /// The index of this thread's counters, the same in every cache.
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Assigns counters to new threads in rotation.
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

    /// The sum of all counters. Fields not counted here are 0.
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
