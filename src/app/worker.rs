//! What each worker does with a packet: the engine decides it, telemetry is told.
//!
//! One instance a worker. It reads the clock once for a batch and once for each query, and loads
//! the snapshot once for a batch, so that each query sees exactly one.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use crate::{
    engine::{self, Client, Context, Outcome, Snapshot, Step},
    reload::Reader,
    server::{Event, Handler, Message},
    telemetry::{self, Recorder, Shared, Shed, Telemetry},
};

/// The handler of one worker.
#[derive(Debug)]
pub(super) struct Worker {
    reader: Reader,
    snapshot: Arc<Snapshot>,
    recorder: Recorder,
    shared: Arc<Shared>,
    /// When the batch was read, by the calendar: for expiry and for the log.
    now: SystemTime,
    /// When the query at hand could begin: the batch was read, or the one before it was done.
    began: Instant,
}

impl Worker {
    pub(super) fn new(mut reader: Reader, telemetry: &Telemetry) -> Self {
        let snapshot = Arc::clone(reader.snapshot());
        let (now, began) = (calendar(), monotonic());
        Self {
            reader,
            snapshot,
            recorder: telemetry.recorder(),
            shared: Arc::clone(telemetry.shared()),
            now,
            began,
        }
    }

    /// Counts and logs one query.
    fn record(&mut self, outcome: Outcome, message: Message<'_>, reply: &[u8]) {
        let ended = monotonic();
        self.recorder.record(&telemetry::Event {
            outcome,
            transport: message.transport,
            source: message.source,
            query: message.packet,
            reply,
            time: self.now,
            latency: ended.saturating_duration_since(self.began),
            generation: self.snapshot.generation(),
        });
        self.began = ended;
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

    fn handle(&mut self, message: Message<'_>, out: &mut [u8]) -> Option<usize> {
        let client = Client {
            source: message.source.ip(),
            transport: message.transport,
        };
        let step = engine::begin(
            message.packet,
            client,
            &Context::new(&self.snapshot, self.now),
            out,
        );
        match step {
            Step::Reply { len, outcome, .. } => {
                self.record(outcome, message, out.get(..len).unwrap_or_default());
                Some(len)
            }
            Step::Drop(outcome) => {
                self.record(outcome, message, &[]);
                None
            }
            Step::Ask(_) => None,
        }
    }

    fn panicked(&mut self, message: Message<'_>, outcome: Outcome, reply: &[u8]) {
        self.record(outcome, message, reply);
    }

    fn observe(&mut self, event: Event) {
        match event {
            Event::ReplyLost => self.shared.reply_lost(),
            Event::Unanswerable => self.shared.unanswerable(),
            Event::ConnectionOpened => self.shared.tcp_opened(),
            Event::ConnectionClosed => self.shared.tcp_closed(),
            Event::ConnectionRefused => self.shared.shed(Shed::Refused),
            Event::ConnectionEvicted => self.shared.shed(Shed::Evicted),
            Event::AcceptFailed => self.shared.shed(Shed::AcceptFailed),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the edge of a batch: the core is given this time"
)]
fn calendar() -> SystemTime {
    SystemTime::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a query took is known only here"
)]
fn monotonic() -> Instant {
    Instant::now()
}
