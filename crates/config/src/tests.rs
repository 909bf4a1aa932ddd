//! The configuration as a whole: texts in, decisions or reports out.

mod bad;
mod budgets;
mod changes;
mod digest;
mod forwarding;
mod random;
mod samples;
mod warnings;

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::{Config, parse};
use dnsgate_core::{
    dns::{Name, NameBuf, RecordType, Rrset},
    policy::Verdict,
    zone::ZoneLookup,
};

/// 2027-01-01T00:00:00Z.
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_761_600)
}

/// Every key of the format, whatever mapping has it.
pub(super) fn keys_of_the_schema() -> BTreeSet<String> {
    fn collect(schema: &Value, keys: &mut BTreeSet<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            keys.extend(properties.keys().cloned());
        }
    }
    let schema: Value = serde_json::from_str(&super::schema()).expect("JSON");
    let mut keys = BTreeSet::new();
    collect(&schema, &mut keys);
    for mapping in schema["$defs"].as_object().expect("mappings").values() {
        collect(mapping, &mut keys);
    }
    keys
}

/// The configuration of a text that must be valid.
pub(super) fn config(text: &str) -> Config {
    match parse(text, "t.yaml", Path::new("")) {
        Ok(config) => config,
        Err(report) => panic!("{text}\n{report}"),
    }
}

/// What is wrong with a text, as `check` prints it.
pub(super) fn errors(text: &str) -> String {
    match parse(text, "t.yaml", Path::new("")) {
        Ok(config) => panic!("{text}\n{}", config.summary),
        Err(report) => report.to_string(),
    }
}

/// What a client at 10.1.2.3 gets, as text.
pub(super) fn answer(config: &Config, name: &str, rtype: &str) -> String {
    answer_to(config, "10.1.2.3", name, rtype)
}

/// What a client gets: `A 192.0.2.1`, `CNAME x.`, NODATA, NXDOMAIN, or the denial and its text.
pub(super) fn answer_to(config: &Config, client: &str, name: &str, rtype: &str) -> String {
    let client: IpAddr = client.parse().expect(client);
    let name: Name = name.parse().expect(name);
    let rtype: RecordType = rtype.parse().expect(rtype);
    let Some(group) = config.policy.admit(client) else {
        return "unknown_client".to_owned();
    };
    match config.policy.decide(group, name.as_ref(), rtype, now()) {
        Verdict::Zone { zone, .. } => {
            match config.zones[zone.0 as usize].lookup(name.as_ref(), rtype) {
                ZoneLookup::Found(set) | ZoneLookup::Alias(set) => shown(set),
                ZoneLookup::NoData | ZoneLookup::Exists => "NODATA".to_owned(),
                ZoneLookup::NxDomain => "NXDOMAIN".to_owned(),
                other => format!("{other:?}"),
            }
        }
        Verdict::Answer { records, .. } => records
            .iter()
            .find(|set| set.rtype() == rtype || set.rtype() == RecordType::CNAME)
            .map_or_else(|| "NODATA".to_owned(), shown),
        Verdict::Forward(grant) => format!("forward to {}", grant.forwarding().upstream.0),
        Verdict::Deny(denial) => format!("{}: {}", denial.with, denial.text),
    }
}

fn shown(set: &Rrset) -> String {
    let mut text = set.rtype().to_string();
    if let Some(target) = set.target() {
        let (name, _) = NameBuf::read(target).expect("a name");
        text.push_str(&format!(" {}", name.as_ref()));
    }
    for address in set.addresses() {
        text.push_str(&format!(" {address}"));
    }
    text
}

#[test]
fn an_empty_file_is_the_default() {
    let (default, empty) = (super::default_config(), config(""));
    assert_eq!(
        default.summary,
        "config/default.yaml: ok: 2 client groups, 1 zone (googleapis.com), 0 rules, sealed (no upstreams)"
    );
    assert!(default.warnings(now()).is_empty());
    assert_eq!(
        (
            &default.startup.listen,
            default.startup.admin,
            default.startup.workers,
            default.startup.limits,
            default.startup.log
        ),
        (
            &empty.startup.listen,
            empty.startup.admin,
            empty.startup.workers,
            empty.startup.limits,
            empty.startup.log
        )
    );
    assert_eq!(default.policy.groups(), empty.policy.groups());
    assert_eq!(default.policy.rules(), empty.policy.rules());
    for client in [
        "10.0.0.1",
        "172.31.0.1",
        "192.168.1.1",
        "127.0.0.1",
        "fd00::1",
        "::1",
        "35.199.223.255",
        "35.199.224.0",
        "8.8.8.8",
        "2001:db8::1",
        "::ffff:10.0.0.1",
    ] {
        let address = client.parse().expect(client);
        assert_eq!(
            default.policy.admit(address),
            empty.policy.admit(address),
            "{client}"
        );
    }
}

#[test]
fn the_default_serves_the_restricted_address_and_nothing_else() {
    let default = super::default_config();
    for (client, name, rtype, want) in [
        (
            "10.1.2.3",
            "storage.googleapis.com",
            "A",
            "CNAME restricted.googleapis.com.",
        ),
        (
            "10.1.2.3",
            "a.b.c.storage.googleapis.com",
            "HTTPS",
            "CNAME restricted.googleapis.com.",
        ),
        (
            "10.1.2.3",
            "restricted.googleapis.com",
            "A",
            "A 199.36.153.4 199.36.153.5 199.36.153.6 199.36.153.7",
        ),
        ("10.1.2.3", "restricted.googleapis.com", "AAAA", "NODATA"),
        ("10.1.2.3", "googleapis.com", "A", "NODATA"),
        (
            "10.1.2.3",
            "metadata.google.internal",
            "A",
            "A 169.254.169.254",
        ),
        (
            "10.1.2.3",
            "example.com",
            "A",
            "refused: no rule allows this name",
        ),
        (
            "10.1.2.3",
            "evilgoogleapis.com",
            "A",
            "refused: no rule allows this name",
        ),
        (
            "::1",
            "example.com",
            "A",
            "refused: no rule allows this name",
        ),
        (
            "35.199.192.7",
            "example.com",
            "A",
            "nxdomain: no rule allows this name",
        ),
        ("8.8.8.8", "storage.googleapis.com", "A", "unknown_client"),
    ] {
        assert_eq!(
            answer_to(&default, client, name, rtype),
            want,
            "{client} {name} {rtype}"
        );
    }
}

#[test]
fn rules_zones_and_groups_decide_as_written() {
    let config = config(
        "
clients:
  vpc: { cidrs: [10.0.0.0/8] }
  build: { cidrs: [10.8.0.0/16], deny_with: nodata }
zones:
  - { origin: corp.example, records: [\"@ A 10.0.0.1\", \"*.svc CNAME ingress\", \"ingress 60 A 10.0.0.2\"] }
rules:
  - { name: old, domains: [db.legacy.example], records: [A 10.0.0.5, A 10.0.0.6] }
  - { name: alias, domains: [.alias.example], records: [\"300 IN CNAME ingress.corp.example\"], groups: [build] }
  - { name: no-svc, domains: [\"*.secret.svc.corp.example\"], deny: nxdomain, reason: SEC-1 }
  - { name: past, domains: [past.example], records: [A 10.0.0.7], until: 2026-12-31 }
  - { name: today, domains: [today.example], records: [A 10.0.0.8], until: 2027-01-01 }
  - { name: four, domains: [four.example], types: [A], records: [A 10.0.0.9] }
  - { name: way, domains: [way.example], deny: drop }
deny_with: nxdomain
",
    );
    for (client, name, rtype, want) in [
        ("10.1.0.1", "corp.example", "A", "A 10.0.0.1"),
        (
            "10.1.0.1",
            "a.svc.corp.example",
            "A",
            "CNAME ingress.corp.example.",
        ),
        ("10.1.0.1", "x.corp.example", "A", "NXDOMAIN"),
        (
            "10.1.0.1",
            "a.secret.svc.corp.example",
            "A",
            "nxdomain: rule no-svc: SEC-1",
        ),
        ("10.1.0.1", "db.legacy.example", "A", "A 10.0.0.5 10.0.0.6"),
        ("10.1.0.1", "db.legacy.example", "AAAA", "NODATA"),
        (
            "10.8.0.1",
            "x.alias.example",
            "AAAA",
            "CNAME ingress.corp.example.",
        ),
        (
            "10.1.0.1",
            "x.alias.example",
            "A",
            "nxdomain: rule alias allows this name for group build only",
        ),
        (
            "10.8.0.1",
            "past.example",
            "A",
            "nodata: rule past allowed this name until 2026-12-31",
        ),
        ("10.8.0.1", "today.example", "A", "A 10.0.0.8"),
        ("10.1.0.1", "four.example", "A", "A 10.0.0.9"),
        (
            "10.1.0.1",
            "four.example",
            "AAAA",
            "nodata: rule four allows this name for type A only",
        ),
        ("10.8.0.1", "way.example", "A", "drop: rule way"),
    ] {
        assert_eq!(
            answer_to(&config, client, name, rtype),
            want,
            "{client} {name} {rtype}"
        );
    }
}

#[test]
fn zone_files_are_read_with_what_they_include() {
    let dir = tempfile::tempdir().expect("directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect(name);
    std::fs::create_dir(dir.path().join("zones")).expect("directory");
    write(
        "gate.yaml",
        "zones: [{ origin: corp.example, file: zones/corp.zone }]\n",
    );
    write(
        "zones/corp.zone",
        "@ 300 IN SOA ns admin 1 2 3 4 300\n@ 300 IN NS ns\nns 300 IN A 10.0.0.1\n$INCLUDE more.zone\n",
    );
    write("zones/more.zone", "db 300 IN A 10.0.0.2\n");
    let path = dir.path().join("gate.yaml");
    let loaded = super::load(&path).expect("valid");
    assert_eq!(answer(&loaded, "db.corp.example", "A"), "A 10.0.0.2");
    assert!(
        loaded
            .summary
            .ends_with("2 zones (corp.example, googleapis.com), 0 rules, sealed (no upstreams)")
    );

    // Faults of both files at once, each with its own place.
    write(
        "zones/corp.zone",
        "@ 300 IN SOA ns admin 1 2 3 4 300\n@ 300 IN NS ns\nns 300 IN A 10.0.0\n$INCLUDE more.zone\n",
    );
    write("zones/more.zone", "\n  db 300 IN BOGUS 10.0.0.2\n");
    write(
        "gate.yaml",
        "zones: [{ origin: corp.example, file: zones/corp.zone }]\nrulez: []\n",
    );
    let report = super::load(&path).expect_err("invalid");
    let zones = dir.path().join("zones");
    let places: Vec<_> = report
        .notices()
        .iter()
        .map(|n| (n.file.to_string(), n.line))
        .collect();
    let file = |name: &str| zones.join(name).to_string_lossy().into_owned();
    assert_eq!(
        places,
        [
            (path.to_string_lossy().into_owned(), 2),
            (file("corp.zone"), 3),
            (file("more.zone"), 2),
        ],
        "{report}"
    );
    assert!(
        report.to_string().contains("ns 300 IN A 10.0.0\n"),
        "{report}"
    );
    assert!(
        report.to_string().contains("db 300 IN BOGUS 10.0.0.2\n"),
        "{report}"
    );
}

#[test]
fn tests_stand_in_the_file_and_beside_it() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("gate.yaml");
    let beside = dir.path().join("gate.test.yaml");
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("written");
    write(
        &path,
        "tests: [{ask: a.test aaaa, from: \"::1\", over: tcp, expect: {rcode: none}}]",
    );
    write(
        &beside,
        "\ntests: [{ask: b.test, from: 10.0.0.1, at: 2027-01-01, expect: {rcode: nxdomain}}]",
    );
    let cases = super::load(&path).expect("valid").cases;
    let shown: Vec<_> = cases
        .iter()
        .map(|case| {
            let file = Path::new(&*case.file).file_name().expect("a file");
            (
                file.to_string_lossy().into_owned(),
                case.line,
                format!("{} {} {:?}", case.name, case.rtype, case.transport),
                case.at,
                case.expect.rcode.map(super::ReplyCode::as_str),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (
                "gate.yaml".to_owned(),
                1,
                "a.test. AAAA Tcp".to_owned(),
                None,
                Some("none")
            ),
            (
                "gate.test.yaml".to_owned(),
                2,
                "b.test. A Udp".to_owned(),
                Some(now()),
                Some("NXDOMAIN")
            ),
        ]
    );
    // It has tests and nothing else, and its faults are told as the configuration's are.
    write(
        &beside,
        "rules: []\ntests: [{ask: b.test, from: x, expect: {rule: y}}]",
    );
    let report = super::load(&path).expect_err("invalid").to_string();
    for told in [
        "gate.test.yaml:1:1: error: a file of tests has no key `rules`",
        "gate.test.yaml:2:29: error: from \"x\": ",
    ] {
        assert!(report.contains(told), "{report}");
    }
    write(&beside, "");
    assert_eq!(super::load(&path).expect("valid").cases.len(), 1);
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let dir = tempfile::tempdir().expect("directory");
    let gone = dir.path().join("gone.yaml");
    let report = super::load(&gone).expect_err("no file").to_string();
    assert!(
        report.contains("gone.yaml: error: the configuration cannot be read: "),
        "{report}"
    );
    let report = super::load(dir.path()).expect_err("directory").to_string();
    assert!(
        report.ends_with("error: the configuration is not a file"),
        "{report}"
    );
    std::fs::write(&gone, b"listen: [\xff]").expect("written");
    let report = super::load(&gone).expect_err("not text").to_string();
    assert!(
        report.contains("is not UTF-8 text (byte 9 is the first that is not)"),
        "{report}"
    );
}
