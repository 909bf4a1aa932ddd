//! What the tests of listeners share: a handler that echoes, and a server that is up.

use std::sync::Mutex;

use super::*;
use dnsgate_core::engine::Outcome;

pub(super) const LIMITS: StreamLimits = StreamLimits {
    connections: 1000,
    per_client: 1000,
    idle: Duration::from_secs(20),
    message: Duration::from_secs(20),
    write: Duration::from_secs(20),
    pipeline: 16,
    unread: 1 << 20,
    unread_per_connection: 1 << 18,
    socket_buffer: 16 << 10,
};

/// Nothing that a test waits for takes so long unless it never comes.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// How long a task waits before it replies: other datagrams come meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// What the handlers of one server have seen.
#[derive(Default)]
pub(super) struct Seen {
    /// Messages, by worker.
    pub(super) handled: Vec<usize>,
    pub(super) batches: usize,
    pub(super) panics: usize,
    pub(super) events: Vec<ListenerEvent>,
}

impl Seen {
    pub(super) fn count(&self, event: ListenerEvent) -> usize {
        self.events.iter().filter(|seen| **seen == event).count()
    }
}

/// Replies with the message itself, cut to what the transport takes. A message that ends in
/// `panic` makes it panic, one that ends in `silence` gets no reply, one that ends in `later` gets its
/// from another thread, one that ends in `task` from a task that has waited.
pub(super) struct Echo {
    worker: usize,
    pub(super) seen: Arc<Mutex<Seen>>,
}

impl Echo {
    pub(super) fn new(seen: &Arc<Mutex<Seen>>) -> Self {
        let mut locked = seen.lock().expect("no poison");
        locked.handled.push(0);
        Self {
            worker: locked.handled.len() - 1,
            seen: Arc::clone(seen),
        }
    }
}

impl Handler for Echo {
    fn begin_batch(&mut self) {
        self.seen.lock().expect("no poison").batches += 1;
    }

    fn handle(
        &mut self,
        message: ClientMessage<'_>,
        out: &mut [u8],
        responder: &dyn Responder,
    ) -> Option<usize> {
        self.seen.lock().expect("no poison").handled[self.worker] += 1;
        assert!(!message.packet.ends_with(b"panic"), "as the message says");
        if message.packet.ends_with(b"silence") {
            return None;
        }
        if message.packet.ends_with(b"later") {
            let (reply, back) = (message.packet.to_vec(), responder.detach());
            let back = back.expect("not full");
            thread::spawn(move || back.send(&reply).expect("room"));
            return None;
        }
        if message.packet.ends_with(b"task") {
            let (reply, back) = (message.packet.to_vec(), responder.detach());
            let back = back.expect("not full");
            tokio::spawn(async move {
                tokio::time::sleep(PAUSE).await;
                back.send(&reply).expect("room");
            });
            return None;
        }
        let len = message.packet.len().min(out.len());
        out[..len].copy_from_slice(&message.packet[..len]);
        Some(len)
    }

    fn panicked(&mut self, _: ClientMessage<'_>, _: Outcome, _: &[u8]) {
        self.seen.lock().expect("no poison").panics += 1;
    }

    fn observe(&mut self, event: ListenerEvent) {
        self.seen.lock().expect("no poison").events.push(event);
    }
}

/// A server on free ports, and what its handlers have seen.
pub(super) struct Up {
    pub(super) running: Running,
    pub(super) seen: Arc<Mutex<Seen>>,
}

impl Up {
    pub(super) fn start(
        listen: &[(Transport, &str)],
        workers: usize,
        limits: StreamLimits,
    ) -> Self {
        Self::serve(bind(listen, workers, limits))
    }

    pub(super) fn serve(server: Server) -> Self {
        let seen = Arc::default();
        let running = server.start(|| Echo::new(&seen)).expect("threads start");
        Self { running, seen }
    }

    /// The address of the listener `at`.
    pub(super) fn address(&self, at: usize) -> SocketAddr {
        self.running.addresses()[at].1
    }
}

pub(super) fn bind(listen: &[(Transport, &str)], workers: usize, limits: StreamLimits) -> Server {
    let listen: Vec<_> = listen
        .iter()
        .map(|(transport, address)| (*transport, address.parse().expect("an address")))
        .collect();
    let workers = NonZeroUsize::new(workers).expect("not zero");
    Server::bind(&listen, workers, limits).expect("free ports")
}

/// A client's UDP socket that takes replies from `server` alone.
pub(super) fn udp_client(from: &str, server: SocketAddr) -> std::net::UdpSocket {
    let socket = std::net::UdpSocket::bind(from).expect("a free port");
    socket.connect(server).expect("an address");
    socket.set_read_timeout(Some(SOON)).expect("a time-out");
    socket
}

/// What the server replies to one datagram.
pub(super) fn udp_ask(client: &std::net::UdpSocket, query: &[u8]) -> Vec<u8> {
    client.send(query).expect("room");
    let mut reply = [0; 65535];
    let len = client.recv(&mut reply).expect("a reply");
    reply[..len].to_vec()
}
