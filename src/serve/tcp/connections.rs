//! Who may be connected: the caps on connections, and who makes room for a new one.
//!
//! When there are as many as there may be, the one that has gone longest without a message
//! completed is closed. So a crowd of idle connections, or of such that send a byte now and then,
//! never keeps a new client out; those that use their connections keep them. One client alone
//! cannot bring that about, as it has a cap of its own. In the same way, when replies that clients do
//! not read take all the bytes that they may, the connection that has been stuck for longest goes.
//!
//! The table is locked when a connection comes or goes, or when it cannot be written to, not when a
//! message is done. So it knows only when each was last seen to wait: one that turns out to have been
//! used since is put back behind the others, once for each such use, and closing one takes a time that
//! grows with the logarithm of their number.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::stream_limits::StreamLimits;

/// The connections of all workers.
pub(in crate::serve) struct Connections {
    all: usize,
    per_client: usize,
    /// Bytes of replies that one connection may hold, and all of them.
    unread_each: usize,
    unread_all: i64,
    /// Those that are held. Signed, for two workers may add and take away in either order.
    unread: AtomicI64,
    /// Counts messages and connections: the order in which things happened, without a clock.
    tick: AtomicU64,
    table: Mutex<ConnectionTable>,
}

#[derive(Default)]
struct ConnectionTable {
    next: u64,
    open: HashMap<u64, OpenConnection>,
    clients: HashMap<ClientNetwork, usize>,
    /// The numbers of all connections by the tick since which each was last known to wait.
    waiting: BTreeMap<u64, u64>,
    /// Those that cannot be written to, by the tick since which.
    stuck: BTreeMap<u64, u64>,
}

struct OpenConnection {
    client: ClientNetwork,
    flags: Arc<ConnectionFlags>,
    /// Its place in `waiting`.
    waiting: u64,
    /// Its place in `stuck`, if it is there.
    stuck: Option<u64>,
}

/// What a connection and the table know of each other.
#[derive(Default)]
pub(super) struct ConnectionFlags {
    /// The tick of the last message that was completed, or of the beginning.
    waiting_since: AtomicU64,
    evicted: Notify,
    /// Bytes of its replies that are counted in the sum of all.
    unread: AtomicUsize,
    /// It had to go for what it holds.
    made_room: AtomicBool,
    stuck: AtomicBool,
}

impl ConnectionFlags {
    pub(super) fn made_room(&self) -> bool {
        self.made_room.load(Ordering::Relaxed)
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }
}

/// What counts as one client: an address, or for IPv6 the network that one site has at least.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum ClientNetwork {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// The right to be connected; it ends when dropped.
pub(super) struct ConnectionSlot {
    pub(super) connections: Arc<Connections>,
    pub(super) number: u64,
    pub(super) flags: Arc<ConnectionFlags>,
}

impl Connections {
    pub(in crate::serve) fn new(limits: &StreamLimits) -> Self {
        Self {
            all: limits.connections.max(1),
            per_client: limits.per_client.max(1),
            unread_each: limits.unread_per_connection,
            unread_all: i64::try_from(limits.unread).unwrap_or(i64::MAX),
            unread: AtomicI64::new(0),
            tick: AtomicU64::new(0),
            table: Mutex::default(),
        }
    }

    /// Admits a connection, and tells whether another has to go for it; `None` when the client has
    /// as many as it may.
    pub(super) fn admit(self: &Arc<Self>, source: IpAddr) -> Option<(ConnectionSlot, bool)> {
        let client = ClientNetwork::from(source);
        let mut table = self.lock();
        if table.clients.get(&client).copied().unwrap_or(0) >= self.per_client {
            return None;
        }
        let evicted = table.open.len() >= self.all && self.close(table.longest_waiting());
        let number = table.next;
        table.next += 1;
        let tick = self.next_tick();
        let flags = Arc::new(ConnectionFlags {
            waiting_since: AtomicU64::new(tick),
            ..ConnectionFlags::default()
        });
        *table.clients.entry(client).or_default() += 1;
        table.waiting.insert(tick, number);
        table.open.insert(
            number,
            OpenConnection {
                client,
                flags: Arc::clone(&flags),
                waiting: tick,
                stuck: None,
            },
        );
        let slot = ConnectionSlot {
            connections: Arc::clone(self),
            number,
            flags,
        };
        Some((slot, evicted))
    }

    /// Closes the connection that has waited longest; `false` when there is none.
    pub(super) fn evict(&self) -> bool {
        let longest = self.lock().longest_waiting();
        self.close(longest)
    }

    /// Bytes of replies that are held for clients that have not read them.
    pub(in crate::serve) fn unread_bytes(&self) -> u64 {
        u64::try_from(self.unread.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Counts a reply of a connection; `false` if that has no room for it.
    pub(super) fn take_unread(&self, flags: &ConnectionFlags, len: usize) -> bool {
        let room = |held: usize| {
            let with = held.checked_add(len)?;
            (with <= self.unread_each).then_some(with)
        };
        let taken = flags
            .unread
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_ok();
        if taken {
            self.unread.fetch_add(signed(len), Ordering::Relaxed);
        }
        taken
    }

    /// Counts a reply of a connection, beyond what it may have where it must be.
    pub(super) fn take_unread_anyway(&self, flags: &ConnectionFlags, len: usize) {
        flags.unread.fetch_add(len, Ordering::Relaxed);
        self.unread.fetch_add(signed(len), Ordering::Relaxed);
    }

    /// Counts a reply no more, if it still was.
    pub(super) fn give_back_unread(&self, flags: &ConnectionFlags, len: usize) {
        let less = |held: usize| Some(held.saturating_sub(len));
        let held = flags
            .unread
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let given = held.unwrap_or_default().min(len);
        self.unread.fetch_sub(signed(given), Ordering::Relaxed);
    }

    /// Closes the connections that have been stuck for longest until what is held is no more than it
    /// may be; `false` when there are too few of them.
    pub(super) fn make_room(&self) -> bool {
        while self.unread.load(Ordering::Relaxed) > self.unread_all {
            let Some(flags) = self.lock().longest_stuck() else {
                return false;
            };
            flags.made_room.store(true, Ordering::Relaxed);
            self.close(Some(flags));
        }
        true
    }

    /// A connection cannot be written to.
    pub(super) fn stuck(&self, number: u64, flags: &ConnectionFlags) {
        flags.stuck.store(true, Ordering::Relaxed);
        let tick = self.next_tick();
        let mut table = self.lock();
        // It may have been closed already.
        if let Some(entry) = table.open.get_mut(&number)
            && entry.stuck.is_none()
        {
            entry.stuck = Some(tick);
            table.stuck.insert(tick, number);
        }
    }

    /// A connection can be written to again.
    pub(super) fn moves(&self, number: u64, flags: &ConnectionFlags) {
        flags.stuck.store(false, Ordering::Relaxed);
        let mut table = self.lock();
        let entry = table.open.get_mut(&number);
        if let Some(tick) = entry.and_then(|entry| entry.stuck.take()) {
            table.stuck.remove(&tick);
        }
    }

    /// Closes a connection that has left the table. What it holds is counted no more: it is about to
    /// be dropped, and nobody else must go for it.
    fn close(&self, flags: Option<Arc<ConnectionFlags>>) -> bool {
        let Some(flags) = flags else {
            return false;
        };
        self.forget_unread(&flags);
        flags.evicted.notify_one();
        true
    }

    /// Counts nothing of a connection any more.
    pub(super) fn forget_unread(&self, flags: &ConnectionFlags) {
        let held = flags.unread.swap(0, Ordering::Relaxed);
        self.unread.fetch_sub(signed(held), Ordering::Relaxed);
    }

    fn next_tick(&self) -> u64 {
        self.tick.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        // Nothing panics while it holds the lock; if it did, the table would still be a table.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No reply is longer than 64 KiB.
fn signed(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

impl ConnectionTable {
    /// Takes the connection out that has waited longest.
    fn longest_waiting(&mut self) -> Option<Arc<ConnectionFlags>> {
        // All may have been used since they were last looked at, and go on being used meanwhile: then
        // the next one goes.
        for looks_left in (0..=self.open.len()).rev() {
            let (tick, number) = self.waiting.pop_first()?;
            let Some(entry) = self.open.get_mut(&number) else {
                continue;
            };
            let since = entry.flags.waiting_since.load(Ordering::Relaxed);
            if since == tick || looks_left == 0 {
                return self.remove(number).map(|entry| entry.flags);
            }
            entry.waiting = since;
            self.waiting.insert(since, number);
        }
        None
    }

    /// Takes the connection out that has been stuck for longest.
    fn longest_stuck(&mut self) -> Option<Arc<ConnectionFlags>> {
        let (_, number) = self.stuck.pop_first()?;
        self.remove(number).map(|entry| entry.flags)
    }

    fn remove(&mut self, number: u64) -> Option<OpenConnection> {
        let entry = self.open.remove(&number)?;
        self.waiting.remove(&entry.waiting);
        if let Some(tick) = entry.stuck {
            self.stuck.remove(&tick);
        }
        if let Some(count) = self.clients.get_mut(&entry.client) {
            *count -= 1;
            if *count == 0 {
                self.clients.remove(&entry.client);
            }
        }
        Some(entry)
    }
}

impl ConnectionSlot {
    /// A message has been completed.
    pub(super) fn used(&self) {
        let tick = self.connections.next_tick();
        self.flags.waiting_since.store(tick, Ordering::Relaxed);
    }

    /// Ready when the connection is to be closed in favour of another.
    pub(super) async fn evicted(&self) {
        self.flags.evicted.notified().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        // Gone already when it was evicted.
        self.connections.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::serve::testing::{LIMITS, SOON};

    fn connections(all: usize, per_client: usize) -> Arc<Connections> {
        Arc::new(Connections::new(&StreamLimits {
            connections: all,
            per_client,
            ..LIMITS
        }))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_client_is_an_address_or_a_network_of_64_bits() {
        let cases = [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ];
        for (first, second, same) in cases {
            let table = connections(10, 1);
            let _first = table.admit(address(first)).expect("the first");
            let second_admitted = table.admit(address(second)).is_some();
            assert_eq!(!second_admitted, same, "{first} and {second}");
        }
    }

    #[test]
    fn a_dropped_permit_makes_room() {
        let table = connections(10, 1);
        let (first, _) = table.admit(address("192.0.2.1")).expect("the first");
        assert!(table.admit(address("192.0.2.1")).is_none());
        drop(first);
        assert!(table.admit(address("192.0.2.1")).is_some());
        let table = table.lock();
        assert!(table.open.is_empty() && table.clients.is_empty() && table.waiting.is_empty());
    }

    /// A crowd that is closed one by one, in the order of its last uses.
    #[test]
    fn those_used_last_go_last() {
        let table = connections(1000, 1000);
        let slots: Vec<_> = (0..1000)
            .map(|_| table.admit(address("192.0.2.1")).expect("room").0)
            .collect();
        for slot in slots.iter().step_by(2).rev() {
            slot.used();
        }
        // First those that were never used since, then the others as they were used.
        let idle = (1..1000).step_by(2);
        let used = (0..500).map(|half| 998 - 2 * half);
        for (gone, number) in idle.chain(used).enumerate() {
            assert!(table.evict());
            let lock = table.lock();
            assert!(!lock.open.contains_key(&number), "{number}");
            assert_eq!(
                (lock.open.len(), lock.waiting.len()),
                (999 - gone, 999 - gone)
            );
        }
        assert!(!table.evict());
    }

    #[tokio::test]
    async fn the_one_that_waited_longest_goes() {
        let table = connections(2, 2);
        let (first, _) = table.admit(address("192.0.2.1")).expect("the first");
        let (second, _) = table.admit(address("192.0.2.2")).expect("the second");
        first.used();
        let (third, evicted) = table.admit(address("192.0.2.3")).expect("the third");
        assert!(evicted);
        timeout(SOON, second.evicted()).await.expect("told");
        assert_eq!(table.lock().open.len(), 2);
        // Its permit is dropped only now, and does not count twice.
        drop(second);
        assert_eq!(table.lock().open.len(), 2);
        drop((first, third));
        let table = table.lock();
        assert!(table.open.is_empty() && table.clients.is_empty() && table.waiting.is_empty());
    }
}
