//! The limits of the admin port: the number of connections, in total and per address, and their
//! duration.
//!
//! ```text
//!                       the request head has arrived and asks for
//!  accept ─▶ waits ──┬─▶ /livez, /readyz: answered in the same slot
//!            2 s     └─▶ another page: moves to a page slot, 10 s in total
//! ```
//!
//! No connection waits to be accepted. If no slot is free, the oldest connection is closed: one of
//! the same address if that address is at its limit, otherwise one of all. Clients that open
//! connections without a request, or that do not read their page, therefore evict themselves, while
//! a prober gets its answer: health requests use no page slot, and pages use no slot for new
//! connections. Clients on this machine have separate slots of both kinds.
//!
//! The deadlines apply to the whole connection, for reads and writes. A client that sends its
//! request byte by byte or never reads the response has the same deadline as a silent one.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    future::Future,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{Instant, Sleep, sleep_until},
};

/// The limits: counts and times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections whose request has not arrived or asks for health; as many again for clients on
    /// this machine.
    pub(crate) heads: usize,
    /// Connections that ask for another page; as many again for clients on this machine.
    pub(crate) pages: usize,
    /// Connections of one address, for each kind.
    pub(crate) per_address: usize,
    /// From accept to the end of the request head.
    pub(crate) head: Duration,
    /// From accept to the last byte.
    pub(crate) whole: Duration,
}

/// A listener with these limits.
pub(crate) struct BoundedListener {
    listener: TcpListener,
    places: Arc<AdminSlots>,
}

impl BoundedListener {
    pub(crate) fn new(listener: TcpListener, bounds: Bounds) -> Self {
        let places = AdminSlots {
            bounds,
            taken: Mutex::default(),
        };
        Self {
            listener,
            places: Arc::new(places),
        }
    }
}

impl Listener for BoundedListener {
    type Io = AdminConnection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (AdminConnection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let (place, leave) = self.places.take(address.ip());
        let accepted = Instant::now();
        let visitor = AdminConnection {
            stream,
            deadline: Box::pin(sleep_until(accepted + self.places.bounds.head)),
            accepted,
            place,
            leave,
            whole: false,
        };
        (visitor, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The slots and the connections that hold them.
struct AdminSlots {
    bounds: Bounds,
    taken: Mutex<OpenConnections>,
}

#[derive(Default)]
struct OpenConnections {
    next: u64,
    /// Ordered by number, so the oldest is first. A linear scan is cheap because there are few.
    visitors: BTreeMap<u64, OpenConnection>,
}

struct OpenConnection {
    kind: SlotKind,
    address: IpAddr,
    /// Dropping it tells the connection to end.
    _leave: oneshot::Sender<()>,
}

/// The kind of slot that a connection competes for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct SlotKind {
    own: bool,
    page: bool,
}

impl AdminSlots {
    fn take(self: &Arc<Self>, address: IpAddr) -> (Arc<AdminSlot>, oneshot::Receiver<()>) {
        let address = address.to_canonical();
        let kind = SlotKind {
            own: address.is_loopback(),
            page: false,
        };
        let address = network(address);
        let (sender, leave) = oneshot::channel();
        let mut taken = self.lock();
        taken.make_room(kind, address, self.bounds.heads, self.bounds.per_address);
        let number = taken.next;
        taken.next += 1;
        let known = OpenConnection {
            kind,
            address,
            _leave: sender,
        };
        taken.visitors.insert(number, known);
        let place = AdminSlot {
            places: Arc::clone(self),
            number,
            page: AtomicBool::new(false),
        };
        (Arc::new(place), leave)
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        // No code panics while it holds the lock. Even then the list would still be consistent.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    /// Closes a connection if a limit is reached. If the address is at its limit, that is its
    /// oldest connection; otherwise it is the oldest connection of the address with the most, so
    /// that a crowd from few addresses evicts its own connections.
    fn make_room(&mut self, kind: SlotKind, address: IpAddr, all: usize, per_address: usize) {
        let of_kind = || self.visitors.iter().filter(|(_, known)| known.kind == kind);
        let of_address = |address| of_kind().filter(move |(_, known)| known.address == address);
        let oldest = if of_address(address).count() >= per_address {
            of_address(address).next()
        } else if of_kind().count() >= all {
            of_kind().max_by_key(|&(&number, known)| {
                (of_address(known.address).count(), Reverse(number))
            })
        } else {
            None
        };
        if let Some((&number, _)) = oldest {
            self.visitors.remove(&number);
        }
    }
}

/// The network that counts as one address: an IPv4 address or an IPv6 /64.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// The slot of one connection.
pub(crate) struct AdminSlot {
    places: Arc<AdminSlots>,
    number: u64,
    page: AtomicBool,
}

impl AdminSlot {
    /// Moves to a page slot: the request head has arrived and asks for a page other than health.
    pub(crate) fn asks_for_page(&self) {
        if self.page.swap(true, Ordering::Relaxed) {
            return;
        }
        let bounds = self.places.bounds;
        let mut taken = self.places.lock();
        // It may have been evicted in the meantime.
        let Some(mut known) = taken.visitors.remove(&self.number) else {
            return;
        };
        known.kind.page = true;
        taken.make_room(known.kind, known.address, bounds.pages, bounds.per_address);
        taken.visitors.insert(self.number, known);
    }
}

/// A connection with its deadline and its slot.
pub(crate) struct AdminConnection {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    accepted: Instant,
    place: Arc<AdminSlot>,
    /// Ready when the connection is evicted.
    leave: oneshot::Receiver<()>,
    /// The deadline is the one of the whole connection.
    whole: bool,
}

impl AdminConnection {
    pub(crate) const fn place(&self) -> &Arc<AdminSlot> {
        &self.place
    }

    /// Polls the stream unless the deadline has expired. The deadline is checked first; otherwise a
    /// stream that always has another byte would never reach it.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if Pin::new(&mut self.leave).poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        while self.deadline.as_mut().poll(cx).is_ready() {
            if self.whole || !self.place.page.load(Ordering::Relaxed) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.whole = true;
            let whole = self.accepted + self.place.places.bounds.whole;
            self.deadline.as_mut().reset(whole);
        }
        poll(Pin::new(&mut self.stream), cx)
    }
}

impl Drop for AdminConnection {
    fn drop(&mut self) {
        // An evicted connection is already removed.
        let mut taken = self.place.places.lock();
        taken.visitors.remove(&self.place.number);
    }
}

impl AsyncRead for AdminConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(cx, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for AdminConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx, |stream, cx| stream.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.in_time(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
