//! One UDP socket toward a server, and the questions that are in flight on it.
//!
//! ```text
//!  question ─▶ an ID that this socket never used ─▶ send
//!  datagram ─▶ its ID ─┬─ of a question in flight, and its question ─▶ the reply
//!                      ├─ of an earlier question: late or a copy, ignored
//!                      └─ anything else: a guess; after a few the socket is closed, and its
//!                         questions go to TCP
//! ```
//!
//! The socket is connected, so the kernel accepts datagrams only from the server's address and port.
//! One of the questions that wait reads for all of them, in the runtime that polls it; when it ends,
//! the next one takes over. A socket without questions is not read.

use std::{
    future::poll_fn,
    io::{self, Read as _},
    mem,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{io::Interest, net::UdpSocket, task, time::Instant};

use super::{
    datagram::DatagramReply,
    fault::of_io,
    reply::{Reply, TransportFault},
    reporter::ServerReporter,
};
use crate::upstream::{sockets::Descriptor, upstream_limits::SocketLimits};
use dnsgate_core::dns::upstream_query::{self, letter_case};

/// Buffer for one reply. dnsgate announces 1232 bytes, but some servers send more.
const LARGEST_REPLY: usize = 4096;

/// Datagrams that are read before other tasks run, so that a flood of late copies does not hold up the
/// thread: as many as a worker reads from its clients.
const READS: usize = 32;

/// The events to wait for: a datagram, or an error such as an ICMP message about a closed port.
const ARRIVAL: Interest = Interest::READABLE.add(Interest::ERROR);

/// A socket toward one server.
pub(super) struct SharedSocket {
    socket: UdpSocket,
    opened: Instant,
    limits: SocketLimits,
    reporter: ServerReporter,
    traffic: Mutex<SocketTraffic>,
    _descriptor: Descriptor,
}

/// The IDs and the questions of a socket.
#[derive(Default)]
struct SocketTraffic {
    /// Every ID that the socket has used.
    used: Vec<u16>,
    pending: Vec<PendingQuestion>,
    /// The ID of the question that reads for all.
    reader: Option<u16>,
    /// Datagrams that matched no question.
    misses: usize,
    /// Whether it takes no more questions, because of forgeries or an error.
    closed: bool,
}

/// A question in flight.
struct PendingQuestion {
    id: u16,
    query: Vec<u8>,
    since: Instant,
    waker: Option<Waker>,
    end: Option<QuestionEnd>,
}

type QuestionEnd = Result<DatagramReply, TransportFault>;

/// A question that was sent. Its place on the socket is given up when this is dropped.
pub(super) struct SentQuestion {
    socket: Arc<SharedSocket>,
    id: u16,
}

impl SharedSocket {
    /// Opens a socket. Connecting also binds it, so the kernel picks a random port without a separate
    /// system call.
    pub(super) fn open(
        address: SocketAddr,
        limits: SocketLimits,
        reporter: ServerReporter,
        descriptor: Descriptor,
    ) -> Result<Arc<Self>, TransportFault> {
        // An error here is a lack of sockets, not the server's fault.
        let busy = |_: io::Error| TransportFault::Busy;
        let domain = Domain::for_address(address);
        let kind = Type::DGRAM.nonblocking();
        let socket = Socket::new(domain, kind, Some(Protocol::UDP)).map_err(busy)?;
        let connected = socket.connect(&address.into());
        connected.map_err(|error| of_io(&error))?;
        Ok(Arc::new(Self {
            socket: UdpSocket::from_std(socket.into()).map_err(busy)?,
            opened: Instant::now(),
            limits,
            reporter,
            traffic: Mutex::default(),
            _descriptor: descriptor,
        }))
    }

    /// Whether it takes another question. A port does not live long, so that an attacker who finds it
    /// has little time.
    pub(super) fn takes_questions(&self, now: Instant) -> bool {
        let traffic = self.lock();
        !traffic.closed
            && traffic.used.len() < self.limits.questions
            && now.duration_since(self.opened) < self.limits.lifetime
    }

    /// Sends an encoded query under a random ID, and takes it.
    ///
    /// # Errors
    /// The query was not sent. `true` if the socket had no question before, so that another socket
    /// would not help.
    pub(super) fn send(
        self: &Arc<Self>,
        query: &mut Vec<u8>,
        since: Instant,
    ) -> Result<SentQuestion, (TransportFault, bool)> {
        let mut traffic = self.lock();
        let id = traffic.new_id();
        if let Some(head) = query.first_chunk_mut::<2>() {
            *head = id.to_be_bytes();
        }
        // A full buffer is an error like others: nobody waits for room.
        if let Err(error) = SockRef::from(&self.socket).send(query) {
            let (fault, first) = (of_io(&error), traffic.used.len() == 1);
            if fault != TransportFault::Busy {
                // What the network says of an earlier query.
                let woken = traffic.close(&Err(fault));
                drop(traffic);
                woken.into_iter().for_each(Waker::wake);
            }
            return Err((fault, first));
        }
        traffic.pending.push(PendingQuestion {
            id,
            query: mem::take(query),
            since,
            waker: None,
            end: None,
        });
        drop(traffic);
        Ok(SentQuestion {
            socket: Arc::clone(self),
            id,
        })
    }

    /// Reads what has arrived, until nobody waits or nothing is left: then it fails with `WouldBlock`,
    /// which is what the runtime needs to know. It succeeds if there may be more. The question `own` is
    /// the one that reads, so it is not woken.
    fn receive(&self, own: u16) -> io::Result<()> {
        // The large buffer exists only during this call; a waiting question holds none.
        let mut room = [0; LARGEST_REPLY];
        let mut traffic = self.lock();
        let mut woken = Vec::new();
        let mut reads = 0;
        while traffic.is_awaited() && reads < READS {
            reads += 1;
            match (&*SockRef::from(&self.socket)).read(&mut room) {
                Ok(length) => {
                    let message = room.get(..length).unwrap_or_default();
                    traffic.arrived(message, own, self, &mut woken);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => woken.append(&mut traffic.close(&Err(of_io(&error)))),
            }
        }
        drop(traffic);
        woken.into_iter().for_each(Waker::wake);
        match reads {
            READS => Ok(()),
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, SocketTraffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SocketTraffic {
    /// A random ID that the socket has never used.
    fn new_id(&mut self) -> u16 {
        #[cfg(feature = "faults")]
        if crate::faults::is_spoofable() {
            let next = self.used.last().map_or(1, |last| last.wrapping_add(1));
            self.used.push(next);
            return next;
        }
        // A socket has far fewer questions than there are IDs.
        loop {
            let id = rand::random();
            if !self.used.contains(&id) {
                self.used.push(id);
                return id;
            }
        }
    }

    /// Whether a question waits for its reply.
    fn is_awaited(&self) -> bool {
        self.pending.iter().any(|question| question.end.is_none())
    }

    fn find(&mut self, id: u16) -> Option<&mut PendingQuestion> {
        self.pending.iter_mut().find(|question| question.id == id)
    }

    /// Handles a datagram that the question `own` has read. Adds to `woken` whoever else must learn of
    /// it.
    fn arrived(&mut self, message: &[u8], own: u16, socket: &SharedSocket, woken: &mut Vec<Waker>) {
        let id = message.first_chunk().map(|id| u16::from_be_bytes(*id));
        let asked = |question: &&mut PendingQuestion| Some(question.id) == id;
        let pending = self.pending.iter_mut().find(asked);
        match pending.filter(|question| question.end.is_none()) {
            Some(question) if upstream_query::is_reply_to(message, &question.query) => {
                question.end = Some(Ok(question.reply(message)));
                if id != Some(own) {
                    woken.extend(question.waker.take());
                }
            }
            // Late, or a copy.
            None if id.is_some_and(|id| self.used.contains(&id)) => {}
            _ => {
                socket.reporter.mismatch();
                self.misses += 1;
                if self.misses >= socket.limits.near_misses {
                    woken.append(&mut self.close(&Ok(DatagramReply::Forgeries)));
                }
            }
        }
    }

    /// Takes no more questions, and ends those in flight. Returns whoever must learn of it.
    fn close(&mut self, end: &QuestionEnd) -> Vec<Waker> {
        self.closed = true;
        let mut woken = Vec::new();
        for question in &mut self.pending {
            if question.end.is_none() {
                question.end = Some(end.clone());
                woken.extend(question.waker.take());
            }
        }
        woken
    }

    fn forget(&mut self, id: u16) {
        if let Some(at) = self.pending.iter().position(|question| question.id == id) {
            self.pending.swap_remove(at);
        }
    }

    /// Removes a question. If it was the reader, or was about to take over, returns who must.
    fn remove(&mut self, id: u16) -> Option<Waker> {
        self.forget(id);
        if self.reader.is_some_and(|reader| reader != id) {
            return None;
        }
        self.reader = None;
        let mut waiting = self.pending.iter_mut();
        waiting.find_map(|question| match question.end {
            None => question.waker.take(),
            Some(_) => None,
        })
    }
}

impl PendingQuestion {
    /// The end of the question with this reply.
    fn reply(&self, message: &[u8]) -> DatagramReply {
        if !letter_case::is_kept(message, &self.query) {
            return DatagramReply::CaseLost(self.answer(message));
        }
        DatagramReply::Reply(self.answer(message))
    }

    fn answer(&self, message: &[u8]) -> Reply {
        let mut message = upstream_query::with_question(message.to_vec(), &self.query);
        letter_case::restore(&mut message, &self.query);
        Reply {
            message,
            rtt: self.since.elapsed(),
        }
    }
}

impl SentQuestion {
    /// Waits for the end of the question.
    pub(super) async fn end(self) -> QuestionEnd {
        loop {
            if self.reads() {
                let socket = &self.socket;
                let mut arrival = pin!(socket.socket.async_io(ARRIVAL, || socket.receive(self.id)));
                let read = poll_fn(|cx| {
                    let arrived = arrival.as_mut().poll(cx);
                    match (self.poll_end(cx.waker()), arrived) {
                        (Poll::Ready(end), _) => Poll::Ready(Some(end)),
                        // The socket's runtime is ending.
                        (_, Poll::Ready(Err(_))) => Poll::Ready(Some(Err(TransportFault::Busy))),
                        (_, Poll::Ready(Ok(()))) => Poll::Ready(None),
                        (_, Poll::Pending) => Poll::Pending,
                    }
                });
                if let Some(end) = read.await {
                    return end;
                }
                task::yield_now().await;
                continue;
            }
            let mut polled = false;
            let taken_over = |cx: &mut Context<'_>| {
                // Polled again without an end: the time for it may be over, and then it must not miss a
                // reply that has come and that the reader has yet to read.
                if polled && !self.has_ended() {
                    let _ = self.socket.receive(self.id);
                }
                polled = true;
                match self.poll_end(cx.waker()) {
                    Poll::Ready(end) => Poll::Ready(Some(end)),
                    Poll::Pending if self.socket.lock().reader.is_none() => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            };
            if let Some(end) = poll_fn(taken_over).await {
                return end;
            }
        }
    }

    fn has_ended(&self) -> bool {
        let mut traffic = self.socket.lock();
        traffic.find(self.id).is_none_or(|it| it.end.is_some())
    }

    /// Makes this question the reader if there is none.
    fn reads(&self) -> bool {
        let mut traffic = self.socket.lock();
        *traffic.reader.get_or_insert(self.id) == self.id
    }

    fn poll_end(&self, waker: &Waker) -> Poll<QuestionEnd> {
        let mut traffic = self.socket.lock();
        let Some(question) = traffic.find(self.id) else {
            return Poll::Ready(Err(TransportFault::Busy));
        };
        if let Some(end) = question.end.take() {
            traffic.forget(self.id);
            return Poll::Ready(end);
        }
        match &mut question.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Poll::Pending
    }
}

impl Drop for SentQuestion {
    fn drop(&mut self) {
        let next = self.socket.lock().remove(self.id);
        if let Some(waker) = next {
            waker.wake();
        }
    }
}
