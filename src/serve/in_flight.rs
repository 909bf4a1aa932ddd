//! The slots of queries that wait for an upstream, shared so that no upstream and no client group
//! can take the slots of another.
//!
//! ```text
//!  limits.in_flight ─┬─ one half: reserved, the same number for each group at each upstream
//!                    └─ other half: common; no group and no upstream holds more than four times
//!                       the slots that are free in it
//! ```
//!
//! The guarantee: while a group has fewer queries in flight at an upstream than are reserved for
//! the pair, none of its queries there is turned away, regardless of other groups and upstreams.
//! Further queries take slots from the common half by the rule of [`may_take`]: a single group or
//! upstream that needs more gets at most four fifths of it, and with any number of them some slots
//! stay free for the next. With only one group, or only one upstream, this limit does not apply to
//! it, because there is no other to protect.
//!
//! A query takes its slot on the thread that received it, with a few atomic operations and no lock.
//! When a reload changes the upstreams, in-flight queries keep their slots; the guarantee holds
//! again when they have ended, at most one timeout later. The total never exceeds
//! `limits.in_flight`.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::upstream::{Party, may_take};
use dnsgate_core::engine::GroupId;

/// The maximum number of groups, plus one for dnsgate's own queries.
const PARTIES: usize = dnsgate_core::policy::MAX_GROUPS + 1;

/// The slots of all in-flight queries.
pub(super) struct InFlight {
    all: Arc<Semaphore>,
    most: usize,
    /// Slots taken from the common half.
    common: AtomicUsize,
    /// Slots taken from the common half, by group.
    groups: [AtomicUsize; PARTIES],
    /// Slots that are reserved for one group at one upstream.
    reserved: AtomicUsize,
    /// The numbers of groups and upstreams.
    of: [AtomicUsize; 2],
}

/// The slots of the queries in flight at one upstream.
pub(super) struct UpstreamLoad {
    /// Slots taken from the common half.
    common: AtomicUsize,
    /// Reserved slots that are taken, by group.
    own: [AtomicUsize; PARTIES],
}

/// A query's slot. Released when dropped.
pub(super) struct InFlightSlot {
    in_flight: Arc<InFlight>,
    load: Arc<UpstreamLoad>,
    party: usize,
    half: Half,
    _one: OwnedSemaphorePermit,
}

/// The half that a slot belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Own,
    Common,
}

impl Default for UpstreamLoad {
    fn default() -> Self {
        Self {
            common: AtomicUsize::new(0),
            own: [const { AtomicUsize::new(0) }; PARTIES],
        }
    }
}

/// The party of a query: a group, or dnsgate itself.
pub(super) fn party(group: Option<GroupId>) -> Party {
    group.map_or(Party::OWN, |GroupId(at)| Party(at))
}

impl InFlight {
    /// Creates this number of slots.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let most = most.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            all: Arc::new(Semaphore::new(most)),
            most,
            common: AtomicUsize::new(0),
            groups: [const { AtomicUsize::new(0) }; PARTIES],
            reserved: AtomicUsize::new(0),
            of: [const { AtomicUsize::new(1) }; 2],
        })
    }

    /// Divides the slots among these numbers of groups and upstreams.
    pub(super) fn share_out(&self, groups: usize, upstreams: usize) {
        let pairs = groups.max(1).saturating_mul(upstreams.max(1));
        self.reserved.store(self.most / 2 / pairs, Relaxed);
        for (of, count) in self.of.iter().zip([groups, upstreams]) {
            of.store(count, Relaxed);
        }
    }

    /// Takes a slot for a query of a group at an upstream, if one is available to it.
    pub(super) fn take(
        self: &Arc<Self>,
        load: &Arc<UpstreamLoad>,
        group: Option<GroupId>,
    ) -> Option<InFlightSlot> {
        let party = usize::from(party(group).0).min(PARTIES - 1);
        let one = Arc::clone(&self.all).try_acquire_owned().ok()?;
        // dnsgate can do without its own queries, so nothing is reserved for them.
        let half = if group.is_some() && self.take_own(load, party) {
            Half::Own
        } else if self.take_common(load, party) {
            Half::Common
        } else {
            return None;
        };
        Some(InFlightSlot {
            in_flight: Arc::clone(self),
            load: Arc::clone(load),
            party,
            half,
            _one: one,
        })
    }

    fn take_own(&self, load: &UpstreamLoad, party: usize) -> bool {
        let reserved = self.reserved.load(Relaxed);
        let Some(own) = load.own.get(party) else {
            return false;
        };
        let more = |taken: usize| (taken < reserved).then_some(taken + 1);
        own.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    fn take_common(&self, load: &UpstreamLoad, party: usize) -> bool {
        let Some(group) = self.groups.get(party) else {
            return false;
        };
        let most = self.most - self.most / 2;
        let [groups, upstreams] = self.of.each_ref().map(|of| of.load(Relaxed));
        let more = |taken: usize| {
            let free = most.saturating_sub(taken);
            let may =
                |count: usize, held: &AtomicUsize| count <= 1 || may_take(held.load(Relaxed), free);
            (free > 0 && may(groups, group) && may(upstreams, &load.common)).then_some(taken + 1)
        };
        let taken = self.common.fetch_update(Relaxed, Relaxed, more).is_ok();
        if taken {
            // Another thread may check between these operations. A party may then briefly exceed
            // its share by a few slots.
            group.fetch_add(1, Relaxed);
            load.common.fetch_add(1, Relaxed);
        }
        taken
    }

    /// The number of queries in flight.
    pub(super) fn taken(&self) -> usize {
        self.most - self.all.available_permits()
    }

    /// Waits until no query is in flight.
    pub(super) async fn empty(&self) {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.all.acquire_many(all).await;
    }
}

impl InFlightSlot {
    /// Whether the slot belongs to this upstream.
    pub(super) fn is_at(&self, load: &Arc<UpstreamLoad>) -> bool {
        Arc::ptr_eq(&self.load, load)
    }
}

impl Drop for InFlightSlot {
    fn drop(&mut self) {
        match self.half {
            Half::Own => {
                if let Some(own) = self.load.own.get(self.party) {
                    own.fetch_sub(1, Relaxed);
                }
            }
            Half::Common => {
                if let Some(group) = self.in_flight.groups.get(self.party) {
                    group.fetch_sub(1, Relaxed);
                }
                self.load.common.fetch_sub(1, Relaxed);
                self.in_flight.common.fetch_sub(1, Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<GroupId> = Some(GroupId(0));
    const B: Option<GroupId> = Some(GroupId(1));

    /// All the places that a group can get at an upstream.
    fn flood(
        in_flight: &Arc<InFlight>,
        load: &Arc<UpstreamLoad>,
        group: Option<GroupId>,
    ) -> Vec<InFlightSlot> {
        std::iter::from_fn(|| in_flight.take(load, group)).collect()
    }

    fn in_flight(groups: usize, upstreams: usize) -> (Arc<InFlight>, Vec<Arc<UpstreamLoad>>) {
        let in_flight = InFlight::new(1000);
        in_flight.share_out(groups, upstreams);
        (in_flight, (0..upstreams).map(|_| Arc::default()).collect())
    }

    #[test]
    fn a_single_group_and_upstream_has_all_places() {
        let (in_flight, loads) = in_flight(1, 1);
        let all = flood(&in_flight, &loads[0], A);
        assert_eq!((all.len(), in_flight.taken()), (1000, 1000));
        drop(all);
        assert_eq!(in_flight.taken(), 0);
        assert_eq!(flood(&in_flight, &loads[0], A).len(), 1000, "again");
    }

    #[test]
    fn reserved_places_are_never_taken_by_others() {
        let (in_flight, loads) = in_flight(2, 2);
        let reserved = 1000 / 2 / 4;
        // Everybody takes all that there is, everywhere but in one place.
        let greedy = [
            flood(&in_flight, &loads[0], A),
            flood(&in_flight, &loads[0], B),
            flood(&in_flight, &loads[1], A),
        ];
        assert!(greedy[0].len() > 500, "the first: {}", greedy[0].len());
        assert!(greedy.iter().all(|taken| taken.len() >= reserved));
        assert!(flood(&in_flight, &loads[1], B).len() >= reserved);
    }

    #[test]
    fn a_greedy_group_and_upstream_leave_common_places() {
        let (in_flight, loads) = in_flight(64, 64);
        assert_eq!(
            in_flight.reserved.load(Relaxed),
            0,
            "too many to reserve any"
        );
        let one = flood(&in_flight, &loads[0], A);
        assert_eq!(one.len(), 400, "four fifths of the common half");
        assert!(
            flood(&in_flight, &loads[0], B).is_empty(),
            "the same upstream"
        );
        assert!(flood(&in_flight, &loads[1], A).is_empty(), "the same group");
        assert_eq!(
            flood(&in_flight, &loads[1], B).len(),
            80,
            "four fifths of the rest"
        );
    }

    #[test]
    fn own_queries_take_no_reserved_places() {
        let (in_flight, loads) = in_flight(1, 2);
        let own = flood(&in_flight, &loads[0], None);
        assert_eq!(own.len(), 400);
        let (first, second) = (
            flood(&in_flight, &loads[0], A),
            flood(&in_flight, &loads[1], A),
        );
        assert!(first.len() >= 250 && second.len() >= 250);
        let none = Party::OWN;
        assert_eq!((party(None), party(B)), (none, Party(1)));
    }

    #[test]
    fn counts_places_right_under_concurrent_use() {
        let (in_flight, loads) = in_flight(2, 2);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (in_flight, loads) = (&in_flight, &loads);
                scope.spawn(move || {
                    for turn in 0..200 {
                        let group = if turn % 3 == 0 { A } else { B };
                        let taken = flood(in_flight, &loads[(thread + turn) % 2], group);
                        assert!(taken.len() <= 1000);
                    }
                });
            }
        });
        assert_eq!((in_flight.taken(), in_flight.common.load(Relaxed)), (0, 0));
        let groups = in_flight
            .groups
            .iter()
            .chain(loads.iter().map(|it| &it.common));
        let own = loads.iter().flat_map(|load| &load.own);
        assert!(groups.chain(own).all(|taken| taken.load(Relaxed) == 0));
    }
}
