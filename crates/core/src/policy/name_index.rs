//! Every pattern of every rule in one tree of names, so that a decision is one walk.
//!
//! ```text
//!   question a.b.example        the walk down ends at the closest known name, b.example;
//!                               the climb from there gives each name's entries, best first:
//!   .                           b.example:  Exact … not for a.b.example
//!   └─ example   .example                   Subtree or Below … matches
//!      └─ b      b.example      example:    Subtree …          matches
//! ```
//!
//! The order of the entries *is* the precedence of rules (longest name, then exact, then named
//! group, then configured), sorted once when the tree is built; whoever reads them in order and
//! takes the first that applies has decided. Whether one applies is not known here.
//!
//! A million names should cost tens of megabytes and a decision few lines of memory. So an entry is
//! four bytes, stands in its node where it is the only one there ([`node_data`]), and the names
//! themselves are kept by the tree alone.

mod node_data;

use self::node_data::{EntryPlace, NodeData, PackedEntry};
use super::{Disposition, Pattern, Rule, RuleId, RuleOrigin};
use crate::dns::{
    LabelTree, Name, NameBuf, NameRef, NodeId, PackedId, PackedTree, Prefetch, tree::TreeFull,
};

/// The most rules of one policy: a mark has room for so many numbers.
pub(super) const MAX_RULES: usize = 1 << node_data::RULE_BITS;

/// Which part of a subtree an entry is about; the better one on the same name first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PatternKind {
    /// The name alone.
    Exact,
    /// The name and all below it.
    Subtree,
    /// All below the name.
    Below,
    /// The name and all below it, where no other entry decides, that of a shorter name included.
    Search,
}

impl PatternKind {
    fn of(pattern: &Pattern, rule: &Rule) -> Self {
        match pattern {
            _ if rule.origin == RuleOrigin::Search => Self::Search,
            Pattern::Exact(_) => Self::Exact,
            Pattern::Subtree(_) => Self::Subtree,
            Pattern::Below(_) => Self::Below,
        }
    }

    /// Whether an entry of this kind is about its own name, or about the names below it.
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

/// The place of an entry among those on the same name, best first. EntriesOfName of equal rank are tied
/// where both apply, which is an error when the policy is built.
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

    /// What becomes of an entry of rank `other` on the same name when one of this rank wins.
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

/// A pattern with the node it stands at, before the tree is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlacedPattern {
    node: NodeId,
    pub(super) rank: Rank,
    pub(super) rule: RuleId,
    pub(super) kind: PatternKind,
    /// Its place among the rule's patterns.
    pub(super) pattern: u32,
}

/// The tree while it is built: what stands on one name can still be compared.
#[derive(Debug)]
pub(super) struct NameIndexBuilder {
    tree: LabelTree,
    placed: Vec<PlacedPattern>,
}

impl NameIndexBuilder {
    /// Places every pattern of the rules.
    ///
    /// # Errors
    /// When the names do not fit.
    pub(super) fn new(rules: &[Rule]) -> Result<Self, TreeFull> {
        let mut tree = LabelTree::new();
        let count = rules.iter().map(|rule| rule.patterns.len()).sum();
        let mut placed = Vec::with_capacity(count);
        tree.reserve(count);
        for (id, rule) in (0..).map(RuleId).zip(rules) {
            for (at, pattern) in (0..).zip(&rule.patterns) {
                let node = tree.insert(pattern.name(), 0)?;
                let kind = PatternKind::of(pattern, rule);
                placed.push(PlacedPattern {
                    node,
                    rank: Rank::of(kind, rule),
                    rule: id,
                    kind,
                    pattern: at,
                });
                if rule.action.allows() {
                    flag_ancestors(&mut tree, node);
                }
            }
        }
        // A list often has a name twice, or `x` beside `.x`. Of one rule's entries of one rank
        // the widest says it all; kinds sort so that it comes first.
        let key = |entry: &PlacedPattern| (entry.node, entry.rank, entry.rule);
        placed.sort_unstable_by_key(|entry| (key(entry), entry.kind, entry.pattern));
        placed.dedup_by_key(|entry| key(entry));
        if placed.len() > node_data::MAX_PLACE as usize {
            return Err(TreeFull);
        }
        Ok(Self { tree, placed })
    }

    /// The entries of each name that has any, best first.
    pub(super) fn by_name(&self) -> impl Iterator<Item = &[PlacedPattern]> {
        self.placed.chunk_by(|one, other| one.node == other.node)
    }

    /// The packed tree.
    ///
    /// # Errors
    /// When the names do not fit.
    pub(super) fn finish(self) -> Result<NameIndex, TreeFull> {
        let Self { mut tree, placed } = self;
        let mut shared = Vec::new();
        for group in placed.chunk_by(|one, other| one.node == other.node) {
            let Some(first) = group.first() else {
                continue;
            };
            let place = if let [only] = group {
                EntryPlace::Here(PackedEntry::new(only, true))
            } else {
                let begin = shared.len() as u32; // `new` has seen that they fit
                let left = (0..group.len()).rev();
                shared.extend(
                    left.zip(group)
                        .map(|(left, it)| PackedEntry::new(it, left == 0)),
                );
                EntryPlace::From(begin)
            };
            let mark = NodeData::of(tree.mark(first.node)).with(place);
            tree.set_mark(first.node, mark.bits());
        }
        let count = placed.len();
        drop(placed); // before the packed tree takes room
        shared.shrink_to_fit();
        Ok(NameIndex {
            tree: tree.pack()?,
            shared,
            count,
        })
    }
}

/// Notes at every name above `node` that something below it is allowed.
fn flag_ancestors(tree: &mut LabelTree, node: NodeId) {
    let mut above = tree.parent(node);
    while let Some(node) = above {
        let mark = NodeData::of(tree.mark(node));
        if mark.is_allowed_below() {
            return; // and so it is noted at all names above this one
        }
        tree.set_mark(node, mark.with_allowed_below().bits());
        above = tree.parent(node);
    }
}

/// All patterns of all rules, by name.
#[derive(Clone, Debug)]
pub(super) struct NameIndex {
    tree: PackedTree,
    /// The entries of names that have several, one name's after another's.
    shared: Vec<PackedEntry>,
    /// How many entries there are in all.
    count: usize,
}

/// Where the walk down to a name ended: all that the tree has to say of the name is found from here.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamePosition {
    /// The closest known name, and how many labels it has.
    node: PackedId,
    labels: usize,
    /// How many labels the name has.
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
    /// Walks down to `name`, or as close as there is a known name.
    pub(super) fn find(&self, name: NameRef<'_>) -> NamePosition {
        let (node, labels) = self.tree.closest(name);
        let asked = name.label_count();
        NamePosition {
            node,
            labels,
            asked,
        }
    }

    /// As [`PackedTree::prefetch`].
    pub(super) fn prefetch(&self, wire: &[u8], prefetch: &mut Prefetch) -> bool {
        self.tree.prefetch(wire, prefetch)
    }

    /// As [`PackedTree::fetch`].
    pub(super) fn fetch(&self, prefetch: &mut Prefetch) {
        self.tree.fetch(prefetch);
    }

    /// The entries that stand on a name and on every name above it, in the order of precedence.
    /// Among them are those on the name itself that are about the names below it only.
    pub(super) fn entries(&self, position: NamePosition) -> EntriesOfName<'_> {
        let (above, mark) = self.tree.above(position.node);
        EntriesOfName {
            names: self,
            above,
            labels: position.labels,
            asked: position.asked,
            here: self.at(NodeData::of(mark)),
        }
    }

    /// Every name that has a pattern, in no particular order.
    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        let nodes = self.tree.iter();
        let nodes = nodes.filter(|&(_, mark)| NodeData::of(mark).place().is_some());
        nodes.map(|(node, _)| {
            let mut name = NameBuf::new();
            let mut at = node;
            while let Some(above) = self.tree.parent(at) {
                // It was a name when it was put in.
                let _ = name.push_label(self.tree.label(at));
                at = above;
            }
            name.as_ref().to_name()
        })
    }

    /// Whether a name below this one is allowed to anybody, at any time.
    pub(super) fn has_allowed_below(&self, position: NamePosition) -> bool {
        position.labels == position.asked
            && NodeData::of(self.tree.mark(position.node)).is_allowed_below()
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How many bytes the names take.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.tree.heap_bytes() + self.shared.capacity() * size_of::<PackedEntry>()
    }

    /// Each name's entries, best first, as rule and kind.
    pub(super) fn by_name(
        &self,
    ) -> impl Iterator<Item = impl Iterator<Item = (RuleId, PatternKind)>> {
        self.tree
            .iter()
            .map(|(_, mark)| self.at(NodeData::of(mark)).map(|it| (it.rule(), it.kind())))
    }

    fn at(&self, mark: NodeData) -> Here<'_> {
        match mark.place() {
            None => Here::default(),
            Some(EntryPlace::Here(only)) => Here {
                next: Some(only),
                rest: &[],
            },
            Some(EntryPlace::From(first)) => {
                let rest = self.shared.get(first as usize..).unwrap_or_default();
                match rest.split_first() {
                    Some((&next, rest)) => Here {
                        next: Some(next),
                        rest,
                    },
                    None => Here::default(),
                }
            }
        }
    }
}

/// The entries of one name, from the next one on.
#[derive(Clone, Copy, Debug, Default)]
struct Here<'t> {
    next: Option<PackedEntry>,
    /// Behind the last one of this name those of others.
    rest: &'t [PackedEntry],
}

impl Iterator for Here<'_> {
    type Item = PackedEntry;

    fn next(&mut self) -> Option<PackedEntry> {
        let entry = self.next?;
        self.next = None;
        if !entry.is_last()
            && let Some((&next, rest)) = self.rest.split_first()
        {
            (self.next, self.rest) = (Some(next), rest);
        }
        Some(entry)
    }
}

/// An entry on the way from the root to a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct PatternEntry {
    pub(super) rule: RuleId,
    pub(super) kind: PatternKind,
    /// How many labels its name has.
    pub(super) labels: usize,
    /// Whether that is the very name asked for.
    on_name: bool,
}

/// What an entry may be about, seen from the name asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// The name itself.
    Name,
    /// The names below it that no entry mentions.
    Below,
}

impl PatternEntry {
    /// Whether the entry is about what `reach` says.
    pub(super) fn reaches(self, reach: Coverage) -> bool {
        // What is asked for is below all names but its own, and so is what is below that.
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
            if let Some(entry) = self.here.next() {
                return Some(PatternEntry {
                    rule: entry.rule(),
                    kind: entry.kind(),
                    labels: self.labels,
                    on_name: self.labels == self.asked,
                });
            }
            let (above, mark) = self.names.tree.above(self.above?);
            self.above = above;
            self.labels = self.labels.saturating_sub(1);
            self.here = self.names.at(NodeData::of(mark));
        }
    }
}
