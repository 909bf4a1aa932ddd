//! Tests that pass and tests that fail, with the line that says why; and the words of both layers.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use super::*;
use crate::snapshot;
use dnsgate_config::Config;
use dnsgate_core::engine::{Ending, Reason};

/// 2027-01-01T00:00:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_761_600)
}

const POLICY: &str = "
clients: { vpc: { cidrs: [10.0.0.0/8] }, quiet: { cidrs: [10.9.0.0/16], deny_with: drop } }
zones: [{ origin: corp.example, records: [\"db A 10.0.0.5\", \"db A 192.0.2.1\", \"www CNAME DB\", \"t TXT hello\", \"loop CNAME loop\", \"out CNAME a.hub.example.\"] }]
rules:
  - { name: past, domains: [past.example], records: [A 10.0.0.6], until: 2026-12-31 }
  - { name: soon, domains: [soon.example], records: [\"AAAA fd00::1\"], until: 2027-01-31 }
  - { name: no, domains: [.no.example], deny: nxdomain }
  - { name: hub, domains: [.hub.example], forward: public, addresses: [192.0.2.0/24] }
upstreams: { corp: { servers: [udp://10.0.0.53] }, public: { servers: [udp://8.8.8.8] } }
";

fn config(tests: &str) -> Config {
    let text = format!("{POLICY}tests:\n{tests}");
    dnsgate_config::parse(&text, "t.yaml", Path::new(""))
        .unwrap_or_else(|report| panic!("{report}"))
}

/// What came of the only test in a text.
fn tried(test: &str) -> (Option<String>, bool) {
    of_one(config(&format!("  - {{ {test} }}")))
}

fn of_one(config: Config) -> (Option<String>, bool) {
    let snapshot = snapshot(config.policy, config.zones, config.upstreams.len());
    let subject = Subject::new(&snapshot, &config.upstreams);
    let tried: Vec<_> = run_tests(&config.cases, &subject, now()).collect();
    assert_eq!(tried.len(), 1);
    (tried[0].failure.clone(), tried[0].ends.is_some())
}

/// A question, what is expected, and the failure; empty for none.
const CASES: &[(&str, &str, &str)] = &[
    // Each expectation alone, met and not met.
    ("ask: db.corp.example", "verdict: answered", ""),
    (
        "ask: db.corp.example",
        "verdict: denied",
        "wanted verdict denied; seen verdict answered",
    ),
    ("ask: db.corp.example", "reason: zone", ""),
    (
        "ask: a.no.example",
        "reason: zone",
        "wanted reason zone; seen reason blocked",
    ),
    ("ask: a.no.example", "rule: no", ""),
    (
        "ask: other.example",
        "rule: no",
        "wanted rule no; seen rule none",
    ),
    ("ask: a.no.example", "rcode: NXDOMAIN", ""),
    (
        "ask: other.example",
        "rcode: NXDOMAIN",
        "wanted rcode NXDOMAIN; seen rcode REFUSED",
    ),
    (
        "ask: db.corp.example",
        "contains: [db.corp.example A 10.0.0.5]",
        "",
    ),
    (
        "ask: db.corp.example",
        "contains: [db.corp.example A 10.0.0.6]",
        "wanted record db.corp.example A 10.0.0.6; seen A 10.0.0.5, A 192.0.2.1",
    ),
    // The owner counts, the TTL and the case of a name in the data do not.
    (
        "ask: www.corp.example",
        "contains: [www.corp.example A 10.0.0.5]",
        "wanted record www.corp.example A 10.0.0.5; seen CNAME db.corp.example., A 10.0.0.5, A 192.0.2.1",
    ),
    (
        "ask: www.corp.example",
        "contains: [www.corp.example 9 CNAME Db.corp.example, DB.corp.example A 10.0.0.5]",
        "",
    ),
    // 65 is not 97, whatever letters they are.
    (
        "ask: t.corp.example TXT",
        "contains: [t.corp.example TXT HELLO]",
        "wanted record t.corp.example TXT HELLO; seen TXT hello",
    ),
    (
        "ask: db.corp.example",
        "within: [10.0.0.0/8, 192.0.2.0/24]",
        "",
    ),
    (
        "ask: db.corp.example",
        "within: [10.0.0.0/8]",
        "wanted addresses within 10.0.0.0/8; seen A 10.0.0.5, A 192.0.2.1",
    ),
    // No address at all lies nowhere.
    (
        "ask: other.example",
        "within: [\"::/0\", 0.0.0.0/0]",
        "wanted addresses within ::/0, 0.0.0.0/0; seen no records",
    ),
    // Several at once are one line.
    (
        "ask: other.example",
        "verdict: answered, rcode: NOERROR",
        "wanted verdict answered, rcode NOERROR; seen verdict denied, rcode REFUSED",
    ),
    // The client, the transport and the time are the test's.
    ("over: tcp, ask: db.corp.example", "verdict: answered", ""),
    (
        "ask: loop.corp.example",
        "verdict: failed, reason: chain_too_long, rcode: SERVFAIL",
        "",
    ),
    (
        "ask: corp.example AXFR",
        "verdict: rejected, reason: meta_type",
        "",
    ),
    ("at: 2026-12-31, ask: past.example", "rule: past", ""),
    (
        "at: 2027-01-01, ask: past.example",
        "reason: expired, rule: past",
        "",
    ),
    (
        "at: \"2026-12-31T23:59:59Z\", ask: past.example",
        "rule: past",
        "",
    ),
    ("ask: past.example", "reason: expired", ""),
    // No upstream is asked: what is known is which one would be.
    (
        "ask: a.hub.example",
        "verdict: forwarded, reason: upstream, rule: hub, upstream: public",
        "",
    ),
    (
        "ask: a.hub.example",
        "upstream: corp",
        "wanted upstream corp; seen upstream public",
    ),
    (
        "ask: db.corp.example",
        "upstream: corp",
        "wanted upstream corp; seen upstream none",
    ),
    (
        "ask: a.hub.example",
        "rcode: none",
        "wanted rcode none; seen rcode what the upstream says, which a test does not ask",
    ),
    (
        "ask: a.hub.example",
        "within: [192.0.2.0/24]",
        "wanted addresses within 192.0.2.0/24; seen what the upstream says, which a test does not ask",
    ),
    (
        "ask: a.hub.example TXT",
        "reason: other_type, rule: hub",
        "",
    ),
    (
        "ask: a.hub.example ANY",
        "verdict: answered, reason: any",
        "",
    ),
    (
        "ask: out.corp.example",
        "reason: zone, upstream: public",
        "",
    ),
    (
        "ask: 0123456789abcdef0123456789abcdef.dnsgate-probe.example",
        "verdict: rejected, reason: loop_probe",
        "",
    ),
];

#[test]
fn a_failing_test_says_what_was_wanted_and_seen() {
    for (test, expect, failure) in CASES {
        let from_vpc = format!("{test}, from: 10.0.0.1, expect: {{ {expect} }}");
        let (told, _) = tried(&from_vpc);
        assert_eq!(told.as_deref().unwrap_or(""), *failure, "{from_vpc}");
    }
    for (from, expect) in [
        ("10.9.0.1", "rcode: none, verdict: denied"),
        ("192.0.2.1", "reason: unknown_client, rcode: REFUSED"),
    ] {
        let test = format!("ask: other.example, from: {from}, expect: {{ {expect} }}");
        assert_eq!(tried(&test).0, None, "{test}");
    }
}

#[test]
fn a_test_distinguishes_observed_from_allowed() {
    for (ask, expect) in [
        ("other.example", "reason: observed, upstream: public"),
        ("a.no.example", "reason: observed, rule: no"),
        ("a.hub.example", "reason: upstream, rule: hub"),
        ("db.corp.example", "reason: zone"),
    ] {
        let text = format!(
            "{POLICY}mode: {{ observe: public }}\ntests: [{{ ask: {ask}, from: 10.0.0.1, expect: {{ {expect} }} }}]"
        );
        let config = dnsgate_config::parse(&text, "t.yaml", Path::new("")).expect(ask);
        assert_eq!(of_one(config).0, None, "{ask}");
    }
}

#[test]
fn a_test_reports_when_its_rule_ends() {
    for (at, ends) in [("", true), (", at: 2027-01-01", false)] {
        let test = format!("ask: soon.example AAAA, from: 10.0.0.1{at}, expect: {{ rule: soon }}");
        assert_eq!(tried(&test), (None, ends), "{test}");
    }
}

#[test]
fn check_lists_failures_up_to_the_limit_and_counts_all() {
    let failing = "  - { ask: x.example, from: 10.0.0.1, expect: { verdict: answered } }\n";
    let config = config(&failing.repeat(MAX_TOLD + 2));
    let snapshot = snapshot(config.policy, config.zones, config.upstreams.len());
    let subject = Subject::new(&snapshot, &config.upstreams);
    let told = check_tests(&config.cases, &subject, now())
        .expect_err("all fail")
        .to_string();
    assert!(
        told.starts_with("22 of 22 policy tests failed\nt.yaml:11: x.example. A from 10.0.0.1: wanted verdict answered; seen verdict denied\n"),
        "{told}"
    );
    assert!(told.ends_with("\n… and 2 more"), "{told}");
    assert_eq!(check_tests(&[], &subject, now()), Ok(()));
}

#[test]
fn a_test_may_expect_every_reason_that_a_question_can_have() {
    let accepted = |key: &str, word: &str| {
        let text = format!("tests: [{{ask: x, from: 10.0.0.1, expect: {{{key}: {word}}}}}]");
        dnsgate_config::parse(&text, "t.yaml", Path::new("")).is_ok()
    };
    for ending in Ending::ALL {
        assert!(accepted("verdict", ending.as_str()), "{}", ending.as_str());
    }
    for &reason in Reason::ALL {
        // What no question in a file can meet: bytes that are no question, what only becomes of it
        // once an upstream has been asked, and faults of ours.
        let unheard = matches!(
            reason,
            Reason::Cache
                | Reason::Stale
                | Reason::Filtered
                | Reason::UpstreamChain
                | Reason::Short
                | Reason::NotAQuery
                | Reason::Opcode
                | Reason::Format
                | Reason::EdnsVersion
                | Reason::Class
                | Reason::NoRecursion
                | Reason::RateLimited
                | Reason::OverBudget
                | Reason::Timeout
                | Reason::Unreachable
                | Reason::UpstreamError
                | Reason::UpstreamMalformed
                | Reason::UpstreamDown
                | Reason::UpstreamLooping
                | Reason::Shed
                | Reason::NoRoom
                | Reason::Panic
        );
        assert_eq!(
            accepted("reason", reason.as_str()),
            !unheard,
            "{}",
            reason.as_str()
        );
    }
}
