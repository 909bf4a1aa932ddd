//! Upstreams that misbehave. Each row of the tables in `hostile/` is one of them, alone behind a rule of its own, with the reply
//! that a client gets over UDP. All misbehave at the same time towards one process. Afterwards it must still run, and answer
//! wherever the upstream does.
//!
//! Bad certificates and wrong names are in `forward/encrypted.rs`, because they need TLS.

mod client;
mod datagrams;
mod fake;
mod streams;

use std::{fmt::Write as _, time::Duration};

use crate::running::Running;
use client::Client;
use fake::{Fake, OnDatagram, OnStream};

/// The deadline of the program under test: short, so that what never comes is not waited for long; not too short for
/// a busy machine.
const DEADLINE: Duration = Duration::from_millis(1500);
/// As often is a good question asked again: a server that failed may need to be found alive first.
const AGAIN: usize = 5;

const TIMEOUT: &str = "SERVFAIL, 22: no server answered in time";
const REFUSED: &str = "SERVFAIL, 22: the server refuses connections: its port is closed";
const CLOSED: &str = "SERVFAIL, 22: the server closes connections without an answer";
const MALFORMED: &str = "SERVFAIL, 23: the server's answer is not well-formed";
const ANSWERED: &str = "NOERROR, 1 answers";

/// One upstream.
struct Case {
    what: &'static str,
    qtype: u16,
    does: Does,
    /// The code, the extended error, TC and the number of answers.
    want: &'static str,
    /// Whether something was ignored, and counted.
    mismatch: bool,
}

/// What it does with a question.
#[derive(Clone, Copy)]
enum Does {
    /// Over UDP; what is truncated is to be had from the other.
    Udp(OnDatagram, OnStream),
    Tcp(OnStream),
    /// It is not there.
    Closed(&'static str),
}

const A: u16 = 1;

impl Case {
    const fn udp(what: &'static str, does: OnDatagram, want: &'static str) -> Self {
        Self {
            what,
            qtype: A,
            does: Does::Udp(does, streams::close),
            want,
            mismatch: false,
        }
    }

    const fn tcp(what: &'static str, does: OnStream, want: &'static str) -> Self {
        Self {
            does: Does::Tcp(does),
            ..Self::udp(what, datagrams::silent, want)
        }
    }

    /// Part of what it sends is no reply.
    const fn mismatched(self) -> Self {
        Self {
            mismatch: true,
            ..self
        }
    }
}

/// All cases, and the upstreams of those that have one.
fn start() -> (Vec<Case>, Vec<Option<Fake>>, String) {
    let mut cases = datagrams::cases();
    cases.extend(streams::cases());
    let mut config = format!(
        "google_apis: {{ vip: off }}\nclients: {{ me: {{ cidrs: [127.0.0.0/8] }} }}\n\
         limits: {{ upstream_timeout: {}ms, upstream_near_misses: 4 }}\nupstreams:\n",
        DEADLINE.as_millis()
    );
    let mut fakes = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let (scheme, fake) = match case.does {
            Does::Udp(datagram, stream) => ("udp", Some(Fake::start(datagram, stream))),
            Does::Tcp(stream) => ("tcp", Some(Fake::start(datagrams::silent, stream))),
            Does::Closed(scheme) => (scheme, None),
        };
        let port = fake.as_ref().map_or(1, |fake| fake.address.port());
        let _ = writeln!(
            config,
            "  case{number}: {{ servers: [\"{scheme}://127.0.0.1:{port}\"] }}"
        );
        fakes.push(fake);
    }
    config.push_str("rules:\n");
    for number in 0..cases.len() {
        let _ = writeln!(
            config,
            "  - {{ name: rule{number}, domains: [.case{number}.example], forward: case{number}, \
             types: [A, HTTPS], cname: any }}"
        );
    }
    (cases, fakes, config)
}

/// The sum of a counter over its series with this label.
fn counted(metrics: &str, name: &str, label: &str) -> f64 {
    let series = metrics
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    let values = series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

#[test]
fn misbehaving_upstreams_fail_their_own_queries_only() {
    let (cases, fakes, config) = start();
    let dnsgate = Running::start(&config);
    let bad: Vec<Client> = (0..)
        .zip(&cases)
        .map(|(number, case)| {
            let name = format!("bad.case{number}.example");
            Client::ask(dnsgate.port, &name, case.qtype)
        })
        .collect();
    let mut faults = Vec::new();
    for (number, (client, case)) in bad.iter().zip(&cases).enumerate() {
        let seen = client
            .reply()
            .replace(&format!("bad.case{number}.example"), "NAME")
            .replace(&format!("rule rule{number}:"), "RULE:");
        if seen != case.want {
            faults.push(format!("{}: {seen}\n   wanted: {}", case.what, case.want));
        }
    }
    for (number, (fake, case)) in fakes.iter().zip(&cases).enumerate() {
        let seen = (0..AGAIN).find(|again| {
            let name = format!("good{again}.case{number}.example");
            fake.is_none() || Client::ask(dnsgate.port, &name, A).reply() == ANSWERED
        });
        if seen.is_none() {
            faults.push(format!("{}: no answer afterwards", case.what));
        }
    }
    let (_, metrics) = dnsgate.get("/metrics");
    for (number, case) in cases.iter().enumerate() {
        let label = format!("upstream=\"case{number}\"");
        let mismatches = counted(&metrics, "dnsgate_upstream_mismatch_total", &label);
        if (mismatches > 0.0) != case.mismatch {
            faults.push(format!("{}: {mismatches} mismatches", case.what));
        }
    }
    assert!(counted(&metrics, "dnsgate_panics_total", "") < 0.5);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(dnsgate.get("/livez").0, 200);
}
