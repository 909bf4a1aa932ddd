//! Builds the name index from the patterns of all rules.
//!
//! Between [`NameIndexBuilder::new`] and [`NameIndexBuilder::finish`], the entries of a name are
//! sorted but not packed, so that they can be compared with each other.

use super::{
    Rule, RuleId,
    entry::{EntryPlace, MAX_PLACE, NodeData, PackedEntry, PatternKind},
    name_index::{NameIndex, Rank},
};
use crate::dns::{LabelTree, NodeId, tree::TreeFull};

/// A pattern and its node, before the tree is packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlacedPattern {
    node: NodeId,
    pub(super) rank: Rank,
    pub(super) rule: RuleId,
    pub(super) kind: PatternKind,
    /// The index of the pattern in its rule.
    pub(super) pattern: u32,
}

/// The unpacked tree, in which the entries of a name can still be compared.
#[derive(Debug)]
pub(super) struct NameIndexBuilder {
    tree: LabelTree,
    placed: Vec<PlacedPattern>,
}

impl NameIndexBuilder {
    /// Inserts every pattern of the rules.
    ///
    /// # Errors
    /// If the names do not fit.
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
        // A list often contains a name twice, or `x` beside `.x`. Of one rule's entries with equal
        // rank, the widest implies the others; its kind sorts first.
        let key = |entry: &PlacedPattern| (entry.node, entry.rank, entry.rule);
        placed.sort_unstable_by_key(|entry| (key(entry), entry.kind, entry.pattern));
        placed.dedup_by_key(|entry| key(entry));
        if placed.len() > MAX_PLACE as usize {
            return Err(TreeFull);
        }
        Ok(Self { tree, placed })
    }

    /// The entries of each name that has any, best first.
    pub(super) fn by_name(&self) -> impl Iterator<Item = &[PlacedPattern]> {
        self.placed.chunk_by(|one, other| one.node == other.node)
    }

    /// Packs the tree.
    ///
    /// # Errors
    /// If the names do not fit.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`new` has checked that the entries fit"
    )]
    pub(super) fn finish(self) -> Result<NameIndex, TreeFull> {
        let Self { mut tree, placed } = self;
        let mut shared = Vec::new();
        for group in placed.chunk_by(|one, other| one.node == other.node) {
            let Some(first) = group.first() else {
                continue;
            };
            let place = if let [only] = group {
                EntryPlace::Here(PackedEntry::new(only.rule, only.kind, true))
            } else {
                let begin = shared.len() as u32; // `new` has seen that they fit
                let left = (0..group.len()).rev();
                shared.extend(
                    left.zip(group)
                        .map(|(left, it)| PackedEntry::new(it.rule, it.kind, left == 0)),
                );
                EntryPlace::From(begin)
            };
            let data = NodeData::of(tree.data(first.node)).with(place);
            tree.set_data(first.node, data.bits());
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

/// Marks every ancestor of `node` as having an allowed name below it.
fn flag_ancestors(tree: &mut LabelTree, node: NodeId) {
    let mut above = tree.parent(node);
    while let Some(node) = above {
        let data = NodeData::of(tree.data(node));
        if data.is_allowed_below() {
            return; // and so it is noted at all names above this one
        }
        tree.set_data(node, data.with_allowed_below().bits());
        above = tree.parent(node);
    }
}
