//! Replies that dig and kdig get for names that a rule forwards, and for names that no rule forwards.

use super::unbound::{Unbound, have};
use crate::{reply::Reply, running::Running};

/// Names of Unbound's that are allowed, in several ways; all others are denied.
const RULES: &str = "
  - { name: corp, domains: [.corp.example], forward: corp }
  - { name: lan, domains: [.lan.corp.example], forward: corp, addresses: [10.0.0.0/8] }
  - { name: two, domains: [.two.corp.example], forward: corp, types: [A, TXT] }
  - { name: no-mail, domains: [.mail.corp.example], deny: nxdomain, reason: SEC-1234 }
";

/// A question, the code, the extended error, and the records without their TTL.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const WWW: &[&str] = &[
    "www.corp.example. IN A 192.31.196.1",
    "www.corp.example. IN A 192.31.196.2",
];
const OUTSIDE: &str = "17 (Filtered): rule corp: the answer has an address outside of the ranges";
const NOT_LISTED: &str = "15 (Blocked): no rule allows this name";
const OTHER_TYPES: &str = "15 (Blocked): rule corp allows this name for types A NS CNAME SOA PTR MX AAAA SRV SVCB HTTPS ANY only";

const CASES: &[Case] = &[
    ("www.corp.example", "NOERROR", "", WWW),
    ("WWW.Corp.Example", "NOERROR", "", WWW),
    (
        "www.corp.example AAAA",
        "NOERROR",
        "",
        &["www.corp.example. IN AAAA 2620:4f:8000::1"],
    ),
    (
        "deep.corp.example",
        "NOERROR",
        "",
        &[
            "deep.corp.example. IN CNAME api.corp.example.",
            "api.corp.example. IN CNAME www.corp.example.",
            WWW[0],
            WWW[1],
        ],
    ),
    (
        "deep.corp.example CNAME",
        "NOERROR",
        "",
        &["deep.corp.example. IN CNAME api.corp.example."],
    ),
    (
        "x.y.wild.corp.example",
        "NOERROR",
        "",
        &["x.y.wild.corp.example. IN A 192.31.196.9"],
    ),
    (
        "_ldap._tcp.corp.example SRV",
        "NOERROR",
        "",
        &["_ldap._tcp.corp.example. IN SRV 0 5 389 www.corp.example."],
    ),
    (
        "corp.example MX",
        "NOERROR",
        "",
        &["corp.example. IN MX 10 mail.corp.example."],
    ),
    (
        "svc.corp.example HTTPS",
        "NOERROR",
        "",
        &["svc.corp.example. IN HTTPS 1 . alpn=h2 ipv4hint=192.31.196.1"],
    ),
    // No data, an empty non-terminal, no name, an alias to no name.
    ("www.corp.example MX", "NOERROR", "", &[]),
    ("b.ent.corp.example", "NOERROR", "", &[]),
    ("nothing.corp.example", "NXDOMAIN", "", &[]),
    (
        "gone.corp.example",
        "NXDOMAIN",
        "",
        &["gone.corp.example. IN CNAME nothing.corp.example."],
    ),
    // Types, by the rule's list or by the default one.
    ("www.corp.example TXT", "REFUSED", OTHER_TYPES, &[]),
    ("one.two.corp.example TXT", "NOERROR", "", &[]),
    // A rule for other types leaves the question to the shorter name's.
    ("one.two.corp.example AAAA", "NOERROR", "", &[]),
    // What the response filter stops.
    ("priv.corp.example", "REFUSED", OUTSIDE, &[]),
    ("meta.corp.example", "REFUSED", OUTSIDE, &[]),
    ("mixed.corp.example", "REFUSED", OUTSIDE, &[]),
    ("mapped.corp.example AAAA", "REFUSED", OUTSIDE, &[]),
    (
        "hint.corp.example HTTPS",
        "REFUSED",
        "17 (Filtered): rule corp: an address hint of the answer is outside of the ranges, or cannot be read",
        &[],
    ),
    ("inward.corp.example", "REFUSED", OUTSIDE, &[]),
    (
        "inside.lan.corp.example",
        "NOERROR",
        "",
        &["inside.lan.corp.example. IN A 10.1.0.1"],
    ),
    (
        "out.lan.corp.example",
        "REFUSED",
        "17 (Filtered): rule lan: the answer has an address outside of the ranges",
        &[],
    ),
    // What nobody is asked about.
    (
        "mail.corp.example",
        "NXDOMAIN",
        "15 (Blocked): rule no-mail: SEC-1234",
        &[],
    ),
    ("elsewhere.example", "REFUSED", NOT_LISTED, &[]),
    ("notcorp.example", "REFUSED", NOT_LISTED, &[]),
    ("corp.example.com", "REFUSED", NOT_LISTED, &[]),
];

fn config(unbound: &Unbound, rules: &str) -> String {
    format!(
        "google_apis: {{ vip: off }}\nupstreams: {{ corp: {{ servers: [\"udp://{}\"] }} }}\nrules:{rules}",
        unbound.address
    )
}

#[test]
fn real_clients_get_what_is_allowed_and_nothing_else() {
    if !have(&["dig", "kdig"]) {
        return;
    }
    let unbound = Unbound::start();
    let dnsgate = Running::start(&config(&unbound, RULES));
    // The second time from the cache, where there is something to keep.
    for (client, options) in [
        ("dig", "+tries=1 +time=10 +notcp"),
        ("dig", "+tries=1 +time=10 +tcp"),
        ("kdig", "+retry=0 +timeout=10 +edns +notcp"),
        ("kdig", "+retry=0 +timeout=10 +edns +tcp"),
    ] {
        for &(ask, status, ede, answer) in CASES {
            let printed = dnsgate.client(client, &format!("@127.0.0.1 {options} {ask}"));
            let reply = Reply::read(&printed);
            assert_eq!((&*reply.status, &*reply.ede), (status, ede), "{printed}");
            assert_eq!(without_ttl(&reply), answer, "{client} {options}: {printed}");
        }
    }
}

/// The answer, lower case, without TTLs and without the quotes that not every client sets.
fn without_ttl(reply: &Reply) -> Vec<String> {
    let record = |record: &String| {
        let mut fields: Vec<_> = record.split(' ').collect();
        fields.remove(1);
        let owner = fields[0].to_lowercase();
        fields[0] = &owner;
        fields.join(" ").replace('"', "")
    };
    reply.answer.iter().map(record).collect()
}

/// Names with more and more addresses: the first fits everywhere, the last into no datagram at all.
const SIZES: [usize; 4] = [10, 40, 200, 4_000];

#[test]
fn answers_of_any_size_come_whole_over_tcp() {
    if !have(&["dig", "kdig"]) {
        return;
    }
    let mut zone = "$ORIGIN large.example.\n$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n".to_owned();
    for size in SIZES {
        for at in 0..size {
            zone += &format!("n{size} A 192.0.{}.{}\n", 2 + at / 256, at % 256);
        }
    }
    let unbound = Unbound::with(&[("large.example", &zone)], None);
    let rules = "\n  - { name: large, domains: [.large.example], forward: corp, addresses: [192.0.0.0/16] }";
    // (the client's size, the number of addresses that still fit)
    for (options, most) in [
        ("+noedns", 10),
        ("+bufsize=512", 10),
        ("", 40),
        ("+bufsize=4096", 40),
    ] {
        // A new one each time, with nothing in its cache.
        let dnsgate = Running::start(&config(&unbound, rules));
        for size in SIZES {
            let ask = format!("n{size}.large.example {options}");
            let cut = Reply::read(&dnsgate.dig(&format!("{ask} +ignore")));
            assert_eq!(cut.flags.contains("tc"), size > most, "{ask}: {cut:?}");
            for client in ["dig", "kdig"] {
                let printed = dnsgate.client(client, &format!("@127.0.0.1 {ask} +tcp"));
                let whole = Reply::read(&printed);
                assert_eq!(whole.answer.len(), size, "{client} {ask}: {printed}");
            }
        }
    }
}
