//! The limits on connections, and the choice of the connection to close when a limit is reached.
//!
//! When the number of connections reaches its limit, the one that has gone longest without a
//! completed message is closed. A crowd of idle or slow connections therefore never locks out a new
//! client, and active connections stay open. One client cannot fill the table alone because it has
//! a limit of its own. Likewise, when unread replies exceed their limit in bytes, the connection
//! that has been stuck for longest is closed.
//!
//! The table is locked when a connection opens, closes or becomes stuck, but not for each message.
//! It therefore knows only an earlier time of the last use: a connection that has been used since
//! is moved back when it is found, once per such use. Closing a connection takes time logarithmic
//! in their number.

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
    /// Limit in bytes of unread replies, for one connection and for all.
    unread_each: usize,
    unread_all: i64,
    /// Bytes of unread replies now. Signed, because two workers may add and subtract in either
    /// order.
    unread: AtomicI64,
    /// Counts messages and connections: a logical clock.
    tick: AtomicU64,
    table: Mutex<ConnectionTable>,
}

#[derive(Default)]
struct ConnectionTable {
    next: u64,
    open: HashMap<u64, OpenConnection>,
    clients: HashMap<ClientNetwork, usize>,
    /// Connection numbers by the tick of their last known use.
    waiting: BTreeMap<u64, u64>,
    /// Numbers of stuck connections, by the tick since when they have been stuck.
    stuck: BTreeMap<u64, u64>,
}

struct OpenConnection {
    client: ClientNetwork,
    flags: Arc<ConnectionFlags>,
    /// Its key in `waiting`.
    waiting: u64,
    /// Its key in `stuck`, if it is stuck.
    stuck: Option<u64>,
}

/// State that a connection and the table share.
#[derive(Default)]
pub(super) struct ConnectionFlags {
    /// The tick of the last completed message, or of the opening.
    waiting_since: AtomicU64,
    evicted: Notify,
    /// Bytes of its replies that count toward the total.
    unread: AtomicUsize,
    /// The connection was closed because of its unread replies.
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

/// The network that counts as one client: an IPv4 address, or an IPv6 /64, the smallest network of
/// one site.
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

/// The right to be connected. It is released when dropped.
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

    /// Admits a connection and returns whether another was evicted for it. `None` if the client has
    /// reached its limit.
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

    /// Closes the connection that has been idle for longest. `false` if there is none.
    pub(super) fn evict(&self) -> bool {
        let longest = self.lock().longest_waiting();
        self.close(longest)
    }

    /// Bytes of replies that clients have not read.
    pub(in crate::serve) fn unread_bytes(&self) -> u64 {
        u64::try_from(self.unread.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Adds the bytes of a reply. `false` if they exceed the connection's limit.
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

    /// Adds the bytes of a reply, even beyond the connection's limit.
    pub(super) fn take_unread_anyway(&self, flags: &ConnectionFlags, len: usize) {
        flags.unread.fetch_add(len, Ordering::Relaxed);
        self.unread.fetch_add(signed(len), Ordering::Relaxed);
    }

    /// Subtracts the bytes of a reply, if they are still counted.
    pub(super) fn give_back_unread(&self, flags: &ConnectionFlags, len: usize) {
        let less = |held: usize| Some(held.saturating_sub(len));
        let held = flags
            .unread
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let given = held.unwrap_or_default().min(len);
        self.unread.fetch_sub(signed(given), Ordering::Relaxed);
    }

    /// Closes the connections that have been stuck for longest until the total is within its limit.
    /// `false` if it is still exceeded when no connection is stuck.
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

    /// Records that a connection cannot be written to.
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

    /// Records that a connection can be written to again.
    pub(super) fn moves(&self, number: u64, flags: &ConnectionFlags) {
        flags.stuck.store(false, Ordering::Relaxed);
        let mut table = self.lock();
        let entry = table.open.get_mut(&number);
        if let Some(tick) = entry.and_then(|entry| entry.stuck.take()) {
            table.stuck.remove(&tick);
        }
    }

    /// Closes a connection that is no longer in the table. Its bytes no longer count: they are
    /// about to be freed, and no other connection must be closed because of them.
    fn close(&self, flags: Option<Arc<ConnectionFlags>>) -> bool {
        let Some(flags) = flags else {
            return false;
        };
        self.forget_unread(&flags);
        flags.evicted.notify_one();
        true
    }

    /// Subtracts all bytes of a connection.
    pub(super) fn forget_unread(&self, flags: &ConnectionFlags) {
        let held = flags.unread.swap(0, Ordering::Relaxed);
        self.unread.fetch_sub(signed(held), Ordering::Relaxed);
    }

    fn next_tick(&self) -> u64 {
        self.tick.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        // No code panics while it holds the lock. Even then the table would still be consistent.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Converts a length. No reply is longer than 64 KiB.
fn signed(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

impl ConnectionTable {
    /// Removes the connection that has been idle for longest.
    fn longest_waiting(&mut self) -> Option<Arc<ConnectionFlags>> {
        // All connections may have been used since the last check and may still be in use. After
        // one round, the next one is removed regardless.
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

    /// Removes the connection that has been stuck for longest.
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
    /// Records a completed message.
    pub(super) fn used(&self) {
        let tick = self.connections.next_tick();
        self.flags.waiting_since.store(tick, Ordering::Relaxed);
    }

    /// Ready when the connection must close.
    pub(super) async fn evicted(&self) {
        self.flags.evicted.notified().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        // An evicted connection is already removed.
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
    fn a_dropped_slot_is_free_again() {
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
    fn evicts_in_order_of_last_use() {
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
    async fn evicts_the_connection_that_waited_longest() {
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
