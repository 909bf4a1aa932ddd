//! The log's thread: it takes what waits, formats it and writes it in one go.

use std::{
    io::Write,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::Duration,
};

use crate::telemetry::{labels::Labels, ledger::Ledger, shared::Shared};

use super::{
    EVENT_QUEUE, LogFormat, LogSettings, line, on_stderr,
    record::{EventRecord, QueryRecord},
};

/// Where lines go.
pub(in crate::telemetry) type Sink = Box<dyn Write + Send>;

/// A write is begun once there are so many bytes.
const BATCH: usize = 64 * 1024;

/// How long the thread lets lines gather after it has written some. A thread that sleeps in the
/// queue must be woken by whoever puts a line in, and that is a system call in a worker; this
/// bounds it to 200 a second.
const LINGER: Duration = Duration::from_millis(5);

/// What a worker puts into the queue.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would be an allocation on the way of a query"
)]
pub(super) enum Signal {
    /// A query to log.
    Query(QueryRecord),
    /// Look at the events.
    Wake,
}

/// What waits beside the queries.
#[derive(Debug)]
pub(super) enum Entry {
    /// A lifecycle event to log.
    Event(EventRecord),
    /// Tell when everything before is written.
    Flush(SyncSender<()>),
}

/// The thread's state.
pub(super) struct Writer {
    sink: Sink,
    text: bool,
    /// How many queries can wait.
    queue: usize,
    ledger: Arc<Ledger>,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    /// The lines in the buffer.
    lines: u64,
    /// The labels used last.
    labels: (u64, Arc<Labels>),
}

impl Writer {
    pub(super) fn new(
        sink: Sink,
        settings: &LogSettings,
        ledger: Arc<Ledger>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            sink,
            text: on_stderr(settings.format) == LogFormat::Text,
            queue: settings.queue,
            ledger,
            shared,
            buffer: Vec::with_capacity(BATCH),
            lines: 0,
            labels: (0, Arc::default()),
        }
    }

    /// Writes until every sender is gone.
    pub(super) fn run(mut self, queries: &Receiver<Signal>, events: &Receiver<Entry>) {
        while let Ok(first) = queries.recv() {
            self.take(&first);
            while self.round(queries, events) {}
            std::thread::sleep(LINGER);
        }
        self.take_events(events);
        self.write();
    }

    /// Events first, then no more queries than can have waited by then: so a flood of queries
    /// keeps no event out, and a flush is answered when what was handed over before it is written.
    /// Returns whether there must be another round before the thread may sleep in the queue: when
    /// a wake for an event that came after the events were looked at was among what was taken, or
    /// may have found the queue full.
    fn round(&mut self, queries: &Receiver<Signal>, events: &Receiver<Entry>) -> bool {
        let flushes = self.take_events(events);
        let (mut taken, mut woken) = (0, false);
        for signal in queries.try_iter().take(self.queue) {
            taken += 1;
            woken |= self.take(&signal);
            if self.buffer.len() >= BATCH {
                self.write();
            }
        }
        self.write();
        for done in flushes {
            let _ = done.try_send(()); // who waited may have gone
        }
        woken || taken == self.queue
    }

    /// Formats the events that wait; returns who wants to know when they are written.
    fn take_events(&mut self, events: &Receiver<Entry>) -> Vec<SyncSender<()>> {
        let mut flushes = Vec::new();
        for entry in events.try_iter().take(EVENT_QUEUE) {
            match entry {
                Entry::Event(record) => {
                    line::event(&mut self.buffer, self.text, record);
                    self.lines += 1;
                }
                Entry::Flush(done) => flushes.push(done),
            }
        }
        flushes
    }

    /// Formats a query; returns whether the signal was a wake instead.
    fn take(&mut self, signal: &Signal) -> bool {
        let Signal::Query(record) = signal else {
            return true;
        };
        if self.labels.0 != record.generation {
            self.labels = (record.generation, self.ledger.labels(record.generation));
        }
        line::query(&mut self.buffer, self.text, record, &self.labels.1);
        self.lines += 1;
        false
    }

    /// Writes the buffer. What cannot be written is lost: there is nobody to tell but the counter.
    fn write(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let written = self
            .sink
            .write_all(&self.buffer)
            .and_then(|()| self.sink.flush());
        if written.is_err() {
            self.shared.log_lost(self.lines);
        }
        self.buffer.clear();
        self.lines = 0;
    }
}
