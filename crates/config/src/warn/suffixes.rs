//! Warns of rules and zones that cover names under which anybody can register a name.

use super::super::{
    error::{Faults, MAX_NOTICES, Notice},
    file::{File, RuleEntry, ZoneEntry},
    given::At,
    parts::{Parts, Source},
    suffix::is_open,
    text::shown,
};
use dnsgate_core::{
    dns::{Name, NameRef},
    policy::{Pattern, Rule},
};

/// The warnings about rules and zones that cover public suffixes.
pub(crate) fn suffixes(file: &File, parts: &Parts, faults: &Faults<'_>) -> Vec<Notice> {
    let rules = file
        .rules
        .values()
        .flat_map(|rule| in_domains(rule, faults));
    let zones = file
        .zones
        .values()
        .filter_map(|zone| hidden_suffix(zone, faults));
    let mut notes: Vec<_> = rules.chain(zones).take(MAX_NOTICES).collect();
    for (rule, source) in parts.rules() {
        let room = MAX_NOTICES - notes.len();
        notes.extend(in_list(rule, source, room));
    }
    notes
}

/// The public suffixes under `domains` that a rule allows completely.
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

/// The first `room` public suffixes in a list that a rule allows completely. It checks all lines,
/// which takes some tenths of a second for a million: the dangerous line may be the last.
fn in_list(rule: &Rule, source: &Source, room: usize) -> Vec<Notice> {
    let Some(list) = source.list.as_ref().filter(|_| rule.action.allows()) else {
        return Vec::new();
    };
    // The patterns of the list come first in the rule; those after them have been checked.
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

const HELP: &str = "name the domains that are meant";

fn message(pattern: &Pattern) -> String {
    let name = described(pattern.name());
    format!("anybody can have a name under {name}, and `{pattern}` covers all of them")
}

/// Whether a pattern covers all names under a suffix that is open to anybody. `text` is a buffer.
fn covers_open(pattern: &Pattern, text: &mut Vec<u8>) -> bool {
    match pattern {
        Pattern::Exact(_) => false,
        Pattern::Subtree(name) | Pattern::Below(name) => is_open(name.as_ref(), text),
    }
}

/// The warning for a zone at a public suffix: it hides the names that others have there.
fn hidden_suffix(zone: &ZoneEntry, faults: &Faults<'_>) -> Option<Notice> {
    let origin: &At<Name> = zone.origin.as_ref()?;
    is_open(origin.value.as_ref(), &mut Vec::new()).then(|| {
        let name = described(origin.value.as_ref());
        faults.warning(
            origin.place,
            format!(
                "anybody can have a name under {name}; to clients of this zone none of them exists"
            ),
            None,
        )
    })
}

fn described(name: NameRef<'_>) -> String {
    match name.is_root() {
        true => "the root".to_owned(),
        false => shown(name),
    }
}
