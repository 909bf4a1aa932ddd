//! Upstreams that answer correctly and record every byte that reaches them.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

use crate::running::{self, SOON};

/// Where the names lead whose first label is this: by an alias and nothing else.
const TARGETS: [(&[u8], &str); 3] = [
    (b"bare", "bare.evil.example"),
    (b"edge", "www.two.example"),
    (b"back", "alias.lab.example"),
];
const CNAME: u16 = 5;

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Caught {
    pub(crate) tcp: bool,
    /// The port that it came from.
    pub(crate) port: u16,
    pub(crate) message: Vec<u8>,
}

/// An upstream.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    caught: Arc<Mutex<Vec<Caught>>>,
}

impl Fake {
    /// Starts one, UDP and TCP on one port.
    pub(crate) fn start() -> Self {
        let port = running::free_port("127.0.0.1");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let udp = UdpSocket::bind(address).expect("a free port");
        let tcp = TcpListener::bind(address).expect("a free port");
        let caught = Arc::new(Mutex::new(Vec::new()));
        let of_udp = Arc::clone(&caught);
        thread::spawn(move || serve_udp(&udp, &of_udp));
        let of_tcp = Arc::clone(&caught);
        thread::spawn(move || {
            for stream in tcp.incoming().map_while(Result::ok) {
                let caught = Arc::clone(&of_tcp);
                thread::spawn(move || serve_tcp(stream, &caught));
            }
        });
        Self { address, caught }
    }

    /// All that has reached it until now.
    pub(crate) fn caught(&self) -> Vec<Caught> {
        // What was sent to the socket before this is read before this.
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let last = b"that is all";
        socket.send_to(last, self.address).expect("sent");
        let until = std::time::Duration::from_millis(10);
        for _ in 0..SOON.as_millis() / until.as_millis() {
            let mut caught = self.caught.lock().expect("not poisoned").clone();
            if caught.iter().any(|it| it.message == last) {
                caught.retain(|it| it.message != last);
                return caught;
            }
            thread::sleep(until);
        }
        panic!("the fake upstream has stopped reading")
    }
}

fn note(caught: &Mutex<Vec<Caught>>, tcp: bool, port: u16, message: &[u8]) {
    let message = message.to_vec();
    let mut caught = caught.lock().expect("not poisoned");
    caught.push(Caught { tcp, port, message });
}

fn serve_udp(socket: &UdpSocket, caught: &Mutex<Vec<Caught>>) {
    let mut buffer = [0; 65_535];
    while let Ok((len, from)) = socket.recv_from(&mut buffer) {
        note(caught, false, from.port(), &buffer[..len]);
        if let Some(reply) = answer(&buffer[..len], false) {
            socket.send_to(&reply, from).expect("sent");
        }
    }
}

/// Until the client closes.
fn serve_tcp(mut stream: TcpStream, caught: &Mutex<Vec<Caught>>) {
    let port = stream.peer_addr().map_or(0, |peer| peer.port());
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut message).is_err() {
            note(caught, true, port, b"torn");
            return;
        }
        note(caught, true, port, &message);
        if let Some(reply) = answer(&message, true) {
            let framed = [&(reply.len() as u16).to_be_bytes()[..], &reply].concat();
            if stream.write_all(&framed).is_err() {
                return;
            }
        }
    }
}

/// Where this upstream says that a name leads.
pub(crate) fn target(name: &[Vec<u8>]) -> Option<&'static str> {
    let first = name.first()?;
    let (_, target) = TARGETS.iter().find(|(label, _)| label == first)?;
    Some(target)
}

/// The reply to a query that is well-formed; none to others.
fn answer(query: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    let mut at = 12;
    while *query.get(at)? > 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push(query.get(at + 1..end)?.to_ascii_lowercase());
        at = end;
    }
    let qtype = u16::from_be_bytes([*query.get(at + 1)?, *query.get(at + 2)?]);
    let mut reply = query.get(..at + 5)?.to_vec();
    reply[2..4].copy_from_slice(&[0x81, 0x80]);
    reply[10..12].fill(0);
    let first = name.first().map(Vec::as_slice).unwrap_or_default();
    match (target(&name), first, qtype) {
        (_, b"tc", _) if !tcp => reply[2] |= 2,
        (_, b"nx", _) => {
            reply[3] |= 3;
            reply[9] = 1;
            reply.extend(SOA);
        }
        (Some(target), _, _) => {
            reply[7] = 1;
            reply.extend(record(b"\xc0\x0c", CNAME, &wire(target)));
        }
        (None, b"cname", 1) => {
            let target = wire("x.evil.example");
            reply[7] = 2;
            reply.extend(record(b"\xc0\x0c", CNAME, &target));
            reply.extend(record(&target, 1, &[192, 31, 196, 2]));
        }
        (None, _, 1) => {
            reply[7] = 1;
            reply.extend(record(b"\xc0\x0c", 1, &[192, 31, 196, 1]));
        }
        _ => {
            reply[9] = 1;
            reply.extend(SOA);
        }
    }
    Some(reply)
}

/// Of the root, so that it is above every name.
const SOA: &[u8] =
    b"\0\0\x06\0\x01\0\0\x01\x2c\0\x16\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\x01\x2c";

fn record(owner: &[u8], rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let mut wire = owner.to_vec();
    wire.extend(rtype.to_be_bytes());
    wire.extend([0, 1, 0, 0, 1, 44]);
    wire.extend((rdata.len() as u16).to_be_bytes());
    wire.extend(rdata);
    wire
}

fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(label.len() as u8);
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}
