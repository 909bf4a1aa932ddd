//! Google's table of names, `names.tsv`, which states its source and date, and the names that the
//! preset promises to serve, for tools that verify a network against it.

use std::{collections::BTreeSet, net::IpAddr, sync::LazyLock};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use dnsgate_core::dns::Name;

use super::{Domain, Form, Settings, Shared, Target, child, is_googleapis};

/// One name of Google's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Documented {
    /// The domain, without the `*.` of the table.
    pub(super) domain: &'static str,
    /// Which names of the domain the table lists.
    pub(super) form: Form,
    /// Whether Google documents it for the restricted address as well.
    pub(super) restricted: bool,
}

/// The rows of the file: domain, form, and the third column, whose meaning depends on the form.
fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = include_str!("names.tsv").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.splitn(3, '\t');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
}

/// The table: 41 names, exact and wildcard, of 32 domains.
pub(super) static DOCUMENTED: LazyLock<Vec<Documented>> = LazyLock::new(|| {
    let served = rows().filter_map(|(domain, form, on)| {
        let form = match form {
            "both" => Form::Both,
            "wildcard" => Form::Wildcard,
            "exact" => Form::Exact,
            _ => return None,
        };
        Some(Documented {
            domain,
            form,
            restricted: on == "restricted",
        })
    });
    served.collect()
});

/// Subtrees of googleapis.com that the virtual addresses do not serve, each with advice.
pub(super) fn elsewhere() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = rows().filter(|(_, form, _)| *form == "elsewhere");
    rows.map(|(domain, _, advice)| (domain, advice))
}

/// The label of the sample name below a domain. Under googleapis.com it is a service that every
/// address has; elsewhere it only tests the wildcard.
///
/// The wildcards cover infinitely many names, so the list is a sample: each domain's own name, one
/// name below it, the names of the addresses, every exception, and the carved-out names.
const BELOW: &[u8] = b"storage";

/// The destination of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vip {
    /// `restricted`, `private` or `psc`.
    pub label: &'static str,
    /// The ranges that an answer may use.
    pub ranges: Vec<IpNet>,
    /// The addresses that an answer should have; IPv6 only if the configuration says so.
    pub addresses: Vec<IpAddr>,
}

/// A name of the preset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The name.
    pub name: Name,
    /// Its destination, or why it has none.
    pub leads: Result<Vip, &'static str>,
}

/// The names, each once.
pub(crate) fn served(settings: &Settings) -> Vec<Served> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for domain in &settings.domains {
        let mut add = |name: Name, leads| {
            if seen.insert(name.clone()) {
                all.push(Served { name, leads });
            }
        };
        let to = |name: &Name| Ok(vip(domain.target(name, settings), settings.ipv6));
        for name in names(domain, settings) {
            let leads = to(&name);
            add(name, leads);
        }
        if is_googleapis(domain) {
            for (name, why) in elsewhere() {
                if let Ok(name) = name.parse() {
                    add(name, Err(why));
                }
            }
        }
    }
    all
}

/// Every address of the preset. They are added to the ranges of every rule, because a name may be an
/// alias of one of Google's services.
pub(crate) fn addresses(settings: &Settings) -> Vec<IpAddr> {
    let vips = served(settings).into_iter().filter_map(|it| it.leads.ok());
    let addresses: BTreeSet<_> = vips.flat_map(|vip| vip.addresses).collect();
    addresses.into_iter().collect()
}

fn names(domain: &Domain, settings: &Settings) -> Vec<Name> {
    let mut names = Vec::new();
    let main = domain.target(&domain.name, settings);
    match &main {
        Target::Shared(shared) if is_googleapis(domain) => {
            names.extend(child(&domain.name, shared.label()));
        }
        _ if domain.form != Form::Wildcard => names.push(domain.name.clone()),
        _ => {}
    }
    if domain.form != Form::Exact {
        names.extend(domain.name.child(BELOW).ok());
    }
    names.extend(domain.except.iter().map(|(name, _)| name.clone()));
    names
}

fn vip(target: Target, ipv6: bool) -> Vip {
    match target {
        Target::Shared(shared) => {
            let v6 = ipv6.then(|| IpAddr::from(shared.v6()));
            Vip {
                label: shared.label(),
                ranges: ranges(shared),
                addresses: shared
                    .v4()
                    .map(IpAddr::from)
                    .into_iter()
                    .chain(v6)
                    .collect(),
            }
        }
        Target::Psc(addresses) => Vip {
            label: "psc",
            ranges: addresses
                .iter()
                .map(|&v4| IpAddr::from(v4).into())
                .collect(),
            addresses: addresses.into_iter().map(IpAddr::from).collect(),
        },
    }
}

/// The ranges as Google states them; [`Shared::holding`] tests the same ranges.
fn ranges(shared: Shared) -> Vec<IpNet> {
    let [v4, ..] = shared.v4();
    let v4 = Ipv4Net::new(v4, 30).map(IpNet::from);
    let v6 = Ipv6Net::new(shared.v6(), 56).map(IpNet::from);
    v4.into_iter().chain(v6).collect()
}

#[cfg(test)]
mod tests {
    use crate::tests::config;

    use super::*;

    /// One line for each: `name label first-address+count`.
    fn told(text: &str) -> Vec<String> {
        let line = |served: &Served| match &served.leads {
            Ok(vip) => {
                let first = vip.addresses.first().expect("an address");
                let count = vip.addresses.len();
                format!("{} {} {first}+{count}", served.name, vip.label)
            }
            Err(_) => format!("{} elsewhere", served.name),
        };
        config(text).served.iter().map(line).collect()
    }

    #[test]
    fn each_domain_has_its_names() {
        let elsewhere = [
            "p.googleapis.com. elsewhere",
            "rep.googleapis.com. elsewhere",
        ];
        let google = [
            "restricted.googleapis.com. restricted 199.36.153.4+4",
            "storage.googleapis.com. restricted 199.36.153.4+4",
        ];
        assert_eq!(told("{}"), [&google[..], &elsewhere].concat());
        assert_eq!(told("google_apis: { vip: off }"), [""; 0]);
        assert_eq!(
            told(
                "google_apis: { domains: [gcr.io, run.app, dl.google.com], ipv6: true, except: { dl.google.com: private } }"
            ),
            [
                "gcr.io. restricted 199.36.153.4+5",
                "storage.gcr.io. restricted 199.36.153.4+5",
                "storage.run.app. restricted 199.36.153.4+5",
                "dl.google.com. private 199.36.153.8+5",
            ]
        );
        assert_eq!(
            told(
                "google_apis: { except: { storage.googleapis.com: private, a.googleapis.com: private } }"
            ),
            [
                "restricted.googleapis.com. restricted 199.36.153.4+4",
                "storage.googleapis.com. private 199.36.153.8+4",
                "a.googleapis.com. private 199.36.153.8+4",
                elsewhere[0],
                elsewhere[1],
            ]
        );
        assert_eq!(
            told("google_apis: { vip: psc, addresses: [10.1.1.5], domains: [googleapis.com] }"),
            [
                "storage.googleapis.com. psc 10.1.1.5+1",
                elsewhere[0],
                elsewhere[1],
            ]
        );
    }

    #[test]
    fn the_ranges_hold_the_addresses_and_not_the_others() {
        for shared in Shared::ALL {
            let vip = vip(Target::Shared(shared), true);
            for address in &vip.addresses {
                assert!(vip.ranges.iter().any(|range| range.contains(address)));
                assert_eq!(Shared::holding(*address), Some(shared));
            }
            for other in Shared::ALL.into_iter().filter(|other| *other != shared) {
                let other = IpAddr::from(other.v6());
                assert!(!vip.ranges.iter().any(|range| range.contains(&other)));
            }
        }
    }
}
