//! Unbound's configuration: local zones and data, forward and stub zones, who may ask, views.
//!
//! Unbound looks at local zones first (the longest name), then at forward zones (the longest name). Both are maps by the longest name,
//! so for each name of either there is one thing that happens at and below it, and that is what is stated. Where no local
//! zone and no forward zone above the root is about a name, Unbound resolves it: that is its default.

use std::collections::{BTreeMap, BTreeSet};

use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{DenyWith, Pattern},
};

use crate::{
    ImportError, IncludeReader, Kept, Place, SourceFile,
    draft::{Draft, Said, answer_of},
    shape,
    statement::{Effect, Groups, Resolver},
};

mod access;
mod read;
mod words;

use read::{Config, LocalZone, Scope, ZoneKind};

/// The layer of clients that are refused and of what could not be read.
const FIRST: u32 = 0;
/// The layer of local data, which come before what is said about their zone.
const DATA: u32 = 1;
/// The layer of zones.
const NAMES: u32 = 2;
/// The layer of what is resolved by default.
const DEFAULT: u32 = 3;

/// Zones that Unbound has by itself: names that are not asked for outside.
const BUILT_IN: [&str; 21] = [
    "localhost",
    "onion",
    "test",
    "invalid",
    "home.arpa",
    "resolver.arpa",
    "service.arpa",
    "10.in-addr.arpa",
    "168.192.in-addr.arpa",
    "127.in-addr.arpa",
    "254.169.in-addr.arpa",
    "0.in-addr.arpa",
    "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "d.f.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
];

pub(crate) fn read(
    sources: &[SourceFile],
    includes: &mut dyn IncludeReader,
    draft: &mut Draft<'_>,
) -> Result<(), ImportError> {
    let config = read::read(sources, includes, draft)?;
    let clients = access::groups(&config, draft);
    let Some(source) = sources.first() else {
        return Ok(());
    };
    let start = Place::line(&source.name, 1);
    let upstreams = Forwards::new(&config, draft);
    for (view, groups) in clients {
        let local = Local::new(&config, view.as_deref());
        names(&local, &upstreams, &groups, draft, &start);
        data(&local, &groups, draft);
    }
    default(&config, &upstreams, draft, &start);
    Ok(())
}

/// Where names are resolved.
struct Forwards {
    zones: BTreeMap<Name, (String, Place, Resolver)>,
}

impl Forwards {
    fn new(config: &Config, draft: &mut Draft<'_>) -> Self {
        let mut zones = BTreeMap::new();
        for forward in &config.forwards {
            let Some(name) = &forward.name else {
                draft.left_out(
                    &forward.place,
                    "a forward zone without a name",
                    "it is about no name",
                    "",
                );
                continue;
            };
            let label = match name.as_ref().is_root() {
                true => "forward-root".to_owned(),
                false => format!("forward-{name}"),
            };
            let resolver = if forward.servers.is_empty() {
                // Without servers Unbound resolves the zone itself.
                Resolver::OPERATOR
            } else {
                let is_private =
                    !name.as_ref().is_root() && super::servers::are_private(&forward.servers);
                let upstream =
                    draft.upstream(&forward.place, &label, forward.servers.clone(), None);
                Resolver {
                    upstream: Some(upstream),
                    is_private,
                    cname_allowed: false,
                }
            };
            let known = zones.insert(
                name.clone(),
                (label, forward.place.clone(), resolver.clone()),
            );
            if known.is_some_and(|(_, _, known)| known != resolver) {
                let why = "the zone stands here twice with different servers; which of them are asked cannot be told";
                draft.left_out(
                    &forward.place,
                    format!("zone {name}"),
                    why,
                    "keep one of them; its names are denied",
                );
                draft.close(&forward.place, name.clone(), FIRST);
            }
        }
        Self { zones }
    }

    fn of(&self, name: &Name) -> Option<(&Name, &Resolver)> {
        longest(&self.zones, name).map(|(own, (_, _, resolver))| (own, resolver))
    }
}

/// The longest key that the name is at or below.
fn longest<'m, V>(map: &'m BTreeMap<Name, V>, name: &Name) -> Option<(&'m Name, &'m V)> {
    let mut at = Some(name.as_ref());
    while let Some(own) = at {
        if let Some(found) = map.get_key_value(&own.to_name()) {
            return Some(found);
        }
        at = own.parent();
    }
    None
}

/// The local zones and data that some clients see.
struct Local<'c> {
    scope: &'c Scope,
    /// The global ones, where a view says that they hold for what it does not have.
    also: Option<&'c Scope>,
    built_in: BTreeMap<Name, ()>,
    view: Option<&'c str>,
}

impl<'c> Local<'c> {
    fn new(config: &'c Config, view: Option<&'c str>) -> Self {
        let found = view.and_then(|view| config.views.get(view));
        let (scope, also) = match found {
            Some(view) => (&view.scope, view.first.then_some(&config.global)),
            None => (&config.global, None),
        };
        let own = BUILT_IN.iter().filter_map(|name| name.parse::<Name>().ok());
        let own = own.filter(|name| !scope.zones.contains_key(name));
        Self {
            scope,
            also,
            built_in: own.map(|name| (name, ())).collect(),
            view,
        }
    }

    fn zone(&self, name: &Name) -> Option<&'c LocalZone> {
        let own = longest(&self.scope.zones, name);
        let own = own.or_else(|| longest(&self.also?.zones, name));
        let own_len = own.map_or(0, |(name, _)| name.as_ref().label_count() + 1);
        match longest(&self.built_in, name) {
            Some((built_in, ())) if built_in.as_ref().label_count() + 1 > own_len => None,
            _ => own.map(|(_, zone)| zone),
        }
    }

    fn names(&self) -> BTreeSet<Name> {
        let scopes = std::iter::once(self.scope).chain(self.also);
        scopes
            .flat_map(|scope| scope.zones.keys().cloned())
            .collect()
    }

    /// Whether a zone above the name denies what it does not have.
    fn is_denied_above(&self, name: &Name) -> bool {
        let mut at = name.as_ref().parent();
        while let Some(own) = at {
            if self
                .zone(&own.to_name())
                .is_some_and(|zone| zone.kind.denial().is_some())
            {
                return true;
            }
            at = own.parent();
        }
        false
    }

    fn rule(&self, what: &str, name: &Name) -> String {
        let view = self
            .view
            .map_or_else(String::new, |view| format!("{view}-"));
        match name.as_ref().is_root() {
            true => format!("{view}{what}-root"),
            false => format!("{view}{what}-{name}"),
        }
    }
}

/// States what happens at and below each name of a local zone or a forward zone.
fn names(
    local: &Local<'_>,
    forwards: &Forwards,
    groups: &Groups,
    draft: &mut Draft<'_>,
    start: &Place,
) {
    for built_in in local.built_in.keys() {
        let mut said = Said::new(
            "unbound-built-in",
            Pattern::Subtree(built_in.clone()),
            crate::draft::NXDOMAIN,
            NAMES,
        );
        said.groups.clone_from(groups);
        draft.implicitly(start, said);
    }
    let own = local.names();
    for name in own.iter().cloned() {
        let Some(zone) = local.zone(&name) else {
            continue;
        };
        if let Some(effect) = denial(local, zone, &name) {
            let item = draft.kept(&zone.place, format!("local-zone {name} {}", zone.word));
            note(zone, item, draft);
            let mut said = Said::new(
                local.rule(&zone.word, &name),
                Pattern::Subtree(name),
                effect,
                NAMES,
            );
            said.groups.clone_from(groups);
            if zone.kind == ZoneKind::BlockA {
                said.types = crate::draft::types(&[RecordType::A]);
            }
            draft.state(&zone.place, Some(item), said);
        }
        if zone.kind.passes() {
            passes(local, zone, forwards, groups, draft);
        }
    }
    for (name, (label, place, resolver)) in &forwards.zones {
        if name.as_ref().is_root() || own.contains(name) {
            continue; // the default, or stated above
        }
        if local.zone(name).is_some_and(|zone| !zone.kind.passes())
            || longest(&local.built_in, name).is_some() && local.zone(name).is_none()
        {
            continue; // a local zone answers
        }
        let to = resolver.upstream.as_deref().unwrap_or("anywhere");
        let item = draft.kept_forward(place, format!("{label} to {to}"), resolver);
        let mut said = Said::new(
            local.rule("forward", name),
            Pattern::Subtree(name.clone()),
            Effect::Forward(resolver.clone()),
            NAMES,
        );
        said.groups.clone_from(groups);
        draft.state(place, Some(item), said);
    }
}

/// A zone that lets names through is a rule only if a zone above it denies them, or if its forward zone is not the root's.
fn passes(
    local: &Local<'_>,
    zone: &LocalZone,
    forwards: &Forwards,
    groups: &Groups,
    draft: &mut Draft<'_>,
) {
    let forward = forwards.of(&zone.name);
    let is_default = forward.is_none_or(|(name, _)| name.as_ref().is_root());
    if is_default && !local.is_denied_above(&zone.name) {
        if zone.kind != ZoneKind::BlockA {
            draft.kept(
                &zone.place,
                format!("local-zone {} {}", zone.name, zone.word),
            );
        }
        return;
    }
    let resolver = forward.map_or(Resolver::OPERATOR, |(_, resolver)| resolver.clone());
    let item = draft.kept(
        &zone.place,
        format!("local-zone {} {}", zone.name, zone.word),
    );
    note(zone, item, draft);
    if zone.tagged {
        return;
    }
    let mut said = Said::new(
        local.rule(&zone.word, &zone.name),
        Pattern::Subtree(zone.name.clone()),
        Effect::Forward(resolver),
        NAMES,
    );
    said.groups.clone_from(groups);
    draft.state(&zone.place, Some(item), said);
}

fn note(zone: &LocalZone, item: usize, draft: &mut Draft<'_>) {
    if zone.tagged {
        let why = "it is for clients with a tag; its denial is for every client here, and what it lets through is left out";
        draft.lower(
            Some(item),
            Kept::LeftOut,
            why,
            "write rules with groups for these clients",
        );
    }
}

/// What a zone does with names that it has no data for, unless it lets them through.
fn denial(local: &Local<'_>, zone: &LocalZone, name: &Name) -> Option<Effect> {
    match zone.kind {
        ZoneKind::Redirect => {
            let records: Vec<String> = local
                .scope
                .data
                .get(name)
                .into_iter()
                .flatten()
                .map(answer_of)
                .collect();
            Some(match records.is_empty() || zone.tagged {
                true => Effect::Deny(Some(DenyWith::NoData)),
                false => Effect::Answer(records),
            })
        }
        ZoneKind::AlwaysNull => Some(Effect::Answer(vec![
            "3600 A 0.0.0.0".to_owned(),
            "3600 AAAA ::".to_owned(),
        ])),
        ZoneKind::BlockA => Some(Effect::Deny(Some(DenyWith::NoData))),
        kind => kind.denial().map(|with| Effect::Deny(Some(with))),
    }
}

/// States the data of names, where their zone has them.
fn data(local: &Local<'_>, groups: &Groups, draft: &mut Draft<'_>) {
    let scopes = std::iter::once(local.scope).chain(local.also);
    let mut seen = BTreeSet::new();
    for (name, lines) in scopes.flat_map(|scope| &scope.data) {
        let Some(first) = lines.first().filter(|_| seen.insert(name.clone())) else {
            continue;
        };
        let zone = local.zone(name);
        if zone.is_some_and(|zone| zone.kind == ZoneKind::Redirect && zone.name == *name) {
            draft.kept(&first.place, format!("local-data {name}"));
            continue; // stated with the zone
        }
        if zone.is_some_and(|zone| !zone.kind.has_data()) {
            draft.kept(
                &first.place,
                format!("local-data {name} (its zone never answers with it)"),
            );
            continue;
        }
        let item = draft.kept(&first.place, format!("local-data {name}"));
        let mut said = Said::new(
            local.rule("data", name),
            Pattern::Exact(name.clone()),
            Effect::Answer(lines.iter().map(answer_of).collect()),
            DATA,
        );
        if zone.is_some_and(|zone| zone.tagged) {
            let why = "its zone is for clients with a tag";
            draft.lower(
                Some(item),
                Kept::LeftOut,
                why,
                "write rules with groups for these clients",
            );
            said.effect = Effect::Deny(None);
        }
        said.groups.clone_from(groups);
        // For types without data such zones do what they do with other names.
        let by_type = [ZoneKind::TypeTransparent, ZoneKind::AlwaysNull];
        if zone.is_some_and(|zone| by_type.contains(&zone.kind)) {
            said.types = Some(lines.iter().map(|line| line.rtype).collect());
        }
        draft.state(&first.place, Some(item), said);
    }
}

/// What Unbound does with names that it does not mention: it asks the forward zone of the root, or resolves them itself.
fn default(config: &Config, forwards: &Forwards, draft: &mut Draft<'_>, start: &Place) {
    let root = Name::root();
    let root_zone = config.global.zones.get(&root);
    if let Some(zone) = root_zone.filter(|zone| zone.kind.denial().is_some()) {
        if let Some((label, place, _)) = forwards.zones.get(&root) {
            draft.kept(
                place,
                format!(
                    "{label}, for the zones that let names through ({} denies the others)",
                    zone.word
                ),
            );
        }
        return;
    }
    match forwards.zones.get(&root) {
        Some((_, place, resolver)) => {
            draft.default_allow(place, "forward-zone .", resolver.clone(), DEFAULT)
        }
        None => draft.default_allow(
            start,
            "every name that no zone here has",
            Resolver::OPERATOR,
            DEFAULT,
        ),
    }
}

/// A name in the configuration: a dot alone is the root.
fn name_of(text: &str) -> Result<Name, shape::BadShape> {
    match text {
        "." => Ok(Name::root()),
        text => match shape::read(text, shape::Star::Literal)? {
            shape::Shape::Is(pattern) => Ok(pattern.name().to_name()),
            shape::Shape::Within { above, why } => Err(shape::BadShape {
                why: why.to_owned(),
                above,
            }),
        },
    }
}
