//! What a configuration does that was perhaps not meant. It is used all the same.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use super::{
    build::Source,
    error::{Faults, MAX_NOTICES, Notice},
    file::{File, RuleEntry, ZoneEntry},
    google::Settings,
    groups::Groups,
    read::At,
};
use crate::{
    dns::{Name, NameRef},
    policy::{DenyWith, Pattern, Policy},
};

/// A rule that ends within this span is warned of: two weeks are enough to ask for more, whoever
/// has to be asked.
const ENDS_SOON: Duration = Duration::from_secs(14 * 86_400);

/// Suffixes under which anybody can have a name and that the Public Suffix List does not have:
/// services in which the customer chooses the first label.
const OPEN_SUFFIXES: [&str; 3] = [
    "googleusercontent.com",
    "sharepoint.com",
    "storage.googleapis.com",
];

/// The first address of the range that Cloud DNS forwards from, 35.199.192.0/19.
const CLOUD_DNS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(35, 199, 192, 0));

/// A rule that ends, and what to say when it does.
#[derive(Clone, Debug)]
pub(super) struct Expiry {
    until: SystemTime,
    name: Box<str>,
    /// Its place, to be completed with the message.
    at: Notice,
}

impl Expiry {
    /// The warning that is due at `now`, if there is any.
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

/// The rules of the file that end.
pub(super) fn expiries(file: &File, faults: &Faults<'_>) -> Vec<Expiry> {
    let ending = file.rules.iter().filter_map(|rule| {
        let until = rule.until?;
        Some(Expiry {
            until: until.value.0,
            name: rule.name.as_ref()?.value.0.clone(),
            at: faults.warning(until.place, String::new(), None),
        })
    });
    ending.take(MAX_NOTICES).collect()
}

/// What can be seen before the policy is built.
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
    notes.extend(refused_to_cloud_dns(file, groups, deny_with, faults));
    let rules = file
        .rules
        .iter()
        .flat_map(|rule| open_suffixes(rule, faults));
    let zones = file
        .zones
        .iter()
        .filter_map(|zone| hidden_suffix(zone, faults));
    notes.extend(rules.chain(zones).take(MAX_NOTICES));
    notes
}

/// Rules that better ones leave no question.
pub(super) fn shadowed(policy: &Policy, sources: &[Source], faults: &Faults<'_>) -> Vec<Notice> {
    let source = |id: crate::policy::RuleId| sources.get(id.0 as usize);
    let notice = |shadowed: crate::policy::Shadowed| {
        let (rule, by) = (source(shadowed.rule)?, source(shadowed.by)?);
        let elsewhere = match by.place.line {
            0 => String::new(),
            line => format!(" (line {line})"),
        };
        Some(faults.warning(
            rule.place,
            format!(
                "{} can never win: {}{elsewhere} takes every question of it",
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

/// Names under which anybody can register, in a rule that answers for all of them.
fn open_suffixes<'f>(
    rule: &'f RuleEntry,
    faults: &'f Faults<'_>,
) -> impl Iterator<Item = Notice> + 'f {
    let domains = rule.domains.iter().flat_map(|domains| &domains.value);
    domains
        .filter(|_| rule.answer.is_some())
        .filter_map(move |pattern: &At<Pattern>| {
            let name = match &pattern.value {
                Pattern::Exact(_) => return None,
                Pattern::Subtree(name) | Pattern::Below(name) => name,
            };
            is_open(name.as_ref()).then(|| {
                faults.warning(
                    pattern.place,
                    format!(
                        "anybody can have a name under {}, and `{}` covers all of them",
                        shown(name),
                        pattern.value
                    ),
                    Some("name the domains that are meant".to_owned()),
                )
            })
        })
}

/// A zone that stands for a whole public suffix hides everything that others have there.
fn hidden_suffix(zone: &ZoneEntry, faults: &Faults<'_>) -> Option<Notice> {
    let origin = zone.origin.as_ref()?;
    is_open(origin.value.as_ref()).then(|| {
        let name = shown(&origin.value);
        faults.warning(
            origin.place,
            format!(
                "anybody can have a name under {name}; to clients of this zone none of them exists"
            ),
            None,
        )
    })
}

/// Whether anybody can have a name under this one.
fn is_open(name: NameRef<'_>) -> bool {
    let text = name.to_string();
    let text = text.trim_end_matches('.');
    text.is_empty() || OPEN_SUFFIXES.contains(&text) || is_listed(text)
}

/// Whether the Public Suffix List has the name, or all that are directly below it.
fn is_listed(text: &str) -> bool {
    // Asked of a name below, so that `*.run.app` of the list makes run.app open, too.
    let below = format!("x.{text}");
    psl::suffix(below.as_bytes())
        .is_some_and(|suffix| suffix.is_known() && suffix.as_bytes().len() >= text.len())
}

fn shown(name: &Name) -> String {
    match name.to_string() {
        root if root == "." => "the root".to_owned(),
        name => name.trim_end_matches('.').to_owned(),
    }
}

/// Groups that Cloud DNS asks for, and to which a denial is an error: Cloud DNS makes SERVFAIL of
/// it and asks every target again.
fn refused_to_cloud_dns(
    file: &File,
    groups: &Groups,
    deny_with: DenyWith,
    faults: &Faults<'_>,
) -> Option<Notice> {
    // The default groups are the operator's no more than the default way to deny is.
    let clients = file.clients.as_ref()?;
    let holds = |nets: &[ipnet::IpNet]| {
        let holding = nets.iter().filter(|net| net.contains(&CLOUD_DNS));
        holding.map(ipnet::IpNet::prefix_len).max()
    };
    let (group, _) = groups
        .groups
        .iter()
        .filter_map(|(group, nets)| Some((group, holds(nets)?)))
        .max_by_key(|&(_, length)| length)?;
    if group.deny_with.unwrap_or(deny_with) != DenyWith::Refused {
        return None;
    }
    let entry = clients
        .value
        .iter()
        .find(|entry| entry.name.value.0 == group.name)?;
    Some(faults.warning(
        entry.name.place,
        format!("Cloud DNS (35.199.192.0/19) is in client group `{}`, and REFUSED from every target becomes SERVFAIL there: clients try again instead of giving up", group.name),
        Some("give the group deny_with: nxdomain".to_owned()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_list_has_only_what_the_public_one_lacks() {
        for suffix in OPEN_SUFFIXES {
            assert!(!is_listed(suffix), "{suffix}");
        }
    }

    #[test]
    fn suffixes_are_told_from_names_below_them() {
        for (name, open) in [
            ("com", true),
            ("co.uk", true),
            ("github.io", true),
            ("appspot.com", true),
            ("run.app", true),
            ("storage.googleapis.com", true),
            (".", true),
            ("example.com", false),
            ("mine.github.io", false),
            ("googleapis.com", true),
            ("internal", false),
            ("corp.internal", false),
        ] {
            let name: Name = name.parse().expect(name);
            assert_eq!(is_open(name.as_ref()), open, "{name}");
        }
    }
}
