//! What a connection's task and those who put questions on it share.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::reply::{Reply, TransportFault};

/// How long a connection without a question is kept. Most servers wait for longer than this, and
/// so it is we who close (RFC 7766 section 6.2.3).
pub(super) const IDLE: Duration = Duration::from_secs(8);

/// A question in the queue of a connection.
pub(super) struct StreamRequest {
    /// The encoded query. On a pipeline, its id is set by the connection.
    pub(super) query: Vec<u8>,
    /// Dropped without a word when the connection is lost.
    pub(super) reply: oneshot::Sender<Result<Reply, TransportFault>>,
}

/// What the task lets be seen from outside.
pub(super) struct ConnectionState {
    pub(super) connected: OnceLock<Instant>,
    /// Why it never stood.
    pub(super) failed: OnceLock<TransportFault>,
    pub(super) heard: AtomicU64,
    pub(super) answered: AtomicUsize,
    /// Questions that may be under way, as configured.
    most: usize,
    /// The same, or fewer where the server wants that.
    places: AtomicUsize,
}

impl ConnectionState {
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
