//! What a configuration holds, by name, and what another one holds instead: the report of a reload.
//!
//! Each group, rule and zone is kept as its name and a hash of all that it says, so that a list of
//! a million names costs one number, and two configurations are compared without either being kept.

use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use ipnet::IpNet;

use crate::{
    policy::{Action, Group, Rule},
    zone::Zone,
};

/// The names that a report lists of each kind of change; the others are counted.
const MAX_LISTED: usize = 20;

/// The groups, rules and zones of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(BTreeMap<String, u64>);

impl Contents {
    /// Takes stock. The rules still have their patterns: a built policy's have not.
    pub(super) fn of(groups: &[(Group, Vec<IpNet>)], rules: &[Rule], zones: &[Zone]) -> Self {
        let mut entries = BTreeMap::new();
        for group in groups {
            entries.insert(format!("group {}", group.0.name), hash(group));
        }
        for rule in rules {
            match rule.action {
                // The rule of a zone is named after it, and says nothing that the zone does not.
                Action::Zone(id) => {
                    let zone = zones.get(id.0 as usize).map(zone_hash);
                    entries.insert(rule.name.to_string(), zone.unwrap_or_default());
                }
                _ => {
                    // Groups count by what they are called, not by their place in the file.
                    let named = rule.groups.map(|set| {
                        let name = |id: crate::policy::GroupId| {
                            groups.get(usize::from(id.0)).map(|group| &group.0.name)
                        };
                        set.iter().filter_map(name).collect::<Vec<_>>()
                    });
                    let rest = Rule {
                        groups: None,
                        ..rule.clone()
                    };
                    entries.insert(format!("rule {}", rule.name), hash(&(rest, named)));
                }
            }
        }
        Self(entries)
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
    fn a_long_report_is_cut() {
        let many = Changes {
            added: (0..25).map(|n| format!("rule {n}")).collect(),
            ..Changes::default()
        };
        assert!(many.to_string().ends_with("rule 19 and 5 more"), "{many}");
    }
}
