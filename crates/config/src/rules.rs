//! Turns rules of the file into rules of the policy, with the limits on forwarded answers. This module reports rules that are wrong on
//! their own; the policy reports conflicts between two rules.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use crate::{
    budget,
    error::{Faults, Place, quoted},
    file::{Deny, RuleEntry},
    given::{At, List},
    groups::Groups,
    read::bad_value,
    upstreams::Upstreams,
    value::Label,
};
use dnsgate_core::{
    dns::{Name, RecordType, Rrset},
    policy::{
        Action, AnswerRanges, Budget, DenyWith, Forwarding, Pattern, Rule, RuleOrigin, TypeSet,
    },
    zone::parse_record,
};

/// The things that rules may refer to.
#[derive(Clone, Copy)]
pub(super) struct RuleContext<'b> {
    pub(super) groups: &'b Groups,
    pub(super) upstreams: &'b Upstreams,
    /// The budget of a rule over a subtree that has none of its own.
    pub(super) budget: Option<Budget>,
    /// The directory at which relative paths start.
    pub(super) dir: &'b Path,
}

/// The policy's rule for an entry, with the patterns of its list, if the entry is valid on its own.
pub(super) fn rule(
    entry: &RuleEntry,
    listed: Option<Vec<Pattern>>,
    named: RuleContext<'_>,
    faults: &mut Faults<'_>,
) -> Option<Rule> {
    let types = entry.types.as_ref().map(|types| type_set(types, faults));
    let action = action(entry, types.as_ref(), named.upstreams, faults);
    let group_set = entry
        .groups
        .as_ref()
        .map(|names| named.groups.set(names, faults));
    let has_names = entry.domains.is_some() || entry.domains.is_bad;
    let has_list = entry.domains_file.is_some() || entry.domains_file.is_bad;
    if entry.span.has_known_keys && !has_names && !has_list {
        faults.push(
            entry.span.place,
            "a rule needs the key `domains` or `domains_file`",
        );
    }
    if let Some(empty) = entry.domains.as_ref().filter(|list| list.value.is_empty()) {
        faults.push(
            empty.place,
            "`domains` is empty, so the rule would match no name",
        );
    }
    if let Some(file) = entry.domains_file.as_ref()
        && listed.as_ref().is_some_and(Vec::is_empty)
        && entry.domains.is_none()
    {
        let message = format!(
            "{:?} has no name, so the rule would be about none",
            quoted(&file.value)
        );
        faults.push(file.place, message);
    }
    let (action, deny_with) = action?;
    let mut patterns = listed.unwrap_or_default();
    let domains = entry.domains.iter().flat_map(|domains| &domains.value);
    patterns.extend(domains.map(|at| at.value.clone()));
    let default_types = || match action {
        Action::Forward(_) => default_types(),
        _ => TypeSet::ANY,
    };
    let mut rule = Rule {
        name: entry.name.as_ref()?.value.0.clone(),
        patterns,
        groups: group_set,
        types: types.unwrap_or_else(default_types),
        until: entry.until.map(|at| at.value.0),
        reason: entry.reason.as_ref().map(|at| at.value.0.clone()),
        action,
        deny_with,
        origin: RuleOrigin::Configured,
    };
    budget::set(&mut rule, entry, named.budget, faults);
    Some(rule)
}

/// The action of a rule: answer, deny or forward, exactly one of them.
fn action(
    entry: &RuleEntry,
    types: Option<&TypeSet>,
    upstreams: &Upstreams,
    faults: &mut Faults<'_>,
) -> Option<(Action, Option<DenyWith>)> {
    let given = [
        ("records", entry.records.as_ref().map(|at| at.place)),
        ("deny", entry.deny.map(|at| at.place)),
        ("forward", entry.forward.as_ref().map(|at| at.place)),
    ];
    let mut given = given.iter().filter_map(|&(key, place)| Some((key, place?)));
    if let (Some((one, _)), Some((other, place))) = (given.next(), given.next()) {
        faults.push_help(
            place,
            format!("a rule has only one of `records`, `deny` and `forward`; this one has `{one}` and `{other}`"),
            "for the one in some cases and the other elsewhere write two rules with their own `groups` or `types`".to_owned(),
        );
        return None;
    }
    let does_other = entry.records.is_some() || entry.deny.is_some();
    if entry.forward.is_none() && entry.span.is_whole && does_other {
        report_idle(entry, faults);
    }
    if let Some(answer) = &*entry.records {
        // A type that could not be read may be the missing one.
        let types = types.filter(|_| entry.span.is_whole);
        return records(answer, types, faults).map(|records| (Action::Answer(records), None));
    }
    if let Some(deny) = *entry.deny {
        let with = match deny.value {
            Deny::Yes => None,
            Deny::With(way) => Some(way),
        };
        return Some((Action::Deny, with));
    }
    if let Some(upstream) = &*entry.forward {
        let forwarding = forwarding(entry, upstream, upstreams, faults);
        return forwarding.map(|forwarding| (Action::Forward(forwarding), None));
    }
    if !entry.span.is_whole {
        return None; // one of them is there and could not be read, or misspelt
    }
    faults.push_help(
        entry.span.place,
        "a rule needs `records`, `deny` or `forward`",
        "write deny: true; or the records to answer with, records: [A 10.0.0.5]; or an upstream to ask, forward: public".to_owned(),
    );
    None
}

/// The most types of one rule: each question's type is compared with all of them.
const MAX_TYPES: usize = 64;
/// The most records of one answer: a UDP response has no room for more, and a TCP response for not many more.
const MAX_RECORDS: usize = 1_000;

fn type_set(types: &At<List<RecordType>>, faults: &mut Faults<'_>) -> TypeSet {
    if types.value.is_empty() {
        faults.push_help(
            types.place,
            "`types` is empty, so the rule would match no question",
            "leave the key out for every type".to_owned(),
        );
    }
    if let Some(rtype) = types.value.get(MAX_TYPES) {
        faults.push(
            rtype.place,
            format!("`types` has at most {MAX_TYPES} entries"),
        );
    }
    for rtype in &types.value {
        if rtype.value.is_meta() {
            faults.push(
                rtype.place,
                format!(
                    "no rule decides about {}: such questions are always refused",
                    rtype.value
                ),
            );
        }
    }
    types
        .value
        .iter()
        .take(MAX_TYPES)
        .map(|at| at.value)
        .collect()
}

/// The RRsets of `records`; each record is written as in a zone file, without its owner.
fn records(
    answer: &At<List<String>>,
    types: Option<&TypeSet>,
    faults: &mut Faults<'_>,
) -> Option<Vec<Rrset>> {
    let mut sets: Vec<Rrset> = Vec::new();
    let mut known = HashSet::new();
    let mut good = true;
    if let Some(text) = answer.value.get(MAX_RECORDS) {
        faults.push(
            text.place,
            format!("`records` has at most {MAX_RECORDS} records"),
        );
        good = false;
    }
    for text in answer.value.iter().take(MAX_RECORDS) {
        let wrong = match push_record(&text.value, &mut sets, &mut known) {
            Err(wrong) => wrong,
            Ok(rtype) => match types {
                Some(types) if rtype != RecordType::CNAME && !types.contains(rtype) => {
                    format!("`types` does not have {rtype}, so this could never be an answer")
                }
                _ => continue,
            },
        };
        faults.push_help(
            text.place,
            bad_value("records", &text.value, &wrong),
            "write the type and its data, such as A 10.0.0.5 or \"300 CNAME db.example\"; the name is the question's".to_owned(),
        );
        good = false;
    }
    if answer.value.is_empty() {
        faults.push_help(
            answer.place,
            "`records` has no record",
            "to answer that there is none write deny: nodata".to_owned(),
        );
    }
    let alias = sets.iter().find(|set| set.rtype() == RecordType::CNAME);
    if let Some(alias) = alias
        && (sets.len() > 1 || alias.len() > 1)
    {
        faults.push(
            answer.place,
            "a CNAME is an answer's only record (RFC 1034 section 3.6.2)",
        );
        good = false;
    }
    good.then_some(sets)
}

/// Adds the record in a text to its RRset.
fn push_record(
    text: &str,
    sets: &mut Vec<Rrset>,
    known: &mut HashSet<(RecordType, Vec<u8>)>,
) -> Result<RecordType, String> {
    let record =
        parse_record(&format!("@ {text}"), &Name::root()).map_err(|fault| fault.message)?;
    if !record.owner.as_ref().is_root() || record.rtype.is_meta() {
        return Err("this is no record that a name can have".to_owned());
    }
    let at = match sets.iter().position(|set| set.rtype() == record.rtype) {
        Some(at) => at,
        None => {
            sets.push(Rrset::new(record.rtype, record.ttl));
            sets.len() - 1
        }
    };
    if let Some(set) = sets.get_mut(at) {
        set.lower_ttl(record.ttl);
        // A set of known records avoids comparing a thousand records with each other.
        if !known.contains(&(record.rtype, record.rdata.to_vec())) {
            set.append(&record.rdata)
                .map_err(|error| error.to_string())?;
            known.insert((record.rtype, record.rdata.to_vec()));
        }
    }
    Ok(record.rtype)
}

/// Reports rules with the same name: metrics and denials could not tell them apart.
pub(super) fn report_repeated_names<'r>(
    rules: impl Iterator<Item = &'r RuleEntry>,
    faults: &mut Faults<'_>,
) {
    let mut seen: HashMap<&str, Place> = HashMap::new();
    for name in rules.filter_map(|rule| rule.name.as_ref()) {
        if let Some(first) = seen.insert(&name.value.0, name.place) {
            faults.push_with(name.place, || {
                let message = format!(
                    "there are two rules named `{}`, the other at line {}",
                    quoted(&name.value.0),
                    first.line
                );
                let help = "give each rule its own name: denials, logs and metrics go by it";
                (message, Some(help.to_owned()))
            });
        }
    }
}

/// The types forwarded by a rule that lists none: those that clients query to reach a name. Types that
/// carry arbitrary data, such as TXT and NULL, are left out: an allowed name should not become a
/// tunnel by default.
///
/// ANY is included so that this rule matches it: the engine answers ANY itself (RFC 8482) and never
/// forwards it.
const DEFAULT_TYPES: [RecordType; 11] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::HTTPS,
    RecordType::SVCB,
    RecordType::SRV,
    RecordType::MX,
    RecordType::PTR,
    RecordType::NS,
    RecordType::SOA,
    RecordType::ANY,
];

/// The most ranges of one rule: each address of an answer is compared with all of them.
const MAX_RANGES: usize = 256;

/// The types of a rule that forwards and lists none.
#[must_use]
pub fn default_types() -> TypeSet {
    DEFAULT_TYPES.into_iter().collect()
}

/// The forwarding of a rule with `forward`.
pub(super) fn forwarding(
    entry: &RuleEntry,
    upstream: &At<Label>,
    upstreams: &Upstreams,
    faults: &mut Faults<'_>,
) -> Option<Forwarding> {
    let found = upstreams.find(upstream, faults);
    let answers = match &*entry.addresses {
        None if entry.addresses.is_bad => return None,
        None => AnswerRanges::Public,
        Some(addresses) => {
            if addresses.value.is_empty() {
                faults.push_help(
                    addresses.place,
                    "`addresses` is empty, so no address could ever pass",
                    "leave `addresses` out for every public address".to_owned(),
                );
            }
            if let Some(range) = addresses.value.get(MAX_RANGES) {
                let message = format!("`addresses` has at most {MAX_RANGES} ranges");
                faults.push(range.place, message);
            }
            let ranges = addresses.value.iter().take(MAX_RANGES);
            // Sorted: the order in the file has no meaning, and rules are compared.
            let mut ranges: Vec<_> = ranges.map(|at| at.value.0).collect();
            ranges.sort_unstable();
            ranges.dedup();
            AnswerRanges::Within(ranges.into())
        }
    };
    Some(Forwarding {
        upstream: found?,
        answers,
        cname: entry.cname.into_value().unwrap_or_default(),
        budget: None,
    })
}

/// Reports keys that have no effect in a rule that does not forward.
pub(super) fn report_idle(entry: &RuleEntry, faults: &mut Faults<'_>) {
    const ANSWERS: &str = "answers";
    for (key, place, what) in [
        ("addresses", entry.addresses.place(), ANSWERS),
        ("cname", entry.cname.place(), ANSWERS),
        ("budget", entry.budget.place(), "is asked"),
    ] {
        if let Some(place) = place {
            let message =
                format!("`{key}` is for rules with `forward`: it is about what an upstream {what}");
            faults.push(place, message);
        }
    }
}
