//! Toward the servers of an upstream: a permit goes in, facts come out.
//!
//! ```text
//!  resolve(permit) ─▶ flights ─▶ race ─▶ exchange ─▶ a server
//!                     merged     plan     UDP, TCP, TLS, HTTPS
//!                        ▲        │
//!                        │        ▼
//!                      watch ─▶ book: health, times, order
//! ```
//!
//! [`Upstream::resolve`] takes a [`Permit`] and nothing else, and the message that leaves is
//! encoded from it ([`ask`](crate::dns::ask)): no byte of a client's packet comes this far.
//!
//! An [`Upstream`] does not change. Another configuration makes another one; with the last owner
//! of this one its connections and probes end.
//!
//! Not here: what of the facts may pass (`engine`), how long they are kept (`cache`), what is
//! counted (`telemetry`).

mod book;
mod budget;
mod choice;
mod exchange;
mod flights;
mod health;
mod observer;
mod probe;
mod race;
mod rtt;
mod watch;

#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time;

use self::{
    book::Book,
    exchange::{Roots, Tell, Way},
    flights::{Flight, Flights, Joined, Landing},
    watch::Probes,
};
pub use self::{
    exchange::OpenError,
    health::Standing,
    observer::{Asked, Event, Observer},
    probe::{Alive, Dead, probe},
};
use crate::{
    config,
    dns::{Facts, Failure, ServerFault},
    policy::{Permit, UpstreamId},
};

/// How much of everything there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a question may take in all, whoever is asked how often, where whoever asks has as
    /// much time.
    pub deadline: Duration,
    /// How many may wait for the same question.
    pub waiters: usize,
    /// How many questions may be in flight.
    pub questions: usize,
    /// After how many datagrams that are no reply to it a question goes to TCP.
    pub near_misses: usize,
}

impl Default for Limits {
    /// 2 s, half of what Cloud DNS waits for its target; as many questions as clients may have in
    /// flight, and a tenth of them for one name. The configuration's limits say more of each.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(2),
            waiters: 1000,
            questions: 10_000,
            near_misses: 3,
        }
    }
}

/// Servers that know the same, and the way to them.
pub struct Upstream {
    shared: Arc<Shared>,
    flights: Arc<Flights>,
    /// Ends [`Self::watch`] when dropped.
    alive: tokio::sync::watch::Sender<()>,
}

/// What questions under way hold on to.
struct Shared {
    id: UpstreamId,
    ways: Vec<Way>,
    book: Book,
    probes: Probes,
    limits: Limits,
    observer: Arc<dyn Observer>,
}

impl Upstream {
    /// Prepares the way to the servers of `config`; nothing is sent yet. `id` is the upstream's in
    /// the configuration, for its probes. To be called within the tokio runtime that connections
    /// are to live on.
    ///
    /// # Errors
    /// [`OpenError`]: TLS to one of them cannot be set up.
    pub fn new(
        id: UpstreamId,
        config: &config::Upstream,
        limits: Limits,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, OpenError> {
        let mut roots = Roots::new(config.ca.as_deref());
        let mut ways = Vec::with_capacity(config.servers.len());
        for (server, address) in config.servers.iter().enumerate() {
            let tell = Tell::new(Arc::clone(&observer), server);
            ways.push(Way::new(address, &mut roots, tell, limits.near_misses)?);
        }
        Ok(Self {
            flights: Flights::new(limits.questions, limits.waiters),
            alive: tokio::sync::watch::Sender::new(()),
            shared: Arc::new(Shared {
                id,
                book: Book::new(config.strategy, ways.len(), Arc::clone(&observer)),
                probes: Probes::new(ways.len()),
                ways,
                limits,
                observer,
            }),
        })
    }

    /// Asks, until `until` at the latest. Who asks what is already in flight waits for the same
    /// answer; when nobody waits any longer, the question is dropped. To be called within a tokio
    /// runtime, any one: where several wait for one answer, each of theirs must run until it has come.
    ///
    /// # Errors
    /// [`Failure`], not later than `until`, nor later than [`Limits::deadline`] from now.
    pub async fn resolve(&self, permit: &Permit, until: Instant) -> Result<Arc<Facts>, Failure> {
        let (now, whole) = (now(), self.shared.limits.deadline);
        let until = until.min(now + whole);
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            return Err(Failure::Timeout);
        }
        // Others may come to wait for the same answer, and they must not suffer for it that whoever
        // asked first had little time left.
        let end = if left < whole / 2 { now + whole } else { until };
        let ask = |permit| race::run(Arc::clone(&self.shared), permit, end);
        match self.flights.join(permit, ask) {
            Joined::First(flight) if end == until => flight.await,
            Joined::First(flight) => wait(flight, until).await,
            Joined::Merged(flight) => {
                self.shared.observer.observe(Event::Merged);
                // It may end later than this one has time for. Should the thread that it began in
                // hang, it must not take along who waits in others, either.
                wait(flight, until).await
            }
            Joined::Full => {
                self.shared.observer.observe(Event::Shed);
                Err(Failure::Shed)
            }
        }
    }

    /// Probes the servers: all of them at once and then every few minutes, to see whether the
    /// questions come back to us; those that failed more often, to see whether they are back. Ends
    /// when the upstream is dropped. To be spawned once.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        watch::run(Arc::clone(&self.shared), self.alive.subscribe())
    }

    /// A probe's name came to our own listener. Returns whether the probe was this upstream's: then
    /// the server that it was sent to is looping, until a later probe does not come back.
    pub fn probe_returned(&self, token: u128) -> bool {
        let server = self.shared.probes.returned(token);
        if let Some(server) = server {
            self.shared.looping(server, true);
        }
        server.is_some()
    }
}

/// What a flight ends with, if it does so in time.
async fn wait(flight: Flight, until: Instant) -> Landing {
    let landed = time::timeout_at(until.into(), flight).await;
    landed.unwrap_or(Err(Failure::Timeout))
}

impl Shared {
    /// A server cannot be used.
    fn faulty(&self, server: usize, fault: ServerFault) {
        self.observer.trouble(server, Some(fault), "");
        self.book.unreachable(server, now());
    }

    fn looping(&self, server: usize, looping: bool) {
        if self.probes.set_looping(server, looping) {
            self.observer.observe(Event::Looping { server, looping });
        }
    }
}

/// The clock of this module, read in one place: tokio's, which tests can stop.
fn now() -> Instant {
    time::Instant::now().into_std()
}
