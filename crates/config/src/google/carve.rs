//! Names under googleapis.com that the wildcard must not cover, unless they are configured.
//!
//! Each is a built-in denial. A rule, a zone or an exception for the name or for one below it takes
//! precedence; without one, the denial explains what to do, instead of a wrong address:
//!
//! - `p.googleapis.com`: names of Private Service Connect endpoints, each with its own address.
//! - `rep.googleapis.com`, including `p.rep.googleapis.com`: regional endpoints, which the virtual
//!   addresses do not serve.
//! - `private.googleapis.com` and `restricted.googleapis.com` if the preset does not use them: a
//!   name must not have the address of the other one.

use super::{GOOGLEAPIS, Settings, Shared, Target, table::elsewhere};
use crate::{
    builtin,
    parts::{Parts, Source},
};
use dnsgate_core::{
    dns::Name,
    policy::{Action, Pattern, Rule, RuleOrigin, TypeSet},
};

/// Whether a name is in one of the carved-out subtrees.
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
