//! The plugin acl: ranges of clients, types, and what happens to their questions.

use std::collections::BTreeSet;

use dnsgate_config::default_types;
use dnsgate_core::{
    dns::RecordType,
    policy::{DenyWith, Pattern},
};
use ipnet::IpNet;

use crate::{
    SourceFile, cidr_groups,
    draft::{Draft, Said},
    report::short,
    statement::{Effect, Types},
};

use super::{ACL, Block, Directive, Server, type_of};

/// One line of the plugin.
struct Entry {
    /// `None` lets the question go on.
    deny: Option<DenyWith>,
    types: Types,
    /// `None` is every client.
    ranges: Option<Vec<IpNet>>,
}

/// Makes a group of each range that an acl names, so that each client is in the group of its most specific range.
pub(super) fn define_groups(blocks: &[(Block, &SourceFile)], draft: &mut Draft<'_>) {
    let directives = blocks.iter().flat_map(|(block, _)| &block.directives);
    for directive in directives.filter(|directive| directive.head.first() == "acl") {
        for entry in entries(directive).into_iter().flatten() {
            define(&entry.ranges.unwrap_or_default(), draft);
        }
    }
}

/// Makes a group of each range.
pub(super) fn define(ranges: &[IpNet], draft: &mut Draft<'_>) {
    for range in ranges {
        if !draft.groups.values().flatten().any(|known| known == range) {
            draft.groups.insert(cidr_groups::name(range), vec![*range]);
        }
    }
}

/// States what the acl denies to each group.
pub(super) fn state(server: &Server<'_>, directive: &Directive, draft: &mut Draft<'_>) {
    let place = &directive.head.place;
    let Ok(entries) = entries(directive) else {
        let why = "a line of it cannot be read";
        draft.left_out(
            place,
            "acl",
            why,
            "correct it; nothing of the zone is let through",
        );
        return draft.close(place, server.zone.clone(), server.layer);
    };
    let item = draft.kept(place, "acl");
    let zones = server.zones(directive.head.rest(), place, draft);
    let groups: Vec<(Option<String>, Vec<IpNet>)> = match draft.groups.is_empty() {
        true => vec![(None, Vec::new())],
        false => {
            let groups = cidr_groups::all_groups(draft).into_iter();
            groups.map(|(name, ranges)| (Some(name), ranges)).collect()
        }
    };
    for (group, ranges) in groups {
        if group.as_ref().is_some_and(|group| {
            server
                .groups
                .as_ref()
                .is_some_and(|own| !own.contains(group))
        }) {
            continue; // its view has other clients
        }
        for (with, types) in denials(&entries, &ranges) {
            for zone in &zones {
                let name = group
                    .as_ref()
                    .map_or_else(|| "acl".to_owned(), |group| format!("acl-{group}"));
                let mut said: Said = server.said(
                    &name,
                    Pattern::Subtree(zone.clone()),
                    Effect::Deny(Some(with)),
                    ACL,
                );
                said.types.clone_from(&types);
                if let Some(group) = &group {
                    said.groups = Some(BTreeSet::from([group.clone()]));
                }
                draft.state(place, Some(item), said);
            }
        }
    }
}

/// What the lines deny to clients of these ranges: the first line with a match decides about a type.
fn denials(entries: &[Entry], ranges: &[IpNet]) -> Vec<(DenyWith, Types)> {
    let mut decided: BTreeSet<RecordType> = BTreeSet::new();
    let mut denials = Vec::new();
    for entry in entries {
        let is_for = match &entry.ranges {
            None => true,
            Some(own) => {
                let covers = |range: &IpNet| own.iter().any(|own| own.contains(range));
                match entry.deny {
                    // What is let on must be for all of the group; what is denied for some of it is denied for all.
                    None => !ranges.is_empty() && ranges.iter().all(covers),
                    Some(_) => ranges.iter().any(covers),
                }
            }
        };
        if !is_for {
            continue;
        }
        let types: Types = match &entry.types {
            Some(types) => Some(types.difference(&decided).copied().collect()),
            None if decided.is_empty() => None,
            None => Some(every_type().difference(&decided).copied().collect()),
        };
        if types.as_ref().is_some_and(BTreeSet::is_empty) {
            continue;
        }
        if let Some(with) = entry.deny {
            denials.push((with, types.clone()));
        }
        match types {
            None => break,
            Some(types) if entry.types.is_none() => {
                let _ = types;
                break;
            }
            Some(types) => decided.extend(types),
        }
    }
    denials
}

/// The types that a rule which forwards could let through, and those that carry data.
fn every_type() -> BTreeSet<RecordType> {
    let mut types: BTreeSet<RecordType> =
        [RecordType::TXT, RecordType::CAA, RecordType::NAPTR].into();
    types.extend(default_types().listed().into_iter().flatten());
    types.remove(&RecordType::ANY);
    types
}

/// `ACTION [type TYPE…] [net RANGE…]`, line by line.
fn entries(directive: &Directive) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for line in &directive.lines {
        let deny = match line.first() {
            "allow" => None,
            "block" => Some(DenyWith::Refused),
            "filter" => Some(DenyWith::NoData),
            "drop" => Some(DenyWith::Drop),
            other => return Err(short(other)),
        };
        let mut entry = Entry {
            deny,
            types: None,
            ranges: None,
        };
        let mut part = "";
        for word in line.rest() {
            match (&**word, part) {
                ("type" | "net", _) => part = word,
                (word, "type") => {
                    if let Some(rtype) = type_of(word).ok_or_else(|| short(word))? {
                        entry.types.get_or_insert_default().insert(rtype);
                    }
                }
                ("*", "net") => {}
                (word, "net") => {
                    let range = cidr_groups::range(word).ok_or_else(|| short(word))?;
                    entry.ranges.get_or_insert_default().push(range);
                }
                (word, _) => return Err(short(word)),
            }
        }
        entries.push(entry);
    }
    Ok(entries)
}
