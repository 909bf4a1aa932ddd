//! What a configuration holds, by name, and what another one holds instead: the report of a reload.
//!
//! Each group, rule, zone and upstream is kept as its name and a hash of all that it says, so that a
//! list of a million names costs one number, and two configurations are compared without either
//! being kept.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use ipnet::IpNet;

use super::Upstream;
use crate::{
    policy::{Action, Group, GroupId, Rule},
    zone::Zone,
};

/// The names that a report lists of each kind of change; the others are counted.
const MAX_LISTED: usize = 20;

/// The groups, rules, zones and upstreams of a configuration, its mode and its cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<String, u64>);

impl Contents {
    /// Takes stock. The rules still have their patterns: a built policy's have not.
    pub(super) fn of(
        groups: &[(Group, Vec<IpNet>)],
        rules: &[Rule],
        zones: &[Zone],
        upstreams: &[Upstream],
    ) -> Self {
        let mut entries = BTreeMap::new();
        for group in groups {
            entries.insert(format!("group {}", group.0.name), hash(group));
        }
        for upstream in upstreams {
            entries.insert(format!("upstream {}", upstream.name), hash(upstream));
        }
        for rule in rules {
            match rule.action {
                // The rule of a zone is named after it, and says nothing that the zone does not.
                Action::Zone(id) => {
                    let zone = zones.get(id.0 as usize).map(zone_hash);
                    entries.insert(rule.name.to_string(), zone.unwrap_or_default());
                }
                _ => {
                    let name = format!("rule {}", rule.name);
                    entries.insert(name, rule_hash(rule, groups, upstreams));
                }
            }
        }
        Self(entries)
    }

    /// The same with a section that is there once, such as `mode`.
    pub(super) fn and(mut self, section: &str, value: &impl Hash) -> Self {
        self.0.insert(section.to_owned(), hash(value));
        self
    }

    /// What is different in `new`.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Changes {
        let missing_in = |other: &Self, name: &&String| !other.0.contains_key(*name);
        let names = |of: &Self, than: &Self| {
            of.0.keys()
                .filter(|name| missing_in(than, name))
                .cloned()
                .collect()
        };
        let differs =
            |(name, hash): (&String, &u64)| self.0.get(name).is_some_and(|old| old != hash);
        Changes {
            added: names(new, self),
            removed: names(self, new),
            changed: new
                .0
                .iter()
                .filter(|&entry| differs(entry))
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }
}

/// How one configuration differs from another, by name: `rule github`, `zone corp.example`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the new one alone.
    pub added: Vec<String>,
    /// In the old one alone.
    pub removed: Vec<String>,
    /// In both, and different.
    pub changed: Vec<String>,
}

impl fmt::Display for Changes {
    /// `added rule x; changed zone y`, or `nothing changed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("added", &self.added),
            ("changed", &self.changed),
            ("removed", &self.removed),
        ];
        let mut separator = "";
        for (kind, names) in kinds.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{separator}{kind} ")?;
            separator = "; ";
            let listed = names
                .iter()
                .take(MAX_LISTED)
                .map(String::as_str)
                .collect::<Vec<_>>();
            f.write_str(&listed.join(", "))?;
            if names.len() > MAX_LISTED {
                write!(f, " and {} more", names.len() - MAX_LISTED)?;
            }
        }
        if separator.is_empty() {
            f.write_str("nothing changed")?;
        }
        Ok(())
    }
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Groups and upstreams count by what they are called, not by their places in the file. No part is
/// copied: a rule may have a million names.
fn rule_hash(rule: &Rule, groups: &[(Group, Vec<IpNet>)], upstreams: &[Upstream]) -> u64 {
    let Rule {
        name,
        patterns,
        groups: set,
        types,
        until,
        reason,
        action,
        deny_with,
        origin,
    } = rule;
    let groups = set.map(|set| {
        let name = |id: GroupId| groups.get(usize::from(id.0)).map(|group| &group.0.name);
        set.iter().filter_map(name).collect::<Vec<_>>()
    });
    let action = match action {
        Action::Forward(forwarding) => {
            let upstream = upstreams.get(usize::from(forwarding.upstream.0));
            let name = upstream.map(|upstream| &upstream.name);
            hash(&(name, &forwarding.answers, forwarding.cname))
        }
        other => hash(other),
    };
    let about = (name, patterns, groups, types, until);
    hash(&(about, reason, action, deny_with, origin))
}

/// The order in which a zone lists its records follows its file, so it is left out of the sum.
fn zone_hash(zone: &Zone) -> u64 {
    zone.rrsets()
        .fold(0, |sum: u64, entry| sum.wrapping_add(hash(&entry)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn contents(text: &str) -> Contents {
        crate::config::parse(text, "t.yaml", Path::new(""))
            .expect(text)
            .contents
    }

    #[test]
    fn changes_are_told_by_name() {
        let old = "{clients: {a: {cidrs: [10.0.0.0/8]}, b: {cidrs: [10.1.0.0/16]}}, \
            rules: [{name: x, domains: [x.test], deny: true}, {name: y, domains: [y.test], deny: true, groups: [b]}], \
            zones: [{origin: z.test, records: [\"a A 10.0.0.1\"]}]}";
        for (from, to, told) in [
            ("", "", "nothing changed"),
            // The order of the file is no difference, nor is the number of a group.
            (
                "{a: {cidrs: [10.0.0.0/8]}, b: {cidrs: [10.1.0.0/16]}}",
                "{b: {cidrs: [10.1.0.0/16]}, a: {cidrs: [10.0.0.0/8]}}",
                "nothing changed",
            ),
            ("x.test", "xx.test", "changed rule x"),
            ("name: x,", "name: new,", "added rule new; removed rule x"),
            ("groups: [b]", "groups: [a]", "changed rule y"),
            ("A 10.0.0.1", "A 10.0.0.2", "changed zone z.test"),
            ("10.1.0.0/16", "10.2.0.0/16", "changed group b"),
            (
                "origin: z.test",
                "origin: zz.test",
                "added zone zz.test; removed zone z.test",
            ),
        ] {
            let new = old.replace(from, to);
            assert_eq!(
                contents(old).changes(&contents(&new)).to_string(),
                told,
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn what_is_forwarded_is_compared_by_what_it_is_called() {
        let old = "{upstreams: {a: {servers: [udp://10.9.0.53]}, b: {servers: [udp://10.9.1.53]}}, \
            rules: [{name: x, domains: [x.test], forward: a, answers: {within: [10.0.0.0/8]}}, \
            {name: y, domains: [y.test], forward: b}], mode: {observe: a}, cache: {max_ttl: 1h}}";
        for (from, to, told) in [
            (
                "{a: {servers: [udp://10.9.0.53]}, b: {servers: [udp://10.9.1.53]}}",
                "{b: {servers: [udp://10.9.1.53]}, a: {servers: [\"udp://10.9.0.53:53\"]}}",
                "nothing changed",
            ),
            ("10.9.1.53", "10.9.2.53", "changed upstream b"),
            (
                "{servers: [udp://10.9.1.53]}",
                "{servers: [udp://10.9.1.53], strategy: spread}",
                "changed upstream b",
            ),
            ("forward: b", "forward: a", "changed rule y"),
            ("forward: b", "forward: b, cname: allowed", "changed rule y"),
            ("forward: b", "forward: b, types: [A]", "changed rule y"),
            ("10.0.0.0/8", "10.0.0.0/9", "changed rule x"),
            (", answers: {within: [10.0.0.0/8]}", "", "changed rule x"),
            ("observe: a", "observe: b", "changed mode"),
            (", mode: {observe: a}", ", mode: enforce", "changed mode"),
            ("max_ttl: 1h", "max_ttl: 2h", "changed cache"),
            ("max_ttl: 1h", "", "nothing changed"),
        ] {
            let new = old.replace(from, to);
            assert_ne!(old, new);
            assert_eq!(
                contents(old).changes(&contents(&new)).to_string(),
                told,
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn a_long_report_is_cut() {
        let many = Changes {
            added: (0..25).map(|n| format!("rule {n}")).collect(),
            ..Changes::default()
        };
        assert!(many.to_string().ends_with("rule 19 and 5 more"), "{many}");
    }
}
