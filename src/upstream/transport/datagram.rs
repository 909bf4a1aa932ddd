//! Sends one datagram and receives one.
//!
//! Each query has its own socket, so the kernel picks a random source port. The socket is
//! connected, so the kernel accepts datagrams only from the server's address and port. An attacker
//! who cannot see the query must guess port and ID (RFC 5452).

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

/// Buffer for one reply. dnsgate announces 1232 bytes, but some servers send more.
const LARGEST_REPLY: usize = 4096;

/// The events to wait for: a datagram, or an error such as an ICMP message about a closed port.
const ARRIVAL: Interest = Interest::READABLE.add(Interest::ERROR);

/// The result of the exchange.
pub(super) enum DatagramReply {
    /// A reply.
    Reply(Reply),
    /// No reply, but several mismatches that an attacker may have sent.
    Forgeries,
}

/// Sends the encoded `query` to `address`. Ignores datagrams that are not a reply to it, up to
/// `near_misses` times.
pub(super) async fn ask(
    address: SocketAddr,
    query: Vec<u8>,
    near_misses: usize,
    reporter: &ServerReporter,
) -> Result<DatagramReply, TransportFault> {
    let socket = open(address)?;
    let sent = Instant::now();
    // A new socket has buffer space for one datagram, and an error now is permanent, so this does
    // not wait. The runtime registers the socket only when there is something to wait for.
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

/// Receives the pending datagram, if it is a reply to `query`. The large buffer exists only during
/// this call; a waiting query holds none.
fn receive(socket: &UdpSocket, query: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut room = [0; LARGEST_REPLY];
    let length = (&*SockRef::from(socket)).read(&mut room)?;
    let message = room.get(..length).unwrap_or_default();
    Ok(upstream_query::is_reply_to(message, query).then(|| message.to_vec()))
}

/// Opens a socket for one query. Connecting also binds it, so the kernel picks the port without a
/// separate system call.
fn open(address: SocketAddr) -> Result<Socket, TransportFault> {
    // An error here is a lack of sockets, not the server's fault.
    let busy = |_: io::Error| TransportFault::Busy;
    let domain = Domain::for_address(address);
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(domain, kind, Some(Protocol::UDP)).map_err(busy)?;
    let connected = socket.connect(&address.into());
    connected.map_err(|error| of_io(&error))?;
    Ok(socket)
}
