//! The policy is equal to a scan over all rules that was written from the words of its promise,
//! with none of its code: names are lists of labels here, and nothing is sorted.

use std::collections::BTreeSet;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Exact,
    Subtree,
    Below,
}

#[derive(Clone, Debug)]
struct Spec {
    patterns: Vec<(Shape, Vec<&'static str>)>,
    groups: Option<Vec<u8>>,
    types: Option<Vec<RecordType>>,
    until: Option<u64>,
    allow: bool,
    deny_with: Option<DenyWith>,
    built_in: bool,
    /// Built in, for names that nothing else decides about.
    search: bool,
}

impl From<&Spec> for Rule {
    fn from(spec: &Spec) -> Self {
        let pattern = |(shape, labels): &(Shape, Vec<&str>)| {
            let name = name(&format!("{}.", labels.join(".")));
            match shape {
                Shape::Exact => Pattern::Exact(name),
                Shape::Subtree => Pattern::Subtree(name),
                Shape::Below => Pattern::Below(name),
            }
        };
        let groups = spec.groups.as_ref();
        let types = spec.types.as_ref();
        Self {
            name: "spec".into(),
            patterns: spec.patterns.iter().map(pattern).collect(),
            groups: groups.map(|list| list.iter().map(|&group| GroupId(group)).collect()),
            types: types.map_or(TypeSet::ANY, |list| list.iter().copied().collect()),
            until: spec.until.map(at),
            reason: None,
            action: match spec.allow {
                true => Action::Answer(Vec::new()),
                false => Action::Deny,
            },
            deny_with: spec.deny_with,
            origin: match (spec.search, spec.built_in) {
                (true, _) => RuleOrigin::Search,
                (false, true) => RuleOrigin::BuiltIn,
                (false, false) => RuleOrigin::Configured,
            },
        }
    }
}

fn is_below(name: &[&str], above: &[&str]) -> bool {
    name.len() > above.len() && name.ends_with(above)
}

fn matches(shape: Shape, own: &[&str], name: &[&str]) -> bool {
    match shape {
        Shape::Exact => name == own,
        Shape::Subtree => name == own || is_below(name, own),
        Shape::Below => is_below(name, own),
    }
}

#[derive(Clone, Debug)]
struct Question {
    group: u8,
    name: Vec<&'static str>,
    qtype: RecordType,
    now: u64,
}

fn applies(spec: &Spec, asked: &Question) -> bool {
    let group = match &spec.groups {
        None => true,
        Some(groups) => groups.contains(&asked.group),
    };
    let qtype = match &spec.types {
        None => true,
        Some(types) => types.contains(&asked.qtype),
    };
    let expired = match spec.until {
        None => false,
        Some(until) => asked.now >= until,
    };
    group && qtype && !expired
}

/// Among two rules that apply, with the pattern that matches: whether the first one wins; `None`
/// when they are tied.
fn beats(
    (one, one_pattern): (&Spec, &(Shape, Vec<&str>)),
    (two, two_pattern): (&Spec, &(Shape, Vec<&str>)),
) -> Option<bool> {
    // "The longest name wins;
    if one_pattern.1.len() != two_pattern.1.len() {
        return Some(one_pattern.1.len() > two_pattern.1.len());
    }
    // on the same name an exact pattern beats a subtree one,
    match (one_pattern.0 == Shape::Exact, two_pattern.0 == Shape::Exact) {
        (true, false) => return Some(true),
        (false, true) => return Some(false),
        _ => {}
    }
    // then the entry that names the group beats the one for everybody",
    match (&one.groups, &two.groups) {
        (Some(_), None) => return Some(true),
        (None, Some(_)) => return Some(false),
        _ => {}
    }
    // and a configured one a built-in one.
    match (one.built_in, two.built_in) {
        (false, true) => Some(true),
        (true, false) => Some(false),
        _ => None,
    }
}

/// Whether a rule of search lists is about a name: any of its patterns stands for its name and all below.
fn is_searched(specs: &[Spec], asked: &Question) -> bool {
    let about = |own: &[&str]| own == asked.name || is_below(&asked.name, own);
    let patterns = specs.iter().filter(|spec| spec.search);
    patterns
        .flat_map(|spec| &spec.patterns)
        .any(|(_, own)| about(own))
}

/// Why a question is denied that no rule decides about, by the nearest of the rules that allow it to others.
fn missed(specs: &[Spec], asked: &Question) -> Option<DenialReason> {
    let mut nearest = None;
    for spec in specs.iter().filter(|spec| spec.allow && !spec.search) {
        let mut patterns = spec.patterns.iter();
        if !patterns.any(|(shape, own)| matches(*shape, own, &asked.name)) {
            continue;
        }
        let group = Spec {
            types: None,
            until: None,
            ..spec.clone()
        };
        let qtype = Spec {
            groups: None,
            until: None,
            ..spec.clone()
        };
        let expired = Spec {
            groups: None,
            types: None,
            ..spec.clone()
        };
        let why = match [&group, &qtype, &expired].map(|part| applies(part, asked)) {
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
    let mut best: Option<(usize, &(Shape, Vec<&str>))> = None;
    for (at, spec) in specs.iter().enumerate() {
        for pattern in &spec.patterns {
            if spec.search || !applies(spec, asked) || !matches(pattern.0, &pattern.1, &asked.name)
            {
                continue;
            }
            let wins = match best {
                None => true,
                Some((other, _)) if other == at => false, // the same rule either way, see below
                Some((other, other_pattern)) => {
                    beats((spec, pattern), (&specs[other], other_pattern))
                        .expect("ties are taken out before")
                }
            };
            // Of one rule's patterns the best one counts.
            let better_of_own = best.is_some_and(|(other, other_pattern)| {
                other == at && beats((spec, pattern), (spec, other_pattern)) == Some(true)
            });
            if wins || better_of_own {
                best = Some((at, pattern));
            }
        }
    }
    best.map(|(at, _)| at)
}

fn allows(specs: &[Spec], asked: &Question) -> bool {
    scan(specs, asked).is_some_and(|at| specs[at].allow)
}

/// Whether NXDOMAIN for this denied question would deny something that is allowed.
fn has_allowed(specs: &[Spec], asked: &Question) -> bool {
    let spelled_out = specs.iter().any(|spec| {
        spec.allow
            && spec
                .patterns
                .iter()
                .any(|(_, own)| is_below(own, &asked.name))
    });
    let mut child = asked.name.clone();
    child.insert(0, FRESH);
    // The root exists, whatever else does.
    asked.name.is_empty()
        || spelled_out
        || TYPES.into_iter().any(|qtype| {
            let here = Question {
                qtype,
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
            let group = (0..GROUPS).any(|group| {
                let has = |spec: &Spec| spec.groups.as_ref().is_none_or(|g| g.contains(&group));
                has(first) && has(second)
            });
            let qtype = TYPES.into_iter().any(|qtype| {
                let has = |spec: &Spec| spec.types.as_ref().is_none_or(|t| t.contains(&qtype));
                has(first) && has(second)
            });
            for one in &first.patterns {
                for two in &second.patterns {
                    let level = one.1 == two.1
                        && first.search == second.search
                        && (first.search || beats((first, one), (second, two)).is_none());
                    if level && group && qtype {
                        found.insert((before as u32, at as u32, two.1.clone()));
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

fn spec() -> impl Strategy<Value = Spec> {
    let shape = prop::sample::select(vec![Shape::Exact, Shape::Subtree, Shape::Below]);
    let types = prop::sample::subsequence(TYPES[..3].to_vec(), 1..=2);
    let groups = prop::sample::subsequence((0..GROUPS).collect::<Vec<_>>(), 1..=2);
    (
        prop::collection::vec((shape, labels(false)), 1..4),
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
                    patterns,
                    groups: None,
                    types: None,
                    until: None,
                    allow: false,
                    deny_with: Some(DenyWith::NxDomain),
                    built_in: true,
                    search: true,
                },
                false => Spec {
                    patterns,
                    groups,
                    types,
                    until,
                    allow,
                    deny_with,
                    built_in,
                    search: false,
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
            qtype,
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
    let (group, now) = (GroupId(asked.group), at(asked.now));
    let expected = scan(specs, asked);
    let verdict = policy.decide(group, asked_name.as_ref(), asked.qtype, now);
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

    let candidates = policy.explain(group, asked_name.as_ref(), asked.qtype, now);
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
        prop_assert_eq!(!out, applies(&specs[candidate.id.0 as usize], asked));
    }
    let named: BTreeSet<_> = candidates.iter().map(|c| c.id.0 as usize).collect();
    let about = |spec: &Spec| {
        !spec.search
            && spec
                .patterns
                .iter()
                .any(|(s, own)| matches(*s, own, &asked.name))
    };
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
