//! The connections to one server: one, as long as its pipeline has room; opened when a question
//! needs it.
//!
//! A server may close a connection after any answer (RFC 7766 section 6.2.4), with other questions
//! on it. Those are put on another one, as long as whoever asks has time. Where a server closes after
//! a few answers, the next connections are given as few questions, and there are more of them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use super::{
    dial::Dialer,
    pooled_connection::{Connection, ConnectionPlan, PipelineSlot},
    reply::{Reply, TransportFault},
    reporter::ServerReporter,
};
use crate::upstream::{
    share::{Party, Requester, may_take},
    sockets,
    upstream_limits::UpstreamLimits,
};
use dnsgate_core::dns::ServerFault;

/// The most connections to one server, if not more are configured, where the server closes a connection after a few answers: with one question each, as many
/// questions are asked in a round trip. What does not find a place shares one, and is asked again if
/// that is lost. No official reference; servers limit the connections of a client to some hundred.
const SMALL_CONNECTIONS: usize = 64;
/// How long it is remembered after how many answers the server closed. So a server that was only
/// restarted in the middle of its work is soon asked on few connections again.
const REMEMBERED: Duration = Duration::from_secs(60);
/// So many connections in a row may be lost with a question on them and without an answer to any. The
/// server may close the first just as the question leaves, which is nobody's fault. The second may
/// have another question on it that makes the server close. The third has none.
const FRUITLESS: usize = 3;
/// A question that was lost so often gets a connection of its own: should it be the question that
/// makes the server close, then the others no longer lose theirs to it.
const SHARED: usize = 3;
/// How often a question is put on a connection in all. With time for more, the server loses more
/// questions than it answers.
const TRIES: usize = 32;

/// The connections to one server.
pub(in crate::upstream) struct Pool {
    dialer: Arc<Dialer>,
    reporter: ServerReporter,
    /// Where connections live. Who asks may have a runtime of its own, which ends before them.
    runtime: Handle,
    /// The most connections to the server that take questions; a server that wants fewer closes some.
    most: usize,
    /// The most questions under way on one of them.
    pipeline: usize,
    open: Mutex<OpenConnections>,
    held: Arc<PlaceTable>,
}

/// The places that are held, also on connections that take no further question.
#[derive(Default)]
struct PlaceTable(Mutex<HeldPlaces>);

#[derive(Default)]
struct HeldPlaces {
    all: usize,
    /// Those of each party. One that holds none is not in it.
    parties: HashMap<u8, usize>,
}

/// A place of a party's; it is free again when dropped.
struct Share {
    held: Arc<PlaceTable>,
    party: Party,
}

impl PlaceTable {
    /// One more of so many, for a party that may have it. Questions are asked again on half of the
    /// places at most: the others are for new ones.
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
    /// After how many answers the server closed a connection that had more to answer, and when.
    closes_after: Option<(usize, Instant)>,
}

impl Pool {
    /// Without a connection yet; those to come live on the runtime that this is called within.
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

    /// Where the server is.
    pub(super) fn address(&self) -> SocketAddr {
        self.dialer.address
    }

    /// Asks the encoded `query`. A connection without a sign of life for `patience` is given no
    /// further question.
    pub(super) async fn ask(
        &self,
        query: Vec<u8>,
        patience: Duration,
        requester: Requester,
    ) -> Result<Reply, TransportFault> {
        // Held on whatever connection the question is put.
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

    /// A place at the server, if this party may have one more.
    fn share(&self, requester: Requester) -> Result<Share, TransportFault> {
        let places = self.places(&self.lock());
        self.held
            .take(places, requester)
            .ok_or_else(|| self.full(requester))
    }

    /// There is no place.
    fn full(&self, requester: Requester) -> TransportFault {
        // Of one that is asked again, the first try still waits.
        if !requester.again {
            self.reporter.full();
        }
        TransportFault::Busy
    }

    /// A place on a connection whose number is `least` or higher, `alone` if that can be.
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
            // Any of them, and the newest of those that are alike: it will most likely last.
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

    /// How many places there are, those of connections that may yet be opened among them. Where the
    /// server closes after a few answers there are more connections, but no more places.
    fn places(&self, open: &OpenConnections) -> usize {
        let places = open.connections.iter().map(|it| it.places());
        // Those to come are taken to be like those that are there.
        let least = places.clone().min().unwrap_or(self.pipeline);
        let more = self.most.saturating_sub(open.connections.len());
        (places.sum::<usize>() + more * least).min(self.most * self.pipeline)
    }

    /// A connection was lost that had answered so many questions, and not all.
    fn lost(&self, number: u64, answered: usize) {
        if answered > 0 {
            self.lock().closes_after = Some((answered, Instant::now()));
        }
        self.forget(number);
    }

    /// Puts no further question on a connection. It ends with the last question that is on it.
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
    /// How few questions the next connection is for, where the server closed one after as many.
    fn few(&self) -> Option<usize> {
        let (answers, since) = self.closes_after?;
        (since.elapsed() < REMEMBERED).then_some(answers)
    }
}
