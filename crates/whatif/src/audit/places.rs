//! Where the rules, zones and groups of a configuration stand in its text.

use std::fmt;

use dnsgate_config::{OutlineNode, outline};
use dnsgate_core::policy::{Pattern, Rule};

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPlace {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 for the whole file.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
}

impl fmt::Display for AuditPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.file.escape_debug();
        match self.line {
            0 => write!(f, "{shown}"),
            line => write!(f, "{shown}:{line}:{}", self.column),
        }
    }
}

/// The places of a configuration.
pub(super) struct Places<'t> {
    file: &'t str,
    root: Option<OutlineNode>,
}

impl<'t> Places<'t> {
    pub(super) fn new(file: &'t str, text: &str) -> Self {
        Self {
            file,
            root: outline(text),
        }
    }

    fn of(&self, node: Option<&OutlineNode>) -> AuditPlace {
        AuditPlace {
            file: self.file.to_owned(),
            line: node.map_or(0, |node| node.line),
            column: node.map_or(0, |node| node.column),
        }
    }

    fn get(&self, key: &str) -> Option<&OutlineNode> {
        self.root.as_ref()?.get(key)
    }

    /// The entry of a rule in the file.
    pub(super) fn rule_node(&self, name: &str) -> Option<&OutlineNode> {
        let mut rules = self.get("rules")?.items().iter();
        rules.find(|rule| rule.get("name").and_then(OutlineNode::text) == Some(name))
    }

    /// The place of a rule, a zone or an entry of the preset.
    pub(super) fn rule(&self, rule: &Rule) -> AuditPlace {
        if let Some(origin) = rule.name.strip_prefix("zone ") {
            let zones = self
                .get("zones")
                .map(OutlineNode::items)
                .unwrap_or_default();
            let origins = zones.iter().filter_map(|zone| zone.get("origin"));
            let same = |node: &&OutlineNode| is_name(node, origin);
            return self.of(origins.clone().find(same));
        }
        if super::findings::is_preset(rule) {
            let google = self.get("google_apis");
            let domains = google.and_then(|google| google.get("domains"));
            let items = domains.map(OutlineNode::items).unwrap_or_default();
            let domain = rule.name.split_once(' ').map_or("", |(_, domain)| domain);
            let item = items.iter().find(|node| is_name(node, domain));
            return self.of(item.or(domains).or(google));
        }
        let node = self.rule_node(&rule.name);
        self.of(node.and_then(|node| node.get("name")))
    }

    /// Whether a rule is the preset's entry for a domain.
    pub(super) fn is_of_preset(&self, rule: &Rule, domain: &str) -> bool {
        let _ = self;
        let own = rule.name.split_once(' ').map_or("", |(_, own)| own);
        own.trim_end_matches('.')
            .eq_ignore_ascii_case(domain.trim_end_matches('.'))
    }

    /// The place of a key of a rule, or else of the rule.
    pub(super) fn key(&self, rule: &Rule, key: &str) -> AuditPlace {
        match self.rule_node(&rule.name).and_then(|node| node.get(key)) {
            Some(node) => self.of(Some(node)),
            None => self.rule(rule),
        }
    }

    /// The place of a pattern of a rule, or else of its list or of the rule.
    pub(super) fn pattern(&self, rule: &Rule, pattern: &Pattern) -> AuditPlace {
        let node = self.rule_node(&rule.name);
        let domains = node.and_then(|node| node.get("domains"));
        let items = domains.map(OutlineNode::items).unwrap_or_default();
        let same = |node: &&OutlineNode| {
            let own = node.text().and_then(|text| text.parse::<Pattern>().ok());
            own.as_ref() == Some(pattern)
        };
        match items.iter().find(same) {
            Some(item) => self.of(Some(item)),
            None => self.key(rule, "domains_file"),
        }
    }

    /// The place of a client group.
    pub(super) fn group(&self, name: &str) -> AuditPlace {
        let groups = self
            .get("clients")
            .map(OutlineNode::entries)
            .unwrap_or_default();
        let group = groups.iter().find(|(key, _)| key.text() == Some(name));
        self.of(group.map(|(key, _)| key))
    }
}

fn is_name(node: &OutlineNode, name: &str) -> bool {
    let text = node.text().unwrap_or_default();
    text.trim_end_matches('.')
        .eq_ignore_ascii_case(name.trim_end_matches('.'))
}
