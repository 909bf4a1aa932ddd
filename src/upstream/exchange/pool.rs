//! The connections to one server: one, as long as its pipeline has room; opened when a question
//! needs it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{
    Fault, Reply, Tell,
    connection::{Connection, Lost, Slot},
    dial::Dialer,
};

/// The most connections to one server that take questions. Four full pipelines are more than any
/// one server is asked in a round trip; a server that wants fewer closes some.
const CONNECTIONS: usize = 4;
/// A question is put on as many connections in turn if they are lost with it: the server may close
/// the first just as the question leaves, which is nobody's fault, but not a fresh one, too.
const TRIES: usize = 2;

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
        for _ in 0..TRIES {
            let slot = self.slot(least).ok_or(Fault::Busy)?;
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

    /// A place on a connection whose number is `least` or higher.
    fn slot(&self, least: u64) -> Option<Slot> {
        let mut open = self.lock();
        open.connections
            .retain(|connection| !connection.is_closed());
        let fresh_enough = |connection: &&Arc<Connection>| connection.number >= least;
        let mut usable = open.connections.iter().filter(fresh_enough);
        if let Some(slot) = usable.find_map(Connection::slot) {
            return Some(slot);
        }
        if open.connections.len() >= CONNECTIONS {
            return None;
        }
        let number = open.next;
        open.next += 1;
        let dialer = Arc::clone(&self.dialer);
        let connection = Connection::open(number, dialer, self.tell.clone(), &self.runtime);
        let slot = connection.slot();
        open.connections.push(connection);
        slot
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
