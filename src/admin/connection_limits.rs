//! The bounds of the admin port: how many connections at a time, whose, and how long each may last.
//!
//! ```text
//!                       its head has come, and asks for
//!  accept ─▶ waits ──┬─▶ /livez, /readyz: answered where it is
//!            2 s     └─▶ another page: moves to the places of pages, 10 s in all
//! ```
//!
//! Nothing waits to be accepted. Where there is no place, the connection that has been there for longest
//! makes room: of the same address if that has as many as one may, else of all. So whoever opens
//! connections and says nothing, or asks for a page and does not read it, pushes out himself, and a
//! prober that sends its request is answered: what asks for health takes no place of a page, and a
//! page none of those who come. This machine's own clients have places of their own for both.
//!
//! The deadlines hold for the whole connection, in its reads and writes. A client that sends its
//! request byte by byte, or that never takes the response, meets the same one as one that says
//! nothing at all.

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

/// How many connections, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Those whose request has not come, or asks for health; as many for this machine's own.
    pub(crate) heads: usize,
    /// Those that ask for another page; as many for this machine's own.
    pub(crate) pages: usize,
    /// Of each kind, those of one address.
    pub(crate) per_address: usize,
    /// From accept to the end of the request's head.
    pub(crate) head: Duration,
    /// From accept to the last byte.
    pub(crate) whole: Duration,
}

/// A listener that keeps the bounds.
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

/// Who is there.
struct AdminSlots {
    bounds: Bounds,
    taken: Mutex<OpenConnections>,
}

#[derive(Default)]
struct OpenConnections {
    next: u64,
    /// By number, and so the oldest first. There are so few that going through them costs nothing.
    visitors: BTreeMap<u64, OpenConnection>,
}

struct OpenConnection {
    kind: SlotKind,
    address: IpAddr,
    /// Dropped with the rest, it tells the connection to end.
    _leave: oneshot::Sender<()>,
}

/// Which places a connection competes for.
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
        // Nothing panics while it holds the lock; if it did, the list would still be a list.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnections {
    /// Has one go where there are as many of a kind as may be: the oldest one of the address, or in all the
    /// oldest one of the address that has most, so that a crowd from few addresses makes room for itself.
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

/// What counts as one address: that of IPv4, the network of 64 bits of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// The place of one connection.
pub(crate) struct AdminSlot {
    places: Arc<AdminSlots>,
    number: u64,
    page: AtomicBool,
}

impl AdminSlot {
    /// The head of its request has come and asks for a page that is not of health.
    pub(crate) fn asks_for_page(&self) {
        if self.page.swap(true, Ordering::Relaxed) {
            return;
        }
        let bounds = self.places.bounds;
        let mut taken = self.places.lock();
        // It may have had to go meanwhile.
        let Some(mut known) = taken.visitors.remove(&self.number) else {
            return;
        };
        known.kind.page = true;
        taken.make_room(known.kind, known.address, bounds.pages, bounds.per_address);
        taken.visitors.insert(self.number, known);
    }
}

/// A connection with its deadline, and the place that it has until it is dropped.
pub(crate) struct AdminConnection {
    stream: TcpStream,
    deadline: Pin<Box<Sleep>>,
    accepted: Instant,
    place: Arc<AdminSlot>,
    /// Ready when the connection has to make room for another.
    leave: oneshot::Receiver<()>,
    /// The deadline is that of the whole connection.
    whole: bool,
}

impl AdminConnection {
    pub(crate) const fn place(&self) -> &Arc<AdminSlot> {
        &self.place
    }

    /// Polls the stream, unless the time is up. The deadline comes first: a stream that always has
    /// another byte would otherwise never meet it.
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
        // Gone already when it had to make room.
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
