//! What is used all the same, and perhaps not meant.

use super::{config, now};
use std::time::Duration;

/// The warnings of a text, each in one line without its snippet.
fn warnings(text: &str) -> Vec<String> {
    let told = config(text).warnings(now());
    told.iter()
        .map(|n| {
            let help = n
                .help
                .as_deref()
                .map(|help| format!(" ({help})"))
                .unwrap_or_default();
            format!("{}:{} {}{help}", n.line, n.column, n.message)
        })
        .collect()
}

#[test]
fn each_warning_is_told_with_its_place() {
    for (text, want) in [
        (
            "rules: [{name: r, domains: [.github.io], answer: [A 10.0.0.1]}]",
            "1:29 anybody can have a name under github.io, and `.github.io` covers all of them (name the domains that are meant)",
        ),
        (
            "rules: [{name: r, domains: [\"*.com\"], answer: [A 10.0.0.1]}]",
            "1:29 anybody can have a name under com, and `*.com` covers all of them (name the domains that are meant)",
        ),
        (
            "rules: [{name: r, domains: [.], answer: [A 10.0.0.1]}]",
            "1:29 anybody can have a name under the root, and `.` covers all of them (name the domains that are meant)",
        ),
        (
            "rules: [{name: r, domains: [.storage.googleapis.com], answer: [A 10.0.0.1]}]",
            "1:29 anybody can have a name under storage.googleapis.com, and `.storage.googleapis.com` covers all of them (name the domains that are meant)",
        ),
        (
            "zones: [{origin: co.uk, records: [\"@ A 10.0.0.1\"]}]",
            "1:18 anybody can have a name under co.uk; to clients of this zone none of them exists",
        ),
        (
            "google_apis: {domains: [gcr.oi]}",
            "1:25 Google documents no domain gcr.oi for this address; it is served as gcr.oi and everything below it (did you mean gcr.io?)",
        ),
        (
            "google_apis: {domains: [appspot.com]}",
            "1:25 Google does not document appspot.com for the restricted address (try https://appspot.com there before you rely on it, or except it: appspot.com: private)",
        ),
        (
            "clients: {dns: {cidrs: [35.199.192.0/19]}}",
            "1:11 Cloud DNS (35.199.192.0/19) is in client group `dns`, and REFUSED from every target becomes SERVFAIL there: clients try again instead of giving up (give the group deny_with: nxdomain)",
        ),
        (
            "clients: {all: {cidrs: [0.0.0.0/0]}}",
            "1:11 Cloud DNS (35.199.192.0/19) is in client group `all`, and REFUSED from every target becomes SERVFAIL there: clients try again instead of giving up (give the group deny_with: nxdomain)",
        ),
        (
            "rules: [{name: r, domains: [x.example], deny: true, until: 2026-12-30}]",
            "1:60 rule `r` ended at 2026-12-31T00:00:00Z and has no effect any more",
        ),
        (
            "rules: [{name: r, domains: [x.example], deny: true, until: \"2027-01-14T23:00:00Z\"}]",
            "1:60 rule `r` ends at 2027-01-14T23:00:00Z",
        ),
        (
            "clients: {a: {cidrs: [10.0.0.0/8]}}\nrules:\n- {name: r, domains: [.x.example], deny: true}\n- {name: s, domains: [.x.example], groups: [a], deny: true}",
            "3:10 rule `r` can never win: rule `s` (line 4) takes every question of it (remove one of them, or change groups, types or names)",
        ),
    ] {
        assert_eq!(warnings(text), [want], "{text}");
    }
}

#[test]
fn what_forwards_is_warned_of_in_particular() {
    for (text, want) in [
        (
            "upstreams: {u: {servers: [udp://10.9.0.53]}}\nrules: [{name: r, domains: [.co.uk], forward: u}]",
            "2:29 anybody can have a name under co.uk, and `.co.uk` covers all of them (name the domains that are meant)",
        ),
        (
            "upstreams: {u: {servers: [udp://10.9.0.53]}}\nrules: [{name: r, domains: [\"*.\"], forward: u}]",
            "2:29 anybody can have a name under the root, and `*.` covers all of them (name the domains that are meant)",
        ),
        (
            "upstreams: {u: {servers: [udp://10.9.0.53]}, v: {servers: [udp://10.9.1.53]}}\nrules: [{name: r, domains: [x.example], forward: u}]",
            "1:46 no rule forwards to upstream `v` (write a rule with forward: v, or remove it)",
        ),
        (
            "upstreams: {u: {servers: [\"udp://169.254.169.254:53\"]}}\nrules: [{name: r, domains: [x.example], forward: u}]",
            "1:27 169.254.169.254 is the metadata server: where an outbound server policy of this VPC names dnsgate, it forwards every question back to dnsgate, in a circle (ask a resolver that no server policy governs, such as tls://8.8.8.8#dns.google; or leave it where there is no such policy)",
        ),
        (
            "upstreams: {u: {servers: [udp://10.9.0.53]}}\nmode: {observe: u}",
            "2:17 mode observe denies nothing: what no rule allows is forwarded to `u` and recorded (mode: enforce, once the rules allow what is needed)",
        ),
    ] {
        assert_eq!(warnings(text), [want], "{text}");
    }
}

const CORP: &str = "upstreams: {u: {servers: [udp://10.9.0.53]}, v: {servers: [\"tls://8.8.8.8#dns.google\"]}}\n\
    clients: {a: {cidrs: [10.0.0.0/8]}, b: {cidrs: [10.8.0.0/16]}}\n";

#[test]
fn ranges_that_our_own_data_is_not_in_are_warned_of_once() {
    let help = "(where such aliases are meant, list the addresses under answers: {within: [...]})";
    let told = |rule: &str, place: &str, into: &str, has: &str| {
        format!(
            "{place} rule `{rule}`: its ranges hold to the end of a chain of aliases, so an alias into {into}, which has {has}, is denied {help}"
        )
    };
    let zone = "zones: [{origin: lab.example, records: [\"db A 10.0.0.5\"]}]\n";
    for (text, want) in [
        (
            format!("{zone}rules: [{{name: r, domains: [.x.example], forward: u}}, {{name: s, domains: [.y.example], forward: v}}, {{name: t, domains: [.z.example], forward: u}}]"),
            vec![told("r", "4:16", "zone lab.example", "10.0.0.5")],
        ),
        (
            format!("{zone}rules: [{{name: r, domains: [.x.example], forward: u, answers: {{within: [10.1.0.0/16]}}}}, {{name: s, domains: [.y.example], forward: v}}]"),
            vec![told("r", "4:16", "zone lab.example", "10.0.0.5")],
        ),
        (
            "rules: [{name: r, domains: [.x.example], forward: u}, {name: s, domains: [.y.example], forward: v}, {name: own, domains: [own.example], answer: [AAAA fd00::5]}]".to_owned(),
            vec![told("r", "3:16", "rule `own`", "fd00::5")],
        ),
        // In its ranges, for others, of the internet, the preset's, built in.
        (
            format!("{zone}rules: [{{name: r, domains: [.x.example], forward: u, answers: {{within: [10.0.0.0/16]}}}}, {{name: s, domains: [.y.example], forward: v}}]"),
            vec![],
        ),
        (
            "rules: [{name: r, domains: [.x.example], forward: u, groups: [a]}, {name: s, domains: [.y.example], forward: v}, {name: own, domains: [own.example], answer: [A 10.0.0.5], groups: [b]}]".to_owned(),
            vec![],
        ),
        (
            format!("{zone}rules: [{{name: r, domains: [.x.example], forward: v}}, {{name: s, domains: [.y.example], forward: u, answers: {{within: [10.0.0.5/32]}}}}]"),
            vec![],
        ),
        (
            "google_apis: {vip: psc, addresses: [10.1.1.5]}\nrules: [{name: r, domains: [.x.example], forward: u}, {name: s, domains: [.y.example], forward: v}]".to_owned(),
            vec![],
        ),
    ] {
        assert_eq!(warnings(&format!("{CORP}{text}")), want, "{text}");
    }
}

#[test]
fn what_is_meant_is_not_warned_of() {
    for text in [
        "rules: [{name: r, domains: [.net, .github.io], deny: true}]",
        "rules: [{name: r, domains: [github.io, .mine.github.io, .example.com], answer: [A 10.0.0.1]}]",
        "rules: [{name: r, domains: [x.example], deny: true, until: 2027-02-01}]",
        "upstreams: {u: {servers: [udp://10.9.0.53]}}\nrules: [{name: r, domains: [github.io, .example.com], forward: u}]",
        "zones: [{origin: corp.example, records: [\"* A 10.0.0.1\"]}]",
        "google_apis: {vip: private, domains: documented}",
        "google_apis: {domains: documented}",
        "clients: {dns: {cidrs: [35.199.192.0/19], deny_with: nxdomain}, all: {cidrs: [0.0.0.0/0]}}",
        "clients: {all: {cidrs: [0.0.0.0/0]}}\ndeny_with: nodata",
        "clients: {vpc: {cidrs: [10.0.0.0/8]}}",
    ] {
        assert_eq!(warnings(text), [""; 0], "{text}");
    }
}

#[test]
fn a_rule_is_warned_of_as_its_end_comes_near() {
    let config = config("rules: [{name: r, domains: [x.example], deny: true, until: 2027-01-31}]");
    let day = Duration::from_secs(86_400);
    for (days, told) in [(0, 0), (16, 0), (17, 1), (31, 1), (400, 1)] {
        assert_eq!(config.warnings(now() + day * days).len(), told, "{days}");
    }
}
