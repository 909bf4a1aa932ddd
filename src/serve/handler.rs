//! The interface between the listeners and the message handler. A panic of the handler ends here.

use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
};

use dnsgate_core::{
    dns::Transport,
    engine::{self, Outcome, Reason},
};

use super::responder::Responder;

/// One message from a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientMessage<'p> {
    /// The message without framing. For a datagram longer than 4096 bytes, only the header, which
    /// is no well-formed query either.
    pub(crate) packet: &'p [u8],
    /// The client's address and port.
    pub(crate) source: SocketAddr,
    /// The transport it arrived on.
    pub(crate) transport: Transport,
}

/// Handles messages. Each worker has its own instance, so it needs no lock.
pub(crate) trait Handler: Send + 'static {
    /// Begins a batch: one message of a stream, or all datagrams received together. Reads the clock
    /// and loads the snapshot.
    fn begin_batch(&mut self);

    /// Notes the memory that this packet needs, so that it can be prefetched for the whole batch.
    /// Called before the first packet is handled, and again for the next packet only after `true`.
    fn prefetch(&mut self, _packet: &[u8]) -> bool {
        false
    }

    /// Prefetches the noted memory. Called only if `prefetch` returned true for every packet of the
    /// batch.
    fn fetch(&mut self) {}

    /// Writes the reply to `message` into `out` and returns its length. The length of `out` is the
    /// maximum for the transport, and `out` still contains an earlier reply. `None` means no reply,
    /// or a reply that `responder` sends later.
    fn handle(
        &mut self,
        message: ClientMessage<'_>,
        out: &mut [u8],
        responder: &dyn Responder,
    ) -> Option<usize>;

    /// Ends a batch: all messages are handled, their replies are not yet sent.
    fn end_batch(&mut self) {}

    /// Reports that [`handle`](Self::handle) panicked on `message`. The query has this outcome, and
    /// the client gets `reply` unless it is empty.
    fn panicked(&mut self, message: ClientMessage<'_>, outcome: Outcome, reply: &[u8]);

    /// Reports an event that is not a query.
    fn observe(&mut self, event: ListenerEvent);
}

/// Listener events other than queries, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ListenerEvent {
    /// The kernel did not take a reply: send buffer full, no route, or a firewall rule.
    ReplyLost,
    /// A datagram from port 0, which cannot be answered. The handler does not see it.
    Unanswerable,
    /// A connection was accepted and admitted.
    ConnectionOpened,
    /// An admitted connection ended, for any reason.
    ConnectionClosed,
    /// A connection was closed at once because its client has reached its limit.
    ConnectionRefused,
    /// The connection that had been idle for longest was closed to admit a new one.
    ConnectionEvicted,
    /// A connection could not be accepted, usually because no file descriptor was left.
    AcceptFailed,
    /// A connection ended because no query arrived in time.
    ConnectionIdle,
    /// A connection ended because a query took too long to arrive or a reply took too long to be
    /// read.
    ConnectionSlow,
    /// A connection is not read until a reply is ready, because it has reached its limit of awaited
    /// replies.
    PipelineFull,
    /// A connection was closed because unread replies on all connections exceeded their limit in
    /// bytes and its client had not read for longest.
    ConnectionUnread,
}

/// The length of the handler's reply in `out`, or of a SERVFAIL if the handler panicked.
///
/// The fuzzers look for panics. If they miss one, its sender loses the answer, but the server
/// continues.
pub(super) fn answer_catching_panics<H: Handler>(
    handler: &mut H,
    message: ClientMessage<'_>,
    out: &mut [u8],
    responder: &dyn Responder,
) -> Option<usize> {
    // AssertUnwindSafe: `out` is overwritten for every reply, and a handler that implements
    // `panicked` stays usable after a panic.
    match catch_unwind(AssertUnwindSafe(|| handler.handle(message, out, responder))) {
        Ok(len) => len.filter(|&len| len <= out.len()),
        Err(_) => {
            // Parsing the packet may have caused the panic and may panic again, and so may
            // `panicked`. A second panic is caught and ends the handling.
            let reply = catch_unwind(AssertUnwindSafe(|| {
                let step = engine::fail(message.packet, message.transport, Reason::Panic, out);
                let len = step.len();
                handler.panicked(message, *step.outcome(), out.get(..len).unwrap_or_default());
                (len > 0).then_some(len)
            }));
            reply.ok().flatten()
        }
    }
}
