//! The upstream of both: it answers every name with one address, so that whatever is let through can be seen.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Addresses that pass as global unicast (the servers of AS112).
pub(super) const PUBLIC: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(192, 31, 196, 1),
    Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 1),
);
/// Addresses inside.
pub(super) const PRIVATE: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(10, 99, 0, 1),
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1),
);
/// How often the thread looks whether the test has ended.
const LOOK: Duration = Duration::from_millis(100);
/// An SOA of the root, for answers without records.
const SOA: &[u8] =
    b"\0\0\x06\0\x01\0\0\0\x3c\0\x16\0\0\0\0\0\x01\0\0\0\x3c\0\0\0\x3c\0\0\0\x3c\0\0\0\x3c";

/// It ends with this value.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(super) fn start(addresses: (Ipv4Addr, Ipv6Addr)) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(LOOK)).expect("a timeout");
        let address = socket.local_addr().expect("bound");
        let ended = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 1500];
            while !seen.load(Ordering::Relaxed) {
                if let Ok((len, from)) = socket.recv_from(&mut buffer)
                    && let Some(reply) = reply(&buffer[..len], addresses)
                {
                    let _ = socket.send_to(&reply, from); // whoever asked may be gone
                }
            }
        });
        Self {
            address,
            ended,
            thread: Some(thread),
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The reply to a query: its address for A and AAAA, else no data.
fn reply(query: &[u8], (v4, v6): (Ipv4Addr, Ipv6Addr)) -> Option<Vec<u8>> {
    let mut at = 12;
    while *query.get(at)? != 0 {
        at += 1 + usize::from(query[at]);
    }
    let question = query.get(12..at + 5)?;
    let &[high, low] = query.get(at + 1..at + 3)?.first_chunk()?;
    let data = match u16::from_be_bytes([high, low]) {
        1 => Some(v4.octets().to_vec()),
        28 => Some(v6.octets().to_vec()),
        _ => None,
    };
    let counts: [u8; 6] = if data.is_some() {
        [0, 1, 0, 0, 0, 0]
    } else {
        [0, 0, 0, 1, 0, 0]
    };
    let mut reply = [query.get(..2)?, &[0x81, 0x80, 0, 1], &counts, question].concat();
    match data {
        Some(data) => {
            reply.extend([0xc0, 12, high, low, 0, 1, 0, 0, 0, 60, 0]);
            reply.push(u8::try_from(data.len()).ok()?);
            reply.extend(data);
        }
        None => reply.extend(SOA),
    }
    Some(reply)
}
