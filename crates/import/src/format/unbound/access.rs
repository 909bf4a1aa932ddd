//! Who may ask: ranges with their actions and views become client groups.

use std::collections::{BTreeMap, BTreeSet};

use dnsgate_core::{dns::Name, policy::Pattern};
use ipnet::IpNet;

use crate::{
    Place, cidr_groups,
    draft::{Draft, Said, label},
    statement::{Effect, Groups},
};

use super::{FIRST, read::Config};

/// The clients that see the global zones.
const CLIENTS: &str = "clients";
/// Clients inside an allowed range that may not ask.
const REFUSED: &str = "refused-clients";

/// The ranges of clients that have a view.
fn views(config: &Config, draft: &mut Draft<'_>) -> Vec<(IpNet, String)> {
    let mut views: Vec<(IpNet, String)> = Vec::new();
    for (text, view, place) in &config.access_views {
        match cidr_groups::range(text) {
            Some(range) if config.views.contains_key(view) => views.push((range, view.clone())),
            _ => {
                let why = "it is not a range, or there is no such view";
                draft.left_out(
                    place,
                    format!("access-control-view {text} {view}"),
                    why,
                    "its clients are not let in",
                );
                if let Some(range) = cidr_groups::range(text) {
                    draft
                        .groups
                        .entry(REFUSED.to_owned())
                        .or_default()
                        .push(range);
                }
            }
        }
    }
    views
}

/// The client groups, each with its view.
pub(super) fn groups(config: &Config, draft: &mut Draft<'_>) -> Vec<(Option<String>, Groups)> {
    let access = ranges(config, draft);
    let views = views(config, draft);
    let allowed: Vec<IpNet> = access
        .iter()
        .filter(|(_, (allow, _))| *allow)
        .map(|(range, _)| *range)
        .collect();
    let all: BTreeSet<IpNet> = access
        .keys()
        .copied()
        .chain(views.iter().map(|(range, _)| *range))
        .collect();
    let covering = |range: &IpNet| {
        let found = access.iter().filter(|(other, _)| other.contains(range));
        found
            .max_by_key(|(other, _)| other.prefix_len())
            .is_some_and(|(_, (allow, _))| *allow)
    };
    for range in all {
        let group = if covering(&range) {
            let view = views
                .iter()
                .filter(|(other, _)| other.contains(&range))
                .max_by_key(|(other, _)| other.prefix_len());
            view.map_or_else(|| CLIENTS.to_owned(), |(_, view)| view_group(view))
        } else if allowed.iter().any(|other| other.contains(&range)) {
            REFUSED.to_owned()
        } else {
            continue; // nobody lets it in
        };
        let ranges = draft.groups.entry(group).or_default();
        if !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    draft.only_these_clients = true;
    refuse(draft);
    let mut result: Vec<(Option<String>, Groups)> = Vec::new();
    let seen: BTreeSet<&String> = views.iter().map(|(_, view)| view).collect();
    for view in seen {
        let group = view_group(view);
        if draft.groups.contains_key(&group) {
            result.push((Some(view.clone()), Some(BTreeSet::from([group]))));
        }
    }
    let only = draft.groups.len() == 1;
    let global = match only && result.is_empty() {
        true => None,
        false => Some(BTreeSet::from([CLIENTS.to_owned()])),
    };
    if draft.groups.contains_key(CLIENTS) {
        result.push((None, global));
    }
    result
}

fn view_group(view: &str) -> String {
    match label(view) {
        name if name == CLIENTS || name == REFUSED => format!("view-{name}"),
        name => name,
    }
}

/// Clients of the group for refusals get nothing.
fn refuse(draft: &mut Draft<'_>) {
    if !draft.groups.contains_key(REFUSED) {
        return;
    }
    let place = Place::line(&draft.files.first().map_or("", String::as_str).into(), 1);
    let mut said = Said::new(
        REFUSED,
        Pattern::Subtree(Name::root()),
        Effect::Deny(None),
        FIRST,
    );
    said.groups = Some(BTreeSet::from([REFUSED.to_owned()]));
    draft.state(&place, None, said);
}

/// Each range and whether its clients may ask. Without any, only the machine itself may.
fn ranges(config: &Config, draft: &mut Draft<'_>) -> BTreeMap<IpNet, (bool, Option<Place>)> {
    let own = ["127.0.0.0/8", "::1/128"]
        .iter()
        .filter_map(|range| cidr_groups::range(range));
    let mut access: BTreeMap<IpNet, (bool, Option<Place>)> =
        own.map(|range| (range, (true, None))).collect();
    for (text, action, place) in &config.access {
        let what = format!("access-control {text} {action}");
        let Some(range) = cidr_groups::range(text) else {
            draft.left_out(
                place,
                what,
                "it is not a range of addresses",
                "correct it; its clients are not let in",
            );
            continue;
        };
        let allow = match &**action {
            "allow" | "allow_snoop" | "allow_setrd" => true,
            "deny" | "refuse" => false,
            "allow_cookie" | "deny_non_local" | "refuse_non_local" => {
                let why = "a group cannot be let in for some names or with cookies only";
                draft.narrower(
                    place,
                    what.clone(),
                    why,
                    "its clients are not let in; write rules with groups for them",
                );
                false
            }
            _ => {
                draft.left_out(
                    place,
                    what.clone(),
                    "there is no such action",
                    "its clients are not let in",
                );
                false
            }
        };
        if matches!(
            &**action,
            "allow" | "allow_snoop" | "allow_setrd" | "deny" | "refuse"
        ) {
            draft.kept(place, what);
        }
        let entry = access.entry(range).or_insert((allow, Some(place.clone())));
        // Of two actions for one range the stricter holds.
        entry.0 = match entry.1 {
            None => allow,
            Some(_) => entry.0 && allow,
        };
        entry.1 = Some(place.clone());
    }
    access
}
