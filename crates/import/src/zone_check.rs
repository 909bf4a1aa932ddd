//! Looks through zones before they are written: records that no zone can have are left out, so that the others are served.

use std::collections::HashSet;

use dnsgate_core::{
    dns::Name,
    policy::{DenyWith, Pattern},
    zone::{ZoneBuilder, ZoneProblem},
};

use crate::{
    draft::{Draft, Said},
    statement::{Effect, ZoneData},
};

/// Removes records that no zone can have, so that the others can be served.
pub(crate) fn check_zones(draft: &mut Draft<'_>) {
    let mut zones = std::mem::take(&mut draft.zones);
    for zone in &mut zones {
        check_zone(draft, zone);
        deny_holes(draft, zone);
    }
    draft.zones = zones;
}

/// A name all of whose records were left out must not be answered by a wildcard in their place.
fn deny_holes(draft: &mut Draft<'_>, zone: &ZoneData) {
    if zone.holes.is_empty() {
        return;
    }
    let owners: HashSet<&Name> = zone.records.iter().map(|line| &line.owner).collect();
    for (name, place) in &zone.holes {
        let mut above = name.as_ref().parent();
        let mut covered = false;
        while let Some(ancestor) = above {
            let star = ancestor.to_name().child(b"*");
            covered |= star.is_ok_and(|star| owners.contains(&star));
            above = ancestor.parent();
        }
        if covered && !owners.contains(name) {
            let pattern = Pattern::Subtree(name.clone());
            let effect = Effect::Deny(Some(DenyWith::NoData));
            draft.state(place, None, Said::new("left-out", pattern, effect, 0));
        }
    }
}

fn check_zone(draft: &mut Draft<'_>, zone: &mut ZoneData) {
    // Each round removes at least one record, and a faulty zone has few kinds of faults.
    for _ in 0..ROUNDS {
        let mut builder = ZoneBuilder::new(zone.origin.clone()).with_default_soa();
        let mut bad: Vec<(usize, String)> = Vec::new();
        let mut added = Vec::new();
        for (at, line) in zone.records.iter().enumerate() {
            added.push(at);
            let result = builder.add(line.owner.as_ref(), line.ttl, line.rtype, &line.rdata);
            if let Err(error) = result {
                bad.push((at, error.problem.to_string()));
            }
        }
        if bad.is_empty() {
            let Err(errors) = builder.finish() else {
                return;
            };
            for error in errors {
                if error.problem == ZoneProblem::NoSoa {
                    continue;
                }
                let at = error.record.and_then(|record| added.get(record)).copied();
                bad.extend(at.map(|at| (at, error.problem.to_string())));
            }
        }
        if bad.is_empty() {
            break;
        }
        bad.sort_unstable();
        bad.dedup_by_key(|(at, _)| *at);
        for (at, why) in bad.into_iter().rev() {
            if at < zone.records.len() {
                let line = zone.records.remove(at);
                let what = format!("{} {}", line.owner, line.rtype);
                zone.holes.push((line.owner.clone(), line.place.clone()));
                draft.left_out(&line.place, what, &why, "correct the record at its source");
            }
        }
    }
    zone.records
        .retain(|line| line.owner.as_ref().is_within(zone.origin.as_ref()));
}

/// How often a zone is looked through for records that it cannot have.
const ROUNDS: usize = 8;
