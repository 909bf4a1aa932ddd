//! Denials toward Cloud DNS that are no answer to it.
//!
//! Cloud DNS makes SERVFAIL of an error, and takes a target that is silent for dead; either way its
//! clients try again. What it passes on is NXDOMAIN and NODATA. A way to deny can be said of the whole
//! policy, of a group and of a rule, and each is looked at where it holds for Cloud DNS.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::super::{
    error::{Faults, MAX_NOTICES, Notice, Place},
    file::{Deny, File, RuleEntry},
    groups::Groups,
};
use dnsgate_core::policy::{DenyWith, Group};

/// The range that Cloud DNS forwards from, 35.199.192.0/19 (its documentation, "alternative name
/// servers").
const CLOUD_DNS: (Ipv4Addr, u8) = (Ipv4Addr::new(35, 199, 192, 0), 19);

/// Every place that says so.
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
        .iter()
        .filter_map(|rule| of_rule(rule, groups, &asking, faults));
    by_group.chain(by_rule).take(MAX_NOTICES).collect()
}

/// The groups that Cloud DNS asks as, by their places: those with a part of its range, and the one
/// that has all of it by the longest prefix, unless they have.
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

/// What comes of it, for a way to deny that Cloud DNS does not pass on.
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

/// A group's own way to deny, or the policy's where the group has none.
fn of_group(
    file: &File,
    group: &Group,
    deny_with: DenyWith,
    faults: &Faults<'_>,
) -> Option<Notice> {
    // The default groups are the operator's no more than the default way to deny is.
    let clients = file.clients.as_ref()?;
    let consequence = consequence(group.deny_with.unwrap_or(deny_with))?;
    let mut entries = clients.value.iter();
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

/// A rule's own way to deny, where the rule is for a group that Cloud DNS asks as.
fn of_rule(
    rule: &RuleEntry,
    groups: &Groups,
    asking: &Asking,
    faults: &Faults<'_>,
) -> Option<Notice> {
    let (way, place) = way_of(rule)?;
    let consequence = consequence(way)?;
    let is_for = |at: usize, group: &Group| match &rule.groups {
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

/// The way to deny that a rule says itself, and where.
fn way_of(rule: &RuleEntry) -> Option<(DenyWith, Place)> {
    let deny = rule.deny?;
    match deny.value {
        Deny::With(way) => Some((way, deny.place)),
        Deny::Yes => None,
    }
}
