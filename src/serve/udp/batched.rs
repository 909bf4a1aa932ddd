//! The loop over batches: receive, prefetch, answer, send; and the runtime for the queries of one
//! worker that wait for an upstream.
//!
//! ```text
//!   no query in flight    a poll: sleeps in recvmmsg until a datagram arrives
//!   queries in flight     a poll: runs their tasks, sleeps in epoll_wait until a datagram arrives
//! ```
//!
//! Queries wait on the thread that received them, because a switch to another thread and back costs
//! more CPU time than the rest of a forwarded query. A task runs only briefly at a time. Datagrams
//! have priority over tasks: after a few tasks the socket is checked again. Longer work, such as
//! connecting to upstreams, runs on the program's runtime.

use std::{
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use socket2::Socket;
use tokio::{
    io::unix::AsyncFd,
    runtime::{self, Runtime},
    task, time,
};

use crate::serve::{
    handler::{self, ClientMessage, Handler, ListenerEvent},
    responder::{DetachedResponder, Responder},
    stop_signal::{StopSignal, stopped},
};
use dnsgate_core::dns::Transport;

use super::{
    DRAIN, STOP_CHECK, after_error,
    batch::{BATCH, Batch, ReturnAddress, Wait, register},
};

/// Serves one socket until the stop signal, then answers what the kernel has buffered and waits for
/// the queries in flight. Tasks that the handler spawns run in this thread.
///
/// # Errors
/// The runtime for in-flight queries cannot be created.
pub(in crate::serve) fn serve<H: Handler>(
    socket: &Arc<Socket>,
    mut handler: H,
    stop: &StopSignal,
) -> io::Result<()> {
    let mut reactor = Reactor::new(socket)?;
    let mut batch = Batch::new();
    let mut answered = |batch: &mut Batch, received| answer(batch, received, socket, &mut handler);
    while !stopped(stop) {
        if let Err(error) = reactor.poll(&mut batch, &mut answered) {
            after_error(&error);
        }
    }
    for _ in 0..DRAIN / BATCH {
        if reactor
            .answer(&mut batch, Wait::Not, &mut answered)
            .is_err()
        {
            break;
        }
    }
    reactor.finish(stop.borrow().unwrap_or_default());
    Ok(())
}

/// Answers one datagram later, on this socket and from the address that the query was sent to.
struct UdpResponder<'b>(&'b Arc<Socket>, ReturnAddress<'b>);

impl Responder for UdpResponder<'_> {
    fn detach(&self) -> Option<DetachedResponder> {
        let Self(socket, return_address) = self;
        Some(DetachedResponder::datagram(
            Arc::clone(socket),
            return_address.to_owned(),
        ))
    }
}

/// Lets the handler prefetch memory for the whole batch. For a single datagram that gains nothing.
fn prefetch<H: Handler>(batch: &mut Batch, received: usize, handler: &mut H) {
    if received < 2 {
        return;
    }
    // A panic loses nothing: the packet that caused it is handled under `catch_panic` afterwards.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        for at in 0..received {
            if let Some(received) = batch.query(at)
                && !handler.prefetch(received.query)
            {
                return;
            }
        }
        handler.fetch();
    }));
}

fn answer<H: Handler>(batch: &mut Batch, received: usize, socket: &Arc<Socket>, handler: &mut H) {
    handler.begin_batch();
    prefetch(batch, received, handler);
    for at in 0..received {
        let Some(received) = batch.query(at) else {
            handler.observe(ListenerEvent::Unanswerable);
            continue;
        };
        let message = ClientMessage {
            packet: received.query,
            source: received.source,
            transport: Transport::Udp,
        };
        let responder = UdpResponder(socket, received.return_address);
        if let Some(len) =
            handler::answer_catching_panics(handler, message, received.reply, &responder)
        {
            batch.reply(at, len);
        }
    }
    handler.end_batch();
    for _ in 0..batch.send(socket) {
        handler.observe(ListenerEvent::ReplyLost);
    }
}

/// Tasks that run before the socket is checked again. A task takes about ten microseconds, which
/// delays an answer; a check costs one system call.
const TASKS: u32 = 8;
/// How often the socket is polled if the kernel cannot register it.
const LOOK: Duration = Duration::from_millis(1);
/// How often shutdown checks whether queries are still in flight.
const END_CHECK: Duration = Duration::from_millis(5);

/// A worker's socket, and the runtime for the tasks that its handler spawns.
pub(super) struct Reactor {
    socket: Arc<Socket>,
    runtime: Runtime,
    /// Registered when the first query waits: without forwarding, the kernel does not need to
    /// signal datagrams twice.
    readable: Option<AsyncFd<Arc<Socket>>>,
    /// Whether the last batch was full. More datagrams may be available, but the tasks run first.
    full: bool,
}

impl Reactor {
    pub(super) fn new(socket: &Arc<Socket>) -> io::Result<Self> {
        Ok(Self {
            socket: Arc::clone(socket),
            runtime: runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .event_interval(TASKS)
                .build()?,
            readable: None,
            full: false,
        })
    }

    /// Waits up to [`STOP_CHECK`] for datagrams, runs the existing tasks meanwhile, and calls
    /// `answer` with the number of received datagrams. Tasks that `answer` spawns run here, in
    /// later polls.
    pub(super) fn poll(
        &mut self,
        batch: &mut Batch,
        answer: impl FnOnce(&mut Batch, usize),
    ) -> io::Result<()> {
        if self.is_idle() {
            return self.answer(batch, Wait::ForOne, answer);
        }
        if self.readable.is_none() {
            let _entered = self.runtime.enter();
            self.readable = register(&self.socket).ok();
        }
        let Some(readable) = &self.readable else {
            // In-flight queries must not keep other clients from an answer.
            self.runtime.block_on(time::sleep(LOOK));
            return self.answer(batch, Wait::Not, answer);
        };
        let full = mem::take(&mut self.full);
        self.full = self.runtime.block_on(async {
            if full {
                task::yield_now().await;
            }
            let mut ready = time::timeout(STOP_CHECK, readable.readable()).await??;
            let received = batch.receive(&self.socket, Wait::Not);
            let full = matches!(received, Ok(BATCH));
            if !full {
                // A batch that is not full has emptied the socket.
                ready.clear_ready();
            }
            answer(batch, received?);
            io::Result::Ok(full)
        })?;
        Ok(())
    }

    /// Like [`Self::poll`], but runs no tasks, and does not wait if `wait` says so.
    pub(super) fn answer(
        &self,
        batch: &mut Batch,
        wait: Wait,
        answer: impl FnOnce(&mut Batch, usize),
    ) -> io::Result<()> {
        let received = batch.receive(&self.socket, wait)?;
        // Within the runtime, so that a spawned task need not wake it.
        self.runtime.block_on(async { answer(batch, received) });
        Ok(())
    }

    /// Runs the tasks until all have ended or `longest` has passed.
    pub(super) fn finish(&self, longest: Duration) {
        let ended = async {
            while !self.is_idle() {
                time::sleep(END_CHECK).await;
            }
        };
        // The remaining tasks end with the runtime.
        let _ = self
            .runtime
            .block_on(async { time::timeout(longest, ended).await });
    }

    fn is_idle(&self) -> bool {
        self.runtime.metrics().num_alive_tasks() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{SocketAddr, UdpSocket},
        sync::{
            Mutex,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    use socket2::{Domain, Type};
    use tokio::sync::watch;

    use crate::serve::udp::prepare;
    use dnsgate_core::engine::Outcome;

    use super::*;

    /// Notes what it is called for.
    struct Called {
        calls: Arc<Mutex<Vec<&'static str>>>,
        foresees: fn() -> bool,
    }

    impl Called {
        fn note(&self, call: &'static str) {
            self.calls.lock().expect("no poison").push(call);
        }
    }

    impl Handler for Called {
        fn begin_batch(&mut self) {}

        fn prefetch(&mut self, packet: &[u8]) -> bool {
            assert_eq!(packet, b"hello");
            self.note("prefetch");
            (self.foresees)()
        }

        fn fetch(&mut self) {
            self.note("fetch");
        }

        fn handle(
            &mut self,
            _: ClientMessage<'_>,
            _: &mut [u8],
            _: &dyn Responder,
        ) -> Option<usize> {
            self.note("handle");
            None
        }

        fn panicked(&mut self, _: ClientMessage<'_>, _: Outcome, _: &[u8]) {}

        fn observe(&mut self, _: ListenerEvent) {}
    }

    /// What a handler is called for when so many datagrams are there.
    fn calls(datagrams: usize, foresees: fn() -> bool) -> String {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        prepare(&socket, any).expect("options");
        socket.bind(&any.into()).expect("a port");
        let address = socket.local_addr().expect("bound");
        let client = UdpSocket::bind(any).expect("a port");
        for _ in 0..datagrams {
            let to = address.as_socket().expect("an address");
            client.send_to(b"hello", to).expect("sent");
        }
        let calls = Arc::default();
        let handler = Called {
            calls: Arc::clone(&calls),
            foresees,
        };
        let (sender, stop) = watch::channel(None);
        sender.send(Some(Duration::ZERO)).expect("a receiver");
        serve(&Arc::new(socket), handler, &stop).expect("well ended");
        calls.lock().expect("no poison").join(" ")
    }

    #[test]
    fn prefetches_the_whole_batch_before_it_handles_one() {
        for (datagrams, foresees, expected) in [
            (1, (|| true) as fn() -> bool, "handle"),
            (2, || true, "prefetch prefetch fetch handle handle"),
            (3, || false, "prefetch handle handle handle"),
            (2, || panic!("as the test says"), "prefetch handle handle"),
        ] {
            assert_eq!(calls(datagrams, foresees), expected);
        }
    }

    /// A reactor whose socket holds so many datagrams.
    fn holding(datagrams: usize) -> Reactor {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        for _ in 0..datagrams {
            client.send_to(b"hello", address).expect("room");
        }
        Reactor::new(&Arc::new(socket.into())).expect("a runtime")
    }

    #[test]
    fn tasks_run_between_full_batches() {
        let mut reactor = holding(3 * BATCH);
        let mut batch = Batch::new();
        let ran = Arc::new(AtomicBool::new(false));
        let mut had_run = Vec::new();
        for round in 0..3 {
            let task = Arc::clone(&ran);
            let polled = reactor.poll(&mut batch, |_, received| {
                assert_eq!(received, BATCH);
                had_run.push(ran.load(Ordering::Relaxed));
                if round == 0 {
                    task::spawn(async move {
                        // It takes two polls, of which the second comes between full batches.
                        task::yield_now().await;
                        task.store(true, Ordering::Relaxed);
                        std::future::pending::<()>().await;
                    });
                }
            });
            polled.expect("datagrams");
        }
        assert_eq!(had_run.last(), Some(&true), "{had_run:?}");
    }

    #[test]
    fn waits_for_tasks_at_the_end_within_a_limit() {
        let reactor = holding(0);
        let done = Arc::new(AtomicBool::new(false));
        let task = Arc::clone(&done);
        reactor.runtime.spawn(async move {
            time::sleep(2 * END_CHECK).await;
            task.store(true, Ordering::Relaxed);
        });
        reactor.finish(Duration::from_secs(10));
        assert!(done.load(Ordering::Relaxed));
        reactor.runtime.spawn(std::future::pending::<()>());
        reactor.finish(END_CHECK);
        assert!(!reactor.is_idle());
    }
}
