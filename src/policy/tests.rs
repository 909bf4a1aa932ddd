//! The policy against a table for each sentence of its promise, and against a scan over all rules.

use std::time::{Duration, SystemTime};

use super::*;
use crate::dns::Name;

mod naive;
mod scale;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

/// A moment, in seconds after an arbitrary one.
fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + second)
}

/// A rule in a table: the fields that a case does not mention are those of `Default`.
#[derive(Clone, Copy)]
struct R {
    name: &'static str,
    patterns: &'static [&'static str],
    groups: Option<&'static [u8]>,
    types: Option<&'static [RecordType]>,
    until: Option<u64>,
    reason: Option<&'static str>,
    deny: bool,
    deny_with: Option<DenyWith>,
    origin: Origin,
}

impl Default for R {
    fn default() -> Self {
        Self {
            name: "rule",
            patterns: &[".x"],
            groups: None,
            types: None,
            until: None,
            reason: None,
            deny: false,
            deny_with: None,
            origin: Origin::Configured,
        }
    }
}

impl From<R> for Rule {
    fn from(r: R) -> Self {
        Self {
            name: r.name.into(),
            patterns: r.patterns.iter().map(|p| p.parse().expect(p)).collect(),
            groups: r
                .groups
                .map(|groups| groups.iter().copied().map(GroupId).collect()),
            types: r
                .types
                .map_or(TypeSet::ANY, |types| types.iter().copied().collect()),
            until: r.until.map(at),
            reason: r.reason.map(Into::into),
            action: if r.deny {
                Action::Deny
            } else {
                Action::Zone(ZoneId(0))
            },
            deny_with: r.deny_with,
            origin: r.origin,
        }
    }
}

fn group(deny_with: Option<DenyWith>) -> (Group, Vec<ipnet::IpNet>) {
    let group = Group {
        name: "group".into(),
        deny_with,
    };
    (group, Vec::new())
}

/// A policy with three groups.
fn build(rules: &[R]) -> Result<Policy, Vec<Conflict>> {
    let groups = [None, None, None].map(group).into();
    let rules = rules.iter().copied().map(Rule::from).collect();
    Policy::build(groups, rules, DenyWith::Refused)
}

/// The name of the rule that decides, for group 0 at second 0.
fn winner(policy: &Policy, asked: &str, qtype: RecordType) -> Option<String> {
    let verdict = policy.decide(GroupId(0), name(asked).as_ref(), qtype, at(0));
    rule_of(&verdict).map(|id| policy.rule(id).expect("its rule").name.to_string())
}

fn rule_of(verdict: &Verdict<'_>) -> Option<RuleId> {
    match *verdict {
        Verdict::Zone { rule, .. } | Verdict::Answer { rule, .. } => Some(rule),
        Verdict::Deny(denial) => denial.rule,
    }
}

fn denial<'p>(policy: &'p Policy, group: u8, asked: &str, qtype: RecordType) -> Denial<'p> {
    match policy.decide(GroupId(group), name(asked).as_ref(), qtype, at(0)) {
        Verdict::Deny(denial) => denial,
        other => panic!("{asked} {qtype}: {other:?}"),
    }
}

/// Two rules that both match `x`-ish questions: which goes first, and what the other's fate is.
struct Pair {
    better: R,
    worse: R,
    asked: &'static str,
    fate: Fate,
}

#[test]
fn each_precedence_beats_all_that_come_after_it() {
    const ZERO: Option<&[u8]> = Some(&[0]);
    let r = R::default();
    for pair in [
        Pair {
            // The longer name wins though it is the wider, for everybody, and built in.
            better: R {
                patterns: &[".b.x"],
                origin: Origin::BuiltIn,
                ..r
            },
            worse: R {
                patterns: &["*.x"],
                groups: ZERO,
                ..r
            },
            asked: "b.x",
            fate: Fate::LongerNameWins,
        },
        Pair {
            better: R {
                patterns: &["*.b.x"],
                origin: Origin::BuiltIn,
                ..r
            },
            worse: R {
                patterns: &[".x"],
                groups: ZERO,
                ..r
            },
            asked: "c.a.b.x",
            fate: Fate::LongerNameWins,
        },
        Pair {
            better: R {
                patterns: &["x"],
                origin: Origin::BuiltIn,
                ..r
            },
            worse: R {
                patterns: &["."],
                groups: ZERO,
                ..r
            },
            asked: "x",
            fate: Fate::LongerNameWins,
        },
        Pair {
            // On one name the exact one wins though it is for everybody and built in.
            better: R {
                patterns: &["x"],
                origin: Origin::BuiltIn,
                ..r
            },
            worse: R {
                patterns: &[".x"],
                groups: ZERO,
                ..r
            },
            asked: "x",
            fate: Fate::ExactWins,
        },
        Pair {
            // Of one kind the one that names the group wins though it is built in.
            better: R {
                patterns: &["*.x"],
                groups: ZERO,
                origin: Origin::BuiltIn,
                ..r
            },
            worse: R {
                patterns: &[".x"],
                ..r
            },
            asked: "a.x",
            fate: Fate::NamedGroupWins,
        },
        Pair {
            better: R {
                patterns: &["x"],
                groups: Some(&[2, 0]),
                origin: Origin::BuiltIn,
                ..r
            },
            worse: R {
                patterns: &["x"],
                ..r
            },
            asked: "x",
            fate: Fate::NamedGroupWins,
        },
        Pair {
            better: R {
                patterns: &[".x"],
                ..r
            },
            worse: R {
                patterns: &["*.x"],
                origin: Origin::BuiltIn,
                ..r
            },
            asked: "a.x",
            fate: Fate::ConfiguredWins,
        },
        Pair {
            better: R {
                patterns: &["x"],
                groups: ZERO,
                ..r
            },
            worse: R {
                patterns: &["x"],
                groups: Some(&[0, 1]),
                origin: Origin::BuiltIn,
                ..r
            },
            asked: "x",
            fate: Fate::ConfiguredWins,
        },
    ] {
        let better = R {
            name: "better",
            ..pair.better
        };
        let worse = R {
            name: "worse",
            deny: true,
            ..pair.worse
        };
        for rules in [[better, worse], [worse, better]] {
            let policy = build(&rules).expect("no tie");
            let asked = name(pair.asked);
            let found = policy.explain(GroupId(0), asked.as_ref(), RecordType::A, at(0));
            let found: Vec<_> = found.iter().map(|c| (&*c.rule.name, c.fate)).collect();
            assert_eq!(
                found,
                [("better", Fate::Wins), ("worse", pair.fate)],
                "{}",
                pair.asked
            );
            assert_eq!(
                winner(&policy, pair.asked, RecordType::A).as_deref(),
                Some("better")
            );
        }
        let alone = build(&[worse]).expect("one rule");
        let alone = winner(&alone, pair.asked, RecordType::A);
        assert_eq!(
            alone.as_deref(),
            Some("worse"),
            "{}: it was about the question",
            pair.asked
        );
    }
}

#[test]
fn a_rule_that_does_not_apply_gives_way() {
    let r = R {
        name: "better",
        patterns: &["a.x"],
        ..R::default()
    };
    for (better, fate) in [
        (
            R {
                groups: Some(&[1, 2]),
                ..r
            },
            Fate::OtherGroup,
        ),
        (
            R {
                types: Some(&[RecordType::AAAA, RecordType::HTTPS]),
                ..r
            },
            Fate::OtherType,
        ),
        (
            R {
                until: Some(0),
                ..r
            },
            Fate::Expired,
        ),
    ] {
        let worse = R {
            name: "worse",
            patterns: &["."],
            origin: Origin::BuiltIn,
            ..R::default()
        };
        let policy = build(&[better, worse]).expect("no tie");
        let asked = name("a.x");
        let found = policy.explain(GroupId(0), asked.as_ref(), RecordType::A, at(0));
        let found: Vec<_> = found
            .iter()
            .map(|c| (&*c.rule.name, c.pattern.to_string(), c.fate))
            .collect();
        let better = ("better", "a.x".to_owned(), fate);
        assert_eq!(found, [better, ("worse", ".".to_owned(), Fate::Wins)]);
        assert_eq!(
            winner(&policy, "a.x", RecordType::A).as_deref(),
            Some("worse")
        );
    }
}

#[test]
fn a_rule_ends_at_its_moment() {
    let policy = build(&[R {
        until: Some(60),
        ..R::default()
    }])
    .expect("one rule");
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
fn a_denial_is_answered_as_rule_group_or_policy_say() {
    let rules = [
        R {
            patterns: &["rule.x"],
            deny: true,
            deny_with: Some(DenyWith::Drop),
            ..R::default()
        },
        R {
            patterns: &["plain.x"],
            deny: true,
            ..R::default()
        },
    ];
    let policy = Policy::build(
        vec![group(Some(DenyWith::NxDomain)), group(None)],
        rules.map(Rule::from).into(),
        DenyWith::NoData,
    )
    .expect("no tie");
    for (group, asked, with, why) in [
        (0, "rule.x", DenyWith::Drop, DenialReason::Rule),
        (1, "rule.x", DenyWith::Drop, DenialReason::Rule),
        (0, "plain.x", DenyWith::NxDomain, DenialReason::Rule),
        (1, "plain.x", DenyWith::NoData, DenialReason::Rule),
        (0, "other.x", DenyWith::NxDomain, DenialReason::Default),
        (1, "other.x", DenyWith::NoData, DenialReason::Default),
        (9, "other.x", DenyWith::NoData, DenialReason::Default), // no such group
    ] {
        let denial = denial(&policy, group, asked, RecordType::A);
        assert_eq!((denial.with, denial.why), (with, why), "{group} {asked}");
    }
    let stranger = policy.deny_stranger();
    assert_eq!(
        (stranger.with, stranger.why),
        (DenyWith::NoData, DenialReason::Stranger)
    );
    assert_eq!(
        (stranger.rule, stranger.text),
        (None, "client is in no group")
    );
}

#[test]
fn a_denial_says_which_rule_and_why() {
    const LONG: &str = "ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé\
                        ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé";
    let r = R {
        name: "no-gists",
        deny: true,
        ..R::default()
    };
    for (rule, text) in [
        (r, "rule no-gists"),
        (
            R {
                reason: Some("SEC-1234 vendor migration"),
                ..r
            },
            "rule no-gists: SEC-1234 vendor migration",
        ),
        (
            R {
                reason: Some("two\nlines\0"),
                ..r
            },
            "rule no-gists: two lines ",
        ),
        (
            R {
                name: "built-in doh canary",
                origin: Origin::BuiltIn,
                ..r
            },
            "built-in doh canary",
        ),
        // 15 bytes, then two each: the 200th byte is the first half of a letter.
        (
            R {
                reason: Some(LONG),
                ..r
            },
            &format!("rule no-gists: {}", &LONG[..184]),
        ),
    ] {
        let policy = build(&[rule]).expect("one rule");
        let denial = denial(&policy, 0, "x", RecordType::A);
        assert_eq!(denial.text, text);
        assert_eq!(denial.rule, Some(RuleId(0)));
    }
    let policy = build(&[]).expect("nothing");
    assert_eq!(
        denial(&policy, 0, "x", RecordType::A).text,
        "no rule allows this name"
    );
}

#[test]
fn a_denied_name_with_something_allowed_is_known() {
    const A: Option<&[RecordType]> = Some(&[RecordType::A]);
    let r = R::default();
    let everything_denied = R {
        patterns: &["."],
        deny: true,
        ..r
    };
    for (rules, asked, expected) in [
        // An ancestor of an allowed name, whatever groups and time that one is for.
        (
            vec![R {
                patterns: &["b.a.x"],
                ..r
            }],
            "x",
            true,
        ),
        (
            vec![R {
                patterns: &["b.a.x"],
                ..r
            }],
            "a.x",
            true,
        ),
        (
            vec![R {
                patterns: &["b.a.x"],
                ..r
            }],
            ".",
            true,
        ),
        (
            vec![R {
                patterns: &["b.a.x"],
                groups: Some(&[1]),
                ..r
            }],
            "x",
            true,
        ),
        (
            vec![R {
                patterns: &["b.a.x"],
                until: Some(0),
                ..r
            }],
            "x",
            true,
        ),
        (
            vec![R {
                patterns: &["*.x"],
                ..r
            }],
            "x",
            true,
        ),
        // A sibling, a child, another name; a denied descendant.
        (
            vec![R {
                patterns: &["b.a.x"],
                ..r
            }],
            "c.a.x",
            false,
        ),
        (
            vec![R {
                patterns: &["b.a.x"],
                ..r
            }],
            "c.b.a.x",
            false,
        ),
        (
            vec![R {
                patterns: &["b.a.x"],
                ..r
            }],
            "y",
            false,
        ),
        (
            vec![R {
                patterns: &["b.a.x"],
                deny: true,
                ..r
            }],
            "x",
            false,
        ),
        // Denied itself, while what is below stays allowed.
        (
            vec![
                R {
                    patterns: &["a.x"],
                    deny: true,
                    ..r
                },
                r,
            ],
            "a.x",
            true,
        ),
        (
            vec![
                R {
                    patterns: &[".a.x"],
                    deny: true,
                    ..r
                },
                r,
            ],
            "a.x",
            false,
        ),
        (
            vec![
                R {
                    patterns: &[".a.x"],
                    deny: true,
                    ..r
                },
                r,
            ],
            "b.a.x",
            false,
        ),
        // Allowed in another type: MX is asked for.
        (vec![R { types: A, ..r }], "x", true),
        (vec![R { types: A, ..r }], "b.a.x", true),
        (
            vec![R {
                types: A,
                groups: Some(&[1]),
                ..r
            }],
            "x",
            false,
        ),
        (
            vec![R {
                types: A,
                until: Some(0),
                ..r
            }],
            "x",
            false,
        ),
        (
            vec![
                R {
                    types: A,
                    patterns: &["x"],
                    ..r
                },
                everything_denied,
            ],
            "x",
            true,
        ),
        // … unless that type is denied by a better rule.
        (
            vec![
                R { types: A, ..r },
                R {
                    types: A,
                    groups: Some(&[0]),
                    deny: true,
                    ..r
                },
            ],
            "x",
            false,
        ),
        (
            vec![
                R { types: A, ..r },
                R {
                    groups: Some(&[0]),
                    deny: true,
                    ..r
                },
            ],
            "x",
            false,
        ),
    ] {
        let policy = build(&rules).expect("no tie");
        let denial = denial(&policy, 0, asked, RecordType::MX);
        assert_eq!(
            denial.has_allowed_below,
            expected,
            "{asked} among {:?}",
            policy.rules()
        );
    }
}

#[test]
fn tied_rules_are_all_reported() {
    const A: Option<&[RecordType]> = Some(&[RecordType::A, RecordType::MX]);
    let r = R::default();
    for (one, other, tied) in [
        (r, r, true),
        (
            R {
                patterns: &["X."],
                ..r
            },
            R {
                patterns: &["x"],
                ..r
            },
            true,
        ),
        (
            R {
                patterns: &["*.x"],
                ..r
            },
            R {
                patterns: &[".x"],
                ..r
            },
            true,
        ),
        (R { deny: true, ..r }, R { deny: true, ..r }, true),
        (
            R {
                until: Some(1),
                ..r
            },
            R {
                until: Some(9),
                ..r
            },
            true,
        ),
        (R { types: A, ..r }, r, true),
        (
            R { types: A, ..r },
            R {
                types: Some(&[RecordType::MX]),
                ..r
            },
            true,
        ),
        (
            R {
                groups: Some(&[0, 1]),
                ..r
            },
            R {
                groups: Some(&[1, 2]),
                ..r
            },
            true,
        ),
        (
            R {
                origin: Origin::BuiltIn,
                ..r
            },
            R {
                origin: Origin::BuiltIn,
                ..r
            },
            true,
        ),
        (
            R {
                patterns: &["x"],
                ..r
            },
            r,
            false,
        ),
        (
            R {
                patterns: &["*.x"],
                ..r
            },
            R {
                patterns: &["x"],
                ..r
            },
            false,
        ),
        (
            R {
                patterns: &[".a.x"],
                ..r
            },
            r,
            false,
        ),
        (
            R { types: A, ..r },
            R {
                types: Some(&[RecordType::AAAA]),
                ..r
            },
            false,
        ),
        (
            R {
                groups: Some(&[0, 1]),
                ..r
            },
            R {
                groups: Some(&[2]),
                ..r
            },
            false,
        ),
        (
            R {
                groups: Some(&[0, 1, 2]),
                ..r
            },
            r,
            false,
        ),
        (
            R {
                origin: Origin::BuiltIn,
                ..r
            },
            r,
            false,
        ),
    ] {
        let built = build(&[one, other]);
        let pattern: Pattern = other.patterns[0].parse().expect("pattern");
        let conflict = Conflict::TiedRules {
            first: RuleId(0),
            second: RuleId(1),
            pattern,
        };
        assert_eq!(
            built.err(),
            tied.then(|| vec![conflict]),
            "{:?}",
            other.patterns
        );
    }
    // A rule is never tied with itself.
    let twice = R {
        patterns: &[".x", "*.x", ".X", "x", "x"],
        ..r
    };
    let policy = build(&[twice]).expect("one rule");
    assert_eq!(policy.pattern_count(), 2, ".x and x");
}

#[test]
fn conflicts_are_bounded() {
    let r = R::default();
    let many = vec![r; 40]; // 780 pairs
    let conflicts = build(&many).expect_err("tied");
    assert_eq!(conflicts.len(), build::MAX_CONFLICTS + 1);
    assert_eq!(conflicts.last(), Some(&Conflict::More));

    let of_type = |number| Rule {
        types: [RecordType(number)].into_iter().collect(),
        ..Rule::from(r)
    };
    for (count, fits) in [(1000, true), (1001, false)] {
        let rules = (0..count).map(of_type).collect();
        let built = Policy::build(vec![], rules, DenyWith::Refused);
        let pattern = ".x".parse().expect("pattern");
        let conflict = Conflict::TooManyOfName {
            pattern,
            count: usize::from(count),
        };
        assert_eq!(built.err(), (!fits).then(|| vec![conflict]));
    }

    let groups = |count| (0..count).map(|_| group(None)).collect();
    assert!(Policy::build(groups(MAX_GROUPS), vec![], DenyWith::Refused).is_ok());
    let built = Policy::build(groups(MAX_GROUPS + 1), vec![], DenyWith::Refused);
    assert_eq!(
        built.err(),
        Some(vec![Conflict::TooManyGroups { count: 65 }])
    );
}

#[test]
fn tied_rules_and_contested_cidrs_are_reported_together() {
    let cidr = "10.0.0.0/8".parse().expect("CIDR");
    let groups = [0, 1].map(|_| (group(None).0, vec![cidr])).into();
    let rules = vec![Rule::from(R::default()); 2];
    let conflicts = Policy::build(groups, rules, DenyWith::Refused).expect_err("both");
    let (first, second) = (GroupId(0), GroupId(1));
    assert_eq!(conflicts.len(), 2);
    assert_eq!(
        conflicts.first(),
        Some(&Conflict::SameCidr {
            cidr,
            first,
            second
        })
    );
}

#[test]
fn clients_are_admitted_by_group() {
    let policy = Policy::build(
        vec![
            (group(None).0, vec!["10.0.0.0/8".parse().expect("CIDR")]),
            (group(None).0, vec!["10.8.0.0/16".parse().expect("CIDR")]),
        ],
        vec![],
        DenyWith::Refused,
    )
    .expect("nested");
    for (source, group) in [
        ("10.1.2.3", Some(0)),
        ("::ffff:10.8.2.3", Some(1)),
        ("192.0.2.1", None),
        ("::1", None),
    ] {
        assert_eq!(
            policy.admit(source.parse().expect(source)),
            group.map(GroupId),
            "{source}"
        );
    }
}

#[test]
fn rules_that_can_never_win_are_found() {
    const A: Option<&[RecordType]> = Some(&[RecordType::A]);
    const ALL: Option<&[u8]> = Some(&[0, 1, 2]);
    let r = R::default();
    let x = R {
        patterns: &["x"],
        ..r
    };
    // Each list is a candidate for shadowing, followed by what may shadow it.
    for (rules, by) in [
        (vec![r], None),
        (vec![r, R { groups: ALL, ..r }], Some(1)),
        (
            vec![
                r,
                R {
                    groups: Some(&[0, 1]),
                    ..r
                },
            ],
            None,
        ),
        (
            vec![
                r,
                R {
                    groups: Some(&[2]),
                    ..r
                },
                R {
                    groups: Some(&[0, 1]),
                    ..r
                },
            ],
            Some(1),
        ),
        (
            vec![
                r,
                R {
                    groups: ALL,
                    types: A,
                    ..r
                },
            ],
            None,
        ),
        (vec![R { types: A, ..r }, R { groups: ALL, ..r }], Some(1)),
        (
            vec![
                r,
                R {
                    groups: ALL,
                    until: Some(9),
                    ..r
                },
            ],
            None,
        ),
        (
            vec![
                R {
                    until: Some(9),
                    ..r
                },
                R {
                    groups: ALL,
                    until: Some(9),
                    ..r
                },
            ],
            Some(1),
        ),
        (
            vec![
                R {
                    until: Some(9),
                    ..r
                },
                R {
                    groups: ALL,
                    until: Some(8),
                    ..r
                },
            ],
            None,
        ),
        // The name and what is below it, by one or by two.
        (
            vec![
                r,
                R {
                    groups: ALL,
                    patterns: &["*.x"],
                    ..r
                },
            ],
            None,
        ),
        (
            vec![
                r,
                x,
                R {
                    groups: ALL,
                    patterns: &["*.x"],
                    ..r
                },
            ],
            Some(1),
        ),
        (vec![x, R { groups: ALL, ..r }], None), // the exact one is the better one
        (
            vec![
                R {
                    patterns: &["*.x"],
                    ..r
                },
                R { groups: ALL, ..r },
            ],
            Some(1),
        ),
        // Every pattern has to be covered.
        (
            vec![
                R {
                    patterns: &[".x", ".y"],
                    ..r
                },
                R { groups: ALL, ..r },
            ],
            None,
        ),
        (
            vec![
                R {
                    patterns: &[".x", "y"],
                    ..r
                },
                R {
                    groups: ALL,
                    patterns: &["y", ".x"],
                    ..r
                },
            ],
            Some(1),
        ),
        // Longer and shorter names leave something, and built-in rules are there to be replaced.
        (
            vec![
                r,
                R {
                    groups: ALL,
                    patterns: &[".a.x", "*.a.x", "a.x"],
                    ..r
                },
            ],
            None,
        ),
        (
            vec![
                r,
                R {
                    groups: ALL,
                    patterns: &["."],
                    ..r
                },
            ],
            None,
        ),
        (
            vec![
                R {
                    origin: Origin::BuiltIn,
                    ..r
                },
                R { groups: ALL, ..r },
            ],
            None,
        ),
        (
            vec![
                R {
                    groups: Some(&[]),
                    ..r
                },
                R { groups: ALL, ..r },
            ],
            None,
        ),
    ] {
        let policy = build(&rules).expect("no tie");
        let shadowed = by.map(|by| Shadowed {
            rule: RuleId(0),
            by: RuleId(by),
        });
        let patterns: Vec<_> = rules.iter().map(|r| (r.patterns, r.groups)).collect();
        assert_eq!(policy.shadowed(), Vec::from_iter(shadowed), "{patterns:?}");
    }
}
