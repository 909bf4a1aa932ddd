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
#[cfg(test)]
mod tests;
mod unread;

use std::{cell::RefCell, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use socket2::Socket;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime,
    task::{JoinSet, LocalSet},
    time,
};

use super::{Event, Handler, Stop};

pub(super) use connections::Connections;
pub(super) use unread::Unread;

/// Pause after a connection could not be accepted: the reason is seldom gone a moment later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest message that the two bytes of length can announce.
const MESSAGE: usize = u16::MAX as usize;

/// What streams may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections in all. One more closes the one that has waited longest.
    pub connections: usize,
    /// Connections of one client: an IPv4 address, or an IPv6 network of 64 bits. One more is
    /// closed at once.
    pub per_client: usize,
    /// How long a connection may wait for the first byte of a message.
    pub idle: Duration,
    /// How long a message may take from its first byte to its last.
    pub message: Duration,
    /// How long a client may take to read one reply.
    pub write: Duration,
    /// Messages that are answered on one connection before it is others' turn.
    pub pipeline: usize,
    /// Bytes of replies that clients have not read, of all connections. More of them close the one
    /// whose client has not read for longest.
    pub unread: usize,
    /// The same of one connection: what comes later and finds no room is not taken.
    pub unread_per_connection: usize,
    /// What the kernel is asked to hold of one connection, each way.
    pub socket_buffer: usize,
}

/// What the connections of one worker share. One thread: nobody else has it.
struct Worker<H> {
    state: RefCell<State<H>>,
    connections: Arc<Connections>,
    limits: StreamLimits,
}

struct State<H> {
    handler: H,
    /// Where replies are written before their length is known.
    out: Box<[u8]>,
}

impl<H: Handler> Worker<H> {
    fn observe(&self, event: Event) {
        // It is borrowed only when the handler panicked, and then by nobody who counts.
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.handler.observe(event);
        }
    }
}

/// Serves one worker's sockets until told to stop, and then the messages in progress.
pub(super) fn serve<H: Handler>(
    sockets: Vec<Socket>,
    handler: H,
    connections: Arc<Connections>,
    limits: StreamLimits,
    stop: Stop,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let worker = Rc::new(Worker {
        state: RefCell::new(State {
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
async fn listen<H: Handler>(listener: TcpListener, worker: Rc<Worker<H>>, mut stop: Stop) {
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
                    worker.observe(Event::AcceptFailed);
                    // The usual reason is that no file descriptor is left: let one go.
                    if worker.connections.evict() {
                        worker.observe(Event::ConnectionEvicted);
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
    worker: &Rc<Worker<H>>,
    stop: &Stop,
    stream: TcpStream,
    source: SocketAddr,
) {
    let Some((permit, evicted)) = worker.connections.admit(source.ip()) else {
        worker.observe(Event::ConnectionRefused);
        return;
    };
    if evicted {
        worker.observe(Event::ConnectionEvicted);
    }
    // Replies go out whole, and at once.
    let _ = stream.set_nodelay(true);
    open.spawn_local(connection::serve(
        stream,
        source,
        permit,
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
