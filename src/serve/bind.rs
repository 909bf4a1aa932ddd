//! Creates listening sockets: options, bind, listen.
//!
//! On Linux every worker has its own socket on the same address (SO_REUSEPORT), and the kernel
//! spreads clients over them. Elsewhere SO_REUSEPORT does not balance, so the workers share one
//! socket.

use std::{io, net::SocketAddr, num::NonZeroUsize};

use socket2::{Domain, Protocol, Socket, Type};

use dnsgate_core::dns::Transport;

use super::udp;

/// Connections that the kernel holds until dnsgate accepts them; the kernel has a limit of its own
/// (net.core.somaxconn). Enough for a burst of clients that all fall back to TCP at once.
const BACKLOG: i32 = 1024;

/// An address that could not be bound, with advice for the operator.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {}://{address}: {error}{}", transport.as_str(), advice(error))]
pub(crate) struct BindError {
    /// The transport.
    pub(crate) transport: Transport,
    /// The address.
    pub(crate) address: SocketAddr,
    /// The cause. It is not the `source` of the error chain because the message already contains
    /// it.
    pub(crate) error: io::Error,
}

impl BindError {
    /// Whether this is an IPv6 wildcard address on a host without IPv6: the kernel does not support
    /// the family or has no address to bind.
    #[must_use]
    pub(crate) fn is_lack_of_ipv6(&self) -> bool {
        self.address.is_ipv6()
            && self.address.ip().is_unspecified()
            && (self.error.kind() == io::ErrorKind::AddrNotAvailable
                || self.error.raw_os_error() == Some(libc::EAFNOSUPPORT))
    }
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

/// Binds one address for all workers. Returns the bound address and a socket for each worker.
pub(super) fn bind(
    transport: Transport,
    address: SocketAddr,
    workers: NonZeroUsize,
    buffer: usize,
) -> Result<(SocketAddr, Vec<Socket>), BindError> {
    bind_sockets(transport, address, workers.get(), buffer).map_err(|error| BindError {
        transport,
        address,
        error,
    })
}

fn bind_sockets(
    transport: Transport,
    address: SocketAddr,
    workers: usize,
    buffer: usize,
) -> io::Result<(SocketAddr, Vec<Socket>)> {
    let reuse_port = cfg!(target_os = "linux") && workers > 1;
    if reuse_port && address.port() != 0 {
        // SO_REUSEPORT would allow a second dnsgate of the same user on this address, and each
        // would silently get half of the queries. Bind without the option first to detect that.
        open(transport, address, false, buffer)?;
    }
    let first = open(transport, address, reuse_port, buffer)?;
    let bound = first
        .local_addr()?
        .as_socket()
        .ok_or(io::ErrorKind::Unsupported)?;
    let mut sockets = Vec::with_capacity(workers);
    for _ in 1..workers {
        sockets.push(if reuse_port {
            open(transport, bound, true, buffer)?
        } else {
            first.try_clone()?
        });
    }
    sockets.push(first);
    Ok((bound, sockets))
}

fn open(
    transport: Transport,
    address: SocketAddr,
    reuse_port: bool,
    buffer: usize,
) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = match transport {
        Transport::Udp => Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
        Transport::Tcp => Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?,
    };
    if address.is_ipv6() {
        // So that [::] and 0.0.0.0 can both be bound, and IPv4 clients have IPv4 addresses.
        socket.set_only_v6(true)?;
    }
    #[cfg(target_os = "linux")]
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    match transport {
        Transport::Udp => udp::prepare(&socket, address)?,
        Transport::Tcp => {
            // Connections of an earlier process in TIME_WAIT must not block the bind.
            #[cfg(unix)]
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            bound_buffers(&socket, buffer)?;
        }
    }
    socket.bind(&address.into())?;
    if transport == Transport::Tcp {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

/// Limits the kernel's buffers of each connection, and sends what is written at once; connections
/// inherit the options from the listener. A client that does not read, or that is not read from, could otherwise use megabytes
/// of kernel memory.
fn bound_buffers(socket: &Socket, bytes: usize) -> io::Result<()> {
    socket.set_send_buffer_size(bytes)?;
    socket.set_recv_buffer_size(bytes)?;
    // Only sent but unacknowledged data may fill the send buffer; unsent data stays in dnsgate.
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(u32::try_from(bytes).unwrap_or(u32::MAX))?;
    // Each reply is written whole, so it can leave at once. Inherited, too, at the cost of no system
    // call a connection; elsewhere than on Linux a system may not do so, and answers are as right.
    socket.set_tcp_nodelay(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_only_wildcard_ipv6_listeners_on_hosts_without_ipv6() {
        for (address, code, lacks) in [
            ("[::]:53", libc::EAFNOSUPPORT, true),
            ("[::]:53", libc::EADDRNOTAVAIL, true),
            ("[::]:53", libc::EADDRINUSE, false),
            ("[::]:53", libc::EACCES, false),
            ("[::1]:53", libc::EADDRNOTAVAIL, false),
            ("[2001:db8::1]:53", libc::EAFNOSUPPORT, false),
            ("0.0.0.0:53", libc::EADDRNOTAVAIL, false),
        ] {
            let error = BindError {
                transport: Transport::Udp,
                address: address.parse().expect("an address"),
                error: io::Error::from_raw_os_error(code),
            };
            assert_eq!(error.is_lack_of_ipv6(), lacks, "{error}");
        }
    }

    #[test]
    fn connections_inherit_the_buffer_sizes_of_their_listener() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let buffer = 8 << 10;
        let bound = bind(Transport::Tcp, address, NonZeroUsize::MIN, buffer);
        let (address, sockets) = bound.expect("a free port");
        let _client = std::net::TcpStream::connect(address).expect("accepted");
        let listener = &sockets[0];
        listener.set_nonblocking(false).expect("a socket");
        let (connection, _) = listener.accept().expect("a connection");
        // Linux counts its own records in, and doubles what it is asked for.
        for size in [connection.send_buffer_size(), connection.recv_buffer_size()] {
            let size = size.expect("a size");
            assert!((buffer..=2 * buffer).contains(&size), "{size}");
        }
        #[cfg(target_os = "linux")]
        assert_eq!(
            (
                connection.tcp_notsent_lowat().ok(),
                connection.tcp_nodelay().ok()
            ),
            (u32::try_from(buffer).ok(), Some(true))
        );
    }
}
