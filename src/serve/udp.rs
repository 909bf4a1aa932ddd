//! UDP, the hot path: datagrams in, replies out, one blocking thread per socket.
//!
//! On Linux a worker handles batches (`batched`), with one system call to receive and one to send;
//! elsewhere it handles single datagrams (`plain`). A thread sleeps in the kernel until a datagram
//! arrives, with a timeout only to check whether it must stop. Queries that wait for an upstream
//! run on the same thread (`batched`). On a wildcard address every reply leaves from the address
//! that the query was sent to, because clients accept no other.
//!
//! dnsgate does not queue datagrams: if a worker cannot keep up, they wait in the kernel's buffer,
//! and the kernel drops them when it is full. A worker does not wait to send either: it drops and
//! counts a reply that the kernel does not take at once, and the client retries.

#[cfg(target_os = "linux")]
mod batch;
#[cfg(target_os = "linux")]
mod batched;
#[cfg(target_os = "linux")]
mod kernel_layout;
#[cfg(any(not(target_os = "linux"), test))]
mod plain;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, thread, time::Duration};

use socket2::Socket;

use dnsgate_core::dns::query::UDP_PAYLOAD;

#[cfg(target_os = "linux")]
pub(super) use batch::OwnedReturnAddress;
#[cfg(target_os = "linux")]
pub(super) use batched::serve;
#[cfg(not(target_os = "linux"))]
pub(super) use plain::serve;

/// The receive buffer that we request per socket: about 5000 queries. The kernel has a limit of its
/// own (net.core.rmem_max), which is usually lower.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Sets a socket's options, before it is bound.
pub(super) fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.set_read_timeout(Some(STOP_CHECK))?;
    if socket
        .recv_buffer_size()
        .is_ok_and(|size| size < RECEIVE_BUFFER)
    {
        // A smaller buffer is not an error that the operator needs to see.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    #[cfg(target_os = "linux")]
    batch::prepare(socket, address)?;
    #[cfg(not(target_os = "linux"))]
    let _ = address;
    Ok(())
}

/// Maximum bytes of a query: the largest size that EDNS clients have announced. A legitimate query
/// has a name of up to 255 bytes and some options. For longer datagrams, which are truncated, only
/// the header is handled.
const QUERY: usize = 4096;
/// Maximum bytes of a reply: the transport limit that the handler gets.
const REPLY: usize = UDP_PAYLOAD as usize;
/// Maximum sleep of a worker before it checks the stop signal. Four wake-ups per second cost almost
/// nothing and delay shutdown by at most this time.
const STOP_CHECK: Duration = Duration::from_millis(250);
/// Datagrams that are still answered after the stop signal: more than a full receive buffer holds,
/// but bounded if clients keep sending.
const DRAIN: usize = 8192;
/// Pause after a socket error that does not concern a datagram, to avoid a busy loop.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Handles a receive error. Timeouts and errors from ICMP need no action; any other error causes a
/// pause, to avoid a busy loop.
fn after_error(error: &io::Error) {
    use io::ErrorKind as Kind;
    if !matches!(
        error.kind(),
        Kind::WouldBlock
            | Kind::TimedOut
            | Kind::Interrupted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
    ) {
        thread::sleep(ERROR_PAUSE);
    }
}
