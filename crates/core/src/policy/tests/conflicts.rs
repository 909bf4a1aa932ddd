//! Rules that conflict, and rules that can never win.

use super::*;

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
