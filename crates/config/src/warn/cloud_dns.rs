//! Settings that do not suit Cloud DNS: denials that it does not pass on to its clients, and budgets per client.
//!
//! Cloud DNS turns an error into SERVFAIL, and considers a silent target dead; in both cases its
//! clients retry. It passes on NXDOMAIN and NODATA. The way to deny can be set for the whole policy,
//! for a group and for a rule; each setting is checked if it applies to Cloud DNS. All machines behind it
//! have the same few addresses, so a budget per client is one of many machines.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::super::{
    budget::{BudgetEntry, BudgetKeys},
    error::{Faults, MAX_NOTICES, Notice, Place},
    file::{Deny, File, RuleEntry},
    given::Given,
    groups::Groups,
};
use dnsgate_core::policy::{BudgetParty, DenyWith, Group, OverBudget};

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
    let budgets = budgets(file, groups, &asking, faults);
    by_group
        .chain(by_rule)
        .chain(budgets)
        .take(MAX_NOTICES)
        .collect()
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
    let group = asking_group(rule, groups, asking)?;
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

/// The first group of a rule to which Cloud DNS belongs.
fn asking_group<'g>(rule: &RuleEntry, groups: &'g Groups, asking: &Asking) -> Option<&'g Group> {
    let is_for = |at: usize, group: &Group| match &*rule.groups {
        None => asking.contains(at),
        Some(names) => {
            let mut names = names.value.iter();
            asking.contains(at) && names.any(|name| name.value.0 == group.name)
        }
    };
    let mut all = groups.groups.iter().enumerate();
    let (_, (group, _)) = all.find(|(at, (group, _))| is_for(*at, group))?;
    Some(group)
}

/// The warnings for budgets that count the machines behind Cloud DNS by its addresses.
fn budgets<'f>(
    file: &'f File,
    groups: &'f Groups,
    asking: &'f Asking,
    faults: &'f Faults<'_>,
) -> impl Iterator<Item = Notice> + 'f {
    let default = keys_of(&file.budget);
    let has_default = |rule: &&RuleEntry| rule.forward.is_some() && rule.budget.is_none();
    let by_default = || {
        let place = counted_by_client(default?, BudgetKeys::default())?;
        let mut rules = file.rules.values().filter(has_default);
        let group = rules.find_map(|rule| asking_group(rule, groups, asking))?;
        Some(budget_notice("the default budget", place, group, faults))
    };
    let by_rule = move |rule: &'f RuleEntry| {
        let place = counted_by_client(keys_of(&rule.budget)?, default.unwrap_or_default())?;
        let group = asking_group(rule, groups, asking)?;
        let what = format!("the budget of rule `{}`", rule.name.value()?.0);
        Some(budget_notice(&what, place, group, faults))
    };
    let forwarding = file.rules.values().filter(|rule| rule.forward.is_some());
    by_default()
        .into_iter()
        .chain(forwarding.filter_map(by_rule))
}

fn keys_of(budget: &Given<BudgetEntry>) -> Option<BudgetKeys> {
    match budget.value()? {
        BudgetEntry::Off => None,
        BudgetEntry::Keys(keys) => Some(**keys),
    }
}

/// The place of the key that makes a budget count by client: `per`, or `over: deny` without it.
fn counted_by_client(keys: BudgetKeys, default: BudgetKeys) -> Option<Place> {
    let per = keys.per.as_ref().or(default.per.as_ref());
    match per.map(|at| at.value) {
        Some(BudgetParty::Client) => keys.per.place(),
        Some(BudgetParty::Group | BudgetParty::Rule) => None,
        None => keys
            .over
            .as_ref()
            .filter(|over| over.value == OverBudget::Deny)
            .map(|over| over.place),
    }
}

fn budget_notice(what: &str, place: Place, group: &Group, faults: &Faults<'_>) -> Notice {
    let message = format!(
        "{what} counts per client, which means little in client group `{}`: Cloud DNS (35.199.192.0/19) is in it, \
         and all machines behind Cloud DNS have its few addresses",
        group.name
    );
    let help = "write per: rule, or per: group, and names and bytes for all machines together";
    faults.warning(place, message, Some(help.to_owned()))
}

/// The way to deny that a rule sets itself, with its place.
fn way_of(rule: &RuleEntry) -> Option<(DenyWith, Place)> {
    let deny = (*rule.deny)?;
    match deny.value {
        Deny::With(way) => Some((way, deny.place)),
        Deny::Yes => None,
    }
}
