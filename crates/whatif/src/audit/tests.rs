//! What is found by which evidence, and what the tighter configuration is.

use std::{
    net::IpAddr,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::*;
use crate::{
    ask::{ClientQuestion, snapshot},
    diff::Diff,
    usage::UsagePage,
};
use dnsgate_core::dns::{Name, Transport};

const CONFIG: &str = "\
# The policy of the build network.
google_apis: { vip: off }
upstreams: { public: { servers: [udp://8.8.8.8] } }
clients:
  build: { cidrs: [10.8.0.0/16] }
  lab: { cidrs: [10.9.0.0/16] }
zones: [{ origin: z.test, records: ['a A 10.0.0.1'] }]
rules:
  # What the builds fetch.
  - name: fetch # the name
    domains:
      - .github.com # code
      - pypi.org
      - gone.example.com # nobody
    forward: public
  - { name: old, domains: [old.example.com], forward: public } # SEC-1
  - { name: site, domains: [.github.io], forward: public, types: [A, TXT] }
  - { name: no, domains: [bad.github.com], deny: nxdomain }
tests:
  - { ask: must.github.com, from: 10.8.0.1, expect: { rule: fetch } }
";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn config(text: &str) -> Config {
    dnsgate_config::parse(text, "t.yaml", Path::new("")).expect("valid")
}

/// The evidence of some questions, each from the group build: name and type.
fn asked(config: &Config, questions: &[(&str, &str)]) -> Evidence {
    let on = snapshot(
        config.policy.clone(),
        config.zones.clone(),
        config.upstreams.len(),
    );
    let mut evidence = Evidence::new(&config.policy);
    evidence.begin_log();
    for (name, rtype) in questions {
        let name: Name = name.parse().expect("a name");
        let question = ClientQuestion {
            name: name.as_ref(),
            rtype: rtype.parse().expect("a type"),
            source: IpAddr::from([10, 8, 0, 1]),
            transport: Transport::Udp,
        };
        evidence.ask(question, 1, (&on, now()));
    }
    evidence.end_log("t.log".to_owned());
    evidence
}

fn audited<'c>(config: &'c Config, text: &'c str) -> Audited<'c> {
    Audited {
        config,
        file: "t.yaml",
        text,
        now: now(),
    }
}

/// The findings as `line kind subject`.
fn found(text: &str, questions: &[(&str, &str)]) -> Vec<String> {
    let config = config(text);
    let audit = audit(&audited(&config, text), &asked(&config, questions));
    let findings = audit.findings.iter();
    let line = |it: &Finding| format!("{} {} {}", it.place.line, it.kind.id(), it.subject);
    findings.map(line).collect()
}

const QUESTIONS: &[(&str, &str)] = &[
    ("api.github.com", "A"),
    ("api.github.com", "AAAA"),
    ("codeload.github.com", "A"),
    ("pypi.org", "A"),
    ("me.github.io", "A"),
    ("bad.github.com", "A"),
    ("other.example.org", "A"),
];

#[test]
fn every_finding_has_its_place() {
    assert_eq!(
        found(CONFIG, QUESTIONS),
        [
            "17 shared-hosting rule site",
            "17 txt-allowed rule site",
            "7 unused-rule zone z.test",
            "16 unused-rule rule old",
            "14 unused-names rule fetch",
            "12 narrow-subtree rule fetch",
            "17 narrow-subtree rule site",
            "10 unused-types rule fetch",
            "17 unused-types rule site",
            "6 idle-group group lab",
        ]
    );
    assert_eq!(
        found("google_apis: { vip: off }\n", QUESTIONS).len(),
        1,
        "an idle group"
    );
}

#[test]
fn without_evidence_only_the_configuration_is_judged() {
    let config = config(CONFIG);
    let none = Evidence::new(&config.policy);
    let audit = audit(&audited(&config, CONFIG), &none);
    let kinds: Vec<_> = audit.findings.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [FindingKind::SharedHosting, FindingKind::TxtAllowed]);
    let tight = tightened(&audited(&config, CONFIG), &none);
    assert!(matches!(tight, Err(TightenError::NoEvidence)));
}

#[test]
fn a_tighter_configuration_allows_what_was_used_and_keeps_comments() {
    let config = config(CONFIG);
    let evidence = asked(&config, QUESTIONS);
    let tight = tightened(&audited(&config, CONFIG), &evidence).expect("tighter");
    let want = "\
# The policy of the build network.
google_apis: { vip: off }
upstreams: { public: { servers: [udp://8.8.8.8] } }
clients:
  build: { cidrs: [10.8.0.0/16] }
  lab: { cidrs: [10.9.0.0/16] }
zones: [{ origin: z.test, records: ['a A 10.0.0.1'] }]
rules:
  # What the builds fetch.
  - name: fetch # the name
    types: [A, AAAA]
    domains:
      - api.github.com # code
      - codeload.github.com
      - must.github.com
      - pypi.org
    forward: public
  # rule old is gone: not used
  - { name: site, domains: [me.github.io], forward: public, types: [A] }
  - { name: no, domains: [bad.github.com], deny: nxdomain }
tests:
  - { ask: must.github.com, from: 10.8.0.1, expect: { rule: fetch } }
";
    assert_eq!(tight.text, want);
    assert!(tight.asked > 50, "{}", tight.asked);
    // It is its own fixed point.
    let again = self::config(&tight.text);
    let evidence = asked(&again, QUESTIONS);
    let tighter = tightened(&audited(&again, &tight.text), &evidence).expect("as tight");
    assert_eq!(tighter.text, tight.text);
}

#[test]
fn a_replay_sees_no_difference_in_what_was_allowed() {
    let config = config(CONFIG);
    let evidence = asked(&config, QUESTIONS);
    let tight = tightened(&audited(&config, CONFIG), &evidence).expect("tighter");
    let tight = self::config(&tight.text);
    let of = |it: &Config| snapshot(it.policy.clone(), it.zones.clone(), it.upstreams.len());
    let (one, other) = (of(&config), of(&tight));
    let mut diff = Diff::new(
        crate::Subject::new(&one, &config.upstreams),
        crate::Subject::new(&other, &tight.upstreams),
        now(),
    );
    // A denied name may be denied otherwise: with nothing allowed below it, it does not exist.
    for (name, rtype) in QUESTIONS
        .iter()
        .filter(|(name, _)| *name != "bad.github.com")
    {
        let name: Name = name.parse().expect("a name");
        let question = ClientQuestion {
            name: name.as_ref(),
            rtype: rtype.parse().expect("a type"),
            source: IpAddr::from([10, 8, 0, 1]),
            transport: Transport::Udp,
        };
        diff.ask(question, 1);
    }
    assert_eq!(diff.changed(), 0, "{diff}");
}

#[test]
fn what_keeps_names_from_another_rule_stays() {
    let text = "\
google_apis: { vip: off }
upstreams: { public: { servers: [udp://8.8.8.8] }, corp: { servers: [udp://10.0.0.1] } }
rules:
  - { name: all, domains: [.example.com], forward: public }
  - { name: corp, domains: [.corp.example.com], forward: corp, addresses: [10.0.0.0/8] }
";
    let config = config(text);
    let many: Vec<String> = (0..99).map(|at| format!("n{at}.example.com")).collect();
    let mut questions: Vec<_> = many.iter().map(|name| (name.as_str(), "A")).collect();
    questions.push(("x.example.com", "AAAA"));
    let evidence = Evidence::new(&config.policy);
    assert!(evidence.is_empty());
    let mut policy_evidence = asked(&config, &[]);
    let vpc = IpAddr::from([10, 0, 0, 1]);
    let on = snapshot(
        config.policy.clone(),
        config.zones.clone(),
        config.upstreams.len(),
    );
    for (name, rtype) in &questions {
        let name: Name = name.parse().expect("a name");
        let question = ClientQuestion {
            name: name.as_ref(),
            rtype: rtype.parse().expect("a type"),
            source: vpc,
            transport: Transport::Udp,
        };
        policy_evidence.ask(question, 1, (&on, now()));
    }
    let tight = tightened(&audited(&config, text), &policy_evidence).expect("tighter");
    assert!(tight.text.contains("name: corp"), "{}", tight.text);
    let note = "rule corp stays although it was not used";
    assert!(
        tight.notes.iter().any(|it| it.starts_with(note)),
        "{:?}",
        tight.notes
    );
}

#[test]
fn a_page_knows_only_its_own_rules() {
    let page = UsagePage::parse(
        br#"{
        "version": 1, "generation": 2, "since": "2026-11-01T00:00:00Z", "now": "2026-11-03T00:00:00Z",
        "groups": [{ "group": "build", "queries": 3 }],
        "rules": [{
            "rule": "fetch", "since": "2026-11-01T00:00:00Z", "namesSince": "2026-11-02T00:00:00Z",
            "last": "2026-11-02T12:00:00Z", "aliases": true,
            "queries": [{ "group": "build", "verdict": "forwarded", "count": 3 }], "types": ["A"],
            "patterns": 3, "used": [".github.com"], "usedComplete": true,
            "names": [{ "name": "api.github.com", "count": 3 }], "distinctNames": 1, "namesComplete": true
        }]
    }"#,
    )
    .expect("a page");
    let config = config(CONFIG);
    let mut evidence = Evidence::new(&config.policy);
    evidence.add_page(&page, "usage.json", &config.policy);
    let audit = audit(&audited(&config, CONFIG), &evidence);
    let kinds: Vec<_> = audit
        .findings
        .iter()
        .map(|it| (it.kind.id(), &*it.subject))
        .collect();
    assert_eq!(
        kinds,
        [
            ("shared-hosting", "rule site"),
            ("txt-allowed", "rule site"),
            ("unused-names", "rule fetch"),
            ("narrow-subtree", "rule fetch"),
            ("unused-types", "rule fetch"),
            ("cname-any", "rule fetch"),
        ]
    );
    let told = audit.to_string();
    assert!(
        told.contains("2 of 3 names never asked for since 2026-11-02T00:00:00Z"),
        "{told}"
    );
    let tight = tightened(&audited(&config, CONFIG), &evidence).expect("tighter");
    let note = "rule old stays: the page /usage does not know it".to_owned();
    assert!(tight.notes.contains(&note), "{:?}", tight.notes);
    assert!(tight.text.contains("cname: allowed"), "{}", tight.text);
}

#[test]
fn sarif_has_a_result_for_each_finding() {
    let config = config(CONFIG);
    let audit = audit(&audited(&config, CONFIG), &asked(&config, QUESTIONS));
    let log = sarif(&audit);
    let run = &log["runs"][0];
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), audit.findings.len());
    for result in results {
        let index =
            usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("small");
        assert_eq!(
            run["tool"]["driver"]["rules"][index]["id"],
            result["ruleId"]
        );
    }
    let region = &results[0]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region["startLine"], 17);
}
