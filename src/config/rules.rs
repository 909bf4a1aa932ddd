//! Client groups and rules of the file, as the policy wants them.

use std::collections::HashMap;

use ipnet::IpNet;

use super::{
    error::{Faults, Place, nearest},
    file::{ClientGroup, Deny, RuleEntry},
    read::{At, bad_value, quoted},
    value::{Cidr, Label},
};
use crate::{
    dns::{Name, RecordType, Rrset},
    policy::{Action, DenyWith, Group, GroupId, GroupSet, MAX_GROUPS, Origin, Rule, TypeSet},
    zone::parse_record,
};

/// The client groups and where they stand.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// In the order of their numbers.
    pub(super) groups: Vec<(Group, Vec<IpNet>)>,
    ids: HashMap<Box<str>, GroupId>,
    /// The place of each CIDR in the file, with its group.
    places: Vec<(GroupId, At<Cidr>)>,
}

/// The groups where the file has no `clients`, each with its way to be denied: private address space
/// and loopback, and the range that Cloud DNS forwards from (its documentation, "alternative name
/// servers"), which makes SERVFAIL of REFUSED.
const DEFAULT_GROUPS: [(&str, Option<DenyWith>, &[&str]); 2] = [
    (
        "vpc",
        None,
        &[
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "127.0.0.0/8",
            "fc00::/7",
            "::1/128",
        ],
    ),
    ("cloud-dns", Some(DenyWith::NxDomain), &["35.199.192.0/19"]),
];

impl Groups {
    /// The groups of the file, or the default ones.
    pub(super) fn of(clients: Option<&At<Vec<ClientGroup>>>, faults: &mut Faults<'_>) -> Self {
        let Some(clients) = clients else {
            return Self::default_groups();
        };
        let mut groups = Self::default();
        if clients.value.is_empty() {
            faults.push_help(
                clients.place,
                "`clients` has no group, so nobody could ask",
                "name at least one group, such as vpc: { cidrs: [10.0.0.0/8] }".to_owned(),
            );
        }
        for (number, client) in clients.value.iter().enumerate() {
            let Some(id) = u8::try_from(number).ok().filter(|_| number < MAX_GROUPS) else {
                faults.push(
                    client.name.place,
                    format!(
                        "there are {} client groups; {MAX_GROUPS} are the most",
                        clients.value.len()
                    ),
                );
                break;
            };
            groups.add(GroupId(id), client, faults);
        }
        groups
    }

    fn add(&mut self, id: GroupId, client: &ClientGroup, faults: &mut Faults<'_>) {
        let group = Group {
            name: client.name.value.0.clone(),
            deny_with: client.deny_with.map(|at| at.value),
        };
        let none = Vec::new();
        let given = client.cidrs.as_ref().map_or(&none, |cidrs| &cidrs.value);
        if let Some(empty) = client.cidrs.as_ref().filter(|cidrs| cidrs.value.is_empty()) {
            faults.push(
                empty.place,
                format!(
                    "client group `{}` has no CIDR, so nobody is in it",
                    group.name
                ),
            );
        }
        self.ids.insert(group.name.clone(), id);
        let mut cidrs = Vec::with_capacity(given.len());
        let mut seen = HashMap::with_capacity(given.len());
        for cidr in given {
            if seen.insert(cidr.value.0, cidr.place).is_some() {
                faults.push(
                    cidr.place,
                    format!(
                        "{} is there twice in client group `{}`",
                        cidr.value.0, group.name
                    ),
                );
                continue;
            }
            cidrs.push(cidr.value.0);
            self.places.push((id, *cidr));
        }
        self.groups.push((group, cidrs));
    }

    fn default_groups() -> Self {
        let mut groups = Self::default();
        for (id, (name, deny_with, cidrs)) in (0..).map(GroupId).zip(DEFAULT_GROUPS) {
            let group = Group {
                name: name.into(),
                deny_with,
            };
            let cidrs = cidrs.iter().filter_map(|cidr| cidr.parse().ok()).collect();
            groups.ids.insert(name.into(), id);
            groups.groups.push((group, cidrs));
        }
        groups
    }

    /// Where a group has a CIDR in the file.
    pub(super) fn place(&self, group: GroupId, cidr: IpNet) -> Place {
        let found = |(id, at): &&(GroupId, At<Cidr>)| *id == group && at.value.0 == cidr;
        self.places
            .iter()
            .find(found)
            .map_or_else(Place::default, |(_, at)| at.place)
    }

    /// The name of a group.
    pub(super) fn name(&self, group: GroupId) -> &str {
        let group = self.groups.get(usize::from(group.0));
        group.map_or("", |(group, _)| &group.name)
    }

    /// The groups of these names; unknown and repeated ones are reported.
    fn set(&self, names: &At<Vec<At<Label>>>, faults: &mut Faults<'_>) -> GroupSet {
        let mut set = GroupSet::EMPTY;
        if names.value.is_empty() {
            faults.push_help(
                names.place,
                "`groups` is empty, so the rule would be for nobody",
                "leave the key out for every group".to_owned(),
            );
        }
        for name in &names.value {
            let Some(&id) = self.ids.get(&name.value.0) else {
                let known = self.groups.iter().map(|(group, _)| &*group.name);
                let help = match nearest(&name.value.0, known.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        let known: Vec<_> = known.take(20).collect();
                        format!("the groups under `clients` are {}", known.join(", "))
                    }
                };
                faults.push_help(
                    name.place,
                    format!("there is no client group `{}`", name.value.0),
                    help,
                );
                continue;
            };
            if set.contains(id) {
                faults.push(
                    name.place,
                    format!("client group `{}` is there twice", name.value.0),
                );
            }
            set.insert(id);
        }
        set
    }
}

/// The policy's rule for an entry, if it makes sense on its own.
pub(super) fn rule(entry: &RuleEntry, groups: &Groups, faults: &mut Faults<'_>) -> Option<Rule> {
    let types = entry.types.as_ref().map(|types| type_set(types, faults));
    let action = action(entry, types.as_ref(), faults);
    let group_set = entry.groups.as_ref().map(|names| groups.set(names, faults));
    let domains = entry.domains.as_ref()?;
    if domains.value.is_empty() {
        faults.push(
            domains.place,
            "`domains` is empty, so the rule would be about no name",
        );
    }
    let (action, deny_with) = action?;
    Some(Rule {
        name: entry.name.as_ref()?.value.0.clone(),
        patterns: domains.value.iter().map(|at| at.value.clone()).collect(),
        groups: group_set,
        types: types.unwrap_or(TypeSet::ANY),
        until: entry.until.map(|at| at.value.0),
        reason: entry.reason.as_ref().map(|at| at.value.0.clone()),
        action,
        deny_with,
        origin: Origin::Configured,
    })
}

/// What a rule does: answer or deny, exactly one of them.
fn action(
    entry: &RuleEntry,
    types: Option<&TypeSet>,
    faults: &mut Faults<'_>,
) -> Option<(Action, Option<DenyWith>)> {
    match (&entry.answer, entry.deny) {
        (Some(_), Some(deny)) => {
            faults.push_help(
                deny.place,
                "a rule has either `answer` or `deny`, not both",
                "for the one in some cases and the other elsewhere write two rules with their own `groups` or `types`".to_owned(),
            );
            None
        }
        (None, None) => {
            faults.push_help(
                entry.place,
                "a rule needs `answer` or `deny`",
                "write deny: true, or the records to answer with: answer: [A 10.0.0.5]".to_owned(),
            );
            None
        }
        (Some(answer), None) => {
            if let Some(way) = entry.deny_with {
                faults.push(
                    way.place,
                    "`deny_with` is for rules that deny; this one answers",
                );
            }
            records(answer, types, faults).map(|records| (Action::Answer(records), None))
        }
        (None, Some(deny)) => Some((Action::Deny, deny_with(deny, entry.deny_with, faults))),
    }
}

fn deny_with(
    deny: At<Deny>,
    way: Option<At<DenyWith>>,
    faults: &mut Faults<'_>,
) -> Option<DenyWith> {
    match (deny.value, way) {
        (Deny::With(short), Some(long)) if short != long.value => {
            faults.push_help(
                long.place,
                format!(
                    "`deny: {short}` and `deny_with: {}` contradict each other",
                    long.value
                ),
                "keep one of them".to_owned(),
            );
            None
        }
        (Deny::With(short), _) => Some(short),
        (Deny::Yes, long) => long.map(|at| at.value),
    }
}

fn type_set(types: &At<Vec<At<RecordType>>>, faults: &mut Faults<'_>) -> TypeSet {
    if types.value.is_empty() {
        faults.push_help(
            types.place,
            "`types` is empty, so the rule would be about no question",
            "leave the key out for every type".to_owned(),
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
    types.value.iter().map(|at| at.value).collect()
}

/// The record sets of an `answer`, each record as in a zone file without its owner.
fn records(
    answer: &At<Vec<At<String>>>,
    types: Option<&TypeSet>,
    faults: &mut Faults<'_>,
) -> Option<Vec<Rrset>> {
    let mut sets: Vec<Rrset> = Vec::new();
    let mut good = true;
    for text in &answer.value {
        let wrong = match push_record(&text.value, &mut sets) {
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
            bad_value("answer", &text.value, &wrong),
            "write the type and its data, such as A 10.0.0.5 or \"300 CNAME db.example\"; the name is the question's".to_owned(),
        );
        good = false;
    }
    if answer.value.is_empty() {
        faults.push_help(
            answer.place,
            "`answer` has no record",
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

/// Adds the record that a text holds to its set.
fn push_record(text: &str, sets: &mut Vec<Rrset>) -> Result<RecordType, String> {
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
        set.push(&record.rdata).map_err(|error| error.to_string())?;
    }
    Ok(record.rtype)
}

/// Reports rules of one name: metrics and denials could not tell them apart.
pub(super) fn report_repeated_names(rules: &[RuleEntry], faults: &mut Faults<'_>) {
    let mut seen: HashMap<&str, Place> = HashMap::with_capacity(rules.len());
    for name in rules.iter().filter_map(|rule| rule.name.as_ref()) {
        if let Some(first) = seen.insert(&name.value.0, name.place) {
            faults.push_help(
                name.place,
                format!(
                    "there are two rules named `{}`, the other at line {}",
                    quoted(&name.value.0),
                    first.line
                ),
                "give each rule its own name: denials, logs and metrics go by it".to_owned(),
            );
        }
    }
}
