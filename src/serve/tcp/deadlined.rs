//! A stream with three deadlines around the framing's reads and writes.
//!
//! ```text
//!          first byte                last byte            reply written
//!  ─ idle ─────▶│◀──── message ────────▶│◀───── write ──────▶│◀─ idle ─
//! ```
//!
//! A byte does not restart a deadline: a client that sends or reads one byte per second gets no
//! more time than a client that does nothing. The framing never reads past the end of a message.
//! Its user therefore knows where a message ends and reports it in [`MessageProgress`]; the stream
//! itself detects where the next one begins.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::{super::handler::ListenerEvent, unread::Unread};

/// State that the stream and its reader share. (Atomic because the framing requires a stream that
/// is `Sync`; there is only one thread.)
#[derive(Default)]
pub(super) struct MessageProgress {
    /// A message has been read in part.
    inside: AtomicBool,
    /// Read no new message, only the rest of the one that has begun.
    closing: AtomicBool,
    /// A deadline expired before a query began.
    idle: AtomicBool,
    /// A deadline expired within a query or a reply.
    slow: AtomicBool,
}

impl MessageProgress {
    /// Records that the current message has been read.
    pub(super) fn message_read(&self) {
        self.inside.store(false, Ordering::Relaxed);
    }

    /// From now on the stream ends if the client has not begun another message.
    pub(super) fn close_between_messages(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// The deadline that ended the stream, if any.
    pub(super) fn missed(&self) -> Option<ListenerEvent> {
        if self.idle.load(Ordering::Relaxed) {
            return Some(ListenerEvent::ConnectionIdle);
        }
        let slow = self.slow.load(Ordering::Relaxed);
        slow.then_some(ListenerEvent::ConnectionSlow)
    }
}

/// How long each phase may take.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) idle: Duration,
    pub(super) message: Duration,
    pub(super) write: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadPhase {
    Idle,
    ClientMessage,
    Write,
}

/// A stream with deadlines.
pub(super) struct Deadlined<S> {
    io: S,
    progress: Arc<MessageProgress>,
    deadlines: Deadlines,
    timer: Pin<Box<Sleep>>,
    /// The phase that the timer runs for. The timer is set when the phase first has to wait; a
    /// phase that never waits needs none.
    timed: Option<ReadPhase>,
    /// Counts the bytes of replies until they are written.
    unread: Option<Arc<Unread>>,
    /// Bytes of the current reply that have been written.
    written: usize,
}

/// Bytes of the length prefix of a message.
const LENGTH: usize = 2;

impl<S> Deadlined<S> {
    pub(super) fn new(io: S, deadlines: Deadlines) -> (Self, Arc<MessageProgress>) {
        let progress = Arc::new(MessageProgress::default());
        let stream = Self {
            io,
            progress: Arc::clone(&progress),
            deadlines,
            timer: Box::pin(sleep(deadlines.idle)),
            timed: None,
            unread: None,
            written: 0,
        };
        (stream, progress)
    }

    /// Subtracts the bytes of replies from this counter when they have been written.
    pub(super) fn counting(mut self, unread: &Arc<Unread>) -> Self {
        self.unread = Some(Arc::clone(unread));
        self
    }

    /// Waits for the deadline of a phase, counted from the phase's first wait.
    fn poll_late(&mut self, phase: ReadPhase, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.timed != Some(phase) {
            let allowed = match phase {
                ReadPhase::Idle => self.deadlines.idle,
                ReadPhase::ClientMessage => self.deadlines.message,
                ReadPhase::Write => self.deadlines.write,
            };
            self.timer.as_mut().reset(Instant::now() + allowed);
            self.timed = Some(phase);
        }
        ready!(self.timer.as_mut().poll(cx));
        let missed = match phase {
            ReadPhase::Idle => &self.progress.idle,
            ReadPhase::ClientMessage | ReadPhase::Write => &self.progress.slow,
        };
        missed.store(true, Ordering::Relaxed);
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// The result of a write, or a timeout.
    fn or_late(
        &mut self,
        polled: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(result) => {
                self.written += result.as_ref().map_or(0, |&len| len);
                Poll::Ready(result)
            }
            Poll::Pending => {
                if self.timed != Some(ReadPhase::Write)
                    && let Some(unread) = &self.unread
                {
                    unread.stuck();
                }
                self.poll_late(ReadPhase::Write, cx).map(Err)
            }
        }
    }

    /// Records that the kernel has taken the whole reply.
    fn reply_written(&mut self) {
        let len = std::mem::take(&mut self.written).saturating_sub(LENGTH);
        if let Some(unread) = &self.unread {
            unread.give_back(len);
            if self.timed == Some(ReadPhase::Write) {
                unread.moves();
            }
        }
        if self.timed == Some(ReadPhase::Write) {
            self.timed = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadlined<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            // The message has length zero, so there is nothing to wait for. The framing treats this
            // as the end of the stream, which is right for such a message.
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let inside = this.progress.inside.load(Ordering::Relaxed);
        match Pin::new(&mut this.io).poll_read(cx, buf) {
            Poll::Ready(result) => {
                if buf.filled().len() > before && !inside {
                    this.progress.inside.store(true, Ordering::Relaxed);
                    this.timed = None;
                }
                Poll::Ready(result)
            }
            Poll::Pending if inside => this.poll_late(ReadPhase::ClientMessage, cx).map(Err),
            Poll::Pending if this.progress.closing.load(Ordering::Relaxed) => Poll::Ready(Ok(())),
            Poll::Pending => this.poll_late(ReadPhase::Idle, cx).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadlined<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, buf);
        this.or_late(polled, cx)
    }

    // The framing passes length and message together, so they leave in one segment (RFC 7766
    // section 8).
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.or_late(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// The framing flushes after each message, so the reply has been written by then.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.io).poll_flush(cx) {
            Poll::Ready(result) => {
                this.reply_written();
                Poll::Ready(result)
            }
            Poll::Pending => this.poll_late(ReadPhase::Write, cx).map(Err),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
