//! Names that cannot exist in the public DNS, and so do not exist here unless something is configured
//! about them.
//!
//! A client with `search c.proj.internal svc.cluster.local` and `ndots:5` asks for
//! `storage.googleapis.com.c.proj.internal` before it asks for `storage.googleapis.com`. REFUSED, or
//! silence, for the first one ends the search there, or makes it wait for its time-out: musl and glibc
//! go on after NXDOMAIN only. So these are NXDOMAIN whatever `deny_with` says, `drop` included, and
//! count under the reason `search`. Whatever the file says about such a name, or one above it such as
//! `.`, goes before; a rule's own way to deny is the rule's.

use super::{
    super::parts::{Parts, Source},
    label,
};
use crate::{
    dns::Name,
    policy::{Action, DenyWith, Origin, Pattern, Rule, TypeSet},
};

/// The domains, each with why nothing in it is to be found in the public DNS; as of 2026-11-27.
///
/// From IANA's registry of special-use domain names (RFC 6761 section 5): every one that DNS servers
/// are told to have no data of. Not from it: `example` and `example.com`, `.net`, `.org`, which
/// servers must not treat as special (RFC 6761 section 6.5); `ipv4only.arpa`, which exists, and clients
/// learn of NAT64 by it (RFC 7050); `resolver.arpa` and the reverse zones of private space, which have
/// built-in answers of their own.
///
/// Beside it: `internal`, which ICANN keeps for private use, and what networks use as if it were kept,
/// of which none is delegated.
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

/// What the rule about names of one label is called.
const SINGLE_LABEL: (&str, &str) = ("single label", "no host has such a name in the public DNS");

/// Adds the denials.
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
        origin: Origin::Search,
    };
    parts.add_rule(rule, Source::built_in());
}
