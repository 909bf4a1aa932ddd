//! Zones of Cloud DNS: record sets as YAML documents (`record-sets export`), as JSON (`record-sets list`) and as zone files
//! (`--zone-file-format`), and the zones themselves (`managed-zones list` and `describe`).
//!
//! A private zone answers for all names at and below its own; of two the longer one decides. Forwarding zones become upstreams.
//! What other networks answer (peering) is not in these files.

use std::collections::{BTreeMap, BTreeSet};

use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{DenyWith, Pattern},
};

use crate::{
    ImportError, IncludeReader, Kept, Place, SourceFile,
    draft::{Draft, Said},
    statement::{Effect, Resolver, ZoneData, ZoneLine},
    tree,
};

mod exported;

use exported::{is_structured, structured, zone_file};

/// What all files together have.
#[derive(Default)]
struct Export {
    sets: Vec<RecordSet>,
    /// The number of the file that is being read.
    file: usize,
    /// Names and their places whose records could not be read.
    holes: Vec<(Name, Place)>,
    /// The networks that see the first private zone.
    networks: Option<BTreeSet<String>>,
    /// The zones by origin that `managed-zones` names.
    zones: BTreeMap<Name, (String, Place, ZoneKind)>,
}

enum ZoneKind {
    Records,
    Forward(Vec<String>),
    /// Another network or product answers; the string says which.
    Elsewhere(&'static str),
    /// It was denied already.
    Hidden,
}

/// The records of one name and type.
struct RecordSet {
    file: usize,
    place: Place,
    lines: Vec<ZoneLine>,
    /// Why not all of the set is there.
    narrowed: Option<(Kept, String)>,
    what: String,
}

pub(crate) fn read(
    sources: &[SourceFile],
    includes: &mut dyn IncludeReader,
    draft: &mut Draft<'_>,
) -> Result<(), ImportError> {
    draft.keep_metadata = true;
    let mut export = Export::default();
    for source in sources {
        export.file += 1;
        if is_structured(&source.text) {
            for document in tree::read(source)? {
                structured(&document, &mut export, draft)?;
            }
        } else {
            zone_file(source, includes, &mut export, draft)?;
        }
    }
    state(export, draft);
    if let Some(source) = sources.first() {
        let place = Place::line(&source.name, 1);
        draft.default_allow(
            &place,
            "every name outside these zones",
            Resolver::OPERATOR,
            1,
        );
    }
    Ok(())
}

/// Puts the record sets into their zones. A set belongs to the longest zone of its own file, else of all files: a delegation and the
/// top of the zone below it have the same name.
fn state(export: Export, draft: &mut Draft<'_>) {
    let Export {
        sets,
        mut holes,
        zones,
        ..
    } = export;
    let mut data: BTreeMap<Name, ZoneData> = BTreeMap::new();
    let mut own: BTreeMap<usize, BTreeSet<Name>> = BTreeMap::new();
    for (file, line) in sets.iter().filter_map(apex) {
        let listed = zones.get(&line.owner);
        if listed.is_none_or(|(_, _, kind)| matches!(kind, ZoneKind::Records)) {
            own.entry(file).or_default().insert(line.owner.clone());
            let zone = || zone_of(&line.owner, &line.place);
            data.entry(line.owner.clone()).or_insert_with(zone);
        }
    }
    for (origin, (name, place, kind)) in &zones {
        match kind {
            ZoneKind::Records => {
                data.entry(origin.clone())
                    .or_insert_with(|| zone_of(origin, place));
            }
            ZoneKind::Forward(servers) => forward(origin, name, place, servers, draft),
            ZoneKind::Elsewhere(why) => elsewhere(origin, name, place, why, draft),
            ZoneKind::Hidden => {}
        }
    }
    let all: BTreeSet<Name> = data.keys().cloned().collect();
    let none = BTreeSet::new();
    let zone_of_set = |set: &RecordSet| {
        let owner = &set.lines.first()?.owner;
        let own = own.get(&set.file).unwrap_or(&none);
        enclosing(owner, own).or_else(|| enclosing(owner, &all))
    };
    let mut known: BTreeMap<(Name, Name, RecordType), Option<RecordSet>> = BTreeMap::new();
    for set in sets {
        let (Some(zone), Some(first)) = (zone_of_set(&set), set.lines.first()) else {
            let advice = "add the zone's SOA, or the output of managed-zones list --format=json";
            draft.left_out(&set.place, set.what, "no zone is known that has it", advice);
            continue;
        };
        let key = (zone, first.owner.clone(), first.rtype);
        if let Some(before) = known.get_mut(&key) {
            holes.push((key.1, set.place.clone()));
            twice(before, set, draft);
        } else {
            known.insert(key, Some(set));
        }
    }
    for ((zone, _, _), set) in known {
        let (Some(set), Some(zone)) = (set, data.get_mut(&zone)) else {
            continue;
        };
        let item = draft.kept(&set.place, set.what);
        if let Some((kept, why)) = set.narrowed {
            draft.lower(Some(item), kept, &why, "");
        }
        zone.records.extend(set.lines);
    }
    for (name, place) in holes {
        if let Some(zone) = enclosing(&name, &all).and_then(|zone| data.get_mut(&zone)) {
            zone.holes.push((name, place));
        }
    }
    for (_, zone) in data {
        state_zone(zone, draft);
    }
}

/// The file and the first line of a set that is the SOA of a zone.
fn apex(set: &RecordSet) -> Option<(usize, &ZoneLine)> {
    let first = set.lines.first()?;
    (first.rtype == RecordType::SOA).then_some((set.file, first))
}

fn state_zone(mut zone: ZoneData, draft: &mut Draft<'_>) {
    let what = format!("zone {}", zone.origin);
    zone.item = Some(draft.kept(&zone.place, what));
    if zone.records.is_empty() {
        let why = "its records are not in these files, so all its names do not exist";
        let advice = "add the output of gcloud dns record-sets export";
        draft.lower(zone.item, Kept::Narrower, why, advice);
    }
    draft.zone(zone, 0);
}

fn zone_of(origin: &Name, place: &Place) -> ZoneData {
    ZoneData {
        origin: origin.clone(),
        place: place.clone(),
        records: Vec::new(),
        holes: Vec::new(),
        item: None,
    }
}

/// The longest zone that has the name.
fn enclosing(name: &Name, zones: &BTreeSet<Name>) -> Option<Name> {
    let mut at = Some(name.as_ref());
    while let Some(own) = at {
        if let Some(zone) = zones.get(&own.to_name()) {
            return Some(zone.clone());
        }
        at = own.parent();
    }
    None
}

/// A name and type that stand twice: with the same data they are one set, with other data none.
fn twice(before: &mut Option<RecordSet>, set: RecordSet, draft: &mut Draft<'_>) {
    let data = |set: &RecordSet| {
        let lines = set.lines.iter();
        lines
            .map(|line| line.rdata.clone())
            .collect::<BTreeSet<_>>()
    };
    if before
        .as_ref()
        .is_some_and(|before| data(before) == data(&set))
    {
        return;
    }
    let why = "the name and type stand here twice with different data; which of them holds cannot be told";
    if let Some(before) = before.take() {
        draft.left_out(&before.place, before.what, why, "keep one of them");
    }
    draft.left_out(&set.place, set.what, why, "keep one of them");
}

fn forward(origin: &Name, name: &str, place: &Place, servers: &[String], draft: &mut Draft<'_>) {
    let what = format!("forwarding zone {name} ({origin})");
    let named = draft.has_own_upstream(name);
    if servers.is_empty() && !named {
        return elsewhere(
            origin,
            name,
            place,
            "none of its targets has an address",
            draft,
        );
    }
    let upstream = draft.upstream(place, name, servers.to_vec(), None);
    let why = "answers may have private addresses only, as names inside have; the source lets every address through";
    let advice = "change `addresses` of the rule if names there have public addresses";
    let item = draft.narrower(place, what, why, advice);
    let resolver = Resolver {
        upstream: Some(upstream),
        is_private: true,
        cname_allowed: false,
    };
    let said = Said::new(
        name,
        Pattern::Subtree(origin.clone()),
        Effect::Forward(resolver),
        0,
    );
    draft.state(place, Some(item), said);
}

/// A zone whose data are not in any file: it is denied, unless the operator names an upstream for it.
fn elsewhere(origin: &Name, name: &str, place: &Place, why: &str, draft: &mut Draft<'_>) {
    if draft.has_own_upstream(name) {
        return forward(origin, name, place, &[], draft);
    }
    let advice = format!(
        "its names are denied; name a server that has them: --upstream {}=SERVER",
        crate::draft::label(name)
    );
    let item = draft.left_out(place, format!("zone {name} ({origin})"), why, &advice);
    let said = Said::new(
        name,
        Pattern::Subtree(origin.clone()),
        Effect::Deny(Some(DenyWith::NxDomain)),
        0,
    );
    draft.state(place, Some(item), said);
}
