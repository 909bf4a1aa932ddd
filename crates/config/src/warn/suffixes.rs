//! Rules and zones that cover names under which anybody can have one.

use super::super::{
    error::{Faults, MAX_NOTICES, Notice},
    file::{File, RuleEntry, ZoneEntry},
    parts::{Parts, Source},
    read::At,
    suffix::is_open,
};
use dnsgate_core::{
    dns::{Name, NameRef},
    policy::{Pattern, Rule},
};

/// What rules and zones cover that belongs to anybody.
pub(crate) fn suffixes(file: &File, parts: &Parts, faults: &Faults<'_>) -> Vec<Notice> {
    let rules = file.rules.iter().flat_map(|rule| in_domains(rule, faults));
    let zones = file
        .zones
        .iter()
        .filter_map(|zone| hidden_suffix(zone, faults));
    let mut notes: Vec<_> = rules.chain(zones).take(MAX_NOTICES).collect();
    for (rule, source) in parts.rules() {
        let room = MAX_NOTICES - notes.len();
        notes.extend(in_list(rule, source, room));
    }
    notes
}

/// The suffixes under `domains` of a rule that lets through all of them.
fn in_domains<'f>(
    rule: &'f RuleEntry,
    faults: &'f Faults<'_>,
) -> impl Iterator<Item = Notice> + 'f {
    let domains = rule.domains.iter().flat_map(|domains| &domains.value);
    let mut text = Vec::new();
    domains
        .filter(|_| rule.records.is_some() || rule.forward.is_some())
        .filter(move |pattern| covers_open(&pattern.value, &mut text))
        .map(|At { value, place }| faults.warning(*place, message(value), Some(HELP.to_owned())))
}

/// The first so many suffixes in the list of a rule that lets through all of them. All lines are
/// looked at, in some tenths of a second for a million: the one that opens the gate may be the last.
fn in_list(rule: &Rule, source: &Source, room: usize) -> Vec<Notice> {
    let Some(list) = source.list.as_ref().filter(|_| rule.action.allows()) else {
        return Vec::new();
    };
    // Those of the list are the first of the rule's, and those behind them have been looked at.
    let listed = rule.patterns.len().saturating_sub(source.names.len());
    let mut text = Vec::new();
    let open = rule.patterns.iter().take(listed).enumerate();
    let open = open.filter(|(_, pattern)| covers_open(pattern, &mut text));
    let (numbers, patterns): (Vec<_>, Vec<_>) = open.take(room).unzip();
    if numbers.is_empty() {
        return Vec::new();
    }
    let places = list.places(&numbers).into_iter().zip(patterns);
    let notice = |(place, pattern): (_, &Pattern)| {
        let help = Some(HELP.to_owned());
        list.file().warning(place, message(pattern), help)
    };
    places.map(notice).collect()
}

/// What to do about a suffix that is covered.
const HELP: &str = "name the domains that are meant";

fn message(pattern: &Pattern) -> String {
    let name = shown(pattern.name());
    format!("anybody can have a name under {name}, and `{pattern}` covers all of them")
}

/// Whether a pattern covers all names under one where anybody can have one. `text` is a buffer.
fn covers_open(pattern: &Pattern, text: &mut Vec<u8>) -> bool {
    match pattern {
        Pattern::Exact(_) => false,
        Pattern::Subtree(name) | Pattern::Below(name) => is_open(name.as_ref(), text),
    }
}

/// A zone that stands for a whole public suffix hides everything that others have there.
fn hidden_suffix(zone: &ZoneEntry, faults: &Faults<'_>) -> Option<Notice> {
    let origin: &At<Name> = zone.origin.as_ref()?;
    is_open(origin.value.as_ref(), &mut Vec::new()).then(|| {
        let name = shown(origin.value.as_ref());
        faults.warning(
            origin.place,
            format!(
                "anybody can have a name under {name}; to clients of this zone none of them exists"
            ),
            None,
        )
    })
}

fn shown(name: NameRef<'_>) -> String {
    if name.is_root() {
        return "the root".to_owned();
    }
    name.to_string().trim_end_matches('.').to_owned()
}
