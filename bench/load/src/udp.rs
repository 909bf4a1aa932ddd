//! Questions over UDP, in batches, from several sockets.
//!
//! The closed loop keeps a window of unanswered queries on each socket: the server is never idle
//! and its queue never overflows. The open loop sends by the clock, whatever the server does, and
//! measures the time from sending to reply. Both spin, because waking a sleeping generator would cost
//! the server CPU time. Between two rounds they yield to other processes, so that spinning costs those
//! nothing.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{
    args::Args,
    batch::{Batch, Wait},
    histogram::Histogram,
    questions::{self, Questions},
    report::Report,
};

/// Datagrams per system call.
const BATCH: usize = 64;
/// After this time a query without a reply is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the generator looks for such queries.
const LOOK: Duration = Duration::from_millis(100);
/// Queries of one socket that can be distinguished: more than a window, and a power of two.
const RING: usize = 4096;

/// A query that waits for its reply.
#[derive(Clone, Copy)]
struct Pending {
    id: u16,
    /// Nanoseconds from the beginning of the run.
    sent: u64,
}

/// One socket and its queries.
struct Flow {
    socket: UdpSocket,
    next: u16,
    waiting: usize,
    ring: Vec<Option<Pending>>,
}

/// One run.
struct Run {
    questions: Questions,
    flows: Vec<Flow>,
    batch: Batch,
    lengths: Vec<usize>,
    began: Instant,
    latency: Histogram,
    report: Report,
}

/// Asks for as long as the arguments say.
pub(crate) fn run(args: &Args) -> anyhow::Result<Report> {
    let mut run = Run {
        questions: Questions::read(&args.file, args.fresh)?,
        flows: (0..args.sockets)
            .map(|number| Flow::open(args.server, number))
            .collect::<io::Result<_>>()
            .context("no socket")?,
        batch: Batch::new(BATCH, false),
        lengths: Vec::with_capacity(BATCH),
        began: Instant::now(),
        latency: Histogram::new(),
        report: Report::default(),
    };
    run.began = Instant::now();
    match args.rate {
        None => run.closed(args)?,
        Some(rate) => run.open(args, rate)?,
    }
    run.report.time = run.began.elapsed();
    run.drain()?;
    let mut report = run.report;
    report.latency = args.rate.map(|_| run.latency);
    Ok(report)
}

impl Run {
    fn closed(&mut self, args: &Args) -> anyhow::Result<()> {
        let mut look = LOOK;
        loop {
            let now = self.began.elapsed();
            if now >= args.time || self.report.sent >= args.count {
                return Ok(());
            }
            let mut idle = true;
            for flow in 0..self.flows.len() {
                idle &= self.take(flow)? == 0;
                let room = args.window.saturating_sub(self.waiting(flow));
                idle &= self.send(flow, room)? == 0;
            }
            if now >= look {
                look = now + LOOK;
                self.give_up(PATIENCE);
            }
            if idle {
                thread::yield_now();
            }
        }
    }

    fn open(&mut self, args: &Args, rate: u32) -> anyhow::Result<()> {
        let mut look = LOOK;
        let mut turn = 0;
        loop {
            let now = self.began.elapsed();
            if now >= args.time || self.report.sent >= args.count {
                return Ok(());
            }
            let due = (now.as_secs_f64() * f64::from(rate)) as u64;
            let due = usize::try_from(due.saturating_sub(self.report.sent))?;
            if due > 0 {
                self.send(turn, due)?;
                turn = (turn + 1) % self.flows.len();
            }
            let mut idle = due == 0;
            for flow in 0..self.flows.len() {
                idle &= self.take(flow)? == 0;
            }
            if now >= look {
                look = now + LOOK;
                self.give_up(PATIENCE);
            }
            if idle {
                thread::yield_now();
            }
        }
    }

    /// Waits for the last replies.
    fn drain(&mut self) -> anyhow::Result<()> {
        let end = self.began.elapsed() + PATIENCE;
        while (0..self.flows.len()).any(|flow| self.waiting(flow) > 0) {
            for flow in 0..self.flows.len() {
                self.take(flow)?;
            }
            if self.began.elapsed() >= end {
                self.give_up(Duration::ZERO);
            }
        }
        Ok(())
    }

    fn waiting(&self, flow: usize) -> usize {
        self.flows.get(flow).map_or(0, |flow| flow.waiting)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Sends up to `count` queries, a batch at most; returns how many the kernel took.
    fn send(&mut self, flow: usize, count: usize) -> anyhow::Result<usize> {
        let now = self.now();
        let (Some(flow), count) = (self.flows.get_mut(flow), count.min(self.batch.size())) else {
            return Ok(0);
        };
        if count == 0 {
            return Ok(0);
        }
        self.lengths.clear();
        for (at, step) in (0..count).zip(0_u16..) {
            let id = flow.next.wrapping_add(step);
            if let Some(out) = self.batch.outgoing(at) {
                self.lengths.push(self.questions.write(id, out));
            }
        }
        let sent = match self.batch.send(&flow.socket, &self.lengths) {
            Ok(sent) => sent,
            Err(error) if is_full(&error) => 0,
            Err(error) => return Err(error).context("cannot send"),
        };
        for _ in 0..sent {
            self.report.lost += u64::from(flow.push(now));
        }
        self.report.sent += sent as u64;
        Ok(sent)
    }

    /// Receives the replies that are there, a batch at most; returns how many came.
    fn take(&mut self, flow: usize) -> anyhow::Result<usize> {
        let Some(flow) = self.flows.get_mut(flow) else {
            return Ok(0);
        };
        let received = match self.batch.receive(&flow.socket, Wait::Not) {
            Ok(received) => received,
            Err(error) if is_full(&error) => return Ok(0),
            Err(error) => return Err(error).context("cannot receive"),
        };
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        for at in 0..received {
            let Some((reply, _)) = self.batch.pair(at) else {
                continue;
            };
            match questions::id(reply).and_then(|id| flow.pop(id)) {
                None => self.report.stray += 1,
                Some(query) if self.questions.is_right(query.id, reply) => {
                    self.report.answered += 1;
                    self.latency.add(now.saturating_sub(query.sent));
                }
                Some(_) => self.report.wrong += 1,
            }
        }
        Ok(received)
    }

    /// Counts queries older than `patience` as lost.
    fn give_up(&mut self, patience: Duration) {
        let patience = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        let before = self.now().saturating_sub(patience);
        for flow in &mut self.flows {
            for slot in &mut flow.ring {
                if slot.is_some_and(|query| query.sent <= before) {
                    *slot = None;
                    flow.waiting -= 1;
                    self.report.lost += 1;
                }
            }
        }
    }
}

impl Flow {
    fn open(server: SocketAddr, number: usize) -> io::Result<Self> {
        let any = if server.is_ipv4() {
            "127.0.0.1:0"
        } else {
            "[::1]:0"
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            // Each socket begins at a different question.
            next: (number as u16).wrapping_mul(0x3c1f),
            waiting: 0,
            ring: vec![None; RING],
        })
    }

    /// Records that the next query was sent; returns whether it replaced one that was never answered.
    fn push(&mut self, now: u64) -> bool {
        let id = self.next;
        self.next = id.wrapping_add(1);
        let query = Pending { id, sent: now };
        let Some(slot) = self.ring.get_mut(usize::from(id) % RING) else {
            return false;
        };
        let lost = slot.replace(query).is_some();
        self.waiting += usize::from(!lost);
        lost
    }

    /// Takes the query that a reply with this id answers.
    fn pop(&mut self, id: u16) -> Option<Pending> {
        let slot = self.ring.get_mut(usize::from(id) % RING)?;
        let query = slot.take_if(|query| query.id == id)?;
        self.waiting -= 1;
        Some(query)
    }
}

/// Nothing to receive, or no room to send; a refused port shows in the number of lost queries.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::WouldBlock | Kind::Interrupted | Kind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_once_and_by_its_id() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut flow = Flow::open(server.local_addr().unwrap(), 1).unwrap();
        let first = flow.next;
        assert!(!flow.push(7) && !flow.push(8));
        assert!(flow.pop(first.wrapping_add(RING as u16)).is_none());
        assert_eq!(flow.pop(first).map(|query| query.sent), Some(7));
        assert!(flow.pop(first).is_none());
        assert_eq!(flow.waiting, 1);
        flow.next = first.wrapping_add(RING as u16 + 1);
        assert!(flow.push(9), "the second makes way and is lost");
        assert_eq!(flow.waiting, 1);
    }
}
