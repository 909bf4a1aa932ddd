//! One connection, from the outside: queries enter a queue, and a separate task connects, writes,
//! reads and ends.
//!
//! The task connects first, so the queries wait in its queue, and the first caller may leave
//! without ending the connection. The task ends when the server closes, when the connection has
//! been idle, and when nobody holds it any longer.

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

/// Timeout of connecting, including TLS.
const CONNECT: Duration = Duration::from_secs(3);
/// The connection was lost while the query was on it.
pub(super) struct ConnectionLost;

/// A connection, established or being established.
pub(super) struct Connection {
    /// Later connections have higher numbers.
    pub(super) number: u64,
    requests: mpsc::Sender<StreamRequest>,
    state: Arc<ConnectionState>,
    waiting: AtomicUsize,
    /// Total number of queries that it was given.
    taken: AtomicUsize,
    /// Intended maximum of this total.
    share: usize,
}

/// The parameters of a connection.
pub(super) struct ConnectionPlan {
    /// Later connections have higher numbers.
    pub(super) number: u64,
    /// Intended maximum of the total number of queries.
    pub(super) share: usize,
    /// The maximum number of in-flight queries.
    pub(super) places: usize,
    /// The descriptor that it uses.
    pub(super) descriptor: Descriptor,
}

/// A pipeline slot. Released when dropped.
pub(super) struct PipelineSlot(Arc<Connection>);

impl Drop for PipelineSlot {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Starts to connect on `runtime`.
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

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// The maximum number of in-flight queries.
    pub(super) fn places(&self) -> usize {
        self.state.places()
    }

    /// Whether it has been given its intended number of queries.
    pub(super) fn is_spent(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.share
    }

    /// The number of queries that wait on it.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes a pipeline slot, if one is free.
    pub(super) fn slot(self: &Arc<Self>) -> Option<PipelineSlot> {
        // The pool's lock is held, so no other thread adds a query in between.
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

    /// The number of queries that the connection has answered.
    pub(super) fn answered(&self) -> usize {
        self.0.state.answered.load(Ordering::Relaxed)
    }

    /// Sends a query. Calls `silent` if `patience` passes without any message on the connection,
    /// unless it was still connecting, and then continues to wait for the reply.
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
            // The queue still contains queries that nobody waits for any longer.
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
    // Set first, so that a caller that finds the queue closed reads it too.
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
