//! The name index: one tree with every pattern of every rule, so that a decision is one walk.
//!
//! ```text
//!   question a.b.example        the walk down ends at the closest known name, b.example;
//!                               the climb from there gives each name's entries, best first:
//!   .                           b.example:  Exact … not for a.b.example
//!   └─ example   .example                   Subtree or Below … matches
//!      └─ b      b.example      example:    Subtree …          matches
//! ```
//!
//! The order of the entries is the precedence of rules: longest name, then exact, then named group,
//! then configured. Building the tree sorts them once. The first applicable entry in this order
//! decides; the caller checks whether an entry applies.
//!
//! A million names should cost tens of megabytes, and a decision should read few cache lines. So an
//! entry takes four bytes and is stored in its node if it is the only one there ([`NodeData`]),
//! and only the tree stores the names.

use super::{EntryId, Pattern, Rule, RuleId, RuleOrigin, verdict::Disposition};
use crate::dns::{Name, NameBuf, NameRef, PackedId, PackedTree, Prefetch};

/// The maximum number of rules in a policy: the rule number must fit into the data of a node.
pub(super) const MAX_RULES: usize = 1 << RULE_BITS;

/// The part of a subtree that an entry matches. On the same name, the smaller kind takes
/// precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PatternKind {
    /// Only the name.
    Exact,
    /// The name and all names below it.
    Subtree,
    /// All names below the name, without the name itself.
    Below,
    /// The name and all names below it, unless another entry decides, even one of a shorter name.
    Search,
}

impl PatternKind {
    pub(super) fn of(pattern: &Pattern, rule: &Rule) -> Self {
        match pattern {
            _ if rule.origin == RuleOrigin::Search => Self::Search,
            Pattern::Exact(_) => Self::Exact,
            Pattern::Subtree(_) => Self::Subtree,
            Pattern::Below(_) => Self::Below,
        }
    }

    /// Whether an entry of this kind matches its own name, or the names below it.
    pub(super) const fn covers(self, reach: Coverage) -> bool {
        match reach {
            Coverage::Name => matches!(self, Self::Exact | Self::Subtree),
            Coverage::Below => matches!(self, Self::Subtree | Self::Below),
        }
    }

    /// The pattern of this kind for a name.
    pub(super) fn pattern(self, name: NameRef<'_>) -> Pattern {
        match self {
            Self::Exact => Pattern::Exact(name.to_name()),
            Self::Subtree | Self::Search => Pattern::Subtree(name.to_name()),
            Self::Below => Pattern::Below(name.to_name()),
        }
    }
}

/// The precedence of an entry among entries of the same name, best first. If two entries of equal
/// rank can both apply, building the policy fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    for_want_of_others: bool,
    wider_than_exact: bool,
    for_everybody: bool,
    built_in: bool,
}

impl Rank {
    pub(super) fn of(kind: PatternKind, rule: &Rule) -> Self {
        Self {
            for_want_of_others: kind == PatternKind::Search,
            wider_than_exact: kind != PatternKind::Exact,
            for_everybody: rule.groups.is_none(),
            built_in: rule.origin.is_built_in(),
        }
    }

    /// The disposition of an entry of rank `other` on the same name when an entry of this rank
    /// wins.
    pub(super) fn disposition_of(self, other: Self) -> Disposition {
        if self.wider_than_exact != other.wider_than_exact {
            Disposition::ExactWins
        } else if self.for_everybody != other.for_everybody {
            Disposition::NamedGroupWins
        } else {
            Disposition::ConfiguredWins
        }
    }
}

/// All patterns of all rules, by name.
#[derive(Clone, Debug)]
pub struct NameIndex {
    pub(super) tree: PackedTree,
    /// The entries of names with several entries, stored name by name.
    pub(super) shared: Vec<PackedEntry>,
    /// The total number of entries.
    pub(super) count: usize,
}

/// The end of the walk down to a name; the start for finding all its entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamePosition {
    /// The closest known name, and its label count.
    node: PackedId,
    labels: usize,
    /// The label count of the queried name.
    asked: usize,
}

impl NamePosition {
    /// Whether the name is the root.
    pub(super) const fn is_root(self) -> bool {
        self.asked == 0
    }

    /// Whether the name has one label.
    pub(super) const fn is_single_label(self) -> bool {
        self.asked == 1
    }
}

impl NameIndex {
    /// Walks down to `name` or its closest known ancestor.
    pub(super) fn lookup(&self, name: NameRef<'_>) -> NamePosition {
        let (node, labels) = self.tree.closest(name);
        let asked = name.label_count();
        NamePosition {
            node,
            labels,
            asked,
        }
    }

    /// Adds to `prefetch` the memory that the lookup of a name will read, so that
    /// [`NameIndex::fetch`] can read it for several names at once. `wire` should begin with the
    /// name but may hold any bytes; only the speed of the lookup depends on it. Returns whether
    /// prefetching is useful, which it is for long lists.
    pub fn prefetch(&self, wire: &[u8], prefetch: &mut Prefetch) -> bool {
        self.tree.prefetch(wire, prefetch)
    }

    /// Reads the memory in `prefetch` into the processor cache and empties `prefetch`.
    pub fn fetch(&self, prefetch: &mut Prefetch) {
        self.tree.fetch(prefetch);
    }

    /// The entries of a name and all its ancestors, in order of precedence. They include entries of
    /// the name itself that match only names below it.
    pub(super) fn entries(&self, position: NamePosition) -> EntriesOfName<'_> {
        let (above, data) = self.tree.above(position.node);
        EntriesOfName {
            names: self,
            above,
            labels: position.labels,
            asked: position.asked,
            here: self.at(position.node, NodeData::of(data)),
        }
    }

    /// The first entry of [`Self::entries`].
    #[inline]
    pub(super) fn first(&self, position: NamePosition) -> Option<PatternEntry> {
        let mut node = position.node;
        let mut labels = position.labels;
        loop {
            let (above, data) = self.tree.above(node);
            let (entry, place) = match NodeData::of(data).place() {
                Some(EntryPlace::Here(only)) => (only, node.place()),
                Some(EntryPlace::From(first)) => {
                    (*self.shared.get(first as usize)?, self.shared_place(first))
                }
                None => {
                    node = above?;
                    labels = labels.saturating_sub(1);
                    continue;
                }
            };
            return Some(PatternEntry {
                rule: entry.rule(),
                kind: entry.kind(),
                id: entry.id(place),
                labels,
                on_name: labels == position.asked,
            });
        }
    }

    /// Every name with a pattern, in no particular order.
    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        let nodes = self.tree.iter();
        let nodes = nodes.filter(|&(_, data)| NodeData::of(data).place().is_some());
        nodes.map(|(node, _)| self.name(node))
    }

    fn name(&self, node: PackedId) -> Name {
        let mut name = NameBuf::new();
        let mut at = node;
        while let Some(above) = self.tree.parent(at) {
            // Every name in the tree came from a valid name, so it fits.
            let _ = name.push_label(self.tree.label(at));
            at = above;
        }
        name.as_ref().to_name()
    }

    /// The place of a shared entry: behind the places of all nodes.
    #[inline]
    fn shared_place(&self, index: u32) -> u32 {
        self.tree.places().saturating_add(index)
    }

    /// One more than the highest place of an entry.
    pub(super) fn places(&self) -> usize {
        self.tree.places() as usize + self.shared.len()
    }

    /// The entries that `wanted` selects, with rule and pattern, in no particular order. Names are
    /// put together only for these.
    pub(super) fn select<'t>(
        &'t self,
        wanted: impl Fn(EntryId) -> bool + Copy + 't,
    ) -> impl Iterator<Item = (EntryId, RuleId, Pattern)> + 't {
        self.tree.iter().flat_map(move |(node, data)| {
            let here = self.at(node, NodeData::of(data));
            here.filter_map(move |(entry, id)| {
                let id = id.filter(|&id| wanted(id))?;
                let name = self.name(node);
                Some((id, entry.rule(), entry.kind().pattern(name.as_ref())))
            })
        })
    }

    /// The entry of a rule for exactly this name.
    pub(super) fn entry_of(&self, rule: RuleId, name: NameRef<'_>) -> Option<EntryId> {
        let position = self.lookup(name);
        if position.labels != position.asked {
            return None;
        }
        let data = NodeData::of(self.tree.data(position.node));
        let mut own = self.at(position.node, data);
        own.find_map(|(entry, id)| id.filter(|_| entry.rule() == rule))
    }

    /// Whether a name below this one is allowed for any group, at any time.
    pub(super) fn has_allowed_below(&self, position: NamePosition) -> bool {
        position.labels == position.asked
            && NodeData::of(self.tree.data(position.node)).is_allowed_below()
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The heap memory of the tree in bytes.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.tree.heap_bytes() + self.shared.capacity() * size_of::<PackedEntry>()
    }

    /// The entries of each name as rule and kind, best first.
    pub(super) fn by_name(
        &self,
    ) -> impl Iterator<Item = impl Iterator<Item = (RuleId, PatternKind)>> {
        self.tree.iter().map(|(node, data)| {
            self.at(node, NodeData::of(data))
                .map(|(it, _)| (it.rule(), it.kind()))
        })
    }

    fn at(&self, node: PackedId, data: NodeData) -> Here<'_> {
        match data.place() {
            None => Here::default(),
            Some(EntryPlace::Here(only)) => Here {
                next: Some(only),
                rest: &[],
                place: node.place(),
            },
            Some(EntryPlace::From(first)) => {
                let rest = self.shared.get(first as usize..).unwrap_or_default();
                match rest.split_first() {
                    Some((&next, rest)) => Here {
                        next: Some(next),
                        rest,
                        place: self.shared_place(first),
                    },
                    None => Here::default(),
                }
            }
        }
    }
}

/// The remaining entries of one name.
#[derive(Clone, Copy, Debug, Default)]
struct Here<'t> {
    next: Option<PackedEntry>,
    /// The entries of other names follow the last one of this name.
    rest: &'t [PackedEntry],
    /// The place of the next entry.
    place: u32,
}

impl Iterator for Here<'_> {
    type Item = (PackedEntry, Option<EntryId>);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.next?;
        let id = entry.id(self.place);
        self.place = self.place.saturating_add(1);
        self.next = None;
        if !entry.is_last()
            && let Some((&next, rest)) = self.rest.split_first()
        {
            (self.next, self.rest) = (Some(next), rest);
        }
        Some((entry, id))
    }
}

/// An entry found on the way from the root to a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct PatternEntry {
    pub(super) rule: RuleId,
    pub(super) kind: PatternKind,
    /// Its number.
    pub(super) id: Option<EntryId>,
    /// The label count of its name.
    pub(super) labels: usize,
    /// Whether its name is the queried name.
    on_name: bool,
}

/// The part that an entry may match, relative to the queried name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// The queried name.
    Name,
    /// The names below it that no entry mentions.
    Below,
}

impl PatternEntry {
    /// Whether the entry matches this part.
    pub(super) fn reaches(self, reach: Coverage) -> bool {
        // The queried name and all names below it are below the name of every ancestor entry.
        self.kind
            .covers(if self.on_name { reach } else { Coverage::Below })
    }
}

/// See [`NameIndex::entries`].
pub(super) struct EntriesOfName<'t> {
    names: &'t NameIndex,
    above: Option<PackedId>,
    labels: usize,
    asked: usize,
    here: Here<'t>,
}

impl Iterator for EntriesOfName<'_> {
    type Item = PatternEntry;

    fn next(&mut self) -> Option<PatternEntry> {
        loop {
            if let Some((entry, id)) = self.here.next() {
                return Some(PatternEntry {
                    rule: entry.rule(),
                    kind: entry.kind(),
                    id,
                    labels: self.labels,
                    on_name: self.labels == self.asked,
                });
            }
            let node = self.above?;
            let (above, data) = self.names.tree.above(node);
            self.above = above;
            self.labels = self.labels.saturating_sub(1);
            self.here = self.names.at(node, NodeData::of(data));
        }
    }
}

const ALLOWED_BELOW: u32 = 1 << 31;
const ONLY: u32 = 1 << 30;
const REST: u32 = ONLY - 1;

/// The rule number's bits in an entry; two more bits are the kind.
pub(super) const RULE_BITS: u32 = 28;
const KIND_BITS: u32 = 2;

/// The maximum index of a name's first entry.
pub(super) const MAX_PLACE: u32 = REST - 1;

/// The data of a node in the name index, in four bytes. A new node has no entry.
///
/// ```text
///   bit 31           a name below is allowed for a group, at some time
///   bit 30           bits 29 … 0 are the name's only entry
///   bits 29 … 0      that entry, or the index of the name's first entry plus one, or 0 for none
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeData(u32);

/// The location of a name's entries.
#[derive(Clone, Copy, Debug)]
pub(super) enum EntryPlace {
    /// The only entry.
    Here(PackedEntry),
    /// The index of the first entry.
    From(u32),
}

impl NodeData {
    /// Decodes the data of a node.
    pub(super) const fn of(bits: u32) -> Self {
        Self(bits)
    }

    /// Encodes the data for the tree.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    /// The location of the name's entries, if it has any.
    pub(super) const fn place(self) -> Option<EntryPlace> {
        match (self.0 & ONLY, self.0 & REST) {
            (0, 0) => None,
            (0, first) => Some(EntryPlace::From(first - 1)),
            (_, entry) => Some(EntryPlace::Here(PackedEntry(entry | LAST))),
        }
    }

    /// The same data with entries.
    pub(super) const fn with(self, place: EntryPlace) -> Self {
        let place = match place {
            EntryPlace::Here(entry) => ONLY | entry.0 & REST,
            EntryPlace::From(first) => (first + 1) & REST,
        };
        Self(self.0 & ALLOWED_BELOW | place)
    }

    /// Whether a name below this one is allowed for any group, at any time.
    pub(super) const fn is_allowed_below(self) -> bool {
        self.0 & ALLOWED_BELOW != 0
    }

    /// The same data with [`Self::is_allowed_below`] set.
    pub(super) const fn with_allowed_below(self) -> Self {
        Self(self.0 | ALLOWED_BELOW)
    }
}

/// An entry in four bytes: a flag for the last entry of the name, the rule, and two bits of kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedEntry(u32);

const LAST: u32 = 1 << 31;

impl PackedEntry {
    /// `last` marks the last entry of the name.
    pub(super) fn new(rule: RuleId, kind: PatternKind, last: bool) -> Self {
        let kind = match kind {
            PatternKind::Exact => 0,
            PatternKind::Subtree => 1,
            PatternKind::Below => 2,
            PatternKind::Search => 3,
        };
        let last = if last { LAST } else { 0 };
        Self(last | rule.0 << KIND_BITS | kind)
    }

    /// The rule of the entry.
    pub(super) const fn rule(self) -> RuleId {
        RuleId((self.0 & REST) >> KIND_BITS)
    }

    /// The number of the entry at its place.
    #[inline]
    pub(super) const fn id(self, place: u32) -> Option<EntryId> {
        EntryId::new(place, self.0 & 0b11 != 0)
    }

    /// The part of the subtree that the entry matches.
    pub(super) const fn kind(self) -> PatternKind {
        match self.0 & 0b11 {
            0 => PatternKind::Exact,
            1 => PatternKind::Subtree,
            2 => PatternKind::Below,
            _ => PatternKind::Search,
        }
    }

    /// Whether this is the last entry of the name.
    pub(super) const fn is_last(self) -> bool {
        self.0 & LAST != 0
    }
}
