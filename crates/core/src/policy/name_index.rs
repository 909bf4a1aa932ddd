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

use super::{
    EntryId, Pattern, Rule, RuleId,
    entry::{Coverage, EntryPlace, NodeData, PackedEntry, PatternKind},
    verdict::Disposition,
};
use crate::dns::{Name, NameBuf, NameRef, PackedId, PackedTree, Prefetch};

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
