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

use super::ask::{ClientQuestion, Decided, ForwardedTo, Subject, ask, rule_of};
use crate::ask;
use dnsgate_core::{
    dns::{Name, RecordType, Transport},
    engine::Reason,
    policy::{CnameMode, RuleOrigin},
};

/// The types that are always probed: those that clients commonly query.
const COMMON: [RecordType; 9] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::HTTPS,
    RecordType::SVCB,
    RecordType::CNAME,
    RecordType::TXT,
    RecordType::MX,
    RecordType::SRV,
    RecordType::PTR,
];
/// The most types probed: rules and zones rarely use other types than the common ones.
const MAX_TYPES: usize = 64;
/// The label for a name that represents all names below another.
const BELOW: &[u8] = b"probe";
/// The most kinds of change, and the most names of all kinds together, that are stored separately.
const MAX_KINDS: usize = 10_000;
const MAX_NAMES: usize = 100_000;
/// The most kinds, and the most names of each, that are printed.
const TOP_KINDS: usize = 50;
const TOP_NAMES: usize = 20;

/// A kind of change: the client group, the old verdict, the new one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct ChangeKind {
    clients: String,
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
    /// The old and new records of the first question, if the records are the change.
    records: Option<(String, String)>,
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
    /// The number of names in `kinds`.
    names: usize,
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
            others: 0,
        }
    }

    /// The number of questions whose verdict differs.
    #[must_use]
    pub const fn changed(&self) -> u64 {
        self.changed
    }

    /// Asks both configurations, and counts the result `times` times.
    pub fn ask(&mut self, question: ClientQuestion<'_>, times: u64) {
        self.asked += times;
        let old = ask(question, self.old.snapshot, self.now);
        let new = ask(question, self.new.snapshot, self.now);
        let (old_told, new_told) = (told(&old, &self.old), told(&new, &self.new));
        let mut records = None;
        if old_told == new_told {
            // The same bytes under the same rule: nearly all questions end here.
            records = match (&old.asks, &new.asks) {
                (Some(old), Some(new)) if !are_same(old, new) => Some((filter(old), filter(new))),
                _ if old.reply == new.reply => None,
                _ => other_records(&old, &new),
            };
            if records.is_none() {
                return;
            }
        }
        let kind = ChangeKind {
            clients: self.clients(&old, &new),
            new: match (&records, &new.asks) {
                (Some(_), None) => "different records".to_owned(),
                (Some(_), Some(_)) => "the response filter lets other answers pass".to_owned(),
                (None, _) => new_told,
            },
            old: old_told,
        };
        self.note(kind, (question, times), records);
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
        if name.records.is_none() {
            name.records = records;
        }
    }

    /// The client's group; both the old and the new one if they differ.
    fn clients(&self, old: &Decided, new: &Decided) -> String {
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

    /// Asks every question that could reveal a difference.
    pub fn probe(&mut self) {
        let types = self.probed_types();
        let clients = self.probed_clients();
        let below = |name: &Name| name.child(BELOW).ok();
        for name in self.probed_names() {
            for name in below(&name).into_iter().chain([name]) {
                for &source in &clients {
                    for &rtype in &types {
                        let question = ClientQuestion {
                            name: name.as_ref(),
                            rtype,
                            source,
                            transport: Transport::Tcp,
                        };
                        self.ask(question, 1);
                    }
                }
            }
        }
        self.types = Some(types);
    }

    fn probed_names(&self) -> HashSet<Name> {
        let both = [self.old.snapshot, self.new.snapshot];
        let mut names: Vec<Name> = both
            .iter()
            .flat_map(|snapshot| snapshot.policy().names())
            .collect();
        let zones = both.iter().flat_map(|snapshot| snapshot.zones());
        names.extend(zones.flat_map(|zone| zone.rrsets().map(|(owner, _)| owner)));
        // The root's child represents all names that neither configuration knows, and the child of any
        // name represents those that a wildcard below it covers.
        let mut names: HashSet<Name> = names.iter().map(without_star).collect();
        names.insert(Name::root());
        let mut rules = both.iter().flat_map(|snapshot| snapshot.policy().rules());
        if rules.any(|rule| rule.origin == RuleOrigin::Search) {
            // In this case a name of one label does not represent longer names.
            names.extend(Name::root().child(BELOW).ok());
        }
        names
    }

    fn probed_types(&self) -> BTreeSet<RecordType> {
        let mut types = BTreeSet::from(COMMON);
        for snapshot in [self.old.snapshot, self.new.snapshot] {
            let rules = snapshot.policy().rules().iter();
            let named = rules.flat_map(|rule| rule.types.listed().unwrap_or_default());
            let sets = snapshot.zones().iter().flat_map(|zone| zone.rrsets());
            let sets = sets.map(|(_, set)| set.rtype());
            for rtype in named.copied().chain(sets) {
                if types.len() < MAX_TYPES {
                    types.insert(rtype);
                }
            }
        }
        types
    }

    /// One address for each pair of an old and a new group. The pair can change only at the start of a
    /// range in either configuration, so testing these addresses finds all pairs.
    fn probed_clients(&self) -> Vec<IpAddr> {
        let (old, new) = (self.old.snapshot.policy(), self.new.snapshot.policy());
        let mut seen = HashSet::new();
        let starts = old.range_starts().chain(new.range_starts());
        let mut starts: Vec<IpAddr> = starts.collect();
        starts.sort_unstable();
        starts.retain(|&address| seen.insert((old.admit(address), new.admit(address))));
        starts
    }
}

/// The parent of a wildcard; any other name unchanged.
fn without_star(name: &Name) -> Name {
    let is_star = name.as_ref().labels().next() == Some(b"*");
    let parent = name.as_ref().parent().filter(|_| is_star);
    parent.map_or_else(|| name.clone(), |parent| parent.to_name())
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
    /// A paragraph for each kind of change, the most frequent first, and a line with the totals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by(|(a, one), (b, other)| (other.count, a).cmp(&(one.count, b)));
        for (kind, changed) in kinds.iter().take(TOP_KINDS) {
            let ChangeKind { clients, old, new } = kind;
            writeln!(f, "{clients}: {old} -> {new}: {}", changed.count)?;
            changed.write(f, self.types.as_ref())?;
            writeln!(f)?;
        }
        let hidden = kinds.iter().skip(TOP_KINDS);
        let hidden = self.others + hidden.map(|(_, changed)| changed.count).sum::<u64>();
        if hidden > 0 {
            writeln!(f, "{hidden} more, of other kinds of change\n")?;
        }
        let Self { changed, asked, .. } = self;
        match asked {
            1 => writeln!(f, "{changed} of 1 question gets another verdict"),
            _ => writeln!(f, "{changed} of {asked} questions get another verdict"),
        }
    }
}

impl Changed {
    fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        probed: Option<&BTreeSet<RecordType>>,
    ) -> fmt::Result {
        // Sorted by the printed form, because names have no order of their own.
        let mut names: BTreeMap<_, _> = BTreeMap::new();
        for (name, changed) in &self.names {
            names.insert((u64::MAX - changed.count, name.to_string()), changed);
        }
        let mut left = self.count;
        for ((_, name), changed) in names.iter().take(TOP_NAMES) {
            left -= changed.count;
            let types: Vec<_> = changed.types.iter().map(ToString::to_string).collect();
            let types = match probed {
                Some(probed) if *probed == changed.types => "any type".to_owned(),
                _ => types.join(" "),
            };
            write!(f, "  {:>8}  {name} {types}", changed.count)?;
            if let Some((old, new)) = &changed.records {
                write!(f, ": {old} -> {new}")?;
            }
            writeln!(f)?;
        }
        if left > 0 {
            writeln!(f, "  {left:>8}  for other names")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
