//! Denials that Cloud DNS does not pass on to its clients.
//!
//! Cloud DNS turns an error into SERVFAIL, and considers a silent target dead; in both cases its
//! clients retry. It passes on NXDOMAIN and NODATA. The way to deny can be set for the whole policy,
//! for a group and for a rule; each setting is checked if it applies to Cloud DNS.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::super::{
    error::{Faults, MAX_NOTICES, Notice, Place},
    file::{Deny, File, RuleEntry},
    groups::Groups,
};
use dnsgate_core::policy::{DenyWith, Group};

/// The range from which Cloud DNS forwards, 35.199.192.0/19 (its documentation, "alternative name
/// servers").
const CLOUD_DNS: (Ipv4Addr, u8) = (Ipv4Addr::new(35, 199, 192, 0), 19);

/// A warning for every such setting.
pub(super) fn warnings(
    file: &File,
    groups: &Groups,
    deny_with: DenyWith,
    faults: &Faults<'_>,
) -> Vec<Notice> {
    let asking = asking(groups);
    let by_group = groups
        .groups
        .iter()
        .enumerate()
        .filter(|(at, _)| asking.contains(*at))
        .filter_map(|(_, (group, _))| of_group(file, group, deny_with, faults));
    let by_rule = file
        .rules
        .values()
        .filter_map(|rule| of_rule(rule, groups, &asking, faults));
    by_group.chain(by_rule).take(MAX_NOTICES).collect()
}

/// The groups to which Cloud DNS belongs, by index: those with a part of its range, and the one with
/// the longest prefix around it, unless a group has exactly this range.
struct Asking(Vec<usize>);

impl Asking {
    fn contains(&self, at: usize) -> bool {
        self.0.contains(&at)
    }
}

fn asking(groups: &Groups) -> Asking {
    let (first, length) = CLOUD_DNS;
    let Ok(range) = Ipv4Net::new(first, length).map(IpNet::V4) else {
        return Asking(Vec::new());
    };
    let nets = || {
        let groups = groups.groups.iter().enumerate();
        groups.flat_map(|(at, (_, nets))| nets.iter().map(move |net| (at, net)))
    };
    let has_part = |net: &IpNet| range.contains(net);
    let mut asking: Vec<usize> = nets()
        .filter(|(_, net)| has_part(net))
        .map(|(at, _)| at)
        .collect();
    let whole = nets().any(|(_, net)| *net == range);
    let around = nets()
        .filter(|(_, net)| net.contains(&IpAddr::V4(first)) && !has_part(net))
        .max_by_key(|(_, net)| net.prefix_len());
    asking.extend(around.filter(|_| !whole).map(|(at, _)| at));
    asking.sort_unstable();
    asking.dedup();
    Asking(asking)
}

/// The consequence of a way to deny that Cloud DNS does not pass on.
const fn consequence(way: DenyWith) -> Option<&'static str> {
    match way {
        DenyWith::Refused => Some(
            "REFUSED from every target becomes SERVFAIL there: clients try again instead of giving up",
        ),
        DenyWith::Drop => Some(
            "silence (drop) looks like a dead target there: it waits, asks the other targets and answers SERVFAIL, and clients try again",
        ),
        DenyWith::NxDomain | DenyWith::NoData => None,
    }
}

/// The warning for a group's own way to deny, or for the policy's if the group has none.
fn of_group(
    file: &File,
    group: &Group,
    deny_with: DenyWith,
    faults: &Faults<'_>,
) -> Option<Notice> {
    // A default group is not in the file, so there is nothing to warn of.
    let consequence = consequence(group.deny_with.unwrap_or(deny_with))?;
    let mut entries = file.clients.entries().iter();
    let entry = entries.find(|entry| entry.name.value.0 == group.name)?;
    Some(faults.warning(
        entry.name.place,
        format!(
            "Cloud DNS (35.199.192.0/19) is in client group `{}`, and {consequence}",
            group.name
        ),
        Some("give the group deny_with: nxdomain".to_owned()),
    ))
}

/// The warning for a rule's own way to deny, if the rule is for a group to which Cloud DNS belongs.
fn of_rule(
    rule: &RuleEntry,
    groups: &Groups,
    asking: &Asking,
    faults: &Faults<'_>,
) -> Option<Notice> {
    let (way, place) = way_of(rule)?;
    let consequence = consequence(way)?;
    let is_for = |at: usize, group: &Group| match &*rule.groups {
        None => asking.contains(at),
        Some(names) => {
            let mut names = names.value.iter();
            asking.contains(at) && names.any(|name| name.value.0 == group.name)
        }
    };
    let mut all = groups.groups.iter().enumerate();
    let (_, (group, _)) = all.find(|(at, (group, _))| is_for(*at, group))?;
    let name = rule.name.as_ref()?;
    Some(faults.warning(
        place,
        format!(
            "rule `{}` is for client group `{}`, too, which Cloud DNS (35.199.192.0/19) is in, and {consequence}",
            name.value.0, group.name
        ),
        Some("write deny: nxdomain, or name the groups that it is for".to_owned()),
    ))
}

/// The way to deny that a rule sets itself, with its place.
fn way_of(rule: &RuleEntry) -> Option<(DenyWith, Place)> {
    let deny = (*rule.deny)?;
    match deny.value {
        Deny::With(way) => Some((way, deny.place)),
        Deny::Yes => None,
    }
}
