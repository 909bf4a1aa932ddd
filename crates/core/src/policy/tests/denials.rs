//! Denials: how they are answered, and what they say.

use super::*;

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
