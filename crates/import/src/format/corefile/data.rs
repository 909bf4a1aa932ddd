//! Plugins with data: rewrite, template, hosts, file.

use std::{collections::BTreeMap, net::IpAddr};

use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{DenyWith, Pattern},
    zone::parse_record,
};

use crate::{
    ImportError, IncludeReader, Kept, Place, SourceFile,
    draft::{Draft, answer_of},
    format::zone_lines,
    report::short,
    shape,
    statement::{Effect, ZoneData, ZoneLine},
};

use super::{Directive, FILE, HOSTS, REWRITE, Server, TEMPLATE, type_of};

/// The TTL of the plugin hosts.
const HOSTS_TTL: u32 = 3600;

/// `rewrite [continue|stop] name [exact] FROM TO` is an alias; other rewrites cannot be said.
pub(super) fn rewrite(server: &Server<'_>, directive: &Directive, draft: &mut Draft<'_>) {
    let place = &directive.head.place;
    let what = directive.head.words.join(" ");
    let words: Vec<&str> = directive.head.rest().iter().map(String::as_str).collect();
    let words = match &*words {
        ["continue" | "stop", rest @ ..] => rest,
        words => words,
    };
    match words {
        ["name", from, to] | ["name", "exact", from, to] => {
            let (Ok(from_name), Ok(to)) = (shape::plain(from), shape::plain(to)) else {
                draft.left_out(
                    place,
                    what,
                    "it is not about two names",
                    "nothing of the zone is let through",
                );
                return draft.close(place, server.zone.clone(), server.layer);
            };
            let why = "the answer is an alias to the new name, which must be allowed itself; CoreDNS hides the new name";
            let item = draft.narrower(place, what, why, "");
            let effect = Effect::Answer(vec![format!("300 CNAME {to}")]);
            let said = server.said(
                &format!("rewrite-{from}"),
                Pattern::Exact(from_name),
                effect,
                REWRITE,
            );
            draft.state(place, Some(item), said);
        }
        ["name", "suffix", from, ..] => {
            let above = shape::plain(from.trim_start_matches('.'))
                .unwrap_or_else(|_| shape::readable_end(from));
            draft.left_out(
                place,
                what,
                "no rule can ask for another name at the same place",
                "the names that it is about are denied",
            );
            let said = server.said(
                "rewrite",
                Pattern::Subtree(above),
                Effect::Deny(None),
                REWRITE,
            );
            draft.state(place, None, said);
        }
        ["ttl" | "edns0" | "rcode" | "answer", ..] => {
            draft.left_out(
                place,
                what,
                "dnsgate does not change TTLs, options or codes",
                "",
            );
        }
        ["type", "ANY", ..] => {
            draft.left_out(place, what, "dnsgate answers ANY itself (RFC 8482)", "");
        }
        _ => {
            draft.left_out(
                place,
                what,
                "which names it changes cannot be said",
                "nothing of the zone is let through",
            );
            draft.close(place, server.zone.clone(), server.layer);
        }
    }
}

/// `template CLASS TYPE [ZONE…] { match, answer, rcode, fallthrough }`.
pub(super) fn template(server: &Server<'_>, directive: &Directive, draft: &mut Draft<'_>) {
    let place = &directive.head.place;
    let what = directive.head.words.join(" ");
    let words = directive.head.rest();
    let class = words.first().map_or("", String::as_str);
    let rtype = words.get(1).and_then(|word| type_of(word));
    let (true, Some(rtype)) = (matches!(class, "IN" | "ANY"), rtype) else {
        draft.left_out(
            place,
            what,
            "its class or type is not known",
            "nothing of the zone is let through",
        );
        return draft.close(place, server.zone.clone(), server.layer);
    };
    let zones = server.zones(words.get(2..).unwrap_or_default(), place, draft);
    let mut regexes = directive
        .lines
        .iter()
        .filter(|line| line.first() == "match");
    let every = |line: &crate::format::corefile::read::Line| matches!(line.rest(), [only] if matches!(&**only, ".*" | "." | ".+"));
    let matches_all = regexes.all(every);
    let (effect, why) = match matches_all {
        false => (
            Effect::Deny(None),
            Some("a regular expression chooses the names, and a rule has whole names"),
        ),
        true => match answer(directive) {
            Ok(effect) => (effect, None),
            Err(why) => (Effect::Deny(None), Some(why)),
        },
    };
    let item = match why {
        None => draft.kept(place, what),
        Some(why) => draft.left_out(place, what, why, "the names of its zones are denied for its type; write rules for the names that are needed"),
    };
    for zone in zones {
        let mut said = server.said("template", Pattern::Subtree(zone), effect.clone(), TEMPLATE);
        said.types = rtype.map(|rtype| [rtype].into());
        draft.state(place, Some(item), said);
    }
}

fn answer(directive: &Directive) -> Result<Effect, &'static str> {
    let mut records = Vec::new();
    for line in directive
        .lines
        .iter()
        .filter(|line| line.first() == "answer")
    {
        let text = line.rest().join(" ");
        let Some(rest) = text
            .trim()
            .strip_prefix("{{ .Name }}")
            .or_else(|| text.trim().strip_prefix("{{.Name}}"))
        else {
            return Err("its answer is for another name than the one that is asked for");
        };
        if rest.contains("{{") {
            return Err("its answer is made of the name that is asked for");
        }
        let record = parse_record(&format!("@{rest}"), &Name::root())
            .map_err(|_| "its answer cannot be read as a record")?;
        let line = ZoneLine {
            place: line.place.clone(),
            owner: record.owner,
            ttl: record.ttl,
            rtype: record.rtype,
            rdata: record.rdata,
        };
        records.push(answer_of(&line));
    }
    let rcode = directive.lines.iter().find(|line| line.first() == "rcode");
    let rcode = rcode
        .and_then(|line| line.rest().first())
        .map(|word| word.to_ascii_uppercase());
    match (rcode.as_deref(), records.is_empty()) {
        (None | Some("NOERROR"), false) => Ok(Effect::Answer(records)),
        (None | Some("NOERROR"), true) => Ok(Effect::Deny(Some(DenyWith::NoData))),
        (Some("NXDOMAIN"), true) => Ok(Effect::Deny(Some(DenyWith::NxDomain))),
        (Some("REFUSED" | "SERVFAIL"), true) => Ok(Effect::Deny(Some(DenyWith::Refused))),
        _ => Err("it answers with a code and records, or with a code that is not known"),
    }
}

/// The addresses of a hosts file, each with a name and its place.
fn hosts_lines(file: &SourceFile) -> Vec<(IpAddr, String, Place)> {
    let mut entries = Vec::new();
    for (number, line) in file.lines() {
        let text = line.split('#').next().unwrap_or_default();
        let mut words = text.split_whitespace();
        if let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) {
            let place = || Place::line(&file.name, number);
            entries.extend(words.map(|name| (address, name.to_owned(), place())));
        }
    }
    entries
}

/// `hosts [FILE [ZONE…]] { ADDRESS NAME…; fallthrough [ZONE…]; ttl N }`.
pub(super) fn hosts(
    server: &Server<'_>,
    directive: &Directive,
    source: &SourceFile,
    includes: &mut dyn IncludeReader,
    draft: &mut Draft<'_>,
) {
    let place = &directive.head.place;
    let words = directive.head.rest();
    let zones = server.zones(words.get(1..).unwrap_or_default(), place, draft);
    let mut ttl = HOSTS_TTL;
    let mut reverse = true;
    let mut through: Option<Vec<String>> = None;
    let mut entries: Vec<(IpAddr, String, Place)> = Vec::new();
    for line in &directive.lines {
        match line.first() {
            "fallthrough" => through = Some(line.rest().to_vec()),
            "ttl" => {
                ttl = line
                    .rest()
                    .first()
                    .and_then(|ttl| ttl.parse().ok())
                    .unwrap_or(ttl)
            }
            "no_reverse" => reverse = false,
            "reload" => {}
            first => {
                if let Ok(address) = first.parse::<IpAddr>() {
                    entries.extend(
                        line.rest()
                            .iter()
                            .map(|name| (address, name.clone(), line.place.clone())),
                    );
                }
            }
        }
    }
    let file = words.first().map_or("/etc/hosts", String::as_str);
    match includes.read(&source.name, file) {
        Ok(file) if !words.is_empty() => {
            entries.extend(hosts_lines(&file));
        }
        _ => {
            let why = format!("its file {} is not here", short(file));
            draft.left_out(place, "the file of hosts", &why, "nothing of its zones is let through, because it may have other data for any name; name a file beside the Corefile: hosts FILE");
            for zone in &zones {
                draft.close(place, zone.clone(), server.layer);
            }
        }
    }
    host_data(server, &zones, entries, (ttl, reverse), draft);
    // Without fallthrough the plugin is the last for its zones.
    for zone in zones {
        let passes = through.as_ref().is_some_and(|through| {
            through.is_empty()
                || through.iter().any(|word| {
                    super::zone_of(word).is_ok_and(|of| zone.as_ref().is_within(of.as_ref()))
                })
        });
        if !passes {
            let said = server.said(
                "hosts-rest",
                Pattern::Subtree(zone),
                Effect::Deny(Some(DenyWith::NxDomain)),
                HOSTS,
            );
            draft.implicitly(place, said);
        }
    }
}

fn host_data(
    server: &Server<'_>,
    zones: &[Name],
    entries: Vec<(IpAddr, String, Place)>,
    (ttl, reverse): (u32, bool),
    draft: &mut Draft<'_>,
) {
    let covered = |name: &Name| {
        zones
            .iter()
            .any(|zone| name.as_ref().is_within(zone.as_ref()))
    };
    let mut data: BTreeMap<Name, (Place, Vec<String>)> = BTreeMap::new();
    for (address, text, place) in entries {
        let name = match shape::plain(&text) {
            Ok(name) => name,
            Err(error) => {
                draft.left_out(&place, text, &error.to_string(), "correct the name");
                continue;
            }
        };
        let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
        let pointer = shape::reverse(&address.to_string()).filter(|_| reverse);
        let forward = covered(&name).then(|| (name.clone(), format!("{ttl} {rtype} {address}")));
        let backward = pointer
            .filter(|owner| covered(owner))
            .map(|owner| (owner, format!("{ttl} PTR {name}")));
        for (owner, record) in forward.into_iter().chain(backward) {
            let (_, records) = data
                .entry(owner)
                .or_insert_with(|| (place.clone(), Vec::new()));
            if !records.contains(&record) {
                records.push(record);
            }
        }
    }
    for (name, (place, records)) in data {
        let item = draft.kept(&place, format!("hosts {name}"));
        let said = server.said(
            &format!("hosts-{name}"),
            Pattern::Exact(name),
            Effect::Answer(records),
            HOSTS,
        );
        draft.state(&place, Some(item), said);
    }
}

/// `file DBFILE [ZONE…]`: a zone from a zone file.
pub(super) fn file(
    server: &Server<'_>,
    directive: &Directive,
    source: &SourceFile,
    includes: &mut dyn IncludeReader,
    draft: &mut Draft<'_>,
) -> Result<(), ImportError> {
    let place = &directive.head.place;
    let words = directive.head.rest();
    let path = words.first().map_or("", String::as_str);
    let zones = server.zones(words.get(1..).unwrap_or_default(), place, draft);
    let text = includes.read(&source.name, path);
    for zone in zones {
        let what = format!("file {path} for {zone}");
        let denied = server.said(
            "file",
            Pattern::Subtree(zone.clone()),
            Effect::Deny(Some(DenyWith::NxDomain)),
            FILE,
        );
        if server.groups.is_some() {
            let item = draft.left_out(
                place,
                what,
                "it is for the clients of a view, and a zone is for every client",
                "its names are denied to them",
            );
            draft.state(place, Some(item), denied);
            continue;
        }
        match &text {
            Ok(file) => {
                let records: Vec<ZoneLine> = zone_lines(file, &zone, includes)?;
                let item = draft.kept(place, what);
                if !records.iter().any(|line| line.rtype == RecordType::SOA) {
                    draft.lower(
                        Some(item),
                        Kept::Narrower,
                        "it has no SOA, so one is made",
                        "",
                    );
                }
                let data = ZoneData {
                    origin: zone,
                    place: place.clone(),
                    records,
                    holes: Vec::new(),
                    item: Some(item),
                };
                draft.zone(data, server.layer + FILE);
            }
            Err(why) => {
                let item = draft.left_out(
                    place,
                    what,
                    &format!("the file is not here: {why}"),
                    "put it beside the Corefile; its names are denied",
                );
                draft.state(place, Some(item), denied);
            }
        }
    }
    Ok(())
}
