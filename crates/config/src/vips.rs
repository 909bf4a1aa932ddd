//! Rejects configurations that mix Google's addresses in one answer.
//!
//! The restricted address, the private address and an operator's own endpoint serve different sets
//! of services. A name with records of two of them fails intermittently, depending on the address
//! that a client picks (Google's documentation also says not to mix their A and AAAA records). So a
//! configuration in which one client could get both for one name is refused.
//!
//! The check compares the rules and zones for the same name. Two client groups may get different
//! addresses.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use super::{
    error::Faults,
    google::Shared,
    parts::{Parts, Source},
    text::shown,
};
use dnsgate_core::{
    dns::{Name, RecordType, Rrset},
    policy::{Action, Rule},
};

/// The destination to which an address belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    Shared(Shared),
    Endpoint,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared(shared) => shared.label(),
            Self::Endpoint => "psc",
        })
    }
}

/// A destination that a rule, or its zone, gives to a name.
#[derive(Clone, Copy)]
struct Lead<'p> {
    rule: &'p Rule,
    source: &'p Source,
    destination: Destination,
}

/// Reports every name for which one client could get addresses of two destinations.
pub(super) fn check(parts: &Parts, endpoints: &[IpAddr], faults: &mut Faults<'_>) {
    for (name, leads) in leads(parts, endpoints, faults) {
        let Some((first, other)) = find_mixed(&leads) else {
            continue;
        };
        let name = shown(name.as_ref());
        let (what, destination) = (&first.source.what, first.destination);
        let message = if std::ptr::eq(first.rule, other.rule) {
            format!(
                "{what}: {name} has addresses of {destination} and of {}",
                other.destination
            )
        } else {
            let (theirs, leads) = (&other.source.what, other.destination);
            format!("{theirs} leads {name} to {leads}, and {what} leads it to {destination}")
        };
        report(other.source, message, faults);
    }
}

fn report(source: &Source, message: String, faults: &mut Faults<'_>) {
    let help = "Google serves different APIs on each, so send A and AAAA of a name one way";
    faults.push_help(source.place, message, help.to_owned());
}

/// The destinations of each name, with the rules that give them.
fn leads<'p>(
    parts: &'p Parts,
    endpoints: &[IpAddr],
    faults: &mut Faults<'_>,
) -> BTreeMap<Name, Vec<Lead<'p>>> {
    let destination = |address: IpAddr| match Shared::holding(address) {
        Some(shared) => Some(Destination::Shared(shared)),
        None => endpoints
            .contains(&address)
            .then_some(Destination::Endpoint),
    };
    let mut leads: BTreeMap<Name, Vec<Lead<'p>>> = BTreeMap::new();
    for (rule, source) in parts.rules() {
        match &rule.action {
            Action::Zone(id) => {
                let sets = parts.zone(*id).into_iter().flat_map(|zone| zone.rrsets());
                for (owner, set) in sets {
                    let mut destinations = set.addresses().filter_map(destination).peekable();
                    if destinations.peek().is_some() {
                        let of_name = leads.entry(owner).or_default();
                        of_name.extend(destinations.map(|destination| Lead {
                            rule,
                            source,
                            destination,
                        }));
                    }
                }
            }
            Action::Answer(records) => {
                let mut destinations = records
                    .iter()
                    .flat_map(Rrset::addresses)
                    .filter_map(destination);
                let Some(destination) = destinations.next() else {
                    continue;
                };
                if let Some(other) = destinations.find(|other| *other != destination) {
                    let what = &source.what;
                    let message =
                        format!("{what}: its answer has addresses of {destination} and of {other}");
                    report(source, message, faults);
                    continue;
                }
                for pattern in &rule.patterns {
                    let of_name = leads.entry(pattern.name().to_name()).or_default();
                    of_name.push(Lead {
                        rule,
                        source,
                        destination,
                    });
                }
            }
            Action::Forward(_) | Action::Deny => {}
        }
    }
    leads
}

/// Two conflicting leads of one name that the same client could get. Leads are compared in pairs only if [`Led`] finds
/// a conflict, because a name may have thousands of rules.
fn find_mixed<'l, 'p>(leads: &'l [Lead<'p>]) -> Option<(&'l Lead<'p>, &'l Lead<'p>)> {
    let mut led = Led::default();
    let at = leads.iter().position(|lead| led.mixes(lead))?;
    let (earlier, other) = (leads.get(..at)?, leads.get(at)?);
    let mixed = |first: &&Lead<'_>| {
        first.destination != other.destination
            && (std::ptr::eq(first.rule, other.rule) || one_client(first.rule, other.rule))
    };
    Some((earlier.iter().find(mixed)?, other))
}

/// The leads of one name so far. Groups are bits; a rule for everybody has all bits.
#[derive(Default)]
struct Led<'p> {
    /// For each destination: the groups of rules for both A and AAAA, and the groups of rules for only one of them.
    destinations: Vec<(Destination, u64, u64)>,
    /// The last rule, and the first destination that it gave.
    last: Option<(&'p Rule, Destination)>,
}

impl<'p> Led<'p> {
    /// Adds a lead; returns whether it conflicts with an earlier one.
    fn mixes(&mut self, lead: &Lead<'p>) -> bool {
        let groups = lead.rule.groups.map_or(u64::MAX, |groups| {
            groups.iter().fold(0, |bits, group| bits | 1 << group.0)
        });
        let both = is_for_both(lead.rule);
        let of_others = self
            .destinations
            .iter()
            .filter(|(destination, _, _)| *destination != lead.destination);
        let mixes = of_others.fold(false, |mixes, (_, whole, part)| {
            let theirs = if both { *part } else { *whole | *part };
            mixes || theirs & groups != 0
        });
        let same = self.last.filter(|(rule, _)| std::ptr::eq(*rule, lead.rule));
        self.last = same.or(Some((lead.rule, lead.destination)));
        let entry = match self
            .destinations
            .iter()
            .position(|(destination, _, _)| *destination == lead.destination)
        {
            Some(at) => self.destinations.get_mut(at),
            None => {
                self.destinations.push((lead.destination, 0, 0));
                self.destinations.last_mut()
            }
        };
        if let Some((_, whole, part)) = entry {
            *(if both { whole } else { part }) |= groups;
        }
        mixes || same.is_some_and(|(_, destination)| destination != lead.destination)
    }
}

/// Whether a rule answers both A and AAAA.
fn is_for_both(rule: &Rule) -> bool {
    rule.types.contains(RecordType::A) && rule.types.contains(RecordType::AAAA)
}

/// Whether a client could get A from one rule and AAAA from the other. A rule for both types answers
/// both or, if a rule with precedence overrides it, neither.
fn one_client(first: &Rule, other: &Rule) -> bool {
    let share_a_group = match (first.groups, other.groups) {
        (Some(first), Some(other)) => first.intersects(other),
        _ => true,
    };
    share_a_group && !(is_for_both(first) && is_for_both(other))
}

#[cfg(test)]
mod tests {
    use crate::tests::{config, errors};

    /// The first error of a text, without its place.
    fn error(text: &str) -> String {
        let told = errors(text);
        let first = told.lines().next().unwrap_or_default();
        first
            .split_once(": error: ")
            .expect("an error")
            .1
            .to_owned()
    }

    #[test]
    fn two_ways_for_one_client_are_refused() {
        for (text, want) in [
            (
                "zones: [{origin: x.example, records: [\"a A 199.36.153.4\", \"a A 199.36.153.8\"]}]",
                "zone x.example: a.x.example has addresses of restricted and of private",
            ),
            (
                "zones: [{origin: x.example, records: [\"*.w A 199.36.153.7\", \"*.w AAAA 2600:2d00:2:2000::\"]}]",
                "zone x.example: *.w.x.example has addresses of restricted and of private",
            ),
            (
                "rules: [{name: r, domains: [x.example], records: [A 199.36.153.10, \"AAAA 2600:2d00:2:1000::\"]}]",
                "rule `r`: its answer has addresses of private and of restricted",
            ),
            (
                "google_apis: {vip: psc, addresses: [10.1.1.5]}\nzones: [{origin: x.example, records: [\"a A 10.1.1.5\", \"a A 199.36.153.8\"]}]",
                "zone x.example: a.x.example has addresses of psc and of private",
            ),
            (
                "rules: [{name: r, domains: [gcr.io], types: [A], records: [A 199.36.153.8]}]\ngoogle_apis: {domains: [gcr.io], ipv6: true}",
                "google_apis (gcr.io) leads gcr.io to restricted, and rule `r` leads it to private",
            ),
        ] {
            assert_eq!(error(text), want, "{text}");
        }
    }

    #[test]
    fn one_way_for_each_client_is_fine() {
        for text in [
            // Other addresses beside one of Google's.
            "zones: [{origin: x.example, records: [\"a A 199.36.153.4\", \"a A 10.0.0.1\"]}]",
            // A rule for both types overrides the whole zone for this name.
            "rules: [{name: r, domains: [gcr.io], records: [A 199.36.153.8]}]\ngoogle_apis: {domains: [gcr.io]}",
            // Two groups with two destinations.
            "rules:\n- {name: r, domains: [x.example], types: [A], groups: [vpc], records: [A 199.36.153.8]}\n- {name: s, domains: [x.example], types: [AAAA], groups: [cloud-dns], records: [\"AAAA 2600:2d00:2:1000::\"]}",
        ] {
            config(text);
        }
    }
}
