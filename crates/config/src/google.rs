//! The Google preset: the zones that send Google's names to one of its private virtual addresses.
//!
//! | `vip`      | A                        | AAAA, only with `ipv6: true` |
//! |------------|--------------------------|------------------------------|
//! | restricted | 199.36.153.4, .5, .6, .7 | 2600:2d00:2:1000::           |
//! | private    | 199.36.153.8, .9, .10, .11 | 2600:2d00:2:2000::         |
//! | psc        | `addresses`              | –                            |
//!
//! Source of the addresses and of the records:
//! <https://docs.cloud.google.com/vpc/docs/configure-private-google-access> and, for `psc`,
//! <https://docs.cloud.google.com/vpc/docs/configure-private-service-connect-apis>, as of 2026-04-08.
//!
//! - `googleapis.com`: `restricted.` or `private.` has the addresses, `*` is an alias of it, and the
//!   apex has no address; with `psc` the apex has the addresses and `*` is an alias of the apex.
//! - Every other domain: the apex has the addresses, and `*` is an alias of the apex. If Google
//!   documents only the exact name, there is no `*`, and no name below it is allowed.
//! - `except` sends a name and all names below it to the other address. Names between it and its
//!   domain keep their destination by records of their own, because a wildcard does not cover them
//!   once a name below them exists (RFC 4592).
//!
//! No answer mixes two of these addresses: the services differ by address, so clients would fail
//! intermittently ([`super::vips`] checks this over the whole configuration).

mod settings;
mod table;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{
    builtin,
    error::{Faults, Place},
    parts::{Parts, Source},
    text::shown,
};
use dnsgate_core::{
    dns::{Name, NameRef, RecordType},
    policy::{Action, Pattern, Rule, RuleOrigin},
    zone::{Zone, ZoneBuilder, ZoneError},
};

use table::elsewhere;

pub use table::{Served, Vip};

pub(super) use settings::Settings;
pub(super) use table::{addresses, served};

/// The TTL of every record of the preset, in seconds, as in Google's examples.
pub(super) const TTL: u32 = 300;
/// The domain whose addresses have names of their own.
const GOOGLEAPIS: &str = "googleapis.com";

/// Which names of a domain are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The name and all names below it.
    Both,
    /// All names below it; the name itself exists as the target of the wildcard.
    Wildcard,
    /// Only the name itself.
    Exact,
}

/// One of the two addresses that Google announces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    Restricted,
    Private,
}

impl Shared {
    pub(super) const ALL: [Self; 2] = [Self::Restricted, Self::Private];

    /// The keyword in the file, which is also the label below googleapis.com.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Private => "private",
        }
    }

    /// The addresses in answers: all four of the range, as Google says.
    const fn v4(self) -> [Ipv4Addr; 4] {
        let first = match self {
            Self::Restricted => 4,
            Self::Private => 8,
        };
        [
            Ipv4Addr::new(199, 36, 153, first),
            Ipv4Addr::new(199, 36, 153, first + 1),
            Ipv4Addr::new(199, 36, 153, first + 2),
            Ipv4Addr::new(199, 36, 153, first + 3),
        ]
    }

    /// The only address of the range that Google puts into DNS.
    const fn v6(self) -> Ipv6Addr {
        let third = match self {
            Self::Restricted => 0x1000,
            Self::Private => 0x2000,
        };
        Ipv6Addr::new(0x2600, 0x2d00, 2, third, 0, 0, 0, 0)
    }

    /// The one whose range contains an address: 199.36.153.4/30 and 2600:2d00:2:1000::/56 are
    /// restricted, 199.36.153.8/30 and 2600:2d00:2:2000::/56 private.
    pub(super) fn holding(address: IpAddr) -> Option<Self> {
        Self::ALL.into_iter().find(|shared| match address {
            IpAddr::V4(v4) => u32::from(v4) >> 2 == u32::from(shared.v4()[0]) >> 2,
            IpAddr::V6(v6) => u128::from(v6) >> 72 == u128::from(shared.v6()) >> 72,
        })
    }
}

/// The destination of names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Shared(Shared),
    /// The addresses of Private Service Connect endpoints.
    Psc(Vec<Ipv4Addr>),
}

/// A domain of the preset.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Domain {
    /// Its place in the file, or the start of the section.
    place: Place,
    name: Name,
    form: Form,
    /// The destination of the whole domain; `None` means that of the preset.
    whole: Option<Shared>,
    /// Names below it with another destination.
    except: Vec<(Name, Shared)>,
}

impl Domain {
    /// The destination of a name: that of the longest matching exception, or else of the domain.
    fn target(&self, name: &Name, settings: &Settings) -> Target {
        let except = self
            .except
            .iter()
            .filter(|(above, _)| name.as_ref().is_within(above.as_ref()))
            .max_by_key(|(above, _)| above.as_ref().label_count());
        match except.map(|&(_, shared)| shared).or(self.whole) {
            Some(shared) => Target::Shared(shared),
            None => settings.main.clone(),
        }
    }
}

/// Whether this is the domain whose addresses have names of their own.
fn is_googleapis(domain: &Domain) -> bool {
    shown(domain.name.as_ref()) == GOOGLEAPIS
}

fn child(name: &Name, label: &str) -> Option<Name> {
    name.child(label.as_bytes()).ok()
}

/// Adds a zone and its rule for each domain.
pub(super) fn add(settings: &Settings, parts: &mut Parts, faults: &mut Faults<'_>) {
    for domain in &settings.domains {
        match build(domain, settings) {
            Ok(zone) => add_zone(domain, zone, parts),
            Err(errors) => {
                for error in errors {
                    faults.push(domain.place, format!("google_apis: {error}"));
                }
            }
        }
    }
}

fn add_zone(domain: &Domain, zone: Zone, parts: &mut Parts) {
    let id = parts.add_zone(zone);
    let mut patterns = vec![match domain.form {
        Form::Exact => Pattern::Exact(domain.name.clone()),
        Form::Both | Form::Wildcard => Pattern::Subtree(domain.name.clone()),
    }];
    // An exception allows a carved-out name again.
    patterns.extend(
        domain
            .except
            .iter()
            .filter(|(name, _)| is_carved_out(name))
            .map(|(name, _)| Pattern::Subtree(name.clone())),
    );
    let shown = shown(domain.name.as_ref());
    let rule = Rule::new(
        format!("google_apis {shown}").into(),
        patterns,
        Action::Zone(id),
        RuleOrigin::Configured,
    );
    parts.note_zone(&shown);
    parts.add_rule(
        rule,
        Source::new(format!("google_apis ({shown})"), domain.place),
    );
}

/// Whether a name is in one of the carved-out subtrees.
///
/// Each is a built-in denial. A rule, a zone or an exception for the name or for one below it takes
/// precedence; without one, the denial explains what to do, instead of a wrong address:
///
/// - `p.googleapis.com`: names of Private Service Connect endpoints, each with its own address.
/// - `rep.googleapis.com`, including `p.rep.googleapis.com`: regional endpoints, which the virtual
///   addresses do not serve.
/// - `private.googleapis.com` and `restricted.googleapis.com` if the preset does not use them: a
///   name must not have the address of the other one.
pub(crate) fn is_carved_out(name: &Name) -> bool {
    elsewhere()
        .filter_map(|(subtree, _)| subtree.parse::<Name>().ok())
        .any(|subtree| name.as_ref().is_within(subtree.as_ref()))
}

/// Adds the denials if the preset has googleapis.com.
pub(crate) fn add_carve_outs(settings: &Settings, parts: &mut Parts) {
    let Some(domain) = settings.domain(GOOGLEAPIS) else {
        return;
    };
    for (subtree, reason) in elsewhere() {
        add_carve_out(parts, subtree, Pattern::Subtree, reason);
    }
    for shared in Shared::ALL {
        let is_target = settings.main == Target::Shared(shared)
            || domain.except.iter().any(|&(_, other)| other == shared);
        if !is_target {
            let name = format!("{}.{GOOGLEAPIS}", shared.label());
            let reason = "google_apis.vip is another one; services that need this one go under google_apis.except";
            add_carve_out(parts, &name, Pattern::Exact, reason);
        }
    }
}

fn add_carve_out(parts: &mut Parts, name: &str, pattern: fn(Name) -> Pattern, reason: &str) {
    let Ok(owner) = name.parse() else { return };
    let rule = Rule {
        reason: Some(reason.into()),
        ..Rule::new(
            builtin::label(name),
            vec![pattern(owner)],
            Action::Deny,
            RuleOrigin::BuiltIn,
        )
    };
    parts.add_rule(rule, Source::built_in());
}

/// Builds the zone.
fn build(domain: &Domain, settings: &Settings) -> Result<Zone, Vec<ZoneError>> {
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
