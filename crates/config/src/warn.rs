//! Warnings: things that a valid configuration does and that may be unintended.

mod cloud_dns;
mod preset;

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use crate::{
    error::{Faults, MAX_NOTICES, Notice},
    file::{File, Mode, UpstreamEntry},
    given::NamedEntry,
    google::Settings,
    groups::Groups,
    parts::{Parts, Source},
    upstream::Upstream,
};
use dnsgate_core::{
    dns::{RecordType, Rrset},
    policy::{
        Action, AnswerRanges, DenyWith, Forwarding, GroupSet, Policy, Ranges, Rule, RuleId,
        RuleOrigin,
    },
    zone::Zone,
};

use crate::suffix::suffixes;
use preset::preset;

/// A rule that expires within this span causes a warning: two weeks are enough to ask for an
/// extension.
const ENDS_SOON: Duration = Duration::from_secs(14 * 86_400);

/// A rule with an end date, and the warning for it.
#[derive(Clone, Debug)]
pub(super) struct Expiry {
    until: SystemTime,
    name: Box<str>,
    /// The warning with its place; the message is added later.
    at: Notice,
}

impl Expiry {
    /// The warning that is due at `now`, if any.
    pub(super) fn warning(&self, now: SystemTime) -> Option<Notice> {
        let shown = Timestamp::try_from(self.until).map(|time| time.to_string());
        let shown = shown.unwrap_or_default();
        let name = &self.name;
        let message = if now >= self.until {
            format!("rule `{name}` ended at {shown} and has no effect any more")
        } else if self.until <= now.checked_add(ENDS_SOON)? {
            format!("rule `{name}` ends at {shown}")
        } else {
            return None;
        };
        let mut notice = self.at.clone();
        notice.message = message;
        Some(notice)
    }
}

/// The rules of the file with an end date.
pub(super) fn expiries(file: &File, faults: &Faults<'_>) -> Vec<Expiry> {
    let ending = file.rules.values().filter_map(|rule| {
        let until = (*rule.until)?;
        Some(Expiry {
            until: until.value.0,
            name: rule.name.as_ref()?.value.0.clone(),
            at: faults.warning(until.place, String::new(), None),
        })
    });
    ending.take(MAX_NOTICES).collect()
}

/// The warnings that need no policy.
pub(super) fn before(
    file: &File,
    google: Option<&Settings>,
    groups: &Groups,
    deny_with: DenyWith,
    faults: &Faults<'_>,
) -> Vec<Notice> {
    let mut notes: Vec<Notice> = google
        .map(|google| google.warnings.clone())
        .unwrap_or_default();
    notes.extend(cloud_dns::warnings(file, groups, deny_with, faults));
    notes
}

/// The warnings about rules, zones and upstreams.
pub(super) fn of_parts(
    file: &File,
    google: Option<&Settings>,
    parts: &Parts,
    faults: &Faults<'_>,
) -> Vec<Notice> {
    let mut notes = suffixes(file, parts, faults);
    notes.extend(upstreams(file, faults));
    notes.extend(signed_zones(file, &parts.zones, faults));
    notes.extend(policy_zones(file, &parts.zones, faults));
    notes.extend(preset(google, parts, faults));
    notes
}

/// Rules that never apply, because others take precedence for all their questions.
pub(super) fn shadowed(policy: &Policy, sources: &[Source], faults: &Faults<'_>) -> Vec<Notice> {
    let source = |id: RuleId| sources.get(id.0 as usize);
    let notice = |shadowed: dnsgate_core::policy::Shadowed| {
        let (rule, by) = (source(shadowed.rule)?, source(shadowed.by)?);
        let elsewhere = match by.place.line {
            0 => String::new(),
            line => format!(" (line {line})"),
        };
        Some(faults.warning(
            rule.place,
            format!(
                "{} can never win: {}{elsewhere} matches every question first",
                rule.what, by.what
            ),
            Some("remove one of them, or change groups, types or names".to_owned()),
        ))
    };
    policy
        .shadowed()
        .into_iter()
        .filter_map(notice)
        .take(MAX_NOTICES)
        .collect()
}

/// Zones with records that dnsgate ignores.
fn signed_zones(file: &File, zones: &[Zone], faults: &Faults<'_>) -> Vec<Notice> {
    let warned = file.zones.values().filter_map(|entry| {
        let origin = entry.origin.as_ref()?;
        let zone = zones
            .iter()
            .find(|zone| zone.origin() == origin.value.as_ref())?;
        let records = match zone.left_out() {
            0 => return None,
            1 => "1 DNSSEC record".to_owned(),
            many => format!("{many} DNSSEC records"),
        };
        Some(faults.warning(
            origin.place,
            format!(
                "{records} of the zone {} will not be served: dnsgate serves no signatures",
                origin.value
            ),
            Some(
                "validating clients fail while the parent zone has a DS record for it: remove that record, or \
                 serve the zone from a server that signs"
                    .to_owned(),
            ),
        ))
    });
    warned.take(MAX_NOTICES).collect()
}

/// Zones that are response policy zones: as plain zones they answer for names below their own origin, and deny nothing.
fn policy_zones(file: &File, zones: &[Zone], faults: &Faults<'_>) -> Vec<Notice> {
    let warned = file.zones.values().filter_map(|entry| {
        let origin = entry.origin.as_ref()?;
        let mut own = zones
            .iter()
            .filter(|zone| zone.origin() == origin.value.as_ref());
        if !own.any(is_policy_zone) {
            return None;
        }
        Some(faults.warning(
            origin.place,
            format!(
                "the zone {} looks like a response policy zone (RPZ); as a plain zone it denies nothing",
                origin.value
            ),
            Some("turn the policy into rules: dnsgate import rpz FILE".to_owned()),
        ))
    });
    warned.take(MAX_NOTICES).collect()
}

/// Whether a record has an action of a policy zone: an alias to the root, to `*.`, or to one of the names `rpz-….`.
fn is_policy_zone(zone: &Zone) -> bool {
    zone.rrsets().any(|(_, set)| {
        set.rtype() == RecordType::CNAME
            && set.rdatas().any(|rdata| {
                matches!(rdata, b"\0" | b"\x01*\0")
                    || rdata
                        .get(1..5)
                        .is_some_and(|start| start.eq_ignore_ascii_case(b"rpz-"))
                        && rdata.first().map(|len| usize::from(*len) + 2) == Some(rdata.len())
            })
    })
}

/// The metadata server of Compute Engine, which is also the name server of its machines.
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// The warnings about upstreams and the mode.
pub(crate) fn upstreams(file: &File, faults: &Faults<'_>) -> Vec<Notice> {
    let observed = match file.mode.value() {
        Some(Mode::Observe(upstream)) => Some(upstream),
        Some(Mode::Enforce) | None => None,
    };
    let forwarded = file.rules.values().filter_map(|rule| rule.forward.as_ref());
    let used: HashSet<_> = forwarded.chain(observed).map(|name| &name.value).collect();
    let entries = file.upstreams.entries();
    let unused = entries
        .iter()
        .filter(|entry| !used.contains(&entry.name.value))
        .map(|entry| unused(entry, faults));
    let metadata = entries.iter().flat_map(|entry| metadata(entry, faults));
    let observed = observed.map(|upstream| {
        let message = format!(
            "mode observe denies nothing: what no rule allows is forwarded to `{}` and recorded",
            upstream.value.0
        );
        let help = "mode: enforce, once the rules allow what is needed".to_owned();
        faults.warning(upstream.place, message, Some(help))
    });
    let all = observed.into_iter().chain(metadata).chain(unused);
    all.take(MAX_NOTICES).collect()
}

fn unused(entry: &NamedEntry<UpstreamEntry>, faults: &Faults<'_>) -> Notice {
    let name = &entry.name.value.0;
    faults.warning(
        entry.name.place,
        format!("no rule forwards to upstream `{name}`"),
        Some(format!("write a rule with forward: {name}, or remove it")),
    )
}

/// Servers that may forward queries back to dnsgate.
fn metadata<'f>(
    entry: &'f NamedEntry<UpstreamEntry>,
    faults: &'f Faults<'_>,
) -> impl Iterator<Item = Notice> + 'f {
    let servers = entry.servers.iter().flat_map(|servers| &servers.value);
    servers
        .filter(|server| server.value.address().ip() == METADATA)
        .map(|server| {
            faults.warning(
                server.place,
                format!("{METADATA} is the metadata server: where an outbound server policy of this VPC names dnsgate, it forwards every question back to dnsgate, in a circle"),
                Some("ask a resolver that no server policy governs, such as tls://8.8.8.8#dns.google; or leave it where there is no such policy".to_owned()),
            )
        })
}

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
