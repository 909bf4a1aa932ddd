//! One batch of datagrams: `recvmmsg` in, `sendmmsg` out. This file contains all unsafe code of
//! dnsgate.
//!
//! A batch owns a slot for each datagram: buffers for the query, the reply, the client's address
//! and the packet info, which on a wildcard address says which of the host's addresses the query
//! was sent to. The slots are allocated once and never move. The kernel gets pointers into a slot
//! and uses them only during a system call.
//!
//! `kernel_layout` reads and changes the kernel's structures (socket address, control message) as
//! bytes, without unsafe code. The system calls are made directly because musl's `sendmmsg` is a
//! loop of `sendmsg`.
//!
//! Miri runs `kernel_layout` and every pointer of a batch (`scripts/test-miri`): a test does to the
//! headers and slots what the kernel does. It cannot run the system calls themselves: it does not
//! support `recvmmsg`, `sendmmsg`, `sendmsg` and `setsockopt`.
#![expect(
    unsafe_code,
    reason = "the standard library has no way to receive or send several datagrams at once"
)]

#[cfg(test)]
mod tests;

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
    QUERY, REPLY,
    kernel_layout::{CONTROL, Control, RawAddress},
};
use dnsgate_core::dns::query::HEADER;

/// Datagrams per system call. More than eight gain little; thirty-two cost 170 KiB per worker.
pub(super) const BATCH: usize = DATAGRAMS as usize;
/// The same number, as a type for system calls.
const DATAGRAMS: u8 = 32;

/// The buffers of one datagram. The size is not a multiple of 4096, so that the starts of the
/// slots, the only parts that most datagrams use, do not map to the same cache lines.
struct DatagramSlot {
    query: [u8; QUERY],
    query_part: libc::iovec,
    name: RawAddress,
    control: Control,
    reply_part: libc::iovec,
    reply: [u8; REPLY],
}

/// A batch. It holds raw pointers and therefore stays in the thread that created it.
pub(super) struct Batch {
    /// Accessed only through the cells' pointers, never through a reference to the whole, so that
    /// the pointers in the headers stay valid.
    slots: Vec<UnsafeCell<DatagramSlot>>,
    /// Header `n` always points into slot `n`.
    incoming: Vec<libc::mmsghdr>,
    /// Number of `incoming` headers that the kernel has filled.
    received: usize,
    outgoing: Vec<libc::mmsghdr>,
    /// Number of `outgoing` headers that are set.
    replies: usize,
}

/// How long to wait for the first datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until the socket's timeout.
    ForOne,
    /// Not at all.
    Not,
}

/// One query, and the address for its reply.
pub(super) struct ReceivedQuery<'b> {
    /// The datagram, or only the header if the datagram was too long.
    pub(super) query: &'b [u8],
    /// Its sender.
    pub(super) source: SocketAddr,
    /// Buffer for the reply.
    pub(super) reply: &'b mut [u8],
    /// The address for a later reply.
    pub(super) return_address: ReturnAddress<'b>,
}

/// Destination and source address of the reply to a datagram, borrowed from its slot.
pub(super) struct ReturnAddress<'b> {
    name: &'b RawAddress,
    name_len: libc::socklen_t,
    control: &'b Control,
    control_len: usize,
}

impl ReturnAddress<'_> {
    /// An owned copy.
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

/// An owned [`ReturnAddress`], because the slot may hold another datagram when the reply is sent.
pub(in crate::serve) struct OwnedReturnAddress {
    name: RawAddress,
    name_len: libc::socklen_t,
    control: Control,
    control_len: usize,
}

impl OwnedReturnAddress {
    /// Sends one reply. Does not wait for buffer space.
    pub(in crate::serve) fn send(&mut self, socket: &Socket, reply: &[u8]) -> io::Result<()> {
        let mut part = libc::iovec {
            // The kernel only reads this buffer.
            iov_base: reply.as_ptr().cast_mut().cast(),
            iov_len: reply.len().min(REPLY),
        };
        // SAFETY: the structure consists of integers and pointers, for which zero is valid.
        let mut header = unsafe { mem::zeroed::<libc::msghdr>() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_name = (&raw mut self.name).cast();
        header.msg_namelen = self.name_len;
        header.msg_control = (&raw mut self.control).cast();
        header.msg_controllen = self.control_len as _;
        // SAFETY: the header points to `reply`, `part` and the fields of `self` and states their
        // lengths. All of them are live, and nothing else borrows them during the call.
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
        // SAFETY: the structure consists of integers and pointers, for which zero is valid. Some
        // targets have padding fields that the kernel reads as the upper halves of lengths; they
        // must be zero.
        let header = || unsafe { mem::zeroed::<libc::mmsghdr>() };
        Self {
            slots: (0..BATCH).map(|_| slot()).collect(),
            incoming: (0..BATCH).map(|_| header()).collect(),
            // All headers must be set before the first call.
            received: BATCH,
            outgoing: (0..BATCH).map(|_| header()).collect(),
            replies: 0,
        }
    }

    /// Discards the datagrams and replies, and prepares the headers for the next ones.
    #[inline]
    fn discard(&mut self) {
        // The kernel has changed the lengths in the headers that it filled; the others are still
        // set.
        for (cell, header) in self
            .slots
            .iter()
            .zip(&mut self.incoming)
            .take(self.received)
        {
            set_incoming(cell.get(), header);
        }
        (self.received, self.replies) = (0, 0);
    }

    /// Receives the available datagrams, at most [`BATCH`], and discards the previous ones.
    pub(super) fn receive(&mut self, socket: &Socket, wait: Wait) -> io::Result<usize> {
        self.discard();
        let flags = match wait {
            Wait::ForOne => libc::MSG_WAITFORONE,
            Wait::Not => libc::MSG_DONTWAIT,
        };
        // SAFETY: `incoming` is BATCH headers long; each points to the buffers of its own slot and
        // states their lengths. The slots live as long as `self`, and no reference into them exists
        // now, because `query` borrows `self` as long as its result lives.
        let received = unsafe {
            libc::syscall(
                libc::SYS_recvmmsg,
                c_long::from(socket.as_raw_fd()),
                self.incoming.as_mut_ptr(),
                c_long::from(DATAGRAMS),
                c_long::from(flags),
                ptr::null_mut::<libc::timespec>(),
            )
        };
        self.received = usize::try_from(received)
            .map_err(|_| io::Error::last_os_error())?
            .min(BATCH);
        Ok(self.received)
    }

    /// One of the received datagrams; `None` if its sender cannot be answered.
    pub(super) fn query(&mut self, at: usize) -> Option<ReceivedQuery<'_>> {
        let header = self.incoming.get(..self.received)?.get(at)?;
        let cell = self.slots.get(at)?;
        // SAFETY: outside of a system call only this code accesses the slots. This reference is the
        // only one because it borrows `self` exclusively.
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

    /// Queues the first `len` bytes of the reply to datagram `at`, to be sent from the address that
    /// the query was sent to.
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
        // SAFETY: `slot` is live and no reference into it exists (see `query`); the reference to
        // `control` ends before the next statement. The other statements write plain fields and
        // take addresses.
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

    /// Sends the replies without waiting, and returns how many the kernel did not take at once. An
    /// error for one reply does not stop the others.
    ///
    /// A full send buffer is not retried. A slow or stuck interface fills it, so a retry a moment
    /// later would fail too, and waiting would stop every client of this worker because of a few.
    /// Resolvers retry.
    pub(super) fn send(&mut self, socket: &Socket) -> usize {
        let mut lost = 0;
        let mut rest = self.outgoing.get_mut(..self.replies).unwrap_or_default();
        self.replies = 0;
        while !rest.is_empty() {
            // SAFETY: `rest` consists of that many headers, each set by `reply` since the last
            // `receive`. Each points to the buffers of one slot, which live as long as `self` and
            // which nothing writes to during the call.
            let sent = unsafe {
                libc::syscall(
                    libc::SYS_sendmmsg,
                    c_long::from(socket.as_raw_fd()),
                    rest.as_mut_ptr(),
                    c_long::try_from(rest.len()).unwrap_or(c_long::MAX),
                    c_long::from(libc::MSG_DONTWAIT),
                )
            };
            let done = match usize::try_from(sent) {
                Ok(sent) => sent,
                // The error belongs to the first reply; the kernel keeps those of later replies for
                // later calls.
                Err(_) => match io::Error::last_os_error().kind() {
                    io::ErrorKind::Interrupted => continue,
                    // The buffer is full, also for the other replies.
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

/// The size of a kernel structure.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the structures are 28 and 4 bytes long"
)]
const fn length_of<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// Points an incoming header at its slot, with full buffer lengths.
fn set_incoming(slot: *mut DatagramSlot, header: &mut libc::mmsghdr) {
    let message = &mut header.msg_hdr;
    // SAFETY: `slot` is live and no reference into it exists; these statements write plain fields
    // and take addresses.
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
    message.msg_namelen = length_of::<RawAddress>();
    message.msg_controllen = CONTROL as _;
}

/// Registers the socket with this thread's runtime for readiness.
pub(super) fn register(socket: &Arc<Socket>) -> io::Result<AsyncFd<Arc<Socket>>> {
    let socket = Arc::clone(socket);
    // SAFETY: a `Socket` owns one descriptor, never changes it, and closes it when dropped, which
    // the `Arc` in the `AsyncFd` prevents.
    let registered = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) };
    registered.map_err(Into::into)
}

/// Sets the options that batched receiving needs, before the socket is bound.
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
    // replies fit every path, so the reported path MTU does not matter. Some kernels do not support
    // the option, and serving does not depend on it.
    let _ = set_option(socket, level, discover, omit);
    if address.ip().is_unspecified() {
        set_option(socket, level, packet_info, 1)?;
    }
    Ok(())
}

fn set_option(socket: &Socket, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the pointer refers to a live c_int, and its size is stated.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length_of::<c_int>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
