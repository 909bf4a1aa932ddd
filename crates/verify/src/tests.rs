//! The pure parts, by tables: what is seen, and what is made of it.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    answer::Answer,
    check::Way,
    judge::{self, Attempt, Fault, Response},
    *,
};
use dnsgate_config::{Config, Vip};
use dnsgate_core::dns::{Name, RecordType, upstream_query};

fn config(text: &str) -> Config {
    dnsgate_config::parse(text, "test", Path::new("")).expect(text)
}

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn addresses(text: &str) -> Vec<IpAddr> {
    let each = text.split_whitespace();
    each.map(|it| it.parse().expect(it)).collect()
}

/// An answer with these addresses, or none, and this code.
fn answer(rcode: u16, text: &str) -> Result<Answer, Fault> {
    Ok(Answer {
        rcode,
        addresses: addresses(text),
        ..Answer::default()
    })
}

fn vip(ipv6: bool) -> Vip {
    let config = config(&format!("google_apis: {{ ipv6: {ipv6} }}"));
    let leads = config.served.into_iter().find_map(|it| it.leads.ok());
    leads.expect("a name that leads somewhere")
}

#[test]
fn the_plan_has_what_is_promised_and_what_is_forbidden() {
    let plan = Plan {
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
            Check::Skip(what, why) => format!("{what}: {why}"),
            check => check.to_string(),
        })
        .collect();
    let mut want = vec![
        "name restricted.googleapis.com",
        "name storage.googleapis.com: rule `own` goes before the preset",
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
fn every_check_of_a_plan_has_a_name_of_its_own() {
    let all = config("google_apis: { vip: private, domains: documented, ipv6: true }");
    let plan = Plan {
        bypass: BYPASS.to_vec(),
        ..Plan::default()
    };
    let machine = Machine::default();
    let checks = checks(&all, plan, &machine, SystemTime::UNIX_EPOCH);
    let names: BTreeSet<String> = checks.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), checks.len());
    assert!(checks.len() > 60, "{}", checks.len());
    let off = super::checks(
        &config("google_apis: { vip: off }"),
        Plan::default(),
        &machine,
        SystemTime::UNIX_EPOCH,
    );
    let preset = "the configuration has vip: off".to_owned();
    assert_eq!(off.first(), Some(&Check::Skip("preset".to_owned(), preset)));
    let names: Vec<String> = off.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["preset", "proxy environment"]);
}

#[test]
fn urls_become_targets() {
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
        let target = url.parse::<Target>().ok().map(|it| it.to_string());
        assert_eq!(target.as_deref(), want, "{url}");
    }
}

#[test]
fn names_lead_to_one_vip() {
    let (v4, v6) = ("199.36.153.4 199.36.153.5", "2600:2d00:2:1000::");
    for (what, ipv6, a, aaaa, want) in [
        ("as it should be", false, answer(0, v4), answer(0, ""), None),
        ("with IPv6", true, answer(0, v4), answer(0, v6), None),
        (
            "IPv6 is missing",
            true,
            answer(0, v4),
            answer(0, ""),
            Some("no AAAA"),
        ),
        (
            "IPv6 is too much",
            false,
            answer(0, v4),
            answer(0, v6),
            Some("AAAA without"),
        ),
        (
            "NXDOMAIN for AAAA",
            false,
            answer(0, v4),
            answer(3, ""),
            Some("empty answer"),
        ),
        (
            "public",
            false,
            answer(0, "142.250.1.1"),
            answer(0, ""),
            Some("somebody else"),
        ),
        (
            "another VIP",
            false,
            answer(0, "199.36.153.8"),
            answer(0, ""),
            Some("another VIP"),
        ),
        (
            "mixed",
            false,
            answer(0, "199.36.153.4 199.36.153.8"),
            answer(0, ""),
            Some("never mix"),
        ),
        (
            "mixed families",
            true,
            answer(0, v4),
            answer(0, "2600:2d00:2:2000::"),
            Some("never mix"),
        ),
    ] {
        told(what, &judge::name(&vip(ipv6), &a, &aaaa), want);
    }
}

#[test]
fn names_without_addresses_are_told_apart() {
    let aliased = || {
        let aliases = vec!["restricted.googleapis.com".to_owned()];
        Ok(Answer {
            aliases,
            ..Answer::default()
        })
    };
    for (what, seen, want) in [
        ("half a chain", aliased(), "chain of aliases"),
        ("denied", answer(3, ""), "does not serve"),
        ("SERVFAIL", answer(2, ""), "dnsgate runs"),
        ("silence", Err(Fault::TimedOut("DNS")), "dnsgate runs"),
    ] {
        told(what, &judge::name(&vip(false), &seen, &seen), Some(want));
    }
}

/// Passed, or failed with a remedy that says this.
fn told(what: &str, finding: &Finding, want: Option<&str>) {
    match (want, finding.remedy) {
        (None, None) => assert_eq!(finding.outcome, Outcome::Pass, "{what}: {finding:?}"),
        (Some(want), Some(remedy)) => {
            assert_eq!(finding.outcome, Outcome::Fail, "{what}");
            assert!(remedy.contains(want), "{what}: {remedy}");
        }
        _ => panic!("{what}: {finding:?}"),
    }
}

#[test]
fn a_denial_is_said_and_not_kept_silent() {
    let blocked = || {
        Ok(Answer {
            rcode: 2,
            ede: Some((15, "no rule".to_owned())),
            ..Answer::default()
        })
    };
    for (what, a, aaaa, want) in [
        ("REFUSED", answer(5, ""), answer(5, ""), None),
        ("NXDOMAIN", answer(3, ""), answer(3, ""), None),
        ("NODATA", answer(0, ""), answer(0, ""), None),
        ("SERVFAIL that says why", blocked(), blocked(), None),
        (
            "SERVFAIL",
            answer(2, ""),
            answer(2, ""),
            Some("deny_with: nxdomain"),
        ),
        (
            "silence",
            Err(Fault::TimedOut("DNS")),
            answer(5, ""),
            Some("dnsgate runs"),
        ),
        (
            "it resolves",
            answer(0, "192.0.2.1"),
            answer(0, ""),
            Some("a rule allows"),
        ),
        (
            "half of it resolves",
            answer(5, ""),
            answer(0, "2001:db8::1"),
            Some("a rule allows"),
        ),
    ] {
        told(what, &judge::denied(&a, &aaaa), want);
    }
}

#[test]
fn no_type_of_question_carries_data() {
    let by = |rcode, authority: &str, records| {
        Ok(Answer {
            rcode,
            records,
            authority: Some(authority.to_owned()),
            ..Answer::default()
        })
    };
    let denial = by(3, "dnsgate.invalid nobody.invalid", 0);
    let refused = answer(5, "");
    let blocked = Ok(Answer {
        rcode: 3,
        ede: Some((15, "no rule".to_owned())),
        ..Answer::default()
    });
    let iana = "ns.icann.org noc.dns.icann.org";
    for (what, seen, denial, want) in [
        ("as denied", denial.clone(), &denial, None),
        ("REFUSED", answer(5, ""), &denial, None),
        ("NOTIMP", answer(4, ""), &denial, None),
        ("it says so", blocked, &refused, None),
        (
            "data",
            by(0, iana, 1),
            &denial,
            Some("the question gets out"),
        ),
        (
            "NXDOMAIN with an alias",
            by(3, iana, 1),
            &denial,
            Some("the question gets out"),
        ),
        (
            "NXDOMAIN of the name's own",
            by(3, iana, 0),
            &denial,
            Some("the question gets out"),
        ),
        (
            "NODATA of the name's own",
            by(0, iana, 0),
            &denial,
            Some("the question gets out"),
        ),
        (
            "NXDOMAIN where REFUSED is the denial",
            by(3, iana, 0),
            &refused,
            Some("the question gets out"),
        ),
        (
            "SERVFAIL",
            answer(2, ""),
            &denial,
            Some("deny_with: nxdomain"),
        ),
        (
            "silence",
            Err(Fault::TimedOut("DNS")),
            &denial,
            Some("dnsgate runs"),
        ),
    ] {
        told(what, &judge::data(RecordType::TXT, &seen, denial), want);
    }
}

#[test]
fn every_server_is_judged() {
    let at = |last: u8| ([10, 0, 0, last], 53).into();
    let good = || answer(0, "199.36.153.4");
    let public = || answer(0, "142.250.1.1");
    let silent = || Err(Fault::TimedOut("DNS"));
    for (what, servers, want) in [
        ("both", vec![good(), good()], None),
        ("one of them is silent", vec![silent(), good()], None),
        ("one of them fails", vec![good(), answer(2, "")], None),
        (
            "the second leads out",
            vec![good(), public()],
            Some("somebody else"),
        ),
        (
            "the second denies",
            vec![good(), answer(3, "")],
            Some("does not serve"),
        ),
        (
            "all are silent",
            vec![silent(), silent()],
            Some("dnsgate runs"),
        ),
    ] {
        let a: Vec<_> = (1..).map(at).zip(servers).collect();
        let none: Vec<_> = (1..).map(at).zip([answer(0, ""), answer(0, "")]).collect();
        told(what, &judge::name_everywhere(&vip(false), &a, &none), want);
    }
    let second = [
        (at(1), Finding::pass(String::new())),
        (at(2), Finding::fail("no".to_owned(), "x")),
    ];
    assert_eq!(judge::worst(second, 2).seen, "10.0.0.2:53: no");
}

#[test]
fn a_proxy_that_takes_connections_is_a_way_out() {
    let target: Target = "http://proxy.example:3128/".parse().expect("a URL");
    let ip: IpAddr = "192.0.2.1".parse().expect("an address");
    for (what, attempt, want) in [
        ("nowhere", Attempt::NoAddress, None),
        (
            "silence",
            Attempt::Failed(ip, Fault::TimedOut("connection")),
            None,
        ),
        ("it listens", Attempt::Connected(ip), Some("unset it")),
        (
            "unresolved",
            Attempt::Unresolved(Fault::TimedOut("DNS")),
            Some("dnsgate runs"),
        ),
        (
            "EMFILE",
            Attempt::Failed(ip, Fault::Untried("EMFILE".to_owned())),
            Some("nothing is proved"),
        ),
    ] {
        told(what, &judge::proxy(&target, &attempt), want);
    }
}

#[test]
fn what_answers_at_the_vip_is_told_apart() {
    let response = |status| {
        Ok(Response {
            status,
            server: "ESF".to_owned(),
        })
    };
    for (what, seen, want) in [
        ("200", response(200), None),
        ("400", response(400), None),
        ("404", response(404), None),
        ("403", response(403), Some("does not serve the service")),
        ("503", response(503), Some("try again later")),
        (
            "silence",
            Err(Fault::TimedOut("connection")),
            Some("Private Google Access missing"),
        ),
        (
            "refused",
            Err(Fault::Refused("connection")),
            Some("Private Google Access missing"),
        ),
        (
            "no route",
            Err(Fault::Local("no route".to_owned())),
            Some("Private Google Access missing"),
        ),
        (
            "a unknown_client",
            Err(Fault::Tls("UnknownIssuer".to_owned())),
            Some("--ca FILE"),
        ),
        (
            "no HTTP",
            Err(Fault::Garbled("HTTP".to_owned())),
            Some("proxy"),
        ),
        (
            "no descriptors",
            Err(Fault::Untried("EMFILE".to_owned())),
            Some("what it lacks"),
        ),
    ] {
        told(what, &judge::reached("restricted", &seen), want);
    }
}

#[test]
fn what_must_fail_must_have_been_tried() {
    let target: Target = "https://www.example.com/".parse().expect("a URL");
    let ip: IpAddr = "192.0.2.1".parse().expect("an address");
    let untried = || Fault::Untried("EMFILE".to_owned());
    for (what, attempt, want) in [
        ("nowhere to go", Attempt::NoAddress, None),
        (
            "silence",
            Attempt::Failed(ip, Fault::TimedOut("connection")),
            None,
        ),
        (
            "refused",
            Attempt::Failed(ip, Fault::Refused("connection")),
            None,
        ),
        (
            "a way out",
            Attempt::Connected(ip),
            Some("traffic gets out"),
        ),
        (
            "no resolver",
            Attempt::Unresolved(Fault::TimedOut("DNS")),
            Some("dnsgate runs"),
        ),
        (
            "no descriptors",
            Attempt::Failed(ip, untried()),
            Some("nothing is proved"),
        ),
    ] {
        told(what, &judge::unreachable(&target, &attempt), want);
    }
    for way in Way::ALL {
        told(
            "silence",
            &judge::bypass(way, &Err(Fault::TimedOut("DNS"))),
            None,
        );
        told(
            "no descriptors",
            &judge::bypass(way, &Err(untried())),
            Some("nothing is proved"),
        );
        told(
            "a way round",
            &judge::bypass(way, &Ok(())),
            Some("deny egress"),
        );
    }
}

/// A reply to `asked` as dnsgate would write it by the configuration.
fn reply(text: &str, asked: &str) -> Answer {
    use dnsgate_core::{dns::Transport, engine};
    let config = config(text);
    let snapshot = dnsgate_whatif::snapshot(config.policy, config.zones, 0);
    let query = upstream_query::encode(7, name(asked).as_ref(), RecordType::A, false, false);
    let client = engine::Client {
        source: "127.0.0.1".parse().expect("an address"),
        transport: Transport::Udp,
    };
    let mut reply = vec![0; 1232];
    let context = engine::Context::new(&snapshot, SystemTime::UNIX_EPOCH);
    let len = engine::begin(&query, client, &context, &mut reply).len();
    Answer::read(&reply[..len], &name(asked), RecordType::A).expect("a reply")
}

#[test]
fn replies_are_read_as_dnsgate_writes_them() {
    let vip = "199.36.153.4 199.36.153.5 199.36.153.6 199.36.153.7";
    for (text, asked, shown, denial) in [
        ("{}", "Storage.googleapis.com", vip, false),
        (
            "{}",
            "example.com",
            "REFUSED, EDE 15: no rule allows this name",
            true,
        ),
        (
            "deny_with: nxdomain",
            "example.com",
            "NXDOMAIN, EDE 15: no rule allows this name",
            true,
        ),
        (
            "deny_with: nodata",
            "example.com",
            "NODATA, EDE 15: no rule allows this name",
            true,
        ),
    ] {
        let answer = reply(text, asked);
        assert_eq!(answer.to_string(), shown, "{text} {asked}");
        assert_eq!(answer.is_denial(), denial, "{text} {asked}");
        assert_eq!(answer.strays, addresses(""));
    }
    let answer = reply("{}", "storage.googleapis.com");
    assert_eq!(answer.aliases, ["restricted.googleapis.com"]);
    assert_eq!(answer.addresses, addresses(vip));
    assert_eq!(Answer::read(b"no message", &name("x"), RecordType::A), None);
}

fn report() -> Report {
    let finding = |outcome, seen: &str, remedy| Finding {
        outcome,
        seen: seen.to_owned(),
        remedy,
    };
    Report {
        findings: vec![
            (
                "bucket b".to_owned(),
                finding(Outcome::Pass, "1 object, 1 page", None),
            ),
            (
                "denied x".to_owned(),
                finding(Outcome::Fail, "\x1b[2Jodd", Some("do this")),
            ),
            (
                "name p".to_owned(),
                finding(Outcome::Skipped, "elsewhere", None),
            ),
        ],
        bucket: Some("b".to_owned()),
        file_names: vec!["one".to_owned()],
        check_connection: Some(false),
        not_tried: vec!["ICMP", "NTP (udp:123)"],
    }
}

#[test]
fn the_report_is_for_people_and_for_programs() {
    let table = "\
pass     bucket b  1 object, 1 page
FAIL     denied x   [2Jodd
         -> do this
skipped  name p    elsewhere

NOT proved: 1 passed, 1 failed, 1 skipped
not tried: ICMP; NTP (udp:123)
";
    assert_eq!(report().table(), table);
    let json = report().json(Duration::from_millis(1500));
    let want = serde_json::json!({
        "passed": false,
        "seconds": 1.5,
        "bucket": "b",
        "file_names": ["one"],
        "check_connection": false,
        "not_tried": ["ICMP", "NTP (udp:123)"],
        "checks": [
            { "check": "bucket b", "result": "pass", "seen": "1 object, 1 page", "remedy": null },
            { "check": "denied x", "result": "fail", "seen": "\u{1b}[2Jodd", "remedy": "do this" },
            { "check": "name p", "result": "skipped", "seen": "elsewhere", "remedy": null },
        ],
    });
    assert_eq!(json, want);
    let mut good = report();
    good.findings
        .retain(|(_, finding)| finding.outcome != Outcome::Fail);
    assert!(good.passed() && !report().passed());
    good.findings
        .retain(|(_, finding)| finding.outcome == Outcome::Skipped);
    assert!(!good.passed(), "nothing was proved");
}

#[test]
fn the_metrics_are_of_the_last_round() {
    let exporter = export::Exporter::new().expect("families that agree");
    let page = || String::from_utf8(exporter.page().expect("a page")).expect("UTF-8");
    let mut report = report();
    exporter.set(&report, Duration::from_secs(9), Duration::from_secs(2));
    let first = page();
    for line in [
        "dnsgate_verify_check{check=\"bucket b\"} 1",
        "dnsgate_verify_check{check=\"denied x\"} 0",
        "dnsgate_verify_passed 0",
        "dnsgate_verify_last_run_timestamp_seconds 9",
        "dnsgate_verify_duration_seconds 2",
    ] {
        assert!(first.lines().any(|it| it == line), "{line}: {first}");
    }
    assert!(!first.contains("name p"), "{first}");
    report.findings.truncate(1);
    exporter.set(&report, Duration::from_secs(10), Duration::from_secs(1));
    let second = page();
    assert!(second.contains("dnsgate_verify_passed 1"), "{second}");
    assert!(!second.contains("denied x"), "{second}");
}
