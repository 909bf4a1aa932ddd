//! Configurations that decide alike by construction have one digest; any other setting that decides changes it.

use std::{collections::BTreeMap, fs, path::Path};

use proptest::prelude::*;

use super::super::{Config, DEFAULT, parse};

const REFERENCE: &str = include_str!("../../../../config/reference.yaml");

/// The digest of the built-in configuration. It changes only with what dnsgate decides without a file: say so in the
/// changelog, because a fleet with two versions of dnsgate then has two digests.
const OF_DEFAULT: &str = "e35c05f08fe68e545fc4b64a0fa4b8af6d17c7378c69ca48bee740ad2021ecbc";

fn config_in(dir: &Path, text: &str) -> Config {
    parse(text, "t.yaml", dir).unwrap_or_else(|report| panic!("{text}\n{report}"))
}

fn digest(text: &str) -> String {
    config_in(Path::new(""), text).digest.to_string()
}

/// A configuration with something of everything.
const OLD: &str = "
clients:
  vpc: { cidrs: [10.0.0.0/8, 192.168.0.0/16] }
  build: { cidrs: [10.8.0.0/16], deny_with: nxdomain }
upstreams:
  public: { servers: [tls://8.8.8.8#dns.google, tls://8.8.4.4#dns.google] }
  corp: { servers: [udp://10.9.0.53, udp://10.9.1.53], strategy: ordered }
google_apis: { vip: restricted, domains: [googleapis.com, gcr.io] }
zones:
  - { origin: lab.test, records: [db 300 A 10.0.0.5, db 300 A 10.0.0.6, www 300 CNAME db] }
rules:
  - { name: github, domains: [.github.com, api.test], forward: public, groups: [build, vpc], types: [A, AAAA] }
  - { name: corp, domains: [.corp.test], forward: corp, addresses: [10.0.0.0/8], cname: allowed, until: 2097-01-31 }
  - { name: no, domains: [gist.github.com], deny: nodata, reason: why }
  - { name: old, domains: [old.test], records: [A 10.0.0.5, A 10.0.0.6] }
mode: { observe: public }
deny_with: refused
";

#[test]
fn the_order_comments_and_written_defaults_do_not_count() {
    for (from, to) in [
        ("", "# a comment\n"),
        (
            "[10.0.0.0/8, 192.168.0.0/16]",
            "[192.168.0.0/16, 10.0.0.0/9, 10.128.0.0/9]",
        ),
        ("  vpc: { cidrs", "  vpc: { deny_with: refused, cidrs"),
        (
            "[tls://8.8.8.8#dns.google, tls://8.8.4.4#dns.google]",
            "[\"tls://8.8.4.4:853#dns.google\", tls://8.8.8.8#dns.google]",
        ),
        (
            "tls://8.8.4.4#dns.google] }",
            "tls://8.8.4.4#dns.google], strategy: fastest }",
        ),
        (
            "{ vip: restricted, domains: [googleapis.com, gcr.io] }",
            "{ domains: [gcr.io, GoogleAPIs.com.], ipv6: false }",
        ),
        (
            "[db 300 A 10.0.0.5, db 300 A 10.0.0.6,",
            "[DB 5m IN A 10.0.0.6, db.lab.test. 300 A 10.0.0.5,",
        ),
        (
            "[.github.com, api.test]",
            "[api.test, .GitHub.com, .github.com.]",
        ),
        ("[build, vpc]", "[vpc, build]"),
        ("[A, AAAA]", "[AAAA, A]"),
        (
            "addresses: [10.0.0.0/8]",
            "addresses: [10.128.0.0/9, 10.0.0.0/9, 10.1.0.0/16]",
        ),
        (
            "forward: public, groups",
            "cname: any, forward: public, groups",
        ),
        (
            "[A 10.0.0.5, A 10.0.0.6]",
            "[300 A 10.0.0.6, A 10.0.0.5, A 10.0.0.6]",
        ),
        ("deny_with: refused\n", ""),
        (
            "deny_with: refused\n",
            "deny_with: refused\nbuilt_in: { metadata: true, search: true }\n",
        ),
        // These decide nothing.
        (
            "\nmode",
            "\nlisten: [udp://127.0.0.1:5353]\nadmin: \"off\"\nworkers: 2\nmode",
        ),
        (
            "\nmode",
            "\nlimits: { drain: 7s }\ncache: { size: 1MiB }\nlog: { queries: none }\nmode",
        ),
        (
            "\nmode",
            "\ntests: [{ask: x.example, from: 10.0.0.1, expect: {verdict: forwarded}}]\nmode",
        ),
        // No rule uses this one.
        (
            "upstreams:\n",
            "upstreams:\n  spare: { servers: [udp://10.9.2.53] }\n",
        ),
    ] {
        let new = OLD.replacen(from, to, 1);
        assert_ne!(OLD, new, "{from}");
        assert_eq!(digest(OLD), digest(&new), "{from} -> {to}");
    }
}

#[test]
fn every_setting_that_decides_counts() {
    let mut seen = BTreeMap::from([(digest(OLD), "nothing")]);
    for (from, to) in [
        ("10.0.0.0/8, 192.168.0.0/16]", "10.0.0.0/8]"),
        ("vpc", "vpn"),
        ("deny_with: nxdomain }", "deny_with: drop }"),
        (
            "tls://8.8.4.4#dns.google] }",
            "tls://8.8.4.4#dns.google], strategy: spread }",
        ),
        ("8.8.8.8#dns.google", "8.8.8.8#dns.example"),
        (
            "[udp://10.9.0.53, udp://10.9.1.53]",
            "[udp://10.9.1.53, udp://10.9.0.53]",
        ),
        ("[udp://10.9.0.53, udp://10.9.1.53]", "[udp://10.9.0.53]"),
        ("vip: restricted", "vip: private"),
        (
            "vip: restricted, domains",
            "vip: restricted, ipv6: true, domains",
        ),
        ("[googleapis.com, gcr.io]", "[googleapis.com]"),
        ("[googleapis.com, gcr.io]", "documented"),
        ("db 300 A 10.0.0.6", "db 300 A 10.0.0.7"),
        ("www 300 CNAME", "www 301 CNAME"),
        ("lab.test", "lab2.test"),
        ("name: github", "name: gitlab"),
        ("[.github.com, api.test]", "[.github.com, .api.test]"),
        ("[.github.com, api.test]", "[.github.com, \"*.api.test\"]"),
        ("[.github.com, api.test]", "[.github.com]"),
        (", groups: [build, vpc]", ", groups: [build]"),
        (", groups: [build, vpc]", ""),
        ("types: [A, AAAA]", "types: [A]"),
        (", types: [A, AAAA]", ""),
        ("forward: public, groups", "forward: corp, groups"),
        ("addresses: [10.0.0.0/8]", "addresses: [10.0.0.0/9]"),
        ("addresses: [10.0.0.0/8], ", ""),
        ("cname: allowed", "cname: any"),
        ("until: 2097-01-31", "until: 2097-02-01"),
        (", until: 2097-01-31", ""),
        ("deny: nodata", "deny: true"),
        ("deny: nodata", "deny: drop"),
        ("reason: why", "reason: else"),
        (", reason: why", ""),
        ("[A 10.0.0.5, A 10.0.0.6]", "[A 10.0.0.5]"),
        ("[A 10.0.0.5, A 10.0.0.6]", "[60 A 10.0.0.5, 60 A 10.0.0.6]"),
        ("observe: public", "observe: corp"),
        ("mode: { observe: public }", "mode: enforce"),
        ("deny_with: refused\n", "deny_with: nodata\n"),
        ("deny_with: refused\n", "built_in: { metadata: false }\n"),
        (
            "deny_with: refused\n",
            "built_in: { private_reverse: false }\n",
        ),
        (
            "deny_with: refused\n",
            "built_in: { doh_canaries: false }\n",
        ),
        ("deny_with: refused\n", "built_in: { search: false }\n"),
    ] {
        let new = OLD.replace(from, to);
        assert_ne!(OLD, new, "{from}");
        let twin = seen.insert(digest(&new), to);
        assert_eq!(twin, None, "{from} -> {to}");
    }
}

#[test]
fn files_count_by_what_they_say() {
    let dir = tempfile::tempdir().expect("a directory");
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("room");
    let of = |text: &str| config_in(dir.path(), text).digest;
    let soa = "@ 300 SOA ns hostmaster 1 2 3 4 5\n@ 300 NS ns\nns 300 A 10.0.0.1\n";
    put("a", "x.test\n.y.test\n");
    put("b", "# why\n.Y.test   # and\n\nx.test\nx.test\n");
    put("c", "x.test\n");
    put("a.zone", soa);
    put(
        "b.zone",
        "; why\n$TTL 300\n@ SOA ns hostmaster (1 2 3\n 4 5)\nns A 10.0.0.1\n@ NS ns\n",
    );
    put("c.zone", &soa.replace("10.0.0.1", "10.0.0.2"));
    let made = rcgen::generate_simple_self_signed(["x.test".to_owned()]).expect("a certificate");
    let other = rcgen::generate_simple_self_signed(["x.test".to_owned()]).expect("a certificate");
    put("a.pem", &made.cert.pem());
    put(
        "b.pem",
        &format!(
            "Subject: x\n{}\n# end\n",
            made.cert.pem().replace('\n', "\r\n")
        ),
    );
    put("c.pem", &other.cert.pem());
    let old = "upstreams: {u: {servers: [\"tls://10.9.0.53\"], ca_file: a.pem}}\n\
        rules: [{name: r, domains_file: a, forward: u}]\n\
        zones: [{origin: z.test, file: a.zone}]\n\
        google_apis: {vip: psc, addresses: [10.1.1.5]}\n";
    for (from, same, other) in [
        ("domains_file: a", "domains_file: b", "domains_file: c"),
        (
            "domains_file: a",
            "domains: [x.test, .y.test]",
            "domains: [x.test, y.test]",
        ),
        (
            "domains_file: a",
            "domains_file: c, domains: [.y.test]",
            "domains_file: a, domains: [z.y.test]",
        ),
        ("a.zone", "b.zone", "c.zone"),
        ("a.pem", "b.pem", "c.pem"),
        ("10.1.1.5", "\"10.1.1.5\"", "10.1.1.6"),
    ] {
        assert_eq!(of(old), of(&old.replace(from, same)), "{same}");
        assert_ne!(of(old), of(&old.replace(from, other)), "{other}");
    }
}

#[test]
fn the_built_in_configuration_has_this_digest() {
    assert_eq!(
        digest(DEFAULT),
        digest(""),
        "the file has only what is built in"
    );
    assert_eq!(digest(DEFAULT), OF_DEFAULT);
}

/// The same rules in another order, each with its lists in another order.
fn shuffled(seed: &[prop::sample::Index], rules: &[String]) -> Vec<String> {
    let mut left = rules.to_vec();
    let mut seeds = seed.iter().cycle(); // none: as they are
    let mut order = Vec::new();
    while !left.is_empty() {
        let at = seeds.next().map_or(0, |index| index.index(left.len()));
        order.push(left.swap_remove(at));
    }
    order
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

/// A rule about names of its own, so that no two rules are in conflict.
fn rule(
    number: usize,
    names: &[u8],
    types: &[&str],
    action: &str,
    seed: &[prop::sample::Index],
) -> String {
    let form = |name: &u8| match name % 3 {
        0 => format!("\"n{name}.r{number}.test\""),
        1 => format!(".n{name}.r{number}.test"),
        _ => format!("\"*.n{name}.r{number}.test\""),
    };
    let names: Vec<String> = names.iter().map(form).collect();
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    format!(
        "{{name: r{number}, domains: {}, types: {}, {action}}}",
        list(&shuffled(seed, &names)),
        list(&shuffled(seed, &types)),
    )
}

type Drawn = (Vec<u8>, Vec<&'static str>, &'static str);

/// The names, types and action of a rule.
fn drawn() -> impl Strategy<Value = Drawn> {
    (
        prop::collection::vec(0u8..9, 1..6),
        prop::sample::subsequence(vec!["A", "AAAA", "TXT", "MX"], 1..5),
        prop::sample::select(vec![
            "deny: true",
            "deny: nodata",
            "forward: u",
            "forward: v",
        ]),
    )
}

fn file(drawn: &[Drawn], seed: &[prop::sample::Index]) -> String {
    let rules = drawn.iter().enumerate();
    let rules =
        rules.map(|(number, (names, types, action))| rule(number, names, types, action, seed));
    let rules = shuffled(seed, &rules.collect::<Vec<_>>());
    let upstreams = [
        "u: {servers: [udp://10.9.0.53]}",
        "v: {servers: [udp://10.9.1.53]}",
    ];
    let upstreams = shuffled(seed, &upstreams.map(ToOwned::to_owned));
    format!(
        "upstreams: {{{}}}\nrules: {}\n",
        upstreams.join(", "),
        list(&rules)
    )
}

/// What a drawn configuration means: sets in place of lists.
fn meaning(drawn: &[Drawn]) -> Vec<(Vec<u8>, Vec<&'static str>, &'static str)> {
    let of = |(names, types, action): &Drawn| {
        let (mut names, mut types) = (names.clone(), types.clone());
        names.sort_unstable();
        names.dedup();
        types.sort_unstable();
        (names, types, *action)
    };
    drawn.iter().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_order_has_the_same_digest(
        rules in prop::collection::vec(drawn(), 1..6),
        seed in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        other in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
    ) {
        prop_assert_eq!(digest(&file(&rules, &seed)), digest(&file(&rules, &other)));
    }

    #[test]
    fn digests_are_equal_exactly_if_the_meaning_is(
        one in prop::collection::vec(drawn(), 1..3),
        other in prop::collection::vec(drawn(), 1..3),
        at in any::<prop::sample::Index>(),
        changed in drawn(),
    ) {
        // Two that differ in all, and two that differ in one rule.
        let mut near = one.clone();
        near[at.index(one.len())] = changed;
        for other in [other, near] {
            let same = meaning(&one) == meaning(&other);
            prop_assert_eq!(digest(&file(&one, &[])) == digest(&file(&other, &[])), same);
        }
    }
}

#[test]
fn the_reference_has_a_digest_of_its_own() {
    assert_ne!(digest(REFERENCE), digest(DEFAULT));
    assert_eq!(digest(REFERENCE), digest(REFERENCE), "also in a second run");
}
