//! Probes: whether a server that failed is back, and whether what we forward comes back to us.
//!
//! A probe asks for a random name under a suffix of our own. Any response to it says that the
//! server lives. If the name arrives at our own listener, then the server, or one behind it,
//! forwards to us: each query would go round until somebody gives up.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{sync::watch, time};

use super::{Shared, exchange::Fault, now};
use crate::policy::Permit;

/// How long a probe waits for a response, and for its own return.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two rounds that look for loops: how long one may go unnoticed that begins
/// while we run, which takes somebody who changes the servers.
const ROUND: Duration = Duration::from_secs(300);
/// The pause while there is a loop: how long it takes to notice that it is gone.
const ROUND_IN_LOOP: Duration = Duration::from_secs(15);
/// Rounds come up to this share sooner or later, so that the probes of several gates spread.
const JITTER: f64 = 0.2;
/// The probes that are remembered: all those of the last seconds, of as many servers as an
/// upstream has.
const REMEMBERED: usize = 64;

/// The probes that are out, and what came back.
#[derive(Default)]
pub(super) struct Probes {
    out: Mutex<VecDeque<Probe>>,
    looping: Vec<AtomicBool>,
}

struct Probe {
    token: u128,
    server: usize,
    returned: bool,
}

impl Probes {
    pub(super) fn new(servers: usize) -> Self {
        Self {
            out: Mutex::default(),
            looping: (0..servers).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// Whether what a server is asked comes back to us.
    pub(super) fn is_looping(&self, server: usize) -> bool {
        self.looping
            .get(server)
            .is_some_and(|looping| looping.load(Ordering::Relaxed))
    }

    /// A probe goes out.
    fn sent(&self, token: u128, server: usize) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if out.len() >= REMEMBERED {
            out.pop_front();
        }
        out.push_back(Probe {
            token,
            server,
            returned: false,
        });
    }

    /// A probe's name came to our listener. Returns the server that it was sent to, if it was ours.
    pub(super) fn returned(&self, token: u128) -> Option<usize> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let probe = out.iter_mut().find(|probe| probe.token == token)?;
        probe.returned = true;
        Some(probe.server)
    }

    /// A probe is over. Returns whether it came back.
    fn over(&self, token: u128) -> bool {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let at = out.iter().position(|probe| probe.token == token);
        at.and_then(|at| out.remove(at))
            .is_some_and(|probe| probe.returned)
    }

    /// Sets whether a server loops. Returns whether that is news.
    pub(super) fn set_looping(&self, server: usize, looping: bool) -> bool {
        self.looping
            .get(server)
            .is_some_and(|known| known.swap(looping, Ordering::Relaxed) != looping)
    }
}

/// Sends probes until the upstream is dropped.
pub(super) async fn run(shared: Arc<Shared>, mut alive: watch::Receiver<()>) {
    let mut next_round = now();
    let mut probes = FuturesUnordered::new();
    loop {
        let start = now();
        let mut servers = shared.book.take_probes(start);
        if next_round <= start {
            servers = (0..shared.ways.len()).collect();
            next_round = start + until_next(&shared);
        }
        for server in servers {
            probes.push(probe(Arc::clone(&shared), server));
        }
        let wake = shared
            .book
            .next_probe()
            .map_or(next_round, |at| at.min(next_round));
        tokio::select! {
            () = time::sleep_until(wake.into()) => {}
            () = shared.book.news.notified() => {}
            Some(found) = probes.next(), if !probes.is_empty() => if found {
                next_round = next_round.min(now() + ROUND_IN_LOOP);
            },
            // An error: there is nobody left who could say anything.
            Err(_) = alive.changed() => return,
        }
    }
}

fn until_next(shared: &Shared) -> Duration {
    let looping = (0..shared.ways.len()).any(|server| shared.probes.is_looping(server));
    let pause = if looping { ROUND_IN_LOOP } else { ROUND };
    pause.mul_f64(1.0 + JITTER * (2.0 * rand::random::<f64>() - 1.0))
}

/// Probes a server. Returns whether the probe came back to us.
async fn probe(shared: Arc<Shared>, server: usize) -> bool {
    let token = rand::random();
    shared.probes.sent(token, server);
    let end = time::Instant::now() + PATIENCE;
    let asked = time::timeout_at(end, ask(&shared, server, token)).await;
    if asked.is_err() {
        shared.book.timed_out(server, PATIENCE, now());
    }
    time::sleep_until(end).await;
    let looping = shared.probes.over(token);
    if !looping {
        shared.looping(server, false);
    }
    looping
}

/// Asks, and takes note of whether the server lives.
async fn ask(shared: &Shared, server: usize, token: u128) {
    let Some(way) = shared.ways.get(server) else {
        return pending().await;
    };
    let permit = Permit::probe(shared.id, token);
    match way.ask(&permit, PATIENCE).await {
        // How long it takes to find out that a name does not exist says nothing about the others.
        Ok(_) | Err(Fault::Malformed) => shared.book.answered(server, None),
        Err(Fault::Server(fault)) => shared.faulty(server, fault),
        Err(Fault::Silent) => shared.book.timed_out(server, PATIENCE, now()),
        Err(Fault::Busy) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_probe_that_is_out_can_come_back() {
        let probes = Probes::new(2);
        assert_eq!(probes.returned(7), None, "none is out");
        probes.sent(7, 1);
        probes.sent(8, 0);
        assert_eq!(probes.returned(9), None, "another one's");
        assert_eq!(probes.returned(7), Some(1));
        assert!(probes.over(7));
        assert!(!probes.over(8), "it did not come back");
        assert_eq!(probes.returned(7), None, "it is over");
        for token in 0..1000 {
            probes.sent(token, 0);
        }
        assert_eq!(probes.returned(0), None, "too long ago");
        assert_eq!(probes.returned(999), Some(0));
    }

    #[test]
    fn a_loop_is_news_once() {
        let probes = Probes::new(2);
        for (looping, news) in [(false, false), (true, true), (true, false), (false, true)] {
            assert_eq!(probes.set_looping(1, looping), news);
            assert_eq!(probes.is_looping(1), looping);
            assert!(!probes.is_looping(0));
        }
        assert!(!probes.set_looping(2, true), "there is no such server");
    }
}
