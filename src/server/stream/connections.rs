//! Who may be connected: the caps on connections, and who makes room for a new one.
//!
//! When there are as many as there may be, the one that has gone longest without a message
//! completed is closed. So a crowd of idle connections, or of such that send a byte now and then,
//! never keeps a new client out; those that use their connections keep them. One client alone
//! cannot bring that about, as it has a cap of its own.
//!
//! The table is locked when a connection comes or goes, not when a message does.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

use super::StreamLimits;

/// The connections of all workers.
pub(in crate::server) struct Connections {
    all: usize,
    per_client: usize,
    /// Counts messages and connections: the order in which things happened, without a clock.
    tick: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Entry>,
    clients: HashMap<Client, usize>,
}

struct Entry {
    client: Client,
    link: Arc<Link>,
}

/// What a connection and the table know of each other.
#[derive(Default)]
struct Link {
    /// The tick of the last message that was completed, or of the beginning.
    waiting_since: AtomicU64,
    evicted: Notify,
}

/// What counts as one client: an address, or for IPv6 the network that one site has at least.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Client {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// The right to be connected; it ends when dropped.
pub(super) struct Permit {
    connections: Arc<Connections>,
    number: u64,
    link: Arc<Link>,
}

impl Connections {
    pub(in crate::server) fn new(limits: &StreamLimits) -> Self {
        Self {
            all: limits.connections.max(1),
            per_client: limits.per_client.max(1),
            tick: AtomicU64::new(0),
            table: Mutex::default(),
        }
    }

    /// Admits a connection, and tells whether another has to go for it; `None` when the client has
    /// as many as it may.
    pub(super) fn admit(self: &Arc<Self>, source: IpAddr) -> Option<(Permit, bool)> {
        let client = Client::from(source);
        let mut table = self.lock();
        if table.clients.get(&client).copied().unwrap_or(0) >= self.per_client {
            return None;
        }
        let evicted = table.open.len() >= self.all && table.evict();
        let number = table.next;
        table.next += 1;
        let link = Arc::new(Link {
            waiting_since: AtomicU64::new(self.next_tick()),
            evicted: Notify::new(),
        });
        *table.clients.entry(client).or_default() += 1;
        table.open.insert(
            number,
            Entry {
                client,
                link: Arc::clone(&link),
            },
        );
        let permit = Permit {
            connections: Arc::clone(self),
            number,
            link,
        };
        Some((permit, evicted))
    }

    /// Closes the connection that has waited longest; `false` when there is none.
    pub(super) fn evict(&self) -> bool {
        self.lock().evict()
    }

    fn next_tick(&self) -> u64 {
        self.tick.fetch_add(1, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the lock; if it did, the table would still be a table.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Linear in the number of connections, and only when they are as many as there may be.
    fn evict(&mut self) -> bool {
        let longest = self
            .open
            .iter()
            .min_by_key(|(_, entry)| entry.link.waiting_since.load(Ordering::Relaxed))
            .map(|(&number, _)| number);
        let Some(entry) = longest.and_then(|number| self.remove(number)) else {
            return false;
        };
        entry.link.evicted.notify_one();
        true
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.open.remove(&number)?;
        if let Some(count) = self.clients.get_mut(&entry.client) {
            *count -= 1;
            if *count == 0 {
                self.clients.remove(&entry.client);
            }
        }
        Some(entry)
    }
}

impl Permit {
    /// A message has been completed.
    pub(super) fn used(&self) {
        let tick = self.connections.next_tick();
        self.link.waiting_since.store(tick, Ordering::Relaxed);
    }

    /// Ready when the connection is to be closed in favour of another.
    pub(super) async fn evicted(&self) {
        self.link.evicted.notified().await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Gone already when it was evicted.
        self.connections.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::server::testing::{LIMITS, SOON};

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
        assert!(table.open.is_empty() && table.clients.is_empty());
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
        assert!(table.open.is_empty() && table.clients.is_empty());
    }
}
