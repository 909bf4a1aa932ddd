//! Names under googleapis.com that the wildcard must not catch, unless somebody configured them.
//!
//! Each is a built-in denial, so that a rule, a zone or an exception for the name or one below it
//! goes before it, and the client is told what to do instead of being sent to the wrong address:
//!
//! - `p.googleapis.com`: names of Private Service Connect endpoints, each with an address of its own.
//! - `rep.googleapis.com`, and in it `p.rep.googleapis.com`: regional endpoints, which the virtual
//!   addresses do not serve.
//! - `private.googleapis.com` and `restricted.googleapis.com` where they are not what the preset
//!   points to: the name of the one with the address of the other would be a lie.

use super::{GOOGLEAPIS, Settings, Shared, Target};
use crate::{
    builtin,
    parts::{Parts, Source},
};
use dnsgate_core::{
    dns::Name,
    policy::{Action, Pattern, Rule, RuleOrigin, TypeSet},
};

/// Subtrees of googleapis.com that are not on the virtual addresses, and what to do about it.
pub(super) const ELSEWHERE: [(&str, &str); 2] = [
    (
        "p.googleapis.com",
        "Private Service Connect names need a zone or rule with the endpoint's address",
    ),
    (
        "rep.googleapis.com",
        "regional endpoints are not on this address; add a zone or rule with the endpoint's",
    ),
];

/// Whether a name is under one of the subtrees that are carved out.
pub(crate) fn is_carved_out(name: &Name) -> bool {
    ELSEWHERE
        .iter()
        .filter_map(|(subtree, _)| subtree.parse::<Name>().ok())
        .any(|subtree| name.as_ref().is_within(subtree.as_ref()))
}

/// Adds the denials, if googleapis.com is in the preset at all.
pub(crate) fn add_carve_outs(settings: &Settings, parts: &mut Parts) {
    let Some(domain) = settings.domain(GOOGLEAPIS) else {
        return;
    };
    for (subtree, reason) in ELSEWHERE {
        add(parts, subtree, Pattern::Subtree, reason);
    }
    for shared in Shared::ALL {
        let is_target = settings.main == Target::Shared(shared)
            || domain.except.iter().any(|&(_, other)| other == shared);
        if !is_target {
            let name = format!("{}.{GOOGLEAPIS}", shared.label());
            let reason = "google_apis.vip is another one; services that need this one go under google_apis.except";
            add(parts, &name, Pattern::Exact, reason);
        }
    }
}

fn add(parts: &mut Parts, name: &str, pattern: fn(Name) -> Pattern, reason: &str) {
    let Ok(owner) = name.parse() else { return };
    let rule = Rule {
        name: builtin::label(name),
        patterns: vec![pattern(owner)],
        groups: None,
        types: TypeSet::ANY,
        until: None,
        reason: Some(reason.into()),
        action: Action::Deny,
        deny_with: None,
        origin: RuleOrigin::BuiltIn,
    };
    parts.add_rule(rule, Source::built_in());
}
