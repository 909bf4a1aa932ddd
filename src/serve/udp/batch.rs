//! One batch of datagrams: `recvmmsg` in, `sendmmsg` out. All unsafe code of dnsgate is in here.
//!
//! A batch owns, for each datagram, a slot: room for the query, for the reply, for the client's
//! address and for the packet info, which says on a wildcard address which of the host's addresses
//! was asked. They are allocated once and never move. The kernel is given pointers into a slot and
//! uses them during a system call only; between calls the slots are ours.
//!
//! The kernel's structures (socket address, control message) are read and changed as bytes in
//! `kernel_layout`, which needs no unsafe code. The system calls are made directly: musl's `sendmmsg` is a
//! loop of `sendmsg`.
//!
//! Miri runs what makes no system call: the layout of the kernel's structures, and how a batch gives out its
//! slots (`MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --lib udp::kernel_layout udp::batch::tests::slots`).
//! It cannot run `recvmmsg`, `sendmmsg`, `sendmsg` and `setsockopt`, for it has no kernel.
#![expect(
    unsafe_code,
    reason = "the standard library has no way to receive or send several datagrams at once"
)]

use std::{
    cell::UnsafeCell,
    io,
    mem::{self, size_of},
    net::SocketAddr,
    os::fd::AsRawFd,
    ptr,
    sync::Arc,
};

use libc::{c_int, c_long};
use socket2::Socket;
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    common::{QUERY, REPLY},
    kernel_layout::{CONTROL, Control, RawAddress},
};
use dnsgate_core::dns::query::HEADER;

/// Datagrams per system call. From eight on, more hardly matters; thirty-two cost 170 KiB a worker.
pub(super) const BATCH: usize = 32;

/// What belongs to one datagram. Its size is no multiple of 4096, so that the beginnings of the
/// slots, which are all that is used of most, do not compete for the same lines of the cache.
struct DatagramSlot {
    query: [u8; QUERY],
    query_part: libc::iovec,
    name: RawAddress,
    control: Control,
    reply_part: libc::iovec,
    reply: [u8; REPLY],
}

/// A batch. It holds raw pointers and so stays in the thread that made it.
pub(super) struct Batch {
    /// Reached through the cells' pointers only, never by a reference to the whole: so the pointers
    /// that the headers hold stay valid.
    slots: Vec<UnsafeCell<DatagramSlot>>,
    /// Header `n` points into slot `n`, always.
    incoming: Vec<libc::mmsghdr>,
    /// How many of `incoming` the kernel has filled.
    received: usize,
    outgoing: Vec<libc::mmsghdr>,
    /// How many of `outgoing` are set.
    replies: usize,
}

/// How long to wait for a first datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until the socket's time-out.
    ForOne,
    /// Not at all.
    Not,
}

/// One query, and where its reply goes.
pub(super) struct ReceivedQuery<'b> {
    /// The datagram, or the header alone of one that was too long.
    pub(super) query: &'b [u8],
    /// Its sender.
    pub(super) source: SocketAddr,
    /// Room for the reply.
    pub(super) reply: &'b mut [u8],
    /// The way of a reply that comes later.
    pub(super) return_address: ReturnAddress<'b>,
}

/// Where the reply to a datagram goes and where it leaves from, while its slot is at hand.
pub(super) struct ReturnAddress<'b> {
    name: &'b RawAddress,
    name_len: libc::socklen_t,
    control: &'b Control,
    control_len: usize,
}

impl ReturnAddress<'_> {
    /// The same, to be kept.
    pub(super) fn to_owned(&self) -> OwnedReturnAddress {
        let mut control = *self.control;
        control.leave_route_open();
        OwnedReturnAddress {
            name: *self.name,
            name_len: self.name_len,
            control,
            control_len: self.control_len,
        }
    }
}

/// Where the reply to a datagram goes and where it leaves from, when its slot is another's.
pub(in crate::serve) struct OwnedReturnAddress {
    name: RawAddress,
    name_len: libc::socklen_t,
    control: Control,
    control_len: usize,
}

impl OwnedReturnAddress {
    /// Sends one reply, without waiting for room.
    pub(in crate::serve) fn send(&mut self, socket: &Socket, reply: &[u8]) -> io::Result<()> {
        let mut part = libc::iovec {
            // The kernel only reads what is sent.
            iov_base: reply.as_ptr().cast_mut().cast(),
            iov_len: reply.len().min(REPLY),
        };
        // SAFETY: integers and pointers, for all of which zero is a value.
        let mut header = unsafe { mem::zeroed::<libc::msghdr>() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_name = (&raw mut self.name).cast();
        header.msg_namelen = self.name_len;
        header.msg_control = (&raw mut self.control).cast();
        header.msg_controllen = self.control_len as _;
        // SAFETY: the header points to `reply`, `part` and the fields of `self`, states their
        // lengths, and all of them live and are borrowed by nobody else during the call.
        let sent =
            unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl Batch {
    pub(super) fn new() -> Self {
        let part = || libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        let slot = || {
            UnsafeCell::new(DatagramSlot {
                query: [0; QUERY],
                query_part: part(),
                name: RawAddress([0; _]),
                control: Control([0; _]),
                reply_part: part(),
                reply: [0; REPLY],
            })
        };
        // SAFETY: integers and pointers, for all of which zero is a value. Some have padding
        // fields that the kernel reads as the upper halves of lengths, and that must be zero.
        let header = || unsafe { mem::zeroed::<libc::mmsghdr>() };
        Self {
            slots: (0..BATCH).map(|_| slot()).collect(),
            incoming: (0..BATCH).map(|_| header()).collect(),
            // All are to be set before the first call.
            received: BATCH,
            outgoing: (0..BATCH).map(|_| header()).collect(),
            replies: 0,
        }
    }

    /// Receives what is there, at most [`BATCH`]; drops what was received before.
    pub(super) fn receive(&mut self, socket: &Socket, wait: Wait) -> io::Result<usize> {
        // The kernel has changed the lengths in those that it filled; the others are still set.
        for (cell, header) in self
            .slots
            .iter()
            .zip(&mut self.incoming)
            .take(self.received)
        {
            set_incoming(cell.get(), header);
        }
        (self.received, self.replies) = (0, 0);
        let flags = match wait {
            Wait::ForOne => libc::MSG_WAITFORONE,
            Wait::Not => libc::MSG_DONTWAIT,
        };
        // SAFETY: `incoming` is BATCH headers long; each points to the buffers of its own slot and
        // states their lengths. The slots live as long as `self`, and no reference into them
        // exists now: `received` borrows `self` for as long as it gives one out.
        let received = unsafe {
            libc::syscall(
                libc::SYS_recvmmsg,
                c_long::from(socket.as_raw_fd()),
                self.incoming.as_mut_ptr(),
                BATCH as c_long,
                c_long::from(flags),
                ptr::null_mut::<libc::timespec>(),
            )
        };
        self.received = usize::try_from(received)
            .map_err(|_| io::Error::last_os_error())?
            .min(BATCH);
        Ok(self.received)
    }

    /// One datagram of those received; `None` when its sender cannot be answered.
    pub(super) fn query(&mut self, at: usize) -> Option<ReceivedQuery<'_>> {
        let header = self.incoming.get(..self.received)?.get(at)?;
        let cell = self.slots.get(at)?;
        // SAFETY: outside of a system call only we reach the slots; this reference is the only one,
        // as it borrows `self` exclusively.
        let slot = unsafe { &mut *cell.get() };
        let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let len = if cut { HEADER } else { header.msg_len as usize };
        Some(ReceivedQuery {
            query: slot.query.get(..len)?,
            source: slot.name.address().filter(|source| source.port() != 0)?,
            reply: &mut slot.reply,
            return_address: ReturnAddress {
                name: &slot.name,
                name_len: header.msg_hdr.msg_namelen,
                control: &slot.control,
                control_len: header.msg_hdr.msg_controllen as _,
            },
        })
    }

    /// Sets the first `len` bytes of the reply to datagram `at` down for sending, from the address
    /// that was asked.
    pub(super) fn reply(&mut self, at: usize, len: usize) {
        let (Some(cell), Some(incoming), Some(outgoing)) = (
            self.slots.get(at),
            self.incoming.get(at),
            self.outgoing.get_mut(self.replies),
        ) else {
            return;
        };
        let slot = cell.get();
        let received = &incoming.msg_hdr;
        // SAFETY: `slot` is live, and no reference into it is (see `received`); the one to
        // `control` ends before the next statement. The others write plain fields and take addresses.
        unsafe {
            let control = &mut (*slot).control;
            control.leave_route_open();
            (*slot).reply_part = libc::iovec {
                iov_base: (&raw mut (*slot).reply).cast(),
                iov_len: len.min(REPLY),
            };
            outgoing.msg_hdr.msg_iov = &raw mut (*slot).reply_part;
            outgoing.msg_hdr.msg_name = (&raw mut (*slot).name).cast();
            outgoing.msg_hdr.msg_control = (&raw mut (*slot).control).cast();
        }
        outgoing.msg_hdr.msg_iovlen = 1;
        outgoing.msg_hdr.msg_namelen = received.msg_namelen;
        outgoing.msg_hdr.msg_controllen = received.msg_controllen;
        self.replies += 1;
    }

    /// Sends the replies without waiting, and returns how many of them the kernel did not take at
    /// once: an error of one is no reason to lose those behind it.
    ///
    /// A full send buffer is not tried again: it was filled by an interface that is slow or stuck, a
    /// second try a moment later would find it full as well, and waiting would stop every client of
    /// this worker for the sake of a few. Resolvers ask again.
    pub(super) fn send(&mut self, socket: &Socket) -> usize {
        let mut lost = 0;
        let mut rest = self.outgoing.get_mut(..self.replies).unwrap_or_default();
        self.replies = 0;
        while !rest.is_empty() {
            // SAFETY: `rest` is that many headers, each set by `reply` since the last `receive`:
            // it points to the buffers of one slot, which live as long as `self` and which nobody
            // writes to during the call.
            let sent = unsafe {
                libc::syscall(
                    libc::SYS_sendmmsg,
                    c_long::from(socket.as_raw_fd()),
                    rest.as_mut_ptr(),
                    rest.len() as c_long,
                    c_long::from(libc::MSG_DONTWAIT),
                )
            };
            let done = match usize::try_from(sent) {
                Ok(sent) => sent,
                // The error is that of the first; the kernel keeps those of others for later calls.
                Err(_) => match io::Error::last_os_error().kind() {
                    io::ErrorKind::Interrupted => continue,
                    // No room: nor will there be for the others.
                    io::ErrorKind::WouldBlock => return lost + rest.len(),
                    _ => {
                        lost += 1;
                        1
                    }
                },
            };
            rest = rest.get_mut(done.max(1)..).unwrap_or_default();
        }
        lost
    }
}

/// Points an incoming header at its slot, all of it free.
fn set_incoming(slot: *mut DatagramSlot, header: &mut libc::mmsghdr) {
    let message = &mut header.msg_hdr;
    // SAFETY: `slot` is live, and no reference into it is; these statements write plain fields and
    // take addresses.
    unsafe {
        (*slot).query_part = libc::iovec {
            iov_base: (&raw mut (*slot).query).cast(),
            iov_len: QUERY,
        };
        message.msg_iov = &raw mut (*slot).query_part;
        message.msg_name = (&raw mut (*slot).name).cast();
        message.msg_control = (&raw mut (*slot).control).cast();
    }
    message.msg_iovlen = 1;
    message.msg_namelen = size_of::<RawAddress>() as _;
    message.msg_controllen = CONTROL as _;
}

/// Has the runtime of this thread look out for datagrams.
pub(super) fn register(socket: &Arc<Socket>) -> io::Result<AsyncFd<Arc<Socket>>> {
    let socket = Arc::clone(socket);
    // SAFETY: a `Socket` owns one descriptor, gives out no other, and closes it when dropped, which
    // the `Arc` in the `AsyncFd` prevents.
    let registered = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    registered.map_err(Into::into)
}

/// Sets the options that belong to this way of receiving, before the socket is bound.
pub(super) fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let (level, packet_info, discover, omit) = match address {
        SocketAddr::V4(_) => (
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_OMIT,
        ),
        SocketAddr::V6(_) => (
            libc::IPPROTO_IPV6,
            libc::IPV6_RECVPKTINFO,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_PMTUDISC_OMIT,
        ),
    };
    // A forged "packet too big" must not make us send fragments, which can be forged in turn. Our
    // replies fit everywhere, so what the path's MTU is said to be does not matter. Not every
    // system that calls itself Linux knows the option, and it is no condition for serving.
    let _ = set_option(socket, level, discover, omit);
    if address.ip().is_unspecified() {
        set_option(socket, level, packet_info, 1)?;
    }
    Ok(())
}

fn set_option(socket: &Socket, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the pointer is to a live c_int, and its size is stated.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn socket() -> (Socket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("bound");
        (socket.into(), address)
    }

    #[test]
    fn an_error_of_one_reply_loses_no_other() {
        let (socket, address) = socket();
        let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let mut batch = Batch::new();
        for unreachable in [&[0][..], &[1], &[2], &[0, 1, 2], &[]] {
            for number in 0..3_u8 {
                client.send_to(&[number], address).expect("room");
            }
            assert_eq!(batch.receive(&socket, Wait::Not).expect("there"), 3);
            for at in 0..3 {
                let received = batch.query(at).expect("a client");
                received.reply[0] = received.query[0];
                if unreachable.contains(&at) {
                    // Port 0 is no destination: EINVAL.
                    batch.slots[at].get_mut().name.0[2..4].fill(0);
                    assert!(batch.query(at).is_none());
                }
                batch.reply(at, 1);
            }
            assert_eq!(batch.send(&socket), unreachable.len(), "{unreachable:?}");
            client.set_nonblocking(true).expect("a socket");
            for number in (0..3_u8).filter(|at| !unreachable.contains(&usize::from(*at))) {
                let mut reply = [0xff; 2];
                assert_eq!(client.recv(&mut reply).expect("over loopback, at once"), 1);
                assert_eq!(reply[0], number, "{unreachable:?}");
            }
            client.recv(&mut [0; 2]).expect_err("no more");
        }
    }

    /// A client over a Unix socket whose queue is full stands for an interface that takes nothing:
    /// a worker that waited for it would not come back.
    #[test]
    fn a_reply_that_finds_no_room_is_lost_at_once() {
        use std::os::{
            linux::net::SocketAddrExt as _,
            unix::net::{SocketAddr as UnixAddr, UnixDatagram},
        };
        let bound = |role: &str| {
            // Short, for a name has room for an IPv6 address and no more.
            let name = format!("dg-{role}-{}", std::process::id());
            let address = UnixAddr::from_abstract_name(name).expect("a name");
            UnixDatagram::bind_addr(&address).expect("nobody else has it")
        };
        let (server, client) = (bound("s"), bound("c"));
        let to_server = server.local_addr().expect("bound");
        let to_client = client.local_addr().expect("bound");
        for query in [&b"1"[..], b"2"] {
            client.send_to_addr(query, &to_server).expect("room");
        }
        let filler = UnixDatagram::unbound().expect("a socket");
        filler.set_nonblocking(true).expect("a socket");
        while filler.send_to_addr(b"full", &to_client).is_ok() {}
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let socket = Socket::from(std::os::fd::OwnedFd::from(server));
            let mut batch = Batch::new();
            let received = batch.receive(&socket, Wait::Not).expect("there");
            (0..received).for_each(|at| batch.reply(at, 1));
            let _ = tell.send((received, batch.send(&socket)));
        });
        let lost = told.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(lost, Ok((2, 2)), "it waits for room");
        drop(client);
    }

    #[test]
    fn there_is_no_exchange_beyond_what_was_received() {
        let (socket, address) = socket();
        let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let mut batch = Batch::new();
        for _ in 0..BATCH + 1 {
            client.send_to(b"hello", address).expect("room");
        }
        assert_eq!(batch.receive(&socket, Wait::Not).expect("there"), BATCH);
        assert_eq!(batch.receive(&socket, Wait::Not).expect("there"), 1);
        assert!(batch.query(0).is_some() && batch.query(1).is_none());
        let error = batch.receive(&socket, Wait::Not).expect_err("nothing");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(batch.query(0).is_none());
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        for text in ["192.0.2.1:53", "[2001:db8::1]:65535", "[fe80::1%3]:53"] {
            let want: SocketAddr = text.parse().expect("an address");
            let stored = socket2::SockAddr::from(want);
            let mut name = RawAddress([0; _]);
            let len = stored.len() as usize;
            // SAFETY: a socket address that is `len` bytes long.
            let bytes = unsafe { std::slice::from_raw_parts(stored.as_ptr().cast::<u8>(), len) };
            name.0[..len].copy_from_slice(bytes);
            assert_eq!(name.address(), Some(want));
        }
        assert_eq!(RawAddress([0; _]).address(), None);
    }
}
