//! One connection: its messages, one after the other, until it ends.
//!
//! Replies that are there at once go back in the order of the queries; those that come later, when
//! they come (RFC 7766 section 6.2.1.1). As many of these are awaited as may be, and then no more is
//! read.
//!
//! It ends when the client closes it, misses a deadline or sends a message without bytes, when it
//! has to make room for another, and between messages when the server is to stop. None of these is
//! worth a word in a log.

use std::{cell::Cell, net::SocketAddr, rc::Rc, sync::Arc};

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
    super::{Event, Handler, Later, Message, ReplyTo, Stop, catch_panic},
    State, Unread, Worker,
    connections::Permit,
    deadlined::{Deadlined, Deadlines, Progress},
};
use crate::serve::StreamLimits;
use dnsgate_core::dns::Transport;

/// Bytes read ahead: a query with its length in one system call, and most pipelines.
const READ_AHEAD: usize = 1024;
/// Replies that the framing has yet to write, beside those that come later. There is never more than
/// one, as it writes before it reads.
const REPLIES: usize = 1;

/// Replies that come later, on their way to the connection.
struct OnTheWay {
    replies: mpsc::Sender<Vec<u8>>,
    unread: Arc<Unread>,
    /// Whether it was full when last looked at.
    was_full: Cell<bool>,
}

impl Later for OnTheWay {
    fn reply_to(&self) -> Option<ReplyTo> {
        let permit = self.replies.clone().try_reserve_owned();
        let way = |permit| ReplyTo::stream(permit, Arc::clone(&self.unread));
        permit.ok().map(way)
    }
}

impl OnTheWay {
    /// Room for so many, and where they arrive.
    fn new(room: usize, unread: Arc<Unread>) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (replies, arriving) = mpsc::channel(room);
        let later = Self {
            replies,
            unread,
            was_full: Cell::new(false),
        };
        (later, arriving)
    }

    fn is_full(&self) -> bool {
        self.replies.capacity() == 0
    }

    /// Whether it has become full since this was last asked.
    fn has_filled(&self) -> bool {
        let full = self.is_full();
        !self.was_full.replace(full) && full
    }

    fn is_empty(&self) -> bool {
        self.replies.capacity() == self.replies.max_capacity()
    }
}

/// Counts the end of a connection, however it ends, and the limit that ended it.
struct Counted<'w, H: Handler>(&'w Worker<H>, &'w Progress, &'w Unread);

impl<H: Handler> Drop for Counted<'_, H> {
    fn drop(&mut self) {
        let Self(worker, progress, unread) = self;
        if let Some(missed) = progress.missed() {
            worker.observe(missed);
        }
        if unread.made_room() {
            worker.observe(Event::ConnectionUnread);
        }
        worker.observe(Event::ConnectionClosed);
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
    permit: Permit,
    worker: Rc<Worker<H>>,
    mut stop: Stop,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let limits = &worker.limits;
    let (stream, progress) = Deadlined::new(
        BufReader::with_capacity(READ_AHEAD, stream),
        deadlines(limits),
    );
    let unread = permit.unread();
    let stream = stream.counting(&unread);
    worker.observe(Event::ConnectionOpened);
    let _counted = Counted(&worker, &progress, &unread);
    let (later, mut arriving) = OnTheWay::new(limits.pipeline, Arc::clone(&unread));
    let (mut messages, mut replies) = Framed::from_stream_with_buffer_size(
        AsyncIoTokioAsStd(stream),
        source,
        REPLIES + limits.pipeline,
    );
    let mut closing = false;
    let mut turn = 0;
    loop {
        if later.has_filled() {
            worker.observe(Event::PipelineFull);
        }
        if closing && later.is_empty() {
            progress.close_between_messages();
        }
        // Dropping the wait for a message loses nothing of it: the framing keeps what it has read.
        let message = tokio::select! {
            biased;
            () = permit.evicted() => return,
            Some(reply) = arriving.recv() => {
                if replies.send(SerialMessage::new(reply, source)).is_err() {
                    return;
                }
                // What its client does not read is no use that is made of it.
                if !unread.is_stuck() {
                    permit.used();
                }
                continue;
            }
            message = messages.next(), if !later.is_full() => message,
            _ = stop.changed(), if !closing => {
                closing = true;
                continue;
            }
        };
        let message = match message {
            Some(Ok(message)) => message,
            // A client that has asked all that it wants may still be reading.
            None if !later.is_empty() => {
                let reply = arriving.recv().await.unwrap_or_default();
                if replies.send(SerialMessage::new(reply, source)).is_err() {
                    return;
                }
                continue;
            }
            _ => return,
        };
        progress.message_read();
        permit.used();
        if let Some(reply) = answer(&worker, &message.into_parts().0, source, &later)
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

/// The reply to one message.
fn answer<H: Handler>(
    worker: &Worker<H>,
    packet: &[u8],
    source: SocketAddr,
    later: &OnTheWay,
) -> Option<Vec<u8>> {
    let mut state = worker.state.borrow_mut();
    let State { handler, out } = &mut *state;
    handler.begin_batch();
    let message = Message {
        packet,
        source,
        transport: Transport::Tcp,
    };
    let len = catch_panic::answer(handler, message, out, later);
    handler.end_batch();
    let reply = out.get(..len?)?;
    // There is one at a time, which is written or stuck before the next query is read.
    later.unread.take_anyway(reply.len());
    Some(reply.to_vec())
}
