//! A thread that writes a log: it takes the queued lines, formats them and writes them together.
//!
//! A sender never waits. If the queue is full, the sender counts the lost line.

use std::{
    io, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{lifecycle::LifecycleEvent, output::Output, record::LogSeverity};
use crate::{clock::calendar, metrics::shared_counters::SharedCounters};

/// Bytes after which a write starts.
const BATCH: usize = 64 * 1024;

/// How long the thread lets lines accumulate after a write. To wake a thread that sleeps on the
/// queue, a worker needs a system call; this limits them to 200 per second.
const LINGER: Duration = Duration::from_millis(5);

/// A handle to the thread; clones share it. The thread ends when all handles are dropped.
#[derive(Debug)]
pub(crate) struct LogThread<T> {
    queue: SyncSender<Option<T>>,
    orders: Arc<Mutex<Orders>>,
}

/// Actions for the thread after everything queued before is written. A `None` in the queue wakes it
/// for them.
#[derive(Debug, Default)]
struct Orders {
    reopen: bool,
    /// Notified when the flush is done.
    flushed: Vec<SyncSender<()>>,
}

impl<T> Clone for LogThread<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            orders: Arc::clone(&self.orders),
        }
    }
}

impl<T: Send + 'static> LogThread<T> {
    /// Starts the thread. `capacity` is the size of the queue; `format` appends one line.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub(crate) fn start(
        capacity: usize,
        destination: Destination,
        format: impl FnMut(&mut Vec<u8>, T) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, waiting) = sync_channel(capacity);
        let orders = Arc::default();
        let writer = Writer {
            capacity,
            format,
            destination,
            orders: Arc::clone(&orders),
            buffer: Vec::with_capacity(BATCH),
        };
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || writer.run(&waiting))?;
        Ok(Self { queue, orders })
    }

    /// Queues a line; `false` if the queue is full.
    pub(crate) fn push(&self, line: T) -> bool {
        self.queue.try_send(Some(line)).is_ok()
    }

    /// Reopens the file after everything queued so far is written.
    pub(crate) fn reopen(&self) {
        self.order(|orders| orders.reopen = true);
    }

    /// Waits until everything queued so far is written; `false` if `patience` expires first.
    pub(crate) fn flush(&self, patience: Duration) -> bool {
        let (done, flushed) = sync_channel(1);
        self.order(|orders| orders.flushed.push(done));
        flushed.recv_timeout(patience).is_ok()
    }

    fn order(&self, order: impl FnOnce(&mut Orders)) {
        order(&mut locked(&self.orders));
        // If the queue is full, the thread is already awake.
        let _ = self.queue.try_send(None);
    }
}

/// The output of a thread, and where it reports failures.
pub(crate) struct Destination {
    /// Two threads may share standard error.
    pub(crate) output: Arc<Mutex<Output>>,
    /// For a separate output: its name, and the lifecycle log.
    pub(crate) report: Option<(String, LogThread<LifecycleEvent>)>,
    /// Counts the lost lines.
    pub(crate) shared: Arc<SharedCounters>,
    /// Whether the last write failed.
    pub(crate) failing: bool,
}

impl Destination {
    /// Writes complete lines. Lines that cannot be written are lost and counted.
    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let written = locked(&self.output).write(lines);
        if written.lost > 0 {
            self.shared.log_lost(written.lost);
        }
        self.failed(written.fault.as_ref());
    }

    /// Connects at once, so that a socket without a listener is reported before a line is lost.
    fn connect(&mut self) {
        let fault = locked(&self.output).connect().err();
        self.failed(fault.as_ref());
    }

    fn reopen(&self) {
        match locked(&self.output).reopen() {
            Some(Ok(())) => self.report(LogSeverity::Notice, "the query log was opened again"),
            Some(Err(error)) => {
                let message = format!(
                    "the query log cannot be opened again; queries are still logged to the old file: {error}"
                );
                self.report(LogSeverity::Error, &message);
            }
            None => {}
        }
    }

    /// Reports when the output starts to fail and when it works again.
    fn failed(&mut self, fault: Option<&io::Error>) {
        let was_failing = mem::replace(&mut self.failing, fault.is_some());
        match fault {
            Some(error) if !was_failing => {
                let message = format!("queries cannot be logged, lines are lost: {error}");
                self.report(LogSeverity::Error, &message);
            }
            None if was_failing => self.report(LogSeverity::Notice, "queries are logged again"),
            _ => {}
        }
    }

    fn report(&self, severity: LogSeverity, message: &str) {
        let Some((output, lifecycle)) = &self.report else {
            return; // standard error itself fails, and only the counter can say so
        };
        let fields = [("output", Value::from(output.clone()))];
        if !lifecycle.push(LifecycleEvent::new(calendar(), severity, message, &fields)) {
            self.shared.log_lost(1);
        }
    }
}

/// The thread's state.
struct Writer<F> {
    capacity: usize,
    format: F,
    destination: Destination,
    orders: Arc<Mutex<Orders>>,
    buffer: Vec<u8>,
}

impl<F> Writer<F> {
    /// Writes until every sender is dropped.
    fn run<T>(mut self, queue: &Receiver<Option<T>>)
    where
        F: FnMut(&mut Vec<u8>, T),
    {
        self.destination.connect();
        while let Ok(first) = queue.recv() {
            if let Some(line) = first {
                (self.format)(&mut self.buffer, line);
            }
            while self.round(queue) {}
            thread::sleep(LINGER);
        }
    }

    /// Writes the queued lines, at most the queue's capacity, and then executes the orders that
    /// existed at the beginning. A flush is therefore answered after all lines queued before it are
    /// written. Returns whether another round is needed before the thread may sleep on the queue:
    /// there was an order, or a wake-up was received or may have found the queue full.
    fn round<T>(&mut self, queue: &Receiver<Option<T>>) -> bool
    where
        F: FnMut(&mut Vec<u8>, T),
    {
        let Orders { reopen, flushed } = mem::take(&mut *locked(&self.orders));
        let (mut taken, mut again) = (0, reopen || !flushed.is_empty());
        for line in queue.try_iter().take(self.capacity) {
            taken += 1;
            match line {
                Some(line) => (self.format)(&mut self.buffer, line),
                None => again = true,
            }
            if self.buffer.len() >= BATCH {
                self.write();
            }
        }
        self.write();
        if reopen {
            self.destination.reopen();
        }
        for done in flushed {
            let _ = done.try_send(()); // whoever waited may have gone
        }
        again || taken == self.capacity
    }

    fn write(&mut self) {
        self.destination.write(&self.buffer);
        self.buffer.clear();
    }
}

/// A poisoned value is still consistent: orders are given in one step, and an output itself keeps
/// its lines complete.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
