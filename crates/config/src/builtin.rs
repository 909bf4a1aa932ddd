//! Answers that need no configuration. Anything that the file says about the same name, or about a
//! longer one, takes precedence.
//!
//! - `metadata.google.internal`: Google's metadata server has the same address in every network, and
//!   a workload that cannot resolve its name does not start.
//! - The reverse zones of private and reserved address space (RFC 6303): no server outside this
//!   network can answer for them, so forwarding the query would only time out.
//! - Names that cannot exist in the public DNS ([`DOMAINS`]), which search lists generate: an error
//!   for one of them would end the search before the client tries the intended name.
//! - `use-application-dns.net` and `resolver.arpa` do not exist. Their absence tells browsers
//!   (Mozilla's canary) and stub resolvers (RFC 9462 section 6.4) not to switch to an encrypted
//!   resolver that bypasses this server.

use std::net::Ipv4Addr;

use crate::{
    file::BuiltIn,
    given::Given,
    parts::{Parts, Source},
};
use dnsgate_core::{
    dns::{Name, RecordType, Rrset},
    policy::{Action, DenyWith, Pattern, Rule, RuleOrigin},
    zone::{Zone, ZoneBuilder},
};

/// Google's metadata server; the address is the same in every VPC (Google's documentation, "VM metadata").
const METADATA: (&str, Ipv4Addr) = (
    "metadata.google.internal",
    Ipv4Addr::new(169, 254, 169, 254),
);
/// The TTL of its address, in seconds. The address never changes, but a later configuration may override it.
const METADATA_TTL: u32 = 300;

/// Names whose absence tells clients to keep using the configured resolver.
const CANARIES: [(&str, &str); 2] = [
    (
        "use-application-dns.net",
        "clients must keep using this server",
    ),
    ("resolver.arpa", "this server offers no encrypted DNS"),
];

/// The zones of RFC 6303 sections 4.2 to 4.6, in the order of its tables; [`reverse_zones`] adds the
/// sixteen zones of 172.16.0.0/12.
const REVERSE: [&str; 17] = [
    "10.in-addr.arpa",
    "168.192.in-addr.arpa",
    "0.in-addr.arpa",
    "127.in-addr.arpa",
    "254.169.in-addr.arpa",
    "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "d.f.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
    "8.b.d.0.1.0.0.2.ip6.arpa",
];

/// The TTL of the SOA and NS records of the reverse zones, in seconds (RFC 6303 section 3).
const REVERSE_TTL: u32 = 10_800;
/// The five numbers of their SOA record (RFC 6303 section 3).
const REVERSE_SOA: [u32; 5] = [1, 3_600, 1_200, 604_800, 10_800];
/// The mailbox (RNAME) of that SOA record (RFC 6303 section 3).
const NOBODY: &[u8] = b"\x06nobody\x07invalid\0";

/// Adds the built-in answers that the file does not switch off.
pub(super) fn add(section: Option<&BuiltIn>, parts: &mut Parts) {
    let is_on = |switch: fn(&BuiltIn) -> &Given<bool>| {
        section
            .and_then(|section| switch(section).value())
            .copied()
            .unwrap_or(true)
    };
    if is_on(|on| &on.metadata) {
        let (name, address) = METADATA;
        let set = Rrset::of_addresses(RecordType::A, METADATA_TTL, &[address.into()]);
        add_rule(parts, name, Pattern::Exact, Action::Answer(vec![set]), None);
    }
    if is_on(|on| &on.private_reverse) {
        for origin in reverse_zones() {
            add_reverse(parts, &origin);
        }
    }
    if is_on(|on| &on.doh_canaries) {
        for (name, reason) in CANARIES {
            add_rule(parts, name, Pattern::Subtree, Action::Deny, Some(reason));
        }
    }
    if is_on(|on| &on.search) {
        add_search(parts);
    }
}

/// Adds a built-in rule for one name.
fn add_rule(
    parts: &mut Parts,
    name: &str,
    pattern: fn(Name) -> Pattern,
    action: Action,
    reason: Option<&str>,
) {
    let Ok(owner) = name.parse() else { return };
    let deny_with = (action == Action::Deny).then_some(DenyWith::NxDomain);
    let rule = Rule {
        reason: reason.map(Into::into),
        deny_with,
        ..Rule::new(
            label(name),
            vec![pattern(owner)],
            action,
            RuleOrigin::BuiltIn,
        )
    };
    parts.add_rule(rule, Source::built_in());
}

/// The name of a built-in rule in logs, metrics and denials. No configured rule can have this name,
/// because it contains a space.
pub(super) fn label(name: &str) -> Box<str> {
    format!("built-in {name}").into()
}

fn reverse_zones() -> impl Iterator<Item = String> {
    let private_172 = (16..=31).map(|second| format!("{second}.172.in-addr.arpa"));
    REVERSE.into_iter().map(str::to_owned).chain(private_172)
}

fn add_reverse(parts: &mut Parts, origin: &str) {
    if let Some(zone) = empty_zone(origin) {
        let id = parts.add_zone(zone);
        add_rule(parts, origin, Pattern::Subtree, Action::Zone(id), None);
    }
}

/// The empty zone of RFC 6303 section 3: `@ SOA @ nobody.invalid. …`, `@ NS @`.
fn empty_zone(origin: &str) -> Option<Zone> {
    let name: Name = origin.parse().ok()?;
    let apex = name.as_ref();
    let mut soa = [apex.wire(), NOBODY].concat();
    soa.extend(REVERSE_SOA.iter().flat_map(|field| field.to_be_bytes()));
    let mut builder = ZoneBuilder::new(name.clone());
    builder.add(apex, REVERSE_TTL, RecordType::SOA, &soa).ok()?;
    builder
        .add(apex, REVERSE_TTL, RecordType::NS, apex.wire())
        .ok()?;
    builder.finish().ok()
}

/// The domains, each with the reason why the public DNS has no data in it; as of 2026-11-27.
/// They come from IANA's registry of special-use domain names (RFC 6761 section 5): every domain for
/// which DNS servers should have no data. Left out are `example` and `example.com`, `.net`, `.org`,
/// which servers must not treat as special (RFC 6761 section 6.5); `ipv4only.arpa`, which exists and
/// by which clients detect NAT64 (RFC 7050); `resolver.arpa` and the reverse zones of private space,
/// which have built-in answers of their own.
/// Added are `internal`, which ICANN reserves for private use, and domains that networks use as if
/// they were reserved; none of these is delegated.
/// A client with `search c.proj.internal svc.cluster.local` and `ndots:5` asks for
/// `storage.googleapis.com.c.proj.internal` before it asks for `storage.googleapis.com`. REFUSED for
/// the first name ends the search, and no answer makes the client wait for its time-out: musl and
/// glibc continue only after NXDOMAIN. So these names get NXDOMAIN whatever `deny_with` says,
/// including `drop`, and count under the reason `search`. Anything that the file says about such a
/// name, or about an ancestor of it such as `.`, takes precedence, and so does a rule's own way to deny.
const DOMAINS: [(&str, &str); 18] = [
    ("6tisch.arpa", "no data of it in the DNS (RFC 9031)"),
    ("alt", "not of the DNS (RFC 9476)"),
    ("corp", "not delegated (ICANN, 2018-02-04)"),
    ("eap-noob.arpa", "no data of it in the DNS (RFC 9140)"),
    ("home", "not delegated (ICANN, 2018-02-04)"),
    ("home.arpa", "for home networks only (RFC 8375)"),
    ("internal", "for private use only (ICANN, 2024-07-29)"),
    ("intranet", "not delegated (RFC 6762 appendix G)"),
    ("invalid", "never exists (RFC 6761)"),
    ("lan", "not delegated (RFC 6762 appendix G)"),
    ("local", "for multicast DNS only (RFC 6762)"),
    ("localdomain", "not delegated; a default of hosts files"),
    ("localhost", "every host's own (RFC 6761)"),
    ("mail", "not delegated (ICANN, 2018-02-04)"),
    ("onion", "for Tor only (RFC 7686)"),
    ("private", "not delegated (RFC 6762 appendix G)"),
    ("service.arpa", "for local registration only (RFC 9665)"),
    ("test", "never delegated (RFC 6761)"),
];

/// The name of the rule about names of one label, and its reason.
const SINGLE_LABEL: (&str, &str) = ("single label", "no host has such a name in the public DNS");

fn add_search(parts: &mut Parts) {
    for (domain, why) in DOMAINS {
        let Ok(name) = domain.parse::<Name>() else {
            continue;
        };
        add_search_rule(parts, domain, vec![Pattern::Subtree(name)], why);
    }
    let (name, why) = SINGLE_LABEL;
    add_search_rule(parts, name, Vec::new(), why);
}

fn add_search_rule(parts: &mut Parts, name: &str, patterns: Vec<Pattern>, why: &str) {
    let rule = Rule {
        reason: Some(why.into()),
        deny_with: Some(DenyWith::NxDomain),
        ..Rule::new(label(name), patterns, Action::Deny, RuleOrigin::Search)
    };
    parts.add_rule(rule, Source::built_in());
}

#[cfg(test)]
mod tests {
    use crate::tests::{answer, answer_to, config};
    use dnsgate_core::zone::ZoneLookup;

    use super::*;

    /// The default denial as the client sees it.
    const NONE: &str = "refused: no rule allows this name";

    #[test]
    fn each_answer_has_its_switch() {
        let canary =
            "nxdomain: built-in use-application-dns.net: clients must keep using this server";
        let twin = "nxdomain: built-in resolver.arpa: this server offers no encrypted DNS";
        for (switch, name, want) in [
            ("metadata", "metadata.google.internal", "A 169.254.169.254"),
            ("private_reverse", "1.0.0.10.in-addr.arpa", "NXDOMAIN"),
            ("doh_canaries", "use-application-dns.net", canary),
            ("doh_canaries", "_dns.resolver.arpa", twin),
            (
                "search",
                "db.corp.internal",
                "nxdomain: built-in internal: for private use only (ICANN, 2024-07-29)",
            ),
            (
                "search",
                "printer",
                "nxdomain: built-in single label: no host has such a name in the public DNS",
            ),
        ] {
            assert_eq!(answer(&config(""), name, "A"), want, "{name}");
            // Without its own built-in rule, such a name falls under the search rule if it cannot exist.
            let rest = if switch == "search" {
                ""
            } else {
                ", search: false"
            };
            let off = config(&format!("built_in: {{{switch}: false{rest}}}"));
            assert_eq!(answer(&off, name, "A"), NONE, "{name}");
        }
        let on = config("");
        assert_eq!(answer(&on, "metadata.google.internal", "AAAA"), "NODATA");
        let internal = "nxdomain: built-in internal: for private use only (ICANN, 2024-07-29)";
        assert_eq!(answer(&on, "x.metadata.google.internal", "A"), internal);
    }

    #[test]
    fn private_address_space_has_no_reverse_names() {
        let config = config("");
        for (name, want) in [
            ("10.in-addr.arpa", "NODATA"),
            ("4.3.2.10.in-addr.arpa", "NXDOMAIN"),
            ("1.0.16.172.in-addr.arpa", "NXDOMAIN"),
            ("1.0.31.172.in-addr.arpa", "NXDOMAIN"),
            ("1.0.15.172.in-addr.arpa", NONE),
            ("1.0.32.172.in-addr.arpa", NONE),
            ("1.1.168.192.in-addr.arpa", "NXDOMAIN"),
            ("1.0.169.192.in-addr.arpa", NONE),
            ("1.0.0.127.in-addr.arpa", "NXDOMAIN"),
            ("254.169.254.169.in-addr.arpa", "NXDOMAIN"),
            ("255.255.255.255.in-addr.arpa", "NODATA"),
            ("8.8.8.8.in-addr.arpa", NONE),
            ("1.d.f.ip6.arpa", "NXDOMAIN"),
            ("b.e.f.ip6.arpa", "NODATA"),
            ("c.e.f.ip6.arpa", NONE),
            ("8.b.d.0.1.0.0.2.ip6.arpa", "NODATA"),
            (&format!("1.{}ip6.arpa", "0.".repeat(31)), "NODATA"),
            (&format!("2.{}ip6.arpa", "0.".repeat(31)), NONE),
        ] {
            assert_eq!(answer(&config, name, "PTR"), want, "{name}");
        }
        assert_eq!(reverse_zones().count(), 33);
    }

    #[test]
    fn every_reverse_zone_has_the_records_of_rfc_6303() {
        for origin in reverse_zones() {
            let zone = empty_zone(&origin).expect(&origin);
            let name: Name = origin.parse().expect(&origin);
            assert_eq!(zone.rrset_count(), 2, "{origin}");
            let ZoneLookup::Found(ns) = zone.lookup(name.as_ref(), RecordType::NS) else {
                panic!("{origin} has no NS");
            };
            assert_eq!(ns.rdatas().next(), Some(name.as_ref().wire()), "{origin}");
            assert_eq!(zone.negative_soa().ttl(), 10_800, "{origin}");
        }
    }

    #[test]
    fn what_is_configured_goes_first() {
        let config = config(
            "
    zones:
      - { origin: 10.in-addr.arpa, records: [\"5.0.0 PTR db.corp.example.\"] }
      - { origin: 1.168.192.in-addr.arpa, records: [\"7 PTR www.corp.example.\"] }
    rules:
      - { name: fake, domains: [metadata.google.internal], records: [A 10.0.0.9] }
      - { name: canary, domains: [.use-application-dns.net], records: [A 10.0.0.8] }
    ",
        );
        for (name, rtype, want) in [
            ("5.0.0.10.in-addr.arpa", "PTR", "PTR"),
            ("7.1.168.192.in-addr.arpa", "PTR", "PTR"),
            ("7.2.168.192.in-addr.arpa", "PTR", "NXDOMAIN"),
            ("metadata.google.internal", "A", "A 10.0.0.9"),
            ("use-application-dns.net", "A", "A 10.0.0.8"),
        ] {
            assert_eq!(answer(&config, name, rtype), want, "{name}");
        }
    }

    #[test]
    fn each_domain_and_all_below_it_do_not_exist() {
        let config = config("google_apis: { vip: off }\nbuilt_in: { metadata: false }");
        for (domain, why) in DOMAINS {
            let denied = format!("nxdomain: built-in {domain}: {why}");
            for name in [
                domain.to_owned(),
                format!("a.{domain}"),
                format!("b.a.{domain}"),
            ] {
                assert_eq!(answer(&config, &name, "A"), denied, "{name}");
            }
            assert_eq!(answer(&config, &format!("a.{domain}.com"), "A"), NONE);
            assert_eq!(answer(&config, &format!("not-{domain}.com"), "A"), NONE);
        }
        for name in [
            "storage.googleapis.com.c.proj.internal",
            "storage.googleapis.com.svc.cluster.local",
            "wpad",
            "xn--bcher-kva",
            "_ldap",
        ] {
            let said = answer(&config, name, "SRV");
            assert!(said.starts_with("nxdomain: built-in "), "{name}: {said}");
        }
        // Names that may exist in the public DNS, or that servers must not treat as special.
        for name in [
            "a.example",
            "example.com",
            "ipv4only.arpa",
            "in-addr.arpa",
            "a.com",
            ".",
        ] {
            assert_eq!(answer(&config, name, "A"), NONE, "{name}");
        }
    }

    #[test]
    fn the_domains_are_in_order_and_each_is_once() {
        assert!(DOMAINS.is_sorted_by_key(|(domain, _)| domain));
        for ((domain, _), (next, _)) in DOMAINS.iter().zip(DOMAINS.iter().skip(1)) {
            assert_ne!(domain, next);
        }
    }

    #[test]
    fn every_way_to_deny_gives_way_and_what_is_configured_goes_first() {
        for way in ["refused", "nxdomain", "nodata", "drop"] {
            let config = config(&format!(
                "
    clients: {{ vpc: {{ cidrs: [10.0.0.0/8] }}, own: {{ cidrs: [10.8.0.0/16], deny_with: {way} }} }}
    deny_with: {way}
    zones: [{{ origin: corp.internal, records: [\"db A 10.0.0.5\"] }}]
    rules:
      - {{ name: printer, domains: [.printer.lan], records: [A 10.0.0.6] }}
      - {{ name: secret, domains: [.secret.internal], deny: refused }}
    "
            ));
            for client in ["10.1.2.3", "10.8.2.3"] {
                for (name, want) in [
                    (
                        "a.b.internal",
                        "nxdomain: built-in internal: for private use only (ICANN, 2024-07-29)",
                    ),
                    (
                        "lan",
                        "nodata: built-in lan: not delegated (RFC 6762 appendix G)",
                    ),
                    (
                        "internal",
                        "nodata: built-in internal: for private use only (ICANN, 2024-07-29)",
                    ),
                    (
                        "google.internal",
                        "nodata: built-in internal: for private use only (ICANN, 2024-07-29)",
                    ),
                    ("metadata.google.internal", "A 169.254.169.254"),
                    ("db.corp.internal", "A 10.0.0.5"),
                    ("no.corp.internal", "NXDOMAIN"),
                    ("a.printer.lan", "A 10.0.0.6"),
                    ("a.secret.internal", "refused: rule secret"),
                ] {
                    assert_eq!(answer_to(&config, client, name, "A"), want, "{way} {name}");
                }
            }
        }
        let all = config(
            "upstreams: { u: { servers: [udp://10.9.0.53] } }\nrules: [{ name: all, domains: [.], forward: u }]",
        );
        for name in ["db", "a.internal", "a.b.local"] {
            assert_eq!(answer(&all, name, "A"), "forward to 0", "{name}");
        }
    }
}
