//! Finds the questions that two configurations treat differently, and describes the differences.
//!
//! The questions come from a query log or from [`Diff::probe`]. The probe asks for every name for
//! which either configuration has a pattern or a record, and for one name below it, from an address
//! of every pair of client groups, in the common types and those that rules name.
//!
//! Two verdicts are equal if a client and an operator see no difference in ending, reason, rule,
//! response code, and the answer's records without their TTLs; or, if an upstream would be asked, in
//! its name and the limits on its answer. A renamed group alone is not a change. Tables are bounded;
//! anything beyond the bounds is only counted.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    net::IpAddr,
    time::SystemTime,
};

use serde::Serialize;

use super::ask::{ClientQuestion, Decided, ForwardedTo, Subject, ask, rule_of};
use crate::ask;
use dnsgate_config::default_types;
use dnsgate_core::{
    dns::{Name, Rcode, RecordType, Transport},
    engine::{Ending, GroupId, Reason},
    policy::{Action, CnameMode, Disposition},
};

mod page;
mod probe;
mod report;

pub use page::{PageContext, page};
pub use report::{DiffReport, EffectCount, KindReport, NameReport, ReportSize};

/// The most kinds of change, and the most names of all kinds together, that are stored separately.
const MAX_KINDS: usize = 10_000;
const MAX_NAMES: usize = 100_000;
/// The most clients of all names together that are stored; further ones are not told.
const MAX_CLIENTS: usize = 200_000;
/// The most questions without a difference that are remembered, so that each is asked once; some 10 MB.
const MAX_SAME: usize = 100_000;

/// What a change means to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeEffect {
    /// It was answered, and is denied, or does not exist any more.
    Denied,
    /// It was denied, or did not exist, and is answered.
    Allowed,
    /// It is answered from elsewhere, or with other records.
    Otherwise,
    /// It is denied in another way.
    DeniedOtherwise,
    /// Another rule decides, and the client gets the same.
    Unnoticed,
}

impl ChangeEffect {
    /// Every effect, what is closed first.
    pub const ALL: [Self; 5] = [
        Self::Denied,
        Self::Allowed,
        Self::Otherwise,
        Self::DeniedOtherwise,
        Self::Unnoticed,
    ];

    const fn of(was_answered: bool, is_answered: bool) -> Self {
        match (was_answered, is_answered) {
            (true, false) => Self::Denied,
            (false, true) => Self::Allowed,
            (true, true) => Self::Otherwise,
            (false, false) => Self::DeniedOtherwise,
        }
    }
}

/// A kind of change: the client group, the old verdict, the new one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct ChangeKind {
    effect: ChangeEffect,
    group: String,
    old: String,
    new: String,
}

/// The questions with one kind of change.
#[derive(Clone, Debug, Default)]
struct Changed {
    count: u64,
    names: HashMap<Name, ChangedName>,
}

/// The questions for one name.
#[derive(Clone, Debug, Default)]
struct ChangedName {
    count: u64,
    types: BTreeSet<RecordType>,
    /// The clients of a log, with their questions.
    clients: BTreeMap<IpAddr, u64>,
    /// The old and new records of the first question, if the records are the change.
    records: Option<(String, String)>,
}

/// A question, and the groups of its client in both configurations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AskedQuestion {
    name: Name,
    rtype: RecordType,
    transport: Transport,
    groups: [Option<GroupId>; 2],
}

/// Two configurations, and the differences found so far.
#[derive(Debug)]
pub struct Diff<'s> {
    old: Subject<'s>,
    new: Subject<'s>,
    now: SystemTime,
    asked: u64,
    changed: u64,
    /// The types queried for every name; `None` without a probe.
    types: Option<BTreeSet<RecordType>>,
    kinds: HashMap<ChangeKind, Changed>,
    /// The number of names in `kinds`, and the number of their clients.
    names: usize,
    clients: usize,
    /// Questions without a difference. Clients of the same groups get the same verdict.
    same: HashSet<AskedQuestion>,
    /// Whether only the effect counts, because rules and upstreams of another program have other names. The text is the name
    /// of the rule for what the importer had to close.
    by_effect: Option<&'static str>,
    /// Changes for which the table had no room.
    others: u64,
}

impl<'s> Diff<'s> {
    /// A comparison without questions so far; all questions are asked at `now`.
    #[must_use]
    pub fn new(old: Subject<'s>, new: Subject<'s>, now: SystemTime) -> Self {
        Self {
            old,
            new,
            now,
            asked: 0,
            changed: 0,
            types: None,
            kinds: HashMap::new(),
            names: 0,
            clients: 0,
            same: HashSet::new(),
            by_effect: None,
            others: 0,
        }
    }

    /// Compares what clients notice, and not which rule decides and which upstream is asked: for an old configuration that
    /// another program's was imported into. The other program answers what the rule `closed` denies, unless a condition holds
    /// that no rule can have; so it counts as answered.
    #[must_use]
    pub const fn by_effect(mut self, closed: &'static str) -> Self {
        self.by_effect = Some(closed);
        self
    }

    /// The number of questions whose verdict differs.
    #[must_use]
    pub const fn changed(&self) -> u64 {
        self.changed
    }

    /// Asks both configurations, and counts the result `times` times.
    pub fn ask(&mut self, question: ClientQuestion<'_>, times: u64) {
        self.asked += times;
        let key = AskedQuestion {
            name: question.name.to_name(),
            rtype: question.rtype,
            transport: question.transport,
            groups: [&self.old, &self.new].map(|it| it.snapshot.policy().admit(question.source)),
        };
        if self.same.contains(&key) {
            return;
        }
        let old = ask(question, self.old.snapshot, self.now);
        let new = ask(question, self.new.snapshot, self.now);
        let closed = self.by_effect;
        let is_narrowed = closed.is_some_and(|closed| self.is_narrowed(question, &old, closed));
        let (old_told, new_told) = if is_narrowed {
            ("forwarded".to_owned(), effect(&new))
        } else if self.by_effect.is_some() {
            (effect(&old), effect(&new))
        } else {
            (told(&old, &self.old), told(&new, &self.new))
        };
        let mut records = None;
        if old_told == new_told {
            // The same bytes under the same rule: nearly all questions end here.
            records = match (&old.asks, &new.asks) {
                (Some(_), Some(_)) if self.by_effect.is_some() => None,
                (Some(old), Some(new)) if !are_same(old, new) => Some((filter(old), filter(new))),
                _ if old.reply == new.reply => None,
                _ => other_records(&old, &new),
            };
            if records.is_none() {
                if self.same.len() < MAX_SAME {
                    self.same.insert(key);
                }
                return;
            }
        }
        let kind = ChangeKind {
            effect: match self.is_unnoticed(&old, &new) {
                true if !is_narrowed => ChangeEffect::Unnoticed,
                _ => ChangeEffect::of(is_narrowed || is_answered(&old), is_answered(&new)),
            },
            group: self.group(&old, &new),
            new: match (&records, &new.asks) {
                (Some(_), None) => "different records".to_owned(),
                (Some(_), Some(_)) => "the response filter lets other answers pass".to_owned(),
                (None, _) => new_told,
            },
            old: old_told,
        };
        self.note(kind, (question, times), records);
    }

    /// Whether an imported policy denies a question that the other program lets through: because the importer closed what no
    /// rule can say, or for its type alone. The other program forwards every type; the importer keeps those that are needed
    /// to reach a name.
    fn is_narrowed(&self, question: ClientQuestion<'_>, old: &Decided, closed: &str) -> bool {
        let policy = self.old.snapshot.policy();
        let rule = rule_of(&old.outcome, policy).and_then(|rule| rule.strip_prefix(closed));
        // Further ones have a number behind a hyphen.
        if rule.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            return true;
        }
        let Some(group) = old
            .outcome
            .group
            .filter(|_| old.outcome.reason == Reason::OtherType)
        else {
            return false;
        };
        let candidates = policy.explain(group, question.name, question.rtype, self.now);
        candidates.iter().any(|it| {
            it.disposition == Disposition::OtherType
                && matches!(it.rule.action, Action::Forward(_))
                && it.rule.types == default_types()
        })
    }

    /// Whether only the rule is another one: the same answer, from the same upstream, or the same denial.
    fn is_unnoticed(&self, old: &Decided, new: &Decided) -> bool {
        let same = match (&old.asks, &new.asks) {
            (Some(one), Some(other)) => {
                let upstreams = (
                    self.old.upstream_of(&old.outcome),
                    self.new.upstream_of(&new.outcome),
                );
                upstreams.0 == upstreams.1 && are_same(one, other)
            }
            (None, None) => other_records(old, new).is_none(),
            _ => false,
        };
        same && effect(old) == effect(new)
    }

    fn note(
        &mut self,
        kind: ChangeKind,
        (question, times): (ClientQuestion<'_>, u64),
        records: Option<(String, String)>,
    ) {
        self.changed += times;
        if !self.kinds.contains_key(&kind) && self.kinds.len() >= MAX_KINDS {
            self.others += times;
            return;
        }
        let changed = self.kinds.entry(kind).or_default();
        changed.count += times;
        let name = question.name.to_name();
        if !changed.names.contains_key(&name) {
            if self.names >= MAX_NAMES {
                return;
            }
            self.names += 1;
        }
        let name = changed.names.entry(name).or_default();
        name.count += times;
        name.types.insert(question.rtype);
        match name.clients.get_mut(&question.source) {
            Some(count) => *count += times,
            None if self.clients < MAX_CLIENTS => {
                self.clients += 1;
                name.clients.insert(question.source, times);
            }
            None => {}
        }
        if name.records.is_none() {
            name.records = records;
        }
    }

    /// The client's group; both the old and the new one if they differ.
    fn group(&self, old: &Decided, new: &Decided) -> String {
        let name = |seen: &Decided, subject: &Subject<'_>| {
            let group = seen.outcome.group;
            let group = group.and_then(|id| subject.snapshot.policy().group_of(id));
            group.map_or_else(|| "no group".to_owned(), |group| group.name.to_string())
        };
        let (old, new) = (name(old, &self.old), name(new, &self.new));
        if old == new {
            old
        } else {
            format!("{old} (now {new})")
        }
    }
}

/// Whether there is an answer. A name that does not exist in a zone has none.
fn is_answered(seen: &Decided) -> bool {
    let outcome = &seen.outcome;
    matches!(outcome.ending(), Ending::Answered | Ending::Forwarded)
        && outcome.rcode != Some(Rcode::NxDomain)
}

/// What a client notices of a verdict.
fn effect(seen: &Decided) -> String {
    let outcome = &seen.outcome;
    match (outcome.ending(), outcome.rcode) {
        (Ending::Forwarded, _) => "forwarded".to_owned(),
        (Ending::Answered, Some(Rcode::NxDomain)) => "does not exist (NXDOMAIN)".to_owned(),
        (ending, Some(rcode)) => format!("{} ({})", ending.as_str(), rcode.as_str()),
        (ending, None) => format!("{} (no reply)", ending.as_str()),
    }
}

/// The verdict on a question, for people. The response code distinguishes denials by the same rule:
/// a change of the group's way to deny is visible only there.
fn told(seen: &Decided, subject: &Subject<'_>) -> String {
    let outcome = &seen.outcome;
    let end = match (&seen.asks, outcome.rcode) {
        (Some(_), _) => format!("asks {}", subject.upstream_of(outcome).unwrap_or("nobody")),
        (None, Some(rcode)) => rcode.as_str().to_owned(),
        (None, None) => "no reply".to_owned(),
    };
    let what = match (outcome.reason, rule_of(outcome, subject.snapshot.policy())) {
        (Reason::Observed, None) => "observed only, no rule allows it".to_owned(),
        (Reason::Observed, Some(rule)) => format!("observed only, denied by rule {rule}"),
        // Clients cannot see that a rule allows the name to others.
        (Reason::NoRule | Reason::OtherGroup | Reason::OtherType | Reason::Expired, _) => {
            "denied, no rule allows it".to_owned()
        }
        (Reason::UnknownClient, _) => "denied, the client is in no group".to_owned(),
        (reason, Some(rule)) => {
            // There are many similar built-in rules; a name with a blank describes itself.
            let quoted = match rule.split_once(' ') {
                Some(("built-in", _)) => "a built-in rule".to_owned(),
                Some(_) => rule.to_owned(),
                None => format!("rule {rule}"),
            };
            let ending = match reason {
                Reason::ChainTooLong => "failed, the alias chain is a loop or too long",
                _ => reason.ending().as_str(),
            };
            format!("{ending} by {quoted}")
        }
        (reason, None) => format!("{}, {}", reason.ending().as_str(), reason.as_str()),
    };
    format!("{what} ({end})")
}

/// The records of both answers as text, if they differ.
fn other_records(old: &Decided, new: &Decided) -> Option<(String, String)> {
    let (old, new) = (ask::records(&old.reply), ask::records(&new.reply));
    let differ = !ask::are_same(&old, &new);
    differ.then(|| (ask::shown(&old), ask::shown(&new)))
}

/// Whether both ask for the same name with the same limits on the answer. Upstreams are compared
/// elsewhere, by name, because their numbers differ between configurations.
fn are_same(old: &ForwardedTo, new: &ForwardedTo) -> bool {
    let ((one, other), same_name) = ((&old.forwarding, &new.forwarding), old.name == new.name);
    same_name && one.answers == other.answers && one.cname == other.cname
}

/// The name asked for, and the limits on the answer.
fn filter(asks: &ForwardedTo) -> String {
    let ForwardedTo { name, forwarding } = asks;
    let aliases = match forwarding.cname {
        CnameMode::Any => "aliases anywhere",
        CnameMode::Allowed => "aliases to allowed names",
    };
    format!("{name} with {}, {aliases}", forwarding.answers)
}

impl fmt::Display for Diff<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report(ReportSize::TEXT).fmt(f)
    }
}

#[cfg(test)]
mod tests;
