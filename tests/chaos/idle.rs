//! As many connections as the limits allow, idle or sending one byte a second. They keep no other client out.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::{
    gate::{Gate, many_descriptors},
    load::{Load, OWN, PATIENCE, ZONES, lasting},
    wire::framed,
};

const IDLE: usize = 5000;
const SLOW: usize = 200;
/// From as many addresses they come, which is below what one client may have.
const SOURCES: usize = 10;
const BYTE: Duration = Duration::from_secs(1);

/// A connection from one of the sources.
fn connection(number: usize, port: u16) -> TcpStream {
    let last = u8::try_from(2 + number % SOURCES).expect("few sources");
    let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor");
    socket.bind(&source.into()).expect("an address of ours");
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket
        .connect_timeout(&server.into(), PATIENCE)
        .expect("accepted");
    socket.into()
}

/// Waits until it has accepted so many.
fn wait_for(gate: &Gate, accepted: usize) {
    let began = Instant::now();
    while gate.metric("dnsgate_tcp_accepted_total") < accepted as u64 {
        assert!(began.elapsed() < PATIENCE, "not accepted");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn idle_connections_cost_no_query() {
    let all = IDLE + SLOW;
    if !many_descriptors(all as u64 + 500) {
        return;
    }
    let gate = Gate::start(&format!(
        "google_apis: {{ vip: off }}
log: {{ queries: none }}
cache: {{ size: 1MiB }}
limits: {{ tcp_connections: {all}, tcp_connections_per_client: 600, tcp_idle_timeout: 300s, tcp_message_timeout: 60s }}
{ZONES}"
    ));
    let load = Load::both(gate.port(), OWN);
    let mut slow: Vec<TcpStream> = Vec::new();
    let mut idle = Vec::new();
    for number in 0..all {
        let connection = connection(number, gate.port());
        if number < IDLE {
            idle.push(connection);
        } else {
            connection.set_nonblocking(true).expect("set");
            slow.push(connection);
        }
        // No more at a time than the kernel lets wait.
        if number % 100 == 99 {
            wait_for(&gate, number + 1);
        }
    }
    let message = framed(7, "slow.any.zone.test");
    let (began, mut sent) = (Instant::now(), 0);
    while began.elapsed() < lasting() {
        for connection in &mut slow {
            // The oldest make room for those who ask; so may these.
            let _ = connection.write(&message[sent % message.len()..][..1]);
        }
        sent += 1;
        thread::sleep(BYTE);
    }
    let open = gate.metric("dnsgate_tcp_connections");
    assert!(open as usize > all - SLOW, "{open} connections");
    let evicted = gate.metric("dnsgate_shed_total{why=\"connection_evicted\"}");
    assert!(evicted > 0, "there was room for all");
    assert_eq!(
        gate.metric("dnsgate_shed_total{why=\"connection_refused\"}"),
        0
    );
    let tally = load.stop();
    let note = format!("{open} connections open, {evicted} of the idle ones closed for fresh ones");
    gate.holds("5 000 idle connections, 200 slow senders", &tally, &note);
}
