//! An upstream that answers when the test tells it to.

use std::{
    cell::RefCell,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
};

use crate::running::SOON;

/// A server over UDP; what it is asked waits in its socket.
pub(crate) struct Held {
    socket: UdpSocket,
    /// Whoever has asked, with what: a question may be asked more than once.
    asked: RefCell<Vec<(Vec<u8>, SocketAddr)>>,
}

impl Held {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(SOON)).expect("set");
        Self {
            socket,
            asked: RefCell::default(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Waits until it is asked something. Probes are not answered.
    pub(crate) fn wait(&self) {
        let mut packet = [0; 1232];
        loop {
            let (len, from) = self.socket.recv_from(&mut packet).expect("a query");
            let query = packet[..len].to_vec();
            let is_probe = |label: &[u8]| label.eq_ignore_ascii_case(b"dnsgate-probe");
            if !query.windows(13).any(is_probe) {
                self.asked.borrow_mut().push((query, from));
                return;
            }
        }
    }

    /// Answers all that it was asked, and what comes until nothing does, with this address.
    pub(crate) fn answer(&self, address: Ipv4Addr) {
        for (query, from) in self.asked.take() {
            // Whoever asked twice may be gone.
            let _ = self.socket.send_to(&answer(&query, address), from);
        }
    }
}

/// An A record for the question of a query, for five minutes.
fn answer(query: &[u8], address: Ipv4Addr) -> Vec<u8> {
    let name = query[12..].iter().position(|&len| len == 0);
    let question = 12..12 + name.expect("a name's end") + 1 + 2 + 2;
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    reply.extend(&query[question]);
    reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4]);
    reply.extend(address.octets());
    reply
}
