//! Upstreams that do with a question what a case tells them to.

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
};

use super::streams;
use crate::{message, running};

/// What becomes of a query that came by datagram.
pub(crate) type OnDatagram = fn(&[u8], &UdpSocket, SocketAddr);
/// What becomes of one that came over a connection. Returns whether the connection is read on.
pub(crate) type OnStream = fn(&[u8], &mut TcpStream) -> bool;

/// An upstream. Its threads end with the process.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
}

impl Fake {
    /// Starts one, UDP and TCP on one port. What begins with `bad` is answered as it is told, all else is answered.
    pub(crate) fn start(datagram: OnDatagram, stream: OnStream) -> Self {
        let port = running::free_port("127.0.0.1");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let udp = UdpSocket::bind(address).expect("a free port");
        let tcp = TcpListener::bind(address).expect("a free port");
        thread::spawn(move || {
            let mut query = [0; 1232];
            while let Ok((len, from)) = udp.recv_from(&mut query) {
                let query = &query[..len];
                if is_bad(query) {
                    datagram(query, &udp, from);
                } else {
                    // The asker may have gone.
                    let _ = udp.send_to(&message::good(query), from);
                }
            }
        });
        thread::spawn(move || {
            for connection in tcp.incoming().map_while(Result::ok) {
                thread::spawn(move || serve(connection, stream));
            }
        });
        Self { address }
    }
}

/// Serves a connection to its end.
fn serve(mut connection: TcpStream, stream: OnStream) {
    let mut length = [0; 2];
    while connection.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if connection.read_exact(&mut query).is_err() {
            return;
        }
        let goes_on = if is_bad(&query) {
            stream(&query, &mut connection)
        } else {
            streams::send(&mut connection, &message::good(&query))
        };
        if !goes_on {
            return;
        }
    }
}

fn is_bad(query: &[u8]) -> bool {
    let label = query.get(12..16);
    label.is_some_and(|label| label.eq_ignore_ascii_case(b"\x03bad"))
}
