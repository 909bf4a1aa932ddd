//! Denies names that cannot exist in the public DNS with NXDOMAIN, unless something is configured
//! about them.
//!
//! A client with `search c.proj.internal svc.cluster.local` and `ndots:5` asks for
//! `storage.googleapis.com.c.proj.internal` before it asks for `storage.googleapis.com`. REFUSED for
//! the first name ends the search, and no answer makes the client wait for its time-out: musl and
//! glibc continue only after NXDOMAIN. So these names get NXDOMAIN whatever `deny_with` says,
//! including `drop`, and count under the reason `search`. Anything that the file says about such a
//! name, or about an ancestor of it such as `.`, takes precedence, and so does a rule's own way to deny.

use super::{
    super::parts::{Parts, Source},
    label,
};
use dnsgate_core::{
    dns::Name,
    policy::{Action, DenyWith, Pattern, Rule, RuleOrigin, TypeSet},
};

/// The domains, each with the reason why the public DNS has no data in it; as of 2026-11-27.
///
/// They come from IANA's registry of special-use domain names (RFC 6761 section 5): every domain for
/// which DNS servers should have no data. Left out are `example` and `example.com`, `.net`, `.org`,
/// which servers must not treat as special (RFC 6761 section 6.5); `ipv4only.arpa`, which exists and
/// by which clients detect NAT64 (RFC 7050); `resolver.arpa` and the reverse zones of private space,
/// which have built-in answers of their own.
///
/// Added are `internal`, which ICANN reserves for private use, and domains that networks use as if
/// they were reserved; none of these is delegated.
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

pub(super) fn add(parts: &mut Parts) {
    for (domain, why) in DOMAINS {
        let Ok(name) = domain.parse::<Name>() else {
            continue;
        };
        add_rule(parts, domain, vec![Pattern::Subtree(name)], why);
    }
    let (name, why) = SINGLE_LABEL;
    add_rule(parts, name, Vec::new(), why);
}

fn add_rule(parts: &mut Parts, name: &str, patterns: Vec<Pattern>, why: &str) {
    let rule = Rule {
        name: label(name),
        patterns,
        groups: None,
        types: TypeSet::ANY,
        until: None,
        reason: Some(why.into()),
        action: Action::Deny,
        deny_with: Some(DenyWith::NxDomain),
        origin: RuleOrigin::Search,
    };
    parts.add_rule(rule, Source::built_in());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{answer, answer_to, config};

    /// The default denial as the client sees it.
    const NONE: &str = "refused: no rule allows this name";

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
