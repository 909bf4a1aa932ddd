//! Upstreams against servers that do as they are told: all sockets are on 127.0.0.1, and a deadline
//! is short only where it is meant to pass.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;

use self::fake::Udp;
use super::{
    Observer, Party, QueryEnd, ServerStatus, SocketLimits, UpstreamClient, UpstreamEvent,
    UpstreamLimits, coalescing::Resolution,
};
use crate::clock::monotonic;
use dnsgate_config::{ServerAddr, Strategy};
use dnsgate_core::{
    dns::{Failure, ServerFault},
    policy::{Permit, UpstreamId},
};

mod coalesced_queries;
mod datagrams;
mod fake;
mod loop_probes;
mod over_https;
mod over_tls;
mod servers;
mod streams;

/// Long enough for anything that is meant to happen.
const LONG: Duration = Duration::from_secs(20);
/// For what is meant not to happen.
const SHORT: Duration = Duration::from_millis(300);

impl UpstreamClient {
    /// How each server is thought of.
    fn statuses(&self) -> Vec<ServerStatus> {
        self.shared.stats.statuses()
    }

    /// Whether what each server is asked comes back.
    fn loops(&self) -> Vec<bool> {
        let servers = 0..self.shared.transports.len();
        servers
            .map(|server| self.shared.stats.is_looping(server))
            .collect()
    }
}

/// Remembers what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<UpstreamEvent>>);

impl Observer for Told {
    fn observe(&self, event: UpstreamEvent) {
        self.0.lock().expect("no panic").push(event);
    }

    fn trouble(&self, _: usize, _: Option<ServerFault>, _: &str) {}
}

impl Told {
    fn count(&self, wanted: impl Fn(&UpstreamEvent) -> bool) -> usize {
        let told = self.0.lock().expect("no panic");
        told.iter().filter(|event| wanted(event)).count()
    }

    fn mismatches(&self) -> usize {
        self.count(|event| matches!(event, UpstreamEvent::Mismatch { .. }))
    }

    fn asked(&self, of: usize, how: QueryEnd) -> usize {
        self.count(
            |event| matches!(event, UpstreamEvent::QueryEnded { server, result, .. } if (*server, *result) == (of, how)),
        )
    }

    /// Waits until it has been told.
    async fn until(&self, wanted: impl Fn(&UpstreamEvent) -> bool) {
        let told = async {
            while self.count(&wanted) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, told).await.expect("to be told");
    }
}

/// The default limits, but three mismatched datagrams until a question goes to TCP.
fn limits(deadline: Duration) -> UpstreamLimits {
    let defaults = UpstreamLimits::default();
    UpstreamLimits {
        deadline,
        sockets: SocketLimits {
            near_misses: 3,
            ..defaults.sockets
        },
        ..defaults
    }
}

fn config(strategy: Strategy, servers: Vec<ServerAddr>) -> dnsgate_config::Upstream {
    dnsgate_config::Upstream {
        name: "test".into(),
        servers,
        strategy,
        ca: None,
    }
}

fn open(
    config: &dnsgate_config::Upstream,
    limits: UpstreamLimits,
) -> (Arc<UpstreamClient>, Arc<Told>) {
    let told = Arc::new(Told::default());
    let observer = Arc::clone(&told) as Arc<dyn Observer>;
    let upstream = UpstreamClient::new(UpstreamId(0), config, limits, observer);
    (Arc::new(upstream.expect("it can be set up")), told)
}

/// An upstream of these servers, asked in this order.
fn ordered(servers: Vec<ServerAddr>, deadline: Duration) -> (Arc<UpstreamClient>, Arc<Told>) {
    open(&config(Strategy::Ordered, servers), limits(deadline))
}

/// A question: of the permits that are made without a policy, each number's is another.
fn question(number: u128) -> Permit {
    Permit::probe(UpstreamId(0), number)
}

/// An answer in short: its code, or why there is none.
fn short(landing: &Resolution) -> Result<u16, Failure> {
    landing
        .as_ref()
        .map(|response| response.rcode.number())
        .map_err(|failure| *failure)
}

async fn resolve(upstream: &UpstreamClient, number: u128) -> Result<u16, Failure> {
    let until = monotonic() + LONG;
    short(&upstream.resolve(&question(number), Party(0), until).await)
}
