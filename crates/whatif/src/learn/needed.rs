//! Tells the names of a log that a workload needs from upstreams apart from the rest: noise, names that never existed, and
//! names that the logging server answered or denied itself.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
    time::SystemTime,
};

use super::{
    asked::{AskedEntry, AskedNames},
    observed::{ObservedPage, ObservedQuestion, PageOrigin, TimesSeen},
};
use dnsgate_config::default_config;
use dnsgate_core::{
    dns::{Name, NameRef, RecordType},
    policy::{Action, Disposition, GroupId, Policy, RuleOrigin},
};
use dnsgate_logs::LogSummary;

/// Why a name of a log is not needed from an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LeftOut {
    /// The logging server denied it, or replaced its answer.
    Blocked,
    /// The logging server answered it from its own data.
    OwnData,
    /// dnsgate answers it without a rule.
    BuiltIn,
    /// It never existed.
    Absent,
    /// It is a name that search lists make, or has one label.
    Search,
    /// It is the reverse name of an address.
    Reverse,
    /// It is a name by which programs look for encrypted DNS.
    Canary,
}

impl LeftOut {
    /// The word by which `--include` asks for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::OwnData => "own",
            Self::BuiltIn => "built-in",
            Self::Absent => "absent",
            Self::Search => "search",
            Self::Reverse => "reverse",
            Self::Canary => "canary",
        }
    }

    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::Blocked,
        Self::OwnData,
        Self::BuiltIn,
        Self::Absent,
        Self::Search,
        Self::Reverse,
        Self::Canary,
    ];
}

/// Which names of the logs become rules.
#[derive(Clone, Debug)]
pub struct LogSelection {
    /// The fewest clients that asked for a name.
    pub min_clients: usize,
    /// Names that are wanted nevertheless.
    pub include: BTreeSet<LeftOut>,
    /// The time at which built-in rules are asked.
    pub now: SystemTime,
}

/// What is told about the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogNotes {
    /// The formats of the logs.
    pub(super) formats: String,
    /// The questions in all, and their times.
    pub(super) seen: TimesSeen,
    /// Questions before the time that was asked for, and questions without a time.
    pub(super) early: u64,
    pub(super) timeless: u64,
    /// Entries for which there was no room, and the most questions that one of them had.
    pub(super) dropped: (u64, u64),
    /// Names that too few clients asked for, and the fewest clients.
    pub(super) few_clients: (usize, usize),
    /// The groups that were made, with the networks of their clients.
    pub(super) groups: Vec<(String, Vec<String>)>,
    pub(super) left_out: BTreeMap<LeftOut, Vec<ObservedQuestion>>,
}

/// The questions of the logs as a page, from which rules are made.
#[must_use]
pub fn log_page(
    mut asked: AskedNames<'_>,
    summary: LogSummary,
    selection: &LogSelection,
) -> ObservedPage {
    let formats: Vec<String> = summary.formats().map(|it| it.to_string()).collect();
    let names = std::mem::take(&mut asked.names);
    let mut notes = LogNotes {
        formats: formats.join(", "),
        seen: asked.seen,
        early: asked.early,
        timeless: asked.timeless,
        dropped: asked.dropped,
        few_clients: (0, selection.min_clients),
        groups: Vec::new(),
        left_out: BTreeMap::new(),
    };
    let made = asked.made_groups();
    notes.groups = made
        .into_iter()
        .map(|(name, ranges)| (name.to_owned(), ranges))
        .collect();
    let default = default_config().policy;
    let judge = NoiseJudge {
        names: names.keys().map(|name| name.as_ref().wire()).collect(),
        policy: &default,
        group: default.admit(IpAddr::from([127, 0, 0, 1])),
        now: selection.now,
    };
    let mut observed = Vec::new();
    for (name, entries) in &names {
        let clients: HashSet<u32> = entries.iter().flat_map(|it| &it.clients).copied().collect();
        if clients.len() < selection.min_clients {
            notes.few_clients.0 += 1;
            continue;
        }
        for entry in entries {
            let question = ObservedQuestion {
                name: name.clone(),
                rtype: entry.rtype,
                group: asked.group_name(entry.group).to_owned(),
                rule: None,
                seen: entry.seen,
            };
            let why = judge.why_not(name.as_ref(), entry);
            match why.filter(|why| !selection.include.contains(why)) {
                None => observed.push(question),
                Some(why) => notes.left_out.entry(why).or_default().push(question),
            }
        }
    }
    // The table has no order of its own.
    let frequent_first = |all: &mut Vec<ObservedQuestion>| {
        all.sort_by_cached_key(|it| {
            (
                u64::MAX - it.seen.count,
                it.name.to_string(),
                it.rtype.0,
                it.group.clone(),
            )
        });
    };
    frequent_first(&mut observed);
    notes.left_out.values_mut().for_each(frequent_first);
    ObservedPage {
        origin: PageOrigin::Logs(Box::new(notes)),
        observed,
    }
}

/// What noise is found by.
struct NoiseJudge<'n> {
    /// Every name of the logs, in wire form.
    names: HashSet<&'n [u8]>,
    /// The policy without a configuration: it holds the built-in rules.
    policy: &'n Policy,
    group: Option<GroupId>,
    now: SystemTime,
}

impl NoiseJudge<'_> {
    fn why_not(&self, name: NameRef<'_>, entry: &AskedEntry) -> Option<LeftOut> {
        let ends = entry.ends;
        if let Some(built_in) = self.built_in(name, entry.rtype) {
            return Some(built_in);
        }
        if is_reverse(name) {
            return Some(LeftOut::Reverse);
        }
        if ends.is_blocked() {
            return Some(LeftOut::Blocked);
        }
        if ends.is_own() {
            return Some(LeftOut::OwnData);
        }
        if !ends.is_absent() {
            return None;
        }
        Some(if self.is_residue(name) {
            LeftOut::Search
        } else {
            LeftOut::Absent
        })
    }

    /// What a built-in rule of dnsgate says of the name. (The names of Google's APIs are not among them: whether dnsgate
    /// answers those is up to the configuration.)
    fn built_in(&self, name: NameRef<'_>, rtype: RecordType) -> Option<LeftOut> {
        let candidates = self.policy.explain(self.group?, name, rtype, self.now);
        let wins = candidates
            .iter()
            .find(|it| it.disposition == Disposition::Wins)?;
        match (wins.rule.origin, &wins.rule.action) {
            (RuleOrigin::Search, _) => Some(LeftOut::Search),
            (RuleOrigin::BuiltIn, Action::Deny) => Some(LeftOut::Canary),
            (RuleOrigin::BuiltIn, Action::Answer(_)) => Some(LeftOut::BuiltIn),
            _ => None,
        }
    }

    /// Whether a name that never existed is another name of the log with the domain of a search list behind it.
    fn is_residue(&self, name: NameRef<'_>) -> bool {
        let labels: Vec<&[u8]> = name.labels().collect();
        (2..labels.len()).any(|count| {
            let mut asked = Vec::new();
            for label in labels.iter().take(count) {
                asked.push(u8::try_from(label.len()).unwrap_or_default());
                asked.extend_from_slice(label);
            }
            asked.push(0);
            self.names.contains(&*asked)
        })
    }
}

fn is_reverse(name: NameRef<'_>) -> bool {
    let reverse = ["in-addr.arpa", "ip6.arpa"].map(|text| text.parse::<Name>());
    reverse
        .iter()
        .flatten()
        .any(|zone| name.is_within(zone.as_ref()))
}
