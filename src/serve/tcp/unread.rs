//! The bytes of replies that a connection holds because its client has not read them.
//!
//! ```text
//!   a reply is made ─▶ take ─▶ waits for its turn ─▶ written ─▶ give back
//!                       │                              │ the kernel takes no more
//!                       └ no room: refused             └─▶ stuck: first to go when all take too much
//! ```
//!
//! A reply that is there at once always finds room: there is one of a connection at a time, which is
//! written or stuck before its next query is read. Those that come later come whatever their client
//! does, and may be refused.

use std::sync::Arc;

use super::connections::{ConnectionFlags, ConnectionSlot, Connections};

/// The count of one connection, which ends when nobody can add to it any more.
pub(in crate::serve) struct Unread {
    connections: Arc<Connections>,
    number: u64,
    flags: Arc<ConnectionFlags>,
}

impl Unread {
    /// The count of the connection that has this slot.
    pub(super) fn of(slot: &ConnectionSlot) -> Arc<Self> {
        Arc::new(Self {
            connections: Arc::clone(&slot.connections),
            number: slot.number,
            flags: Arc::clone(&slot.flags),
        })
    }

    /// Takes room for a reply; `false` where there is none: in this connection, or in all, with nobody
    /// stuck who could make room.
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

    /// Takes room for a reply whether there is any or not; who is stuck makes room.
    pub(super) fn take_anyway(&self, len: usize) {
        self.connections.take_unread_anyway(&self.flags, len);
        self.connections.make_room();
    }

    /// A reply has been written.
    pub(super) fn give_back(&self, len: usize) {
        self.connections.give_back_unread(&self.flags, len);
    }

    /// The kernel takes no more, for the client does not read.
    pub(super) fn stuck(&self) {
        self.connections.stuck(self.number, &self.flags);
    }

    /// The kernel takes replies again.
    pub(super) fn moves(&self) {
        self.connections.moves(self.number, &self.flags);
    }

    /// Whether the kernel took no more when it was last tried.
    pub(super) fn is_stuck(&self) -> bool {
        self.flags.is_stuck()
    }

    /// Whether the connection was closed for the room that its replies took.
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
    fn a_connection_has_room_for_so_much() {
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
    async fn who_is_stuck_for_longest_makes_room() {
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
