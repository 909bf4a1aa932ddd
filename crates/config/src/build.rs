//! Builds a [`Config`] from the parsed file: checks what the values mean together.
//!
//! Building continues after a fault, so that one report covers the zones as well as the rules. It
//! leaves out only the faults that follow from one already reported.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use crate::{
    Config, Listen, budget, builtin,
    case::{self, CaseEntry},
    contents::{Built, Contents},
    digest,
    error::{Faults, Message, Place, Report},
    file::{File, Mode, RuleEntry, ZoneEntry},
    given::{Given, List},
    google::{self, Settings},
    groups::Groups,
    list,
    parts::{Parts, Source},
    rules::{self, RuleContext},
    startup::startup,
    text::{self, MAX_CONFIG, ReadFile},
    upstreams::Upstreams,
    vips, warn, yaml, zones,
};
use dnsgate_core::{
    dns::Name,
    policy::{Action, Conflict, DenyWith, Pattern, Policy, Rule, RuleOrigin},
};

/// The surroundings of a configuration.
#[derive(Clone, Copy)]
struct Around<'a> {
    /// The directory at which relative paths start.
    dir: &'a Path,
    /// The addresses that the server listens on; empty means those of the file.
    listen: &'a [Listen],
}

/// Reads a configuration file and every file that it names. `listen` replaces the file's `listen`
/// unless it is empty.
pub(super) fn load(path: &Path, listen: &[Listen]) -> Result<Config, Report> {
    let from_stdin = path == Path::new(text::STDIN);
    let name = if from_stdin {
        "<stdin>".into()
    } else {
        path.to_string_lossy()
    };
    let mut files = Vec::new();
    let text = match text::read(path, MAX_CONFIG, &mut files) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("the configuration {error}");
            let message = Message::of("the configuration cannot be read", message);
            return Err(Report::of_file(&name, message, files));
        }
    };
    let dir = path.parent().unwrap_or(Path::new(""));
    let around = Around { dir, listen };
    if from_stdin {
        return parse_of(&text, &name, around, None, files);
    }
    let tests = case::beside(path);
    if !tests.exists() {
        files.push(ReadFile::absent(&tests, MAX_CONFIG));
        return parse_of(&text, &name, around, None, files);
    }
    let beside = tests.to_string_lossy();
    match text::read_named(&tests, MAX_CONFIG, &mut files) {
        Ok(tests) => parse_of(&text, &name, around, Some((&tests, &beside)), files),
        Err(error) => {
            let message = format!("the file of tests {error}");
            let message = Message::of("the file of tests cannot be read", message);
            Err(Report::of_file(&beside, message, files))
        }
    }
}

/// Parses a configuration; relative paths in it start at `dir`.
pub(super) fn parse(text: &str, name: &str, dir: &Path) -> Result<Config, Report> {
    if text.len() as u64 > MAX_CONFIG {
        let message = format!("the configuration is larger than {MAX_CONFIG} bytes");
        return Err(Report::of_file(name, message, Vec::new()));
    }
    let around = Around { dir, listen: &[] };
    parse_of(text, name, around, None, Vec::new())
}

/// Parses a text whose size has been checked, with the text and name of the separate file of tests.
/// `files` are the files that both were read from.
fn parse_of(
    text: &str,
    name: &str,
    around: Around<'_>,
    beside: Option<(&str, &str)>,
    files: Vec<ReadFile>,
) -> Result<Config, Report> {
    let mut faults = Faults::new(name, text);
    *faults.files() = files;
    let tree = yaml::parse(text, &mut faults);
    let mut file = File::read(&tree, &mut faults);
    let mut config = build(&file, name, around, &mut faults);
    let whole = faults.is_empty();
    let tests = case::entries(std::mem::take(&mut file.tests), &mut faults);
    add_cases((tests, whole), &mut config, &mut faults);
    if let Some((text, name)) = beside {
        let mut own = Faults::new(name, text);
        let entries = case::read_file(text, &mut own);
        add_cases((entries, whole), &mut config, &mut own);
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

/// Adds tests. If the configuration is not `whole`, faulty rules are missing from it, so tests that name them are not
/// reported.
fn add_cases(
    (entries, whole): (Vec<CaseEntry>, bool),
    config: &mut Option<Config>,
    faults: &mut Faults<'_>,
) {
    if let Some(config) = config {
        if whole {
            case::check(&entries, &config.policy, &config.upstreams, faults);
        }
        for case in case::cases(entries) {
            config.cases.push(case);
            if let (number, Some(case)) = (config.cases.len(), config.cases.last()) {
                config.contents.test(number, case);
            }
        }
    }
}

fn build(file: &File, name: &str, around: Around<'_>, faults: &mut Faults<'_>) -> Option<Config> {
    let Around { dir, listen } = around;
    let startup = startup(file, faults);
    let groups = Groups::of(file, faults);
    let own = match listen {
        [] => &startup.listen,
        listen => listen,
    };
    let upstreams = Upstreams::of(file, own, dir, faults);
    let observe = match file.mode.value() {
        Some(Mode::Observe(name)) => upstreams.find(name, faults),
        Some(Mode::Enforce) | None => None,
    };
    let google = Settings::of(&file.google_apis, faults);
    let mut parts = Parts::default();
    let named = RuleContext {
        budget: budget::default(&file.budget, faults),
        groups: &groups,
        upstreams: &upstreams,
        dir,
    };
    add_rules(&file.rules, named, &mut parts, faults);
    add_zones(&file.zones, google.as_ref(), dir, &mut parts, faults);
    add_preset(google.as_ref(), &mut parts, faults);
    builtin::add(file.built_in.value(), &mut parts);
    check_vips(google.as_ref(), &parts, faults);

    let deny_with = file.deny_with.into_value().unwrap_or(DenyWith::Refused);
    let mut notes = warn::before(file, google.as_ref(), &groups, deny_with, faults);
    notes.extend(warn::of_parts(file, google.as_ref(), &parts, faults));
    let expiries = warn::expiries(file, faults);
    let summary = summary(name, groups.groups.len(), file, &parts.noted);
    let rules = std::mem::take(&mut parts.rules);
    let contents = Contents::of(
        file,
        &Built {
            startup: &startup,
            groups: &groups,
            rules: &rules,
            zones: &parts.zones,
            upstreams: &upstreams.list,
        },
    );
    let names = digest::names(&rules);
    let mut policy = match Policy::build(groups.groups.clone(), rules, deny_with) {
        Ok(policy) => policy,
        Err(conflicts) => {
            for conflict in conflicts {
                report(&conflict, &parts, &groups, faults);
            }
            return None;
        }
    };
    policy = policy.always_allowing(google.as_ref().map_or_else(Vec::new, google::addresses));
    notes.extend(warn::shadowed(&policy, &parts.sources, faults));
    notes.extend(warn::own_data(&policy, &parts, &upstreams.list, faults));
    if let Some(upstream) = observe {
        policy = policy.observing(upstream);
    }
    Some(Config {
        startup,
        digest: digest::of(&policy, &names, &parts.zones, &upstreams.list),
        policy,
        zones: parts.zones,
        upstreams: upstreams.list,
        summary,
        contents,
        files: Vec::new(),
        served: google.as_ref().map_or_else(Vec::new, google::served),
        cases: Vec::new(),
        notes,
        expiries,
    })
}

fn check_vips(google: Option<&Settings>, parts: &Parts, faults: &mut Faults<'_>) {
    let endpoints = google.into_iter().flat_map(Settings::endpoints);
    let endpoints: Vec<_> = endpoints.map(|&v4| v4.into()).collect();
    vips::check(parts, &endpoints, faults);
}

fn add_preset(google: Option<&Settings>, parts: &mut Parts, faults: &mut Faults<'_>) {
    if let Some(google) = google {
        google::add(google, parts, faults);
        google::add_carve_outs(google, parts);
    }
}

fn add_rules(
    entries: &Given<List<RuleEntry>>,
    named: RuleContext<'_>,
    parts: &mut Parts,
    faults: &mut Faults<'_>,
) {
    rules::report_repeated_names(entries.values(), faults);
    let mut total = list::Total::default();
    for entry in entries.values() {
        let before = faults.count();
        let file = entry.domains_file.as_ref();
        let read = file.and_then(|file| list::read(file, named.dir, &mut total, faults));
        let (listed, list) = read.unzip();
        let rule = rules::rule(entry, listed, named, faults);
        // A faulty rule could tie with another rule only because of its fault.
        let Some(rule) = rule.filter(|_| entry.span.is_whole && faults.count() == before) else {
            continue;
        };
        let place = entry.name.place().unwrap_or(entry.span.place);
        let mut source = Source::new(format!("rule `{}`", rule.name), place);
        let domains = entry.domains.iter().flat_map(|domains| &domains.value);
        source.names = domains.map(|at| (at.value.clone(), at.place)).collect();
        source.list = list;
        parts.add_rule(rule, source);
    }
}

fn add_zones(
    entries: &Given<List<ZoneEntry>>,
    google: Option<&Settings>,
    dir: &Path,
    parts: &mut Parts,
    faults: &mut Faults<'_>,
) {
    let mut seen: HashMap<&Name, Place> = HashMap::new();
    let of_google: HashSet<&Name> = google.into_iter().flat_map(Settings::origins).collect();
    for entry in entries.values() {
        let zone = zones::load(entry, dir, faults);
        let Some(origin) = &*entry.origin else {
            continue;
        };
        let shown = text::shown(origin.value.as_ref());
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
        if of_google.contains(&origin.value) {
            faults.push_help(
                origin.place,
                format!("google_apis has a zone {shown}, too"),
                format!("remove one of them: leave {shown} out of google_apis.domains, or write vip: off there"),
            );
            continue;
        }
        let Some(zone) = zone else { continue };
        let id = parts.add_zone(zone);
        parts.note_zone(&shown);
        let rule = Rule::new(
            format!("zone {shown}").into(),
            vec![Pattern::Subtree(origin.value.clone())],
            Action::Zone(id),
            RuleOrigin::Configured,
        );
        parts.add_rule(rule, Source::new(format!("zone {shown}"), origin.place));
    }
}

/// One line that says what a valid file contains.
fn summary(name: &str, groups: usize, file: &File, zones: &[String]) -> String {
    /// Lists at most this many names.
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
    let upstreams = match file.upstreams.entries().len() {
        0 => "sealed (no upstreams)".to_owned(),
        count => plural(count, "upstream"),
    };
    let mode = match file.mode.value() {
        Some(Mode::Observe(_)) => ", mode observe (nothing is denied)",
        Some(Mode::Enforce) | None => "",
    };
    format!(
        "{name}: ok: {}, {}{listed}, {}, {upstreams}{mode}",
        plural(groups, "client group"),
        plural(zones.len(), "zone"),
        plural(file.rules.values().count(), "rule"),
    )
}

/// Reports a conflict at its place in the file.
pub(super) fn report(conflict: &Conflict, parts: &Parts, groups: &Groups, faults: &mut Faults<'_>) {
    match conflict {
        Conflict::TiedRules {
            first,
            second,
            pattern,
        } => {
            let (Some(first), Some(second)) = (parts.source(*first), parts.source(*second)) else {
                return;
            };
            // A rule that is not in the file has no place, so the error points at the other one.
            let (here, other) = if second.place == Place::default() {
                (first, second)
            } else {
                (second, first)
            };
            let (location, elsewhere) = (here.location_of(pattern), other.location_of(pattern));
            let elsewhere = match (elsewhere.list, elsewhere.place) {
                (_, place) if place == Place::default() => String::new(),
                (None, place) => format!(" (line {})", place.line),
                (Some(list), place) => format!(" ({}:{})", list.path, place.line),
            };
            let message = format!(
                "{} and {}{elsewhere} are both about `{pattern}` for the same clients and types, and neither takes precedence",
                here.what, other.what
            );
            let help = "give them different groups or types, or remove one; the order in the file does not matter".to_owned();
            match location.list {
                None => faults.push_help(location.place, message, help),
                Some(list) => faults.push_in(list.file(), location.place, message, help),
            }
        }
        Conflict::SameCidr {
            cidr,
            first,
            second,
        } => {
            let (one, two) = (groups.place(*first, *cidr), groups.place(*second, *cidr));
            let (one, two, first, second) = if one < two {
                (one, two, first, second)
            } else {
                (two, one, second, first)
            };
            faults.push_help(
                two,
                format!(
                    "client groups `{}` (line {}) and `{}` both have {cidr}",
                    groups.name(*first),
                    one.line,
                    groups.name(*second)
                ),
                "a client is in one group: keep the range in one of them; a longer prefix takes precedence over a shorter one".to_owned(),
            );
        }
        other => faults.push(Place::default(), other.to_string()),
    }
}
