//! From the file's shape to a [`Config`]: what the values mean together.
//!
//! Building goes on behind a fault, so that a report has what is wrong with the zones as well as
//! what is wrong with the rules. Only what follows from a fault that was told already is left out.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    ops::RangeInclusive,
    path::Path,
};

use super::{
    Config, Listen, Startup, builtin,
    case::{self, CaseEntry},
    conflict,
    contents::Contents,
    error::{Faults, Place, Report},
    file::{File, RuleEntry, ZoneEntry},
    google::{self, Settings},
    groups::Groups,
    read::At,
    rules,
    text::{self, MAX_CONFIG, ReadFile},
    value::Count,
    vips, warn, yaml, zones,
};
use crate::{
    dns::Name,
    policy::{Action, DenyWith, Origin, Pattern, Policy, Rule, RuleId, TypeSet, ZoneId},
    zone::Zone,
};

/// Worker threads for UDP. The default is one for each core that the process may use; more than
/// the most is more cores than a machine has. No official reference.
const WORKERS: RangeInclusive<usize> = 1..=1_024;

/// The port and the addresses that are listened on where the file says nothing: every IPv4 address
/// of the machine, so that a load balancer's is among them.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 53);
/// Where the admin pages are where the file says nothing: on this machine only. 9153 is the port
/// that CoreDNS made customary for the metrics of a name server.
const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9153);

/// Where something of the policy comes from, for messages.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// What an operator calls it: "rule `github`", "zone corp.example".
    pub(super) what: String,
    /// Where it stands in the file; no place for what the file does not have.
    pub(super) place: Place,
    /// Its patterns and their places, where they have some of their own.
    pub(super) names: Vec<(Pattern, Place)>,
}

impl Source {
    pub(super) fn new(what: String, place: Place) -> Self {
        Self {
            what,
            place,
            names: Vec::new(),
        }
    }

    pub(super) fn built_in() -> Self {
        Self::new("a built-in answer".to_owned(), Place::default())
    }

    /// The place of a pattern, else of one with the same name, else of the whole.
    pub(super) fn place_of(&self, pattern: &Pattern) -> Place {
        let same = self.names.iter().find(|(own, _)| own == pattern);
        let near = || {
            self.names
                .iter()
                .find(|(own, _)| own.name() == pattern.name())
        };
        same.or_else(near).map_or(self.place, |&(_, place)| place)
    }
}

/// What a policy and its zones are made of, so far.
#[derive(Default)]
pub(super) struct Parts {
    rules: Vec<Rule>,
    sources: Vec<Source>,
    zones: Vec<Zone>,
    /// The origins of zones that the operator knows of, for the summary.
    noted: Vec<String>,
}

impl Parts {
    pub(super) fn add_rule(&mut self, rule: Rule, source: Source) {
        self.rules.push(rule);
        self.sources.push(source);
    }

    pub(super) fn add_zone(&mut self, zone: Zone) -> ZoneId {
        self.zones.push(zone);
        // As many zones as fit into a file of 16 MiB.
        ZoneId((self.zones.len() - 1) as u32)
    }

    pub(super) fn note_zone(&mut self, origin: &str) {
        self.noted.push(origin.to_owned());
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = (&Rule, &Source)> {
        self.rules.iter().zip(&self.sources)
    }

    pub(super) fn zone(&self, id: ZoneId) -> Option<&Zone> {
        self.zones.get(id.0 as usize)
    }

    pub(super) fn source(&self, id: RuleId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }
}

/// Reads a configuration file and everything that it names.
pub(super) fn load(path: &Path) -> Result<Config, Report> {
    let name = path.to_string_lossy();
    let mut files = Vec::new();
    let text = match text::read(path, MAX_CONFIG, &mut files) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("the configuration {error}");
            return Err(Report::of_file(&name, message, files));
        }
    };
    let dir = path.parent().unwrap_or(Path::new(""));
    let tests = case::beside(path);
    if !tests.exists() {
        return parse_of(&text, &name, dir, None, files);
    }
    let beside = tests.to_string_lossy();
    match text::read_named(&tests, MAX_CONFIG, &mut files) {
        Ok(tests) => parse_of(&text, &name, dir, Some((&tests, &beside)), files),
        Err(error) => {
            let message = format!("the file of tests {error}");
            Err(Report::of_file(&beside, message, files))
        }
    }
}

/// Reads a configuration; files that it names are looked for in `dir`.
pub(super) fn parse(text: &str, name: &str, dir: &Path) -> Result<Config, Report> {
    if text.len() as u64 > MAX_CONFIG {
        let message = format!("the configuration is larger than {MAX_CONFIG} bytes");
        return Err(Report::of_file(name, message, Vec::new()));
    }
    parse_of(text, name, dir, None, Vec::new())
}

/// The same, for a text that is within its bound, with the text and name of the tests that stand
/// beside it; `files` is where they came from.
fn parse_of(
    text: &str,
    name: &str,
    dir: &Path,
    beside: Option<(&str, &str)>,
    files: Vec<ReadFile>,
) -> Result<Config, Report> {
    let mut faults = Faults::new(name, text);
    *faults.files() = files;
    let tree = yaml::parse(text, &mut faults);
    let mut file = File::read(&tree, &mut faults);
    let mut config = build(&file, name, dir, &mut faults);
    add_cases(std::mem::take(&mut file.tests), &mut config, &mut faults);
    if let Some((text, name)) = beside {
        let mut own = Faults::new(name, text);
        let entries = case::read_file(text, &mut own);
        add_cases(entries, &mut config, &mut own);
        faults.absorb(own);
    }
    match config {
        Some(config) if faults.is_empty() => Ok(Config {
            files: std::mem::take(faults.files()),
            ..config
        }),
        _ => Err(faults.into_report()),
    }
}

fn add_cases(entries: Vec<CaseEntry>, config: &mut Option<Config>, faults: &mut Faults<'_>) {
    if let Some(config) = config {
        case::check(&entries, &config.policy, faults);
        config.cases.extend(case::cases(entries));
    }
}

fn build(file: &File, name: &str, dir: &Path, faults: &mut Faults<'_>) -> Option<Config> {
    let listen = listen(file.listen.as_ref(), faults);
    let workers = workers(file.workers, faults);
    check_limits(file, faults);
    let groups = Groups::of(file.clients.as_ref(), faults);
    let google = Settings::of(file.google_apis.as_ref(), faults);
    let mut parts = Parts::default();
    add_rules(&file.rules, &groups, &mut parts, faults);
    add_zones(&file.zones, google.as_ref(), dir, &mut parts, faults);
    if let Some(google) = &google {
        google::add(google, &mut parts, faults);
        google::add_carve_outs(google, &mut parts);
    }
    builtin::add(file.built_in, &mut parts);
    let endpoints = google
        .iter()
        .flat_map(Settings::endpoints)
        .map(|&v4| v4.into());
    vips::check(&parts, &endpoints.collect::<Vec<_>>(), faults);

    let deny_with = file.deny_with.map_or(DenyWith::Refused, |at| at.value);
    let mut notes = warn::before(file, google.as_ref(), &groups, deny_with, faults);
    let expiries = warn::expiries(file, faults);
    let summary = summary(name, groups.groups.len(), file.rules.len(), &parts.noted);
    let rules = std::mem::take(&mut parts.rules);
    let contents = Contents::of(&groups.groups, &rules, &parts.zones);
    let policy = match Policy::build(groups.groups.clone(), rules, deny_with) {
        Ok(policy) => policy,
        Err(conflicts) => {
            for conflict in conflicts {
                conflict::report(&conflict, &parts, &groups, faults);
            }
            return None;
        }
    };
    notes.extend(warn::shadowed(&policy, &parts.sources, faults));
    Some(Config {
        startup: Startup {
            listen,
            admin: file.admin.map_or(Some(DEFAULT_ADMIN), |at| at.value.0),
            workers,
            limits: file.limits.limits,
            log: file.log,
        },
        policy,
        zones: parts.zones,
        summary,
        contents,
        files: Vec::new(),
        cases: Vec::new(),
        notes,
        expiries,
    })
}

fn listen(given: Option<&At<Vec<At<Listen>>>>, faults: &mut Faults<'_>) -> Vec<Listen> {
    let Some(given) = given else {
        return vec![Listen::Udp(DEFAULT_LISTEN), Listen::Tcp(DEFAULT_LISTEN)];
    };
    if given.value.is_empty() {
        faults.push_help(
            given.place,
            "`listen` is empty, so nobody could ask",
            "leave the key out for port 53 on every IPv4 address".to_owned(),
        );
    }
    let mut listen = Vec::with_capacity(given.value.len());
    for at in &given.value {
        if listen.contains(&at.value) {
            faults.push(at.place, format!("{} is there twice", at.value));
        } else if listen.len() == MAX_LISTEN {
            faults.push(
                at.place,
                format!("{MAX_LISTEN} listening addresses are the most"),
            );
            break;
        } else {
            listen.push(at.value);
        }
    }
    listen
}

/// The most listening addresses: each has its threads. No official reference.
const MAX_LISTEN: usize = 64;

fn workers(given: Option<At<Count>>, faults: &mut Faults<'_>) -> Option<NonZeroUsize> {
    let given = given?;
    if !WORKERS.contains(&given.value.0) {
        let (least, most) = (WORKERS.start(), WORKERS.end());
        faults.push_help(
            given.place,
            format!("`workers` must be from {least} to {most}"),
            "leave the key out for one a core".to_owned(),
        );
    }
    NonZeroUsize::new(given.value.0)
}

/// Limits that bound each other.
fn check_limits(file: &File, faults: &mut Faults<'_>) {
    let limits = &file.limits.limits;
    let (all, one) = (limits.tcp_connections, limits.tcp_connections_per_client);
    if let Some(place) = file.limits.per_client.filter(|_| one > all) {
        faults.push(
            place,
            format!(
                "`tcp_connections_per_client` must not be above `tcp_connections`, which is {all}"
            ),
        );
    }
}

fn add_rules(entries: &[RuleEntry], groups: &Groups, parts: &mut Parts, faults: &mut Faults<'_>) {
    rules::report_repeated_names(entries, faults);
    for entry in entries {
        let before = faults.count();
        let rule = rules::rule(entry, groups, faults);
        // A rule that is wrong in part would be tied with others for that reason alone.
        let Some(rule) = rule.filter(|_| entry.whole && faults.count() == before) else {
            continue;
        };
        let place = entry.name.as_ref().map_or(entry.place, |name| name.place);
        let mut source = Source::new(format!("rule `{}`", rule.name), place);
        let domains = entry.domains.iter().flat_map(|domains| &domains.value);
        source.names = domains.map(|at| (at.value.clone(), at.place)).collect();
        parts.add_rule(rule, source);
    }
}

fn add_zones(
    entries: &[ZoneEntry],
    google: Option<&Settings>,
    dir: &Path,
    parts: &mut Parts,
    faults: &mut Faults<'_>,
) {
    let mut seen: HashMap<&Name, Place> = HashMap::new();
    for entry in entries {
        let zone = zones::load(entry, dir, faults);
        let Some(origin) = &entry.origin else {
            continue;
        };
        let shown = origin.value.to_string();
        let shown = if shown == "." {
            "."
        } else {
            shown.trim_end_matches('.')
        };
        if let Some(first) = seen.insert(&origin.value, origin.place) {
            faults.push(
                origin.place,
                format!(
                    "there are two zones {shown}, the other at line {}",
                    first.line
                ),
            );
            continue;
        }
        if google.is_some_and(|google| google.origins().any(|own| *own == origin.value)) {
            faults.push_help(
                origin.place,
                format!("google_apis has a zone {shown}, too"),
                format!("remove one of them: leave {shown} out of google_apis.domains, or write vip: off there"),
            );
            continue;
        }
        let Some(zone) = zone else { continue };
        let id = parts.add_zone(zone);
        parts.note_zone(shown);
        let rule = Rule {
            name: format!("zone {shown}").into(),
            patterns: vec![Pattern::Subtree(origin.value.clone())],
            groups: None,
            types: TypeSet::ANY,
            until: None,
            reason: None,
            action: Action::Zone(id),
            deny_with: None,
            origin: Origin::Configured,
        };
        parts.add_rule(rule, Source::new(format!("zone {shown}"), origin.place));
    }
}

/// What a good file holds, in one line.
fn summary(name: &str, groups: usize, rules: usize, zones: &[String]) -> String {
    /// More names than these say less.
    const SHOWN: usize = 5;
    let plural = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    let mut listed = zones
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if zones.len() > SHOWN {
        listed.push_str(", …");
    }
    if !listed.is_empty() {
        listed = format!(" ({listed})");
    }
    format!(
        "{name}: ok: {}, {}{listed}, {}, sealed (no upstreams)",
        plural(groups, "client group"),
        plural(zones.len(), "zone"),
        plural(rules, "rule"),
    )
}
