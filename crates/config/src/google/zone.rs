//! The records of one domain of the preset.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Domain, Form, Settings, Shared, TTL, Target, child, is_googleapis};
use dnsgate_core::{
    dns::{Name, NameRef, RecordType},
    zone::{Zone, ZoneBuilder, ZoneError},
};

/// Builds the zone.
pub(super) fn build(domain: &Domain, settings: &Settings) -> Result<Zone, Vec<ZoneError>> {
    let mut records = Records {
        builder: ZoneBuilder::new(domain.name.clone()).with_default_soa(),
        errors: Vec::new(),
        ipv6: settings.ipv6,
    };
    let main = match domain.whole {
        Some(shared) => &Target::Shared(shared),
        None => &settings.main,
    };
    let is_googleapis = is_googleapis(domain);
    let home = match main {
        Target::Shared(shared) if is_googleapis => {
            child(&domain.name, shared.label()).unwrap_or_else(|| domain.name.clone())
        }
        _ => domain.name.clone(),
    };
    records.addresses(&home, main);
    if domain.form != Form::Exact {
        records.alias_below(&domain.name, &home);
        add_exceptions(domain, &home, is_googleapis, &mut records);
    }
    if !records.errors.is_empty() {
        return Err(records.errors);
    }
    records.builder.finish()
}

/// Sends the excepted names to the other address, and those between them and the domain where
/// everything else goes.
fn add_exceptions(domain: &Domain, home: &Name, is_googleapis: bool, records: &mut Records) {
    let mut points: BTreeMap<Name, Option<Shared>> = BTreeMap::new();
    for (name, shared) in &domain.except {
        points.insert(name.clone(), Some(*shared));
    }
    for (name, _) in &domain.except {
        for between in above(name, &domain.name) {
            let inherited = domain
                .except
                .iter()
                .filter(|(other, _)| between.is_within(other.as_ref()))
                .max_by_key(|(other, _)| other.as_ref().label_count())
                .map(|&(_, shared)| shared);
            points.entry(between.to_name()).or_insert(inherited);
        }
    }
    let mut named: Vec<Shared> = Vec::new();
    for (name, point) in points {
        let target = match point {
            None => home.clone(),
            // The address has a name here, so that an answer shows which one it is.
            Some(shared) if is_googleapis => {
                let Some(target) = child(&domain.name, shared.label()) else {
                    continue;
                };
                if target != *home && !named.contains(&shared) {
                    records.addresses(&target, &Target::Shared(shared));
                    named.push(shared);
                }
                target
            }
            Some(shared) => {
                records.addresses(&name, &Target::Shared(shared));
                records.alias_below(&name, &name);
                continue;
            }
        };
        records.alias(&name, &target);
        records.alias_below(&name, &target);
    }
}

/// The names above `name` and below `domain`.
fn above<'n>(name: &'n Name, domain: &Name) -> impl Iterator<Item = NameRef<'n>> {
    let mut at = name.as_ref().parent();
    let most = name
        .as_ref()
        .label_count()
        .saturating_sub(domain.as_ref().label_count() + 1);
    std::iter::from_fn(move || {
        let current = at?;
        at = current.parent();
        Some(current)
    })
    .take(most)
}

/// The records so far, and what the zone had against any.
struct Records {
    builder: ZoneBuilder,
    errors: Vec<ZoneError>,
    ipv6: bool,
}

impl Records {
    fn addresses(&mut self, owner: &Name, target: &Target) {
        let (v4, v6) = match target {
            Target::Shared(shared) => (shared.v4().to_vec(), Some(shared.v6())),
            Target::Psc(addresses) => (addresses.clone(), None),
        };
        let v6 = v6.filter(|_| self.ipv6).map(IpAddr::from);
        for address in v4.into_iter().map(IpAddr::from).chain(v6) {
            match address {
                IpAddr::V4(v4) => self.add(owner, RecordType::A, &v4.octets()),
                IpAddr::V6(v6) => self.add(owner, RecordType::AAAA, &v6.octets()),
            }
        }
    }

    fn alias(&mut self, owner: &Name, target: &Name) {
        self.add(owner, RecordType::CNAME, target.as_ref().wire());
    }

    /// Every name below `owner` that is not there itself is an alias.
    fn alias_below(&mut self, owner: &Name, target: &Name) {
        if let Some(wildcard) = child(owner, "*") {
            self.alias(&wildcard, target);
        }
    }

    fn add(&mut self, owner: &Name, rtype: RecordType, rdata: &[u8]) {
        if let Err(error) = self.builder.add(owner.as_ref(), TTL, rtype, rdata) {
            self.errors.push(error);
        }
    }
}
