//! TCP (RFC 7766): connections in, messages out of them, replies back in the order of the queries.
//!
//! The framing is hickory-net's, the accept loop is ours: hickory-server's own loop answers
//! malformed messages before a handler sees them, has no bound on connections, and its time-out
//! starts afresh with every byte. Here every connection is held to three deadlines (`deadlined`)
//! and counted against two caps (`connections`), so that idle clients, slow ones and many of them
//! cost bounded memory and nobody else's service.
//!
//! One message of a connection is in work at a time, and a client that does not read its replies is
//! not read from either. What it has outstanding is bounded in bytes, by connection and in all: in the
//! kernel by small buffers, in here by `unread`, which counts replies from when they are made until
//! the kernel has taken them. A connection costs a few KiB while idle and at most 64 KiB for the
//! message that it is sending.
//!
//! Each worker is one thread with a runtime of its own, apart from the UDP workers: whatever
//! streams are up to, datagrams do not wait for it.

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
use super::handler::{Handler, ListenerEvent, StopSignal};

pub(super) use connections::Connections;
pub use stream_limits::StreamLimits;

/// Pause after a connection could not be accepted: the reason is seldom gone a moment later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest message that the two bytes of length can announce.
const MESSAGE: usize = u16::MAX as usize;

/// Serves one worker's sockets until told to stop, and then the messages in progress.
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

/// Accepts connections until told to stop, then waits for them.
async fn listen<H: Handler>(listener: TcpListener, worker: Rc<TcpWorker<H>>, mut stop: StopSignal) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            // What a connection's task returns, or that it panicked, is nobody else's concern.
            Some(_) = open.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, source)) => admit(&mut open, &worker, &stop, stream, source),
                Err(error) if of_one_client(&error) => {}
                Err(_) => {
                    worker.observe(ListenerEvent::AcceptFailed);
                    // The usual reason is that no file descriptor is left: let one go.
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
    // Replies go out whole, and at once.
    let _ = stream.set_nodelay(true);
    open.spawn_local(connection::serve(
        stream,
        source,
        slot,
        Rc::clone(worker),
        stop.clone(),
    ));
}

/// Whether an error of accepting is about the one connection that was to be accepted.
fn of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted
    )
}
