//! Zones of Cloud DNS: record sets as YAML documents (`record-sets export`), as JSON (`record-sets list`) and as zone files
//! (`--zone-file-format`), and the zones themselves (`managed-zones list` and `describe`).
//!
//! A private zone answers for all names at and below its own; of two the longer one decides. Forwarding zones become upstreams.
//! What other networks answer (peering) is not in these files.

use std::collections::BTreeMap;

use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{DenyWith, Pattern},
    zone::parse_record,
};

use crate::{
    ImportError, IncludeReader, Kept, Place, SourceFile,
    draft::{Draft, Said},
    format::{servers, zone_lines},
    report::short,
    shape,
    statement::{Effect, Resolver, ZoneData, ZoneLine},
    tree::{self, Tree},
};

/// What all files together have.
#[derive(Default)]
struct Export {
    sets: Vec<RecordSet>,
    /// The zones by origin that `managed-zones` names.
    zones: BTreeMap<Name, (String, Place, ZoneKind)>,
}

enum ZoneKind {
    Records,
    Forward(Vec<String>),
    /// Another network or product answers; the string says which.
    Elsewhere(&'static str),
}

/// The records of one name and type.
struct RecordSet {
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

fn is_structured(text: &str) -> bool {
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| {
        line.starts_with(['{', '[', '-']) || line.ends_with(':') || line.contains(": ")
    })
}

fn zone_file(
    source: &SourceFile,
    includes: &mut dyn IncludeReader,
    export: &mut Export,
    draft: &Draft<'_>,
) -> Result<(), ImportError> {
    // The export has absolute names. Where a file has relative ones, the operator says what they belong to.
    let origin = draft.options.origin.clone();
    let unnamed = Name::root();
    let lines = zone_lines(source, origin.as_ref().unwrap_or(&unnamed), includes)?;
    if origin.is_none()
        && !lines
            .iter()
            .any(|line| line.rtype == RecordType::SOA && !line.owner.as_ref().is_root())
    {
        let place = Place::line(&source.name, 1);
        let why = "the zone's name cannot be told: there is no SOA record with an absolute name; pass --origin NAME".to_owned();
        return Err(ImportError::Content { place, why });
    }
    let mut sets: BTreeMap<(Name, RecordType), Vec<ZoneLine>> = BTreeMap::new();
    for line in lines {
        sets.entry((line.owner.clone(), line.rtype))
            .or_default()
            .push(line);
    }
    for ((owner, rtype), lines) in sets {
        let Some(place) = lines.first().map(|line| line.place.clone()) else {
            continue;
        };
        export.sets.push(RecordSet {
            place,
            lines,
            narrowed: None,
            what: format!("{owner} {rtype}"),
        });
    }
    Ok(())
}

fn structured(
    document: &Tree,
    export: &mut Export,
    draft: &mut Draft<'_>,
) -> Result<(), ImportError> {
    if document.get("additions").is_some() || document.get("deletions").is_some() {
        let why = "this is a pending transaction (additions and deletions), not a zone; export the zone: gcloud dns record-sets export FILE --zone=ZONE".to_owned();
        return Err(ImportError::Content {
            place: document.place.clone(),
            why,
        });
    }
    for key in ["rrsets", "managedZones"] {
        if document.get(key).is_some() {
            document
                .list_of(key)
                .iter()
                .for_each(|item| one(item, export, draft));
            return Ok(());
        }
    }
    match document.items() {
        [] => one(document, export, draft),
        items => items.iter().for_each(|item| one(item, export, draft)),
    }
    Ok(())
}

fn one(item: &Tree, export: &mut Export, draft: &mut Draft<'_>) {
    if item.text_of("dnsName").is_some() {
        managed_zone(item, export, draft);
    } else if item.text_of("name").is_some() && item.text_of("type").is_some() {
        record_set(item, export, draft);
    } else if item.is_map() {
        draft.left_out(
            &item.place,
            "a document",
            "it is neither a record set nor a managed zone",
            "",
        );
    }
}

fn managed_zone(item: &Tree, export: &mut Export, draft: &mut Draft<'_>) {
    let dns_name = item.text_of("dnsName").unwrap_or_default();
    let name = item.text_of("name").unwrap_or(dns_name).to_owned();
    let what = format!("zone {name} ({dns_name})");
    let origin = match shape::plain(dns_name) {
        Ok(origin) => origin,
        Err(error) => {
            draft.left_out(
                &item.place,
                what,
                &error.to_string(),
                "correct the zone's dnsName",
            );
            draft.close(&item.place, shape::readable_end(dns_name), 0);
            return;
        }
    };
    let kind = if let Some(forwarding) = item.get("forwardingConfig") {
        ZoneKind::Forward(targets(forwarding, draft))
    } else if item.get("peeringConfig").is_some() {
        ZoneKind::Elsewhere("another VPC network answers for a peering zone")
    } else if item.get("serviceDirectoryConfig").is_some() {
        ZoneKind::Elsewhere("Service Directory answers for this zone")
    } else if item.get("reverseLookupConfig").is_some() {
        ZoneKind::Elsewhere("Cloud DNS makes the answers of a managed reverse zone")
    } else {
        ZoneKind::Records
    };
    if let Some((_, first, _)) = export.zones.get(&origin) {
        let why = format!(
            "another zone has this name, at {first}; which of them a network sees cannot be told"
        );
        draft.left_out(
            &item.place,
            what,
            &why,
            "import the zones of one network at a time; its name is denied",
        );
        let said = Said::new(
            name,
            Pattern::Subtree(origin.clone()),
            Effect::Deny(None),
            0,
        );
        draft.state(&item.place, None, said);
        return;
    }
    export
        .zones
        .insert(origin, (name, item.place.clone(), kind));
}

/// The servers of a forwarding zone.
fn targets(forwarding: &Tree, draft: &mut Draft<'_>) -> Vec<String> {
    let mut servers = Vec::new();
    for target in forwarding.list_of("targetNameServers") {
        let address = target
            .text_of("ipv4Address")
            .or_else(|| target.text_of("ipv6Address"));
        match address.and_then(|address| servers::plain(address, None)) {
            Some(server) => servers.push(server),
            None => {
                let why = "dnsgate asks servers by their addresses";
                draft.left_out(
                    &target.place,
                    "a target of a forwarding zone",
                    why,
                    "name its address: --upstream ZONE=udp://ADDRESS",
                );
            }
        }
    }
    servers
}

fn record_set(item: &Tree, export: &mut Export, draft: &mut Draft<'_>) {
    let (name, rtype) = (
        item.text_of("name").unwrap_or_default(),
        item.text_of("type").unwrap_or_default(),
    );
    let what = format!("{name} {rtype}");
    let ttl = item.text_of("ttl").unwrap_or("300");
    let policy = item.get("routingPolicy");
    let (data, mut narrowed) = match policy {
        None => (
            item.list_of("rrdatas")
                .iter()
                .filter_map(Tree::text)
                .map(str::to_owned)
                .collect(),
            None,
        ),
        Some(policy) => routed(policy),
    };
    let mut lines = Vec::new();
    for data in data {
        match parse_record(&format!("{name} {ttl} IN {rtype} {data}"), &Name::root()) {
            Ok(record) => lines.push(ZoneLine {
                place: item.place.clone(),
                owner: record.owner,
                ttl: record.ttl,
                rtype: record.rtype,
                rdata: record.rdata,
            }),
            Err(fault) => narrowed = Some((Kept::LeftOut, short(&fault.message))),
        }
    }
    if lines.is_empty() {
        let (_, why) = narrowed.unwrap_or((Kept::LeftOut, "it has no data".to_owned()));
        draft.left_out(
            &item.place,
            what,
            &why,
            "correct the record, or leave it out at its source",
        );
        return;
    }
    export.sets.push(RecordSet {
        place: item.place.clone(),
        lines,
        narrowed,
        what,
    });
}

/// The data of the first item of a routing policy, or of the primary targets.
fn routed(policy: &Tree) -> (Vec<String>, Option<(Kept, String)>) {
    let (kind, items) = if let Some(geo) = policy.get("geo") {
        ("by location", geo.list_of("items").first())
    } else if let Some(wrr) = policy.get("wrr") {
        ("by weight", wrr.list_of("items").first())
    } else if let Some(failover) = policy.get("primaryBackup") {
        ("by failover", failover.get("primaryTargets"))
    } else {
        return (
            Vec::new(),
            Some((Kept::LeftOut, "its routing policy is not known".to_owned())),
        );
    };
    let mut data = Vec::new();
    if let Some(item) = items {
        data.extend(
            item.list_of("rrdatas")
                .iter()
                .filter_map(Tree::text)
                .map(str::to_owned),
        );
        let checked = item.get("healthCheckedTargets").unwrap_or(item);
        for balancer in checked.list_of("internalLoadBalancers") {
            data.extend(balancer.text_of("ipAddress").map(str::to_owned));
        }
        data.extend(
            checked
                .list_of("externalEndpoints")
                .iter()
                .filter_map(Tree::text)
                .map(str::to_owned),
        );
    }
    let why = format!(
        "the source chooses {kind}; only the first (or primary) data are served, and nothing checks their health"
    );
    (data, Some((Kept::Narrower, why)))
}

/// Puts the record sets into their zones.
fn state(export: Export, draft: &mut Draft<'_>) {
    let Export { sets, zones } = export;
    let mut data: BTreeMap<Name, ZoneData> = BTreeMap::new();
    let apex = sets
        .iter()
        .filter_map(|set| set.lines.first())
        .filter(|line| line.rtype == RecordType::SOA);
    for line in apex {
        if zones
            .get(&line.owner)
            .is_none_or(|(_, _, kind)| matches!(kind, ZoneKind::Records))
        {
            data.entry(line.owner.clone())
                .or_insert_with(|| zone_of(&line.owner, &line.place));
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
        }
    }
    for (at, set) in merged(sets, draft) {
        let zone = enclosing(&at, &data, draft.options.origin.as_ref());
        let Some(zone) = zone.and_then(|origin| data.get_mut(&origin)) else {
            let why = "no zone is known that has it";
            draft.left_out(
                &set.place,
                set.what,
                why,
                "add the zone's SOA, or the output of managed-zones list --format=json",
            );
            continue;
        };
        let item = draft.kept(&set.place, set.what);
        if let Some((kept, why)) = set.narrowed {
            draft.lower(Some(item), kept, &why, "");
        }
        zone.records.extend(set.lines);
    }
    for (_, mut zone) in data {
        let what = format!("zone {}", zone.origin);
        zone.item = Some(draft.kept(&zone.place, what));
        if zone.records.is_empty() {
            let why = "its records are not in these files, so all its names do not exist";
            draft.lower(
                zone.item,
                Kept::Narrower,
                why,
                "add the output of gcloud dns record-sets export",
            );
        }
        draft.zone(zone, 0);
    }
}

fn zone_of(origin: &Name, place: &Place) -> ZoneData {
    ZoneData {
        origin: origin.clone(),
        place: place.clone(),
        records: Vec::new(),
        item: None,
    }
}

/// The longest zone that has the name.
fn enclosing(name: &Name, zones: &BTreeMap<Name, ZoneData>, told: Option<&Name>) -> Option<Name> {
    let mut at = Some(name.as_ref());
    while let Some(own) = at {
        let own_name = own.to_name();
        if zones.contains_key(&own_name) {
            return Some(own_name);
        }
        at = own.parent();
    }
    told.filter(|told| zones.contains_key(*told)).cloned()
}

/// The sets by name and type. What stands twice with the same data is one; with other data it is none.
fn merged(sets: Vec<RecordSet>, draft: &mut Draft<'_>) -> Vec<(Name, RecordSet)> {
    let mut known: BTreeMap<(Name, RecordType), Option<RecordSet>> = BTreeMap::new();
    for set in sets {
        let Some(first) = set.lines.first() else {
            continue;
        };
        let key = (first.owner.clone(), first.rtype);
        match known.get_mut(&key) {
            None => {
                known.insert(key, Some(set));
            }
            Some(before) => {
                let data = |set: &RecordSet| {
                    let mut data: Vec<_> =
                        set.lines.iter().map(|line| line.rdata.clone()).collect();
                    data.sort();
                    data
                };
                if before
                    .as_ref()
                    .is_some_and(|before| data(before) == data(&set))
                {
                    continue;
                }
                let why = "the name and type stand here twice with different data; which of them holds cannot be told";
                if let Some(before) = before.take() {
                    draft.left_out(&before.place, before.what, why, "keep one of them");
                }
                draft.left_out(&set.place, set.what, why, "keep one of them");
            }
        }
    }
    let kept = known
        .into_iter()
        .filter_map(|((name, _), set)| Some((name, set?)));
    kept.collect()
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
