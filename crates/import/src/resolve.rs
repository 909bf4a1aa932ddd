//! Turns what a source says into rules whose order does not matter.
//!
//! A source decides by its first layer that mentions a name, and within a layer by the longest name. dnsgate knows only the longest
//! name. So a statement loses what a statement of an earlier layer, about the same name or a name above it, decides
//! already: rectangles of types and groups are cut away. What is left of it becomes a rule; if nothing is left, the
//! source never came to it either.
//!
//! At one name there are two cells: the name itself, and the names below it. `.x` is both of them.

use std::collections::{BTreeSet, HashMap};

use dnsgate_config::default_types;
use dnsgate_core::{
    dns::{Name, RecordType},
    policy::Pattern,
    zone::{ZoneBuilder, ZoneProblem},
};

use crate::{
    ImportError, Kept, Place,
    draft::{self, Draft},
    statement::{Effect, Groups, Resolver, Statement, Types, ZoneData},
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

/// A part of a name's types and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Area {
    types: Types,
    groups: Groups,
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

/// All types and groups that occur, for what is left of "every" when some are taken away.
struct Universe {
    types: BTreeSet<RecordType>,
    groups: BTreeSet<String>,
}

/// Makes rules and zones of the draft's statements.
pub(crate) fn resolve(draft: &mut Draft<'_>) -> Result<(Vec<ReadyRule>, Vec<usize>), ImportError> {
    draft.check_size()?;
    check_zones(draft);
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
    Ok(rules(draft, &statements, parts))
}

/// Whether the pattern is about the name, about the names below it, or both.
fn cells_of(pattern: &Pattern) -> &'static [bool] {
    match pattern {
        Pattern::Exact(_) => &[false],
        Pattern::Below(_) => &[true],
        Pattern::Subtree(_) => &[false, true],
    }
}

fn universe(draft: &Draft<'_>, statements: &[Statement]) -> Universe {
    let mut types: BTreeSet<RecordType> =
        [RecordType::TXT, RecordType::CAA, RecordType::NAPTR].into();
    types.extend(default_types().listed().into_iter().flatten());
    types.remove(&RecordType::ANY);
    types.extend(statements.iter().flat_map(|it| it.types.iter().flatten()));
    let in_zones = draft.zones.iter().flat_map(|zone| &zone.records);
    types.extend(in_zones.map(|record| record.rtype));
    let groups = crate::write::group_names(draft);
    Universe { types, groups }
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
        if !earlier.closes || yields {
            cut(&mut areas, &earlier.area, universe);
        }
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
    areas
}

/// Takes an area away from others.
fn cut(areas: &mut Vec<Area>, taken: &Area, universe: &Universe) {
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
    parts
}

/// Groups what is left into rules, in the order of the source.
fn rules(
    draft: &mut Draft<'_>,
    statements: &[Statement],
    parts: Vec<(usize, Vec<(Pattern, Area)>)>,
) -> (Vec<ReadyRule>, Vec<usize>) {
    let allowed: BTreeSet<Name> = statements
        .iter()
        .filter(|it| !it.effect.is_deny() && !matches!(it.pattern, Pattern::Exact(_)))
        .map(|it| it.pattern.name().to_name())
        .collect();
    let needed = |name: &Name| {
        let mut at = Some(name.as_ref());
        while let Some(own) = at {
            if allowed.contains(&own.to_name()) {
                return true;
            }
            at = own.parent();
        }
        false // it is denied anyway
    };
    let mut zones = Vec::new();
    let mut rules: Vec<ReadyRule> = Vec::new();
    let mut places: HashMap<(String, Types, Groups, Effect), usize> = HashMap::new();
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
            if statement.implicit && !needed(&pattern.name().to_name()) {
                continue;
            }
            let Area { types, groups } = area;
            if groups.as_ref().is_some_and(BTreeSet::is_empty) {
                continue; // nobody
            }
            let key = (
                statement.rule.clone(),
                types,
                groups,
                statement.effect.clone(),
            );
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
                rule.patterns.push((pattern, statement.place.clone()));
            }
        }
    }
    note_types(draft, &rules);
    (rules, zones)
}

/// Reports once that forwarding is limited to the types that reach a name.
fn note_types(draft: &mut Draft<'_>, rules: &[ReadyRule]) {
    let unlimited =
        |rule: &&ReadyRule| matches!(rule.effect, Effect::Forward(_)) && rule.types.is_none();
    let first = rules.iter().find(unlimited);
    if let Some((_, place)) = first.and_then(|rule| rule.patterns.first()) {
        let why = "rules that forward let through the types that are needed to reach a name (A, AAAA, CNAME, HTTPS, SVCB, SRV, MX, PTR, NS, SOA); the source forwards every type, TXT among them";
        let advice = "add types: to a rule that needs more";
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

/// Removes records that no zone can have, so that the others can be served.
fn check_zones(draft: &mut Draft<'_>) {
    let mut zones = std::mem::take(&mut draft.zones);
    for zone in &mut zones {
        check_zone(draft, zone);
    }
    draft.zones = zones;
}

fn check_zone(draft: &mut Draft<'_>, zone: &mut ZoneData) {
    // Each round removes at least one record, and a faulty zone has few kinds of faults.
    for _ in 0..ROUNDS {
        let mut builder = ZoneBuilder::new(zone.origin.clone()).with_default_soa();
        let mut bad: Vec<(usize, String)> = Vec::new();
        let mut added = Vec::new();
        for (at, line) in zone.records.iter().enumerate() {
            added.push(at);
            let result = builder.add(line.owner.as_ref(), line.ttl, line.rtype, &line.rdata);
            if let Err(error) = result {
                bad.push((at, error.problem.to_string()));
            }
        }
        if bad.is_empty() {
            let Err(errors) = builder.finish() else {
                return;
            };
            for error in errors {
                if error.problem == ZoneProblem::NoSoa {
                    continue;
                }
                let at = error.record.and_then(|record| added.get(record)).copied();
                bad.extend(at.map(|at| (at, error.problem.to_string())));
            }
        }
        if bad.is_empty() {
            break;
        }
        bad.sort_unstable();
        bad.dedup_by_key(|(at, _)| *at);
        for (at, why) in bad.into_iter().rev() {
            if at < zone.records.len() {
                let line = zone.records.remove(at);
                let what = format!("{} {}", line.owner, line.rtype);
                draft.left_out(&line.place, what, &why, "correct the record at its source");
            }
        }
    }
    zone.records
        .retain(|line| line.owner.as_ref().is_within(zone.origin.as_ref()));
}

/// How often a zone is looked through for records that it cannot have.
const ROUNDS: usize = 8;
