//! TCP (RFC 7766): accepts connections, reads messages and writes replies.
//!
//! The framing is from hickory-net (`upstream::transport` says why dnsgate does not use it toward
//! upstreams). The accept loop is our own: hickory-server's loop answers malformed messages before
//! a handler sees them, does not limit connections, and restarts its timeout with every byte. Here
//! every connection has three deadlines (`deadlined`) and counts toward two limits (`connections`),
//! so that idle clients, slow clients and many clients cost bounded memory and do not affect
//! others.
//!
//! A connection handles one message at a time and is not read while its client does not read
//! replies. Unread replies are bounded in bytes, per connection and in total: in the kernel by
//! small buffers, in dnsgate by `unread`, which counts replies until the kernel has taken them. A
//! connection costs a few KiB while idle and at most 64 KiB for the message that it receives.
//!
//! Each worker is one thread with its own runtime, separate from the UDP workers: datagrams never
//! wait for streams.

mod connection;
mod connections;
mod deadlined;
mod stream_limits;
mod tcp_worker;
#[cfg(test)]
mod tests;
pub(super) mod unread;

use std::{cell::RefCell, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use socket2::Socket;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    task::{JoinSet, LocalSet},
    time,
};

use self::tcp_worker::{HandlerState, TcpWorker};
use super::{
    handler::{Handler, ListenerEvent},
    stop_signal::StopSignal,
};

pub(super) use connections::Connections;
pub(crate) use stream_limits::StreamLimits;

/// Pause after a failed accept, because the cause rarely disappears at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest message that the two-byte length can announce.
const MESSAGE: usize = u16::MAX as usize;

/// Serves one worker's sockets until the stop signal, then finishes the messages in progress.
pub(super) fn serve<H: Handler>(
    sockets: Vec<Socket>,
    handler: H,
    connections: Arc<Connections>,
    limits: StreamLimits,
    stop: StopSignal,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let worker = Rc::new(TcpWorker {
        state: RefCell::new(HandlerState {
            handler,
            out: vec![0; MESSAGE].into_boxed_slice(),
        }),
        connections,
        limits,
    });
    LocalSet::new().block_on(&runtime, async {
        let mut listeners = JoinSet::new();
        for socket in sockets {
            let listener = TcpListener::from_std(socket.into())?;
            listeners.spawn_local(listen(listener, Rc::clone(&worker), stop.clone()));
        }
        while let Some(ended) = listeners.join_next().await {
            ended.map_err(io::Error::other)?;
        }
        Ok(())
    })
}

/// Accepts connections until the stop signal, then waits for them.
async fn listen<H: Handler>(listener: TcpListener, worker: Rc<TcpWorker<H>>, mut stop: StopSignal) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            // The result or panic of a connection's task affects no other connection.
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, source)) => admit(&mut open, &worker, &stop, stream, source),
                Err(error) if of_one_client(&error) => {}
                Err(_) => {
                    worker.observe(ListenerEvent::AcceptFailed);
                    // The usual cause is that no file descriptor is left, so free one.
                    if worker.connections.evict() {
                        worker.observe(ListenerEvent::ConnectionEvicted);
                    }
                    time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drain = stop.borrow().unwrap_or_default();
    let ended = time::timeout(drain, async { while open.join_next().await.is_some() {} });
    if ended.await.is_err() {
        open.shutdown().await;
    }
}

fn admit<H: Handler>(
    open: &mut JoinSet<()>,
    worker: &Rc<TcpWorker<H>>,
    stop: &StopSignal,
    stream: TcpStream,
    source: SocketAddr,
) {
    let Some((slot, evicted)) = worker.connections.admit(source.ip()) else {
        worker.observe(ListenerEvent::ConnectionRefused);
        return;
    };
    if evicted {
        worker.observe(ListenerEvent::ConnectionEvicted);
    }
    open.spawn_local(connection::serve(
        stream,
        source,
        slot,
        Rc::clone(worker),
        stop.clone(),
    ));
}

/// Whether an accept error concerns only the one connection.
fn of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted
    )
}
