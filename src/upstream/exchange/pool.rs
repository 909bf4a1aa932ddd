//! The connections to one server: one, as long as its pipeline has room; opened when a question
//! needs it.
//!
//! A server may close a connection after any answer (RFC 7766 section 6.2.4), with other questions
//! on it. Those are put on another one, as long as whoever asks has time. Where a server closes after
//! a few answers, the next connections are given as few questions, and there are more of them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use super::{
    Fault, Reply, Tell,
    connection::{Connection, PIPELINE, Slot},
    dial::Dialer,
};
use crate::dns::ServerFault;

/// The most connections to one server that take questions. Four full pipelines are more than any
/// one server is asked in a round trip; a server that wants fewer closes some.
const CONNECTIONS: usize = 4;
/// The same where the server closes a connection after a few answers: with one question each, as many
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
    tell: Tell,
    /// Where connections live. Who asks may have a runtime of its own, which ends before them.
    runtime: Handle,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    connections: Vec<Arc<Connection>>,
    /// After how many answers the server closed a connection that had more to answer, and when.
    closes_after: Option<(usize, Instant)>,
}

impl Pool {
    /// Without a connection yet; those to come live on the runtime that this is called within.
    pub(super) fn new(dialer: Dialer, tell: Tell) -> Self {
        Self {
            dialer: Arc::new(dialer),
            tell,
            runtime: Handle::current(),
            open: Mutex::default(),
        }
    }

    /// Asks the encoded `query`. A connection without a sign of life for `patience` is given no
    /// further question.
    pub(super) async fn ask(&self, query: Vec<u8>, patience: Duration) -> Result<Reply, Fault> {
        let mut least = 0;
        let mut fruitless = 0;
        for lost in 0..TRIES {
            let alone = lost >= SHARED || fruitless + 1 == FRUITLESS;
            let slot = self.slot(least, alone).ok_or(Fault::Busy)?;
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
        Err(Fault::Server(ServerFault::Closed))
    }

    /// A place on a connection whose number is `least` or higher, `alone` if that can be.
    fn slot(&self, least: u64, alone: bool) -> Option<Slot> {
        let mut open = self.lock();
        open.connections.retain(|connection| {
            let done = connection.is_spent() && connection.waiting() == 0;
            !done && !connection.is_closed()
        });
        let share = if alone { 1 } else { open.share() };
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
        let most = if share < PIPELINE {
            SMALL_CONNECTIONS
        } else {
            CONNECTIONS
        };
        if open.connections.len() >= most {
            // Any of them, and the newest of those that are alike: it will most likely last.
            let shared = open.connections.iter().rev();
            return shared.min_by_key(|connection| connection.waiting())?.slot();
        }
        let number = open.next;
        open.next += 1;
        let dialer = Arc::clone(&self.dialer);
        let connection =
            Connection::open((number, share), dialer, self.tell.clone(), &self.runtime);
        let slot = connection.slot();
        open.connections.push(connection);
        slot
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

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// How many questions the next connection is for.
    fn share(&self) -> usize {
        match self.closes_after {
            Some((answers, since)) if since.elapsed() < REMEMBERED => answers,
            _ => PIPELINE,
        }
    }
}
