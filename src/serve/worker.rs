//! The worker: passes each packet to the engine and its outcome to telemetry.
//!
//! There is one instance per worker. It reads the clock before and after a batch and for each
//! logged query. It loads the snapshot once per batch, so each query sees exactly one.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use arc_swap::{ArcSwap, Cache};

use crate::{
    clock::{calendar, monotonic},
    telemetry::{self, Latency, Recorder, SelfQuery, SharedCounters, Shed, TcpLimit, Telemetry},
    upstream::Admitted,
};
use dnsgate_core::{
    dns::{Failure, Prefetch, query::HEADER},
    engine::{
        self, Client, Context, FollowUp, Forward, Outcome, Permit, RateVerdict, Reason, Snapshot,
        Step, UpstreamResult,
    },
};

use super::{
    forward::{Forwarder, Waiting},
    handler::{ClientMessage, Handler, ListenerEvent},
    rate::ClientRateLimiter,
    responder::Responder,
    self_query::own_question,
};

/// The handler of one worker.
pub(crate) struct Worker {
    reader: SnapshotReader,
    snapshot: Arc<Snapshot>,
    recorder: Recorder,
    shared: Arc<SharedCounters>,
    forwarder: Arc<Forwarder>,
    rate_limiter: Option<ClientRateLimiter>,
    /// Collects the policy memory that the batch will read.
    prefetch: Prefetch,
    /// The wall-clock time of the batch, for expiry and for the log.
    now: SystemTime,
    /// The same time on the monotonic clock.
    began: Instant,
}

impl Worker {
    pub(crate) fn new(
        mut reader: SnapshotReader,
        telemetry: &Telemetry,
        forwarder: Arc<Forwarder>,
        rate_limiter: Option<ClientRateLimiter>,
    ) -> Self {
        let snapshot = Arc::clone(reader.snapshot());
        let (now, began) = (calendar(), monotonic());
        Self {
            reader,
            snapshot,
            recorder: telemetry.recorder(),
            shared: Arc::clone(telemetry.shared()),
            forwarder,
            rate_limiter,
            prefetch: Prefetch::new(),
            now,
            began,
        }
    }

    /// Handles a query as far as possible without waiting.
    fn step(&self, message: ClientMessage<'_>, out: &mut [u8]) -> Step {
        let pass = self
            .rate_limiter
            .as_ref()
            .map(|rate_limiter| rate_limiter.pass(message, self.began));
        if let Some(over @ (RateVerdict::Slip | RateVerdict::Over)) = pass {
            return engine::limited(message.packet, over == RateVerdict::Slip, out);
        }
        #[cfg(feature = "faults")]
        crate::faults::strike(crate::faults::FaultPoint::Worker, message.packet);
        let client = Client {
            source: message.source.ip(),
            transport: message.transport,
        };
        let context =
            Context::new(&self.snapshot, self.now).with_cache(self.forwarder.cache(), self.began);
        engine::begin(message.packet, client, &context, out)
    }

    /// Counts and logs one query.
    fn record(
        &mut self,
        outcome: Outcome,
        message: ClientMessage<'_>,
        reply: &[u8],
        rejected: Option<&str>,
    ) {
        self.recorder.record(&telemetry::FinishedQuery {
            outcome,
            transport: message.transport,
            source: message.source,
            query: message.packet,
            reply,
            rejected,
            time: self.now,
            latency: Latency::Batch {
                since: self.began,
                clock: monotonic,
            },
            generation: self.snapshot.generation(),
        });
    }

    /// Admits a query at its upstream. If the upstream cannot be asked, the error is the reply: a
    /// stale response from the cache, or SERVFAIL. `None` if an alias leads to another upstream.
    fn admit(
        &self,
        ask: &Forward,
        message: ClientMessage<'_>,
        out: &mut [u8],
    ) -> Result<Option<Admitted>, Step> {
        let upstreams = self.forwarder.upstreams();
        match upstreams.admit(&self.snapshot, &ask.permit) {
            Ok(admitted) => Ok(admitted),
            Err(failure) => {
                let permit = ask.permit.clone();
                // A cached alias may lead to an upstream that can be asked.
                self.reply_unasked(permit, failure, message, out)
                    .map_or(Ok(None), Err)
            }
        }
    }

    /// The reply to a query whose upstream is not asked because of `failure`: a stale response from
    /// the cache, or SERVFAIL. `None` if an alias in the cached response leads to another upstream.
    fn reply_unasked(
        &self,
        permit: Permit,
        failure: Failure,
        message: ClientMessage<'_>,
        out: &mut [u8],
    ) -> Option<Step> {
        let context =
            Context::new(&self.snapshot, self.now).with_cache(self.forwarder.cache(), self.began);
        let unasked = [UpstreamResult::new(permit, Err(failure), &context)];
        let client = Client {
            source: message.source.ip(),
            transport: message.transport,
        };
        match engine::resume(message.packet, client, &context, &unasked, out) {
            Step::Forward(_) => None,
            step => Some(step),
        }
    }

    /// Records a query that ends without its upstream. Returns the length of its reply, if it gets one.
    fn finish(&mut self, step: &Step, message: ClientMessage<'_>, out: &[u8]) -> Option<usize> {
        let len = step.len();
        let reply = out.get(..len).unwrap_or_default();
        self.record(*step.outcome(), message, reply, step.rejected());
        (len > 0).then_some(len)
    }

    /// Submits a query that must wait. If no slot is free, returns the length of the reply.
    fn wait(
        &mut self,
        ask: Forward,
        admitted: Option<Admitted>,
        message: ClientMessage<'_>,
        out: &mut [u8],
        responder: &dyn Responder,
    ) -> Option<usize> {
        let outcome = ask.outcome;
        let stale = ask.stale.then(|| ask.permit.clone());
        let taken = responder.detach().and_then(|responder| {
            let waiting = Waiting {
                packet: message.packet.into(),
                source: message.source,
                transport: message.transport,
                snapshot: Arc::clone(&self.snapshot),
                ask,
                admitted,
                responder,
                now: self.now,
                began: self.began,
            };
            self.forwarder.submit(waiting).then_some(())
        });
        if taken.is_some() {
            return None;
        }
        self.shared.shed(Shed::InFlight);
        let instead =
            stale.and_then(|permit| self.reply_unasked(permit, Failure::Shed, message, out));
        if let Some(step) = instead {
            return self.finish(&step, message, out);
        }
        let step = engine::fail(message.packet, message.transport, Reason::Shed, out);
        let failed = Outcome {
            reason: step.outcome().reason,
            rcode: step.outcome().rcode,
            ..outcome
        };
        let len = step.len();
        self.record(failed, message, out.get(..len).unwrap_or_default(), None);
        (len > 0).then_some(len)
    }

    /// Refreshes a cached response that is about to expire.
    fn follow_up(&self, more: Option<&FollowUp>) {
        if let Some(permit) = more.and_then(|more| more.refresh.clone()) {
            let snapshot = Arc::clone(&self.snapshot);
            self.forwarder.refresh(permit, snapshot, self.now);
        }
    }

    /// Whether the query is dnsgate's own and therefore neither counted nor logged as a client's.
    /// Records a loop probe that came back.
    fn is_own(&self, outcome: &Outcome, message: ClientMessage<'_>) -> bool {
        match outcome.reason {
            Reason::Class => message.packet == own_question(),
            Reason::LoopProbe => {
                let source = message.source.ip();
                let token = engine::probe_of(message.packet);
                let own = token
                    .is_some_and(|token| self.forwarder.upstreams().probe_returned(token, source));
                if own {
                    self.shared.self_query(SelfQuery::Returned);
                }
                own
            }
            _ => false,
        }
    }
}

impl Handler for Worker {
    fn begin_batch(&mut self) {
        (self.now, self.began) = (calendar(), monotonic());
        let snapshot = self.reader.snapshot();
        if !Arc::ptr_eq(snapshot, &self.snapshot) {
            self.snapshot = Arc::clone(snapshot);
        }
    }

    fn end_batch(&mut self) {
        let latency = monotonic().saturating_duration_since(self.began);
        self.recorder.batch_took(latency);
    }

    fn prefetch(&mut self, packet: &[u8]) -> bool {
        // The question's name follows the header.
        let question = packet.get(HEADER..).unwrap_or_default();
        let names = self.snapshot.policy().name_index();
        names.prefetch(question, &mut self.prefetch)
    }

    fn fetch(&mut self) {
        let names = self.snapshot.policy().name_index();
        names.fetch(&mut self.prefetch);
    }

    fn handle(
        &mut self,
        message: ClientMessage<'_>,
        out: &mut [u8],
        responder: &dyn Responder,
    ) -> Option<usize> {
        match self.step(message, out) {
            Step::Reply { len, outcome, more } => {
                if !self.is_own(&outcome, message) {
                    let rejected = more.as_ref().and_then(|more| more.rejected.as_deref());
                    let reply = out.get(..len).unwrap_or_default();
                    self.record(outcome, message, reply, rejected);
                }
                self.follow_up(more.as_deref());
                Some(len)
            }
            Step::Drop(outcome, more) => {
                let rejected = more.as_ref().and_then(|more| more.rejected.as_deref());
                self.record(outcome, message, &[], rejected);
                None
            }
            Step::Forward(ask) => match self.admit(&ask, message, out) {
                Err(step) => self.finish(&step, message, out),
                Ok(admitted) => self.wait(*ask, admitted, message, out, responder),
            },
        }
    }

    fn panicked(&mut self, message: ClientMessage<'_>, outcome: Outcome, reply: &[u8]) {
        self.record(outcome, message, reply, None);
    }

    fn observe(&mut self, event: ListenerEvent) {
        match event {
            ListenerEvent::ReplyLost => self.shared.reply_lost(),
            ListenerEvent::Unanswerable => self.shared.unanswerable(),
            ListenerEvent::ConnectionOpened => self.shared.tcp_opened(),
            ListenerEvent::ConnectionClosed => self.shared.tcp_closed(),
            ListenerEvent::ConnectionRefused => self.shared.shed(Shed::Refused),
            ListenerEvent::ConnectionEvicted => self.shared.shed(Shed::Evicted),
            ListenerEvent::AcceptFailed => self.shared.shed(Shed::AcceptFailed),
            ListenerEvent::ConnectionIdle => self.shared.tcp_limited(TcpLimit::Idle),
            ListenerEvent::ConnectionSlow => self.shared.tcp_limited(TcpLimit::Message),
            ListenerEvent::PipelineFull => self.shared.tcp_limited(TcpLimit::Pipeline),
            ListenerEvent::ConnectionUnread => self.shared.tcp_limited(TcpLimit::Unread),
        }
    }
}

/// The current snapshot. Clones share it.
///
/// A worker keeps a [`SnapshotReader`] and reads it once per batch of queries: one atomic load, no
/// lock. A snapshot lives until its last reader drops it. `reload` replaces it.
#[derive(Clone, Debug)]
pub(crate) struct LiveSnapshot(Arc<ArcSwap<Snapshot>>);

impl LiveSnapshot {
    /// Starts with this snapshot.
    #[must_use]
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(Arc::new(ArcSwap::new(snapshot)))
    }

    /// Replaces the snapshot. Batches that begin from now on see the new one.
    pub(crate) fn set(&self, snapshot: Arc<Snapshot>) {
        self.0.store(snapshot);
    }

    /// A reader for one worker.
    #[must_use]
    pub(crate) fn reader(&self) -> SnapshotReader {
        SnapshotReader(Cache::new(Arc::clone(&self.0)))
    }

    /// The current snapshot.
    #[must_use]
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

/// One worker's reader of the current snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotReader(Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>);

impl SnapshotReader {
    /// The current snapshot.
    pub(crate) fn snapshot(&mut self) -> &Arc<Snapshot> {
        self.0.load()
    }
}
