//! The connections to one server: one, as long as its pipeline has room; opened when a question
//! needs it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{
    Fault, Limits, Reply, Tell, Turn,
    connection::{Connection, Lost, Slot},
    dial::Dialer,
};
use crate::upstream::share::{Party, may_take};

/// A question is put on as many connections in turn if they are lost with it: the server may close
/// the first just as the question leaves, which is nobody's fault, but not a fresh one, too.
const TRIES: usize = 2;

/// The connections to one server.
pub(in crate::upstream) struct Pool {
    dialer: Arc<Dialer>,
    tell: Tell,
    /// Where connections live. Who asks may have a runtime of its own, which ends before them.
    runtime: Handle,
    /// The most connections to the server that take questions; a server that wants fewer closes some.
    most: usize,
    /// The most questions under way on one of them.
    pipeline: usize,
    open: Mutex<Open>,
    held: Arc<Held>,
}

/// The places that are held, also on connections that take no further question.
#[derive(Default)]
struct Held(Mutex<Places>);

#[derive(Default)]
struct Places {
    all: usize,
    /// Those of each party. One that holds none is not in it.
    parties: HashMap<u8, usize>,
}

/// A place of a party's; it is free again when dropped.
struct Share {
    held: Arc<Held>,
    party: Party,
}

impl Held {
    /// One more of so many, for a party that may have it. Questions are asked again on half of the
    /// places at most: the others are for new ones.
    fn take(self: &Arc<Self>, places: usize, turn: Turn) -> Option<Share> {
        let mut taken = self.lock();
        if turn.again && taken.all >= places / 2 {
            return None;
        }
        let party = turn.party;
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

    fn lock(&self) -> MutexGuard<'_, Places> {
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
struct Open {
    next: u64,
    connections: Vec<Arc<Connection>>,
}

impl Pool {
    /// Without a connection yet; those to come live on the runtime that this is called within.
    pub(super) fn new(dialer: Dialer, tell: Tell, limits: &Limits) -> Self {
        Self {
            dialer: Arc::new(dialer),
            tell,
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
        turn: Turn,
    ) -> Result<Reply, Fault> {
        let mut least = 0;
        for _ in 0..TRIES {
            let Some((slot, _share)) = self.slot(least, turn) else {
                // Of one that is asked again, the first try still waits.
                if !turn.again {
                    self.tell.full();
                }
                return Err(Fault::Busy);
            };
            let number = slot.number();
            let asked = slot.ask(query.clone(), patience, || self.forget(number));
            match asked.await {
                Ok(result) => return result,
                Err(Lost) => self.forget(number),
            }
            least = number + 1;
        }
        Err(Fault::Unreachable)
    }

    /// A place on a connection whose number is `least` or higher, if this party may have one more.
    fn slot(&self, least: u64, turn: Turn) -> Option<(Slot, Share)> {
        let mut open = self.lock();
        open.connections
            .retain(|connection| !connection.is_closed());
        let share = self.held.take(self.places(&open), turn)?;
        let fresh_enough = |connection: &&Arc<Connection>| connection.number >= least;
        let mut usable = open.connections.iter().filter(fresh_enough);
        if let Some(slot) = usable.find_map(Connection::slot) {
            return Some((slot, share));
        }
        if open.connections.len() >= self.most {
            return None;
        }
        let number = open.next;
        open.next += 1;
        let dialer = Arc::clone(&self.dialer);
        let tell = self.tell.clone();
        let connection = Connection::open((number, self.pipeline), dialer, tell, &self.runtime);
        let slot = connection.slot();
        open.connections.push(connection);
        Some((slot?, share))
    }

    /// How many places there are, those of connections that may yet be opened among them.
    fn places(&self, open: &Open) -> usize {
        let places = open.connections.iter().map(|it| it.places());
        // Those to come are taken to be like those that are there.
        let least = places.clone().min().unwrap_or(self.pipeline);
        let more = self.most.saturating_sub(open.connections.len());
        places.sum::<usize>() + more * least
    }

    /// Puts no further question on a connection. It ends with the last question that is on it.
    fn forget(&self, number: u64) {
        let mut open = self.lock();
        open.connections
            .retain(|connection| connection.number != number);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
