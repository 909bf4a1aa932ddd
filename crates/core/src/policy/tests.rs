//! The policy against a table for each sentence of its promise, and against a scan over all rules.

use std::time::{Duration, SystemTime};

use super::*;
use crate::dns::Name;
use crate::dns::{RecordType, Rrset};

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
fn a_denial_is_answered_as_rule_group_or_policy_say() {
    use DenialReason::{Default, Rule, UnknownClient};
    let policy = Policy::build(
        vec![group(Some(DenyWith::NxDomain)), group(None)],
        vec![rule("rule.x; deny drop"), rule("plain.x; deny")],
        DenyWith::NoData,
    )
    .expect("no tie");
    for (group, asked, with, why) in [
        (0, "rule.x", DenyWith::Drop, Rule),
        (1, "rule.x", DenyWith::Drop, Rule),
        (0, "plain.x", DenyWith::NxDomain, Rule),
        (1, "plain.x", DenyWith::NoData, Rule),
        (0, "other.x", DenyWith::NxDomain, Default),
        (1, "other.x", DenyWith::NoData, Default),
        (9, "other.x", DenyWith::NoData, Default), // no such group
    ] {
        let denial = denial(&policy, group, asked);
        assert_eq!((denial.with, denial.why), (with, why), "{group} {asked}");
    }
    let unknown_client = policy.deny_unknown_client();
    assert_eq!(
        (unknown_client.with, unknown_client.why),
        (DenyWith::NoData, UnknownClient)
    );
    assert_eq!(
        (unknown_client.rule, unknown_client.text),
        (None, "client is in no group")
    );
}

#[test]
fn a_denial_says_which_rule_and_why() {
    let long = "é".repeat(100);
    for (line, text) in [
        ("x; deny; name no-gists", "rule no-gists"),
        (
            "x; deny; name no-gists; reason SEC-1234 vendor migration",
            "rule no-gists: SEC-1234 vendor migration",
        ),
        ("x; deny; reason two\nlines\0!", "rule rule: two lines !"),
        ("x; deny; built-in; name built-in doh", "built-in doh"),
        // 11 bytes, then two for each letter: the 200th byte ends none.
        (
            &format!("x; deny; reason {long}"),
            &format!("rule rule: {}", "é".repeat(94)),
        ),
        (
            &format!("x; deny; name {long}"),
            &format!("rule {}", "é".repeat(97)),
        ),
    ] {
        let policy = build(&[line]).expect("one rule");
        let denial = denial(&policy, 0, "x");
        assert_eq!((denial.rule, denial.text), (Some(RuleId(0)), text));
    }
    let policy = build(&[]).expect("nothing");
    assert_eq!(denial(&policy, 0, "x").text, "no rule allows this name");
}

/// Rules of `build`, and why MX at `x` is denied to group 0 at second 0: the rule, and what the client is told.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_rule_for_others_is_told_from_none() {
    use DenialReason::{Default, Expired, OtherGroup, OtherType, Rule, Search};
    for (rules, why, by, text) in [
        (
            &["x; name r; types A AAAA"][..],
            OtherType,
            Some(0),
            "rule r allows this name for types A AAAA only",
        ),
        (
            &[".x; name r; types A"],
            OtherType,
            Some(0),
            "rule r allows this name for type A only",
        ),
        (
            &["x; name r; groups 1"],
            OtherGroup,
            Some(0),
            "rule r allows this name for group group only",
        ),
        (
            &["x; name r; groups 1 2; types A"],
            OtherGroup,
            Some(0),
            "rule r allows this name for groups group group only",
        ),
        (
            &["x; name r; until 0"],
            Expired,
            Some(0),
            "rule r allowed this name until 1970-01-12T13:46:40Z",
        ),
        // The nearest one counts: what has ended before another type, and that before another group.
        (
            &["x; name r; groups 1", ".x; name s; types A"],
            OtherType,
            Some(1),
            "rule s allows this name for type A only",
        ),
        (
            &["x; name r; types A", ".x; name s; until 0"],
            Expired,
            Some(1),
            "rule s allowed this name until 1970-01-12T13:46:40Z",
        ),
        // What has ended, and was for others, never allowed it.
        (
            &["x; types A; until 0"],
            Default,
            None,
            "no rule allows this name",
        ),
        // A denial for other types is none, and one for this type is the reason.
        (
            &["x; types A; deny"],
            Default,
            None,
            "no rule allows this name",
        ),
        (&["x; types A", ".x; name d; deny"], Rule, Some(1), "rule d"),
        // Search lists come last of all, and count for a name that a rule has for others.
        (
            &["x; search; deny nxdomain; name s; reason never"],
            Search,
            Some(0),
            "s: never",
        ),
        (
            &[
                "x; search; deny nxdomain; name s",
                ".; deny refused; name d",
            ],
            Rule,
            Some(1),
            "rule d",
        ),
        (
            &["x; search; deny nxdomain", "x; name r; types A"],
            OtherType,
            Some(1),
            "rule r allows this name for type A only",
        ),
    ] {
        let policy = build(rules).expect("no conflict");
        let denial = denial(&policy, 0, "x");
        let seen = (denial.why, denial.rule.map(|id| id.0), denial.text);
        assert_eq!(seen, (why, by, text), "{rules:?}");
    }
}

#[test]
fn what_search_lists_make_does_not_exist_whatever_the_way_to_deny() {
    const LISTED: &str = ".local; search; deny nxdomain; name local";
    const SINGLE: &str = "; search; deny nxdomain; name single";
    for (rules, asked, with) in [
        (&[LISTED, SINGLE][..], "local", "nxdomain"),
        (&[LISTED, SINGLE], "a.b.local", "nxdomain"),
        (&[LISTED, SINGLE], "db", "nxdomain"),
        (&[LISTED], "db", "drop"),
        (&[LISTED, SINGLE], "a.db", "drop"),
        (&[LISTED, SINGLE], "mylocal.x", "drop"),
        (&[LISTED, SINGLE], ".", "drop"),
        // A name above an allowed one exists, and so does one that is allowed for another type.
        (&[LISTED, SINGLE, "a.b.local"], "b.local", "nodata"),
        (&[LISTED, SINGLE, "a.b.db"], "db", "nodata"),
        (&[LISTED, "b.local; types A"], "b.local", "nodata"),
        // For another group it does not.
        (&[LISTED, "b.local; groups 1"], "b.local", "nxdomain"),
        // A rule's own way to deny is the operator's word, of a shorter name as well.
        (&[LISTED, ".b.local; deny drop"], "a.b.local", "drop"),
        (&[LISTED, ".b.local; deny refused"], "a.b.local", "refused"),
        // One that leaves the way to the group leaves it to this, too.
        (&[LISTED, ".b.local; deny"], "a.b.local", "nxdomain"),
        (&[LISTED, SINGLE, ".; deny"], "a.b.local", "nxdomain"),
        (&[LISTED, SINGLE, ".; deny"], "db", "nxdomain"),
        (&[LISTED, SINGLE, ".; deny"], "a.db", "drop"),
        (&[LISTED, ".; deny refused"], "a.b.local", "refused"),
        (&[LISTED, SINGLE, ".; deny nodata"], "db", "nodata"),
    ] {
        let groups = [Some(DenyWith::Drop)].map(group).into();
        let rules_of = rules.iter().map(|text| rule(text)).collect();
        let policy = Policy::build(groups, rules_of, DenyWith::Refused).expect("no conflict");
        assert_eq!(
            denial(&policy, 0, asked).with.to_string(),
            with,
            "{rules:?} {asked}"
        );
    }
    // What is allowed by a rule for a shorter name is allowed.
    let policy = build(&[LISTED, SINGLE, "."]).expect("no conflict");
    assert_eq!(winner(&policy, "a.b.local"), Some(RuleId(2)));
    assert_eq!(winner(&policy, "db"), Some(RuleId(2)));
}

#[test]
fn the_nearest_rule_is_found() {
    for (rules, asked, near) in [
        (&["x"][..], "a.x", Some((0, "x", ".x"))),
        (&["x", "a.x"], "c.b.a.x", Some((1, "a.x", ".a.x"))),
        (&["*.x"], "x", Some((0, "*.x", ".x"))),
        (&["b.a.x", "c.a.x"], "a.x", Some((0, "b.a.x", "a.x"))),
        (&[".b.a.x"], "x", Some((0, ".b.a.x", "x"))),
        (&["b.a.x", "a.x"], "x", Some((1, "a.x", "x"))),
        // Not one that denies, is built in, or would not apply to the question.
        (&["x; deny"], "a.x", None),
        (&["x; built-in"], "a.x", None),
        (&["x; groups 1"], "a.x", None),
        (&["x; types MX"], "a.x", None),
        (&["x; until 0"], "a.x", None),
        (&["x"], "y", None),
        (&["x"], ".", None),
    ] {
        let policy = build(rules).expect("no conflict");
        let found = policy.near_miss(GroupId(0), name(asked).as_ref(), RecordType::A, at(0));
        let found = found.map(|near| {
            (
                near.pattern.to_string(),
                near.would_cover.to_string(),
                near.rule,
            )
        });
        let seen = found.as_ref().map(|(pattern, cover, rule)| {
            let id = policy
                .rules()
                .iter()
                .position(|own| std::ptr::eq(own, *rule));
            (id.expect("one of them"), &**pattern, &**cover)
        });
        assert_eq!(seen, near, "{rules:?} {asked}");
    }
}

#[test]
fn a_denied_name_with_something_allowed_is_known() {
    for (rules, asked, expected) in [
        // An ancestor of an allowed name, whatever groups and time that one is for.
        (&["b.a.x"][..], "x", true),
        (&["b.a.x"], "a.x", true),
        (&["b.a.x"], ".", true),
        (&["b.a.x; groups 1"], "x", true),
        (&["b.a.x; until 0"], "x", true),
        (&["*.x"], "x", true),
        // A sibling, a child, another name; a denied descendant.
        (&["b.a.x"], "c.a.x", false),
        (&["b.a.x"], "c.b.a.x", false),
        (&["b.a.x"], "y", false),
        (&["b.a.x; deny"], "x", false),
        // Denied itself, while what is below stays allowed.
        (&["a.x; deny", ".x"], "a.x", true),
        (&[".a.x; deny", ".x"], "a.x", false),
        (&[".a.x; deny", ".x"], "b.a.x", false),
        // Allowed in another type than MX, which is asked for.
        (&[".x; types A"], "x", true),
        (&[".x; types A"], "b.a.x", true),
        (&["x; types A", ".; deny"], "x", true),
        (&[".x; types A; groups 1"], "x", false),
        (&[".x; types A; until 0"], "x", false),
        // … unless a better rule denies that type.
        (&[".x; types A", ".x; groups 0; types A; deny"], "x", false),
        (&[".x; types A", ".x; groups 0; deny"], "x", false),
        (
            &[".x; types A AAAA", ".x; groups 0; types A; deny"],
            "x",
            true,
        ),
    ] {
        let policy = build(rules).expect("no tie");
        let with = denial(&policy, 0, asked).with;
        let softened = with == DenyWith::NoData;
        assert_eq!(softened, expected, "{asked} in {rules:?}: {with:?}");
    }
}

#[test]
fn tied_rules_are_reported() {
    for (one, other, tied) in [
        (".x", ".x", true),
        ("X.", "x", true),
        ("*.x", ".x", true),
        (".x; deny", ".x; deny", true),
        (".x; until 1", ".x; until 9", true),
        (".x; types A MX", ".x", true),
        (".x; types A MX", ".x; types MX", true),
        (".x; groups 0 1", ".x; groups 1 2", true),
        (".x; built-in", ".x; built-in", true),
        ("x", ".x", false),
        ("*.x", "x", false),
        (".a.x", ".x", false),
        (".x; types A MX", ".x; types AAAA", false),
        (".x; groups 0 1", ".x; groups 2", false),
        (".x; groups 0 1 2", ".x", false),
        (".x; built-in", ".x", false),
    ] {
        let conflict = Conflict::TiedRules {
            first: RuleId(0),
            second: RuleId(1),
            pattern: rule(other).patterns.remove(0),
        };
        let reported = build(&[one, other]).err();
        assert_eq!(reported, tied.then(|| vec![conflict]), "{one} / {other}");
    }
    let policy = build(&[".x *.x .X x x"]).expect("a rule is never tied with itself");
    assert_eq!(policy.pattern_count(), 2, ".x and x");
}

#[test]
fn conflicts_are_bounded() {
    let conflicts = build(&[".x"; 40]).expect_err("780 pairs are tied");
    assert_eq!(conflicts.len(), conflict::MAX_CONFLICTS + 1);
    assert_eq!(conflicts.last(), Some(&Conflict::More));

    for (count, fits) in [(conflict::MAX_RULES_OF_NAME, true), (1001, false)] {
        let rules = (1..=count).map(|number| rule(&format!(".x; types TYPE{number}")));
        let built = Policy::build(vec![], rules.collect(), DenyWith::Refused);
        let pattern = ".x".parse().expect("pattern");
        let conflict = Conflict::TooManyOfName { pattern, count };
        assert_eq!(built.err(), (!fits).then(|| vec![conflict]));
    }

    let groups = |count| (0..count).map(|_| group(None)).collect();
    assert!(Policy::build(groups(MAX_GROUPS), vec![], DenyWith::Refused).is_ok());
    let built = Policy::build(groups(65), vec![], DenyWith::Refused);
    assert_eq!(
        built.err(),
        Some(vec![Conflict::TooManyGroups { count: 65 }])
    );
}

#[test]
fn tied_rules_and_contested_cidrs_are_reported_together() {
    let cidr = "10.0.0.0/8".parse().expect("CIDR");
    let groups = [0, 1].map(|_| (group(None).0, vec![cidr])).into();
    let rules = vec![rule(".x"), rule(".x")];
    let conflicts = Policy::build(groups, rules, DenyWith::Refused).expect_err("both");
    let (first, second) = (GroupId(0), GroupId(1));
    let same = Conflict::SameCidr {
        cidr,
        first,
        second,
    };
    assert_eq!((conflicts.len(), conflicts.first()), (2, Some(&same)));
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

#[test]
fn rules_that_can_never_win_are_found() {
    // The first rule of each list is the one to find, shadowed by the one with this number.
    for (rules, by) in [
        (&[".x"][..], None),
        (&[".x", ".x; groups 0 1 2"], Some(1)),
        (&[".x", ".x; groups 0 1"], None),
        (&[".x", ".x; groups 2", ".x; groups 0 1"], Some(1)),
        (&[".x; groups", ".x; groups 0 1 2; built-in"], None),
        // For all of its types, and as long as it lasts.
        (&[".x", ".x; groups 0 1 2; types A"], None),
        (&[".x; types A", ".x; groups 0 1 2"], Some(1)),
        (&[".x", ".x; groups 0 1 2; until 9"], None),
        (&[".x; until 9", ".x; groups 0 1 2; until 9"], Some(1)),
        (&[".x; until 9", ".x; groups 0 1 2; until 8"], None),
        // The name and what is below it, by one rule or by two.
        (&[".x", "*.x; groups 0 1 2"], None),
        (&[".x", "x"], None),
        (&[".x", "x", "*.x; groups 0 1 2"], Some(1)),
        (&["*.x", ".x; groups 0 1 2"], Some(1)),
        (&["x", ".x; groups 0 1 2"], None), // the exact one is the better one
        // Every pattern has to be covered.
        (&[".x .y", ".x; groups 0 1 2"], None),
        (&[".y .x", ".x; groups 0 1 2"], None),
        (&[".x y", "y .x; groups 0 1 2"], Some(1)),
        // Longer and shorter names leave something; built-in rules are there to be replaced.
        (&[".x", ".a.x a.x; groups 0 1 2"], None),
        (&[".x", ".; groups 0 1 2"], None),
        (&[".x; built-in", ".x"], None),
    ] {
        let policy = build(rules).expect("no tie");
        let (rule, by) = (RuleId(0), by.map(RuleId));
        let shadowed: Vec<_> = by.map(|by| Shadowed { rule, by }).into_iter().collect();
        assert_eq!(policy.shadowed(), shadowed, "{rules:?}");
    }
}

#[test]
fn every_entry_has_a_number_of_its_own() {
    let policy = build(&[
        ".x; types A",
        ".x; types MX; name b",
        "a.x b.x *.c.x",
        "b.x; groups 0",
    ]);
    let policy = policy.expect("no tie");
    let mut seen: Vec<_> = policy.entries(|_| true).collect();
    assert_eq!(seen.len(), policy.pattern_count());
    assert_eq!(policy.entry_counts(), [1, 1, 3, 1]);
    for (id, rule, pattern) in &seen {
        assert!(id.index() < policy.entry_places(), "{pattern}");
        let only: Vec<_> = policy.entries(|other| other == *id).collect();
        assert_eq!(only, [(*id, *rule, pattern.clone())]);
        assert_eq!(policy.entry_of(*rule, pattern), Some(*id));
        assert_eq!(id.is_wide(), !matches!(pattern, Pattern::Exact(_)));
    }
    seen.sort_by_key(|(id, ..)| id.index());
    seen.dedup_by_key(|(id, ..)| id.index());
    assert_eq!(seen.len(), policy.pattern_count());
    let other = "q.x".parse().expect("a pattern");
    assert_eq!(policy.entry_of(RuleId(0), &other), None);
}

#[test]
fn the_verdict_names_the_entry_that_decided() {
    let policy = build(&[".x; types A", "a.x; deny nodata", "b.x; groups 1"]).expect("no tie");
    let used = |asked: &str, qtype| {
        let asked = name(asked);
        let verdict = policy.decide(GroupId(0), asked.as_ref(), qtype, at(0));
        let (rule, entry) = verdict.used()?;
        let found = policy.entries(|id| id == entry).next();
        let (_, of, pattern) = found.expect("an entry");
        assert_eq!(of, rule);
        Some(pattern.to_string())
    };
    assert_eq!(used("y.x", RecordType::A).as_deref(), Some(".x"));
    assert_eq!(used("a.x", RecordType::A).as_deref(), Some("a.x"));
    // A rule that would have allowed another type or group is not used.
    assert_eq!(used("y.x", RecordType::MX), None);
    assert_eq!(used("b.x", RecordType::MX), None);
    assert_eq!(used("b.x", RecordType::A).as_deref(), Some(".x"));
}
