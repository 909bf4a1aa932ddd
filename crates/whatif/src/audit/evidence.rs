//! What is known about the use of each rule: from the page `/usage`, from a query log, or from both.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::SystemTime,
};

use jiff::Timestamp;

use crate::{
    ask::{ClientQuestion, ask},
    usage::{RuleUsage, UsagePage},
    words::plural,
};
use dnsgate_config::Case;
use dnsgate_core::{
    dns::{Name, RecordType},
    engine::{Ending, Outcome, RuleId, Snapshot},
    policy::{EntryId, GroupId, Pattern, Policy},
};

/// The most distinct names below subtrees that are kept of a log.
const MAX_NAMES: usize = 1_000_000;

/// The evidence about one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleEvidence {
    /// Whether there is any; a page of another configuration may not know the rule.
    pub(super) is_known: bool,
    /// Since when the page counts the rule; `None` without a page.
    pub(super) since: Option<Timestamp>,
    /// Since when the page counts the rule with these names.
    pub(super) names_since: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    /// The questions that it decided, or that an alias led to it.
    pub(super) count: u64,
    pub(super) used: HashSet<Pattern>,
    pub(super) used_complete: bool,
    /// The names below each of its subtrees, with the number of questions.
    pub(super) names: BTreeMap<String, BTreeMap<Name, u64>>,
    pub(super) names_complete: bool,
    pub(super) types: BTreeSet<RecordType>,
    /// Whether there were types that the page does not name.
    pub(super) other_types: bool,
    /// The networks of its answers, if a page has all of them.
    pub(super) networks: Option<Vec<ipnet::IpNet>>,
    /// Whether a page tells where its aliases led: whether there were any, and any outside.
    pub(super) aliases: Option<(bool, bool)>,
    /// Whether an alias led to a name below one of its subtrees, which `names` lacks.
    pub(super) is_target: bool,
}

/// The evidence about a configuration.
#[derive(Clone, Debug)]
pub struct Evidence {
    rules: Vec<RuleEvidence>,
    groups: Vec<Option<u64>>,
    /// The rule and pattern of each entry, and the subtrees among them.
    entries: HashMap<EntryId, (RuleId, Pattern)>,
    sources: Vec<String>,
    has_page: bool,
    names: usize,
}

impl Evidence {
    /// No evidence about this policy.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let entries = policy.entries(|_| true);
        Self {
            rules: vec![RuleEvidence::default(); policy.rules().len()],
            groups: vec![None; policy.groups().len()],
            entries: entries.map(|(id, rule, it)| (id, (rule, it))).collect(),
            sources: Vec::new(),
            has_page: false,
            names: 0,
        }
    }

    /// Where it comes from, a sentence for each source.
    #[must_use]
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Whether a page is among the sources, so that aliases and addresses are known.
    pub(super) const fn has_page(&self) -> bool {
        self.has_page
    }

    pub(super) fn rule(&self, id: RuleId) -> Option<&RuleEvidence> {
        self.rules.get(id.0 as usize)
    }

    /// The number of questions of a group, if it is known.
    pub(super) fn group(&self, id: GroupId) -> Option<u64> {
        self.groups.get(usize::from(id.0)).copied().flatten()
    }

    /// Adds a page; `source` names it.
    pub fn add_page(&mut self, page: &UsagePage, source: &str, policy: &Policy) {
        self.has_page = true;
        let seconds = page.now.as_second() - page.since.as_second();
        let days = u64::try_from(seconds / 86_400).unwrap_or(0);
        let kept = match page.kept_in {
            Some(_) => "",
            None => ", as long as that process runs",
        };
        self.sources.push(format!(
            "{source}, from {} to {} ({}{kept}), up to generation {}",
            page.since,
            page.now,
            plural(days, "day", "days"),
            page.generation
        ));
        for (own, group) in self.groups.iter_mut().zip(policy.groups()) {
            if let Some(known) = page.groups.iter().find(|it| *it.group == *group.name) {
                *own = Some(own.unwrap_or(0).saturating_add(known.queries));
            }
        }
        let known: HashMap<&str, &RuleUsage> =
            page.rules.iter().map(|it| (it.rule.as_str(), it)).collect();
        for (at, rule) in policy.rules().iter().enumerate() {
            let (Some(usage), Ok(id)) = (known.get(&*rule.name), u32::try_from(at)) else {
                continue;
            };
            self.add_rule(RuleId(id), usage, page.unlooked == 0);
        }
    }

    fn add_rule(&mut self, id: RuleId, usage: &RuleUsage, all_looked: bool) {
        let subtrees = self.subtrees(id);
        let Some(own) = self.rules.get_mut(id.0 as usize) else {
            return;
        };
        let merges = own.is_known;
        own.is_known = true;
        own.since = Some(usage.since);
        own.names_since = Some(usage.names_since);
        own.last = usage.last;
        let decided = usage.queries.iter().filter(|it| it.verdict != "denied");
        let decided: u64 = decided.map(|it| it.count).sum();
        own.count = own
            .count
            .saturating_add(decided.max(u64::from(usage.last.is_some())));
        own.used
            .extend(usage.used.iter().filter_map(|it| it.parse().ok()));
        own.used_complete = usage.used_complete && (own.used_complete || !merges);
        own.names_complete = usage.names_complete && all_looked && (own.names_complete || !merges);
        for name in &usage.names {
            if let Ok(parsed) = name.name.parse::<Name>()
                && let Some(subtree) = longest(&subtrees, &parsed)
            {
                let names = own.names.entry(subtree).or_default();
                let count = names.entry(parsed).or_default();
                *count = count.saturating_add(name.count);
            }
        }
        for rtype in &usage.types {
            match rtype.parse() {
                Ok(rtype) => drop(own.types.insert(rtype)),
                Err(_) => own.other_types = true,
            }
        }
        let networks = usage.networks.iter().filter_map(|it| it.parse().ok());
        own.networks = usage.networks_complete.then(|| networks.collect());
        own.aliases = Some((usage.aliases, usage.aliases_outside));
        own.is_target |= usage.alias_target;
    }

    /// The subtrees of a rule.
    fn subtrees(&self, id: RuleId) -> Vec<Pattern> {
        let own = self.entries.values().filter(|(rule, _)| *rule == id);
        let wide = own.filter(|(_, pattern)| !matches!(pattern, Pattern::Exact(_)));
        wide.map(|(_, pattern)| pattern.clone()).collect()
    }

    /// Begins to add a log: then no question of it is evidence, too.
    pub fn begin_log(&mut self) {
        for rule in &mut self.rules {
            if !rule.is_known {
                (rule.used_complete, rule.names_complete) = (true, true);
            }
            rule.is_known = true;
        }
        for group in &mut self.groups {
            group.get_or_insert(0);
        }
    }

    /// Adds a question of a log, as the configuration decides it.
    pub fn ask(&mut self, question: ClientQuestion<'_>, times: u64, on: (&Snapshot, SystemTime)) {
        let outcome = ask(question, on.0, on.1).outcome;
        if let Some(group) = outcome.group
            && let Some(Some(count)) = self.groups.get_mut(usize::from(group.0))
        {
            *count = count.saturating_add(times);
        }
        self.add_outcome(&outcome, question, times);
    }

    fn add_outcome(&mut self, outcome: &Outcome, question: ClientQuestion<'_>, times: u64) {
        let aliases = outcome.used.aliases.iter().flatten();
        let used = outcome.used.question.iter().chain(aliases);
        for (at, (id, entry)) in used.enumerate() {
            let Some((_, pattern)) = self.entries.get(entry) else {
                continue;
            };
            let Some(own) = self.rules.get_mut(id.0 as usize) else {
                continue;
            };
            own.count = own.count.saturating_add(times);
            own.types.insert(question.rtype);
            if !own.used.contains(pattern) {
                own.used.insert(pattern.clone());
            }
            own.is_target |= at > 0 && entry.is_wide();
            if at > 0 || !entry.is_wide() || outcome.ending() == Ending::Denied {
                continue;
            }
            let names = own.names.entry(pattern.to_string()).or_default();
            let name = question.name.to_name();
            if let Some(count) = names.get_mut(&name) {
                *count = count.saturating_add(times);
            } else if self.names < MAX_NAMES {
                self.names += 1;
                names.insert(name, times);
            } else {
                own.names_complete = false;
            }
        }
    }

    /// Ends a log; `source` names it, and says what it had.
    pub fn end_log(&mut self, source: String) {
        self.sources.push(source);
    }

    /// The same evidence with the questions of the configuration's own tests: what a test demands is
    /// needed, whether or not somebody has asked for it.
    pub(super) fn with_tests(&self, cases: &[Case], on: (&Snapshot, SystemTime)) -> Self {
        let mut more = self.clone();
        for case in cases {
            let question = ClientQuestion {
                name: case.name.as_ref(),
                rtype: case.rtype,
                source: case.source,
                transport: case.transport,
            };
            let outcome = ask(question, on.0, case.at.unwrap_or(on.1)).outcome;
            more.add_outcome(&outcome, question, 1);
            let named = case.expect.rule.as_deref();
            let rules = on.0.policy().rules().iter();
            for (own, _) in more
                .rules
                .iter_mut()
                .zip(rules)
                .filter(|(_, rule)| Some(&*rule.name) == named)
            {
                own.count = own.count.max(1);
            }
        }
        more
    }
}

/// The subtree of a rule that decides about a name: that with the longest name.
fn longest(subtrees: &[Pattern], name: &Name) -> Option<String> {
    let matching = subtrees.iter().filter(|it| it.matches(name.as_ref()));
    let longest = matching.max_by_key(|it| it.name().label_count());
    longest.map(Pattern::to_string)
}
