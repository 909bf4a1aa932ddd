//! What the listeners and the handler of their messages know of each other.

use std::net::SocketAddr;

use super::responder::Responder;
use dnsgate_core::{dns::Transport, engine::Outcome};

/// One message from a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientMessage<'p> {
    /// The bytes of the message, without any framing. Of a datagram that is longer than any query
    /// can sensibly be (4096 bytes), the header only: that is no well-formed query either.
    pub(crate) packet: &'p [u8],
    /// Where it came from.
    pub(crate) source: SocketAddr,
    /// How it came.
    pub(crate) transport: Transport,
}

/// Handles messages. One instance per worker, never shared: it needs no lock.
pub(crate) trait Handler: Send + 'static {
    /// Messages have come: one of a stream, or as many datagrams as were there. Called before the
    /// first of them; the place to read the clock and to load the snapshot.
    fn begin_batch(&mut self);

    /// Notes the memory that this packet of the batch will need, to be fetched for all at once. Called before the
    /// first packet is handled, and for the next one only where this returns true.
    fn prefetch(&mut self, _packet: &[u8]) -> bool {
        false
    }

    /// Fetches the noted memory: `prefetch` returned true for every packet of the batch.
    fn fetch(&mut self) {}

    /// Writes the reply to `message` into `out`, whose length is the most that the transport can
    /// carry, and returns the reply's length; `None` is no reply, or one that `responder` sends later. The bytes in `out` are those of an earlier reply.
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

/// The events of the listeners apart from queries, to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ListenerEvent {
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
