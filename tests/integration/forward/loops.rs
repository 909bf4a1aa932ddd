//! Upstreams that forward back to dnsgate: queries end, packets do not multiply, and the loop is reported.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    thread,
};

use super::unbound::{Unbound, have};
use crate::{
    reply::Reply,
    running::{Running, dig},
};

/// Questions that are asked in a loop, each for another name.
const QUESTIONS: usize = 20;
/// The most queries that each gate may see for one of them, the client's among them: whoever waits asks again a few
/// times, and what is in flight is not asked once more. Without that bound it would be thousands.
const MOST: usize = 12;

fn config(server: SocketAddr) -> String {
    format!(
        "google_apis: {{ vip: off }}
upstreams: {{ round: {{ servers: [\"udp://{server}\"] }} }}
rules: [{{ name: round, domains: [.corp.example], forward: round }}]
"
    )
}

/// A gate that asks `server`.
fn gate(server: SocketAddr) -> Running {
    Running::start_with("127.0.0.1", |dir, command| {
        fs::write(dir.join("gate.yaml"), config(server)).expect("room");
        command
            .arg("--no-watch")
            .arg("--config")
            .arg(dir.join("gate.yaml"));
    })
}

fn address(gate: &Running) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, gate.port).into()
}

/// Has a gate ask another server from now on.
fn turn(gate: &Running, server: SocketAddr) {
    fs::write(gate.dir().join("gate.yaml"), config(server)).expect("room");
    let output = gate.reload();
    assert!(output.status.success(), "{output:?}");
}

/// Asks a gate many questions at once: each ends, with an error.
fn ask(gate: &Running) {
    let port = gate.port;
    thread::scope(|scope| {
        for number in 0..QUESTIONS {
            scope.spawn(move || {
                let printed = dig(port, &format!("n{number}.corp.example"));
                assert_eq!(Reply::read(&printed).status, "SERVFAIL", "{printed}");
            });
        }
    });
}

/// The forwarded and failed queries that a gate has seen.
fn seen(gate: &Running) -> usize {
    let (_, page) = gate.get("/metrics");
    let queries = page.lines().filter(|line| {
        line.starts_with("dnsgate_queries_total{") && line.contains("rcode=\"SERVFAIL\"")
    });
    let counts = queries.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok());
    counts.sum()
}

#[test]
fn forwarding_loop_is_reported_until_it_ends() {
    if !have(&["dig"]) {
        return;
    }
    let direct = Unbound::start();
    let gate = gate(direct.address);
    let round = Unbound::forwarding_to(address(&gate));
    assert_eq!(gate.get("/readyz").0, 200);
    turn(&gate, round.address);
    gate.wait_for(
        "an upstream's server sends what it is asked back here and is not asked any more: point it elsewhere",
    );
    let (status, body) = gate.get("/readyz");
    assert_eq!(status, 200, "what an upstream sends is no reason: {body}");
    assert_eq!(
        gate.metric("dnsgate_upstream_looping{upstream=\"round\"}"),
        1
    );
    ask(&gate);
    assert_eq!(seen(&gate), QUESTIONS, "nothing goes round any more");
    let refused = "dnsgate_upstream_refused_total{upstream=\"round\",why=\"looping\"}";
    assert_eq!(gate.metric(refused), QUESTIONS as u64);
    let printed = gate.dig("word.corp.example");
    assert!(printed.contains("EDE: 23 (Network Error)"), "{printed}");
    assert!(printed.contains("back to dnsgate"), "{printed}");
    // It goes on: what needs no upstream is answered, and the loop can be mended.
    assert_eq!(Reply::read(&gate.dig("other.example")).status, "REFUSED");
    turn(&gate, direct.address);
    let printed = gate.dig("www.corp.example");
    assert_eq!(Reply::read(&printed).answer.len(), 2, "{printed}");
    let (status, body) = gate.get("/readyz");
    assert_eq!(status, 200, "{body}");
}

#[test]
fn two_dnsgates_that_forward_to_each_other_do_not_multiply_packets() {
    if !have(&["dig"]) {
        return;
    }
    let direct = Unbound::start();
    let one = gate(direct.address);
    let other = gate(address(&one));
    let printed = other.dig("www.corp.example");
    assert_eq!(Reply::read(&printed).answer.len(), 2, "a row: {printed}");
    turn(&one, address(&other));
    ask(&one);
    for gate in [&one, &other] {
        let seen = seen(gate);
        println!("{QUESTIONS} questions in a loop: {seen} queries");
        assert!(seen < QUESTIONS * MOST, "{seen}");
        assert_eq!(gate.get("/livez").0, 200);
    }
    turn(&one, direct.address);
    let printed = one.dig("api.corp.example");
    assert_eq!(Reply::read(&printed).answer.len(), 3, "{printed}");
}
