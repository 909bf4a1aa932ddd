//! Writes the configuration, each rule and zone with the place that it comes from.

use std::{collections::HashSet, fmt::Write as _};

use dnsgate_core::policy::DenyWith;

use crate::{
    ImportError, Place,
    cidr_groups::all_groups,
    draft::{Draft, label, unique},
    present,
    report::{plain, short},
    resolve::ReadyRule,
    statement::{Effect, Resolver, Server, ZoneData},
};

/// The longest configuration that dnsgate reads, in bytes.
const MAX_TEXT: usize = 16 << 20;
/// The addresses that an upstream inside may answer with: private space, as the source's own network has it.
const PRIVATE: &str = r#"[10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, "fc00::/7"]"#;

/// The text of the configuration.
pub(crate) fn write(
    draft: &Draft<'_>,
    rules: &[ReadyRule],
    zones: &[usize],
) -> Result<String, ImportError> {
    let mut text = head(draft);
    clients(draft, &mut text);
    upstreams(draft, rules, &mut text);
    if !zones.is_empty() {
        text.push_str("\nzones:\n");
        for zone in zones.iter().filter_map(|&at| draft.zones.get(at)) {
            self::zone(zone, &mut text);
        }
    }
    if !rules.is_empty() {
        text.push_str("\nrules:\n");
        let mut names = HashSet::new();
        for rule in rules {
            let name = unique(&label(&rule.name), |name| names.contains(name));
            self::rule(&name, rule, &mut text);
            names.insert(name);
        }
    }
    if text.len() > MAX_TEXT {
        let most = MAX_TEXT >> 20;
        return Err(ImportError::Invalid(format!(
            "the configuration would be longer than {most} MiB; put zones into zone files (zones: file) and lists into lists (rules: domains_file)"
        )));
    }
    Ok(text)
}

fn head(draft: &Draft<'_>) -> String {
    let files: Vec<String> = draft.files.iter().map(|file| short(file)).collect();
    let mut text = format!(
        "# Written by `dnsgate import` from {}. It allows no more than its source;\n# what was narrowed or left out stands in the report.\n",
        files.join(", ")
    );
    for remark in &draft.remarks {
        let _ = writeln!(text, "# {}", plain(remark));
    }
    text.push_str("version: 1\n\n# The source does not have the Google preset; switch it on if it should answer for Google's names.\n");
    text.push_str("google_apis: { vip: off }\n");
    if !draft.keep_metadata {
        text.push_str("built_in: { metadata: false }\n");
    }
    text
}

fn clients(draft: &Draft<'_>, text: &mut String) {
    if draft.groups.is_empty() {
        text.push_str("\n# The source does not say who may ask: the default is every private address and Cloud DNS.\n");
        return;
    }
    text.push_str("\nclients:\n");
    for (name, ranges) in all_groups(draft) {
        let ranges: Vec<String> = ranges
            .iter()
            .map(|range| quoted(&range.to_string()))
            .collect();
        let _ = writeln!(
            text,
            "  {}: {{ cidrs: [{}] }}",
            quoted(&name),
            ranges.join(", ")
        );
    }
}

fn upstreams(draft: &Draft<'_>, rules: &[ReadyRule], text: &mut String) {
    let used: HashSet<&str> = rules
        .iter()
        .filter_map(|rule| match &rule.effect {
            Effect::Forward(resolver) => resolver.upstream.as_deref(),
            _ => None,
        })
        .collect();
    let used: Vec<&Server> = draft
        .upstreams
        .iter()
        .filter(|server| used.contains(&*server.name))
        .collect();
    if used.is_empty() {
        return;
    }
    text.push_str("\nupstreams:\n");
    for Server {
        name,
        servers,
        strategy,
        place,
    } in used
    {
        let servers: Vec<String> = servers.iter().map(|server| quoted(server)).collect();
        let _ = writeln!(text, "  {}:{}", quoted(name), comment(place.as_ref()));
        let _ = writeln!(text, "    servers: [{}]", servers.join(", "));
        if let Some(strategy) = strategy {
            let _ = writeln!(text, "    strategy: {strategy}");
        }
    }
}

fn zone(zone: &ZoneData, text: &mut String) {
    let origin = zone.origin.to_string();
    let _ = writeln!(
        text,
        "  - origin: {}{}",
        quoted(&origin),
        comment(Some(&zone.place))
    );
    if zone.records.is_empty() {
        text.push_str("    records: []\n");
        return;
    }
    text.push_str("    records:\n");
    for line in &zone.records {
        let data = present::rdata(line.rtype, &line.rdata);
        let record = format!("{} {} IN {} {data}", line.owner, line.ttl, line.rtype);
        let _ = writeln!(
            text,
            "      - {}{}",
            quoted(&record),
            comment(Some(&line.place))
        );
    }
}

fn rule(name: &str, rule: &ReadyRule, text: &mut String) {
    let _ = writeln!(text, "  - name: {}", quoted(name));
    match &*rule.patterns {
        [(pattern, place)] => {
            let pattern = quoted(&pattern.to_string());
            let _ = writeln!(text, "    domains: [{pattern}]{}", comment(Some(place)));
        }
        patterns => {
            text.push_str("    domains:\n");
            for (pattern, place) in patterns {
                let pattern = quoted(&pattern.to_string());
                let _ = writeln!(text, "      - {pattern}{}", comment(Some(place)));
            }
        }
    }
    match &rule.effect {
        Effect::Zone(_) => {}
        Effect::Answer(records) => {
            text.push_str("    records:\n");
            for record in records {
                let _ = writeln!(text, "      - {}", quoted(record));
            }
        }
        Effect::Deny(with) => {
            let _ = writeln!(text, "    deny: {}", with.map_or("true", DenyWith::as_str));
        }
        Effect::Forward(Resolver {
            upstream,
            is_private,
            cname_allowed,
        }) => {
            let upstream = upstream.as_deref().unwrap_or_default();
            let _ = writeln!(text, "    forward: {}", quoted(upstream));
            if *is_private {
                let _ = writeln!(text, "    addresses: {PRIVATE}");
            }
            if *cname_allowed {
                text.push_str("    cname: allowed\n");
            }
        }
    }
    if let Some(groups) = &rule.groups {
        let groups: Vec<String> = groups.iter().map(|group| quoted(group)).collect();
        let _ = writeln!(text, "    groups: [{}]", groups.join(", "));
    }
    if let Some(types) = &rule.types {
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "    types: [{}]", types.join(", "));
    }
}

/// A text as a quoted value; the escapes of JSON are YAML's, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn comment(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| format!(" # {place}"))
}
