//! What the listeners and the handler of their messages know of each other.

use std::{net::SocketAddr, time::Duration};

use tokio::sync::watch;

use super::responder::Responder;
use dnsgate_core::{dns::Transport, engine::Outcome};

/// One message from a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientMessage<'p> {
    /// The bytes of the message, without any framing. Of a datagram that is longer than any query
    /// can sensibly be (4096 bytes), the header only: that is no well-formed query either.
    pub packet: &'p [u8],
    /// Where it came from.
    pub source: SocketAddr,
    /// How it came.
    pub transport: Transport,
}

/// What is done with messages. One instance per worker, never shared: it needs no lock.
pub trait Handler: Send + 'static {
    /// Messages have come: one of a stream, or as many datagrams as were there. Called before the
    /// first of them; the place to read the clock and to load the snapshot.
    fn begin_batch(&mut self);

    /// This packet will be handled in this batch, as will others: what it will need can be noted, to
    /// be fetched for all at once. Called before the first is handled, and for the next packet only
    /// where this tells that it is of use.
    fn prefetch(&mut self, _packet: &[u8]) -> bool {
        false
    }

    /// All packets of the batch have been foreseen, and each was of use.
    fn fetch(&mut self) {}

    /// Writes the reply to `message` into `out`, whose length is the most that the transport can
    /// carry, and returns the reply's length; `None` is no reply, or one that will go the way that
    /// `later` gives. The bytes in `out` are those of an earlier reply.
    fn handle(
        &mut self,
        message: ClientMessage<'_>,
        out: &mut [u8],
        responder: &dyn Responder,
    ) -> Option<usize>;

    /// All messages of the batch have been handled; their replies have not been sent.
    fn end_batch(&mut self) {}

    /// [`handle`](Self::handle) panicked over `message`: that is its outcome, and the client gets
    /// `reply`, if that is not empty.
    fn panicked(&mut self, message: ClientMessage<'_>, outcome: Outcome, reply: &[u8]);

    /// Something happened that is no query.
    fn observe(&mut self, event: ListenerEvent);
}

/// What happens at the listeners apart from queries: a closed set, to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListenerEvent {
    /// The kernel did not take a reply: no room in the send buffer, no route, a firewall's rule.
    ReplyLost,
    /// A datagram that cannot be answered, from port 0. The handler does not see it.
    Unanswerable,
    /// A connection was accepted and may stay.
    ConnectionOpened,
    /// A connection that had been opened ended, for whatever reason.
    ConnectionClosed,
    /// A connection was closed at once: its client has as many as a client may have.
    ConnectionRefused,
    /// The connection that had waited longest was closed, so that a new one could be opened.
    ConnectionEvicted,
    /// A connection could not be accepted, most often for want of file descriptors.
    AcceptFailed,
    /// A connection ends because no query came on it for too long.
    ConnectionIdle,
    /// A connection ends because a query took too long to come, or a reply to be read.
    ConnectionSlow,
    /// A connection is not read from until a reply is there: as many are awaited as may be.
    PipelineFull,
    /// A connection whose client does not read was closed: replies that are not read took as many
    /// bytes as they may, over all connections, and it was stuck for longest.
    ConnectionUnread,
}

impl ListenerEvent {
    /// Every event, in the order of their positions (`as usize`).
    pub const ALL: [Self; 11] = [
        Self::ReplyLost,
        Self::Unanswerable,
        Self::ConnectionOpened,
        Self::ConnectionClosed,
        Self::ConnectionRefused,
        Self::ConnectionEvicted,
        Self::AcceptFailed,
        Self::ConnectionIdle,
        Self::ConnectionSlow,
        Self::PipelineFull,
        Self::ConnectionUnread,
    ];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReplyLost => "reply_lost",
            Self::Unanswerable => "unanswerable",
            Self::ConnectionOpened => "connection_opened",
            Self::ConnectionClosed => "connection_closed",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionEvicted => "connection_evicted",
            Self::AcceptFailed => "accept_failed",
            Self::ConnectionIdle => "connection_idle",
            Self::ConnectionSlow => "connection_slow",
            Self::PipelineFull => "pipeline_full",
            Self::ConnectionUnread => "connection_unread",
        }
    }
}

/// `None` while the listeners run; then how long messages in progress may still take. A sender
/// that is gone is an order to stop, too.
pub(super) type StopSignal = watch::Receiver<Option<Duration>>;
