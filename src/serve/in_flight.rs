//! Room for queries that wait for an upstream, shared so that no upstream and no client group takes the
//! room of another.
//!
//! ```text
//!  limits.in_flight ─┬─ one half: reserved, the same number for each group at each upstream
//!                    └─ other half: common; no group and no upstream holds more than four times what
//!                       is free of it
//! ```
//!
//! What is promised: as long as fewer queries of a group wait at an upstream than are reserved for the
//! two, none of them is turned away, whoever else asks how much of whom. Whoever needs more takes it
//! from the common half, by the rule of [`may_take`]: one that is alone in asking for more gets four
//! fifths of it, and however many do, something is left for who comes next. Where there is one group
//! only, or one upstream, there is nobody to leave room to, and it may have all of it.
//!
//! A query takes its place on the thread that it came by, with some atomic operations and no lock.
//! While upstreams change, by a reload, those that wait keep their places: the promise holds again when
//! they have ended, a time-out later. There are never more than `limits.in_flight`.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::upstream::{Party, may_take};
use dnsgate_core::engine::GroupId;

/// As many groups as there may be, and dnsgate's own questions.
const PARTIES: usize = dnsgate_core::policy::MAX_GROUPS + 1;

/// The places of all queries that wait.
pub(super) struct InFlight {
    all: Arc<Semaphore>,
    most: usize,
    /// Places of the common half that are taken.
    common: AtomicUsize,
    /// The same by group.
    groups: [AtomicUsize; PARTIES],
    /// Places that are reserved for one group at one upstream.
    reserved: AtomicUsize,
    /// How many groups and upstreams there are.
    of: [AtomicUsize; 2],
}

/// The places of the queries that wait at one upstream.
pub(super) struct UpstreamLoad {
    /// Places of the common half.
    common: AtomicUsize,
    /// Reserved places that are taken, by group.
    own: [AtomicUsize; PARTIES],
}

/// A query's place; it is free again when dropped.
pub(super) struct InFlightSlot {
    in_flight: Arc<InFlight>,
    load: Arc<UpstreamLoad>,
    party: usize,
    half: Half,
    _one: OwnedSemaphorePermit,
}

/// Which half a place is of.
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

/// Whose question it is, of those of a group or of dnsgate's own.
pub(super) fn party(group: Option<GroupId>) -> Party {
    group.map_or(Party::OWN, |GroupId(at)| Party(at))
}

impl InFlight {
    /// With so many places.
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

    /// Shares the places out to so many groups and upstreams.
    pub(super) fn share_out(&self, groups: usize, upstreams: usize) {
        let pairs = groups.max(1).saturating_mul(upstreams.max(1));
        self.reserved.store(self.most / 2 / pairs, Relaxed);
        for (of, count) in self.of.iter().zip([groups, upstreams]) {
            of.store(count, Relaxed);
        }
    }

    /// A place for a query of a group at an upstream, if there is one that it may have.
    pub(super) fn take(
        self: &Arc<Self>,
        load: &Arc<UpstreamLoad>,
        group: Option<GroupId>,
    ) -> Option<InFlightSlot> {
        let party = usize::from(party(group).0).min(PARTIES - 1);
        let one = Arc::clone(&self.all).try_acquire_owned().ok()?;
        // What dnsgate asks by itself can be left: nothing is reserved for it.
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
            // Others may look between these: then a party has a few more than it should, for a while.
            group.fetch_add(1, Relaxed);
            load.common.fetch_add(1, Relaxed);
        }
        taken
    }

    /// Queries that wait.
    pub(super) fn taken(&self) -> usize {
        self.most - self.all.available_permits()
    }

    /// Waits until none does.
    pub(super) async fn empty(&self) {
        let all = u32::try_from(self.most).unwrap_or(u32::MAX);
        // It is never closed.
        let _ = self.all.acquire_many(all).await;
    }
}

impl InFlightSlot {
    /// Whether it is a place at this upstream.
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
    fn one_alone_has_all_of_it() {
        let (in_flight, loads) = in_flight(1, 1);
        let all = flood(&in_flight, &loads[0], A);
        assert_eq!((all.len(), in_flight.taken()), (1000, 1000));
        drop(all);
        assert_eq!(in_flight.taken(), 0);
        assert_eq!(flood(&in_flight, &loads[0], A).len(), 1000, "again");
    }

    #[test]
    fn what_is_reserved_for_a_group_at_an_upstream_is_nobody_elses() {
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
    fn an_upstream_and_a_group_leave_common_room_to_others() {
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
    fn what_dnsgate_asks_by_itself_takes_nothing_that_is_reserved() {
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
    fn no_place_is_lost_or_made_when_many_threads_take_and_leave() {
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
