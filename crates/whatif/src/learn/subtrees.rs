//! Replaces a list of names with a subtree if one name has more names below it than anybody would
//! review; such names are usually generated. It picks the deepest such parent, so that the subtree
//! allows as little as possible.

use std::collections::BTreeMap;

use super::observed::TimesSeen;
use dnsgate_core::{
    dns::{Name, NameRef},
    policy::Pattern,
};

/// The most names listed below one parent. Hand-written configurations rarely have more hosts in one
/// place, and generated names exceed it. No official reference.
const MANY: usize = 8;

/// A line of `domains`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DomainLine {
    pub(super) pattern: Pattern,
    /// The names that it covers.
    pub(super) names: Vec<Name>,
    pub(super) seen: TimesSeen,
}

impl DomainLine {
    pub(super) fn exact(name: &Name, seen: TimesSeen) -> Self {
        Self {
            pattern: Pattern::Exact(name.clone()),
            names: vec![name.clone()],
            seen,
        }
    }

    fn depth(&self) -> usize {
        self.pattern.name().label_count()
    }

    /// The subtree that replaces these lines.
    fn subtree(ancestor: Name, lines: Vec<Self>) -> Option<Self> {
        let seen = lines.iter().map(|line| line.seen).reduce(TimesSeen::and)?;
        Some(Self {
            pattern: Pattern::Subtree(ancestor),
            names: lines.into_iter().flat_map(|line| line.names).collect(),
            seen,
        })
    }
}

/// The lines for these names. A subtree has at least `floor` labels.
pub(super) fn lines(names: &BTreeMap<&Name, TimesSeen>, floor: usize) -> Vec<DomainLine> {
    let mut lines: Vec<DomainLine> = names
        .iter()
        .map(|(name, &seen)| DomainLine::exact(name, seen))
        .collect();
    let deepest = lines.iter().map(DomainLine::depth).max().unwrap_or(0);
    for depth in (floor.max(1)..deepest).rev() {
        let mut within: BTreeMap<Name, Vec<DomainLine>> = BTreeMap::new();
        for line in std::mem::take(&mut lines) {
            match ancestor(line.pattern.name(), depth) {
                Some(ancestor) => within.entry(ancestor.to_name()).or_default().push(line),
                None => lines.push(line),
            }
        }
        for (ancestor, mut of_one) in within {
            let below = of_one.iter().filter(|line| line.depth() > depth).count();
            if below > MANY {
                lines.extend(DomainLine::subtree(ancestor, of_one));
            } else {
                lines.append(&mut of_one);
            }
        }
    }
    lines
}

/// The last `labels` labels of a name, if it has that many.
pub(super) fn ancestor(name: NameRef<'_>, labels: usize) -> Option<NameRef<'_>> {
    let starts = name.label_starts();
    let starts = starts.as_slice();
    let at = starts.len().checked_sub(labels)?;
    Some(match starts.get(at) {
        Some(&start) => name.from_label(start),
        None => NameRef::ROOT,
    })
}
