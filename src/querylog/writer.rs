//! A thread of the log: it takes what waits, formats it and writes it in one go.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::{
    metrics::{
        names::{LabelSet, Names},
        shared_counters::Shared,
    },
    telemetry,
};

use super::{
    EVENT_QUEUE, Front, Severity, format,
    output::Output,
    record::{EventRecord, QueryRecord},
    routine,
};

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
pub(crate) enum Signal {
    /// A query to log.
    Query(QueryRecord),
    /// Look at the events.
    Wake,
}

/// What waits beside the queries.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A lifecycle event to log.
    Event(EventRecord),
    /// Tell when everything before is written.
    Flush(SyncSender<()>),
    /// Open the file again.
    Reopen,
}

impl Entry {
    pub(crate) fn event(
        time: SystemTime,
        severity: Severity,
        message: &str,
        fields: &[(&str, Value)],
    ) -> Self {
        let fields = fields
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()));
        Self::Event(EventRecord {
            time,
            severity,
            message: message.to_owned(),
            fields: fields.collect(),
        })
    }
}

/// How a thread writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Text for people, else JSON.
    pub(crate) text: bool,
    /// How many queries can wait.
    pub(crate) queue: usize,
}

/// Where the thread tells how its output does, and what that is called.
struct Telling {
    output: String,
    events: Front,
    /// Whether the last lines could not be written.
    failing: bool,
}

/// The thread's state.
pub(crate) struct Writer {
    output: Output,
    form: Form,
    telling: Option<Telling>,
    names: Arc<Names>,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
    /// The labels used last.
    labels: (u64, Arc<LabelSet>),
}

impl Writer {
    pub(crate) fn new(output: Output, form: Form, names: Arc<Names>, shared: Arc<Shared>) -> Self {
        Self {
            output,
            form,
            telling: None,
            names,
            shared,
            buffer: Vec::with_capacity(BATCH),
            labels: (0, Arc::default()),
        }
    }

    /// Has it tell on standard error when its own output, called so, cannot be written.
    pub(crate) fn telling(self, output: String, events: Front) -> Self {
        let telling = Telling {
            output,
            events,
            failing: false,
        };
        Self {
            telling: Some(telling),
            ..self
        }
    }

    /// Writes until every sender is gone.
    pub(crate) fn run(mut self, queries: &Receiver<Signal>, events: &Receiver<Entry>) {
        // At once, so that a socket on which nobody listens is told of before a line is lost.
        let fault = self.output.connect().err();
        self.tell(fault.as_ref());
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
        for signal in queries.try_iter().take(self.form.queue) {
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
        woken || taken == self.form.queue
    }

    /// Formats the events that wait; returns who wants to know when they are written.
    fn take_events(&mut self, events: &Receiver<Entry>) -> Vec<SyncSender<()>> {
        let mut flushes = Vec::new();
        for entry in events.try_iter().take(EVENT_QUEUE) {
            match entry {
                Entry::Event(record) => {
                    format::event(&mut self.buffer, self.form.text, record);
                }
                Entry::Flush(done) => flushes.push(done),
                Entry::Reopen => self.reopen(),
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
            self.labels = (record.generation, self.names.of(record.generation));
        }
        let sample = match record.sample {
            rate if rate > 1 && routine(&record.outcome) => Some(rate),
            _ => None,
        };
        let form = (self.form.text, sample);
        format::query(&mut self.buffer, form, record, &self.labels.1);
        false
    }

    /// Writes the buffer. What cannot be written is lost, and counted.
    fn write(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let written = self.output.write(&self.buffer);
        if written.lost > 0 {
            self.shared.log_lost(written.lost);
        }
        self.tell(written.fault.as_ref());
        self.buffer.clear();
    }

    /// Begins a file anew; what was taken before is in the old one.
    fn reopen(&mut self) {
        self.write();
        match self.output.reopen() {
            Some(Ok(())) => self.event(Severity::Notice, "the query log was opened again"),
            Some(Err(error)) => {
                let message = format!(
                    "the query log cannot be opened again, the old file is written on: {error}"
                );
                self.event(Severity::Error, &message);
            }
            None => {}
        }
    }

    /// Tells when the output begins to fail, and when it no longer does.
    fn tell(&mut self, fault: Option<&io::Error>) {
        let Some(telling) = &mut self.telling else {
            return; // there is nobody to tell but the counter
        };
        let was_failing = std::mem::replace(&mut telling.failing, fault.is_some());
        match fault {
            Some(error) if !was_failing => {
                let message = format!("queries cannot be logged, lines are lost: {error}");
                self.event(Severity::Error, &message);
            }
            None if was_failing => self.event(Severity::Notice, "queries are logged again"),
            _ => {}
        }
    }

    fn event(&self, severity: Severity, message: &str) {
        let Some(telling) = &self.telling else {
            return;
        };
        let fields = [("output", Value::from(telling.output.clone()))];
        let entry = Entry::event(telemetry::now(), severity, message, &fields);
        if !telling.events.enter(entry) {
            self.shared.log_lost(1);
        }
    }
}
