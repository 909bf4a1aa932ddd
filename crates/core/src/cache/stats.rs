//! How often something was found. Counted in several places, one for a few threads each, so that
//! workers do not pass one cache line around; added up when somebody looks.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// The number of places: as many as there commonly are workers.
const PLACES: usize = 16;

/// What a look-up came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookupResult {
    Hit,
    Stale,
    Miss,
}

/// How the cache has been doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Look-ups that found what is true, or that asking had just failed.
    pub hits: u64,
    /// Look-ups that found nothing.
    pub misses: u64,
    /// Look-ups that found responses past their time.
    pub stale: u64,
    /// Entries thrown out, or not let in, because there was no room.
    pub evictions: u64,
    /// Entries there are, remembered failures among them.
    pub entries: usize,
    /// What they weigh, in bytes; never more than the cache's size.
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
