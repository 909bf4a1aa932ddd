//! Counts the bytes of replies that a connection holds because its client has not read them.
//!
//! ```text
//! a reply is made ─▶ take ─▶ waits for its turn ─▶ written ─▶ give back
//!                     │          │ the kernel takes no more
//!                     │          └─▶ stuck: closed first when the total exceeds its limit
//!                     └ no room: refused
//! ```
//!
//! An immediate reply always gets room: a connection has only one at a time, which is written or
//! stuck before the next query is read. Later replies arrive regardless of what the client reads,
//! so they may be refused.

use std::sync::Arc;

use super::connections::{ConnectionFlags, ConnectionSlot, Connections};

/// The counter of one connection. It is cleared when the last user drops it.
pub(in crate::serve) struct Unread {
    connections: Arc<Connections>,
    number: u64,
    flags: Arc<ConnectionFlags>,
}

impl Unread {
    /// The counter of the connection that has this slot.
    pub(super) fn of(slot: &ConnectionSlot) -> Arc<Self> {
        Arc::new(Self {
            connections: Arc::clone(&slot.connections),
            number: slot.number,
            flags: Arc::clone(&slot.flags),
        })
    }

    /// Reserves room for a reply. Returns `false` if the connection has reached its limit, or if
    /// all connections together have and no stuck connection can be closed.
    pub(in crate::serve) fn take(&self, len: usize) -> bool {
        if !self.connections.take_unread(&self.flags, len) {
            return false;
        }
        let room = self.connections.make_room();
        if !room {
            self.connections.give_back_unread(&self.flags, len);
        }
        room
    }

    /// Reserves room for a reply without a limit, and closes stuck connections if the total exceeds
    /// its limit.
    pub(super) fn take_anyway(&self, len: usize) {
        self.connections.take_unread_anyway(&self.flags, len);
        self.connections.make_room();
    }

    /// Releases the room of a reply that has been written.
    pub(super) fn give_back(&self, len: usize) {
        self.connections.give_back_unread(&self.flags, len);
    }

    /// Records that the kernel takes no more bytes because the client does not read.
    pub(super) fn stuck(&self) {
        self.connections.stuck(self.number, &self.flags);
    }

    /// Records that the kernel takes bytes again.
    pub(super) fn moves(&self) {
        self.connections.moves(self.number, &self.flags);
    }

    /// Whether the kernel took no bytes at the last attempt.
    pub(super) fn is_stuck(&self) -> bool {
        self.flags.is_stuck()
    }

    /// Whether the connection was closed because of its unread replies.
    pub(super) fn made_room(&self) -> bool {
        self.flags.made_room()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.connections.forget_unread(&self.flags);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::time::timeout;

    use super::*;
    use crate::serve::{
        tcp::StreamLimits,
        testing::{LIMITS, SOON},
    };

    /// Connections that may hold 100 bytes each and 250 in all, and so many of them.
    fn connected(count: usize) -> (Arc<Connections>, Vec<ConnectionSlot>) {
        let connections = Arc::new(Connections::new(&StreamLimits {
            unread: 250,
            unread_per_connection: 100,
            ..LIMITS
        }));
        let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let admit = |_| connections.admit(source).expect("room").0;
        let slots = (0..count).map(admit).collect();
        (connections, slots)
    }

    #[test]
    fn limits_unread_bytes_of_one_connection() {
        let (connections, slots) = connected(1);
        let unread = Unread::of(&slots[0]);
        assert!(unread.take(60) && unread.take(40));
        assert!(!unread.take(1));
        // What is there at once is counted all the same.
        unread.take_anyway(50);
        assert_eq!(connections.unread_bytes(), 150);
        unread.give_back(60);
        assert!(!unread.take(11) && unread.take(10));
        assert_eq!(connections.unread_bytes(), 100);
        drop(unread);
        assert_eq!(connections.unread_bytes(), 0);
    }

    #[tokio::test]
    async fn closes_the_connection_stuck_for_longest() {
        let (connections, slots) = connected(4);
        let unread: Vec<_> = slots.iter().map(Unread::of).collect();
        assert!(unread[0].take(100) && unread[1].take(100));
        // Nobody is stuck: there is no room for more.
        assert!(!unread[2].take(60) && unread[2].take(50));
        for at in [1, 2, 0] {
            unread[at].stuck();
        }
        unread[1].moves();
        assert!(unread[3].take(50));
        timeout(SOON, slots[2].evicted()).await.expect("told");
        assert!(unread[2].made_room() && !unread[0].made_room());
        assert!(unread[3].take(40));
        timeout(SOON, slots[0].evicted()).await.expect("told");
        // Neither counts any more, whatever they give back.
        unread[2].give_back(50);
        assert_eq!(connections.unread_bytes(), 190);
        drop((unread, slots));
        assert_eq!(connections.unread_bytes(), 0);
    }
}
