//! What is made of what was seen, by tables.

use super::*;
use crate::testing::{answer, vip};

#[test]
fn a_preset_name_must_resolve_to_its_vip_alone() {
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
            Some("AAAA records without"),
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
            Some("another resolver"),
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
            Some("do not mix"),
        ),
        (
            "mixed families",
            true,
            answer(0, v4),
            answer(0, "2600:2d00:2:2000::"),
            Some("do not mix"),
        ),
    ] {
        told(what, &name(&vip(ipv6), &a, &aaaa), want);
    }
}

#[test]
fn a_name_without_address_gets_the_fitting_remedy() {
    let aliased = || {
        let aliases = vec!["restricted.googleapis.com".to_owned()];
        Ok(Answer {
            aliases,
            ..Answer::default()
        })
    };
    for (what, seen, want) in [
        ("half a chain", aliased(), "alias chain"),
        ("denied", answer(3, ""), "does not serve"),
        ("SERVFAIL", answer(2, ""), "dnsgate runs"),
        ("silence", Err(ProbeFault::TimedOut("DNS")), "dnsgate runs"),
    ] {
        told(what, &name(&vip(false), &seen, &seen), Some(want));
    }
}

/// Passed, or failed with a remedy that says this.
fn told(what: &str, finding: &Finding, want: Option<&str>) {
    match (want, finding.remedy) {
        (None, None) => assert_eq!(finding.outcome, CheckResult::Pass, "{what}: {finding:?}"),
        (Some(want), Some(remedy)) => {
            assert_eq!(finding.outcome, CheckResult::Fail, "{what}");
            assert!(remedy.contains(want), "{what}: {remedy}");
        }
        _ => panic!("{what}: {finding:?}"),
    }
}

#[test]
fn no_reply_is_not_a_denial() {
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
            Err(ProbeFault::TimedOut("DNS")),
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
        told(what, &denied(&a, &aaaa), want);
    }
}

#[test]
fn a_record_of_any_type_fails_the_data_check() {
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
            Some("the query leaves the VPC"),
        ),
        (
            "NXDOMAIN with an alias",
            by(3, iana, 1),
            &denial,
            Some("the query leaves the VPC"),
        ),
        (
            "NXDOMAIN of the name's own",
            by(3, iana, 0),
            &denial,
            Some("the query leaves the VPC"),
        ),
        (
            "NODATA of the name's own",
            by(0, iana, 0),
            &denial,
            Some("the query leaves the VPC"),
        ),
        (
            "NXDOMAIN where REFUSED is the denial",
            by(3, iana, 0),
            &refused,
            Some("the query leaves the VPC"),
        ),
        (
            "SERVFAIL",
            answer(2, ""),
            &denial,
            Some("deny_with: nxdomain"),
        ),
        (
            "silence",
            Err(ProbeFault::TimedOut("DNS")),
            &denial,
            Some("dnsgate runs"),
        ),
    ] {
        told(what, &data(RecordType::TXT, &seen, denial), want);
    }
}

#[test]
fn one_bad_server_fails_the_check() {
    let at = |last: u8| ([10, 0, 0, last], 53).into();
    let good = || answer(0, "199.36.153.4");
    let public = || answer(0, "142.250.1.1");
    let silent = || Err(ProbeFault::TimedOut("DNS"));
    for (what, servers, want) in [
        ("both", vec![good(), good()], None),
        ("one of them is silent", vec![silent(), good()], None),
        ("one of them fails", vec![good(), answer(2, "")], None),
        (
            "the second leads out",
            vec![good(), public()],
            Some("another resolver"),
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
        told(what, &name_everywhere(&vip(false), &a, &none), want);
    }
    let second = [
        (at(1), Finding::pass(String::new())),
        (at(2), Finding::fail("no".to_owned(), "x")),
    ];
    assert_eq!(worst(second, 2).seen, "10.0.0.2:53: no");
}

#[test]
fn a_proxy_that_takes_connections_fails() {
    let target: Endpoint = "http://proxy.example:3128/".parse().expect("a URL");
    let ip: IpAddr = "192.0.2.1".parse().expect("an address");
    for (what, attempt, want) in [
        ("nowhere", ConnectAttempt::NoAddress, None),
        (
            "silence",
            ConnectAttempt::Failed(ip, ProbeFault::TimedOut("connection")),
            None,
        ),
        (
            "it listens",
            ConnectAttempt::Connected(ip),
            Some("unset it"),
        ),
        (
            "unresolved",
            ConnectAttempt::Unresolved(ProbeFault::TimedOut("DNS")),
            Some("dnsgate runs"),
        ),
        (
            "EMFILE",
            ConnectAttempt::Failed(ip, ProbeFault::Untried("EMFILE".to_owned())),
            Some("this proves nothing"),
        ),
    ] {
        told(what, &proxy(&target, &attempt), want);
    }
}

#[test]
fn each_fault_at_the_vip_gets_its_remedy() {
    let response = |status| {
        Ok(HttpResponse {
            status,
            server: "ESF".to_owned(),
        })
    };
    for (what, seen, want) in [
        ("200", response(200), None),
        ("400", response(400), None),
        ("404", response(404), None),
        ("403", response(403), Some("does not serve this API")),
        ("503", response(503), Some("try again later")),
        (
            "silence",
            Err(ProbeFault::TimedOut("connection")),
            Some("Private Google Access is missing"),
        ),
        (
            "refused",
            Err(ProbeFault::Refused("connection")),
            Some("Private Google Access is missing"),
        ),
        (
            "no route",
            Err(ProbeFault::Local("no route".to_owned())),
            Some("Private Google Access is missing"),
        ),
        (
            "a unknown_client",
            Err(ProbeFault::Tls("UnknownIssuer".to_owned())),
            Some("--ca FILE"),
        ),
        (
            "no HTTP",
            Err(ProbeFault::Garbled("HTTP".to_owned())),
            Some("proxy"),
        ),
        (
            "no descriptors",
            Err(ProbeFault::Untried("EMFILE".to_owned())),
            Some("names as missing"),
        ),
    ] {
        told(what, &reached("restricted", &seen), want);
    }
}

#[test]
fn an_untried_connection_does_not_pass() {
    let target: Endpoint = "https://www.example.com/".parse().expect("a URL");
    let ip: IpAddr = "192.0.2.1".parse().expect("an address");
    let untried = || ProbeFault::Untried("EMFILE".to_owned());
    for (what, attempt, want) in [
        ("nowhere to go", ConnectAttempt::NoAddress, None),
        (
            "silence",
            ConnectAttempt::Failed(ip, ProbeFault::TimedOut("connection")),
            None,
        ),
        (
            "refused",
            ConnectAttempt::Failed(ip, ProbeFault::Refused("connection")),
            None,
        ),
        (
            "a way out",
            ConnectAttempt::Connected(ip),
            Some("traffic leaves the VPC"),
        ),
        (
            "no resolver",
            ConnectAttempt::Unresolved(ProbeFault::TimedOut("DNS")),
            Some("dnsgate runs"),
        ),
        (
            "no descriptors",
            ConnectAttempt::Failed(ip, untried()),
            Some("this proves nothing"),
        ),
    ] {
        told(what, &unreachable(&target, &attempt), want);
    }
    for way in BypassWay::ALL {
        told(
            "silence",
            &bypass(way, &Err(ProbeFault::TimedOut("DNS"))),
            None,
        );
        told(
            "no descriptors",
            &bypass(way, &Err(untried())),
            Some("this proves nothing"),
        );
        told("a way round", &bypass(way, &Ok(())), Some("deny egress"));
    }
}
