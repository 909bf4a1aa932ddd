//! The counters of queries: each thread writes only its own, and a scrape sums them.
//!
//! A thread's counters are a hash table, at most half full, from a [`Key`] to a count. Counting is
//! a lookup, a plain load and a plain store; `fetch_add` would lock the cache line, and with a
//! single writer it is not needed. A missing counter is added. If that makes the table half full,
//! the thread switches to a copy of twice the size. A scrape reads either table, and no count is
//! lower in the newer one. Counting allocates only when the table doubles, which happens a few
//! times in a thread's life.
//!
//! **Memory** is bounded by [`MOST`]: at that size, a new counter is counted without the operator's
//! names, as `other`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::key::{Key, NAMELESS};

/// Initial number of entries: 16 KiB. A network uses some dozens of counters.
const FIRST: usize = 1 << 10;
/// Maximum number of entries: 1 MiB. Half of them are for counters with names, as many as a scrape
/// can handle.
const MOST: usize = 1 << 16;
const _: () = assert!(MOST / 2 + NAMELESS < MOST / 4 * 3, "a table is never full");

/// One entry of a table; free while its key is 0.
#[derive(Debug, Default)]
struct Place {
    key: AtomicU64,
    count: AtomicU64,
}

/// A table that one thread writes.
#[derive(Debug)]
struct Table {
    /// The number of entries is a power of 2.
    places: Arc<[Place]>,
    used: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self::with_places(FIRST)
    }
}

impl Table {
    fn with_places(number: usize) -> Self {
        Self {
            places: std::iter::repeat_with(Place::default)
                .take(number)
                .collect(),
            used: 0,
        }
    }

    /// The entry of a counter, or the free entry for it.
    fn find(&self, key: Key) -> Option<&Place> {
        let mut at = key.hash();
        loop {
            let place = self.places.get(at & (self.places.len() - 1))?;
            let held = place.key.load(Relaxed);
            if held == key.get() || held == 0 {
                return Some(place);
            }
            at += 1;
        }
    }

    /// Adds to an existing counter; `false` if it does not exist.
    fn add(&self, key: Key, by: u64) -> bool {
        let Some(Place { key: held, count }) = self.find(key) else {
            return true;
        };
        if held.load(Relaxed) != key.get() {
            return false;
        }
        count.store(count.load(Relaxed).wrapping_add(by), Relaxed);
        true
    }

    /// Adds to a counter, and creates it if necessary.
    fn add_anyway(&mut self, key: Key, by: u64) {
        if self.add(key, by) {
            return;
        }
        if self.used >= self.places.len() / 2 {
            if self.places.len() < MOST {
                self.grow();
            } else if key != key.nameless() {
                return self.add_anyway(key.nameless(), by);
            }
        }
        if let Some(place) = self.find(key) {
            place.count.store(by, Relaxed);
            place.key.store(key.get(), Relaxed);
            self.used += 1;
        }
    }

    fn grow(&mut self) {
        let mut larger = Self::with_places(self.places.len() * 2);
        for (key, count) in counts(&self.places) {
            larger.add_anyway(key, count);
        }
        *self = larger;
    }
}

/// The counters in a table's entries.
fn counts(places: &[Place]) -> impl Iterator<Item = (Key, u64)> {
    places.iter().filter_map(|Place { key, count }| {
        Some((Key::from_place(key.load(Relaxed))?, count.load(Relaxed)))
    })
}

/// The counters of all threads.
#[derive(Debug, Default)]
pub(crate) struct QueryCounters(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    running: Vec<Arc<Shown>>,
    /// The counters of ended threads.
    ended: Table,
}

/// The entries of a thread's table, as a scrape reads them.
type Shown = Mutex<Arc<[Place]>>;

impl QueryCounters {
    /// Creates counters for one more thread. When the thread drops them, their counts are kept.
    pub(crate) fn of_thread(self: &Arc<Self>) -> ThreadCounters {
        let table = Table::default();
        let shown = Arc::new(Mutex::new(Arc::clone(&table.places)));
        locked(&self.0).running.push(Arc::clone(&shown));
        ThreadCounters {
            table,
            shown,
            all: Arc::clone(self),
        }
    }

    /// The sum of all counts. The lock ensures that the counts of an ending thread are included
    /// exactly once.
    pub(crate) fn sum(&self) -> BTreeMap<Key, u64> {
        let registry = locked(&self.0);
        let mut sum: BTreeMap<_, _> = counts(&registry.ended.places).collect();
        for shown in &registry.running {
            let places = Arc::clone(&locked(shown));
            for (key, count) in counts(&places) {
                let total: &mut u64 = sum.entry(key).or_default();
                *total = total.wrapping_add(count);
            }
        }
        sum
    }
}

/// One thread's counters.
#[derive(Debug)]
pub(crate) struct ThreadCounters {
    table: Table,
    shown: Arc<Shown>,
    all: Arc<QueryCounters>,
}

impl ThreadCounters {
    /// Whether `all` sums these counters.
    pub(crate) fn are_among(&self, all: &Arc<QueryCounters>) -> bool {
        Arc::ptr_eq(&self.all, all)
    }

    /// Adds to a counter.
    pub(crate) fn add(&mut self, key: Key, by: u64) {
        if !self.table.add(key, by) {
            self.add_new(key, by);
        }
    }

    /// Adds to a counter that exists; `false` if it does not.
    #[inline]
    pub(crate) fn add_known(&self, key: Key, by: u64) -> bool {
        self.table.add(key, by)
    }

    #[cold]
    fn add_new(&mut self, key: Key, by: u64) {
        self.table.add_anyway(key, by);
        *locked(&self.shown) = Arc::clone(&self.table.places);
    }
}

impl Drop for ThreadCounters {
    fn drop(&mut self) {
        let mut registry = locked(&self.all.0);
        registry
            .running
            .retain(|shown| !Arc::ptr_eq(shown, &self.shown));
        for (key, count) in counts(&self.table.places) {
            registry.ended.add_anyway(key, count);
        }
    }
}

/// A poisoned value is still consistent, because each change is one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnsgate_core::engine::{FilterCheck, Reason};

    fn denied(group: u16, rule: u16) -> Key {
        Key::denied(group, rule, Reason::Blocked).expect("a denial")
    }

    #[test]
    fn counters_of_all_threads_are_summed_and_stay_when_a_thread_ends() {
        let all = Arc::new(QueryCounters::default());
        let (mut one, mut two) = (all.of_thread(), all.of_thread());
        one.add(Key::PANICS, 1);
        two.add(Key::PANICS, 2);
        two.add(denied(0, 7), 5);
        let want = BTreeMap::from([(Key::PANICS, 3), (denied(0, 7), 5)]);
        assert_eq!(all.sum(), want);
        drop(two);
        assert_eq!(all.sum(), want);
        assert_eq!(locked(&all.0).running.len(), 1);
        one.add(denied(0, 7), 1);
        assert_eq!(all.sum()[&denied(0, 7)], 6);
    }

    #[test]
    fn no_count_is_lost_when_a_table_grows() {
        let all = Arc::new(QueryCounters::default());
        let mut own = all.of_thread();
        let mut last = 0;
        for round in 1..=3 {
            for rule in 0..2_000 {
                own.add(denied(3, rule), 1);
                if rule % 100 == 99 {
                    let sum: u64 = all.sum().values().sum();
                    assert_eq!(sum, last + 100);
                    last = sum;
                }
            }
            assert!(all.sum().values().all(|&count| count == round));
        }
        assert_eq!(last, 6_000);
        assert_eq!(own.table.places.len(), 4_096);
    }

    #[test]
    fn counters_past_the_bound_are_counted_as_other() {
        let all = Arc::new(QueryCounters::default());
        for _ in 0..2 {
            let mut own = all.of_thread();
            for rule in 0..=u16::MAX {
                own.add(denied(7, rule), 1);
            }
            own.add(Key::filtered(2, FilterCheck::Cname), 1);
            assert_eq!(own.table.places.len(), MOST);
        }
        let sum = all.sum();
        assert_eq!(sum.values().sum::<u64>(), 2 * (65_536 + 1));
        assert!(sum.len() < MOST / 2 + NAMELESS, "{}", sum.len());
        assert_eq!(sum[&denied(7, 9)], 2, "who was first keeps the name");
        assert!(sum[&denied(1, 1)] > 60_000);
        assert_eq!(sum[&Key::filtered(1, FilterCheck::Cname)], 2);
    }
}
