//! A datagram there, a datagram back.
//!
//! Each question has a socket of its own, so its source port is one that the kernel picks at
//! random, and it is connected, so the kernel takes datagrams from the server's address and port
//! alone. Who cannot see the query has to guess port and id (RFC 5452).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::{net::UdpSocket, time::Instant};

use super::{Fault, Reply, Tell};
use crate::dns::ask;

/// Room for one reply. We announce 1232 bytes; some servers send more than they were told to.
const LARGEST_REPLY: usize = 4096;

/// Asks `address` the encoded `query`. What is no reply to it is ignored.
pub(super) async fn ask(address: SocketAddr, query: Vec<u8>, tell: &Tell) -> Result<Reply, Fault> {
    let local: SocketAddr = if address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    // What fails here is for want of descriptors or ports: not the server's fault.
    let socket = UdpSocket::bind(local).await.map_err(|_| Fault::Busy)?;
    let unreachable = |_| Fault::Unreachable;
    socket.connect(address).await.map_err(unreachable)?;
    let sent = Instant::now();
    socket.send(&query).await.map_err(unreachable)?;
    let mut message = vec![0; LARGEST_REPLY];
    loop {
        // An error is what ICMP says of a closed port.
        let len = socket.recv(&mut message).await.map_err(unreachable)?;
        if message
            .get(..len)
            .is_some_and(|reply| ask::is_reply_to(reply, &query))
        {
            message.truncate(len);
            return Ok(Reply {
                message,
                rtt: sent.elapsed(),
            });
        }
        tell.mismatch();
    }
}
