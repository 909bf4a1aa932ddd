//! The operator's names as labels: each gets an ID when a configuration is loaded, and keeps it.
//!
//! IDs are never reused, so the counters of a rule survive every reload. There are 65 536: a file
//! that is reloaded for months with ever new names must not exhaust the memory. Names beyond the
//! limit count as [`OTHER`]. The log uses the full names of the configuration that decided the
//! query ([`LabelSet`]).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dnsgate_core::engine::{GroupId, RuleId, UpstreamId};

use super::labels::{NONE, OTHER};

/// The ID of a name.
pub(crate) type NameId = u16;

/// The ID of [`NONE`].
pub(crate) const NONE_ID: NameId = 0;
/// The ID of [`OTHER`].
pub(crate) const OTHER_ID: NameId = 1;

/// How many configurations' names are kept for queries and log lines that are in flight during a
/// reload. Those last a few seconds.
const KEPT: usize = 8;

/// The names of the groups, rules and upstreams of one configuration, by position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Group names, in the order of [`GroupId`].
    pub groups: Vec<String>,
    /// Rule names, in the order of [`RuleId`].
    pub rules: Vec<String>,
    /// Upstream names, in the order of [`UpstreamId`].
    pub upstreams: Vec<String>,
}

/// The names of one configuration, and the IDs under which its groups and rules are counted.
#[derive(Debug, Default)]
pub(crate) struct LabelSet {
    names: Labels,
    groups: Vec<NameId>,
    rules: Vec<NameId>,
}

impl LabelSet {
    /// The ID under which a group is counted.
    pub(crate) fn group_id(&self, group: Option<GroupId>) -> NameId {
        let Some(GroupId(at)) = group else {
            return NONE_ID;
        };
        self.groups.get(usize::from(at)).map_or(OTHER_ID, |&id| id)
    }

    /// The ID under which a rule is counted.
    pub(crate) fn rule_id(&self, rule: Option<RuleId>) -> NameId {
        let Some(RuleId(at)) = rule else {
            return NONE_ID;
        };
        self.rules.get(at as usize).map_or(OTHER_ID, |&id| id)
    }

    /// The IDs of all groups.
    pub(crate) fn group_ids(&self) -> &[NameId] {
        &self.groups
    }

    /// The group's name.
    pub(crate) fn group(&self, GroupId(at): GroupId) -> &str {
        self.names
            .groups
            .get(usize::from(at))
            .map_or(OTHER, |name| name)
    }

    /// The rule's name.
    pub(crate) fn rule(&self, RuleId(at): RuleId) -> &str {
        self.names.rules.get(at as usize).map_or(OTHER, |name| name)
    }

    /// The upstream's name.
    pub(crate) fn upstream(&self, UpstreamId(at): UpstreamId) -> &str {
        self.names
            .upstreams
            .get(usize::from(at))
            .map_or(OTHER, |name| name)
    }
}

/// All names that were ever counted, and the most recent configurations. The lock is taken by a
/// reload, by each thread once after a reload, and by a scrape.
#[derive(Debug, Default)]
pub(crate) struct Names(Mutex<Known>);

#[derive(Debug)]
struct Known {
    /// Indexed by ID.
    texts: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, NameId>,
    /// Ordered from oldest to newest.
    loaded: VecDeque<(u64, Arc<LabelSet>)>,
}

impl Default for Known {
    fn default() -> Self {
        let mut known = Self {
            texts: Vec::new(),
            ids: HashMap::new(),
            loaded: VecDeque::new(),
        };
        for text in [NONE, OTHER] {
            known.id(text);
        }
        known
    }
}

impl Known {
    fn id(&mut self, text: &str) -> NameId {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let Ok(id) = NameId::try_from(self.texts.len()) else {
            return OTHER_ID;
        };
        let text = Arc::<str>::from(text);
        self.texts.push(Arc::clone(&text));
        self.ids.insert(text, id);
        id
    }
}

impl Names {
    /// Registers a configuration's names. Call it before a query is decided by that configuration.
    pub(crate) fn load(&self, generation: u64, names: Labels) {
        let mut known = self.lock();
        let set = LabelSet {
            groups: names.groups.iter().map(|name| known.id(name)).collect(),
            rules: names.rules.iter().map(|name| known.id(name)).collect(),
            names,
        };
        if known.loaded.len() == KEPT {
            known.loaded.pop_front();
        }
        known.loaded.push_back((generation, Arc::new(set)));
    }

    /// The names of a configuration; empty if it is no longer kept.
    pub(crate) fn of(&self, generation: u64) -> Arc<LabelSet> {
        let known = self.lock();
        let mut loaded = known.loaded.iter().rev();
        let found = loaded.find(|(number, _)| *number == generation);
        found.map_or_else(Arc::default, |(_, set)| Arc::clone(set))
    }

    /// The generation of the newest configuration, and its names.
    pub(crate) fn newest(&self) -> (u64, Arc<LabelSet>) {
        self.lock().loaded.back().cloned().unwrap_or_default()
    }

    /// Every name, indexed by ID.
    pub(crate) fn texts(&self) -> Vec<Arc<str>> {
        self.lock().texts.clone()
    }

    /// A panic while the lock was held leaves at most unused names.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many names have a number.
    const NAMES: usize = 65_536;

    fn labels(groups: &[&str], rules: &[&str]) -> Labels {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Labels {
            groups: owned(groups),
            rules: owned(rules),
            upstreams: vec!["corp".into()],
        }
    }

    #[test]
    fn a_position_outside_the_configuration_is_other() {
        let names = Names::default();
        names.load(1, labels(&["build"], &["github"]));
        let set = names.of(1);
        let texts = names.texts();
        let text = |id: NameId| &*texts[usize::from(id)];
        assert_eq!(text(set.group_id(Some(GroupId(0)))), "build");
        assert_eq!(text(set.group_id(Some(GroupId(1)))), OTHER);
        assert_eq!(text(set.group_id(None)), NONE);
        assert_eq!(text(set.rule_id(Some(RuleId(0)))), "github");
        assert_eq!(text(set.rule_id(Some(RuleId(u32::MAX)))), OTHER);
        assert_eq!(text(set.rule_id(None)), NONE);
        assert_eq!(set.group(GroupId(0)), "build");
        assert_eq!(set.rule(RuleId(1)), OTHER);
        assert_eq!(set.upstream(UpstreamId(0)), "corp");
        assert_eq!(set.upstream(UpstreamId(1)), OTHER);
        assert_eq!(names.of(2).group(GroupId(0)), OTHER, "never loaded");
    }

    #[test]
    fn a_name_keeps_its_number_over_reloads() {
        let names = Names::default();
        names.load(1, labels(&["build", "web"], &["github", "other"]));
        let before = names.of(1);
        names.load(2, labels(&["lab", "build"], &["github"]));
        let after = names.of(2);
        assert_eq!(after.group_ids()[1], before.group_ids()[0]);
        assert_eq!(
            after.rule_id(Some(RuleId(0))),
            before.rule_id(Some(RuleId(0)))
        );
        assert_eq!(
            before.rule_id(Some(RuleId(1))),
            OTHER_ID,
            "one name, one number"
        );
        for generation in 3..100 {
            names.load(generation, labels(&["lab"], &[]));
        }
        assert_eq!(names.lock().loaded.len(), KEPT);
        assert_eq!(names.newest().0, 99);
    }

    #[test]
    fn names_past_the_bound_are_counted_as_other() {
        let names = Names::default();
        let many: Vec<_> = (0..NAMES).map(|at| format!("r{at}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        names.load(1, labels(&["r0"], &many));
        let set = names.of(1);
        let last = RuleId(u32::try_from(NAMES).expect("fits") - 1);
        assert_eq!(set.rule_id(Some(last)), OTHER_ID);
        assert_eq!(
            set.rule(last),
            format!("r{}", NAMES - 1),
            "the log knows it"
        );
        assert_eq!(names.texts().len(), NAMES);
    }
}
