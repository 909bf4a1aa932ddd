//! The state that a connection's task shares with the pool, and the requests that the pool sends
//! it.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::reply::{Reply, TransportFault};

/// How long an idle connection is kept if the server does not say how long it keeps it. Most servers
/// wait longer, so dnsgate is the side that closes (RFC 7766 section 6.2.3).
pub(super) const IDLE: Duration = Duration::from_secs(8);
/// The longest time that an idle connection is kept, whatever the server says: after a minute without
/// a question, a new connection is cheap.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

/// How long to keep an idle connection that its server keeps for `server` (RFC 7828 section 3.2.1): a
/// little less, so that no query meets a connection that the server is closing.
pub(super) fn idle_for(server: Duration) -> Duration {
    (server - server / 8).min(LONGEST_IDLE)
}

/// A query in the queue of a connection.
pub(super) struct StreamRequest {
    /// The encoded query. On a pipeline, the connection sets its ID.
    pub(super) query: Vec<u8>,
    /// Dropped without a value if the connection is lost.
    pub(super) reply: oneshot::Sender<Result<Reply, TransportFault>>,
}

/// The state of a connection, written by its task.
pub(super) struct ConnectionState {
    pub(super) connected: OnceLock<Instant>,
    /// Why connecting failed.
    pub(super) failed: OnceLock<TransportFault>,
    pub(super) heard: AtomicU64,
    pub(super) answered: AtomicUsize,
    /// The configured maximum of in-flight queries.
    most: usize,
    /// The current maximum; lower than configured if the server asks for that.
    places: AtomicUsize,
}

impl ConnectionState {
    /// The state of a connection with this maximum of in-flight queries.
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

    /// The current maximum of in-flight queries.
    pub(super) fn places(&self) -> usize {
        self.places.load(Ordering::Relaxed)
    }

    /// Sets the maximum that the server accepts.
    pub(super) fn wants(&self, most: usize) {
        self.places
            .store(most.clamp(1, self.most), Ordering::Relaxed);
    }

    /// Counts a received message.
    pub(super) fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answered query.
    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }
}
