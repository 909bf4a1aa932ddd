//! Warns of rules whose ranges exclude addresses of our own zones and rules. An alias from such a rule
//! to our own data is denied: right for external names, but perhaps unexpected for internal ones.

use std::net::IpAddr;

use super::super::{
    error::{Faults, Notice},
    parts::{Parts, Source},
    upstream::Upstream,
};
use dnsgate_core::{
    dns::Rrset,
    policy::{
        Action, AnswerRanges, Forwarding, GroupSet, Policy, Ranges, Rule, RuleId, RuleOrigin,
    },
};

/// The most own addresses checked: each is compared with every rule's ranges, and a missing warning is
/// better than a slow `check`.
const MAX_LOOKED_AT: usize = 1_000;

/// An address of our own data, with its source.
struct Own<'p> {
    address: IpAddr,
    source: &'p Source,
    groups: Option<GroupSet>,
}

/// One warning, about the first such rule; after its fix the next one is reported. Only rules for
/// internal names are checked, as judged by their upstream's address or their own ranges. An external
/// name should never be an alias of an internal one: the ranges exist to deny that.
pub(crate) fn own_data(
    policy: &Policy,
    parts: &Parts,
    upstreams: &[Upstream],
    faults: &Faults<'_>,
) -> Option<Notice> {
    let own: Vec<Own<'_>> = own(policy, parts).take(MAX_LOOKED_AT).collect();
    let public = Ranges::public();
    let forwarding = (0..).map(RuleId).zip(policy.rules());
    let mut forwarding = forwarding.filter(|(_, rule)| match &rule.action {
        Action::Forward(forwarding) => is_inside(forwarding, upstreams, &public),
        Action::Zone(_) | Action::Answer(_) | Action::Deny => false,
    });
    forwarding.find_map(|(id, rule)| {
        let ranges = policy.ranges_of(id);
        let out = own.iter().find(|own| {
            let meet = match (rule.groups, own.groups) {
                (Some(one), Some(other)) => one.intersects(other),
                _ => true,
            };
            meet && !ranges.allow(own.address)
        })?;
        let source = parts.source(id)?;
        let message = format!(
            "{}: its ranges hold to the end of a chain of aliases, so an alias into {}, which has {}, is denied",
            source.what, out.source.what, out.address
        );
        let help = "to allow such aliases, list the addresses in the rule, such as addresses: [10.0.0.0/8]";
        Some(faults.warning(source.place, message, Some(help.to_owned())))
    })
}

/// Whether the names of a rule seem to be internal.
fn is_inside(forwarding: &Forwarding, upstreams: &[Upstream], public: &Ranges) -> bool {
    let lists = match &forwarding.answers {
        AnswerRanges::Public => false,
        AnswerRanges::Within(nets) => nets.iter().any(|net| !public.allow(net.addr())),
    };
    let upstream = upstreams.get(usize::from(forwarding.upstream.0));
    let servers = upstream.iter().flat_map(|upstream| &upstream.servers);
    lists
        || servers
            .map(|server| server.address().ip())
            .any(|ip| !public.allow(ip))
}

/// The addresses in the file's zones and rules.
fn own<'p>(policy: &'p Policy, parts: &'p Parts) -> impl Iterator<Item = Own<'p>> {
    let rules = policy.rules().iter().zip(&parts.sources);
    let rules = rules.filter(|(rule, _)| rule.origin == RuleOrigin::Configured);
    rules.flat_map(|(rule, source)| {
        addresses(rule, parts).map(move |address| Own {
            address,
            source,
            groups: rule.groups,
        })
    })
}

fn addresses<'p>(rule: &'p Rule, parts: &'p Parts) -> Box<dyn Iterator<Item = IpAddr> + 'p> {
    match &rule.action {
        Action::Zone(id) => {
            let sets = parts.zone(*id).into_iter().flat_map(|zone| zone.rrsets());
            Box::new(sets.flat_map(|(_, set)| set.addresses()))
        }
        Action::Answer(sets) => Box::new(sets.iter().flat_map(Rrset::addresses)),
        Action::Forward(_) | Action::Deny => Box::new(std::iter::empty()),
    }
}
