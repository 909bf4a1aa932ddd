//! Several datagrams per system call. All unsafe code of the generator is in this file.
//!
//! Between calls no pointer in a batch is in use: the structures for the kernel are filled before
//! each call.
#![expect(
    unsafe_code,
    reason = "the standard library has no way to receive or send several datagrams at once"
)]

use std::{
    io,
    mem::{self, size_of},
    net::UdpSocket,
    os::fd::AsRawFd as _,
    ptr,
};

/// Bytes of a datagram: more than any query or reply here.
pub(crate) const DATAGRAM: usize = 2048;

/// An address of either family, as the kernel writes it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Name([u8; size_of::<libc::sockaddr_in6>()]);

/// How long to wait for a first datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until the socket's time-out.
    ForOne,
    /// Not at all.
    Not,
}

/// Received datagrams, and datagrams to send.
pub(crate) struct Batch {
    incoming: Box<[[u8; DATAGRAM]]>,
    lengths: Box<[usize]>,
    names: Box<[Name]>,
    outgoing: Box<[[u8; DATAGRAM]]>,
    parts: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    /// Whether datagrams carry addresses; those of a connected socket do not.
    addressed: bool,
}

impl Batch {
    /// Room for `size` datagrams each way.
    pub(crate) fn new(size: usize, addressed: bool) -> Self {
        let part = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        // SAFETY: integers and pointers, for all of which zero is a value.
        let header = || unsafe { mem::zeroed::<libc::mmsghdr>() };
        Self {
            incoming: vec![[0; DATAGRAM]; size].into(),
            lengths: vec![0; size].into(),
            names: vec![Name([0; _]); size].into(),
            outgoing: vec![[0; DATAGRAM]; size].into(),
            parts: vec![part; size].into(),
            headers: (0..size).map(|_| header()).collect(),
            addressed,
        }
    }

    /// How many datagrams there is room for.
    pub(crate) fn size(&self) -> usize {
        self.headers.len()
    }

    /// Receives the datagrams that are there; returns how many.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        for ((header, part), (datagram, name)) in self
            .headers
            .iter_mut()
            .zip(&mut self.parts)
            .zip(self.incoming.iter_mut().zip(&mut self.names))
        {
            part.iov_base = datagram.as_mut_ptr().cast();
            part.iov_len = DATAGRAM;
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            if self.addressed {
                header.msg_hdr.msg_name = name.0.as_mut_ptr().cast();
                header.msg_hdr.msg_namelen = size_of::<Name>() as _;
            }
        }
        let flags = match wait {
            Wait::ForOne => libc::MSG_WAITFORONE,
            Wait::Not => libc::MSG_DONTWAIT,
        };
        // SAFETY: each header was just pointed to its own part, name and buffer, whose lengths it
        // states; all of them belong to `self`, which is borrowed exclusively until after the call.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as _,
                flags as _,
                ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (length, header) in self.lengths.iter_mut().zip(&self.headers).take(received) {
            *length = (header.msg_len as usize).min(DATAGRAM);
        }
        Ok(received)
    }

    /// A received datagram, and the buffer to send from with the same number.
    pub(crate) fn pair(&mut self, at: usize) -> Option<(&[u8], &mut [u8])> {
        let received = self.incoming.get(at)?.get(..*self.lengths.get(at)?)?;
        Some((received, self.outgoing.get_mut(at)?))
    }

    /// The buffer of a datagram to send.
    pub(crate) fn outgoing(&mut self, at: usize) -> Option<&mut [u8; DATAGRAM]> {
        self.outgoing.get_mut(at)
    }

    /// Sends the first `lengths.len()` datagrams, each to the source of the received one with the same
    /// number unless the socket is connected; returns how many the kernel took.
    pub(crate) fn send(&mut self, socket: &UdpSocket, lengths: &[usize]) -> io::Result<usize> {
        let count = lengths.len().min(self.headers.len());
        for (((header, part), length), (datagram, name)) in self
            .headers
            .iter_mut()
            .zip(&mut self.parts)
            .zip(lengths)
            .zip(self.outgoing.iter_mut().zip(&mut self.names))
        {
            part.iov_base = datagram.as_mut_ptr().cast();
            part.iov_len = (*length).min(DATAGRAM);
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
            if self.addressed {
                header.msg_hdr.msg_name = name.0.as_mut_ptr().cast();
            }
        }
        // SAFETY: as in `receive`, for the first `count` headers. The length of a name is still
        // what the kernel wrote when it received into it.
        let sent =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count as _, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_comes_back_from_where_it_went() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let (mut there, mut here) = (Batch::new(4, true), Batch::new(4, false));
        for number in 0..3_u8 {
            here.outgoing(usize::from(number)).unwrap()[0] = number;
        }
        assert_eq!(here.send(&client, &[1, 2, 3]).unwrap(), 3);
        assert_eq!(there.receive(&server, Wait::ForOne).unwrap(), 3);
        for at in 0..3 {
            let (received, reply) = there.pair(at).unwrap();
            assert_eq!((received.len(), received[0]), (at + 1, at as u8));
            reply[0] = received[0] + 10;
        }
        assert_eq!(there.send(&server, &[5, 5, 5]).unwrap(), 3);
        assert_eq!(here.receive(&client, Wait::ForOne).unwrap(), 3);
        assert_eq!(here.pair(2).unwrap().0, [12, 0, 0, 0, 0]);
        assert!(here.receive(&client, Wait::Not).is_err());
    }
}
