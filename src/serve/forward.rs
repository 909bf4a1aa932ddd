//! Queries that wait for an upstream: sends the request, resumes the query with the result, sends
//! the reply.
//!
//! ```text
//!  worker ─▶ submit(query, permit, responder) ─▶ task: resolve ─▶ cache ─▶ engine::resume ─▶ reply
//!               └─ no slot: reply at once                   ▲────── next alias ─────┘
//! ```
//!
//! The task runs on the runtime of the worker that received the query, usually in the same thread.
//! The number of tasks is bounded and shared fairly (`in_flight`); a query beyond the limit is shed
//! at once with a stale response or SERVFAIL, because an unbounded queue would only delay
//! everybody. A query that fails at once is answered on the worker's thread and takes no slot. A
//! query keeps the snapshot that it began with.
//!
//! Not here: the choice of the server and the transport (`upstream`), the evaluation of the
//! response (`engine`).

use std::{
    cell::RefCell,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::FutureExt as _;
use tokio::time;

use super::{
    budget_gate,
    in_flight::{InFlight, InFlightSlot, party},
    responder::{DetachedResponder, Unsent},
    upstream_table::UpstreamTable,
};
use crate::{
    budgets::Spender,
    clock::monotonic,
    telemetry::{self, Latency, Reading, SharedCounters, Shed, TcpLimit, Telemetry},
    upstream::{Admitted, Party, UpstreamClient},
};
use dnsgate_config::Limits;
use dnsgate_core::{
    cache::Cache,
    dns::{Failure, Transport, response::MAX_ALIASES},
    engine::{
        self, Client, Context, Forward, Partition, Permit, Reason, Snapshot, Step, UpstreamResult,
    },
    policy::GroupId,
};

/// Maximum number of times a query is resumed: once for each alias of a chain, whose length the
/// engine limits ([`MAX_ALIASES`]).
const MAX_ROUNDS: usize = MAX_ALIASES + 1;
/// How long a client waits for upstreams if a stale response is available (RFC 8767 section 5: 1.8
/// seconds, just below the common timeout of clients).
const CLIENT_WAIT: Duration = Duration::from_millis(1_800);
/// How long a removed upstream is kept for queries that began before its removal: longer than any
/// query may take.
const RETIREMENT: Duration = Duration::from_secs(10);

/// A query that waits for an upstream.
pub(super) struct Waiting {
    pub(super) packet: Box<[u8]>,
    pub(super) source: SocketAddr,
    pub(super) transport: Transport,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) ask: Forward,
    /// The admission at its upstream, if it has one already.
    pub(super) admitted: Option<Admitted>,
    pub(super) responder: DetachedResponder,
    /// The wall-clock time at which it was read.
    pub(super) now: SystemTime,
    /// The same time on the monotonic clock.
    pub(super) began: Instant,
}

/// Forwards queries. All workers and all waiting queries share it.
pub(crate) struct Forwarder {
    upstreams: UpstreamTable,
    cache: Cache,
    in_flight: Arc<InFlight>,
    limits: Limits,
    telemetry: Telemetry,
    shared: Arc<SharedCounters>,
}

impl Forwarder {
    /// A forwarder without upstreams.
    pub(crate) fn new(cache: Cache, limits: Limits, telemetry: &Telemetry) -> Self {
        Self {
            upstreams: UpstreamTable::default(),
            cache,
            in_flight: InFlight::new(limits.in_flight),
            limits,
            telemetry: telemetry.clone(),
            shared: Arc::clone(telemetry.shared()),
        }
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The upstreams that are installed.
    pub(super) fn upstreams(&self) -> &UpstreamTable {
        &self.upstreams
    }

    /// Installs the upstreams of a configuration with that many groups. Call it before any query
    /// can see the new snapshot.
    pub(crate) fn install(
        self: &Arc<Self>,
        wanted: Vec<(Partition, Arc<UpstreamClient>)>,
        groups: usize,
    ) {
        self.in_flight.share_out(groups, wanted.len());
        let replaced = self.upstreams.install(wanted);
        let forwarder = Arc::clone(self);
        tokio::spawn(async move {
            time::sleep(RETIREMENT).await;
            forwarder.upstreams.retire(&replaced);
        });
    }

    /// Takes over a query. Returns `false` if no slot is free.
    pub(super) fn submit(self: &Arc<Self>, waiting: Waiting) -> bool {
        let load = self
            .upstreams
            .load_of(&waiting.snapshot, &waiting.ask.permit);
        let slot = self.in_flight.take(&load, waiting.ask.outcome.group);
        let taken = slot.map(|slot| tokio::spawn(Arc::clone(self).serve(waiting, slot)));
        taken.is_some()
    }

    /// Refreshes a cached response that is about to expire. Does nothing if no slot is free.
    pub(super) fn refresh(
        self: &Arc<Self>,
        permit: Permit,
        snapshot: Arc<Snapshot>,
        now: SystemTime,
    ) {
        let load = self.upstreams.load_of(&snapshot, &permit);
        if let Some(slot) = self.in_flight.take(&load, None) {
            let forwarder = Arc::clone(self);
            tokio::spawn(async move {
                let _place = slot;
                let request = UpstreamRequest {
                    // The name was counted when its response was cached.
                    spender: None,
                    party: Party::OWN,
                    time: forwarder.time_from(monotonic()),
                    admitted: None,
                };
                forwarder.fetch(permit, &snapshot, now, request).await;
            });
        }
    }

    /// The values that a metrics scrape reads.
    pub(crate) fn reading(&self) -> Reading {
        let cache = self.cache.stats();
        Reading {
            cache_hits: cache.hits,
            cache_misses: cache.misses,
            cache_stale: cache.stale,
            cache_evictions: cache.evictions,
            cache_entries: cache.entries as u64,
            cache_bytes: cache.bytes,
            in_flight: self.in_flight.taken() as u64,
            tcp_unread_bytes: 0,
        }
    }

    /// Waits until no query is in flight, but not beyond `last`.
    pub(crate) async fn finish(&self, last: Instant) {
        // Queries that are still in flight end with the process.
        let _ = time::timeout_at(last.into(), self.in_flight.empty()).await;
    }

    async fn serve(self: Arc<Self>, waiting: Waiting, slot: InFlightSlot) {
        let Waiting {
            packet,
            source,
            transport,
            snapshot,
            ask,
            admitted,
            responder,
            now,
            began,
        } = waiting;
        let client = Client {
            source: source.ip(),
            transport,
        };
        let query = QueryContext {
            packet: &packet,
            client,
            snapshot: &snapshot,
            now,
            group: ask.outcome.group,
            time: self.time_from(began),
        };
        // Held until the reply has been sent, because shutdown waits for the slot.
        let mut hold = HeldWhileWaiting {
            slot: Some(Arc::new(slot)),
            admitted,
        };
        // AssertUnwindSafe: a panic cannot leave any shared state half modified.
        let run = AssertUnwindSafe(self.run(query, ask, &mut hold)).catch_unwind();
        let (mut step, mut reply) = run.await.unwrap_or_else(|_| query.fail(Reason::Panic));
        if !step.is_empty() {
            match responder.send(&reply) {
                Ok(()) => {}
                Err(Unsent::Lost) => self.shared.reply_lost(),
                Err(Unsent::Unread(responder)) => {
                    // The client does not read. It gets a short SERVFAIL, if even that fits.
                    self.shared.tcp_limited(TcpLimit::UnreadPerConnection);
                    (step, reply) = query.fail(Reason::Shed);
                    if responder.send(&reply).is_err() {
                        self.shared.reply_lost();
                    }
                }
            }
        }
        self.telemetry.record(&telemetry::FinishedQuery {
            outcome: *step.outcome(),
            transport,
            source,
            query: &packet,
            reply: &reply,
            rejected: step.rejected(),
            time: now,
            latency: Latency::Known(monotonic().saturating_duration_since(began)),
            generation: snapshot.generation(),
        });
    }

    /// Resumes a query until it has its reply.
    async fn run(
        self: &Arc<Self>,
        query: QueryContext<'_>,
        ask: Forward,
        hold: &mut HeldWhileWaiting,
    ) -> (Step, Vec<u8>) {
        let mut arrived = Vec::new();
        let mut ask = ask;
        for _ in 0..MAX_ROUNDS {
            let has_slot = self.moves(query, &ask.permit, &mut hold.slot);
            arrived.push(if has_slot {
                self.resolve(ask, query, hold).await
            } else {
                // The engine answers with a stale response if the cache has one.
                let context = self.context(query.snapshot, query.now);
                UpstreamResult::unknown(ask.permit, Failure::Shed, &context)
            });
            #[cfg(feature = "faults")]
            crate::faults::strike(crate::faults::FaultPoint::Later, query.packet);
            let context = self.context(query.snapshot, query.now);
            let taken_up = query
                .write(|out| engine::resume(query.packet, query.client, &context, &arrived, out));
            match taken_up {
                (Step::Forward(next), _) => ask = *next,
                done => return done,
            }
        }
        query.fail(Reason::UpstreamChain)
    }

    /// If an alias leads to another upstream, moves the query's slot there. Returns `false` if no
    /// slot is free.
    fn moves(
        &self,
        query: QueryContext<'_>,
        permit: &Permit,
        slot: &mut Option<Arc<InFlightSlot>>,
    ) -> bool {
        let load = self.upstreams.load_of(query.snapshot, permit);
        if slot.as_ref().is_some_and(|slot| slot.is_at(&load)) {
            return true;
        }
        // Release before acquiring, so that no query holds two slots.
        *slot = None;
        *slot = self.in_flight.take(&load, query.group).map(Arc::new);
        if slot.is_none() {
            self.shared.shed(Shed::InFlight);
        }
        slot.is_some()
    }

    /// The upstream's response, or after the client's wait the result that lets the engine answer
    /// with a stale one.
    async fn resolve(
        self: &Arc<Self>,
        ask: Forward,
        query: QueryContext<'_>,
        hold: &mut HeldWhileWaiting,
    ) -> UpstreamResult {
        let Forward {
            permit,
            stale,
            rule,
            outcome: _,
        } = ask;
        let spender = Spender {
            rule,
            group: query.group,
            client: query.client.source,
        };
        let request = UpstreamRequest {
            spender: Some(spender),
            party: party(query.group),
            time: query.time,
            admitted: hold.admitted.take(),
        };
        if stale {
            // Boxed, so that not every waiting query reserves memory for this rare case.
            let slot = hold.slot.clone();
            Box::pin(self.resolve_in_time(permit, query, request, slot)).await
        } else {
            self.fetch(permit, query.snapshot, query.now, request).await
        }
    }

    /// The upstream's response, within the time that a client waits if a stale response is
    /// available.
    async fn resolve_in_time(
        self: &Arc<Self>,
        permit: Permit,
        query: QueryContext<'_>,
        request: UpstreamRequest,
        slot: Option<Arc<InFlightSlot>>,
    ) -> UpstreamResult {
        // The fetch continues after the client has its answer and keeps the slot. The next query
        // finds the response in the cache.
        let fetch = {
            let (forwarder, permit) = (Arc::clone(self), permit.clone());
            let (snapshot, now) = (Arc::clone(query.snapshot), query.now);
            let fetch = async move {
                let _place = slot;
                forwarder.fetch(permit, &snapshot, now, request).await
            };
            tokio::spawn(fetch)
        };
        let late = |failure| {
            let context = self.context(query.snapshot, query.now);
            UpstreamResult::unknown(permit, failure, &context)
        };
        let wait = query.time.until.min(query.time.began + CLIENT_WAIT);
        match time::timeout_at(wait.into(), fetch).await {
            Ok(Ok(arrived)) => arrived,
            Ok(Err(_)) => late(Failure::Unreachable),
            Err(_) => late(Failure::Timeout),
        }
    }

    /// Asks the upstream and caches the response.
    async fn fetch(
        &self,
        permit: Permit,
        snapshot: &Snapshot,
        now: SystemTime,
        request: UpstreamRequest,
    ) -> UpstreamResult {
        let UpstreamRequest {
            spender,
            party,
            time,
            admitted,
        } = request;
        let spending = spender.and_then(|who| who.spending(snapshot.policy(), permit.name()));
        let may_start = || budget_gate::pass(&self.telemetry, spending, now);
        let left = time.until.saturating_duration_since(monotonic());
        let upstream = self.upstreams.of_permit(snapshot, &permit);
        let result = match upstream {
            Some(upstream) => match admitted.map_or_else(|| upstream.admit(), Ok) {
                Ok(admitted) => {
                    let until = time.until;
                    upstream
                        .resolve_admitted(&permit, party, until, admitted, may_start)
                        .await
                }
                Err(failure) => Err(failure),
            },
            None => Err(Failure::Unreachable),
        };
        let context = self.context(snapshot, now);
        match result {
            // Earlier upstream requests had used most of the time, so this timeout says little
            // about this question. The failure is not cached, and the next query for it gets the
            // full time.
            Err(Failure::Timeout) if left < self.limits.upstream_timeout / 2 => {
                UpstreamResult::unknown(permit, Failure::Timeout, &context)
            }
            Err(Failure::OverBudget { until }) => UpstreamResult::over_budget(permit, until),
            result => UpstreamResult::new(permit, result, &context),
        }
    }

    /// The time limits of a query that was read at `began`.
    fn time_from(&self, began: Instant) -> QueryTime {
        QueryTime {
            began,
            until: began + self.limits.upstream_timeout,
        }
    }

    fn context<'t>(&'t self, snapshot: &'t Snapshot, now: SystemTime) -> Context<'t> {
        Context::new(snapshot, now).with_cache(&self.cache, monotonic())
    }
}

/// The time limits of one query. All its upstream requests share them.
#[derive(Clone, Copy)]
struct QueryTime {
    /// When the query was read.
    began: Instant,
    /// Deadline of the answer.
    until: Instant,
}

/// A request to an upstream.
struct UpstreamRequest {
    /// Who asks, for the budget of the rule.
    spender: Option<Spender>,
    party: Party,
    time: QueryTime,
    /// The admission, if the request has one already.
    admitted: Option<Admitted>,
}

/// The slot and the admission of a waiting query.
struct HeldWhileWaiting {
    /// Its slot at the upstream that it waits for.
    slot: Option<Arc<InFlightSlot>>,
    /// Its admission there, until the request is sent.
    admitted: Option<Admitted>,
}

/// The parts of a query that are needed to resume it.
#[derive(Clone, Copy)]
struct QueryContext<'q> {
    packet: &'q [u8],
    client: Client,
    snapshot: &'q Arc<Snapshot>,
    now: SystemTime,
    group: Option<GroupId>,
    time: QueryTime,
}

thread_local! {
    /// Buffer for a reply of maximum size. Waiting queries do not use it.
    static REPLY_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; engine::max_reply(Transport::Tcp)]);
}

impl QueryContext<'_> {
    /// Runs `write` on the buffer and copies the result.
    fn write(&self, write: impl FnOnce(&mut [u8]) -> Step) -> (Step, Vec<u8>) {
        REPLY_BUFFER.with_borrow_mut(|buffer| {
            let most = engine::max_reply(self.client.transport).min(buffer.len());
            let step = write(buffer.get_mut(..most).unwrap_or_default());
            let reply = buffer.get(..step.len()).unwrap_or_default().to_vec();
            (step, reply)
        })
    }

    fn fail(&self, reason: Reason) -> (Step, Vec<u8>) {
        self.write(|out| engine::fail(self.packet, self.client.transport, reason, out))
    }
}
