//! Sends probes, to detect whether a failed server has recovered and whether forwarded queries loop
//! back to dnsgate.
//!
//! A probe asks for a random name under a reserved suffix of dnsgate. Any response shows that the
//! server is alive. If the name arrives at our own listener, the server, or one behind it, forwards
//! to us, and each query would circulate until a timeout.
//!
//! A server whose probes come back (`probes` defines when that counts as a loop) gets no queries
//! until one of its probes is answered and does not come back. A probe that comes from another
//! address is logged and has no other effect.

use std::{future::pending, net::IpAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{sync::watch, time};

use super::{
    observer::UpstreamEvent,
    probes::{ProbeReturn, is_own_address},
    share::{Party, Requester},
    shared::UpstreamShared,
    transport::TransportFault,
};
use crate::clock::monotonic;
use dnsgate_core::policy::Permit;

/// How long a probe waits for a response and for its own return.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two rounds of loop probes: the longest time that a new loop stays unnoticed.
/// Loops appear only when somebody reconfigures the servers.
const ROUND: Duration = Duration::from_secs(300);
/// The pause while there is a loop: the time until its end is noticed.
const ROUND_IN_LOOP: Duration = Duration::from_secs(15);
/// The pause after the first return of a probe: the time until the loop is confirmed.
const ROUND_IN_DOUBT: Duration = Duration::from_secs(3);
/// Rounds are shifted by up to this fraction, so that the probes of several dnsgate instances
/// spread.
const JITTER: f64 = 0.2;

/// Sends probes until the upstream is dropped.
pub(super) async fn run(shared: Arc<UpstreamShared>, mut alive: watch::Receiver<()>) {
    let mut next_round = monotonic();
    let mut probes = FuturesUnordered::new();
    loop {
        let start = monotonic();
        let mut servers = shared.stats.take_probes(start);
        if next_round <= start {
            servers = (0..shared.transports.len()).collect();
            next_round = start + until_next(&shared);
        }
        for server in servers {
            probes.push(probe(Arc::clone(&shared), server));
        }
        let wake = shared
            .stats
            .next_probe()
            .map_or(next_round, |at| at.min(next_round));
        tokio::select! {
            () = time::sleep_until(wake.into()) => {}
            () = shared.stats.news.notified() => {}
            Some(soon) = probes.next(), if !probes.is_empty() => if let Some(soon) = soon {
                next_round = next_round.min(monotonic() + soon);
            },
            // An error means that the sender is gone.
            Err(_) = alive.changed() => return,
        }
    }
}

fn until_next(shared: &UpstreamShared) -> Duration {
    let looping = (0..shared.transports.len()).any(|server| shared.stats.is_looping(server));
    let pause = if looping { ROUND_IN_LOOP } else { ROUND };
    pause.mul_f64(1.0 + JITTER * (2.0 * rand::random::<f64>() - 1.0))
}

/// Probes a server. Returns the pause before the next round, if that is due soon.
async fn probe(shared: Arc<UpstreamShared>, server: usize) -> Option<Duration> {
    let token = rand::random();
    shared.probes.sent(token, server);
    let end = time::Instant::now() + PATIENCE;
    let asked = time::timeout_at(end, ask(&shared, server, token)).await;
    if asked.is_err() {
        shared.stats.timed_out(server, PATIENCE, monotonic());
    }
    time::sleep_until(end).await;
    let (returned, gone) = shared.probes.over(token, asked.unwrap_or(false));
    if gone {
        shared.stats.set_looping(server, false);
    }
    match (returned, shared.stats.is_looping(server)) {
        (_, true) => Some(ROUND_IN_LOOP),
        (true, false) => Some(ROUND_IN_DOUBT),
        (false, false) => None,
    }
}

/// Sends a probe and records whether the server is alive. Returns whether it answered.
async fn ask(shared: &UpstreamShared, server: usize, token: u128) -> bool {
    let Some(transport) = shared.transports.get(server) else {
        return pending().await;
    };
    let permit = Permit::probe(shared.id, token);
    let requester = Requester {
        party: Party::OWN,
        again: false,
    };
    match transport.ask(&permit, PATIENCE, requester).await {
        // The time to resolve a name that does not exist says nothing about other names.
        Ok(_) | Err(TransportFault::Malformed) => {
            shared.stats.answered(server, None);
            true
        }
        Err(TransportFault::Server(fault)) => {
            shared.faulty(server, fault);
            false
        }
        Err(TransportFault::Silent) => {
            shared.stats.timed_out(server, PATIENCE, monotonic());
            false
        }
        Err(TransportFault::Busy) => false,
    }
}

impl UpstreamShared {
    /// Handles a probe that arrived at our listener from `source`. Returns whether the probe was
    /// this upstream's.
    pub(super) fn probe_returned(&self, token: u128, source: IpAddr) -> bool {
        let is_own = |server: usize| {
            let transport = self.transports.get(server);
            transport.is_some_and(|transport| is_own_address(transport.address().ip(), source))
        };
        let Some((server, said)) = self.probes.returned(token, is_own, monotonic()) else {
            return false;
        };
        match said {
            ProbeReturn::Elsewhere => {
                let from = source.to_canonical();
                self.observer
                    .observe(UpstreamEvent::Copied { server, from });
            }
            ProbeReturn::Once | ProbeReturn::Again => {}
            ProbeReturn::Twice => self.stats.set_looping(server, true),
        }
        true
    }
}
