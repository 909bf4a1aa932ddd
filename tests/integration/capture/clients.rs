//! Clients with addresses of their own. They send packets and wait for the replies that they are due.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
};

use socket2::{Domain, Socket, Type};

use super::{load::Packet, policy::GROUPS};
use crate::running::SOON;

/// Two addresses of each group, and one of nobody's.
const HOSTS: [(Option<usize>, u8, u8); 5] = [
    (Some(0), 1, 1),
    (Some(0), 1, 200),
    (Some(1), 2, 1),
    (Some(1), 2, 77),
    (None, 3, 1),
];
/// Replies that a client lets wait. Few enough for the buffers of both sockets.
const WINDOW: usize = 16;

struct Client {
    address: Ipv4Addr,
    udp: UdpSocket,
    /// Replies that are due over UDP.
    due: usize,
    /// What will be sent over TCP in one go.
    pipeline: Vec<u8>,
    piped: usize,
}

/// All clients.
pub(crate) struct Clients {
    server: SocketAddr,
    clients: Vec<Client>,
}

impl Clients {
    pub(crate) fn new(port: u16) -> Self {
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let client = |&(_, net, host): &(Option<usize>, u8, u8)| {
            let address = Ipv4Addr::new(127, 0, net, host);
            let udp = UdpSocket::bind((address, 0)).expect("an address of loopback");
            udp.connect(server).expect("connected");
            udp.set_read_timeout(Some(SOON)).expect("set");
            Client {
                address,
                udp,
                due: 0,
                pipeline: Vec::new(),
                piped: 0,
            }
        };
        Self {
            server,
            clients: HOSTS.iter().map(client).collect(),
        }
    }

    pub(crate) const fn count(&self) -> usize {
        HOSTS.len()
    }

    /// The group of a client.
    pub(crate) fn group(&self, client: usize) -> Option<&'static str> {
        HOSTS[client].0.map(|group| GROUPS[group].0)
    }

    /// Sends a packet, now or soon.
    pub(crate) fn send(&mut self, client: usize, packet: Packet, over_tcp: bool) {
        let client = &mut self.clients[client];
        if over_tcp && packet.is_due_a_reply {
            let len = (packet.bytes.len() as u16).to_be_bytes();
            client.pipeline.extend(len);
            client.pipeline.extend(packet.bytes);
            client.piped += 1;
        } else {
            client.udp.send(&packet.bytes).expect("sent");
            client.due += usize::from(packet.is_due_a_reply);
        }
        if client.due >= WINDOW {
            client.wait();
        }
        if client.piped >= WINDOW {
            client.flush(self.server);
        }
    }

    /// Sends what is left and waits for all that is due.
    pub(crate) fn finish(&mut self) {
        for client in &mut self.clients {
            client.wait();
            client.flush(self.server);
        }
    }
}

impl Client {
    fn wait(&mut self) {
        let mut reply = [0; 4096];
        for left in (1..=self.due).rev() {
            self.udp
                .recv(&mut reply)
                .unwrap_or_else(|error| panic!("{left} replies to come: {error}"));
        }
        self.due = 0;
    }

    /// One connection, all queries before the first reply, and in the end one that is torn.
    fn flush(&mut self, server: SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let from = SocketAddr::from((self.address, 0));
        socket.bind(&from.into()).expect("bound");
        socket.connect(&server.into()).expect("connected");
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(SOON)).expect("set");
        stream.write_all(&self.pipeline).expect("sent");
        for left in (1..=self.piped).rev() {
            let mut len = [0; 2];
            stream
                .read_exact(&mut len)
                .unwrap_or_else(|error| panic!("{left} replies to come over TCP: {error}"));
            let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
            stream.read_exact(&mut reply).expect("whole");
        }
        stream
            .write_all(b"\0\x30\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03www\x04wide")
            .expect("sent");
        self.pipeline.clear();
        self.piped = 0;
    }
}
