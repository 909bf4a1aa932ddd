//! One connection, seen from outside: questions go in by a queue, and a task of its own connects,
//! writes, reads and ends.
//!
//! The task begins with connecting, so that the questions which need the connection wait in its
//! queue, and whoever came first may go away without taking it along. It ends when the server
//! closes, when it has been idle, and when nobody holds the connection any longer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::{self, Instant},
};

use super::{
    connection_state::{ConnectionState, StreamRequest},
    dial::{Dialer, Established},
    fault::ConnectError,
    https,
    reply::{Reply, TransportFault},
    reporter::ServerReporter,
    stream,
};
use crate::upstream::sockets::Descriptor;

/// How long connecting may take, TLS and all.
const CONNECT: Duration = Duration::from_secs(3);
/// The connection was lost with the question on it.
pub(super) struct ConnectionLost;

/// One connection, or the attempt to have one.
pub(super) struct Connection {
    /// Later connections have higher numbers.
    pub(super) number: u64,
    requests: mpsc::Sender<StreamRequest>,
    state: Arc<ConnectionState>,
    waiting: AtomicUsize,
    /// Questions that were put on it, ever.
    taken: AtomicUsize,
    /// The most of them, as far as can be.
    share: usize,
}

/// What a connection is for.
pub(super) struct ConnectionPlan {
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
pub(super) struct PipelineSlot(Arc<Connection>);

impl Drop for PipelineSlot {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Begins to connect, on `runtime`.
    pub(super) fn open(
        plan: ConnectionPlan,
        dialer: Arc<Dialer>,
        reporter: ServerReporter,
        runtime: &Handle,
    ) -> Arc<Self> {
        let ConnectionPlan {
            number,
            share,
            places,
            descriptor,
        } = plan;
        let (requests, queue) = mpsc::channel(places);
        let state = Arc::new(ConnectionState::new(places));
        let run = run(dialer, queue, Arc::clone(&state), reporter);
        runtime.spawn(async move {
            run.await;
            drop(descriptor);
        });
        Arc::new(Self {
            number,
            requests,
            state,
            waiting: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            share,
        })
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Questions that may be under way on it.
    pub(super) fn places(&self) -> usize {
        self.state.places()
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
    pub(super) fn slot(self: &Arc<Self>) -> Option<PipelineSlot> {
        // Taken under the lock of the pool, so nobody else adds in between.
        if self.waiting.load(Ordering::Relaxed) >= self.places() {
            return None;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(PipelineSlot(Arc::clone(self)))
    }
}

impl PipelineSlot {
    /// The connection's number.
    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    /// How many questions the connection has answered.
    pub(super) fn answered(&self) -> usize {
        self.0.state.answered.load(Ordering::Relaxed)
    }

    /// Asks. When `patience` has passed without any reply on the connection, and not because it was
    /// still connecting, `silent` is called; the reply is waited for all the same.
    pub(super) async fn ask(
        &self,
        query: Vec<u8>,
        patience: Duration,
        silent: impl FnOnce(),
    ) -> Result<Result<Reply, TransportFault>, ConnectionLost> {
        let Self(connection) = self;
        let heard = connection.state.heard.load(Ordering::Relaxed);
        let (reply, mut answer) = oneshot::channel();
        match connection.requests.try_send(StreamRequest { query, reply }) {
            Ok(()) => {}
            // Questions that nobody waits for any longer are still in the queue.
            Err(mpsc::error::TrySendError::Full(_)) => return Ok(Err(TransportFault::Busy)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                let failed = connection.state.failed.get();
                return failed.map(|&fault| Err(fault)).ok_or(ConnectionLost);
            }
        }
        if let Ok(answer) = time::timeout(patience, &mut answer).await {
            return answer.map_err(|_| ConnectionLost);
        }
        let stands = connection.state.connected.get();
        if stands.is_some_and(|since| since.elapsed() >= patience / 2)
            && connection.state.heard.load(Ordering::Relaxed) == heard
        {
            silent();
        }
        answer.await.map_err(|_| ConnectionLost)
    }
}

async fn run(
    dialer: Arc<Dialer>,
    mut requests: mpsc::Receiver<StreamRequest>,
    state: Arc<ConnectionState>,
    reporter: ServerReporter,
) {
    let fault = match time::timeout(CONNECT, dialer.dial()).await {
        Ok(Ok(established)) => return serve(established, requests, &state, &reporter).await,
        Ok(Err(ConnectError { fault, detail })) => {
            if let TransportFault::Server(fault) = fault {
                reporter.trouble(fault, &detail);
            }
            fault
        }
        Err(_) => TransportFault::Silent,
    };
    // First, so that whoever comes too late for the queue learns it, too.
    let _ = state.failed.set(fault);
    requests.close();
    while let Some(request) = requests.recv().await {
        let _ = request.reply.send(Err(fault));
    }
}

async fn serve(
    established: Established,
    requests: mpsc::Receiver<StreamRequest>,
    state: &ConnectionState,
    reporter: &ServerReporter,
) {
    let _ = state.connected.set(Instant::now());
    match established {
        Established::Plain(stream) => stream::serve(stream, requests, state, reporter).await,
        Established::Tls(stream) => stream::serve(*stream, requests, state, reporter).await,
        Established::Http(established) => https::serve(*established, requests, state).await,
    }
}
