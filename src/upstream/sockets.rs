//! The file descriptors that questions to upstreams may take, so that some are left for everything
//! else: admin pages, connections of clients, files of a reload.
//!
//! Descriptors are the process's, and so are these numbers: set once at the start, before the first
//! question; unlimited until then. A question that is asked for the first time may take any of them,
//! one that is asked again only while fewer than a third are taken. So as long as no more questions
//! are under way than two thirds of them, none lacks a descriptor for its first try.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Sockets of questions over UDP.
static DATAGRAMS: DescriptorBudget = DescriptorBudget::new();
/// Connections.
static CONNECTIONS: DescriptorBudget = DescriptorBudget::new();

/// Sets how many sockets may be open at a time, for questions over UDP and for connections.
pub fn bound_sockets(datagrams: usize, connections: usize) {
    DATAGRAMS.most.store(datagrams, Ordering::Relaxed);
    CONNECTIONS.most.store(connections, Ordering::Relaxed);
}

struct DescriptorBudget {
    most: AtomicUsize,
    used: AtomicUsize,
}

/// A descriptor that may be opened; it is free again when dropped.
pub(super) struct Descriptor(&'static DescriptorBudget);

/// For a question over UDP, perhaps one that is asked `again`.
pub(super) fn datagram(again: bool) -> Option<Descriptor> {
    DATAGRAMS.take(again)
}

/// For a connection, perhaps one more to a server that has one: those leave room to the first ones of
/// other servers.
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

    fn take(&'static self, again: bool) -> Option<Descriptor> {
        let most = self.most.load(Ordering::Relaxed);
        let most = if again { most / 3 } else { most };
        let more = |used: usize| (used < most).then_some(used + 1);
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        // Made only where one was taken: it is given back when dropped.
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
    fn who_asks_again_leaves_two_thirds_to_who_asks_first() {
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
