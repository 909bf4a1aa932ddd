//! Which checks a configuration and its arguments make.

use std::collections::BTreeSet;

use super::*;
use crate::testing::{addresses, config, name};

#[test]
fn plan_checks_the_preset_and_every_argument() {
    let plan = VerifyPlan {
        apis: vec![name("run.googleapis.com")],
        bucket: Some("bucket".parse().expect("a bucket")),
        blocked: ["https://www.example.com/", "http://192.0.2.1/"]
            .map(|url| url.parse().expect(url))
            .to_vec(),
        bypass: addresses("8.8.8.8 8.8.8.8"),
        literals: addresses("192.0.2.2 192.0.2.1"),
    };
    let text =
        "rules: [{ name: own, domains: [storage.googleapis.com], groups: [vpc], deny: true }]";
    let machine = Machine::default();
    let checks = checks(&config(text), plan, &machine, SystemTime::UNIX_EPOCH);
    let told: Vec<String> = checks
        .iter()
        .map(|check| match check {
            EgressCheck::Skip(what, why) => format!("{what}: {why}"),
            check => check.to_string(),
        })
        .collect();
    let mut want = vec![
        "name restricted.googleapis.com",
        "name storage.googleapis.com: rule `own` takes precedence over the preset",
        "name p.googleapis.com: Private Service Connect names need a zone or rule with the endpoint's address",
        "name rep.googleapis.com: regional endpoints are not on this address; add a zone or rule with the endpoint's",
    ];
    want.extend([
        "vip 199.36.153.4",
        "vip 199.36.153.5",
        "vip 199.36.153.6",
        "vip 199.36.153.7",
    ]);
    want.extend(["api run.googleapis.com", "bucket bucket"]);
    want.extend([
        "denied www.example.com",
        "data www.example.com",
        "hosts www.example.com",
        "unreachable www.example.com:443",
        "unreachable 192.0.2.1:80",
        "unreachable 192.0.2.1:443",
        "unreachable 192.0.2.2:443",
        "unreachable 192.0.2.2:80",
        "proxy environment",
    ]);
    want.extend([
        "bypass udp:53 8.8.8.8",
        "bypass tcp:53 8.8.8.8",
        "bypass tcp:853 8.8.8.8",
        "bypass udp:853 8.8.8.8",
        "bypass tcp:443 8.8.8.8",
        "bypass udp:443 8.8.8.8",
        "bypass tcp:80 8.8.8.8",
    ]);
    assert_eq!(told, want);
}

#[test]
fn check_names_are_unique() {
    let all = config("google_apis: { vip: private, domains: documented, ipv6: true }");
    let plan = VerifyPlan {
        bypass: BYPASS.to_vec(),
        ..VerifyPlan::default()
    };
    let machine = Machine::default();
    let checks = checks(&all, plan, &machine, SystemTime::UNIX_EPOCH);
    let names: BTreeSet<String> = checks.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), checks.len());
    assert!(checks.len() > 60, "{}", checks.len());
    let off = super::checks(
        &config("google_apis: { vip: off }"),
        VerifyPlan::default(),
        &machine,
        SystemTime::UNIX_EPOCH,
    );
    let preset = "the configuration says vip: off".to_owned();
    assert_eq!(
        off.first(),
        Some(&EgressCheck::Skip("preset".to_owned(), preset))
    );
    let names: Vec<String> = off.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["preset", "proxy environment"]);
}

#[test]
fn reads_host_and_port_of_a_url() {
    for (url, want) in [
        ("https://www.example.com/", Some("www.example.com:443")),
        ("http://www.example.com", Some("www.example.com:80")),
        (
            "https://www.example.com:8443/a?b#c",
            Some("www.example.com:8443"),
        ),
        ("https://192.0.2.1/", Some("192.0.2.1:443")),
        ("https://[2001:db8::1]/", Some("[2001:db8::1]:443")),
        ("https://[2001:db8::1]:1/", Some("[2001:db8::1]:1")),
        ("www.example.com", None),
        ("ftp://www.example.com/", None),
        ("https:///", None),
        ("https://user@www.example.com/", None),
        ("https://www.example.com:x/", None),
        ("https://[www]/", None),
    ] {
        let target = url.parse::<Endpoint>().ok().map(|it| it.to_string());
        assert_eq!(target.as_deref(), want, "{url}");
    }
}
