//! Upstreams that stall, lie or end: names that do not need them are answered as before, and names that do get a correct answer or
//! SERVFAIL.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
};

use crate::{
    gate::Gate,
    load::{Load, OWN, Questions, ZONES, lasting},
    message::{QUESTION, good, record, reply},
    upstream::Upstream,
};

/// What they are called, and what they do.
const ALL: [(&str, crate::upstream::Does); 5] = [
    ("stalls", |_, _, _| {}),
    ("wrong-id", |query, socket, to| {
        let mut lie = lie(query);
        lie[1] ^= 1;
        send(socket, &lie, to);
    }),
    ("wrong-name", |query, socket, to| {
        let mut lie = lie(query);
        lie[13] ^= 1;
        send(socket, &lie, to);
    }),
    ("poisons", |query, socket, to| {
        // The truth, and an address for a name that it was not asked about.
        let truth = record(QUESTION, 1, &[192, 31, 196, 1]);
        let poison = record(b"\x04good\x04test\0", 1, &[192, 31, 196, 66]);
        send(socket, &reply(query, 0, 2, &[truth, poison].concat()), to);
    }),
    ("dies", |query, socket, to| send(socket, &good(query), to)),
];

/// What would have been a reply.
fn lie(query: &[u8]) -> Vec<u8> {
    reply(query, 0, 1, &record(QUESTION, 1, &[192, 31, 196, 66]))
}

fn send(socket: &UdpSocket, message: &[u8], to: SocketAddr) {
    // The asker may have gone.
    let _ = socket.send_to(message, to);
}

const FORWARDED: Questions = Questions {
    name: |number| {
        let (upstream, _) = ALL[(number % ALL.len() as u64) as usize];
        format!("q{number}.{upstream}.test")
    },
    judge: |name, seen| match seen {
        "SERVFAIL" => Some("SERVFAIL"),
        _ if name.ends_with(".stalls.test") || name.contains(".wrong-") => None,
        // The TTL of an answer, which is fresh each time.
        "NOERROR 300 A 192.31.196.1" => Some("answered from upstreams"),
        _ => None,
    },
};

#[test]
fn failing_upstreams_cost_no_query_of_others() {
    let mut upstreams: Vec<Upstream> = ALL.iter().map(|(_, does)| Upstream::start(*does)).collect();
    let mut config = format!(
        "google_apis: {{ vip: off }}\nlog: {{ queries: none }}\ncache: {{ size: 2MiB }}\n\
         limits: {{ upstream_timeout: 1s }}\n{ZONES}upstreams:\n"
    );
    for ((name, _), upstream) in ALL.iter().zip(&upstreams) {
        let address = upstream.address;
        config += &format!("  {name}: {{ servers: [\"udp://{address}\"] }}\n");
    }
    config += "rules:\n";
    for (name, _) in ALL {
        config += &format!("  - {{ name: {name}, domains: [.{name}.test], forward: {name} }}\n");
    }
    let gate = Gate::start(&config);
    let own = Load::both(gate.port(), OWN);
    let forwarded = Load::udp(gate.port(), FORWARDED);
    thread::sleep(lasting() / 2);
    let mortal = upstreams.pop().expect("the last one");
    assert!(mortal.asked() > 0, "it was there");
    drop(mortal);
    thread::sleep(lasting() / 2);
    let (own, forwarded) = (own.stop(), forwarded.stop());
    let mismatches = gate.metric("dnsgate_upstream_mismatch_total");
    assert!(mismatches > 0, "the lies were noticed");
    assert!(forwarded.of("SERVFAIL") > 0 && forwarded.of("answered from upstreams") > 0);
    let note = format!(
        "{mismatches} lies seen; all within 1 s, the deadline, and what it takes to say so"
    );
    gate.holds(
        "upstreams that stall, lie, die: forwarded names",
        &forwarded,
        &note,
    );
    gate.holds("the same: zones and denials meanwhile", &own, "");
}
