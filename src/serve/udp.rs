//! The hot path: datagrams in, replies out, one blocking thread per socket.
//!
//! On Linux in batches of as many as are there (`batched`), one system call in and one out;
//! elsewhere one by one (`plain`). A thread sleeps in the kernel until something comes, with a
//! time-out only to see that it is to stop; queries that wait for an upstream run there, too
//! (`reactor`). On a wildcard address every reply leaves from the
//! address that was asked: a client takes no other.
//!
//! Datagrams are never queued in here: what a worker cannot keep up with stays in the kernel's
//! buffer and, when that is full, is dropped there. Nor does a worker wait to send: a reply that the
//! kernel does not take at once is dropped and counted, and its client asks again.

#[cfg(target_os = "linux")]
mod batch;
#[cfg(target_os = "linux")]
mod batched;
#[cfg(any(not(target_os = "linux"), test))]
mod plain;
#[cfg(target_os = "linux")]
mod reactor;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, thread, time::Duration};

use socket2::Socket;

use super::Stop;
use dnsgate_core::dns::edns::UDP_PAYLOAD;

#[cfg(target_os = "linux")]
pub(super) use batch::Envelope;
#[cfg(target_os = "linux")]
pub(super) use batched::serve;
#[cfg(not(target_os = "linux"))]
pub(super) use plain::serve;

/// Bytes of one query. The largest that EDNS clients ever announced; a query of ours has a name of
/// 255 and some options. Longer datagrams are cut, and their header alone is handled.
const QUERY: usize = 4096;
/// Bytes of one reply: the transport's limit that the handler is told.
const REPLY: usize = UDP_PAYLOAD as usize;
/// How long a worker sleeps at most before it looks whether it is to stop. Waking four times a
/// second costs nothing, and a shutdown is that much slower at worst.
const STOP_CHECK: Duration = Duration::from_millis(250);
/// What we ask the kernel to keep for us per socket: about 5000 queries. The kernel has a bound of
/// its own (net.core.rmem_max), usually lower.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Datagrams that are still answered when the worker is to stop: more than a full receive buffer
/// holds, and an end in sight when clients go on sending.
const DRAIN: usize = 8192;
/// Pause after an error of the socket that is about no datagram, so that it is not met again at
/// once and for ever.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Sets a socket's options, before it is bound.
pub(super) fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.set_read_timeout(Some(STOP_CHECK))?;
    if socket
        .recv_buffer_size()
        .is_ok_and(|size| size < RECEIVE_BUFFER)
    {
        // A smaller buffer than wished for is none of the operator's concern.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    #[cfg(target_os = "linux")]
    batch::prepare(socket, address)?;
    #[cfg(not(target_os = "linux"))]
    let _ = address;
    Ok(())
}

/// Whether the worker is to stop. One atomic load.
fn stopped(stop: &Stop) -> bool {
    !matches!(stop.has_changed(), Ok(false))
}

/// What to do about an error of receiving: errors of waiting and those that ICMP brought are about
/// nothing that could be answered; whatever else there is must not become a busy loop.
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
