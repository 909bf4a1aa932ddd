//! The labels: fixed sets, whose labels have positions, and the operator's names of groups and rules,
//! which have IDs.
//!
//! Data that a client can choose never becomes a label: no queried name, no client address. A type
//! without a mnemonic is `other`.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dnsgate_core::{
    dns::{Rcode, RecordType},
    engine::{Ending, GroupId, Reason, RuleId, UpstreamId},
};

/// The label of an absent value: no group, no rule, no reply, no question.
pub(crate) const NONE: &str = "none";
/// The label of a value without its own label: a type without a mnemonic, a name beyond the limit.
pub(crate) const OTHER: &str = "other";

/// The number of labels of a response code: every code, and [`NONE`].
pub(crate) const RCODES: usize = Rcode::ALL.len() + 1;

/// The position of a response code's label.
pub(crate) const fn rcode_position(rcode: Option<Rcode>) -> usize {
    match rcode {
        Some(rcode) => rcode as usize,
        None => Rcode::ALL.len(),
    }
}

/// The label at a position.
pub(crate) fn rcode_label(position: usize) -> &'static str {
    Rcode::ALL
        .get(position)
        .map_or(NONE, |rcode| rcode.as_str())
}

/// The number of labels of a type: every mnemonic, [`OTHER`], [`NONE`].
pub(crate) const TYPES: usize = RecordType::NAMED.len() + 2;
const TYPE_OTHER: usize = RecordType::NAMED.len();
const TYPE_NONE: usize = RecordType::NAMED.len() + 1;

/// One past the highest type number that has a mnemonic.
const TYPE_NUMBERS: usize = RecordType::NAMED[RecordType::NAMED.len() - 1].0.0 as usize + 1;

/// Maps a type number to its position, so that the hot path need not search.
#[expect(
    clippy::cast_possible_truncation,
    reason = "there are fewer than 256 types with a name"
)]
static TYPE_POSITIONS: [u8; TYPE_NUMBERS] = {
    let mut positions = [TYPE_OTHER as u8; TYPE_NUMBERS];
    let mut at = 0;
    while at < RecordType::NAMED.len() {
        positions[RecordType::NAMED[at].0.0 as usize] = at as u8;
        at += 1;
    }
    positions
};

/// The position of a type's label.
pub(crate) fn type_position(qtype: Option<RecordType>) -> usize {
    match qtype {
        Some(RecordType(number)) => TYPE_POSITIONS
            .get(usize::from(number))
            .map_or(TYPE_OTHER, |&at| usize::from(at)),
        None => TYPE_NONE,
    }
}

/// The label at a position.
pub(crate) fn type_label(position: usize) -> &'static str {
    match RecordType::NAMED.get(position) {
        Some(&(_, mnemonic)) => mnemonic,
        None if position == TYPE_NONE => NONE,
        None => OTHER,
    }
}

/// The number of reasons that are denials.
pub(crate) const DENIALS: usize = {
    let (mut at, mut count) = (0, 0);
    while at < Reason::ALL.len() {
        if matches!(Reason::ALL[at].ending(), Ending::Denied) {
            count += 1;
        }
        at += 1;
    }
    count
};

/// The reasons that are denials, in the order of [`Reason::ALL`].
pub(crate) static DENIAL_REASONS: [Reason; DENIALS] = {
    let mut denials = [Reason::Blocked; DENIALS];
    let (mut at, mut count) = (0, 0);
    while at < Reason::ALL.len() {
        if matches!(Reason::ALL[at].ending(), Ending::Denied) {
            denials[count] = Reason::ALL[at];
            count += 1;
        }
        at += 1;
    }
    denials
};

/// The position of a denial's reason; `None` if the reason is not a denial.
pub(crate) fn denial_position(reason: Reason) -> Option<usize> {
    DENIAL_REASONS.iter().position(|&denial| denial == reason)
}

/// The ID of an operator's name. A name gets one when a configuration is loaded, and keeps it.
///
/// IDs are never reused, so the counters of a rule survive every reload. There are 65 536: a file
/// that is reloaded for months with ever new names must not exhaust the memory. Names beyond the
/// limit count as [`OTHER`]. The log uses the full names of the configuration that decided the
/// query ([`LabelSet`]).
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

/// The upper bounds of the buckets of `query_duration_seconds`.
///
/// Answers from memory take microseconds: the lower half distinguishes a quiet machine from one
/// whose queries wait in a batch or for a core. Above a millisecond the bounds mark important
/// limits: 2 s is the deadline of dnsgate's upstream queries, 4 s is when Cloud DNS gives up on a
/// target.
pub(crate) const BOUNDS: [Duration; 13] = [
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Nanoseconds per second.
const NANOS: u64 = 1_000_000_000;

/// The same bounds in nanoseconds.
#[expect(clippy::cast_possible_truncation, reason = "seconds, in nanoseconds")]
const BOUND_NANOS: [u64; BOUNDS.len()] = {
    let mut bounds = [0; BOUNDS.len()];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = BOUNDS[at].as_nanos() as u64;
        at += 1;
    }
    bounds
};

/// The number of buckets of one histogram: one per bound, and one above all bounds.
pub(crate) const BUCKETS: usize = BOUNDS.len() + 1;
/// The bucket of an observation; a value equal to a bound belongs to the bucket below it.
pub(crate) fn bucket(latency: Duration) -> usize {
    // Searches from the front, because most values are small.
    let within = BOUND_NANOS
        .iter()
        .position(|&bound| nanos(latency) <= bound);
    within.unwrap_or(BOUND_NANOS.len())
}

/// Converts to nanoseconds; saturates after 584 years.
pub(crate) fn nanos(latency: Duration) -> u64 {
    let seconds = latency.as_secs().saturating_mul(NANOS);
    seconds.saturating_add(u64::from(latency.subsec_nanos()))
}
