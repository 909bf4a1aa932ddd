//! Asks every question that could reveal a difference between two configurations.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use super::Diff;
use crate::ask::ClientQuestion;
use dnsgate_core::{
    dns::{Name, RecordType, Transport},
    policy::RuleOrigin,
};

/// The types that are always probed: those that clients commonly query.
const COMMON: [RecordType; 9] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::HTTPS,
    RecordType::SVCB,
    RecordType::CNAME,
    RecordType::TXT,
    RecordType::MX,
    RecordType::SRV,
    RecordType::PTR,
];
/// The most types probed: rules and zones rarely use other types than the common ones.
const MAX_TYPES: usize = 64;
/// The label for a name that represents all names below another.
const BELOW: &[u8] = b"probe";
impl Diff<'_> {
    /// Asks every question that could reveal a difference.
    pub fn probe(&mut self) {
        let types = self.probed_types();
        let clients = self.probed_clients();
        let below = |name: &Name| name.child(BELOW).ok();
        for name in self.probed_names() {
            for name in below(&name).into_iter().chain([name]) {
                for &source in &clients {
                    for &rtype in &types {
                        let question = ClientQuestion {
                            name: name.as_ref(),
                            rtype,
                            source,
                            transport: Transport::Tcp,
                        };
                        self.ask(question, 1);
                    }
                }
            }
        }
        self.types = Some(types);
    }

    fn probed_names(&self) -> HashSet<Name> {
        let both = [self.old.snapshot, self.new.snapshot];
        let mut names: Vec<Name> = both
            .iter()
            .flat_map(|snapshot| snapshot.policy().names())
            .collect();
        let zones = both.iter().flat_map(|snapshot| snapshot.zones());
        names.extend(zones.flat_map(|zone| zone.rrsets().map(|(owner, _)| owner)));
        // The root's child represents all names that neither configuration knows, and the child of any
        // name represents those that a wildcard below it covers.
        let mut names: HashSet<Name> = names.iter().map(without_star).collect();
        names.insert(Name::root());
        let mut rules = both.iter().flat_map(|snapshot| snapshot.policy().rules());
        if rules.any(|rule| rule.origin == RuleOrigin::Search) {
            // In this case a name of one label does not represent longer names.
            names.extend(Name::root().child(BELOW).ok());
        }
        names
    }

    fn probed_types(&self) -> BTreeSet<RecordType> {
        let mut types = BTreeSet::from(COMMON);
        for snapshot in [self.old.snapshot, self.new.snapshot] {
            let rules = snapshot.policy().rules().iter();
            let named = rules.flat_map(|rule| rule.types.listed().unwrap_or_default());
            let sets = snapshot.zones().iter().flat_map(|zone| zone.rrsets());
            let sets = sets.map(|(_, set)| set.rtype());
            for rtype in named.copied().chain(sets) {
                if types.len() < MAX_TYPES {
                    types.insert(rtype);
                }
            }
        }
        types
    }

    /// One address for each pair of an old and a new group. The pair can change only at the start of a
    /// range in either configuration, so testing these addresses finds all pairs.
    fn probed_clients(&self) -> Vec<IpAddr> {
        let (old, new) = (self.old.snapshot.policy(), self.new.snapshot.policy());
        let mut seen = HashSet::new();
        let starts = old.range_starts().chain(new.range_starts());
        let mut starts: Vec<IpAddr> = starts.collect();
        starts.sort_unstable();
        starts.retain(|&address| seen.insert((old.admit(address), new.admit(address))));
        starts
    }
}

/// The parent of a wildcard; any other name unchanged.
fn without_star(name: &Name) -> Name {
    let is_star = name.as_ref().labels().next() == Some(b"*");
    let parent = name.as_ref().parent().filter(|_| is_star);
    parent.map_or_else(|| name.clone(), |parent| parent.to_name())
}
