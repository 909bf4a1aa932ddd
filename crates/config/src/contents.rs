//! The keys and values of a configuration, and their differences from another one: the report of a
//! reload and the head of `dnsgate diff`.
//!
//! The configuration in force keeps its contents so that the next one can be compared with it.
//! Values are kept for display within a bound; beyond it only a hash is kept, which still shows
//! whether they have changed. Long lists of names are compared by hash, too.

use std::{collections::BTreeMap, fmt};

mod compared_value;
mod keys;

pub(super) use keys::Built;

use compared_value::{Compare, ComparedValue, NOT_SET};

/// The most names that a report lists for each kind of change; it counts the others.
const MAX_LISTED: usize = 20;
/// The most keys of one entry that a report lists; it counts the others.
const MAX_KEYS: usize = 10;
/// The most bytes of values kept for display: a hand-written policy has fewer. Values beyond it are
/// still compared.
const MAX_KEPT: usize = 1 << 20;

/// The groups, rules, zones, upstreams, tests and sections of a configuration, with their keys.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    entries: BTreeMap<String, Entry>,
    /// Bytes of values kept so far.
    kept: usize,
}

/// The keys of one rule, group, zone, upstream or section; a plain value has the empty key. Keys that
/// were left out, or that state their default, are not stored: there may be a hundred thousand rules.
#[derive(Clone, Debug, Default)]
struct Entry(Vec<(&'static str, ComparedValue)>);

impl Entry {
    fn set(&mut self, key: &'static str, value: ComparedValue) {
        self.0.push((key, value));
    }

    fn note(&mut self, key: &'static str, value: &impl Compare) {
        let value = value.compared();
        if value != default_of(key) && value != ComparedValue::One(NOT_SET.into()) {
            self.set(key, value);
        }
    }

    fn get(&self, key: &str) -> ComparedValue {
        let found = self.0.iter().find(|(own, _)| *own == key);
        found.map_or_else(|| default_of(key), |(_, value)| value.clone())
    }
}

/// The default value of a key that is left out, if it can be written as a word.
fn default_of(key: &str) -> ComparedValue {
    ComparedValue::One(
        match key {
            "cname" => "any",
            "groups" => "every group",
            "ipv6" => "false",
            "strategy" => "fastest",
            "types" => "the default ones",
            "vip" => "restricted",
            _ => NOT_SET,
        }
        .into(),
    )
}

impl Contents {
    /// Adds an entry; its name must be unique.
    fn add(&mut self, name: String, entry: Entry) {
        let mut bounded = Entry::default();
        for (key, value) in entry.0 {
            let value = value.bounded(MAX_KEPT - self.kept.min(MAX_KEPT));
            self.kept += value.len();
            bounded.set(key, value);
        }
        bounded.0.shrink_to_fit();
        self.entries.insert(name, bounded);
    }

    /// Adds a top-level key of the file.
    fn alone(&mut self, key: &'static str, value: ComparedValue) {
        self.add(key.to_owned(), Entry(vec![("", value)]));
    }

    /// The differences between `self` and `new`.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Changes {
        let names = |of: &Self, than: &Self| {
            let names = of.entries.keys();
            let missing = names.filter(|name| !than.entries.contains_key(*name));
            missing.cloned().collect()
        };
        let change = |(name, entry): (&String, &Entry)| {
            let keys = different(self.entries.get(name)?, entry);
            (!keys.is_empty()).then(|| Change {
                name: name.clone(),
                keys,
            })
        };
        Changes {
            added: names(new, self),
            removed: names(self, new),
            changed: new.entries.iter().filter_map(change).collect(),
        }
    }
}

/// The keys that differ between two entries, each with its difference.
fn different(old: &Entry, new: &Entry) -> Vec<(&'static str, String)> {
    let mut keys: Vec<&'static str> = Vec::new();
    for (key, _) in new.0.iter().chain(&old.0) {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    let values = keys
        .into_iter()
        .map(|key| (key, old.get(key), new.get(key)));
    let changed = values.filter(|(_, old, new)| !old.is_same(new));
    changed.map(|(key, old, new)| (key, old.to(&new))).collect()
}

/// How one configuration differs from another, by name: `rule github`, `zone corp.example`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Only in the new one.
    pub added: Vec<String>,
    /// Only in the old one.
    pub removed: Vec<String>,
    /// In both, but different.
    pub changed: Vec<Change>,
}

/// One rule, group, zone, upstream or section that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name: `rule github`.
    pub name: String,
    /// The keys that differ, each with its old and new value; a plain value has the empty key.
    pub keys: Vec<(&'static str, String)>,
}

impl Changes {
    /// How one key of the file differs, such as `log.output` or `limits`.
    #[must_use]
    pub fn of_key(&self, key: &str) -> String {
        let (section, wanted) = key.split_once('.').unwrap_or((key, ""));
        let change = self.changed.iter().find(|change| change.name == section);
        let mut keys = change.iter().flat_map(|change| &change.keys);
        match keys.find(|(key, _)| wanted.is_empty() || *key == wanted) {
            Some(("", how)) => format!("`{section}` ({how})"),
            Some((key, how)) => format!("`{section}.{key}` ({how})"),
            None => format!("`{key}`"),
        }
    }
}

impl Changes {
    /// A copy without the values, for people who may not read the file.
    #[must_use]
    pub fn without_values(&self) -> Self {
        let bare = |change: &Change| {
            let keys = change.keys.iter().filter(|(key, _)| !key.is_empty());
            Change {
                name: change.name.clone(),
                keys: keys.map(|&(key, _)| (key, String::new())).collect(),
            }
        };
        Self {
            changed: self.changed.iter().map(bare).collect(),
            ..self.clone()
        }
    }
}

impl fmt::Display for Changes {
    /// `added rule x; changed zone y (file: a -> b)`, or `nothing changed`. One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed: Vec<String> = self
            .changed
            .iter()
            .take(MAX_LISTED)
            .map(Change::to_string)
            .collect();
        let kinds = [
            ("added", &self.added, self.added.len()),
            ("changed", &changed, self.changed.len()),
            ("removed", &self.removed, self.removed.len()),
        ];
        let mut separator = "";
        for (kind, names, number) in kinds.into_iter().filter(|&(_, _, number)| number > 0) {
            write!(f, "{separator}{kind} ")?;
            separator = "; ";
            let listed = names.iter().take(MAX_LISTED).map(String::as_str);
            f.write_str(&listed.collect::<Vec<_>>().join(", "))?;
            if number > MAX_LISTED {
                write!(f, " and {} more", number - MAX_LISTED)?;
            }
        }
        if separator.is_empty() {
            f.write_str("nothing changed")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    /// `rule x (cname: any -> allowed)`, without values `rule x (cname)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (at, (key, how)) in self.keys.iter().take(MAX_KEYS).enumerate() {
            f.write_str(if at == 0 { " (" } else { "; " })?;
            match (*key, how.as_str()) {
                ("", how) => f.write_str(how)?,
                (key, "") => f.write_str(key)?,
                (key, how) => write!(f, "{key}: {how}")?,
            }
        }
        match self.keys.len() {
            0 => Ok(()),
            keys if keys > MAX_KEYS => write!(f, "; {} more)", keys - MAX_KEYS),
            _ => f.write_str(")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn contents(text: &str) -> Contents {
        crate::parse(text, "t.yaml", Path::new(""))
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
            // Neither the order in the file nor the number of a group counts as a difference.
            (
                "{a: {cidrs: [10.0.0.0/8]}, b: {cidrs: [10.1.0.0/16]}}",
                "{b: {cidrs: [10.1.0.0/16]}, a: {cidrs: [10.0.0.0/8]}}",
                "nothing changed",
            ),
            (
                "x.test",
                "xx.test",
                "changed rule x (domains: +xx.test -x.test)",
            ),
            ("name: x,", "name: new,", "added rule new; removed rule x"),
            (
                "groups: [b]",
                "groups: [a]",
                "changed rule y (groups: +a -b)",
            ),
            (
                "A 10.0.0.1",
                "A 10.0.0.2",
                "changed zone z.test (records: +a A 10.0.0.2 -a A 10.0.0.1)",
            ),
            (
                "10.1.0.0/16",
                "10.2.0.0/16",
                "changed group b (cidrs: +10.2.0.0/16 -10.1.0.0/16)",
            ),
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
            rules: [{name: x, domains: [x.test], forward: a, addresses: [10.0.0.0/8]}, \
            {name: y, domains: [y.test], forward: b}], mode: {observe: a}, cache: {max_ttl: 1h}}";
        for (from, to, told) in [
            (
                "{a: {servers: [udp://10.9.0.53]}, b: {servers: [udp://10.9.1.53]}}",
                "{b: {servers: [udp://10.9.1.53]}, a: {servers: [\"udp://10.9.0.53:53\"]}}",
                "nothing changed",
            ),
            (
                "10.9.1.53",
                "10.9.2.53",
                "changed upstream b (servers: udp://10.9.1.53:53 -> udp://10.9.2.53:53)",
            ),
            (
                "{servers: [udp://10.9.1.53]}",
                "{servers: [udp://10.9.1.53], strategy: spread}",
                "changed upstream b (strategy: fastest -> spread)",
            ),
            (
                "forward: b",
                "forward: a",
                "changed rule y (forward: b -> a)",
            ),
            (
                "forward: b",
                "forward: b, cname: allowed",
                "changed rule y (cname: any -> allowed)",
            ),
            ("forward: b", "forward: b, cname: any", "nothing changed"),
            (
                "forward: b",
                "forward: b, types: [A]",
                "changed rule y (types: the default ones -> A)",
            ),
            (
                "10.0.0.0/8",
                "10.0.0.0/9",
                "changed rule x (addresses: +10.0.0.0/9 -10.0.0.0/8)",
            ),
            (
                ", addresses: [10.0.0.0/8]",
                "",
                "changed rule x (addresses: 10.0.0.0/8 -> not set)",
            ),
            (
                "observe: a",
                "observe: b",
                "changed mode (observe a -> observe b)",
            ),
            (
                ", mode: {observe: a}",
                ", mode: enforce",
                "changed mode (observe a -> enforce)",
            ),
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
    fn sections_are_compared_key_by_key_and_a_default_is_what_it_says() {
        let old = "{upstreams: {a: {servers: [udp://10.9.0.53]}, b: {servers: [udp://10.9.1.53]}}, \
            rules: [{name: x, domains: [x.test], forward: a, addresses: [10.0.0.0/8]}, \
            {name: y, domains: [y.test], forward: b}], mode: {observe: a}, cache: {max_ttl: 1h}}";
        for (from, to, told) in [
            (
                "max_ttl: 1h",
                "max_ttl: 2h",
                "changed cache (max_ttl: 1h -> 2h)",
            ),
            (
                "{a: {servers",
                "{c: {servers: [udp://10.9.2.53]}, a: {servers",
                "added upstream c",
            ),
            (
                "rules:",
                "deny_with: drop, rules:",
                "changed deny_with (refused -> drop)",
            ),
            ("rules:", "deny_with: refused, rules:", "nothing changed"),
            (
                "rules:",
                "built_in: {metadata: false}, rules:",
                "changed built_in (metadata: true -> false)",
            ),
            (
                "rules:",
                "workers: 3, rules:",
                "changed workers (one a core -> 3)",
            ),
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
