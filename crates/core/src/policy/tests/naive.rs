//! The policy is equal to a scan over all rules that was written from the words of its promise, with none of its code:
//! `dnsgate-naive`. What a denial says is compared here.

use std::collections::BTreeSet;

use dnsgate_naive::{Shape, beats, decide, is_below};
use proptest::prelude::*;

use super::*;

/// The label that no rule has.
const FRESH: &str = "fresh";
/// The types that rules list, and one that none does.
const TYPES: [RecordType; 4] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::TXT,
    RecordType::MX,
];
const GROUPS: u8 = 3;

type Question = dnsgate_naive::Question<&'static str>;
type NaivePattern = dnsgate_naive::Pattern<&'static str>;
type NaiveRule = dnsgate_naive::Rule<&'static str>;

#[derive(Clone, Debug)]
struct Spec {
    rule: NaiveRule,
    allow: bool,
    deny_with: Option<DenyWith>,
}

impl Spec {
    /// Built in, for names that nothing else decides about.
    fn is_search(&self) -> bool {
        self.rule.origin == dnsgate_naive::Origin::Search
    }
}

impl From<&Spec> for Rule {
    fn from(spec: &Spec) -> Self {
        let pattern = |pattern: &NaivePattern| {
            let name = name(&format!("{}.", pattern.labels.join(".")));
            match pattern.shape {
                Shape::Exact => Pattern::Exact(name),
                Shape::Subtree => Pattern::Subtree(name),
                Shape::Below => Pattern::Below(name),
            }
        };
        let NaiveRule {
            patterns,
            groups,
            types,
            until,
            origin,
        } = &spec.rule;
        Self {
            name: "spec".into(),
            patterns: patterns.iter().map(pattern).collect(),
            groups: groups
                .as_ref()
                .map(|list| list.iter().map(|&group| GroupId(group)).collect()),
            types: types.as_ref().map_or(TypeSet::ANY, |list| {
                list.iter().map(|&qtype| RecordType(qtype)).collect()
            }),
            until: until.map(at),
            reason: None,
            action: match spec.allow {
                true => Action::Answer(Vec::new()),
                false => Action::Deny,
            },
            deny_with: spec.deny_with,
            origin: match origin {
                dnsgate_naive::Origin::Search => RuleOrigin::Search,
                dnsgate_naive::Origin::BuiltIn => RuleOrigin::BuiltIn,
                dnsgate_naive::Origin::Configured => RuleOrigin::Configured,
            },
        }
    }
}

fn rules(specs: &[Spec]) -> Vec<NaiveRule> {
    specs.iter().map(|spec| spec.rule.clone()).collect()
}

/// Whether a rule of search lists is about a name: any of its patterns stands for its name and all below.
fn is_searched(specs: &[Spec], asked: &Question) -> bool {
    let about = |own: &[&str]| own == asked.name || is_below(&asked.name, own);
    let specs = specs.iter().filter(|spec| spec.is_search());
    specs
        .flat_map(|spec| &spec.rule.patterns)
        .any(|pattern| about(&pattern.labels))
}

/// Why a question is denied that no rule decides about, by the nearest of the rules that allow it to others.
fn missed(specs: &[Spec], asked: &Question) -> Option<DenialReason> {
    let mut nearest = None;
    for Spec { rule, .. } in specs.iter().filter(|spec| spec.allow && !spec.is_search()) {
        if !rule.is_about(&asked.name) {
            continue;
        }
        let group = NaiveRule {
            types: None,
            until: None,
            ..rule.clone()
        };
        let qtype = NaiveRule {
            groups: None,
            until: None,
            ..rule.clone()
        };
        let expired = NaiveRule {
            groups: None,
            types: None,
            ..rule.clone()
        };
        let why = match [&group, &qtype, &expired].map(|part| part.applies(asked)) {
            [true, true, false] => (0, DenialReason::Expired),
            [_, _, false] => continue,
            [true, false, true] => (1, DenialReason::OtherType),
            _ => (2, DenialReason::OtherGroup),
        };
        if nearest.is_none_or(|(rank, _)| why.0 < rank) {
            nearest = Some(why);
        }
    }
    nearest.map(|(_, why)| why)
}

fn scan(specs: &[Spec], asked: &Question) -> Option<usize> {
    decide(&rules(specs), asked)
}

fn allows(specs: &[Spec], asked: &Question) -> bool {
    scan(specs, asked).is_some_and(|at| specs[at].allow)
}

/// Whether NXDOMAIN for this denied question would deny something that is allowed.
fn has_allowed(specs: &[Spec], asked: &Question) -> bool {
    let spelled_out = specs.iter().any(|spec| {
        spec.allow
            && spec
                .rule
                .patterns
                .iter()
                .any(|pattern| is_below(&pattern.labels, &asked.name))
    });
    let mut child = asked.name.clone();
    child.insert(0, FRESH);
    // The root exists, whatever else does.
    asked.name.is_empty()
        || spelled_out
        || TYPES.into_iter().any(|qtype| {
            let here = Question {
                qtype: qtype.0,
                ..asked.clone()
            };
            let below = Question {
                name: child.clone(),
                ..here.clone()
            };
            allows(specs, &here) || allows(specs, &below)
        })
}

/// The pairs of rules that could both win one question, with the name that both have.
fn ties(specs: &[Spec]) -> BTreeSet<(u32, u32, Vec<&'static str>)> {
    let mut found = BTreeSet::new();
    for (at, second) in specs.iter().enumerate() {
        for (before, first) in specs[..at].iter().enumerate() {
            let (one_rule, two_rule) = (&first.rule, &second.rule);
            let group = (0..GROUPS).any(|group| {
                let has =
                    |rule: &NaiveRule| rule.groups.as_ref().is_none_or(|g| g.contains(&group));
                has(one_rule) && has(two_rule)
            });
            let qtype = TYPES.into_iter().any(|qtype| {
                let has =
                    |rule: &NaiveRule| rule.types.as_ref().is_none_or(|t| t.contains(&qtype.0));
                has(one_rule) && has(two_rule)
            });
            for one in &one_rule.patterns {
                for two in &two_rule.patterns {
                    let level = one.labels == two.labels
                        && first.is_search() == second.is_search()
                        && (first.is_search() || beats((one_rule, one), (two_rule, two)).is_none());
                    if level && group && qtype {
                        found.insert((before as u32, at as u32, two.labels.clone()));
                    }
                }
            }
        }
    }
    found
}

fn labels(fresh: bool) -> impl Strategy<Value = Vec<&'static str>> {
    let label = match fresh {
        true => prop::sample::select(vec!["a", "b", FRESH]),
        false => prop::sample::select(vec!["a", "b"]),
    };
    prop::collection::vec(label, 0..5)
}

fn pattern() -> impl Strategy<Value = NaivePattern> {
    let shape = prop::sample::select(vec![Shape::Exact, Shape::Subtree, Shape::Below]);
    (shape, labels(false)).prop_map(|(shape, labels)| NaivePattern { shape, labels })
}

fn spec() -> impl Strategy<Value = Spec> {
    let types = TYPES[..3].iter().map(|qtype| qtype.0).collect::<Vec<_>>();
    let types = prop::sample::subsequence(types, 1..=2);
    let groups = prop::sample::subsequence((0..GROUPS).collect::<Vec<_>>(), 1..=2);
    (
        prop::collection::vec(pattern(), 1..4),
        prop::option::of(groups),
        prop::option::of(types),
        prop::option::weighted(0.3, 1u64..3),
        any::<bool>(),
        prop::option::weighted(0.3, prop::sample::select(DenyWith::ALL.to_vec())),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.15),
    )
        .prop_map(
            |(patterns, groups, types, until, allow, deny_with, built_in, search)| match search {
                // They deny everybody everything, always.
                true => Spec {
                    rule: NaiveRule {
                        patterns,
                        groups: None,
                        types: None,
                        until: None,
                        origin: dnsgate_naive::Origin::Search,
                    },
                    allow: false,
                    deny_with: Some(DenyWith::NxDomain),
                },
                false => Spec {
                    rule: NaiveRule {
                        patterns,
                        groups,
                        types,
                        until,
                        origin: match built_in {
                            true => dnsgate_naive::Origin::BuiltIn,
                            false => dnsgate_naive::Origin::Configured,
                        },
                    },
                    allow,
                    deny_with,
                },
            },
        )
}

fn question() -> impl Strategy<Value = Question> {
    (
        0..GROUPS,
        labels(true),
        prop::sample::select(TYPES.to_vec()),
        0u64..4,
    )
        .prop_map(|(group, name, qtype, now)| Question {
            group,
            name,
            qtype: qtype.0,
            now,
        })
}

fn build(specs: &[Spec], group_ways: &[Option<DenyWith>]) -> Result<Policy, Vec<Conflict>> {
    let groups = group_ways.iter().copied().map(group).collect();
    let rules = specs.iter().map(Rule::from).collect();
    Policy::build(groups, rules, DenyWith::NxDomain)
}

fn check(
    policy: &Policy,
    specs: &[Spec],
    asked: &Question,
    group_ways: &[Option<DenyWith>],
) -> Result<(), TestCaseError> {
    let asked_name = name(&format!("{}.", asked.name.join(".")));
    let (group, qtype, now) = (GroupId(asked.group), RecordType(asked.qtype), at(asked.now));
    let expected = scan(specs, asked);
    let verdict = policy.decide(group, asked_name.as_ref(), qtype, now);
    match verdict {
        Verdict::Deny(denial) => {
            prop_assert!(!allows(specs, asked));
            let why = match expected {
                Some(_) => DenialReason::Rule,
                None => missed(specs, asked).unwrap_or(match is_searched(specs, asked) {
                    true => DenialReason::Search,
                    false => DenialReason::Default,
                }),
            };
            prop_assert_eq!(denial.why, why);
            if expected.is_some() {
                prop_assert_eq!(denial.rule.map(|id| id.0 as usize), expected);
            }
            prop_assert!(!denial.text.is_empty());
            let by_rule = expected.and_then(|at| specs[at].deny_with);
            let searched = is_searched(specs, asked);
            let by_group = group_ways[usize::from(asked.group)].filter(|_| !searched);
            let with = by_rule.or(by_group).unwrap_or(DenyWith::NxDomain);
            let with = match with {
                DenyWith::NxDomain if has_allowed(specs, asked) => DenyWith::NoData,
                with => with,
            };
            prop_assert_eq!(denial.with, with);
        }
        verdict => {
            prop_assert_eq!(rule_of(&verdict).map(|id| id.0 as usize), expected);
            prop_assert!(allows(specs, asked));
        }
    }

    let candidates = policy.explain(group, asked_name.as_ref(), qtype, now);
    let (searched, candidates): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|candidate| candidate.rule.origin == RuleOrigin::Search);
    prop_assert_eq!(searched.len(), usize::from(is_searched(specs, asked)));
    for candidate in searched {
        prop_assert_eq!(
            candidate.disposition == Disposition::Wins,
            expected.is_none()
        );
    }
    let winners = candidates
        .iter()
        .filter(|c| c.disposition == Disposition::Wins);
    let winners: Vec<_> = winners.map(|c| c.id.0 as usize).collect();
    prop_assert_eq!(winners, Vec::from_iter(expected));
    for candidate in &candidates {
        prop_assert!(candidate.pattern.matches(asked_name.as_ref()));
        let out = matches!(
            candidate.disposition,
            Disposition::OtherGroup | Disposition::OtherType | Disposition::Expired
        );
        prop_assert_eq!(!out, specs[candidate.id.0 as usize].rule.applies(asked));
    }
    let named: BTreeSet<_> = candidates.iter().map(|c| c.id.0 as usize).collect();
    let about = |spec: &Spec| !spec.is_search() && spec.rule.is_about(&asked.name);
    let all: BTreeSet<_> = (0..specs.len()).filter(|&at| about(&specs[at])).collect();
    prop_assert_eq!(
        named,
        all,
        "explain names every rule with a pattern for the name"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn deciding_equals_a_scan_over_all_rules(
        drafts in prop::collection::vec(spec(), 0..14),
        group_ways in prop::collection::vec(prop::option::of(Just(DenyWith::Drop)), GROUPS as usize),
        questions in prop::collection::vec(question(), 100),
    ) {
        let mut specs: Vec<Spec> = Vec::new();
        for draft in drafts {
            specs.push(draft);
            if !ties(&specs).is_empty() {
                specs.pop();
            }
        }
        let policy = build(&specs, &group_ways).unwrap();
        for asked in &questions {
            check(&policy, &specs, asked, &group_ways)?;
        }
        // A rule that is said to win nothing wins none of these.
        let shadowed = policy.shadowed();
        for asked in &questions {
            let winner = scan(&specs, asked);
            prop_assert!(shadowed.iter().all(|s| Some(s.rule.0 as usize) != winner), "{:?} {:?}", shadowed, asked);
        }
    }

    #[test]
    fn exactly_the_tied_rules_are_reported(specs in prop::collection::vec(spec(), 0..8)) {
        let mut reported = BTreeSet::new();
        let mut last = None;
        for conflict in build(&specs, &[None; GROUPS as usize]).err().unwrap_or_default() {
            match &conflict {
                Conflict::TiedRules { first, second, pattern } => {
                    let rule = Rule::from(&specs[second.0 as usize]);
                    prop_assert!(rule.patterns.contains(pattern));
                    reported.insert((first.0, second.0, pattern.name().to_name()));
                }
                other => last = Some(other.clone()),
            }
        }
        let expected: BTreeSet<_> = ties(&specs)
            .into_iter()
            .map(|(first, second, own)| (first, second, name(&format!("{}.", own.join(".")))))
            .collect();
        prop_assert!(last.is_none() || last == Some(Conflict::More));
        prop_assert!(last.is_some() || reported == expected, "{:?} {:?}", reported, expected);
        prop_assert!(reported.is_subset(&expected));
    }
}
