//! The parts of a policy: its rules and zones, and the source of each.

use super::{error::Place, list::NameList};
use dnsgate_core::{
    policy::{Pattern, Rule, RuleId, ZoneId},
    zone::Zone,
};

/// The source of a rule or zone, for messages.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// Its name in messages: "rule `github`", "zone corp.example".
    pub(super) what: String,
    /// Its place in the file; the default place if it is not in the file.
    pub(super) place: Place,
    /// Its patterns with their places, if these are known individually.
    pub(super) names: Vec<(Pattern, Place)>,
    /// The list that it names; the list's patterns are the first ones of the rule.
    pub(super) list: Option<NameList>,
}

/// A place in the configuration, or in a list that it names.
#[derive(Clone, Copy)]
pub(super) struct Location<'s> {
    pub(super) list: Option<&'s NameList>,
    pub(super) place: Place,
}

impl Source {
    pub(super) fn new(what: String, place: Place) -> Self {
        Self {
            what,
            place,
            names: Vec::new(),
            list: None,
        }
    }

    pub(super) fn built_in() -> Self {
        Self::new("a built-in answer".to_owned(), Place::default())
    }

    /// The place of a pattern, or else of a pattern with the same name, or else of the rule or zone.
    pub(super) fn location_of(&self, pattern: &Pattern) -> Location<'_> {
        let same = self.names.iter().find(|(own, _)| own == pattern);
        let near = || {
            self.names
                .iter()
                .find(|(own, _)| own.name() == pattern.name())
        };
        let in_file = |place| Location { list: None, place };
        if let Some(&(_, place)) = same.or_else(near) {
            return in_file(place);
        }
        let list = self.list.as_ref();
        let listed = list.and_then(|list| Some((list, list.place_of(pattern)?)));
        listed.map_or(in_file(self.place), |(list, place)| Location {
            list: Some(list),
            place,
        })
    }
}

/// The rules and zones collected so far.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) rules: Vec<Rule>,
    pub(super) sources: Vec<Source>,
    pub(super) zones: Vec<Zone>,
    /// The origins of the zones named in the summary.
    pub(super) noted: Vec<String>,
}

impl Parts {
    pub(super) fn add_rule(&mut self, rule: Rule, source: Source) {
        self.rules.push(rule);
        self.sources.push(source);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "as many zones as fit into a file of 16 MiB"
    )]
    pub(super) fn add_zone(&mut self, zone: Zone) -> ZoneId {
        self.zones.push(zone);
        ZoneId((self.zones.len() - 1) as u32)
    }

    pub(super) fn note_zone(&mut self, origin: &str) {
        self.noted.push(origin.to_owned());
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = (&Rule, &Source)> {
        self.rules.iter().zip(&self.sources)
    }

    pub(super) fn zone(&self, id: ZoneId) -> Option<&Zone> {
        self.zones.get(id.0 as usize)
    }

    pub(super) fn source(&self, id: RuleId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }
}
