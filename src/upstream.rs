//! The client of one upstream: takes a permit, returns a response.
//!
//! ```text
//!  resolve(permit) ─▶ coalescing ─▶ hedging ─▶ transport ─▶ a server
//!                                     │  ▲      UDP, TCP, TLS, HTTPS
//!                                     ▼  │
//!                         prober ─▶ server stats: health, times, order
//! ```
//!
//! [`UpstreamClient::resolve_admitted`] takes only a [`Permit`], and the outgoing message is encoded from it
//! ([`upstream_query`](dnsgate_core::dns::upstream_query)). Nothing of a client's packet is
//! forwarded.
//!
//! An [`UpstreamClient`] is immutable. A changed configuration creates a new one; when the last
//! owner drops the old one, its connections and probes end.
//!
//! Not here: which responses are allowed (`engine`), how long they are cached (`cache`), what is
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

pub(crate) use self::{
    check_servers::probe,
    health::ServerStatus,
    observer::{Observer, QueryEnd, UpstreamEvent},
    share::{Party, may_take},
    sockets::bound_sockets,
    transport::OpenError,
    upstream_limits::{SocketLimits, UpstreamLimits},
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

/// The client for the servers of one upstream.
pub(crate) struct UpstreamClient {
    shared: Arc<UpstreamShared>,
    in_flight: Arc<InFlightQueries>,
    /// Ends [`Self::watch`] when dropped.
    alive: tokio::sync::watch::Sender<()>,
}

impl UpstreamClient {
    /// Creates a client for the servers of `config`; sends nothing yet. `id` is the upstream's ID
    /// in the configuration, used for its probes. Call it within the tokio runtime on which the
    /// connections should live.
    ///
    /// # Errors
    /// [`OpenError`]: TLS to a server cannot be set up.
    pub(crate) fn new(
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

    /// Like [`Self::resolve_admitted`], for a query that may start in any case.
    #[cfg(test)]
    pub(crate) async fn resolve(
        &self,
        permit: &Permit,
        party: Party,
        until: Instant,
    ) -> Result<Arc<Response>, Failure> {
        let admitted = self.admit()?;
        let may_start = || Ok(());
        self.resolve_admitted(permit, party, until, admitted, may_start)
            .await
    }

    /// Resolves a query that is [admitted](Self::admit), until `until` at the latest. Joins an identical
    /// query that is already in flight; an in-flight query that nobody waits for is dropped. Call it
    /// within any tokio runtime. If several callers wait for one answer, each of their runtimes must
    /// run until it arrives.
    ///
    /// Fails at once if no server may be asked. `party` is the client group that asks. `may_start` is
    /// called if the query is about to be sent, which it can refuse; not if it joins another one.
    ///
    /// # Errors
    /// [`Failure`], no later than `until` and no later than [`UpstreamLimits::deadline`] from now; and
    /// that of `may_start`.
    pub(crate) async fn resolve_admitted(
        &self,
        permit: &Permit,
        party: Party,
        until: Instant,
        admitted: Admitted,
        may_start: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Arc<Response>, Failure> {
        // The query may have waited, and the last server may have gone down in the meantime.
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
        // Later queries may be coalesced with this one. They must not suffer from the short time
        // that the first one has left.
        let end = if left < whole / 2 { now + whole } else { until };
        let ask = |permit| hedging::run(Arc::clone(&self.shared), permit, party, end);
        match self.in_flight.join(permit, may_start, ask) {
            Joined::First(query) if end == until => query.await,
            Joined::First(query) => wait(query, until).await,
            Joined::Coalesced(query) => {
                self.shared.observer.observe(UpstreamEvent::Coalesced);
                // The shared query may end after this caller's deadline, and a thread that hangs
                // must not delay callers on other threads.
                wait(query, until).await
            }
            Joined::Refused(failure) => Err(failure),
            Joined::Full => {
                self.shared.observer.observe(UpstreamEvent::Shed);
                Err(Failure::Shed)
            }
        }
    }

    /// Probes the servers: all of them at the start and then every few minutes to detect loops, and
    /// failed ones more often to detect recovery. Ends when the upstream is dropped. Spawn it once.
    pub(crate) fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        prober::run(Arc::clone(&self.shared), self.alive.subscribe())
    }

    /// Admits a query. Takes no lock.
    ///
    /// # Errors
    /// All servers loop back to dnsgate, or all are down and the maximum number of queries is
    /// already testing them.
    pub(crate) fn admit(&self) -> Result<Admitted, Failure> {
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

    /// Handles a loop probe that arrived at our own listener from `source`. Returns whether the
    /// probe was this upstream's. After two returns within a minute from the address of the probed
    /// server, that server gets no queries until a later probe does not come back.
    pub(crate) fn probe_returned(&self, token: u128, source: IpAddr) -> bool {
        self.shared.probe_returned(token, source)
    }
}

/// The admission of a query, valid until dropped.
#[must_use]
pub(crate) struct Admitted(Option<Probing>);

/// The right of one query to test whether a server is back. Released when dropped.
struct Probing(Arc<UpstreamShared>);

impl Probing {
    /// Takes the right if one is free. Counted here and not when the query is sent, because many
    /// queries may be admitted before the first one is sent.
    fn begin(shared: &Arc<UpstreamShared>) -> Option<Self> {
        let more = |count: usize| (count < shared.limits.probing).then_some(count + 1);
        let begun = shared
            .probing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        // Created only after counting, because dropping it decrements the count.
        begun.is_ok().then(|| Self(Arc::clone(shared)))
    }
}

/// The result of an in-flight query, or a timeout.
async fn wait(query: InFlightQuery, until: Instant) -> Resolution {
    let ended = time::timeout_at(until.into(), query).await;
    ended.unwrap_or(Err(Failure::Timeout))
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.probing.fetch_sub(1, Ordering::Relaxed);
    }
}
