//! Reads the `google_apis` section.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
};

use super::{Domain, Form, GOOGLEAPIS, Shared, Target, table::DOCUMENTED};
use crate::{
    error::{Faults, MAX_NOTICES, Notice, Place, nearest},
    file::{DOCUMENTED_WORD, Domains, GoogleApis, GoogleVip},
    given::{At, Given, List},
    text::shown,
};
use dnsgate_core::dns::Name;

/// The most endpoints of `psc`: every answer must have room for their addresses.
const MAX_ADDRESSES: usize = 16;
/// The most domains, and the most exceptions: thirty times the number that Google documents. Each
/// exception is compared with every domain and with the other exceptions.
const MAX_NAMES: usize = 1_000;

/// The settings of the preset.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The start of the section; the default place if the file has none.
    pub(super) place: Place,
    pub(super) main: Target,
    pub(super) ipv6: bool,
    pub(super) domains: Vec<Domain>,
    /// Warnings about the section.
    pub(crate) warnings: Vec<Notice>,
}

impl Settings {
    /// Reads the section; `None` if the preset is off.
    pub(crate) fn of(section: &Given<GoogleApis>, faults: &mut Faults<'_>) -> Option<Self> {
        let Some(section) = section.value() else {
            return Some(Self::default());
        };
        if !section.span.has_known_keys || section.vip.is_bad {
            return None; // what the rest means depends on it
        }
        let vip = section.vip.into_value().unwrap_or(GoogleVip::Restricted);
        if vip == GoogleVip::Off {
            report_useless(section, faults);
            return None;
        }
        let mut settings = Self {
            place: section.span.place,
            main: target(vip, section, faults),
            ipv6: ipv6(vip, section, faults),
            domains: Vec::new(),
            warnings: Vec::new(),
        };
        settings.read_domains(section, faults);
        settings.read_exceptions(section, faults);
        Some(settings)
    }

    /// The domain with this name, if the preset has it.
    pub(super) fn domain(&self, name: &str) -> Option<&Domain> {
        let name: Name = name.parse().ok()?;
        self.domains.iter().find(|domain| domain.name == name)
    }

    /// The origins of the preset's zones.
    pub(crate) fn origins(&self) -> impl Iterator<Item = &Name> {
        self.domains.iter().map(|domain| &domain.name)
    }

    /// The domains of the preset; `true` means that only the name itself is served.
    pub(crate) fn domains(&self) -> impl Iterator<Item = (&Name, bool)> {
        let domains = self.domains.iter();
        domains.map(|domain| (&domain.name, domain.form == Form::Exact))
    }

    /// The addresses of the endpoints; empty without `psc`.
    pub(crate) fn endpoints(&self) -> &[Ipv4Addr] {
        match &self.main {
            Target::Psc(addresses) => addresses,
            Target::Shared(_) => &[],
        }
    }

    fn read_domains(&mut self, section: &GoogleApis, faults: &mut Faults<'_>) {
        let list = match section.domains.value() {
            None => {
                self.domains.extend(documented(GOOGLEAPIS, self.place));
                return;
            }
            Some(Domains::Documented) => {
                let restricted = self.main == Target::Shared(Shared::Restricted);
                self.domains = DOCUMENTED
                    .iter()
                    .filter(|row| row.restricted || !restricted)
                    .filter_map(|row| documented(row.domain, self.place))
                    .collect();
                return;
            }
            Some(Domains::List(list)) => list,
        };
        if list.is_empty() {
            faults.push_help(
                section.domains.place().unwrap_or_default(),
                "`domains` is empty, so the preset would serve no name",
                "write vip: off for that".to_owned(),
            );
        }
        let mut seen: HashMap<&Name, ()> = HashMap::new();
        for domain in within(list, "domains", faults) {
            if seen.insert(&domain.value, ()).is_some() {
                faults.push(
                    domain.place,
                    format!("{} is there twice", shown(domain.value.as_ref())),
                );
            } else if let Some(found) = self.read_domain(domain, faults) {
                self.domains.push(found);
            }
        }
    }

    fn read_domain(&mut self, domain: &At<Name>, faults: &mut Faults<'_>) -> Option<Domain> {
        let name = shown(domain.value.as_ref());
        if name == DOCUMENTED_WORD {
            faults.push_help(
                domain.place,
                format!("`{name}` is not a name here: it stands for all of Google's names, without a list"),
                format!("write domains: {name}"),
            );
            return None;
        }
        if domain.value.as_ref().is_root() || domain.value.as_ref().labels().any(|l| l == b"*") {
            faults.push_help(
                domain.place,
                format!("`{name}` is no domain of Google's"),
                "write the domain without `*`; dnsgate knows which names below it exist".to_owned(),
            );
            return None;
        }
        let Some(found) = documented(&name, domain.place) else {
            if self.warnings.len() >= MAX_NOTICES {
                return Some(Domain::new(domain.place, domain.value.clone(), Form::Both));
            }
            let near = nearest(&name, DOCUMENTED.iter().map(|row| row.domain));
            self.warnings.push(faults.warning(
                domain.place,
                format!("Google documents no domain {name} for this address; it is served as {name} and everything below it"),
                near.map(|near| format!("did you mean {near}?")),
            ));
            return Some(Domain::new(domain.place, domain.value.clone(), Form::Both));
        };
        let row = DOCUMENTED.iter().find(|row| row.domain == name);
        if self.main == Target::Shared(Shared::Restricted) && row.is_some_and(|row| !row.restricted)
        {
            self.warnings.push(faults.warning(
                domain.place,
                format!("Google does not document {name} for the restricted address"),
                Some(format!(
                    "try https://{name} there before you rely on it, or except it: {name}: private"
                )),
            ));
        }
        Some(found)
    }

    fn read_exceptions(&mut self, section: &GoogleApis, faults: &mut Faults<'_>) {
        // Whole domains first: the exceptions below a domain are compared with its destination.
        let given = section.except.value().map_or(&[][..], |except| &except.0);
        let mut except: Vec<_> = given.iter().take(MAX_NAMES).collect();
        if let Some((name, _)) = given.get(MAX_NAMES) {
            faults.push(name.place, format!("{MAX_NAMES} exceptions are the most"));
        }
        let bad_domains = section.domains.is_bad
            || matches!(section.domains.value(), Some(Domains::List(list)) if !list.is_whole());
        except.sort_by_key(|(name, _)| name.value.as_ref().label_count());
        for (name, vip) in except {
            let shared = match vip.value {
                GoogleVip::Restricted => Shared::Restricted,
                GoogleVip::Private => Shared::Private,
                GoogleVip::Psc | GoogleVip::Off => {
                    faults.push_help(
                        vip.place,
                        "an exception goes to restricted or to private",
                        "for anything else write a rule: records: [A 10.0.0.5], or deny: true"
                            .to_owned(),
                    );
                    continue;
                }
            };
            // Its domain may be the one that could not be read, which has been reported.
            let known = self
                .origins()
                .any(|origin| name.value.as_ref().is_within(origin.as_ref()));
            if bad_domains && !known {
                continue;
            }
            if let Err((message, help)) = self.except(&name.value, shared) {
                faults.push_help(name.place, message, help);
            }
        }
    }

    /// Adds an exception, or returns an error with advice.
    fn except(&mut self, name: &Name, shared: Shared) -> Result<(), (String, Option<String>)> {
        let text = shown(name.as_ref());
        let reserved = |shared: Shared| {
            address_name(shared).is_some_and(|address| name.as_ref().is_within(address.as_ref()))
        };
        if name.as_ref().labels().any(|label| label == b"*")
            || Shared::ALL.into_iter().any(reserved)
        {
            let help = "an exception is a plain name and covers all below it".to_owned();
            return Err((format!("{text} cannot be an exception"), Some(help)));
        }
        let domains: Vec<_> = self
            .origins()
            .take(8)
            .map(|name| shown(name.as_ref()))
            .collect();
        let domain = self
            .domains
            .iter_mut()
            .filter(|domain| name.as_ref().is_within(domain.name.as_ref()))
            .max_by_key(|domain| domain.name.as_ref().label_count());
        let Some(domain) = domain else {
            let message = format!(
                "{text} is under none of the domains ({})",
                domains.join(", ")
            );
            return Err((message, Some("add its domain to `domains`".to_owned())));
        };
        let whole = domain.whole.map_or(self.main.clone(), Target::Shared);
        if whole == Target::Shared(shared) {
            let message = format!("{text} goes to {} anyway", shared.label());
            return Err((message, Some("leave the exception out".to_owned())));
        }
        if *name != domain.name && domain.form == Form::Exact {
            let served = shown(domain.name.as_ref());
            return Err((
                format!("Google serves {served} itself and nothing below it"),
                None,
            ));
        }
        if *name != domain.name {
            domain.except.push((name.clone(), shared));
        } else if text == GOOGLEAPIS {
            let help = format!("write vip: {}", shared.label());
            return Err((
                format!("{text} as a whole is what `vip` is for"),
                Some(help),
            ));
        } else {
            domain.whole = Some(shared);
        }
        Ok(())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            place: Place::default(),
            main: Target::Shared(Shared::Restricted),
            ipv6: false,
            domains: documented(GOOGLEAPIS, Place::default())
                .into_iter()
                .collect(),
            warnings: Vec::new(),
        }
    }
}

impl Domain {
    fn new(place: Place, name: Name, form: Form) -> Self {
        Self {
            place,
            name,
            form,
            whole: None,
            except: Vec::new(),
        }
    }
}

/// A domain of Google's table.
fn documented(name: &str, place: Place) -> Option<Domain> {
    let row = DOCUMENTED.iter().find(|row| row.domain == name)?;
    Some(Domain::new(place, name.parse().ok()?, row.form))
}

fn address_name(shared: Shared) -> Option<Name> {
    format!("{}.{GOOGLEAPIS}", shared.label()).parse().ok()
}

/// The first [`MAX_NAMES`] items of a list; reports if there are more.
fn within<'l, T>(list: &'l List<T>, key: &str, faults: &mut Faults<'_>) -> &'l [At<T>] {
    if let Some(first) = list.get(MAX_NAMES) {
        faults.push(
            first.place,
            format!("`{key}` has more than {MAX_NAMES} entries"),
        );
    }
    list.get(..MAX_NAMES).unwrap_or(list)
}

fn target(vip: GoogleVip, section: &GoogleApis, faults: &mut Faults<'_>) -> Target {
    let shared = match vip {
        GoogleVip::Restricted | GoogleVip::Off => Shared::Restricted,
        GoogleVip::Private => Shared::Private,
        GoogleVip::Psc => return Target::Psc(endpoints(section, faults)),
    };
    if let Some(addresses) = &*section.addresses {
        faults.push_help(
            addresses.place,
            format!(
                "the addresses of {} are known; `addresses` is for psc",
                shared.label()
            ),
            "leave the key out, or write vip: psc".to_owned(),
        );
    }
    Target::Shared(shared)
}

/// The addresses of Private Service Connect endpoints.
fn endpoints(section: &GoogleApis, faults: &mut Faults<'_>) -> Vec<Ipv4Addr> {
    if section.addresses.is_bad {
        return Vec::new(); // which has been told
    }
    let Some(addresses) = &*section.addresses else {
        faults.push_help(
            section.vip.place().unwrap_or(section.span.place),
            "psc needs `addresses`",
            "write the endpoint's address: addresses: [10.1.1.5]".to_owned(),
        );
        return Vec::new();
    };
    if (addresses.value.is_empty()) || addresses.value.len() > MAX_ADDRESSES {
        faults.push(
            addresses.place,
            format!("psc has from 1 to {MAX_ADDRESSES} addresses"),
        );
    }
    let mut found = Vec::with_capacity(addresses.value.len());
    for address in addresses.value.iter().take(MAX_ADDRESSES) {
        match address.value.0 {
            IpAddr::V4(v4) if found.contains(&v4) => {
                faults.push(address.place, format!("{v4} is there twice"));
            }
            IpAddr::V4(v4) if Shared::holding(v4.into()).is_some() => {
                faults.push(
                    address.place,
                    format!("{v4} is not an endpoint: Google announces it itself"),
                );
            }
            IpAddr::V4(v4) => found.push(v4),
            IpAddr::V6(_) => faults.push(
                address.place,
                "an endpoint for Google APIs has an IPv4 address; Google offers no IPv6 there",
            ),
        }
    }
    found
}

fn ipv6(vip: GoogleVip, section: &GoogleApis, faults: &mut Faults<'_>) -> bool {
    let Some(ipv6) = *section.ipv6 else {
        return false;
    };
    if ipv6.value && vip == GoogleVip::Psc {
        faults.push(ipv6.place, "psc has no IPv6: Google offers none there");
    }
    ipv6.value
}

/// Reports settings that have no effect with `vip: off`.
fn report_useless(section: &GoogleApis, faults: &mut Faults<'_>) {
    let is_list = matches!(section.domains.value(), Some(Domains::List(_)));
    let except = section.except.value().and_then(|except| except.0.first());
    let places = [
        section.domains.place().filter(|_| is_list),
        section.addresses.place(),
        section.ipv6.place(),
        except.map(|(name, _)| name.place),
    ];
    for place in places.into_iter().flatten() {
        faults.push(place, "this has no effect with vip: off; leave it out");
    }
}
