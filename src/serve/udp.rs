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
mod common;
#[cfg(target_os = "linux")]
mod kernel_layout;
#[cfg(any(not(target_os = "linux"), test))]
mod plain;
#[cfg(target_os = "linux")]
mod reactor;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr};

use socket2::Socket;

use self::common::STOP_CHECK;

#[cfg(target_os = "linux")]
pub(super) use batch::OwnedReturnAddress;
#[cfg(target_os = "linux")]
pub(super) use batched::serve;
#[cfg(not(target_os = "linux"))]
pub(super) use plain::serve;

/// What we ask the kernel to keep for us per socket: about 5000 queries. The kernel has a bound of
/// its own (net.core.rmem_max), usually lower.
const RECEIVE_BUFFER: usize = 4 << 20;
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
