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

mod carve;
mod served;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod zone;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) use carve::{add_carve_outs, is_carved_out};
pub use served::{Served, Vip};
pub(super) use served::{addresses, served};
pub(super) use settings::Settings;

use super::{
    error::{Faults, Place},
    parts::{Parts, Source},
    text::shown,
};
use dnsgate_core::{
    dns::Name,
    policy::{Action, Pattern, Rule, RuleOrigin, TypeSet},
    zone::Zone,
};

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
        match zone::build(domain, settings) {
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
    let rule = Rule {
        name: format!("google_apis {shown}").into(),
        patterns,
        groups: None,
        types: TypeSet::ANY,
        until: None,
        reason: None,
        action: Action::Zone(id),
        deny_with: None,
        origin: RuleOrigin::Configured,
    };
    parts.note_zone(&shown);
    parts.add_rule(
        rule,
        Source::new(format!("google_apis ({shown})"), domain.place),
    );
}
