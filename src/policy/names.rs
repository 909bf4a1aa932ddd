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
//! A million names should cost tens of megabytes, so a node's value is four bytes (where its
//! entries begin), an entry is four bytes (rule, kind, whether it is the node's last), and the
//! names themselves are kept by the tree alone.

use crate::dns::{LabelTree, Name, NameBuf, NameRef, NodeId, tree::TreeFull};

use super::{Fate, Origin, Pattern, Rule, RuleId};

/// The most rules of one policy: an entry has 29 bits for the rule's number.
pub(super) const MAX_RULES: usize = 1 << (u32::BITS - RULE_SHIFT);

/// Which part of a subtree an entry is about; the better one on the same name first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The name alone.
    Exact,
    /// The name and all below it.
    Subtree,
    /// All below the name.
    Below,
}

impl Kind {
    fn of(pattern: &Pattern) -> Self {
        match pattern {
            Pattern::Exact(_) => Self::Exact,
            Pattern::Subtree(_) => Self::Subtree,
            Pattern::Below(_) => Self::Below,
        }
    }

    /// Whether an entry of this kind is about its own name, or about the names below it.
    pub(super) const fn covers(self, reach: Reach) -> bool {
        match reach {
            Reach::Name => matches!(self, Self::Exact | Self::Subtree),
            Reach::Below => matches!(self, Self::Subtree | Self::Below),
        }
    }

    /// The pattern of this kind for a name.
    pub(super) fn pattern(self, name: NameRef<'_>) -> Pattern {
        match self {
            Self::Exact => Pattern::Exact(name.to_name()),
            Self::Subtree => Pattern::Subtree(name.to_name()),
            Self::Below => Pattern::Below(name.to_name()),
        }
    }
}

/// The place of an entry among those on the same name, best first. Entries of equal rank are tied
/// where both apply, which is an error when the policy is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    wider_than_exact: bool,
    for_everybody: bool,
    built_in: bool,
}

impl Rank {
    pub(super) fn of(kind: Kind, rule: &Rule) -> Self {
        Self {
            wider_than_exact: kind != Kind::Exact,
            for_everybody: rule.groups.is_none(),
            built_in: rule.origin == Origin::BuiltIn,
        }
    }

    /// What becomes of an entry of rank `other` on the same name when one of this rank wins.
    pub(super) fn fate_of(self, other: Self) -> Fate {
        if self.wider_than_exact != other.wider_than_exact {
            Fate::ExactWins
        } else if self.for_everybody != other.for_everybody {
            Fate::NamedGroupWins
        } else {
            Fate::ConfiguredWins
        }
    }
}

/// A pattern with the node it stands at, before the tree is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    node: NodeId,
    pub(super) rank: Rank,
    pub(super) rule: RuleId,
    pub(super) kind: Kind,
    /// Its place among the rule's patterns.
    pub(super) pattern: u32,
}

/// The tree while it is built: what stands on one name can still be compared.
#[derive(Debug)]
pub(super) struct Draft {
    tree: LabelTree<Slot>,
    placed: Vec<Placed>,
}

impl Draft {
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
                let kind = Kind::of(pattern);
                placed.push(Placed {
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
        let key = |entry: &Placed| (entry.node, entry.rank, entry.rule);
        placed.sort_unstable_by_key(|entry| (key(entry), entry.kind, entry.pattern));
        placed.dedup_by_key(|entry| key(entry));
        if placed.len() >= NO_ENTRY as usize {
            return Err(TreeFull);
        }
        Ok(Self { tree, placed })
    }

    /// The entries of each name that has any, best first.
    pub(super) fn by_name(&self) -> impl Iterator<Item = &[Placed]> {
        self.placed.chunk_by(|one, other| one.node == other.node)
    }

    /// The packed tree.
    pub(super) fn finish(self) -> NameTree {
        let Self { mut tree, placed } = self;
        let mut entries = Vec::with_capacity(placed.len());
        for group in placed.chunk_by(|one, other| one.node == other.node) {
            let first = entries.len() as u32; // `new` has seen that they fit
            for (left, entry) in (0..group.len()).rev().zip(group) {
                entries.push(Packed::new(entry, left == 0));
            }
            let node = group.first().map(|entry| entry.node);
            let slot = node.and_then(|node| tree.value_or_insert_with(node, Slot::default));
            if let Some(slot) = slot {
                slot.set_first(first);
            }
        }
        tree.shrink_to_fit();
        NameTree { tree, entries }
    }
}

/// Notes at every name above `node` that something below it is allowed.
fn flag_ancestors(tree: &mut LabelTree<Slot>, node: NodeId) {
    let mut above = tree.parent(node);
    while let Some(node) = above {
        let Some(slot) = tree.value_or_insert_with(node, Slot::default) else {
            return;
        };
        if slot.allowed_below() {
            return; // and so it is noted at all names above this one
        }
        slot.set_allowed_below();
        above = tree.parent(node);
    }
}

/// Where a name's entries begin, and whether a name below it is allowed.
#[derive(Clone, Copy, Debug)]
struct Slot(u32);

/// The index of a name without entries of its own.
const NO_ENTRY: u32 = u32::MAX >> 1;
const ALLOWED_BELOW: u32 = !NO_ENTRY;

impl Default for Slot {
    fn default() -> Self {
        Self(NO_ENTRY)
    }
}

impl Slot {
    const fn first(self) -> u32 {
        self.0 & NO_ENTRY
    }

    fn set_first(&mut self, first: u32) {
        self.0 = (self.0 & ALLOWED_BELOW) | first;
    }

    const fn allowed_below(self) -> bool {
        self.0 & ALLOWED_BELOW != 0
    }

    fn set_allowed_below(&mut self) {
        self.0 |= ALLOWED_BELOW;
    }
}

/// An entry in four bytes: the rule, two bits of kind, one that ends the name's entries.
#[derive(Clone, Copy, Debug)]
struct Packed(u32);

const RULE_SHIFT: u32 = 3;
const LAST: u32 = 1;

impl Packed {
    fn new(entry: &Placed, last: bool) -> Self {
        let kind = match entry.kind {
            Kind::Exact => 0,
            Kind::Subtree => 1,
            Kind::Below => 2,
        };
        Self(entry.rule.0 << RULE_SHIFT | kind << 1 | u32::from(last))
    }

    const fn rule(self) -> RuleId {
        RuleId(self.0 >> RULE_SHIFT)
    }

    const fn kind(self) -> Kind {
        match self.0 >> 1 & 0b11 {
            0 => Kind::Exact,
            1 => Kind::Subtree,
            _ => Kind::Below,
        }
    }

    const fn is_last(self) -> bool {
        self.0 & LAST != 0
    }
}

/// All patterns of all rules, by name.
#[derive(Clone, Debug)]
pub(super) struct NameTree {
    tree: LabelTree<Slot>,
    entries: Vec<Packed>,
}

/// Where the walk down to a name ended: all that the tree has to say of the name is found from here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    /// The closest known name, and how many labels it has.
    node: NodeId,
    labels: usize,
    /// How many labels the name has.
    asked: usize,
}

impl NameTree {
    /// Walks down to `name`, or as close as there is a known name.
    pub(super) fn find(&self, name: NameRef<'_>) -> Spot {
        let (node, labels) = self.tree.closest(name, 0);
        let asked = name.label_count();
        Spot {
            node,
            labels,
            asked,
        }
    }

    /// The entries that stand on a name and on every name above it, in the order of precedence.
    /// Among them are those on the name itself that are about the names below it only.
    pub(super) fn entries(&self, spot: Spot) -> Entries<'_> {
        Entries {
            names: self,
            node: Some(spot.node),
            labels: spot.labels,
            asked: spot.asked,
            rest: self.entries_at(spot.node),
        }
    }

    /// Every name that has a pattern, in no particular order.
    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        let with_entry = |(_, slot): &(NodeId, &Slot)| slot.first() != NO_ENTRY;
        let nodes = self.tree.iter().filter(with_entry);
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
    pub(super) fn has_allowed_below(&self, spot: Spot) -> bool {
        let slot = self.tree.value(spot.node);
        spot.labels == spot.asked && slot.is_some_and(|slot| slot.allowed_below())
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes the names take.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.tree.heap_bytes() + self.entries.capacity() * size_of::<Packed>()
    }

    /// Each name's entries, best first, as rule and kind.
    pub(super) fn by_name(&self) -> impl Iterator<Item = impl Iterator<Item = (RuleId, Kind)>> {
        self.entries
            .chunk_by(|before, _| !before.is_last())
            .map(|name| name.iter().map(|entry| (entry.rule(), entry.kind())))
    }

    fn entries_at(&self, node: NodeId) -> &[Packed] {
        let first = self.tree.value(node).map_or(NO_ENTRY, |slot| slot.first());
        self.entries.get(first as usize..).unwrap_or_default()
    }
}

/// An entry on the way from the root to a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) rule: RuleId,
    pub(super) kind: Kind,
    /// How many labels its name has.
    pub(super) labels: usize,
    /// Whether that is the very name asked for.
    on_name: bool,
}

/// What an entry may be about, seen from the name asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The name itself.
    Name,
    /// The names below it that no entry mentions.
    Below,
}

impl Entry {
    /// Whether the entry is about what `reach` says.
    pub(super) fn reaches(self, reach: Reach) -> bool {
        // What is asked for is below all names but its own, and so is what is below that.
        self.kind
            .covers(if self.on_name { reach } else { Reach::Below })
    }
}

/// See [`NameTree::entries`].
pub(super) struct Entries<'t> {
    names: &'t NameTree,
    node: Option<NodeId>,
    labels: usize,
    asked: usize,
    /// The entries from the next one on: of this name up to its last one, then of others.
    rest: &'t [Packed],
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let node = self.node?;
            if let Some((&entry, rest)) = self.rest.split_first() {
                self.rest = if entry.is_last() { &[] } else { rest };
                return Some(Entry {
                    rule: entry.rule(),
                    kind: entry.kind(),
                    labels: self.labels,
                    on_name: self.labels == self.asked,
                });
            }
            self.node = self.names.tree.parent(node);
            self.labels = self.labels.saturating_sub(1);
            self.rest = self.node.map_or(&[], |node| self.names.entries_at(node));
        }
    }
}
