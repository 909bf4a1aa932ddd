//! All file descriptors are in use: UDP goes on, TCP connections are accepted again when one is free, and no loop spins.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    gate::Gate,
    load::{Load, OWN, PATIENCE, ZONES, lasting, over_tcp},
    wire::seen,
};

/// What it may have: some more than it opens at its start.
const DESCRIPTORS: usize = 64;
/// More connections than that. The kernel lets them wait.
const CONNECTIONS: usize = 300;
/// How long its use of a processor is measured.
const WHILE: Duration = Duration::from_secs(1);

#[test]
fn queries_are_answered_without_a_free_descriptor() {
    let config = format!(
        "google_apis: {{ vip: off }}
log: {{ queries: none }}
cache: {{ size: 1MiB }}
limits: {{ tcp_connections_per_client: 1000, tcp_idle_timeout: 300s }}
{ZONES}"
    );
    let gate = Gate::start_with(&config, &format!("ulimit -n {DESCRIPTORS} &&"), |_, _| {});
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, gate.port()));
    let load = Load::udp(gate.port(), OWN);
    let connect = |_| TcpStream::connect_timeout(&server, PATIENCE).expect("it waits, at least");
    let held: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
    thread::sleep(lasting());
    let datagrams = load.stop();
    // Some are kept for this.
    let (status, body) = gate.running.get("/readyz");
    assert_eq!(status, 200, "{body}");
    // All that is left to do is to wait for a descriptor.
    let (before, began) = (gate.cpu(), Instant::now());
    thread::sleep(WHILE);
    let used = Duration::from_millis((gate.cpu() - before) * 10);
    let share = used.as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(share < 0.2, "{:.0} % of a processor", share * 100.0);
    drop(held);
    let name = "q.any.zone.test";
    let reply = over_tcp(server, name).expect("a reply");
    assert_eq!(seen(name, &reply).as_deref(), Some("NOERROR 60 A 10.0.0.1"));
    let load = Load::both(gate.port(), OWN);
    thread::sleep(lasting() / 2);
    let tally = datagrams.and(load.stop());
    let failed = gate.metric("dnsgate_shed_total{why=\"accept_failed\"}");
    let evicted = gate.metric("dnsgate_shed_total{why=\"connection_evicted\"}");
    assert!(failed + evicted > 0, "there were enough");
    let note = format!(
        "{evicted} connections made room, {failed} accepts failed, {:.0} % of a processor used",
        share * 100.0
    );
    gate.holds("no file descriptor left, then some", &tally, &note);
}
