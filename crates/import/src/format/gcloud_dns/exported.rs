//! Reads what gcloud prints: zone files, record sets and managed zones.

use std::collections::{BTreeMap, BTreeSet};

use dnsgate_core::{
    dns::{Name, RecordType},
    policy::Pattern,
    zone::parse_record,
};

use crate::{
    ImportError, IncludeReader, Kept, Place, SourceFile,
    draft::{Draft, Said},
    format::{servers, zone_lines},
    report::short,
    shape,
    statement::{Effect, ZoneLine},
    tree::Tree,
};

use super::{Export, RecordSet, ZoneKind};

pub(super) fn is_structured(text: &str) -> bool {
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| {
        line.starts_with(['{', '[', '-']) || line.ends_with(':') || line.contains(": ")
    })
}

pub(super) fn zone_file(
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
    if let Some(origin) = origin.filter(|origin| !export.zones.contains_key(origin)) {
        let place = Place::line(&source.name, 1);
        let name = crate::draft::label(&origin.to_string());
        export
            .zones
            .insert(origin, (name, place, ZoneKind::Records));
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
            file: export.file,
            place,
            lines,
            narrowed: None,
            what: format!("{owner} {rtype}"),
        });
    }
    Ok(())
}

pub(super) fn structured(
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
    let networks = item.get("privateVisibilityConfig").map(|seen| {
        let networks = seen.list_of("networks").iter();
        let networks = networks.filter_map(|network| network.text_of("networkUrl"));
        networks.map(str::to_owned).collect::<BTreeSet<_>>()
    });
    if let Some(networks) = networks
        && *export.networks.get_or_insert_with(|| networks.clone()) != networks
    {
        let why =
            "other networks see it than the zones before it, and a zone here is for every client";
        let advice = "import the zones of one network at a time; its names are denied";
        let item_at = draft.left_out(&item.place, what, why, advice);
        let said = Said::new(
            name,
            Pattern::Subtree(origin.clone()),
            Effect::Deny(None),
            0,
        );
        draft.state(&item.place, Some(item_at), said);
        export.zones.insert(
            origin,
            (String::new(), item.place.clone(), ZoneKind::Hidden),
        );
        return;
    }
    let kind = zone_kind(item, draft);
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

/// Who has the data of a zone.
fn zone_kind(item: &Tree, draft: &mut Draft<'_>) -> ZoneKind {
    if let Some(forwarding) = item.get("forwardingConfig") {
        ZoneKind::Forward(targets(forwarding, draft))
    } else if item.get("peeringConfig").is_some() {
        ZoneKind::Elsewhere("another VPC network answers for a peering zone")
    } else if item.get("serviceDirectoryConfig").is_some() {
        ZoneKind::Elsewhere("Service Directory answers for this zone")
    } else if item.get("reverseLookupConfig").is_some() {
        ZoneKind::Elsewhere("Cloud DNS makes the answers of a managed reverse zone")
    } else {
        ZoneKind::Records
    }
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
        if let Ok(owner) = name.parse() {
            export.holes.push((owner, item.place.clone()));
        }
        draft.left_out(
            &item.place,
            what,
            &why,
            "correct the record, or leave it out at its source",
        );
        return;
    }
    export.sets.push(RecordSet {
        file: export.file,
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
