//! When a list of names becomes a subtree: where there are more names below one than anybody would
//! read, which is how names look that a machine makes up. The deepest such name is taken, so that
//! no more is opened than that.

use std::collections::BTreeMap;

use super::observed::TimesSeen;
use dnsgate_core::{
    dns::{Name, NameRef},
    policy::Pattern,
};

/// The most names below one that are listed. What is written by hand rarely has more hosts in one
/// place, and generated names are never so few. No official reference.
const MANY: usize = 8;

/// A line of `domains`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DomainLine {
    pub(super) pattern: Pattern,
    /// The names that it stands for.
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

    /// The subtree that takes the place of these lines.
    fn subtree(ancestor: Name, lines: Vec<Self>) -> Option<Self> {
        let seen = lines.iter().map(|line| line.seen).reduce(TimesSeen::and)?;
        Some(Self {
            pattern: Pattern::Subtree(ancestor),
            names: lines.into_iter().flat_map(|line| line.names).collect(),
            seen,
        })
    }
}

/// The lines for these names. Nothing with fewer labels than `floor` becomes a subtree.
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

/// The last `labels` labels of a name, if it has as many.
pub(super) fn ancestor(name: NameRef<'_>, labels: usize) -> Option<NameRef<'_>> {
    let starts = name.label_starts();
    let starts = starts.as_slice();
    let at = starts.len().checked_sub(labels)?;
    Some(match starts.get(at) {
        Some(&start) => name.from_label(start),
        None => NameRef::ROOT,
    })
}
