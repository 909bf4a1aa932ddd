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

/// How long an idle connection is kept. Most servers wait longer, so dnsgate is the side that
/// closes (RFC 7766 section 6.2.3).
pub(super) const IDLE: Duration = Duration::from_secs(8);

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
