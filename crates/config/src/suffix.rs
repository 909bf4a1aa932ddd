//! Suffixes under which anybody can register a name: the Public Suffix List, and some that it lacks.
//!
//! A rule for all names below such a suffix allows names of others along with the intended ones.
//! The warnings and `dnsgate learn` use this module.

use crate::{
    error::{Faults, MAX_NOTICES, Notice},
    file::{File, RuleEntry, ZoneEntry},
    given::At,
    parts::{Parts, Source},
    text::shown,
};
use dnsgate_core::{
    dns::{Name, NameRef},
    policy::{Pattern, Rule},
};

/// Suffixes that the Public Suffix List lacks although anybody can get a name under them: services
/// whose customers choose the first label.
const OPEN_SUFFIXES: [&str; 3] = [
    "googleusercontent.com",
    "sharepoint.com",
    "storage.googleapis.com",
];

/// A label put before a name, so that the list is queried for a name below it: `*.run.app` in the
/// list makes run.app open, too.
const BELOW: &[u8] = b"x.";

/// The public suffix of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicSuffix {
    /// The number of its labels, from the right. A name with one more label has an owner.
    pub labels: usize,
    /// Whether a service such as github.io runs it for its customers, and not a registry.
    pub is_service: bool,
}

impl PublicSuffix {
    /// The longest public suffix of a name, which may be the whole name. If no list has one, it is the
    /// last label.
    #[must_use]
    pub fn of(name: NameRef<'_>) -> Self {
        let mut text = Vec::new();
        let starts = name.label_starts();
        let longer = starts.as_slice().iter().zip((1..=name.label_count()).rev());
        for (&start, labels) in longer {
            if is_open(name.from_label(start), &mut text) {
                let listed = psl::suffix(&text).filter(|_| !is_ours(&text));
                let listed = listed.and_then(|suffix| suffix.typ());
                return Self {
                    labels,
                    is_service: listed != Some(psl::Type::Icann),
                };
            }
        }
        Self {
            labels: name.label_count().min(1),
            is_service: false,
        }
    }
}

/// Whether anybody can get a name under this one: a registry's suffix, or one of a service.
#[must_use]
pub fn anybody_registers_below(name: NameRef<'_>) -> bool {
    is_open(name, &mut Vec::new())
}

/// Whether anybody can get a name under this one. `text` is a reusable buffer that saves an
/// allocation for each name of a long list.
pub(super) fn is_open(name: NameRef<'_>, text: &mut Vec<u8>) -> bool {
    text.clear();
    text.extend(BELOW);
    for (at, label) in name.labels().enumerate() {
        if at > 0 {
            text.push(b'.');
        }
        // A dot inside a label does not separate labels.
        text.extend(
            label
                .iter()
                .map(|&byte| if byte == b'.' { b'?' } else { byte }),
        );
    }
    let own = text.get(BELOW.len()..).unwrap_or_default();
    own.is_empty() || is_ours(text) || is_listed(text, own)
}

/// Whether our own list has the parent of `below`.
fn is_ours(below: &[u8]) -> bool {
    let name = below.strip_prefix(BELOW).unwrap_or_default();
    OPEN_SUFFIXES.iter().any(|open| open.as_bytes() == name)
}

/// Whether the Public Suffix List has the name, or all names directly below it; `below` is a name
/// below it.
fn is_listed(below: &[u8], name: &[u8]) -> bool {
    psl::suffix(below)
        .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes().len() >= name.len())
}

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

#[cfg(test)]
mod tests {
    use dnsgate_core::dns::Name;

    use super::*;

    #[test]
    fn our_own_list_has_only_what_the_public_one_lacks() {
        for suffix in OPEN_SUFFIXES {
            let below = format!("x.{suffix}");
            assert!(!is_listed(below.as_bytes(), suffix.as_bytes()), "{suffix}");
        }
    }

    #[test]
    fn suffixes_are_told_from_names_below_them() {
        for (name, open) in [
            ("com", true),
            ("co.uk", true),
            ("github.io", true),
            ("appspot.com", true),
            ("run.app", true),
            ("storage.googleapis.com", true),
            (".", true),
            ("example.com", false),
            ("mine.github.io", false),
            ("googleapis.com", true),
            ("internal", false),
            ("corp.internal", false),
            (r"a\.github.io", false),
        ] {
            let name: Name = name.parse().expect(name);
            assert_eq!(is_open(name.as_ref(), &mut Vec::new()), open, "{name}");
        }
    }

    #[test]
    fn the_longest_suffix_counts() {
        for (name, labels, is_service) in [
            ("a.b.example.com", 1, false),
            ("a.example.co.uk", 2, false),
            ("co.uk", 2, false),
            ("com", 1, false),
            ("a.mine.github.io", 2, true),
            ("github.io", 2, true),
            ("o.bucket.storage.googleapis.com", 3, true),
            ("www.googleapis.com", 2, true),
            ("mine.sharepoint.com", 2, true),
            ("db.corp.internal", 1, false),
            ("localhost", 1, false),
            (r"a\.co.uk", 1, false),
            (".", 0, false),
        ] {
            let parsed: Name = name.parse().expect(name);
            let suffix = PublicSuffix { labels, is_service };
            assert_eq!(PublicSuffix::of(parsed.as_ref()), suffix, "{name}");
        }
    }
}
