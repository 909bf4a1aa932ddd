//! One connection: its messages, one after the other, until it ends.
//!
//! Replies that are available at once leave in the order of the queries; later ones leave when they
//! arrive (RFC 7766 section 6.2.1.1). When the limit of awaited replies is reached, the connection
//! is not read until one arrives.
//!
//! A connection ends when the client closes it, misses a deadline or sends an empty message, when
//! it is evicted, and between messages when the server stops. None of these is logged.

use std::{
    cell::{Cell, OnceCell},
    future::pending,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
};

use futures_util::StreamExt;
use hickory_server::net::{
    DnsStreamHandle, runtime::iocompat::AsyncIoTokioAsStd, tcp::TcpStream as Framed,
};
use hickory_server::proto::op::SerialMessage;
use tokio::{
    io::{AsyncRead, AsyncWrite, BufReader},
    sync::mpsc,
    task,
};

use super::{
    super::{
        handler::{ClientMessage, Handler, ListenerEvent},
        responder::{DetachedResponder, Responder},
        stop_signal::StopSignal,
    },
    connections::ConnectionSlot,
    deadlined::{Deadlined, Deadlines, MessageProgress},
    stream_limits::StreamLimits,
    tcp_worker::{HandlerState, TcpWorker},
    unread::Unread,
};
use crate::serve::handler;
use dnsgate_core::dns::Transport;

/// Read-ahead in bytes: enough to read a query and its length, and most pipelines, in one system
/// call.
const READ_AHEAD: usize = 1024;
/// Immediate replies that the framing has yet to write. There is at most one, because the framing
/// writes before it reads.
const REPLIES: usize = 1;

/// Delivers later replies to the connection.
struct TcpResponder {
    /// The maximum number of awaited replies.
    room: usize,
    /// Created with the first query that waits; most connections have none.
    replies: OnceCell<mpsc::Sender<Vec<u8>>>,
    /// The receiver of the channel, until the connection takes it.
    arriving: Cell<Option<mpsc::Receiver<Vec<u8>>>>,
    unread: Arc<Unread>,
    /// Whether the channel was full at the last check.
    was_full: Cell<bool>,
}

impl Responder for TcpResponder {
    fn detach(&self) -> Option<DetachedResponder> {
        let replies = self.replies.get_or_init(|| {
            let (replies, arriving) = mpsc::channel(self.room);
            self.arriving.set(Some(arriving));
            replies
        });
        let slot = replies.clone().try_reserve_owned();
        let way = |slot| DetachedResponder::stream(slot, Arc::clone(&self.unread));
        slot.ok().map(way)
    }
}

impl TcpResponder {
    /// A responder with `room` for that many replies.
    const fn new(room: usize, unread: Arc<Unread>) -> Self {
        Self {
            room,
            replies: OnceCell::new(),
            arriving: Cell::new(None),
            unread,
            was_full: Cell::new(false),
        }
    }

    fn is_full(&self) -> bool {
        self.replies
            .get()
            .is_some_and(|replies| replies.capacity() == 0)
    }

    /// Whether the channel has become full since the last call.
    fn has_filled(&self) -> bool {
        let full = self.is_full();
        !self.was_full.replace(full) && full
    }

    fn is_empty(&self) -> bool {
        self.replies
            .get()
            .is_none_or(|replies| replies.capacity() == replies.max_capacity())
    }
}

/// Counts the end of a connection and the limit that ended it.
struct CountedConnection<'w, H: Handler>(&'w TcpWorker<H>, &'w MessageProgress, &'w Unread);

impl<H: Handler> Drop for CountedConnection<'_, H> {
    fn drop(&mut self) {
        let Self(worker, progress, unread) = self;
        if let Some(missed) = progress.missed() {
            worker.observe(missed);
        }
        if unread.made_room() {
            worker.observe(ListenerEvent::ConnectionUnread);
        }
        worker.observe(ListenerEvent::ConnectionClosed);
    }
}

const fn deadlines(limits: &StreamLimits) -> Deadlines {
    Deadlines {
        idle: limits.idle,
        message: limits.message,
        write: limits.write,
    }
}

/// Serves one connection.
pub(super) async fn serve<H: Handler, S>(
    stream: S,
    source: SocketAddr,
    slot: ConnectionSlot,
    worker: Rc<TcpWorker<H>>,
    mut stop: StopSignal,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let limits = &worker.limits;
    let (stream, progress) = Deadlined::new(
        BufReader::with_capacity(READ_AHEAD, stream),
        deadlines(limits),
    );
    let unread = Unread::of(&slot);
    let stream = stream.counting(&unread);
    worker.observe(ListenerEvent::ConnectionOpened);
    let _counted = CountedConnection(&worker, &progress, &unread);
    let responder = TcpResponder::new(limits.pipeline, Arc::clone(&unread));
    let mut arriving: Option<mpsc::Receiver<Vec<u8>>> = None;
    let (mut messages, mut replies) = Framed::from_stream_with_buffer_size(
        AsyncIoTokioAsStd(stream),
        source,
        REPLIES + limits.pipeline,
    );
    let mut closing = false;
    let mut turn = 0;
    loop {
        if responder.has_filled() {
            worker.observe(ListenerEvent::PipelineFull);
        }
        if closing && responder.is_empty() {
            progress.close_between_messages();
        }
        arriving = responder.arriving.take().or(arriving);
        // Cancelling this read loses no data: the framing keeps the bytes that it has read.
        let message = tokio::select! {
            biased;
            () = slot.evicted() => return,
            Some(reply) = later(&mut arriving) => {
                if replies.send(SerialMessage::new(reply, source)).is_err() {
                    return;
                }
                // A reply that its client does not read does not count as use of the connection.
                if !unread.is_stuck() {
                    slot.used();
                }
                continue;
            }
            message = messages.next(), if !responder.is_full() => message,
            _ = stop.changed(), if !closing => {
                closing = true;
                continue;
            }
        };
        let message = match message {
            Some(Ok(message)) => message,
            // The client has closed its sending side but may still read replies.
            None if !responder.is_empty() => {
                let reply = later(&mut arriving).await.unwrap_or_default();
                if replies.send(SerialMessage::new(reply, source)).is_err() {
                    return;
                }
                continue;
            }
            _ => return,
        };
        progress.message_read();
        slot.used();
        if let Some(reply) = answer(&worker, &message.into_parts().0, source, &responder)
            && replies.send(SerialMessage::new(reply, source)).is_err()
        {
            return;
        }
        turn += 1;
        if turn >= limits.pipeline {
            turn = 0;
            task::yield_now().await;
        }
    }
}

/// The next reply to a query that waited; never ready if no query did.
async fn later(arriving: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match arriving {
        Some(arriving) => arriving.recv().await,
        None => pending().await,
    }
}

/// The reply to one message.
fn answer<H: Handler>(
    worker: &TcpWorker<H>,
    packet: &[u8],
    source: SocketAddr,
    responder: &TcpResponder,
) -> Option<Vec<u8>> {
    let mut state = worker.state.borrow_mut();
    let HandlerState { handler, out } = &mut *state;
    handler.begin_batch();
    let message = ClientMessage {
        packet,
        source,
        transport: Transport::Tcp,
    };
    let len = handler::answer_catching_panics(handler, message, out, responder);
    handler.end_batch();
    let reply = out.get(..len?)?;
    // There is at most one such reply: it is written or stuck before the next query is read.
    responder.unread.take_anyway(reply.len());
    Some(reply.to_vec())
}
