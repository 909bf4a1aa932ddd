//! The findings of each kind.

use std::collections::BTreeSet;

use super::{
    Audited, Finding, FindingKind as Kind,
    evidence::{Evidence, RuleEvidence},
    hosting::{Strangers, TABLE_DATE, strangers},
    names::{self, PatternUse},
    notices,
    places::{AuditPlace, Places},
};
use crate::words::{plural, without_dot};
use dnsgate_core::{
    dns::RecordType,
    engine::{GroupId, RuleId},
    policy::{Action, AnswerRanges, CnameMode, Pattern, Policy, Rule, RuleOrigin},
};

/// The most names that one finding quotes; the others are counted.
const QUOTED: usize = 10;

/// All findings.
pub(super) fn all(audited: &Audited<'_>, evidence: &Evidence) -> Vec<Finding> {
    let places = Places::new(audited.file, audited.text);
    let policy = &audited.config.policy;
    let patterns = names::by_rule(policy, evidence, audited.now);
    let mut found = Vec::new();
    expiries(audited, &mut found);
    shadowed(policy, &places, &mut found);
    for (_, id, pattern) in policy.entries(|_| true) {
        if let Some(rule) = policy.rule(id) {
            found.extend(of_strangers(rule, &pattern, &places));
        }
    }
    for (at, rule) in (0..).zip(policy.rules()) {
        let id = RuleId(at);
        if rule.origin != RuleOrigin::Configured && !is_preset(rule) {
            continue;
        }
        let of = OfRule {
            rule,
            places: &places,
        };
        found.extend(of.txt());
        let (Some(known), Some(patterns)) = (evidence.rule(id), patterns.get(at as usize)) else {
            continue;
        };
        if !known.is_known {
            continue;
        }
        if known.count == 0 && known.used.is_empty() {
            found.extend(of.unused(known, policy, id, audited));
            continue;
        }
        of.names(known, patterns, &mut found);
        found.extend(of.types(known));
        found.extend(of.addresses(known));
        found.extend(of.aliases(known).filter(|_| evidence.has_page()));
    }
    idle_groups(policy, evidence, &places, &mut found);
    found
}

/// Whether a rule is an entry of the Google preset.
pub(super) fn is_preset(rule: &Rule) -> bool {
    rule.name.starts_with("google_apis ") // a configured rule has no blank in its name
}

fn subject(rule: &Rule) -> String {
    match rule.name.split_once(' ') {
        Some(_) => rule.name.to_string(),
        None => format!("rule {}", rule.name),
    }
}

/// Rules that have ended or end soon, from the warnings of `check`.
fn expiries(audited: &Audited<'_>, found: &mut Vec<Finding>) {
    for notice in notices(audited) {
        let is_end = ["` ended at ", "` ends at "]
            .iter()
            .any(|it| notice.message.contains(it));
        let name = notice.message.split('`').nth(1).filter(|_| is_end);
        let Some(name) = name else { continue };
        let edit = if notice.message.contains("` ended at ") {
            "remove the rule"
        } else {
            "remove the rule, or renew `until` with a reason"
        };
        found.push(Finding {
            kind: Kind::Ended,
            subject: format!("rule {name}"),
            place: AuditPlace {
                file: notice.file.to_string(),
                line: notice.line,
                column: notice.column,
            },
            message: notice.message.clone(),
            evidence: String::new(),
            edit: edit.to_owned(),
        });
    }
}

fn shadowed(policy: &Policy, places: &Places<'_>, found: &mut Vec<Finding>) {
    for shadowed in policy.shadowed() {
        let (Some(rule), Some(by)) = (policy.rule(shadowed.rule), policy.rule(shadowed.by)) else {
            continue;
        };
        found.push(Finding {
            kind: Kind::Shadowed,
            subject: subject(rule),
            place: places.rule(rule),
            message: format!(
                "it never decides: {} does for all its questions",
                subject(by)
            ),
            evidence: String::new(),
            edit: "remove the rule".to_owned(),
        });
    }
}

/// A pattern that covers names of strangers.
fn of_strangers(rule: &Rule, pattern: &Pattern, places: &Places<'_>) -> Option<Finding> {
    if rule.origin != RuleOrigin::Configured || !matches!(rule.action, Action::Forward(_)) {
        return None;
    }
    let (kind, message) = match strangers(pattern)? {
        Strangers::Registry => (
            Kind::OpenSuffix,
            format!("`{pattern}` covers names that anybody can register"),
        ),
        Strangers::Service(service) => (
            Kind::SharedHosting,
            format!("`{pattern}` covers the names of every customer of {service}"),
        ),
    };
    let evidence = match kind {
        Kind::OpenSuffix => "the Public Suffix List".to_owned(),
        _ => format!("the Public Suffix List, and dnsgate's table of {TABLE_DATE}"),
    };
    Some(Finding {
        kind,
        subject: subject(rule),
        place: places.pattern(rule, pattern),
        message,
        evidence,
        edit: "name the hosts that are meant".to_owned(),
    })
}

/// A rule and where it stands.
#[derive(Clone, Copy)]
struct OfRule<'a> {
    rule: &'a Rule,
    places: &'a Places<'a>,
}

impl OfRule<'_> {
    fn finding(self, kind: Kind, place: AuditPlace, message: String) -> Finding {
        Finding {
            kind,
            subject: subject(self.rule),
            place,
            message,
            evidence: String::new(),
            edit: String::new(),
        }
    }

    /// TXT that an upstream is asked for.
    fn txt(self) -> Option<Finding> {
        let allows = self.rule.types.contains(RecordType::TXT);
        if !allows || !matches!(self.rule.action, Action::Forward(_)) {
            return None;
        }
        let place = self.places.key(self.rule, "types");
        let message = "it forwards TXT, which can carry any data both ways".to_owned();
        Some(Finding {
            edit: "leave TXT out of `types`, or write a rule of its own for the names that need it"
                .to_owned(),
            ..self.finding(Kind::TxtAllowed, place, message)
        })
    }

    /// A rule that nothing came to.
    fn unused(
        self,
        known: &RuleEvidence,
        policy: &Policy,
        id: RuleId,
        audited: &Audited<'_>,
    ) -> Option<Finding> {
        let message = match known.since {
            Some(since) => format!("not used since {since}"),
            None => "not used".to_owned(),
        };
        let falls = || {
            let own = policy.entries(|_| true).filter(|(_, rule, _)| *rule == id);
            own.into_iter()
                .any(|(_, _, it)| names::falls_to_another(policy, id, &it, audited.now))
        };
        let edit = match &self.rule.action {
            Action::Deny => "keep it if it guards something: a rule that denies may rest unused",
            _ if falls() => {
                "look at the rules for shorter names before you remove it: they would decide about its names"
            }
            Action::Zone(_) if is_preset(self.rule) => {
                "leave the domain out of `google_apis.domains`"
            }
            Action::Zone(_) => "remove the zone",
            Action::Answer(_) | Action::Forward(_) => "remove the rule",
        };
        let kind = Kind::UnusedRule;
        Some(Finding {
            evidence: match known.aliases {
                Some(_) => "no question, and no alias that led to it",
                None => "no question; a log does not show where the aliases of upstreams led",
            }
            .to_owned(),
            edit: edit.to_owned(),
            ..self.finding(kind, self.places.rule(self.rule), message)
        })
        .filter(|_| self.rule.action.allows() || known.since.is_some())
    }

    /// Names that were never asked for, and subtrees of which only some were.
    fn names(self, known: &RuleEvidence, patterns: &PatternUse, found: &mut Vec<Finding>) {
        if !self.rule.action.allows() || is_preset(self.rule) {
            return;
        }
        let since = known
            .names_since
            .map_or(String::new(), |it| format!(" since {it}"));
        let PatternUse {
            used,
            unused,
            narrow,
        } = patterns;
        if let Some(first) = unused.first() {
            let all = used.len() + unused.len() + narrow.len();
            let message = format!(
                "{} of {} never asked for{since}: {}",
                unused.len(),
                plural(all as u64, "name", "names"),
                quoted(unused.iter().map(Pattern::to_string))
            );
            let place = self.places.pattern(self.rule, first);
            found.push(Finding {
                evidence: format!(
                    "{} came to the others",
                    plural(known.count, "question", "questions")
                ),
                edit: "remove them from `domains`; `audit --prune OUT` writes a list without them"
                    .to_owned(),
                ..self.finding(Kind::UnusedNames, place, message)
            });
        }
        if matches!(self.rule.action, Action::Zone(_)) {
            return; // the names of a zone are its records
        }
        for (pattern, names) in narrow {
            let count = plural(names.len() as u64, "name", "names");
            let message = format!("of `{pattern}` only {count} asked for{since}");
            let seen = names
                .iter()
                .map(|(name, count)| format!("{} ({count})", without_dot(name)));
            let mut names = names.keys().map(without_dot).collect::<Vec<_>>();
            names.sort_unstable();
            let place = self.places.pattern(self.rule, pattern);
            found.push(Finding {
                evidence: quoted(seen),
                edit: format!("write [{}] for it", names.join(", ")),
                ..self.finding(Kind::NarrowSubtree, place, message)
            });
        }
    }

    /// Types that nobody asked for.
    fn types(self, known: &RuleEvidence) -> Option<Finding> {
        let types = self.rule.types.listed()?;
        let unused = types.iter().filter(|it| !known.types.contains(it));
        let unused: Vec<_> = unused.map(ToString::to_string).collect();
        if unused.is_empty() || known.other_types || !self.rule.action.allows() {
            return None;
        }
        let used = types.iter().filter(|it| known.types.contains(it));
        let used: Vec<_> = used.map(ToString::to_string).collect();
        let message = format!("nobody asked for {}", unused.join(", "));
        let place = self.places.key(self.rule, "types");
        Some(Finding {
            evidence: format!("questions for {}", used.join(", ")),
            edit: format!("types: [{}]", used.join(", ")),
            ..self.finding(Kind::UnusedTypes, place, message)
        })
        .filter(|_| !used.is_empty())
    }

    /// Ranges that no address of an answer was in.
    fn addresses(self, known: &RuleEvidence) -> Option<Finding> {
        let (unused, used) = ranges(self.rule, known)?;
        let place = self.places.key(self.rule, "addresses");
        let message = format!("no answer had an address in {}", unused.join(", "));
        let seen: Vec<_> = known
            .networks
            .iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        Some(Finding {
            evidence: format!("answers were in {}", quoted(seen.into_iter())),
            edit: format!("addresses: [{}]", used.join(", ")),
            ..self.finding(Kind::WideAddresses, place, message)
        })
    }

    /// Aliases that may lead anywhere.
    fn aliases(self, known: &RuleEvidence) -> Option<Finding> {
        let Action::Forward(forwarding) = &self.rule.action else {
            return None;
        };
        let (any, outside) = known.aliases?;
        if forwarding.cname != CnameMode::Any || !any || outside {
            return None;
        }
        let place = self.places.key(self.rule, "cname");
        let message = "its aliases may lead anywhere, and all led to allowed names".to_owned();
        Some(Finding {
            evidence: "the answers since the page began".to_owned(),
            edit: "cname: allowed".to_owned(),
            ..self.finding(Kind::CnameAny, place, message)
        })
    }
}

/// The unused and the used ranges of a rule's `addresses`, if there are both.
pub(super) fn ranges(rule: &Rule, known: &RuleEvidence) -> Option<(Vec<String>, Vec<String>)> {
    let Action::Forward(forwarding) = &rule.action else {
        return None;
    };
    let (AnswerRanges::Within(ranges), Some(networks)) = (&forwarding.answers, &known.networks)
    else {
        return None;
    };
    let is_used = |range: &&ipnet::IpNet| {
        let meets = |it: &ipnet::IpNet| it.contains(*range) || range.contains(it);
        networks.iter().any(meets)
    };
    let (used, unused): (Vec<_>, Vec<_>) = ranges.iter().partition(is_used);
    let text = |ranges: Vec<&ipnet::IpNet>| ranges.iter().map(ToString::to_string).collect();
    (!used.is_empty() && !unused.is_empty()).then(|| (text(unused), text(used)))
}

fn idle_groups(
    policy: &Policy,
    evidence: &Evidence,
    places: &Places<'_>,
    found: &mut Vec<Finding>,
) {
    for (at, group) in (0..).zip(policy.groups()) {
        if evidence.group(GroupId(at)) == Some(0) {
            found.push(Finding {
                kind: Kind::IdleGroup,
                subject: format!("group {}", group.name),
                place: places.group(&group.name),
                message: "nobody of it has asked anything".to_owned(),
                evidence: String::new(),
                edit: "remove the group, or the ranges that nobody has".to_owned(),
            });
        }
    }
}

/// Some texts, and how many more there are.
fn quoted(texts: impl Iterator<Item = String>) -> String {
    let texts: BTreeSet<_> = texts.collect();
    let shown: Vec<_> = texts.iter().take(QUOTED).cloned().collect();
    let more = texts.len().saturating_sub(QUOTED);
    match more {
        0 => shown.join(", "),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}
