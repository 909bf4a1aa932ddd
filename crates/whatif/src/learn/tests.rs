//! What is learnt, as text and as the policy that it makes: pasted into a configuration it allows
//! what was asked for, and nothing that neither was asked for nor is below a subtree that it names.

use std::{
    fmt::Write as _,
    net::IpAddr,
    path::Path,
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use dnsgate_config::{Config, PublicSuffix, default_types};
use dnsgate_core::{
    dns::{Name, NameBuf, NameRef, RecordType},
    policy::{GroupId, Pattern, Policy, Verdict},
};

mod logs;

const CONFIG: &str = "
clients: { build: { cidrs: [10.8.0.0/16] }, vpc: { cidrs: [10.0.0.0/8] }, web: { cidrs: [10.9.0.0/16] } }
google_apis: { vip: off }
upstreams: { corp: { servers: [udp://10.0.0.53] }, public: { servers: [udp://8.8.8.8] } }
mode: { observe: public }
zones: [{ origin: zone.example.com, records: [\"db A 10.0.0.1\"] }]
rules:
  - { name: no-secrets, domains: [.secret.example.com], deny: nxdomain, groups: [vpc] }
  - { name: v4, domains: [.v4.example.com], records: [A 10.0.0.2], types: [A] }
  - { name: v6, domains: [www.example.com], forward: corp, types: [AAAA], groups: [vpc, web] }
  - { name: example.com, domains: [old.example.com], forward: corp, until: 2020-01-01 }
";

/// 2027-01-01T00:00:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_761_600)
}

fn config(rules: &str) -> Config {
    let text = format!("{CONFIG}{rules}");
    dnsgate_config::parse(&text, "t.yaml", Path::new(""))
        .unwrap_or_else(|report| panic!("{report}\n{text}"))
}

/// One entry of the page; the rule is empty for none.
type Entry<'e> = (&'e str, &'e str, &'e str, &'e str, u64);

fn page(entries: &[Entry<'_>], dropped: u64) -> ObservedPage {
    let observed = entries.iter().map(|(name, rtype, group, rule, count)| {
        json!({
            "name": name, "type": rtype, "group": group, "count": count,
            "rule": (!rule.is_empty()).then_some(rule),
            "firstSeen": "2026-12-01T10:00:00Z", "lastSeen": "2026-12-03T10:00:00.5Z",
        })
    });
    let observed: Vec<_> = observed.collect();
    let page = json!({"generation": 3, "dropped": dropped, "observed": observed, "more": 1});
    ObservedPage::parse(page.to_string().as_bytes()).expect("a page")
}

fn with_config(entries: &[Entry<'_>], dropped: u64) -> String {
    let config = config("");
    let existing = ExistingPolicy::new(Some(&config.policy), now());
    proposal(&page(entries, dropped), "the test", "public", existing, 2)
}

#[test]
fn proposal_reads_as_documented_and_can_be_pasted() {
    let hosts: Vec<String> = (0..9).map(|at| format!("h{at}.cdn.github.com")).collect();
    let mut entries: Vec<Entry<'_>> = vec![
        ("GitHub.com", "A", "vpc", "", 3),
        ("github.com", "AAAA", "build", "", 4),
        ("github.com", "A", "web", "", 1),
        ("api.github.com", "HTTPS", "build", "", 5),
        ("_dmarc.github.com", "TXT", "build", "", 2),
        ("mine.github.io", "A", "vpc", "", 2),
        ("rare.example.net", "A", "vpc", "", 1),
        ("localhost", "A", "vpc", "", 9),
        ("a.secret.example.com", "A", "vpc", "no-secrets", 7),
        ("a.secret.example.com", "A", "web", "", 2),
        ("old.example.com", "A", "vpc", "", 2),
        ("www.example.com", "A", "vpc", "", 2),
        ("www.example.com", "AAAA", "vpc", "", 2),
        ("www.example.com", "A", "gone", "", 2),
        ("10.0.0.1", "A", "vpc", "", 8),
        (".", "NS", "vpc", "", 8),
    ];
    entries.extend(
        hosts
            .iter()
            .map(|host| (host.as_str(), "A", "build", "", 1)),
    );
    // The hosts are rare each.
    let told = with_config(&entries, 12);
    assert_eq!(told, include_str!("learnt.txt"), "{told}");
    let pasted = config(&told);
    let added = pasted.policy.rules().len() - config("").policy.rules().len();
    assert_eq!(added, 7);
}

#[test]
fn without_a_configuration_every_group_is_named() {
    let existing = ExistingPolicy::new(None, now());
    let page = page(&[("a.example.com", "A", "vpc", "", 1)], 0);
    let told = proposal(&page, "the test", "public", existing, 1);
    assert_eq!(
        told,
        "  # From the test: 1 question of clients, recorded up to generation 3 of the configuration.
  # Read them, and paste the ones you want under `rules:`.

  - name: example.com
    domains:
      - a.example.com
    forward: public
    groups: [vpc]
    reason: \"observed once from 2026-12-01T10:00:00Z to 2026-12-03T10:00:00Z\"
"
    );
}

#[test]
fn rejects_a_malformed_page_and_names_the_entry() {
    let with = |key: &str, value: &str| {
        let mut entry = json!({"name": "a.example", "type": "A", "group": "vpc", "rule": null,
            "count": 1, "firstSeen": "2026-12-01T10:00:00Z", "lastSeen": "2026-12-01T10:00:00Z"});
        entry[key] = json!(value);
        json!({"generation": 1, "dropped": 0, "observed": [entry]}).to_string()
    };
    for (text, wrong) in [
        ("ready".to_owned(), "expected value at line 1"),
        ("{\"generation\": 1}".to_owned(), "missing field `dropped`"),
        (with("name", "a..b"), "entry 1, \"a..b\": a label is empty"),
        (
            with("type", "AAAAA"),
            "entry 1, \"a.example\": \"AAAAA\" is not a record type",
        ),
        (with("group", "a\nb"), "\"a\\nb\" cannot be a client group"),
        (with("rule", "a\nb"), "cannot be a rule"),
        (with("lastSeen", "today"), "\"today\" is not a time"),
    ] {
        let error = ObservedPage::parse(text.as_bytes()).expect_err(wrong);
        let error = format!("{error:#}");
        assert!(error.contains(wrong), "{error}");
    }
}

#[test]
fn only_many_names_become_a_subtree() {
    let existing = ExistingPolicy::new(None, now());
    let domains = |names: &[String]| {
        let entries: Vec<Entry<'_>> = names.iter().map(|it| (&**it, "A", "vpc", "", 1)).collect();
        let page = page(&entries, 0);
        let judged = wanted::all(&page, existing, 1);
        let rules = rules::rules(&judged.wanted, existing);
        let lines = rules.iter().flat_map(|rule| &rule.lines);
        let lines: Vec<_> = lines.map(|line| line.pattern.to_string()).collect();
        lines.join(" ")
    };
    let many = |count: usize, below: &str| -> Vec<String> {
        (0..count).map(|at| format!("h{at}.{below}")).collect()
    };
    let and = |mut names: Vec<String>, more: &[&str]| {
        names.extend(more.iter().map(|&name| name.to_owned()));
        names
    };
    for (names, want) in [
        (many(2, "a.test"), "h0.a.test h1.a.test"),
        (many(8, "a.test")[..1].to_vec(), "h0.a.test"),
        (many(9, "a.test"), ".a.test"),
        // The deepest one, and the name itself with it.
        (
            and(many(9, "b.a.test"), &["b.a.test", "c.a.test"]),
            ".b.a.test c.a.test",
        ),
        // Names that differ higher up.
        (
            (0..9).map(|at| format!("x.h{at}.a.co.uk")).collect(),
            ".a.co.uk",
        ),
        // Where anybody can have a name it begins below theirs.
        (many(9, "mine.github.io"), ".mine.github.io"),
        (
            many(9, "mine.storage.googleapis.com"),
            ".mine.storage.googleapis.com",
        ),
    ] {
        assert_eq!(domains(&names), want);
    }
    for suffix in ["github.io", "storage.googleapis.com", "co.uk", "test"] {
        assert!(!domains(&many(40, suffix)).contains(" ."), "{suffix}");
        assert!(!domains(&many(40, suffix)).starts_with('.'), "{suffix}");
    }
}

/// A name as zone files have it, without its final dot.
fn any_name() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        4 => "[a-z]",
        1 => Just("www".to_owned()),
        1 => Just("*".to_owned()),
        1 => Just("_Tcp".to_owned()),
        1 => Just("1".to_owned()),
        1 => Just("null".to_owned()),
        1 => prop::collection::vec(any::<u8>(), 1..4).prop_map(|bytes| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "\\{byte:03}");
                text
            })
        }),
    ];
    let suffix = prop::sample::select(vec![
        "example.com",
        "example.com",
        "EXAMPLE.com",
        "secret.example.com",
        "v4.example.com",
        "example.co.uk",
        "co.uk",
        "github.io",
        "storage.googleapis.com",
        "internal",
        "10.0.0.1",
        "old.example.com",
        "zone.example.com",
    ]);
    (prop::collection::vec(label, 0..3), suffix).prop_map(|(mut labels, suffix)| {
        labels.push(suffix.to_owned());
        labels.join(".")
    })
}

const GROUPS: [&str; 3] = ["build", "vpc", "web"];
const TYPES: [&str; 7] = ["A", "AAAA", "TXT", "NULL", "TYPE65280", "ANY", "MX"];

/// What a policy does, as far as it can be compared with another's.
fn decided(policy: &Policy, group: GroupId, name: NameRef<'_>, rtype: RecordType) -> String {
    let rule = |id| policy.rule(id).map_or("", |rule| &*rule.name);
    match policy.decide(group, name, rtype, now()) {
        Verdict::Forward(grant) => {
            let rule = grant.rule().map(rule);
            format!(
                "{} {rule:?} {:?}",
                grant.is_observed(),
                grant.forwarding().upstream
            )
        }
        Verdict::Zone { rule: id, .. } | Verdict::Answer { rule: id, .. } => rule(id).to_owned(),
        Verdict::Deny(denial) => format!("{:?}", denial.rule.map(rule)),
    }
}

proptest! {
    #[test]
    fn learnt_rules_allow_what_was_asked_for_and_nothing_else(
        asked in prop::collection::vec(
            (any_name(), prop::sample::select(&TYPES[..]), prop::sample::select(&GROUPS[..])),
            0..60,
        ),
    ) {
        let before = config("");
        let group = |name: &str| GroupId(GROUPS.iter().position(|it| *it == name).expect("one") as u8);
        let entries: Vec<Entry<'_>> = asked.iter()
            .map(|(name, rtype, group)| (&**name, *rtype, *group, "", 1))
            .collect();
        let page = page(&entries, 0);
        let existing = ExistingPolicy::new(Some(&before.policy), now());
        let judged = wanted::all(&page, existing, 1);
        let rules = rules::rules(&judged.wanted, existing);
        let text = proposal(&page, "the test", "public", existing, 1);
        let after = config(&text);

        let patterns: Vec<&Pattern> = rules.iter()
            .flat_map(|rule| &rule.lines).map(|line| &line.pattern).collect();
        for pattern in &patterns {
            if let Pattern::Subtree(name) | Pattern::Below(name) = pattern {
                prop_assert!(PublicSuffix::of(name.as_ref()).labels < name.as_ref().label_count(), "{}", pattern);
            }
        }
        for observed in &judged.wanted {
            let (group, name) = (group(&observed.group), observed.name.as_ref());
            let verdict = after.policy.decide(group, name, observed.rtype, now());
            let forwards = matches!(verdict, Verdict::Forward(grant)
                if !grant.is_observed() && grant.forwarding().upstream.0 == 1);
            prop_assert!(forwards, "{:?}: {:?}\n{}", observed, verdict, text);
        }
        // Everything asked for and its relatives, for every group and type.
        let names = page.observed.iter().flat_map(|it| relatives(&it.name));
        for name in names.collect::<std::collections::BTreeSet<Name>>() {
            for (group, label) in (0..).map(GroupId).zip(GROUPS) {
                for rtype in TYPES.map(|text| text.parse::<RecordType>().expect("a type")) {
                    let covered = rules.iter().any(|rule| {
                        let types_fit = match &rule.types[..] {
                            [] => default_types().contains(rtype),
                            types => types.contains(&rtype),
                        };
                        types_fit
                            && rule.groups.as_ref().is_none_or(|groups| groups.contains(label))
                            && rule.lines.iter().any(|line| line.pattern.matches(name.as_ref()))
                    });
                    let old = decided(&before.policy, group, name.as_ref(), rtype);
                    let new = decided(&after.policy, group, name.as_ref(), rtype);
                    prop_assert!(covered || old == new, "{name} {rtype} {label}: {old} {new}\n{text}");
                    let was_asked = judged.wanted.iter().any(|it| it.name == name && it.group == label);
                    let below_subtree = patterns.iter().any(|it| {
                        matches!(it, Pattern::Subtree(_)) && it.matches(name.as_ref())
                    });
                    prop_assert!(was_asked || below_subtree || old == new, "{name} {rtype} {label}: {old} {new}\n{text}");
                    // What somebody wrote down stays, but below a subtree.
                    prop_assert!(old.starts_with("true None") || below_subtree || old == new, "{name} {rtype} {label}: {old} {new}\n{text}");
                }
            }
        }
    }
}

/// A name, its parent, a child and a sibling of it.
fn relatives(name: &Name) -> Vec<Name> {
    let parent = name.as_ref().parent().unwrap_or(NameRef::ROOT).to_name();
    let mut all = vec![name.clone()];
    all.extend(name.child(b"zz").ok());
    all.extend(parent.child(b"zz").ok());
    all.push(parent);
    all
}

#[test]
fn splits_rules_with_more_types_than_a_rule_can_have() {
    let types: Vec<String> = (65280..65280 + 70)
        .map(|number| format!("TYPE{number}"))
        .collect();
    let entries: Vec<Entry<'_>> = types
        .iter()
        .map(|it| ("a.example.net", &**it, "web", "", 2))
        .collect();
    let after = config(&with_config(&entries, 0));
    let web = after
        .policy
        .admit(IpAddr::from([10, 9, 0, 1]))
        .expect("a group");
    let mut name = NameBuf::new();
    for label in ["a", "example", "net"] {
        name.push_label(label.as_bytes()).expect("short");
    }
    for rtype in types {
        let rtype = rtype.parse().expect("a type");
        let told = decided(&after.policy, web, name.as_ref(), rtype);
        assert!(told.starts_with("false"), "{rtype}: {told}");
    }
}
