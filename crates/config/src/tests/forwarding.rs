//! Upstreams, the rules that forward to them, mode and cache.

use std::{fs, time::Duration};

use super::{answer, answer_to, config, errors, now};
use crate::{Limits, Strategy, load};
use dnsgate_core::{
    cache::CacheSettings,
    dns::Name,
    policy::{AnswerRanges, CnameMode, Forwarding, GroupId, UpstreamId, Verdict},
};

const UPSTREAMS: &str = "\
upstreams:
  public: { servers: [tls://8.8.8.8#dns.google, tls://8.8.4.4#dns.google] }
  corp: { servers: [udp://10.9.0.53, tcp://10.9.1.53:5353], strategy: ordered }
";

/// What a name is forwarded by, to the first group.
fn forwarding(text: &str, name: &str) -> Option<Forwarding> {
    let config = config(text);
    let name: Name = name.parse().expect(name);
    let a = "A".parse().expect("a type");
    match config.policy.decide(GroupId(0), name.as_ref(), a, now()) {
        Verdict::Forward(grant) => Some(grant.forwarding().clone()),
        _ => None,
    }
}

#[test]
fn upstreams_are_in_the_order_of_the_file() {
    let config = config(&format!(
        "{UPSTREAMS}rules:\n  - {{name: r, domains: [x.test], forward: corp}}\n  - {{name: s, domains: [y.test], forward: public}}"
    ));
    let shown: Vec<_> = config
        .upstreams
        .iter()
        .map(|upstream| {
            let servers: Vec<_> = upstream.servers.iter().map(ToString::to_string).collect();
            (
                &*upstream.name,
                servers.join(" "),
                upstream.strategy,
                upstream.ca.is_some(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (
                "public",
                "tls://8.8.8.8:853#dns.google tls://8.8.4.4:853#dns.google".to_owned(),
                Strategy::Fastest,
                false
            ),
            (
                "corp",
                "udp://10.9.0.53:53 tcp://10.9.1.53:5353".to_owned(),
                Strategy::Ordered,
                false
            ),
        ]
    );
    assert_eq!(answer(&config, "x.test", "A"), "forward to 1");
    assert_eq!(answer(&config, "y.test", "A"), "forward to 0");
    assert_eq!(
        answer(&config, "z.example", "A"),
        "refused: no rule allows this name"
    );
    assert!(
        config.summary.ends_with(", 2 rules, 2 upstreams"),
        "{}",
        config.summary
    );
}

#[test]
fn a_rule_forwards_what_it_says() {
    let text = format!(
        "{UPSTREAMS}rules:
  - {{name: plain, domains: [plain.test], forward: public}}
  - {{name: text, domains: [text.test], forward: public, types: [TXT]}}
  - {{name: corp, domains: [.corp.test], forward: corp, groups: [vpc], cname: allowed, addresses: [10.0.0.0/8, \"fd00::/8\"]}}
"
    );
    let config = config(&text);
    for (client, name, rtypes, forwarded) in [
        (
            "10.1.2.3",
            "plain.test",
            "A AAAA CNAME HTTPS SVCB SRV MX PTR NS SOA ANY",
            true,
        ),
        (
            "10.1.2.3",
            "plain.test",
            "TXT NULL DNSKEY CAA TYPE65280",
            false,
        ),
        ("10.1.2.3", "text.test", "TXT", true),
        ("10.1.2.3", "text.test", "A ANY", false),
        ("10.1.2.3", "a.corp.test", "A", true),
        ("35.199.192.1", "a.corp.test", "A", false),
    ] {
        for rtype in rtypes.split_whitespace() {
            let told = answer_to(&config, client, name, rtype);
            assert_eq!(
                told.starts_with("forward to "),
                forwarded,
                "{name} {rtype}: {told}"
            );
        }
    }
    let plain = forwarding(&text, "plain.test").expect("forwarded");
    assert_eq!(
        plain,
        Forwarding {
            upstream: UpstreamId(0),
            answers: AnswerRanges::Public,
            cname: CnameMode::Any,
            budget: None,
        }
    );
    let corp = forwarding(&text, "a.corp.test").expect("forwarded");
    assert_eq!(
        (corp.upstream, corp.cname),
        (UpstreamId(1), CnameMode::Allowed)
    );
    assert_eq!(corp.answers.to_string(), "10.0.0.0/8 fd00::/8");
}

#[test]
fn observe_forwards_what_would_be_denied() {
    let text = format!(
        "{UPSTREAMS}mode: {{ observe: public }}\nrules: [{{name: r, domains: [x.test], forward: corp}}]"
    );
    let config = config(&text);
    assert!(config.policy.observed().is_some());
    assert_eq!(answer(&config, "x.test", "A"), "forward to 1");
    assert_eq!(answer(&config, "z.test", "A"), "forward to 0");
    assert!(
        config
            .summary
            .ends_with(", 2 upstreams, mode observe (nothing is denied)"),
        "{}",
        config.summary
    );
    let enforced = super::config(&text.replace("{ observe: public }", "enforce"));
    assert!(enforced.policy.observed().is_none());
    assert_eq!(
        answer(&enforced, "z.example", "A"),
        "refused: no rule allows this name"
    );
}

#[test]
fn cache_and_limits_are_read() {
    let empty = config("").startup;
    assert_eq!(
        empty.cache,
        CacheSettings {
            size: 64 << 20,
            min_ttl: 0,
            max_ttl: 3_600,
            serve_stale: 86_400,
            bridge_denials: false,
        }
    );
    assert_eq!(empty.limits, Limits::default());
    let set = config(
        "cache: {size: 1GiB, min_ttl: 30s, max_ttl: 1d, serve_stale: 60s, serve_stale_on: denial}\n\
         limits: {in_flight: 5000, coalesced: 100, upstream_timeout: 1500ms, upstream_near_misses: 20}",
    );
    let set = set.startup;
    assert_eq!(
        set.cache,
        CacheSettings {
            size: 1 << 30,
            min_ttl: 30,
            max_ttl: 86_400,
            serve_stale: 60,
            bridge_denials: true,
        }
    );
    assert_eq!((set.limits.in_flight, set.limits.coalesced), (5_000, 100));
    assert_eq!(set.limits.upstream_timeout, Duration::from_millis(1_500));
    assert_eq!(set.limits.upstream_near_misses, 20);
    assert_eq!(empty.differences(&set), ["cache", "limits"]);
    for (size, bytes) in [("0", 0), ("0MiB", 0), ("1024KiB", 1 << 20)] {
        let config = config(&format!("cache: {{size: {size}}}"));
        assert_eq!(config.startup.cache.size, bytes, "{size}");
    }
}

#[test]
fn there_is_an_end_to_upstreams_and_servers() {
    let upstream = |n| format!("u{n}: {{servers: [udp://10.9.0.53]}}");
    let upstreams = |count| {
        let all: Vec<_> = (0..count).map(upstream).collect();
        format!("upstreams: {{{}}}", all.join(", "))
    };
    assert_eq!(config(&upstreams(64)).upstreams.len(), 64);
    let told = errors(&upstreams(65));
    assert!(
        told.contains("there are 65 upstreams; 64 are the most"),
        "{told}"
    );
    let servers = |count| {
        let all: Vec<_> = (0..count).map(|n| format!("udp://10.9.0.{n}")).collect();
        format!("upstreams: {{u: {{servers: [{}]}}}}", all.join(", "))
    };
    assert_eq!(config(&servers(16)).upstreams[0].servers.len(), 16);
    let told = errors(&servers(17));
    assert!(
        told.contains("16 servers are the most that an upstream may have"),
        "{told}"
    );
}

#[test]
fn certificates_are_read_and_watched() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &[u8]| fs::write(dir.path().join(name), text).expect("room");
    write(
        "gate.yaml",
        b"upstreams: {corp: {servers: [tls://10.9.0.53#dns.corp.test], ca_file: ca.pem}}\n\
          rules: [{name: r, domains: [x.test], forward: corp}]",
    );
    let path = dir.path().join("gate.yaml");
    let told = |pem: &[u8]| {
        write("ca.pem", pem);
        let report = load(&path).expect_err("invalid").to_string();
        report.lines().next().unwrap_or_default().to_owned()
    };
    let pem = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    for (text, place, want) in [
        (&b""[..], "gate.yaml:1:71", "ca.pem\" holds no certificate"),
        (b"\x30\x82\xff", "gate.yaml:1:71", "is not UTF-8 text"),
        (
            &pem[..40],
            "ca.pem:1:1",
            "this certificate has no -----END CERTIFICATE-----",
        ),
    ] {
        let told = told(text);
        assert!(told.contains(place) && told.contains(want), "{told}");
    }
    write("ca.pem", pem);
    let config = load(&path).expect("valid");
    assert_eq!(config.upstreams[0].ca.as_deref(), Some(&pem[..]));
    assert!(
        config
            .files
            .iter()
            .any(|file| file.path().ends_with("ca.pem"))
    );
}

#[test]
fn which_listeners_count_is_what_the_server_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("gate.yaml");
    // (`listen` of the file, --listen, the server, whether it is dnsgate itself)
    for (listen, told, server, own) in [
        ("", "", "127.0.0.53", true),
        ("", "udp://127.0.0.1:5300", "127.0.0.53", false),
        ("", "udp://127.0.0.53:53", "127.0.0.53", true),
        ("", "udp://127.0.0.53:54", "127.0.0.53", false),
        ("udp://127.0.0.1:54", "", "127.0.0.53", false),
        ("udp://127.0.0.1:54", "udp://0.0.0.0:53", "127.0.0.53", true),
        ("udp://10.0.0.1:53", "udp://10.0.0.2:53", "10.0.0.1", false),
        ("", "", "127.0.0.11", false),
        ("", "udp://127.0.0.11:53", "127.0.0.11", true),
    ] {
        let listen = match listen {
            "" => String::new(),
            listen => format!("listen: [\"{listen}\"]\n"),
        };
        let text = format!(
            "{listen}upstreams: {{ u: {{ servers: [udp://{server}] }} }}\n\
             rules: [{{ name: r, domains: [.example], forward: u }}]\n"
        );
        fs::write(&file, &text).expect("written");
        let told: Vec<crate::Listen> = Some(told)
            .filter(|told| !told.is_empty())
            .map(|told| told.parse().expect("an address"))
            .into_iter()
            .collect();
        let error = crate::load_for(&file, &told).err().map(|it| it.to_string());
        let is_own = error.is_some_and(|it| it.contains("is dnsgate itself"));
        assert_eq!(is_own, own, "{told:?}: {text}");
    }
}
