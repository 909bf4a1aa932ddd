//! The pool of connections to one server. It opens a connection when a query needs one and uses a
//! single connection as long as its pipeline has room.
//!
//! A server may close a connection after any answer (RFC 7766 section 6.2.4) while other queries
//! are on it. Those are moved to another connection if their callers still have time. If a server
//! closes connections after a few answers, the next connections get only that many queries, and the
//! pool opens more of them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use super::{
    dial::{Dialer, Protocol},
    pooled_connection::{Connection, ConnectionPlan, PipelineSlot},
    reply::{Reply, TransportFault},
    reporter::ServerReporter,
};
use crate::upstream::{
    share::{Party, Requester, may_take},
    sockets,
    upstream_limits::UpstreamLimits,
};
use dnsgate_core::dns::{ServerFault, upstream_query::stream_options};

/// Maximum number of connections to a server that closes each after a few answers, unless more are
/// configured. With one query per connection, this many queries are answered per round trip.
/// Further queries share a connection and are retried if it is lost. There is no official
/// reference; servers limit the connections of a client to a few hundred.
const SMALL_CONNECTIONS: usize = 64;
/// How long the pool remembers after how many answers the server closed. A server that was only
/// restarted is soon queried on few connections again.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Maximum number of consecutive connections that may be lost with a query and without any answer.
/// The server may close the first just as the query is sent, which is nobody's fault. The second
/// may carry another query that makes the server close. The third carries no other query.
const FRUITLESS: usize = 3;
/// A query that was lost this often gets its own connection. If the query itself makes the server
/// close, other queries are no longer lost with it.
const SHARED: usize = 3;
/// Maximum number of attempts for one query. With time for more, the server loses more queries than
/// it answers.
const TRIES: usize = 32;

/// The connections to one server.
pub(in crate::upstream) struct Pool {
    dialer: Arc<Dialer>,
    reporter: ServerReporter,
    /// The runtime of the connections. A caller may have its own runtime, which ends earlier.
    runtime: Handle,
    /// The maximum number of connections that accept queries; a server that wants fewer closes
    /// some.
    most: usize,
    /// The maximum number of in-flight queries on one connection.
    pipeline: usize,
    open: Mutex<OpenConnections>,
    held: Arc<PlaceTable>,
}

/// The slots in use, also on connections that accept no further query.
#[derive(Default)]
struct PlaceTable(Mutex<HeldPlaces>);

#[derive(Default)]
struct HeldPlaces {
    all: usize,
    /// Slots of each party. Parties without slots have no entry.
    parties: HashMap<u8, usize>,
}

/// A slot of a party. Released when dropped.
struct Share {
    held: Arc<PlaceTable>,
    party: Party,
}

impl PlaceTable {
    /// Takes one of `places` slots, if the party's share allows it. Retries use at most half of the
    /// slots; the rest is for first attempts.
    fn take(self: &Arc<Self>, places: usize, requester: Requester) -> Option<Share> {
        let mut taken = self.lock();
        if requester.again && taken.all >= places / 2 {
            return None;
        }
        let party = requester.party;
        let held = taken.parties.get(&party.0).copied().unwrap_or_default();
        may_take(held, places.saturating_sub(taken.all)).then(|| {
            taken.all += 1;
            taken.parties.insert(party.0, held + 1);
            Share {
                held: Arc::clone(self),
                party,
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, HeldPlaces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.held.lock();
        taken.all = taken.all.saturating_sub(1);
        let held = taken.parties.get(&self.party.0).copied();
        match held.unwrap_or_default() {
            0 | 1 => taken.parties.remove(&self.party.0),
            held => taken.parties.insert(self.party.0, held - 1),
        };
    }
}

#[derive(Default)]
struct OpenConnections {
    next: u64,
    connections: Vec<Arc<Connection>>,
    /// After how many answers the server closed a connection that had more queries, and when.
    closes_after: Option<(usize, Instant)>,
}

impl Pool {
    /// Creates a pool without connections. They will live on the runtime of the caller.
    pub(super) fn new(dialer: Dialer, reporter: ServerReporter, limits: &UpstreamLimits) -> Self {
        Self {
            dialer: Arc::new(dialer),
            reporter,
            runtime: Handle::current(),
            most: limits.connections,
            pipeline: limits.pipeline,
            open: Mutex::default(),
            held: Arc::default(),
        }
    }

    /// Adds the options of this transport to an encoded query with an OPT record.
    pub(super) fn with_options(&self, query: Vec<u8>) -> Vec<u8> {
        let (keepalive, padded) = match &self.dialer.protocol {
            Protocol::Tcp => (true, false),
            Protocol::Tls(_) => (true, true),
            // HTTP/2 has means of its own.
            Protocol::Https(..) => (false, true),
        };
        stream_options::add(query, keepalive, padded)
    }

    /// The server's address.
    pub(super) fn address(&self) -> SocketAddr {
        self.dialer.address
    }

    /// Sends the encoded `query`. A connection without any message for `patience` gets no further
    /// query.
    pub(super) async fn ask(
        &self,
        query: Vec<u8>,
        patience: Duration,
        requester: Requester,
    ) -> Result<Reply, TransportFault> {
        // Held for all attempts, whichever connection they use.
        let _share = self.share(requester)?;
        let mut least = 0;
        let mut fruitless = 0;
        for lost in 0..TRIES {
            let alone = lost >= SHARED || fruitless + 1 == FRUITLESS;
            let slot = self.slot(least, alone);
            let slot = slot.ok_or_else(|| self.full(requester))?;
            let number = slot.number();
            let asked = slot.ask(query.clone(), patience, || self.forget(number));
            if let Ok(result) = asked.await {
                return result;
            }
            self.lost(number, slot.answered());
            fruitless = if slot.answered() > 0 {
                0
            } else {
                fruitless + 1
            };
            if fruitless == FRUITLESS {
                break;
            }
            least = number + 1;
        }
        Err(TransportFault::Server(ServerFault::Closed))
    }

    /// Takes a slot at the server, if this party's share allows it.
    fn share(&self, requester: Requester) -> Result<Share, TransportFault> {
        let places = self.places(&self.lock());
        self.held
            .take(places, requester)
            .ok_or_else(|| self.full(requester))
    }

    /// Reports that no slot is free.
    fn full(&self, requester: Requester) -> TransportFault {
        // For a retry, the first attempt is still in flight.
        if !requester.again {
            self.reporter.full();
        }
        TransportFault::Busy
    }

    /// Takes a slot on a connection with number `least` or higher. If `alone`, opens a connection
    /// for this query only, if possible.
    fn slot(&self, least: u64, alone: bool) -> Option<PipelineSlot> {
        let mut open = self.lock();
        open.connections.retain(|connection| {
            let done = connection.is_spent() && connection.waiting() == 0;
            !done && !connection.is_closed()
        });
        let few = open.few().filter(|&few| few < self.pipeline);
        let share = if alone { Some(1) } else { few };
        let fresh_enough = |connection: &&Arc<Connection>| connection.number >= least;
        if !alone {
            let mut usable = open.connections.iter().filter(fresh_enough);
            let slot = usable.find_map(|connection| match connection.is_spent() {
                true => None,
                false => connection.slot(),
            });
            if slot.is_some() {
                return slot;
            }
        }
        let most = match share {
            Some(_) => self.most.max(SMALL_CONNECTIONS),
            None => self.most,
        };
        let room = open.connections.len() < most;
        let more = !open.connections.is_empty();
        let descriptor = room.then(|| sockets::connection(more)).flatten();
        let Some(descriptor) = descriptor else {
            // Use the connection with the fewest queries, and of equal ones the newest, because it
            // will probably last longest.
            let shared = open.connections.iter().rev();
            return shared.min_by_key(|connection| connection.waiting())?.slot();
        };
        let plan = ConnectionPlan {
            number: open.next,
            share: share.unwrap_or(usize::MAX),
            places: self.pipeline,
            descriptor,
        };
        open.next += 1;
        let dialer = Arc::clone(&self.dialer);
        let connection = Connection::open(plan, dialer, self.reporter.clone(), &self.runtime);
        let slot = connection.slot();
        open.connections.push(connection);
        slot
    }

    /// The number of slots, including those of connections that can still be opened. If the server
    /// closes after a few answers there are more connections, but not more slots.
    fn places(&self, open: &OpenConnections) -> usize {
        let places = open.connections.iter().map(|it| it.places());
        // Assumes that future connections resemble the current ones.
        let least = places.clone().min().unwrap_or(self.pipeline);
        let more = self.most.saturating_sub(open.connections.len());
        (places.sum::<usize>() + more * least).min(self.most * self.pipeline)
    }

    /// Records the loss of a connection that had answered this many queries, but not all.
    fn lost(&self, number: u64, answered: usize) {
        if answered > 0 {
            self.lock().closes_after = Some((answered, Instant::now()));
        }
        self.forget(number);
    }

    /// Assigns no further query to a connection. It ends with its last query.
    fn forget(&self, number: u64) {
        let mut open = self.lock();
        open.connections
            .retain(|connection| connection.number != number);
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    /// How many queries the next connection should get, if the server recently closed one after
    /// this many.
    fn few(&self) -> Option<usize> {
        let (answers, since) = self.closes_after?;
        (since.elapsed() < REMEMBERED).then_some(answers)
    }
}
