//! Resolves one query over several servers: the choice of servers, the time of the hedge, and the
//! answer that counts.
//!
//! ```text
//!  first  ├──────── hedge ────┬──── patience ──────┬───────────────────────────────┤ deadline
//!  second                     └─ early, if paid for │
//!                                                   └─ next server, or the same again
//! ```
//!
//! A server that has timed out may still answer: the first answer wins. The servers that were asked
//! before the winner keep the rest of their time in the background, so that their statistics
//! distinguish slow from dead.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time;

use super::{
    coalescing::Resolution,
    observer::{QueryEnd, UpstreamEvent},
    share::{Party, Requester},
    shared::UpstreamShared,
    transport::{Reply, TransportFault},
};
use crate::clock::monotonic;
use dnsgate_core::{
    dns::{Failure, Response},
    policy::Permit,
};

/// How many retries the silent servers get in total within one deadline.
const AGAIN: usize = 3;

type AttemptFuture = Pin<Box<dyn Future<Output = (usize, Result<Response, Failure>)> + Send>>;

/// The attempts that run: one, and rarely a few more, so all are polled when one of them wakes.
#[derive(Default)]
struct RunningAttempts(Vec<AttemptFuture>);

impl RunningAttempts {
    /// The next attempt that ends; `None` if there is none.
    async fn next(&mut self) -> Option<(usize, Result<Response, Failure>)> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(usize, Result<Response, Failure>)>> {
        for (at, attempt) in self.0.iter_mut().enumerate() {
            if let Poll::Ready(ended) = attempt.as_mut().poll(cx) {
                drop(self.0.swap_remove(at));
                return Poll::Ready(Some(ended));
            }
        }
        match self.0.is_empty() {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    }
}

/// A query to one server that has not ended.
struct PendingAttempt {
    attempt: usize,
    server: usize,
    since: Instant,
    /// When it counts as timed out.
    until: Instant,
    timed_out: bool,
}

struct Hedging {
    shared: Arc<UpstreamShared>,
    permit: Arc<Permit>,
    party: Party,
    order: Vec<usize>,
    /// The number of started attempts.
    started: usize,
    attempts: RunningAttempts,
    pending: Vec<PendingAttempt>,
    /// Servers that have replied and are not asked again.
    spoken: Vec<usize>,
    hedge_at: Option<Instant>,
    deadline: Instant,
    failure: Option<Failure>,
}

/// Asks the servers of an upstream until one has an answer or `deadline` has passed. `party` is the
/// client group that asks.
pub(super) async fn run(
    shared: Arc<UpstreamShared>,
    permit: Arc<Permit>,
    party: Party,
    deadline: Instant,
) -> Resolution {
    let start = monotonic();
    let plan = shared.stats.plan();
    let mut hedging = Hedging {
        deadline,
        hedge_at: (plan.order.len() > 1).then(|| start + plan.hedge_after),
        order: plan.order,
        shared,
        permit,
        party,
        started: 0,
        attempts: RunningAttempts::default(),
        pending: Vec::new(),
        spoken: Vec::new(),
        failure: None,
    };
    hedging.start();
    while !hedging.attempts.0.is_empty() {
        let wake = time::Instant::from_std(hedging.wake());
        tokio::select! {
            biased;
            Some((attempt, result)) = hedging.attempts.next() => match hedging.ended(attempt, result) {
                Some(response) => {
                    hedging.leave();
                    return Ok(response);
                }
                None => hedging.start_untried(),
            },
            () = time::sleep_until(wake) => if hedging.is_over(monotonic()) {
                break;
            },
        }
    }
    Err(hedging.failure.unwrap_or(Failure::Timeout))
}

impl Hedging {
    /// The time of the next action if no reply arrives.
    fn wake(&self) -> Instant {
        let patient = self.pending.iter().filter(|pending| !pending.timed_out);
        patient
            .map(|pending| pending.until)
            .chain(self.hedge_at)
            .fold(self.deadline, Instant::min)
    }

    /// Times out, starts and hedges attempts. Returns whether the deadline has passed.
    fn is_over(&mut self, now: Instant) -> bool {
        let given_up = self.give_up(now);
        if now >= self.deadline {
            return true;
        }
        if given_up && self.pending.iter().all(|pending| pending.timed_out) {
            self.start();
        }
        if self.hedge_at.is_some_and(|at| at <= now) {
            self.hedge();
        }
        false
    }

    /// Marks attempts as timed out. Returns whether there were any.
    fn give_up(&mut self, now: Instant) -> bool {
        let mut any = false;
        for pending in &mut self.pending {
            if !pending.timed_out && pending.until <= now {
                pending.timed_out = true;
                any = true;
                let waited = now.saturating_duration_since(pending.since);
                self.shared.stats.timed_out(pending.server, waited, now);
            }
        }
        any
    }

    fn hedge(&mut self) {
        self.hedge_at = None;
        // With two attempts already started, one has failed or timed out, so no hedge is needed.
        let next = self.order.get(self.started).filter(|_| self.started == 1);
        let Some(&server) = next else {
            return;
        };
        if self.shared.stats.take_hedge(server) {
            self.shared
                .observer
                .observe(UpstreamEvent::Hedged { server });
            self.start();
        }
    }

    /// Asks the next server that has not been asked yet, if any.
    fn start_untried(&mut self) {
        if self.started < self.order.len() {
            self.start();
        }
    }

    /// Asks the next server, or retries a silent one.
    fn start(&mut self) {
        let servers = self.order.len();
        while self.started < servers + AGAIN {
            let attempt = self.started;
            self.started += 1;
            let server = self.order.get(attempt % servers.max(1)).copied();
            if let Some(server) = server.filter(|server| !self.spoken.contains(server)) {
                self.ask(attempt, server);
                return;
            }
        }
    }

    fn ask(&mut self, attempt: usize, server: usize) {
        let since = monotonic();
        let patience = self.shared.stats.patience(server);
        let until = self.deadline.min(since + patience);
        self.pending.push(PendingAttempt {
            attempt,
            server,
            since,
            until,
            timed_out: false,
        });
        let shared = Arc::clone(&self.shared);
        let permit = Arc::clone(&self.permit);
        let requester = Requester {
            party: self.party,
            again: attempt > 0,
        };
        self.attempts.0.push(Box::pin(async move {
            let reported = ReportedAttempt::new(shared, server, since, until - since);
            (attempt, reported.ask(&permit, requester).await)
        }));
    }

    /// Records the end of an attempt. Returns its response, if any.
    fn ended(
        &mut self,
        attempt: usize,
        result: Result<Response, Failure>,
    ) -> Option<Arc<Response>> {
        let at = self.pending.iter().position(|one| one.attempt == attempt)?;
        let server = self.pending.swap_remove(at).server;
        self.spoken.push(server);
        match result {
            Ok(response) => Some(Arc::new(response)),
            Err(failure) => {
                let best = self.failure.map_or(0, weight);
                if weight(failure) >= best {
                    self.failure = Some(failure);
                }
                None
            }
        }
    }

    /// Continues to measure the servers that were asked before the one that answered.
    fn leave(self) {
        let silent = self.pending.iter().filter(|pending| !pending.timed_out);
        let silent: Vec<usize> = silent.map(|pending| pending.server).collect();
        for &server in &silent {
            self.shared.stats.beaten(server, monotonic());
        }
        if !silent.is_empty() {
            tokio::spawn(self.linger());
        }
    }

    async fn linger(mut self) {
        self.hedge_at = None;
        while self.pending.iter().any(|pending| !pending.timed_out) {
            let wake = time::Instant::from_std(self.wake());
            match time::timeout_at(wake, self.attempts.next()).await {
                Ok(Some((attempt, result))) => {
                    self.ended(attempt, result);
                }
                Ok(None) => return,
                Err(_) => {
                    self.give_up(monotonic());
                }
            }
        }
    }
}

/// The failure with the greatest weight is returned; of equal ones, the last.
const fn weight(failure: Failure) -> u8 {
    match failure {
        Failure::Shed | Failure::Down | Failure::Looping | Failure::OverBudget { .. } => 0,
        Failure::Unreachable => 1,
        Failure::Timeout => 2,
        // It shows the operator what to fix.
        Failure::Server(_) => 3,
        Failure::Malformed => 4,
        Failure::Code(_) => 5,
    }
}

/// A query to one server, whose end is reported exactly once.
struct ReportedAttempt {
    shared: Arc<UpstreamShared>,
    server: usize,
    since: Instant,
    patience: Duration,
    reported: bool,
}

impl ReportedAttempt {
    const fn new(
        shared: Arc<UpstreamShared>,
        server: usize,
        since: Instant,
        patience: Duration,
    ) -> Self {
        Self {
            shared,
            server,
            since,
            patience,
            reported: false,
        }
    }

    async fn ask(mut self, permit: &Permit, requester: Requester) -> Result<Response, Failure> {
        let shared = Arc::clone(&self.shared);
        let transport = shared
            .transports
            .get(self.server)
            .ok_or(Failure::Unreachable)?;
        // The connection is abandoned before the query times out, so that the retry uses a new
        // connection.
        match transport
            .ask(permit, self.patience / 4 * 3, requester)
            .await
        {
            Ok(reply) => self.replied(permit, &reply),
            Err(fault) => Err(self.failed(fault)),
        }
    }

    fn replied(&mut self, permit: &Permit, reply: &Reply) -> Result<Response, Failure> {
        // Any reply shows that the server is alive. A client therefore cannot take a server away
        // from others by asking for a name that it fails to resolve.
        self.shared.stats.answered(self.server, Some(reply.rtt));
        let response = read(permit, reply);
        let result = match response {
            Ok(_) => QueryEnd::Answered,
            Err(Failure::Code(_)) => QueryEnd::ErrorCode,
            Err(_) => QueryEnd::Malformed,
        };
        self.tell(result, Some(reply.rtt));
        response
    }

    fn failed(&mut self, fault: TransportFault) -> Failure {
        let (result, failure) = match fault {
            TransportFault::Server(fault) => {
                self.shared.faulty(self.server, fault);
                (QueryEnd::Fault(fault), Failure::Server(fault))
            }
            TransportFault::Silent => {
                let now = monotonic();
                let waited = now.saturating_duration_since(self.since);
                self.shared.stats.timed_out(self.server, waited, now);
                (QueryEnd::Timeout, Failure::Timeout)
            }
            TransportFault::Malformed => (QueryEnd::Malformed, Failure::Malformed),
            TransportFault::Busy => (QueryEnd::Busy, Failure::Shed),
        };
        self.tell(result, None);
        failure
    }

    fn tell(&mut self, result: QueryEnd, rtt: Option<Duration>) {
        self.reported = true;
        self.shared.observer.observe(UpstreamEvent::QueryEnded {
            server: self.server,
            result,
            rtt,
        });
    }
}

impl Drop for ReportedAttempt {
    fn drop(&mut self) {
        if !self.reported {
            let late = monotonic().saturating_duration_since(self.since) >= self.patience;
            let result = if late {
                QueryEnd::Timeout
            } else {
                QueryEnd::Abandoned
            };
            self.tell(result, None);
        }
    }
}

/// Parses a reply. The parser rejects a reply that is still truncated over a stream.
fn read(permit: &Permit, reply: &Reply) -> Result<Response, Failure> {
    let (name, bits) = (permit.name(), permit.bits());
    Response::parse(&reply.message, name, permit.qtype(), bits.dnssec_ok)
}
