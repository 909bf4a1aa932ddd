//! Upstreams that no longer answer: stale answers are served for a while (RFC 8767), or an error says why not.

use std::net::UdpSocket;

use dnsgate_core::dns::{Name, RecordType, upstream_query};

use super::unbound::{Unbound, have};
use crate::{reply::Reply, running::Running};

/// A zone whose responses are soon past their time.
const ZONE: &str = "$ORIGIN brief.example.
@   300 SOA ns h 1 3600 600 86400 300
@   300 NS  ns
www 1   A   192.31.196.1
";
/// As many questions find the end of one second many times over.
const MOST: usize = 10_000;

#[test]
fn stale_answers_are_served_within_their_limit() {
    if !have(&["dig"]) {
        return;
    }
    // (what becomes of Unbound, how long responses outlive their time, the reply then)
    for (signal, serve_stale, status, ede) in [
        (
            "KILL",
            "1d",
            "NOERROR",
            "3 (Stale Answer): no upstream answers",
        ),
        (
            "STOP",
            "1d",
            "NOERROR",
            "3 (Stale Answer): no upstream answers",
        ),
        ("KILL", "0s", "SERVFAIL", "22 (No Reachable Authority): "),
    ] {
        let unbound = Unbound::with(&[("brief.example", ZONE)], None);
        let dnsgate = Running::start(&format!(
            "google_apis: {{ vip: off }}
upstreams: {{ brief: {{ servers: [\"udp://{}\"] }} }}
rules: [{{ name: brief, domains: [.brief.example], forward: brief }}]
cache: {{ serve_stale: {serve_stale} }}
",
            unbound.address
        ));
        let fresh = Reply::read(&dnsgate.dig("www.brief.example"));
        assert_eq!((&*fresh.status, &*fresh.ede), ("NOERROR", ""), "{signal}");
        unbound.signal(signal);
        let replies = (0..MOST).map(|_| Reply::read(&dnsgate.dig("www.brief.example")));
        let late = replies.into_iter().find(|reply| !reply.ede.is_empty());
        let late = late.expect("one second ends");
        assert_eq!(late.status, status, "{signal} {late:?}");
        assert!(late.ede.starts_with(ede), "{signal} {late:?}");
        let answer: &[&str] = match status {
            // Not to be kept for long: RFC 8767 section 4.
            "NOERROR" => &["www.brief.example. 30 IN A 192.31.196.1"],
            _ => &[],
        };
        assert_eq!(late.answer, answer, "{signal}");
        if serve_stale != "0s" {
            // What was never said cannot stand in.
            let unknown = Reply::read(&dnsgate.dig("other.brief.example"));
            assert_eq!(unknown.status, "SERVFAIL", "{signal} {unknown:?}");
        }
    }
}

#[test]
fn stale_answers_are_served_while_no_place_is_free() {
    if !have(&["dig"]) {
        return;
    }
    let unbound = Unbound::with(&[("brief.example", ZONE)], None);
    let dnsgate = Running::start(&format!(
        "google_apis: {{ vip: off }}
upstreams: {{ brief: {{ servers: [\"udp://{}\"] }} }}
rules: [{{ name: brief, domains: [.brief.example], forward: brief }}]
limits: {{ in_flight: 1, coalesced: 1, upstream_timeout: 3s }}
",
        unbound.address
    ));
    let fresh = Reply::read(&dnsgate.dig("www.brief.example"));
    assert_eq!((&*fresh.status, &*fresh.ede), ("NOERROR", ""));
    unbound.signal("STOP");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let late = (0..MOST).find_map(|number| {
        // One of them takes the only place for three seconds, and nobody waits for its answer.
        let other = format!("n{number}.brief.example.")
            .parse::<Name>()
            .expect("a name");
        let query = upstream_query::encode(7, other.as_ref(), RecordType::A, false, false);
        client
            .send_to(&query, ("127.0.0.1", dnsgate.port))
            .expect("sent");
        let reply = Reply::read(&dnsgate.dig("www.brief.example"));
        let fresh = reply.status == "NOERROR" && reply.ede.is_empty();
        (!fresh).then_some(reply)
    });
    let late = late.expect("one second ends");
    assert_eq!(
        (&*late.status, &*late.ede),
        ("NOERROR", "3 (Stale Answer): no upstream answers")
    );
    assert!(dnsgate.metric("dnsgate_shed_total{why=\"in_flight\"}") > 0);
}
