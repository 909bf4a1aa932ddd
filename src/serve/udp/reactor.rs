//! The runtime for one worker's queries that wait for an upstream.
//!
//! ```text
//!   no query in flight    a turn: sleeps in recvmmsg until a datagram arrives
//!   queries in flight     a turn: runs their tasks, sleeps in epoll_wait until a datagram arrives
//! ```
//!
//! Queries wait on the thread that received them, because a switch to another thread and back costs
//! more CPU time than the rest of a forwarded query. A task runs only briefly at a time. Datagrams
//! have priority over tasks: after a few tasks the socket is checked again. Longer work, such as
//! connecting to upstreams, runs on the program's runtime.

use std::{io, mem, sync::Arc, time::Duration};

use socket2::Socket;
use tokio::{
    io::unix::AsyncFd,
    runtime::{self, Runtime},
    task, time,
};

use super::{
    batch::{BATCH, Batch, Wait, register},
    common::STOP_CHECK,
};

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
    /// later turns.
    pub(super) fn turn(
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

    /// Like [`Self::turn`], but runs no tasks, and does not wait if `wait` says so.
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
        net::UdpSocket,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::*;

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
        for turn in 0..3 {
            let task = Arc::clone(&ran);
            let turned = reactor.turn(&mut batch, |_, received| {
                assert_eq!(received, BATCH);
                had_run.push(ran.load(Ordering::Relaxed));
                if turn == 0 {
                    task::spawn(async move {
                        // It takes two turns, of which the second comes between full batches.
                        task::yield_now().await;
                        task.store(true, Ordering::Relaxed);
                        std::future::pending::<()>().await;
                    });
                }
            });
            turned.expect("datagrams");
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
