//! Never two of Google's addresses in one answer.
//!
//! The restricted and the private address lead to different sets of services, and so does an
//! endpoint of one's own. A name with records of two of them works now and fails then, depending on
//! which one a client picks (Google's documentation says not to mix A and AAAA of them, either). So
//! a configuration in which one client could get both for one name is refused.
//!
//! Compared are the rules and zones of one name. Two client groups may well be sent two ways.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use super::{
    build::{Parts, Source},
    error::Faults,
    google::Shared,
};
use crate::{
    dns::{Name, RecordType, Rrset},
    policy::{Action, Rule},
};

/// Which way an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Shared(Shared),
    Endpoint,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared(shared) => shared.label(),
            Self::Endpoint => "psc",
        })
    }
}

/// That a rule, or its zone, leads a name one way.
#[derive(Clone, Copy)]
struct Lead<'p> {
    rule: &'p Rule,
    source: &'p Source,
    way: Way,
}

/// Reports every name for which one client could get addresses of two ways.
pub(super) fn check(parts: &Parts, endpoints: &[IpAddr], faults: &mut Faults<'_>) {
    for (name, leads) in leads(parts, endpoints, faults) {
        let Some((first, other)) = find_mixed(&leads) else {
            continue;
        };
        let name = name.to_string();
        let name = name.trim_end_matches('.');
        let (what, way) = (&first.source.what, first.way);
        let message = if std::ptr::eq(first.rule, other.rule) {
            format!("{what}: {name} has addresses of {way} and of {}", other.way)
        } else {
            let (theirs, leads) = (&other.source.what, other.way);
            format!("{theirs} leads {name} to {leads}, and {what} leads it to {way}")
        };
        report(other.source, message, faults);
    }
}

fn report(source: &Source, message: String, faults: &mut Faults<'_>) {
    let help = "Google serves different APIs on each, so send A and AAAA of a name one way";
    faults.push_help(source.place, message, help.to_owned());
}

/// Which ways each name is led, by whom.
fn leads<'p>(
    parts: &'p Parts,
    endpoints: &[IpAddr],
    faults: &mut Faults<'_>,
) -> BTreeMap<Name, Vec<Lead<'p>>> {
    let way = |address: IpAddr| match Shared::holding(address) {
        Some(shared) => Some(Way::Shared(shared)),
        None => endpoints.contains(&address).then_some(Way::Endpoint),
    };
    let mut leads: BTreeMap<Name, Vec<Lead<'p>>> = BTreeMap::new();
    for (rule, source) in parts.rules() {
        match &rule.action {
            Action::Zone(id) => {
                let sets = parts.zone(*id).into_iter().flat_map(|zone| zone.rrsets());
                for (owner, set) in sets {
                    let mut ways = set.addresses().filter_map(way).peekable();
                    if ways.peek().is_some() {
                        let of_name = leads.entry(owner).or_default();
                        of_name.extend(ways.map(|way| Lead { rule, source, way }));
                    }
                }
            }
            Action::Answer(records) => {
                let mut ways = records.iter().flat_map(Rrset::addresses).filter_map(way);
                let Some(way) = ways.next() else { continue };
                if let Some(other) = ways.find(|other| *other != way) {
                    let what = &source.what;
                    let message =
                        format!("{what}: its answer has addresses of {way} and of {other}");
                    report(source, message, faults);
                    continue;
                }
                for pattern in &rule.patterns {
                    let of_name = leads.entry(pattern.name().to_name()).or_default();
                    of_name.push(Lead { rule, source, way });
                }
            }
            Action::Deny => {}
        }
    }
    leads
}

/// Two leads of one name that one client could follow both. More than a few are more than the
/// policy takes: it says so itself.
fn find_mixed<'l, 'p>(leads: &'l [Lead<'p>]) -> Option<(&'l Lead<'p>, &'l Lead<'p>)> {
    let leads = leads.get(..leads.len().min(1_000)).unwrap_or_default();
    leads.iter().enumerate().find_map(|(at, other)| {
        let earlier = leads.get(..at).unwrap_or_default();
        let mixed = |first: &&Lead<'_>| {
            first.way != other.way
                && (std::ptr::eq(first.rule, other.rule) || one_client(first.rule, other.rule))
        };
        Some((earlier.iter().find(mixed)?, other))
    })
}

/// Whether a client could get A by one rule and AAAA by the other. A rule for both types answers
/// both or, where a better one goes before it, neither.
fn one_client(first: &Rule, other: &Rule) -> bool {
    let is_for_both =
        |rule: &Rule| rule.types.contains(RecordType::A) && rule.types.contains(RecordType::AAAA);
    let share_a_group = match (first.groups, other.groups) {
        (Some(first), Some(other)) => first.intersects(other),
        _ => true,
    };
    share_a_group && !(is_for_both(first) && is_for_both(other))
}
