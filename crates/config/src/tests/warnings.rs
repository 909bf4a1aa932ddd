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
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_warning_is_told_with_its_place() {
    for (text, want) in [
        (
            "zones: [{origin: rpz.example, records: [\"bad.test CNAME .\"]}]",
            "1:18 the zone rpz.example. looks like a response policy zone (RPZ); as a plain zone it denies nothing (turn the policy into rules: dnsgate import rpz FILE)",
        ),
        (
            "zones: [{origin: rpz.example, records: [\"bad.test CNAME rpz-passthru.\"]}]",
            "1:18 the zone rpz.example. looks like a response policy zone (RPZ); as a plain zone it denies nothing (turn the policy into rules: dnsgate import rpz FILE)",
        ),
        (
            "rules: [{name: r, domains: [.github.io], records: [A 10.0.0.1]}]",
            "1:29 anybody can have a name under github.io, and `.github.io` covers all of them (name the domains that are meant)",
        ),
        (
            "rules: [{name: r, domains: [\"*.com\"], records: [A 10.0.0.1]}]",
            "1:29 anybody can have a name under com, and `*.com` covers all of them (name the domains that are meant)",
        ),
        (
            "rules: [{name: r, domains: [.], records: [A 10.0.0.1]}]",
            "1:29 anybody can have a name under the root, and `.` covers all of them (name the domains that are meant)",
        ),
        (
            "rules: [{name: r, domains: [.storage.googleapis.com], records: [A 10.0.0.1]}]",
            "1:29 anybody can have a name under storage.googleapis.com, and `.storage.googleapis.com` covers all of them (name the domains that are meant)",
        ),
        (
            "zones: [{origin: co.uk, records: [\"@ A 10.0.0.1\"]}]",
            "1:18 anybody can have a name under co.uk; to clients of this zone none of them exists",
        ),
        (
            "zones: [{origin: z.example, records: [\"@ DNSKEY 257 3 13 AA==\", \"a A 10.0.0.1\"]}]",
            "1:18 1 DNSSEC record of the zone z.example. will not be served: dnsgate serves no signatures (validating clients fail while the parent zone has a DS record for it: remove that record, or serve the zone from a server that signs)",
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
            "clients: {dns: {cidrs: [35.199.192.0/19]}}\ndeny_with: drop",
            "1:11 Cloud DNS (35.199.192.0/19) is in client group `dns`, and silence (drop) looks like a dead target there: it waits, asks the other targets and answers SERVFAIL, and clients try again (give the group deny_with: nxdomain)",
        ),
        (
            "clients: {dns: {cidrs: [35.199.192.0/19], deny_with: drop}}\ndeny_with: nxdomain",
            "1:11 Cloud DNS (35.199.192.0/19) is in client group `dns`, and silence (drop) looks like a dead target there: it waits, asks the other targets and answers SERVFAIL, and clients try again (give the group deny_with: nxdomain)",
        ),
        // A part of the range is enough.
        (
            "clients: {dns: {cidrs: [35.199.200.0/24], deny_with: refused}}\ndeny_with: nxdomain",
            "1:11 Cloud DNS (35.199.192.0/19) is in client group `dns`, and REFUSED from every target becomes SERVFAIL there: clients try again instead of giving up (give the group deny_with: nxdomain)",
        ),
        // A rule's own way, by the default groups as well.
        (
            "rules: [{name: r, domains: [x.example], deny: drop}]",
            "1:47 rule `r` is for client group `cloud-dns`, too, which Cloud DNS (35.199.192.0/19) is in, and silence (drop) looks like a dead target there: it waits, asks the other targets and answers SERVFAIL, and clients try again (write deny: nxdomain, or name the groups that it is for)",
        ),
        (
            "clients: {dns: {cidrs: [35.199.192.0/19], deny_with: nxdomain}}\nrules: [{name: r, domains: [x.example], groups: [dns], deny: refused}]",
            "2:62 rule `r` is for client group `dns`, too, which Cloud DNS (35.199.192.0/19) is in, and REFUSED from every target becomes SERVFAIL there: clients try again instead of giving up (write deny: nxdomain, or name the groups that it is for)",
        ),
        // Names that leave the Google preset: one of it, all below one, of another domain.
        (
            "upstreams: {u: {servers: [udp://10.9.0.53]}}\nrules: [{name: r, domains: [storage.googleapis.com], forward: u}]",
            "2:29 rule `r` forwards `storage.googleapis.com`, which google_apis would answer (googleapis.com): clients leave the VIP for another address (leave the name to the preset; google_apis.except sends a name to the other VIP, and a rule with the address of an endpoint of yours is not warned of)",
        ),
        (
            "google_apis: {domains: [pkg.dev]}\nupstreams: {u: {servers: [udp://10.9.0.53]}}\nrules: [{name: r, domains: [\"*.eu.pkg.dev\"], forward: u}]",
            "3:29 rule `r` forwards `*.eu.pkg.dev`, which google_apis would answer (pkg.dev): clients leave the VIP for another address (leave the name to the preset; google_apis.except sends a name to the other VIP, and a rule with the address of an endpoint of yours is not warned of)",
        ),
        (
            "rules: [{name: r, domains: [storage.googleapis.com], records: [A 142.250.1.1]}]",
            "1:29 rule `r` answers `storage.googleapis.com`, which google_apis would answer (googleapis.com): clients leave the VIP for another address (leave the name to the preset; google_apis.except sends a name to the other VIP, and a rule with the address of an endpoint of yours is not warned of)",
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
            "3:10 rule `r` can never win: rule `s` (line 4) matches every question first (remove one of them, or change groups, types or names)",
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
    let help =
        "(to allow such aliases, list the addresses in the rule, such as addresses: [10.0.0.0/8])";
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
            format!("{zone}rules: [{{name: r, domains: [.x.example], forward: u, addresses: [10.1.0.0/16]}}, {{name: s, domains: [.y.example], forward: v}}]"),
            vec![told("r", "4:16", "zone lab.example", "10.0.0.5")],
        ),
        (
            "rules: [{name: r, domains: [.x.example], forward: u}, {name: s, domains: [.y.example], forward: v}, {name: own, domains: [own.example], records: [AAAA fd00::5]}]".to_owned(),
            vec![told("r", "3:16", "rule `own`", "fd00::5")],
        ),
        // In its ranges, for others, of the internet, the preset's, built in.
        (
            format!("{zone}rules: [{{name: r, domains: [.x.example], forward: u, addresses: [10.0.0.0/16]}}, {{name: s, domains: [.y.example], forward: v}}]"),
            vec![],
        ),
        (
            "rules: [{name: r, domains: [.x.example], forward: u, groups: [a]}, {name: s, domains: [.y.example], forward: v}, {name: own, domains: [own.example], records: [A 10.0.0.5], groups: [b]}]".to_owned(),
            vec![],
        ),
        (
            format!("{zone}rules: [{{name: r, domains: [.x.example], forward: v}}, {{name: s, domains: [.y.example], forward: u, addresses: [10.0.0.5/32]}}]"),
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
        "rules: [{name: r, domains: [github.io, .mine.github.io, .example.com], records: [A 10.0.0.1]}]",
        "rules: [{name: r, domains: [x.example], deny: true, until: 2027-02-01}]",
        "upstreams: {u: {servers: [udp://10.9.0.53]}}\nrules: [{name: r, domains: [github.io, .example.com], forward: u}]",
        "zones: [{origin: corp.example, records: [\"* A 10.0.0.1\"]}]",
        "google_apis: {vip: private, domains: documented}",
        "google_apis: {domains: documented}",
        "clients: {dns: {cidrs: [35.199.192.0/19], deny_with: nxdomain}, all: {cidrs: [0.0.0.0/0]}}",
        "clients: {all: {cidrs: [0.0.0.0/0]}}\ndeny_with: nodata",
        "clients: {vpc: {cidrs: [10.0.0.0/8]}}",
        "clients: {vpc: {cidrs: [10.0.0.0/8]}, dns: {cidrs: [35.199.192.0/19], deny_with: nxdomain}}\nrules: [{name: r, domains: [x.example], groups: [vpc], deny: drop}]",
        "rules: [{name: r, domains: [x.example], deny: nodata}]",
        "rules: [{name: r, domains: [storage.googleapis.com], records: [A 10.0.0.1]}]",
        "rules: [{name: r, domains: [x.p.googleapis.com, .rep.googleapis.com], records: [A 192.0.2.1]}]",
        "rules: [{name: r, domains: [storage.googleapis.com], deny: true}]",
        "google_apis: {vip: off}\nupstreams: {u: {servers: [udp://10.9.0.53]}}\nrules: [{name: r, domains: [storage.googleapis.com], forward: u}]",
        "upstreams: {u: {servers: [udp://10.9.0.53]}}\nrules: [{name: r, domains: [gcr.io, .notgoogleapis.com], forward: u}]",
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
