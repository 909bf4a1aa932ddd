//! Parts of a name's types and groups, and what is left of one when others are taken away.

use std::collections::BTreeSet;

use dnsgate_config::default_types;
use dnsgate_core::dns::RecordType;

use crate::{
    draft::Draft,
    statement::{Effect, Groups, Statement, Types},
};

/// A part of a name's types and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) types: Types,
    pub(crate) groups: Groups,
}

/// All types and groups that occur, for what is left of "every" when some are taken away.
pub(crate) struct Universe {
    pub(crate) types: BTreeSet<RecordType>,
    pub(crate) groups: BTreeSet<String>,
}

pub(crate) fn universe(draft: &Draft<'_>, statements: &[Statement]) -> Universe {
    let mut types: BTreeSet<RecordType> =
        [RecordType::TXT, RecordType::CAA, RecordType::NAPTR].into();
    types.extend(default_types().listed().into_iter().flatten());
    types.remove(&RecordType::ANY);
    types.extend(statements.iter().flat_map(|it| it.types.iter().flatten()));
    for record in statements.iter().flat_map(|it| match &it.effect {
        Effect::Answer(records) => records.as_slice(),
        _ => &[],
    }) {
        types.extend(
            record
                .split(' ')
                .nth(1)
                .and_then(|rtype| rtype.parse::<RecordType>().ok()),
        );
    }
    let in_zones = draft.zones.iter().flat_map(|zone| &zone.records);
    types.extend(in_zones.map(|record| record.rtype));
    let groups = crate::cidr_groups::all_groups(draft).into_keys().collect();
    Universe { types, groups }
}

/// Takes an area away from others.
pub(crate) fn cut(areas: &mut Vec<Area>, taken: &Area, universe: &Universe) {
    let mut left = Vec::with_capacity(areas.len());
    for area in areas.drain(..) {
        let types_meet = meet(&area.types, &taken.types);
        let groups_meet = meet(&area.groups, &taken.groups);
        if !types_meet || !groups_meet {
            left.push(area);
            continue;
        }
        let other_groups = minus(&area.groups, &taken.groups, &universe.groups);
        if !other_groups.is_empty() {
            left.push(Area {
                types: area.types.clone(),
                groups: Some(other_groups.clone()),
            });
        }
        let other_types = minus(&area.types, &taken.types, &universe.types);
        if !other_types.is_empty() {
            let groups = match (&area.groups, other_groups.is_empty()) {
                (None, true) => None,
                (groups, _) => {
                    let own = groups.as_ref().unwrap_or(&universe.groups);
                    Some(own.difference(&other_groups).cloned().collect())
                }
            };
            left.push(Area {
                types: Some(other_types),
                groups,
            });
        }
    }
    *areas = left;
}

fn meet<T: Ord>(one: &Option<BTreeSet<T>>, other: &Option<BTreeSet<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => !one.is_disjoint(other),
        (Some(one), None) | (None, Some(one)) => !one.is_empty(),
        (None, None) => true,
    }
}

fn minus<T: Ord + Clone>(
    from: &Option<BTreeSet<T>>,
    taken: &Option<BTreeSet<T>>,
    all: &BTreeSet<T>,
) -> BTreeSet<T> {
    match taken {
        None => BTreeSet::new(),
        Some(taken) => {
            let from = from.as_ref().unwrap_or(all);
            from.difference(taken).cloned().collect()
        }
    }
}

/// The types that a rule which forwards does not let through.
pub(crate) fn not_forwarded(area: &Area, universe: &Universe) -> BTreeSet<RecordType> {
    let forwarded = |rtype: &RecordType| match &area.types {
        Some(types) => types.contains(rtype),
        None => default_types().contains(*rtype),
    };
    universe
        .types
        .iter()
        .filter(|rtype| !forwarded(rtype))
        .copied()
        .collect()
}
