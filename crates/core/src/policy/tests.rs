//! The policy against a table for each sentence of its promise, and against a scan over all rules.

use std::time::{Duration, SystemTime};

use super::*;
use crate::dns::Name;
use crate::dns::{RecordType, Rrset};

mod conflicts;
mod denials;
mod entries;
mod naive;
mod scale;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

/// A moment, in seconds after an arbitrary one.
fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + second)
}

/// A rule in a line: its patterns, then what there is to say of it, as in
/// `.x *.y; groups 0 2; types A MX; until 60; built-in; search; deny drop; name gists; reason SEC-1`.
fn rule(text: &str) -> Rule {
    let (patterns, rest) = text.split_once(';').unwrap_or((text, ""));
    let mut rule = Rule::new(
        "rule".into(),
        patterns
            .split_whitespace()
            .map(|p| p.parse().expect(p))
            .collect(),
        Action::Zone(ZoneId(0)),
        RuleOrigin::Configured,
    );
    for part in rest
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let (key, value) = part.split_once(' ').unwrap_or((part, ""));
        let words = value.split_whitespace();
        match key {
            "groups" => rule.groups = Some(words.map(|w| GroupId(w.parse().expect(w))).collect()),
            "types" => rule.types = words.map(|w| w.parse::<RecordType>().expect(w)).collect(),
            "until" => rule.until = Some(at(value.parse().expect(value))),
            "built-in" => rule.origin = RuleOrigin::BuiltIn,
            "search" => rule.origin = RuleOrigin::Search,
            "deny" => {
                rule.action = Action::Deny;
                rule.deny_with = words.map(|w| w.parse().expect(w)).next();
            }
            "name" => rule.name = value.into(),
            "reason" => rule.reason = Some(value.into()),
            _ => panic!("{key}"),
        }
    }
    rule
}

fn group(deny_with: Option<DenyWith>) -> (Group, Vec<ipnet::IpNet>) {
    let name = "group".into();
    (Group { name, deny_with }, Vec::new())
}

/// A policy with three groups that denies with NXDOMAIN.
fn build(rules: &[&str]) -> Result<Policy, Vec<Conflict>> {
    let groups = [None, None, None].map(group).into();
    let rules = rules.iter().map(|text| rule(text)).collect();
    Policy::build(groups, rules, DenyWith::NxDomain)
}

fn rule_of(verdict: &Verdict<'_, '_>) -> Option<RuleId> {
    match *verdict {
        Verdict::Zone { rule, .. } | Verdict::Answer { rule, .. } => Some(rule),
        Verdict::Forward(grant) => grant.rule(),
        Verdict::Deny(denial) => denial.rule.filter(|_| denial.why == DenialReason::Rule),
    }
}

/// The rule that decides about A for group 0 at second 0.
fn winner(policy: &Policy, asked: &str) -> Option<RuleId> {
    let asked = name(asked);
    rule_of(&policy.decide(GroupId(0), asked.as_ref(), RecordType::A, at(0)))
}

/// The denial of MX at second 0.
fn denial<'p>(policy: &'p Policy, group: u8, asked: &str) -> Denial<'p> {
    match policy.decide(GroupId(group), name(asked).as_ref(), RecordType::MX, at(0)) {
        Verdict::Deny(denial) => denial,
        other => panic!("{asked}: {other:?}"),
    }
}

/// What is explained about A for group 0 at second 0: rule, pattern, disposition.
fn explained(policy: &Policy, asked: &str) -> Vec<(u32, String, Disposition)> {
    let asked = name(asked);
    policy
        .explain(GroupId(0), asked.as_ref(), RecordType::A, at(0))
        .into_iter()
        .map(|found| (found.id.0, found.pattern.to_string(), found.disposition))
        .collect()
}

#[test]
fn each_precedence_beats_all_that_come_after_it() {
    for (asked, better, worse, disposition) in [
        // The longer name wins, though it be the wider, for everybody, and built in.
        (
            "b.x",
            ".b.x; built-in",
            "*.x; groups 0",
            Disposition::LongerNameWins,
        ),
        (
            "c.a.b.x",
            "*.b.x; built-in",
            ".x; groups 0",
            Disposition::LongerNameWins,
        ),
        (
            "x",
            "x; built-in",
            ".; groups 0",
            Disposition::LongerNameWins,
        ),
        // On one name the exact one, though it be for everybody, and built in.
        ("x", "x; built-in", ".x; groups 0", Disposition::ExactWins),
        // Of one kind the one that names the group, though it be built in.
        (
            "a.x",
            "*.x; groups 0; built-in",
            ".x",
            Disposition::NamedGroupWins,
        ),
        (
            "x",
            "x; groups 2 0; built-in",
            "x",
            Disposition::NamedGroupWins,
        ),
        // Then the configured one.
        ("a.x", ".x", "*.x; built-in", Disposition::ConfiguredWins),
        (
            "x",
            "x; groups 0",
            "x; groups 0 1; built-in",
            Disposition::ConfiguredWins,
        ),
    ] {
        for (rules, first) in [([better, worse], 0), ([worse, better], 1)] {
            let policy = build(&rules).expect("no tie");
            let found = explained(&policy, asked);
            let fates: Vec<_> = found.iter().map(|found| (found.0, found.2)).collect();
            assert_eq!(
                fates,
                [(first, Disposition::Wins), (1 - first, disposition)],
                "{rules:?}"
            );
            assert_eq!(winner(&policy, asked), Some(RuleId(first)), "{rules:?}");
        }
        let alone = build(&[worse]).expect("one rule");
        assert_eq!(
            winner(&alone, asked),
            Some(RuleId(0)),
            "{worse} is about {asked}"
        );
    }
}

#[test]
fn a_rule_that_does_not_apply_gives_way() {
    for (better, disposition) in [
        ("a.x; groups 1 2", Disposition::OtherGroup),
        ("a.x; groups", Disposition::OtherGroup),
        ("a.x; types AAAA HTTPS", Disposition::OtherType),
        ("a.x; until 0", Disposition::Expired),
    ] {
        let policy = build(&[better, ".; built-in"]).expect("no tie");
        let better = (0, "a.x".to_owned(), disposition);
        let worse = (1, ".".to_owned(), Disposition::Wins);
        assert_eq!(explained(&policy, "a.x"), [better, worse]);
        assert_eq!(winner(&policy, "a.x"), Some(RuleId(1)));
    }
}

#[test]
fn a_rule_ends_at_its_moment() {
    let policy = build(&["x; until 60"]).expect("one rule");
    let tick = Duration::from_nanos(1);
    for (now, in_force) in [
        (SystemTime::UNIX_EPOCH, true),
        (at(60) - tick, true),
        (at(60), false),
        (at(60) + tick, false),
    ] {
        let asked = name("x");
        let verdict = policy.decide(GroupId(0), asked.as_ref(), RecordType::A, now);
        assert_eq!(rule_of(&verdict).is_some(), in_force, "{now:?}");
    }
}

#[test]
fn the_verdict_carries_the_action() {
    let mut answer = rule("db.x");
    let records = vec![Rrset::new(RecordType::A, 300)];
    answer.action = Action::Answer(records.clone());
    let rules = vec![rule(".x"), answer];
    let policy = Policy::build(vec![group(None)], rules, DenyWith::Drop).expect("no tie");
    let (x, db) = (name("x"), name("db.x"));
    let decide = |asked| policy.decide(GroupId(0), asked, RecordType::A, at(0));
    let (zone, records) = (ZoneId(0), &*records);
    assert_eq!(
        decide(x.as_ref()),
        Verdict::Zone {
            zone,
            rule: RuleId(0),
            entry: policy.entry_of(RuleId(0), &".x".parse().expect("a pattern")),
        }
    );
    assert_eq!(
        decide(db.as_ref()),
        Verdict::Answer {
            records,
            rule: RuleId(1),
            entry: policy.entry_of(RuleId(1), &"db.x".parse().expect("a pattern")),
        }
    );
}

#[test]
fn clients_are_admitted_by_group() {
    let groups =
        ["10.0.0.0/8", "10.8.0.0/16"].map(|cidr| (group(None).0, vec![cidr.parse().expect(cidr)]));
    let policy = Policy::build(groups.into(), vec![], DenyWith::Refused).expect("nested");
    for (source, group) in [
        ("10.1.2.3", Some(0)),
        ("::ffff:10.8.2.3", Some(1)),
        ("192.0.2.1", None),
        ("::1", None),
    ] {
        let admitted = policy.admit(source.parse().expect(source));
        assert_eq!(admitted, group.map(GroupId), "{source}");
    }
}
