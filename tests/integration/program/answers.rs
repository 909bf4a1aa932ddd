//! Replies that dig and kdig get.

use std::net::UdpSocket;

use crate::{
    reply::Reply,
    running::{Running, installed, skipped},
};

/// A question, as dig takes it, and the reply.
struct Case {
    ask: &'static str,
    status: &'static str,
    flags: &'static str,
    ede: &'static str,
    answer: &'static [&'static str],
    authority: &'static [&'static str],
}

const REFUSED: Case = Case {
    ask: "",
    status: "REFUSED",
    flags: "qr rd ra",
    ede: "15 (Blocked): no rule allows this name",
    answer: &[],
    authority: &[],
};

const ANSWERED: Case = Case {
    status: "NOERROR",
    flags: "qr aa rd ra",
    ede: "",
    ..REFUSED
};

const SOA: &[&str] =
    &["googleapis.com. 300 IN SOA dnsgate.invalid. nobody.invalid. 1 3600 600 86400 300"];

/// Without a configuration.
const BUILT_IN: &[Case] = &[
    Case {
        ask: "storage.googleapis.com",
        answer: &[
            "storage.googleapis.com. 300 IN CNAME restricted.googleapis.com.",
            "restricted.googleapis.com. 300 IN A 199.36.153.4",
            "restricted.googleapis.com. 300 IN A 199.36.153.5",
            "restricted.googleapis.com. 300 IN A 199.36.153.6",
            "restricted.googleapis.com. 300 IN A 199.36.153.7",
        ],
        ..ANSWERED
    },
    Case {
        ask: "storage.googleapis.com AAAA",
        answer: &["storage.googleapis.com. 300 IN CNAME restricted.googleapis.com."],
        authority: SOA,
        ..ANSWERED
    },
    Case {
        ask: "storage.googleapis.com TXT",
        answer: &["storage.googleapis.com. 300 IN CNAME restricted.googleapis.com."],
        authority: SOA,
        ..ANSWERED
    },
    Case {
        ask: "storage.googleapis.com HTTPS",
        answer: &["storage.googleapis.com. 300 IN CNAME restricted.googleapis.com."],
        authority: SOA,
        ..ANSWERED
    },
    Case {
        ask: "storage.googleapis.com CNAME",
        answer: &["storage.googleapis.com. 300 IN CNAME restricted.googleapis.com."],
        ..ANSWERED
    },
    Case {
        ask: "a.b.c.storage.googleapis.com",
        answer: &[
            "a.b.c.storage.googleapis.com. 300 IN CNAME restricted.googleapis.com.",
            "restricted.googleapis.com. 300 IN A 199.36.153.4",
            "restricted.googleapis.com. 300 IN A 199.36.153.5",
            "restricted.googleapis.com. 300 IN A 199.36.153.6",
            "restricted.googleapis.com. 300 IN A 199.36.153.7",
        ],
        ..ANSWERED
    },
    Case {
        ask: "googleapis.com",
        authority: SOA,
        ..ANSWERED
    },
    Case {
        ask: "googleapis.com SOA",
        answer: SOA,
        ..ANSWERED
    },
    Case {
        ask: "restricted.googleapis.com",
        answer: &[
            "restricted.googleapis.com. 300 IN A 199.36.153.4",
            "restricted.googleapis.com. 300 IN A 199.36.153.5",
            "restricted.googleapis.com. 300 IN A 199.36.153.6",
            "restricted.googleapis.com. 300 IN A 199.36.153.7",
        ],
        ..ANSWERED
    },
    Case {
        ask: "restricted.googleapis.com AAAA",
        authority: SOA,
        ..ANSWERED
    },
    Case {
        ask: "metadata.google.internal",
        answer: &["metadata.google.internal. 300 IN A 169.254.169.254"],
        ..ANSWERED
    },
    Case {
        ask: "example.com",
        ..REFUSED
    },
    Case {
        ask: "example.com AAAA",
        ..REFUSED
    },
    Case {
        ask: "notgoogleapis.com",
        ..REFUSED
    },
    // One label: for the search lists to go on, and with allowed names below it.
    Case {
        ask: "com",
        ede: "15 (Blocked): built-in single label: no host has such a name in the public DNS",
        authority: &["com. 60 IN SOA dnsgate.invalid. nobody.invalid. 1 3600 600 86400 60"],
        ..ANSWERED
    },
    Case {
        ask: ".",
        ..REFUSED
    },
    Case {
        ask: "storage.googleapis.com.example.com",
        ..REFUSED
    },
];

#[test]
fn real_clients_get_the_built_in_answers() {
    if !installed(&["dig", "kdig"]) {
        return;
    }
    let dnsgate = Running::start("");
    for case in BUILT_IN {
        for (client, options) in [
            ("dig", "+tries=1 +time=10 +notcp"),
            ("dig", "+tries=1 +time=10 +tcp"),
            ("kdig", "+retry=0 +timeout=10 +edns +notcp"),
            ("kdig", "+retry=0 +timeout=10 +edns +tcp"),
        ] {
            let printed = dnsgate.client(client, &format!("@127.0.0.1 {options} {}", case.ask));
            expect(case, &printed, client);
            let over_tcp = printed.contains("(TCP)");
            assert_eq!(over_tcp, options.ends_with(" +tcp"), "{printed}");
        }
    }
}

fn expect(case: &Case, printed: &str, client: &str) {
    let want = Reply {
        status: case.status.to_owned(),
        flags: case.flags.to_owned(),
        ede: case.ede.to_owned(),
        answer: case.answer.iter().map(ToString::to_string).collect(),
        authority: case.authority.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(
        Reply::read(printed),
        want,
        "{client} {}\n{printed}",
        case.ask
    );
}

#[test]
fn unknown_client_is_refused_with_ede_prohibited() {
    if !installed(&["dig"]) {
        return;
    }
    let dnsgate = Running::start("clients: { me: { cidrs: [127.0.0.1/32] } }");
    let unknown_client = Case {
        ask: "-b 127.0.0.5 storage.googleapis.com",
        ede: "18 (Prohibited): client is in no group",
        // Who may not ask is not told that there is recursion to be had.
        flags: "qr rd",
        ..REFUSED
    };
    for transport in ["+notcp", "+tcp"] {
        let printed = dnsgate.dig(&format!("{transport} {}", unknown_client.ask));
        expect(&unknown_client, &printed, transport);
        let printed = dnsgate.dig(&format!("{transport} -b 127.0.0.1 storage.googleapis.com"));
        assert_eq!(Reply::read(&printed).answer.len(), 5, "{printed}");
    }
}

#[test]
fn each_deny_with_gives_its_own_reply() {
    if !installed(&["dig"]) {
        return;
    }
    let dnsgate = Running::start(
        "rules:
           - { name: gone, domains: [.gone.example], deny: nxdomain, reason: SEC-1234 }
           - { name: empty, domains: [.empty.example], deny: nodata }
           - { name: silent, domains: [.silent.example], deny: drop }",
    );
    for case in [
        Case {
            ask: "a.gone.example",
            status: "NXDOMAIN",
            flags: "qr aa rd ra",
            ede: "15 (Blocked): rule gone: SEC-1234",
            authority: &[
                "a.gone.example. 60 IN SOA dnsgate.invalid. nobody.invalid. 1 3600 600 86400 60",
            ],
            ..REFUSED
        },
        Case {
            ask: "empty.example",
            ede: "15 (Blocked): rule empty",
            authority: &[
                "empty.example. 60 IN SOA dnsgate.invalid. nobody.invalid. 1 3600 600 86400 60",
            ],
            ..ANSWERED
        },
    ] {
        expect(&case, &dnsgate.dig(case.ask), "dig");
    }
    let printed = dnsgate.client("dig", "@127.0.0.1 +tries=1 +time=1 silent.example");
    assert!(printed.contains("timed out"), "{printed}");
}

/// 30 addresses at `some` are 541 bytes, 100 at `many` are more than 1232.
fn large_sets() -> String {
    let records = |name: &str, count: u8| -> String {
        (0..count)
            .map(|at| format!("\"{name} A 10.0.0.{at}\", "))
            .collect()
    };
    let (some, many) = (records("some", 30), records("many", 100));
    format!("zones: [{{ origin: large.example, records: [{some}{many}] }}]")
}

#[test]
fn truncated_answers_are_asked_again_over_tcp() {
    if !installed(&["dig"]) {
        return;
    }
    let dnsgate = Running::start(&large_sets());
    for (ask, fits) in [
        ("some.large.example", true),
        ("some.large.example +bufsize=512", false),
        ("some.large.example +noedns", false),
        ("many.large.example", false),
        // What we send is at most 1232 bytes, whatever the client would take.
        ("many.large.example +bufsize=4096", false),
    ] {
        let cut = Reply::read(&dnsgate.dig(&format!("{ask} +ignore")));
        assert_eq!(cut.flags.contains("tc"), !fits, "{ask}: {cut:?}");
        let printed = dnsgate.dig(ask);
        assert_eq!(printed.contains("retrying in TCP mode"), !fits, "{printed}");
        let whole = Reply::read(&printed).answer.len();
        assert_eq!(
            whole,
            if ask.starts_with("some") { 30 } else { 100 },
            "{printed}"
        );
    }
}

#[test]
fn replies_from_the_address_that_was_asked() {
    if !installed(&["dig"]) {
        return;
    }
    let dnsgate = Running::start_on("0.0.0.0", "");
    for address in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        for transport in ["+notcp", "+tcp"] {
            answers_from(&dnsgate, address, transport);
        }
    }
    if UdpSocket::bind("[::1]:0").is_err() {
        return skipped("no IPv6 on loopback");
    }
    let dnsgate = Running::start_on("[::]", "");
    for transport in ["+notcp", "+tcp"] {
        answers_from(&dnsgate, "::1", transport);
    }
}

/// dig says so, and finds no answer, when a reply comes from another address.
fn answers_from(dnsgate: &Running, address: &str, transport: &str) {
    let ask = format!("@{address} +tries=1 +time=10 {transport} storage.googleapis.com");
    let printed = dnsgate.client("dig", &ask);
    assert!(!printed.contains("unexpected source"), "{printed}");
    assert!(
        printed.contains(&format!("SERVER: {address}#")),
        "{printed}"
    );
    assert_eq!(Reply::read(&printed).answer.len(), 5, "{printed}");
}
