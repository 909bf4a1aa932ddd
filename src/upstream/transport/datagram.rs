//! A datagram there, a datagram back.
//!
//! Each question has a socket of its own, so its source port is one that the kernel picks at
//! random, and it is connected, so the kernel takes datagrams from the server's address and port
//! alone. Who cannot see the query has to guess port and id (RFC 5452).

use std::{
    io::{self, Read as _},
    net::SocketAddr,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{io::Interest, net::UdpSocket, time::Instant};

use super::{
    fault::of_io,
    reply::{Reply, TransportFault},
    reporter::ServerReporter,
};
use dnsgate_core::dns::upstream_query;

/// Room for one reply. We announce 1232 bytes; some servers send more than they were told to.
const LARGEST_REPLY: usize = 4096;

/// What is waited for: a datagram, or an error, which is what ICMP says of a closed port.
const ARRIVAL: Interest = Interest::READABLE.add(Interest::ERROR);

/// What came back.
pub(super) enum DatagramReply {
    /// A reply.
    Reply(Reply),
    /// None, but several that somebody who guesses could have sent.
    Forgeries,
}

/// Asks `address` the encoded `query`. What is no reply to it is ignored, `near_misses` times.
pub(super) async fn ask(
    address: SocketAddr,
    query: Vec<u8>,
    near_misses: usize,
    reporter: &ServerReporter,
) -> Result<DatagramReply, TransportFault> {
    let socket = open(address)?;
    let sent = Instant::now();
    // A socket that is new has room for one datagram, and what it cannot send now it never will: it
    // is not waited for. So the runtime learns of the socket only when there is something to wait for.
    socket.send(&query).map_err(|error| of_io(&error))?;
    let socket = UdpSocket::from_std(socket.into()).map_err(|_| TransportFault::Busy)?;
    for _ in 0..near_misses {
        let reply = socket.async_io(ARRIVAL, || receive(&socket, &query));
        match reply.await.map_err(|error| of_io(&error))? {
            Some(message) => {
                return Ok(DatagramReply::Reply(Reply {
                    message: upstream_query::with_question(message, &query),
                    rtt: sent.elapsed(),
                }));
            }
            None => reporter.mismatch(),
        }
    }
    Ok(DatagramReply::Forgeries)
}

/// The datagram that is there, if it is a reply to `query`. Room for the largest is needed while
/// it is read; what waits for a reply holds none.
fn receive(socket: &UdpSocket, query: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut room = [0; LARGEST_REPLY];
    let length = (&*SockRef::from(socket)).read(&mut room)?;
    let message = room.get(..length).unwrap_or_default();
    Ok(upstream_query::is_reply_to(message, query).then(|| message.to_vec()))
}

/// A socket for one question. To connect it binds it, too: the kernel picks the port then, as it
/// would for a bind of its own, which would be one more system call.
fn open(address: SocketAddr) -> Result<Socket, TransportFault> {
    // What fails here is for want of sockets: not the server's fault.
    let busy = |_: io::Error| TransportFault::Busy;
    let domain = Domain::for_address(address);
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(domain, kind, Some(Protocol::UDP)).map_err(busy)?;
    let connected = socket.connect(&address.into());
    connected.map_err(|error| of_io(&error))?;
    Ok(socket)
}
