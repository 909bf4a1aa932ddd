//! Turns what a source says into rules whose order does not matter.
//!
//! A source decides by its first layer that mentions a name, and within a layer by the longest name. dnsgate knows only the longest
//! name. So a statement loses what a statement of an earlier layer, about the same name or a name above it, decides
//! already: rectangles of types and groups are cut away. What is left of it becomes a rule; if nothing is left, the
//! source never came to it either.
//!
//! At one name there are two cells: the name itself, and the names below it. `.x` is both of them.

use std::collections::{BTreeSet, HashMap, HashSet};

use dnsgate_config::default_types;
use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{DenyWith, Pattern},
};

use crate::{
    ImportError, Kept, Place,
    areas::{Area, Universe, cut, not_forwarded, universe},
    draft::{self, Draft},
    statement::{Effect, Groups, Resolver, Statement, Types},
    zone_check,
};

/// A rule of the configuration.
#[derive(Debug)]
pub(crate) struct ReadyRule {
    pub(crate) name: String,
    pub(crate) patterns: Vec<(Pattern, Place)>,
    pub(crate) types: Types,
    pub(crate) groups: Groups,
    pub(crate) effect: Effect,
}

/// What decides about an area of a cell.
#[derive(Clone, Debug)]
struct Decided {
    layer: u32,
    area: Area,
    /// It stands for something that could not be read, so it takes what comes with it, too.
    closes: bool,
}

/// The name, and whether it stands for the names below it.
type Cell = (Name, bool);

/// Makes rules and zones of the draft's statements.
pub(crate) fn resolve(draft: &mut Draft<'_>) -> Result<(Vec<ReadyRule>, Vec<usize>), ImportError> {
    draft.check_size()?;
    zone_check::check_zones(draft);
    name_resolvers(draft);
    let mut statements = std::mem::take(&mut draft.statements);
    // A denial decides before what allows the same name in the same layer.
    statements.sort_by_key(|it| (it.layer, !it.effect.is_deny()));
    let universe = universe(draft, &statements);
    let mut cells: HashMap<Cell, Vec<Decided>> = HashMap::new();
    let mut parts: Vec<(usize, Vec<(Pattern, Area)>)> = Vec::new();
    for (at, statement) in statements.iter().enumerate() {
        let (name, wanted) = (
            statement.pattern.name().to_name(),
            cells_of(&statement.pattern),
        );
        let mut left: Vec<(bool, Vec<Area>)> = Vec::new();
        for &below in wanted {
            let areas = areas_left(statement, &name, below, &cells, &universe);
            left.push((below, areas));
        }
        let left = keep_zone_whole(draft, statement, left);
        report_loss(draft, statement, &left);
        for (below, areas) in &left {
            let decided = areas.iter().map(|area| Decided {
                layer: statement.layer,
                area: area.clone(),
                closes: statement.rule == draft::CLOSED,
            });
            let cell = cells.entry((name.clone(), *below)).or_default();
            cell.extend(decided);
        }
        parts.push((at, joined(&name, left)));
    }
    Ok(rules(draft, &statements, parts, &universe))
}

/// Whether the pattern is about the name, about the names below it, or both.
fn cells_of(pattern: &Pattern) -> &'static [bool] {
    match pattern {
        Pattern::Exact(_) => &[false],
        Pattern::Below(_) => &[true],
        Pattern::Subtree(_) => &[false, true],
    }
}

/// What earlier statements leave of a statement in one of its cells.
fn areas_left(
    statement: &Statement,
    name: &Name,
    below: bool,
    cells: &HashMap<Cell, Vec<Decided>>,
    universe: &Universe,
) -> Vec<Area> {
    let mut areas = vec![Area {
        types: statement.types.clone(),
        groups: statement.groups.clone(),
    }];
    // Something unread may be about any name: nothing is let through for it, and no wildcard answers. The data of one name stand.
    let yields = match statement.effect {
        Effect::Forward(_) => true,
        Effect::Answer(_) => below,
        Effect::Zone(_) | Effect::Deny(_) => false,
    };
    let same = cells.get(&(name.clone(), below)).into_iter().flatten();
    for earlier in same {
        cut(&mut areas, &earlier.area, universe);
    }
    let mut above = name.as_ref().parent();
    while let Some(ancestor) = above {
        let decided = cells.get(&(ancestor.to_name(), true)).into_iter().flatten();
        for earlier in decided {
            let before = match earlier.closes {
                true => yields && earlier.layer <= statement.layer,
                false => earlier.layer < statement.layer,
            };
            if before {
                cut(&mut areas, &earlier.area, universe);
            }
        }
        above = ancestor.parent();
    }
    if statement.types.is_none() && matches!(statement.effect, Effect::Forward(_)) {
        // What is left of every type is at most what a rule forwards without a list of types.
        for types in areas.iter_mut().filter_map(|area| area.types.as_mut()) {
            types.retain(|rtype| default_types().contains(*rtype));
        }
    }
    areas
}

/// A zone answers for everything at and below its origin and for every client, or not at all.
fn keep_zone_whole(
    draft: &mut Draft<'_>,
    statement: &Statement,
    left: Vec<(bool, Vec<Area>)>,
) -> Vec<(bool, Vec<Area>)> {
    let Effect::Zone(_) = statement.effect else {
        return left;
    };
    let all = Area {
        types: None,
        groups: None,
    };
    if left.iter().all(|(_, areas)| *areas == [all.clone()]) {
        return left;
    }
    let why = "something else decides about a part of its names before it, and a zone has all of them or none";
    let advice = "make one source of the two, or write the records as rules";
    draft.lower(statement.item, Kept::LeftOut, why, advice);
    left.into_iter()
        .map(|(below, _)| (below, Vec::new()))
        .collect()
}

/// Reports what earlier statements took from a statement.
fn report_loss(draft: &mut Draft<'_>, statement: &Statement, left: &[(bool, Vec<Area>)]) {
    let whole = Area {
        types: statement.types.clone(),
        groups: statement.groups.clone(),
    };
    if statement.implicit || left.iter().all(|(_, areas)| *areas == [whole.clone()]) {
        return;
    }
    if left.iter().any(|(_, areas)| !areas.is_empty()) && !statement.effect.is_deny() {
        let why = "what comes before it in the source decides about some of its types or clients";
        draft.lower(statement.item, Kept::Kept, why, "");
    }
}

/// The patterns of what is left; both cells of a name are joined where they have the same area.
fn joined(name: &Name, left: Vec<(bool, Vec<Area>)>) -> Vec<(Pattern, Area)> {
    let mut parts: Vec<(Pattern, Area)> = Vec::new();
    for (below, areas) in left {
        for area in areas {
            let exact = parts.iter_mut().find(|(pattern, other)| {
                below && *other == area && matches!(pattern, Pattern::Exact(_))
            });
            match exact {
                Some((pattern, _)) => *pattern = Pattern::Subtree(name.clone()),
                None if below => parts.push((Pattern::Below(name.clone()), area)),
                None => parts.push((Pattern::Exact(name.clone()), area)),
            }
        }
    }
    // The root alone has no written form; no host has that name.
    parts
        .retain(|(pattern, _)| !matches!(pattern, Pattern::Exact(name) if name.as_ref().is_root()));
    parts
}

/// Groups what is left into rules, in the order of the source.
fn rules(
    draft: &mut Draft<'_>,
    statements: &[Statement],
    parts: Vec<(usize, Vec<(Pattern, Area)>)>,
    universe: &Universe,
) -> (Vec<ReadyRule>, Vec<usize>) {
    // Names at and below which something is let through, and those at and below which there are data.
    let wide = |data_only: bool| -> HashSet<Name> {
        let wide = statements.iter().filter(|it| match it.effect {
            Effect::Deny(_) => false,
            Effect::Forward(_) => !data_only,
            Effect::Answer(_) | Effect::Zone(_) => true,
        });
        let wide = wide.filter(|it| !matches!(it.pattern, Pattern::Exact(_)));
        wide.map(|it| it.pattern.name().to_name()).collect()
    };
    let (allowed, with_data) = (wide(false), wide(true));
    let mut zones = Vec::new();
    let mut rules: Vec<ReadyRule> = Vec::new();
    let mut places = RulePlaces::new();
    for (at, parts) in parts {
        let Some(statement) = statements.get(at) else {
            continue;
        };
        for (pattern, area) in parts {
            if let Effect::Zone(zone) = statement.effect {
                if !zones.contains(&zone) {
                    zones.push(zone);
                }
                continue;
            }
            if statement.implicit && !is_within_any(&pattern, &allowed) {
                continue;
            }
            if area.groups.as_ref().is_some_and(BTreeSet::is_empty) {
                continue; // nobody
            }
            if matches!(statement.effect, Effect::Forward(_))
                && statement.types.is_none()
                && is_within_any(&pattern, &with_data)
            {
                // The types that the rule does not forward must not fall to the data of a shorter name.
                let other = Area {
                    types: Some(not_forwarded(&area, universe)),
                    groups: area.groups.clone(),
                };
                let name = format!("{}-other-types", statement.rule);
                let of = (name, Effect::Deny(None));
                put(
                    &mut rules,
                    &mut places,
                    of,
                    other,
                    (pattern.clone(), &statement.place),
                );
            }
            let of = (statement.rule.clone(), statement.effect.clone());
            put(
                &mut rules,
                &mut places,
                of,
                area,
                (pattern, &statement.place),
            );
        }
    }
    note_types(draft, &rules);
    (rules, zones)
}

/// The rules by what they have in common.
type RulePlaces = HashMap<(String, Types, Groups, Effect), usize>;

/// Adds a pattern to the rule with this name, effect and area.
fn put(
    rules: &mut Vec<ReadyRule>,
    places: &mut RulePlaces,
    (name, effect): (String, Effect),
    Area { types, groups }: Area,
    (pattern, place): (Pattern, &Place),
) {
    let effect = match (effect, &types) {
        (Effect::Answer(records), Some(types)) => answer_of_types(records, types),
        (effect, _) => effect,
    };
    let key = (name, types, groups, effect);
    let to = *places
        .entry(key)
        .or_insert_with_key(|(name, types, groups, effect)| {
            rules.push(ReadyRule {
                name: name.clone(),
                patterns: Vec::new(),
                types: types.clone(),
                groups: groups.clone(),
                effect: effect.clone(),
            });
            rules.len() - 1
        });
    if let Some(rule) = rules.get_mut(to) {
        rule.patterns.push((pattern, place.clone()));
    }
}

/// The records that a question of one of these types can get: its own, and aliases.
fn answer_of_types(mut records: Vec<String>, types: &BTreeSet<RecordType>) -> Effect {
    records.retain(|record| {
        let rtype = record.split(' ').find_map(|word| word.parse().ok());
        rtype.is_none_or(|rtype: RecordType| rtype == RecordType::CNAME || types.contains(&rtype))
    });
    match records.is_empty() {
        true => Effect::Deny(Some(DenyWith::NoData)),
        false => Effect::Answer(records),
    }
}

/// Whether the pattern's name is at or below one of the names.
fn is_within_any(pattern: &Pattern, names: &HashSet<Name>) -> bool {
    let mut at = Some(pattern.name());
    while let Some(own) = at {
        if names.contains(&own.to_name()) {
            return true;
        }
        at = own.parent();
    }
    false
}

/// Reports once that forwarding is limited to the types that reach a name.
fn note_types(draft: &mut Draft<'_>, rules: &[ReadyRule]) {
    let unlimited =
        |rule: &&ReadyRule| matches!(rule.effect, Effect::Forward(_)) && rule.types.is_none();
    let first = rules.iter().find(unlimited);
    if let Some((_, place)) = first.and_then(|rule| rule.patterns.first()) {
        let why = "rules that forward let through the types that are needed to reach a name (A, AAAA, CNAME, HTTPS, SVCB, SRV, MX, PTR, NS, SOA), and public addresses unless the rule lists others; the source forwards every type, TXT among them, and every address";
        let advice = "add `types` or `addresses` to a rule that needs more";
        draft.narrower(&place.clone(), "forwarded types", why, advice);
    }
}

/// Names the upstream of what the source lets through without saying where; without an upstream it is denied.
fn name_resolvers(draft: &mut Draft<'_>) {
    let operators = draft.upstreams.iter().find(|it| it.place.is_none());
    let operators = operators.map(|it| it.name.clone());
    let mut statements = std::mem::take(&mut draft.statements);
    for statement in &mut statements {
        let Effect::Forward(resolver @ Resolver { upstream: None, .. }) = &statement.effect else {
            continue;
        };
        match &operators {
            Some(name) => {
                let upstream = Some(name.clone());
                statement.effect = Effect::Forward(Resolver {
                    upstream,
                    ..resolver.clone()
                });
            }
            None => {
                let why =
                    "the source lets it through, and no upstream was named to ask, so it is denied";
                draft.lower(
                    statement.item,
                    Kept::Narrower,
                    why,
                    "pass --upstream NAME=SERVER, as in --upstream public=tls://8.8.8.8#dns.google",
                );
                statement.effect = Effect::Deny(None);
                statement.implicit = true;
            }
        }
    }
    draft.statements = statements;
}
