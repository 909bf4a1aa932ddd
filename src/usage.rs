//! Which rules, and which names of their lists, are in use: the page `/usage`, and the metrics
//! `dnsgate_rule_…`.
//!
//! ```text
//!  query ─▶ ThreadUsage: a bit per pattern, a cell per rule ─┐
//!     └─ below a subtree ─▶ the thread's counters by name ───┼─▶ UsagePage ─▶ /usage, state file
//!  a name for the first time ─▶ SeenNames (one lock) ────────┘
//! ```
//!
//! A query writes only memory of its own thread, and neither allocates nor locks. What is new, such
//! as a name that no query had before, takes a lock; a thread does so at most
//! [`NEW_NAMES`](thread_usage::NEW_NAMES) times a second, however many names a client invents.
//!
//! A reload carries what is known to the rules of the same name, and the state file to the next
//! process. Everything is bounded: bits by the patterns of the configuration, names by
//! [`MAX_SEEN`](seen_names::MAX_SEEN).

mod generation;
mod networks;
mod seen_names;
pub(crate) mod state_file;
#[cfg(test)]
mod tests;
pub(crate) mod thread_usage;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use jiff::Timestamp;

use crate::metrics::labels::{LabelSet, NameId, OTHER};
use dnsgate_core::{
    engine::{RuleId, Snapshot},
    policy::Policy,
};
use dnsgate_whatif::usage::{
    GroupUsage, MAX_NAMES, MAX_USED, QueryCount, RuleUsage, UsagePage, VERSION,
};
use generation::GenerationUsage;
use networks::Networks;
use seen_names::SeenNames;

/// The usage of the configuration in force.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) names: SeenNames,
    pub(crate) networks: Networks,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    since: Option<Timestamp>,
    kept_in: Option<String>,
    /// What earlier generations and processes have left, by rule.
    kept: HashMap<String, RuleUsage>,
    /// The queries of earlier processes, by group.
    groups: HashMap<String, u64>,
    current: Arc<GenerationUsage>,
}

/// The counts of queries by rule, group and verdict, and the names of the rules and groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) rules: BTreeMap<(NameId, NameId, &'static str), u64>,
    pub(crate) groups: BTreeMap<NameId, u64>,
    pub(crate) texts: Vec<Arc<str>>,
}

impl Counted {
    fn text(&self, id: NameId) -> &str {
        self.texts.get(usize::from(id)).map_or(OTHER, |text| text)
    }

    /// The queries of each rule.
    fn by_rule(&self) -> HashMap<&str, Vec<QueryCount>> {
        let mut all: HashMap<&str, Vec<QueryCount>> = HashMap::new();
        for (&(rule, group, verdict), &count) in &self.rules {
            all.entry(self.text(rule)).or_default().push(QueryCount {
                group: self.text(group).to_owned(),
                verdict: verdict.to_owned(),
                count,
            });
        }
        all
    }
}

impl Usage {
    /// Takes over what an earlier process has left. Call it before the first [`Self::load`]. The
    /// file is named on the page.
    pub(crate) fn restore(&self, page: Option<UsagePage>, kept_in: String) {
        let mut known = self.lock();
        known.kept_in = Some(kept_in);
        let Some(page) = page else { return };
        known.since = Some(page.since);
        let groups = page.groups.into_iter();
        known.groups = groups.map(|it| (it.group, it.queries)).collect();
        let rules = page.rules.into_iter();
        known.kept = rules.map(|it| (it.rule.clone(), it)).collect();
    }

    /// Counts for the policy of a new generation from now on, and carries over what is known of the
    /// rules that it shares with the last one. Call it when the labels are registered, and before
    /// the first query is decided.
    pub(crate) fn load(&self, snapshot: &Arc<Snapshot>, labels: &LabelSet, now: SystemTime) {
        let now = stamp(now);
        let mut known = self.lock();
        known.since.get_or_insert(now);
        let is_first = known.current.snapshot.is_none();
        let mut kept = if is_first {
            std::mem::take(&mut known.kept)
        } else {
            carried(&known)
        };
        let next = GenerationUsage::new(snapshot, labels);
        let policy = snapshot.policy();
        let mut rules = HashMap::new();
        for (name, of_rule) in policy_rules(policy, &next.patterns) {
            let mut rule = match kept.remove(name) {
                Some(known) => known,
                None => new_rule(name, now),
            };
            if rule.patterns != of_rule.patterns {
                if rule.patterns > 0 {
                    rule.names_since = now;
                }
                rule.patterns = of_rule.patterns;
            }
            for pattern in std::mem::take(&mut rule.used) {
                next.carry(policy, &of_rule.ids, &pattern);
            }
            if is_first {
                let id = of_rule.ids.first().and_then(|&id| next.name_id(id));
                self.names.restore(id, &mut rule);
                self.networks.restore(id, &mut rule);
            }
            rules.insert(name.to_owned(), rule);
        }
        known.kept = rules;
        known.current = Arc::new(next);
    }

    /// The generation in force, if it has this number.
    pub(crate) fn generation(&self, number: u64) -> Option<Arc<GenerationUsage>> {
        let known = self.lock();
        let current = &known.current;
        (current.number() == Some(number)).then(|| Arc::clone(current))
    }

    /// The last use of each rule as seconds since 1970; 0 for a rule that was never used. Built-in
    /// rules are left out until they are used.
    pub(crate) fn last_used(&self, now: SystemTime) -> Vec<(String, u64)> {
        let known = self.lock();
        let Some(snapshot) = &known.current.snapshot else {
            return Vec::new();
        };
        let now = seconds(now);
        let sums = known.current.sums();
        let rules = policy_rules(snapshot.policy(), &known.current.patterns);
        let last = rules.into_iter().filter_map(|(name, of_rule)| {
            let before = known.kept.get(name).and_then(|rule| rule.last);
            let before = before.map_or(0, |last| u64::try_from(last.as_second()).unwrap_or(0));
            let last = of_rule.ids.iter().filter_map(|id| sums.get(id.0 as usize));
            let last = last.map(|sum| sum.last).fold(before, u64::max).min(now);
            (last > 0 || !of_rule.is_built_in).then(|| (name.to_owned(), last))
        });
        last.collect()
    }

    /// The page.
    pub(crate) fn page(&self, counted: &Counted, now: SystemTime) -> UsagePage {
        let known = self.lock();
        let mut page = UsagePage {
            version: VERSION,
            generation: known.current.number().unwrap_or(0),
            since: known.since.unwrap_or_else(|| stamp(now)),
            now: stamp(now),
            kept_in: known.kept_in.clone(),
            unlooked: known.current.unlooked(),
            groups: Vec::new(),
            rules: Vec::new(),
        };
        let Some(snapshot) = known.current.snapshot.clone() else {
            return page;
        };
        let policy = snapshot.policy();
        page.groups = groups(policy, &known, counted);
        let current = Arc::clone(&known.current);
        let kept = known.kept.clone();
        drop(known); // what follows takes time, and a reload must not wait for it
        let (sums, used) = (current.sums(), current.used(policy, MAX_USED));
        let queries = counted.by_rule();
        let names = self.names.by_rule(MAX_NAMES);
        for (name, of_rule) in policy_rules(policy, &current.patterns) {
            let mut rule = match kept.get(name) {
                Some(rule) => rule.clone(),
                None => new_rule(name, page.now),
            };
            let live = queries.get(name).map(Vec::as_slice).unwrap_or_default();
            add_queries(&mut rule.queries, live);
            for id in &of_rule.ids {
                if let Some(sum) = sums.get(id.0 as usize) {
                    sum.add_to(&mut rule, page.now);
                }
                rule.used.extend(used.texts(*id));
            }
            rule.used.sort_unstable();
            rule.used_complete = used.is_complete;
            let id = of_rule.ids.first().and_then(|&id| current.name_id(id));
            names.write(id, &mut rule);
            self.networks.write(id, &mut rule);
            if !of_rule.is_built_in || rule.last.is_some() {
                page.rules.push(rule);
            }
        }
        page
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rules of one name. Configured rules have names of their own; built-in ones may share one.
#[derive(Debug, Default)]
struct RulesOfName {
    ids: Vec<RuleId>,
    patterns: u64,
    is_built_in: bool,
}

/// The rules of a policy by name, in the order of the policy.
fn policy_rules<'p>(policy: &'p Policy, patterns: &[usize]) -> Vec<(&'p str, RulesOfName)> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut rules: Vec<(&str, RulesOfName)> = Vec::new();
    for (id, rule) in (0..).map(RuleId).zip(policy.rules()) {
        let at = *places.entry(&rule.name).or_insert_with(|| {
            rules.push((&rule.name, RulesOfName::default()));
            rules.len() - 1
        });
        if let Some((_, of_name)) = rules.get_mut(at) {
            of_name.ids.push(id);
            of_name.patterns += patterns.get(id.0 as usize).map_or(0, |&count| count as u64);
            of_name.is_built_in = rule.origin.is_built_in();
        }
    }
    rules
}

/// What is known of each rule, for the next generation. The counters of queries and names belong to
/// the process, and go on.
fn carried(known: &Known) -> HashMap<String, RuleUsage> {
    let Some(snapshot) = &known.current.snapshot else {
        return HashMap::new();
    };
    let policy = snapshot.policy();
    let (sums, used) = (known.current.sums(), known.current.used(policy, usize::MAX));
    let mut kept = known.kept.clone();
    for (name, of_rule) in policy_rules(policy, &known.current.patterns) {
        let Some(rule) = kept.get_mut(name) else {
            continue;
        };
        for id in &of_rule.ids {
            if let Some(sum) = sums.get(id.0 as usize) {
                sum.add_to(rule, Timestamp::MAX);
            }
            rule.used.extend(used.texts(*id));
        }
    }
    kept
}

fn groups(policy: &Policy, known: &Known, counted: &Counted) -> Vec<GroupUsage> {
    let of_name = |name: &str| {
        let live = counted
            .groups
            .iter()
            .filter(|(id, _)| counted.text(**id) == name);
        let live: u64 = live.map(|(_, count)| count).sum();
        live.saturating_add(known.groups.get(name).copied().unwrap_or(0))
    };
    let groups = policy.groups().iter().map(|group| GroupUsage {
        group: group.name.to_string(),
        queries: of_name(&group.name),
    });
    groups.collect()
}

/// Adds counts to those of earlier processes.
fn add_queries(kept: &mut Vec<QueryCount>, live: &[QueryCount]) {
    for count in live {
        let same = |it: &&mut QueryCount| it.group == count.group && it.verdict == count.verdict;
        match kept.iter_mut().find(same) {
            Some(known) => known.count = known.count.saturating_add(count.count),
            None => kept.push(count.clone()),
        }
    }
    kept.sort_by(|a, b| (&a.group, &a.verdict).cmp(&(&b.group, &b.verdict)));
}

fn new_rule(name: &str, since: Timestamp) -> RuleUsage {
    RuleUsage {
        rule: name.to_owned(),
        since,
        names_since: since,
        first: None,
        last: None,
        queries: Vec::new(),
        types: Vec::new(),
        patterns: 0,
        used: Vec::new(),
        used_complete: true,
        names: Vec::new(),
        distinct_names: 0,
        names_complete: true,
        networks: Vec::new(),
        networks_complete: true,
        aliases: false,
        aliases_outside: false,
        alias_target: false,
    }
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The time, to the second. A clock beyond the years of RFC 3339 is at their end.
fn stamp(time: SystemTime) -> Timestamp {
    stamp_of(seconds(time))
}

fn stamp_of(seconds: u64) -> Timestamp {
    let second = i64::try_from(seconds).ok();
    let stamp = second.and_then(|second| Timestamp::from_second(second).ok());
    stamp.unwrap_or(Timestamp::MAX)
}
