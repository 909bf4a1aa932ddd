//! Warnings: things that a valid configuration does and that may be unintended.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::{
    error::{Faults, MAX_NOTICES, Notice},
    file::File,
    google::Settings,
    groups::Groups,
    parts::{Parts, Source},
};
use dnsgate_core::{
    dns::RecordType,
    policy::{DenyWith, Policy},
    zone::Zone,
};

mod cloud_dns;
mod own_data;
mod preset;
mod suffixes;
mod unused;

pub(super) use own_data::own_data;
use preset::preset;
use suffixes::suffixes;
use unused::upstreams;

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
    let source = |id: dnsgate_core::policy::RuleId| sources.get(id.0 as usize);
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
