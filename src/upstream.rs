//! Toward the servers of an upstream: a permit goes in, responses come out.
//!
//! ```text
//!  resolve(permit) ─▶ coalescing ─▶ hedging ─▶ transport ─▶ a server
//!                                     │  ▲      UDP, TCP, TLS, HTTPS
//!                                     ▼  │
//!                         prober ─▶ server stats: health, times, order
//! ```
//!
//! [`UpstreamClient::resolve`] takes a [`Permit`] and nothing else, and the message that leaves is
//! encoded from it ([`upstream_query`](dnsgate_core::dns::upstream_query)): no byte of a client's packet comes this far.
//!
//! An [`UpstreamClient`] does not change. Another configuration makes another one; with the last owner
//! of this one its connections and probes end.
//!
//! Not here: what of the responses may pass (`engine`), how long they are kept (`cache`), what is
//! counted (`telemetry`).

mod check_servers;
mod choice;
mod coalescing;
mod health;
mod hedge_budget;
mod hedging;
mod observer;
mod prober;
mod probes;
mod rtt;
mod server_stats;
mod share;
mod shared;
mod sockets;
mod transport;
mod upstream_limits;

#[cfg(test)]
mod tests;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::time;

pub use self::{
    check_servers::{Alive, Dead, probe},
    health::ServerStatus,
    observer::{Observer, QueryEnd, UpstreamEvent},
    share::{Party, may_take},
    sockets::bound_sockets,
    transport::OpenError,
    upstream_limits::UpstreamLimits,
};
use self::{
    coalescing::{InFlightQueries, InFlightQuery, Joined, Resolution},
    probes::Probes,
    server_stats::{Availability, ServerStats},
    shared::UpstreamShared,
    transport::{Roots, ServerReporter, ServerTransport},
};
use crate::clock::monotonic;
use dnsgate_core::{
    dns::{Failure, Response},
    policy::{Permit, UpstreamId},
};

/// Servers that know the same, and the way to them.
pub struct UpstreamClient {
    shared: Arc<UpstreamShared>,
    in_flight: Arc<InFlightQueries>,
    /// Ends [`Self::watch`] when dropped.
    alive: tokio::sync::watch::Sender<()>,
}

impl UpstreamClient {
    /// Prepares the way to the servers of `config`; nothing is sent yet. `id` is the upstream's in
    /// the configuration, for its probes. To be called within the tokio runtime that connections
    /// are to live on.
    ///
    /// # Errors
    /// [`OpenError`]: TLS to one of them cannot be set up.
    pub fn new(
        id: UpstreamId,
        config: &dnsgate_config::Upstream,
        limits: UpstreamLimits,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, OpenError> {
        let mut roots = Roots::new(config.ca.as_deref());
        let mut transports = Vec::with_capacity(config.servers.len());
        for (server, address) in config.servers.iter().enumerate() {
            let reporter = ServerReporter::new(Arc::clone(&observer), server);
            transports.push(ServerTransport::new(
                address, &mut roots, reporter, &limits,
            )?);
        }
        Ok(Self {
            in_flight: InFlightQueries::new(limits.questions, limits.coalesced),
            alive: tokio::sync::watch::Sender::new(()),
            shared: Arc::new(UpstreamShared {
                id,
                stats: ServerStats::new(config.strategy, transports.len(), Arc::clone(&observer)),
                probes: Probes::new(transports.len()),
                probing: AtomicUsize::new(0),
                transports,
                limits,
                observer,
            }),
        })
    }

    /// Asks, until `until` at the latest. Who asks what is already in flight waits for the same
    /// answer; when nobody waits any longer, the question is dropped. To be called within a tokio
    /// runtime, any one: where several wait for one answer, each of theirs must run until it has come.
    ///
    /// Where no server may be asked, that is told at once. `party` is whose question it is.
    ///
    /// # Errors
    /// [`Failure`], not later than `until`, nor later than [`UpstreamLimits::deadline`] from now.
    pub async fn resolve(
        &self,
        permit: &Permit,
        party: Party,
        until: Instant,
    ) -> Result<Arc<Response>, Failure> {
        let admitted = self.admit()?;
        self.resolve_admitted(permit, party, until, admitted).await
    }

    /// The same for a question that was [admitted](Self::admit) before.
    ///
    /// # Errors
    /// As there.
    pub async fn resolve_admitted(
        &self,
        permit: &Permit,
        party: Party,
        until: Instant,
        admitted: Admitted,
    ) -> Result<Arc<Response>, Failure> {
        // It may have waited for its turn, and the last server may have been found to be down meanwhile.
        let _admitted = match admitted.0 {
            Some(_) => admitted,
            None => self.admit()?,
        };
        let (now, whole) = (monotonic(), self.shared.limits.deadline);
        let until = until.min(now + whole);
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            return Err(Failure::Timeout);
        }
        // Others may come to wait for the same answer, and they must not suffer for it that whoever
        // asked first had little time left.
        let end = if left < whole / 2 { now + whole } else { until };
        let ask = |permit| hedging::run(Arc::clone(&self.shared), permit, party, end);
        match self.in_flight.join(permit, ask) {
            Joined::First(query) if end == until => query.await,
            Joined::First(query) => wait(query, until).await,
            Joined::Coalesced(query) => {
                self.shared.observer.observe(UpstreamEvent::Coalesced);
                // It may end later than this one has time for. Should the thread that it began in
                // hang, it must not take along who waits in others, either.
                wait(query, until).await
            }
            Joined::Full => {
                self.shared.observer.observe(UpstreamEvent::Shed);
                Err(Failure::Shed)
            }
        }
    }

    /// Probes the servers: all of them at once and then every few minutes, to see whether the
    /// questions come back to us; those that failed more often, to see whether they are back. Ends
    /// when the upstream is dropped. To be spawned once.
    pub fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        prober::run(Arc::clone(&self.shared), self.alive.subscribe())
    }

    /// Lets a question in that is to be asked. Costs no lock.
    ///
    /// # Errors
    /// Why it fails at once, which is told: all servers lead back to us, or all are down and as many
    /// questions as may find out whether one is back.
    pub fn admit(&self) -> Result<Admitted, Failure> {
        let failure = match self.shared.stats.availability() {
            Availability::Open => return Ok(Admitted(None)),
            Availability::Looping => Failure::Looping,
            Availability::Down => match Probing::begin(&self.shared) {
                Some(probing) => return Ok(Admitted(Some(probing))),
                None => Failure::Down,
            },
        };
        let looping = failure == Failure::Looping;
        self.shared
            .observer
            .observe(UpstreamEvent::Refused { looping });
        Err(failure)
    }

    /// A probe's name came to our own listener, from `source`. Returns whether the probe was this
    /// upstream's. When two of them have come back within a minute from the address of the server that
    /// they were sent to, it is not asked until a later probe does not come back.
    pub fn probe_returned(&self, token: u128, source: IpAddr) -> bool {
        self.shared.probe_returned(token, source)
    }
}

/// A question may be asked, as long as this is held.
#[must_use]
pub struct Admitted(Option<Probing>);

/// A question that finds out whether a server is back; the next one may when it is dropped.
struct Probing(Arc<UpstreamShared>);

impl Probing {
    /// One more, if there may be. Counted here, and not when the question leaves: many may be let in
    /// before the first of them has its turn.
    fn begin(shared: &Arc<UpstreamShared>) -> Option<Self> {
        let more = |count: usize| (count < shared.limits.probing).then_some(count + 1);
        let begun = shared
            .probing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        // Made only where one was counted: it is given back when dropped.
        begun.is_ok().then(|| Self(Arc::clone(shared)))
    }
}

/// What a flight ends with, if it does so in time.
async fn wait(query: InFlightQuery, until: Instant) -> Resolution {
    let ended = time::timeout_at(until.into(), query).await;
    ended.unwrap_or(Err(Failure::Timeout))
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.probing.fetch_sub(1, Ordering::Relaxed);
    }
}
