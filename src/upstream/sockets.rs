//! The budget of file descriptors for queries to upstreams, so that some remain for admin pages,
//! client connections and the files of a reload.
//!
//! Descriptors belong to the process, and so do these limits. They are set once at the start,
//! before the first query, and are unlimited until then. A first socket to a server may use the whole
//! budget, a further one only while less than a third is used: questions can share the first one.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Sockets of queries over UDP.
static DATAGRAMS: DescriptorBudget = DescriptorBudget::new();
/// Connections.
static CONNECTIONS: DescriptorBudget = DescriptorBudget::new();

/// Sets the limits of open sockets, for queries over UDP and for connections.
pub(crate) fn bound_sockets(datagrams: usize, connections: usize) {
    DATAGRAMS.most.store(datagrams, Ordering::Relaxed);
    CONNECTIONS.most.store(connections, Ordering::Relaxed);
}

struct DescriptorBudget {
    most: AtomicUsize,
    used: AtomicUsize,
}

/// The right to open a descriptor. Released when dropped.
pub(super) struct Descriptor(&'static DescriptorBudget);

/// A descriptor for queries over UDP. `more` marks a further socket to the same server.
pub(super) fn datagram(more: bool) -> Option<Descriptor> {
    DATAGRAMS.take(more)
}

/// A descriptor for a connection. `more` marks a further connection to the same server, which
/// leaves room for first connections to other servers.
pub(super) fn connection(more: bool) -> Option<Descriptor> {
    CONNECTIONS.take(more)
}

impl DescriptorBudget {
    const fn new() -> Self {
        Self {
            most: AtomicUsize::new(usize::MAX),
            used: AtomicUsize::new(0),
        }
    }

    fn take(&'static self, more: bool) -> Option<Descriptor> {
        let most = self.most.load(Ordering::Relaxed);
        let most = if more { most / 3 } else { most };
        let another = |used: usize| (used < most).then_some(used + 1);
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, another);
        // Created only after counting, because dropping it decrements the count.
        taken.is_ok().then(|| Descriptor(self))
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_sockets_leave_two_thirds_of_the_budget_to_first_ones() {
        static BUDGET: DescriptorBudget = DescriptorBudget::new();
        BUDGET.most.store(6, Ordering::Relaxed);
        let again = [BUDGET.take(true), BUDGET.take(true), BUDGET.take(true)];
        assert_eq!(again.each_ref().map(Option::is_some), [true, true, false]);
        let first: Vec<_> = (0..5).map(|_| BUDGET.take(false)).collect();
        assert_eq!(first.iter().flatten().count(), 4);
        drop((again, first));
        assert_eq!(BUDGET.used.load(Ordering::Relaxed), 0);
    }
}
