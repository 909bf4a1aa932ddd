//! One connection, seen from outside: questions go in by a queue, and a task of its own connects,
//! writes, reads and ends.
//!
//! The task begins with connecting, so that the questions which need the connection wait in its
//! queue, and whoever came first may go away without taking it along. It ends when the server
//! closes, when it has been idle, and when nobody holds the connection any longer.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
use std::time::Duration;

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::{self, Instant},
};

use super::{
    Fault, Reply, Tell,
    dial::{Dialer, Line},
    fault::Failed,
    https, stream,
};
use crate::upstream::sockets::Descriptor;

/// How long connecting may take, TLS and all.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection without a question is kept. Most servers wait for longer than this, and
/// so it is we who close (RFC 7766 section 6.2.3).
pub(super) const IDLE: Duration = Duration::from_secs(8);

/// A question in the queue of a connection.
pub(super) struct Order {
    /// The encoded query. On a pipeline, its id is set by the connection.
    pub(super) query: Vec<u8>,
    /// Dropped without a word when the connection is lost.
    pub(super) reply: oneshot::Sender<Result<Reply, Fault>>,
}

/// What the task lets be seen from outside.
pub(super) struct Signs {
    connected: OnceLock<Instant>,
    /// Why it never stood.
    failed: OnceLock<Fault>,
    heard: AtomicU64,
    answered: AtomicUsize,
    /// Questions that may be under way, as configured.
    most: usize,
    /// The same, or fewer where the server wants that.
    places: AtomicUsize,
}

impl Signs {
    /// Of a connection that may have so many questions under way.
    pub(super) fn new(places: usize) -> Self {
        Self {
            connected: OnceLock::new(),
            failed: OnceLock::new(),
            heard: AtomicU64::new(0),
            answered: AtomicUsize::new(0),
            most: places,
            places: AtomicUsize::new(places),
        }
    }

    /// Questions that may be under way.
    pub(super) fn places(&self) -> usize {
        self.places.load(Ordering::Relaxed)
    }

    /// The server takes no more than so many at a time.
    pub(super) fn wants(&self, most: usize) {
        self.places
            .store(most.clamp(1, self.most), Ordering::Relaxed);
    }

    /// A message has come.
    pub(super) fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// A question was answered.
    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// The connection was lost with the question on it.
pub(super) struct Lost;

/// One connection, or the attempt to have one.
pub(super) struct Connection {
    /// Later connections have higher numbers.
    pub(super) number: u64,
    orders: mpsc::Sender<Order>,
    signs: Arc<Signs>,
    waiting: AtomicUsize,
    /// Questions that were put on it, ever.
    taken: AtomicUsize,
    /// The most of them, as far as can be.
    share: usize,
}

/// What a connection is for.
pub(super) struct Plan {
    /// Later connections have higher numbers.
    pub(super) number: u64,
    /// The questions that are put on it, ever, as far as can be.
    pub(super) share: usize,
    /// The questions that may be under way on it.
    pub(super) places: usize,
    /// What it is opened with.
    pub(super) descriptor: Descriptor,
}

/// A place in the pipeline; it is free again when dropped.
pub(super) struct Slot(Arc<Connection>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Begins to connect, on `runtime`.
    pub(super) fn open(plan: Plan, dialer: Arc<Dialer>, tell: Tell, runtime: &Handle) -> Arc<Self> {
        let Plan {
            number,
            share,
            places,
            descriptor,
        } = plan;
        let (orders, queue) = mpsc::channel(places);
        let signs = Arc::new(Signs::new(places));
        let run = run(dialer, queue, Arc::clone(&signs), tell);
        runtime.spawn(async move {
            run.await;
            drop(descriptor);
        });
        Arc::new(Self {
            number,
            orders,
            signs,
            waiting: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            share,
        })
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.orders.is_closed()
    }

    /// Questions that may be under way on it.
    pub(super) fn places(&self) -> usize {
        self.signs.places()
    }

    /// Whether as many questions were put on it as it is for.
    pub(super) fn is_spent(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.share
    }

    /// Questions that wait on it.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place for one more question, if there is one.
    pub(super) fn slot(self: &Arc<Self>) -> Option<Slot> {
        // Taken under the lock of the pool, so nobody else adds in between.
        if self.waiting.load(Ordering::Relaxed) >= self.places() {
            return None;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(Slot(Arc::clone(self)))
    }
}

impl Slot {
    /// The connection's number.
    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    /// How many questions the connection has answered.
    pub(super) fn answered(&self) -> usize {
        self.0.signs.answered.load(Ordering::Relaxed)
    }

    /// Asks. When `patience` has passed without any reply on the connection, and not because it was
    /// still connecting, `silent` is called; the reply is waited for all the same.
    pub(super) async fn ask(
        &self,
        query: Vec<u8>,
        patience: Duration,
        silent: impl FnOnce(),
    ) -> Result<Result<Reply, Fault>, Lost> {
        let Self(connection) = self;
        let heard = connection.signs.heard.load(Ordering::Relaxed);
        let (reply, mut answer) = oneshot::channel();
        match connection.orders.try_send(Order { query, reply }) {
            Ok(()) => {}
            // Questions that nobody waits for any longer are still in the queue.
            Err(mpsc::error::TrySendError::Full(_)) => return Ok(Err(Fault::Busy)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                let failed = connection.signs.failed.get();
                return failed.map(|&fault| Err(fault)).ok_or(Lost);
            }
        }
        if let Ok(answer) = time::timeout(patience, &mut answer).await {
            return answer.map_err(|_| Lost);
        }
        let stands = connection.signs.connected.get();
        if stands.is_some_and(|since| since.elapsed() >= patience / 2)
            && connection.signs.heard.load(Ordering::Relaxed) == heard
        {
            silent();
        }
        answer.await.map_err(|_| Lost)
    }
}

async fn run(
    dialer: Arc<Dialer>,
    mut orders: mpsc::Receiver<Order>,
    signs: Arc<Signs>,
    tell: Tell,
) {
    let fault = match time::timeout(CONNECT, dialer.dial()).await {
        Ok(Ok(line)) => return serve(line, orders, &signs, &tell).await,
        Ok(Err(Failed { fault, detail })) => {
            if let Fault::Server(fault) = fault {
                tell.trouble(fault, &detail);
            }
            fault
        }
        Err(_) => Fault::Silent,
    };
    // First, so that whoever comes too late for the queue learns it, too.
    let _ = signs.failed.set(fault);
    orders.close();
    while let Some(order) = orders.recv().await {
        let _ = order.reply.send(Err(fault));
    }
}

async fn serve(line: Line, orders: mpsc::Receiver<Order>, signs: &Signs, tell: &Tell) {
    let _ = signs.connected.set(Instant::now());
    match line {
        Line::Plain(stream) => stream::serve(stream, orders, signs, tell).await,
        Line::Tls(stream) => stream::serve(*stream, orders, signs, tell).await,
        Line::Http(line) => https::serve(*line, orders, signs).await,
    }
}
