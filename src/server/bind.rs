//! Sockets, from an address to the point where clients can send: options, bind, listen.
//!
//! On Linux every worker has its own socket on the same address (SO_REUSEPORT) and the kernel
//! spreads clients over them. Elsewhere SO_REUSEPORT does not balance, and the workers share one
//! socket.

use std::{io, net::SocketAddr, num::NonZeroUsize};

use socket2::{Domain, Protocol, Socket, Type};

use crate::dns::Transport;

use super::udp;

/// Connections that the kernel keeps for us until we accept them; it has a bound of its own
/// (net.core.somaxconn). Enough for a burst of clients that all fall back to TCP at once.
const BACKLOG: i32 = 1024;

/// An address that could not be bound, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {}://{address}: {error}{}", transport.as_str(), advice(error))]
pub struct BindError {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// Why not. Not the `source` of an error chain, because the message has it in its middle.
    pub error: io::Error,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; a port below 1024 needs the capability CAP_NET_BIND_SERVICE, or listen on a higher one"
        }
        io::ErrorKind::AddrInUse => {
            "; another server has it, often systemd-resolved or dnsmasq: stop that one, or listen \
             on one address of this host rather than on all"
        }
        io::ErrorKind::AddrNotAvailable => "; no interface of this host has that address",
        _ => "",
    }
}

/// Binds one address for all workers: the address it got, and a socket for each.
pub(super) fn bind(
    transport: Transport,
    address: SocketAddr,
    workers: NonZeroUsize,
) -> Result<(SocketAddr, Vec<Socket>), BindError> {
    bind_sockets(transport, address, workers.get()).map_err(|error| BindError {
        transport,
        address,
        error,
    })
}

fn bind_sockets(
    transport: Transport,
    address: SocketAddr,
    workers: usize,
) -> io::Result<(SocketAddr, Vec<Socket>)> {
    let reuse_port = cfg!(target_os = "linux") && workers > 1;
    if reuse_port && address.port() != 0 {
        // SO_REUSEPORT would let us in beside another dnsgate of the same user, and each would get
        // half of the queries without a word. So ask for the address alone first.
        open(transport, address, false)?;
    }
    let first = open(transport, address, reuse_port)?;
    let bound = first
        .local_addr()?
        .as_socket()
        .ok_or(io::ErrorKind::Unsupported)?;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 1..workers {
        sockets.push(if reuse_port {
            open(transport, bound, true)?
        } else {
            first.try_clone()?
        });
    }
    sockets.push(first);
    Ok((bound, sockets))
}

fn open(transport: Transport, address: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = match transport {
        Transport::Udp => Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
        Transport::Tcp => Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?,
    };
    if address.is_ipv6() {
        // So that [::] and 0.0.0.0 can both be bound, and an IPv4 client looks like one.
        socket.set_only_v6(true)?;
    }
    #[cfg(target_os = "linux")]
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    match transport {
        Transport::Udp => udp::prepare(&socket, address)?,
        Transport::Tcp => {
            // Connections of an earlier process that are still in TIME_WAIT are no reason to wait.
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
        }
    }
    socket.bind(&address.into())?;
    if transport == Transport::Tcp {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}
