//! The records of one domain of the preset.

use std::{collections::BTreeSet, net::IpAddr};

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
    let main = domain.target(&domain.name, settings);
    let named = |target: &Target| match target {
        // The addresses have names here, so an answer shows which one it uses.
        Target::Shared(shared) if is_googleapis(domain) => child(&domain.name, shared.label()),
        _ => None,
    };
    let home = named(&main).unwrap_or_else(|| domain.name.clone());
    records.addresses(&home, &main);
    if domain.form != Form::Exact {
        records.alias_below(&domain.name, &home);
    }
    let mut done = BTreeSet::from([home.clone()]);
    for name in points(domain) {
        let target = domain.target(&name, settings);
        // The owner of the addresses: the default destination, or the name of the other address, or else the name itself.
        let owner = match target == main {
            true => home.clone(),
            false => named(&target).unwrap_or_else(|| name.clone()),
        };
        if done.insert(owner.clone()) {
            records.addresses(&owner, &target);
        }
        if owner != name {
            records.alias(&name, &owner);
        }
        records.alias_below(&name, &owner);
    }
    if !records.errors.is_empty() {
        return Err(records.errors);
    }
    records.builder.finish()
}

/// The exceptions, and the names between them and the domain. These names exist, so the domain's wildcard does not
/// cover them (RFC 4592), and they need records of their own.
fn points(domain: &Domain) -> BTreeSet<Name> {
    let with_above = |(name, _): &(Name, Shared)| {
        let above: Vec<Name> = above(name, &domain.name)
            .map(|name| name.to_name())
            .collect();
        above.into_iter().chain([name.clone()])
    };
    domain.except.iter().flat_map(with_above).collect()
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

/// The records so far, and the errors of the zone.
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

    /// Makes every name below `owner` that does not exist an alias of `target`.
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
