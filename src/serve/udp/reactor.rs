//! The runtime of one worker's queries that wait for an upstream.
//!
//! ```text
//!   nobody waits      a turn: asleep in recvmmsg until a datagram comes
//!   somebody waits    a turn: their tasks run, asleep in epoll_wait, until a datagram comes
//! ```
//!
//! They wait on the thread that took them, because a hop to another one and back costs more than
//! all else that a forwarded query needs of the processor. What a task does at a time is short, and
//! datagrams come before tasks: a few of those run, then the socket is looked at again. What may
//! take longer, the connections to upstreams, runs on the runtime of the program.

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

/// Tasks that run before it is looked for datagrams. Each takes some ten microseconds, and that is
/// what an answer may wait for them; to look costs one system call.
const TASKS: u32 = 8;
/// How often it is looked for datagrams where the kernel has no room to tell of them.
const LOOK: Duration = Duration::from_millis(1);
/// How often it is looked at the end whether somebody still waits.
const END_CHECK: Duration = Duration::from_millis(5);

/// A worker's socket, and the runtime that tasks run on which are spawned by its handler.
pub(super) struct Reactor {
    socket: Arc<Socket>,
    runtime: Runtime,
    /// Made when somebody waits for the first time: where nothing is forwarded, the kernel has no
    /// second place to tell of a datagram.
    readable: Option<AsyncFd<Arc<Socket>>>,
    /// Whether the last batch was a full one: there may be more, and the tasks get their turn first.
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

    /// Waits for datagrams, [`STOP_CHECK`] at most, lets those tasks run meanwhile that there are, and
    /// has `answer` called with how many have come. What that spawns runs here, in later turns.
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
            // Who waits must not cost the others their answers.
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
                // Fewer than a batch holds are all that there were.
                ready.clear_ready();
            }
            answer(batch, received?);
            io::Result::Ok(full)
        })?;
        Ok(())
    }

    /// The same without a turn of the tasks, and without waiting where `wait` says so.
    pub(super) fn answer(
        &self,
        batch: &mut Batch,
        wait: Wait,
        answer: impl FnOnce(&mut Batch, usize),
    ) -> io::Result<()> {
        let received = batch.receive(&self.socket, wait)?;
        // Within the runtime, or what is spawned would have to wake it.
        self.runtime.block_on(async { answer(batch, received) });
        Ok(())
    }

    /// Lets the tasks run until all have ended, or `longest` has passed.
    pub(super) fn finish(&self, longest: Duration) {
        let ended = async {
            while !self.is_idle() {
                time::sleep(END_CHECK).await;
            }
        };
        // What has not ended by then ends with the runtime.
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
    fn full_batches_leave_the_tasks_their_turns() {
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
    fn the_end_waits_for_the_tasks_but_not_for_ever() {
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
