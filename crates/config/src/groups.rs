//! The client groups of the file, or the default ones.

use std::collections::{HashMap, HashSet};

use ipnet::IpNet;

use super::{
    error::{Faults, Place, nearest},
    file::{ClientGroup, File},
    given::{At, List, NamedEntry},
    value::{Cidr, Label},
};
use dnsgate_core::policy::{DenyWith, Group, GroupId, GroupSet, MAX_GROUPS};

/// The client groups and their places in the file.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// In the order of their numbers.
    pub(super) groups: Vec<(Group, Vec<IpNet>)>,
    ids: HashMap<Box<str>, GroupId>,
    /// The place of each CIDR in the file, with its group.
    places: Vec<(GroupId, At<Cidr>)>,
    /// Whether an unknown name may be one that could not be read.
    lenient: bool,
}

/// The groups if the file has no `clients`, each with its way to deny: private address space and
/// loopback, and the range from which Cloud DNS forwards (its documentation, "alternative name
/// servers"). Cloud DNS turns REFUSED into SERVFAIL.
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
    pub(super) fn of(file: &File, faults: &mut Faults<'_>) -> Self {
        let lenient = !(file.span.has_known_keys && file.clients.is_whole());
        let Some(clients) = &*file.clients else {
            return Self {
                lenient,
                ..Self::default_groups()
            };
        };
        let mut groups = Self {
            lenient,
            ..Self::default()
        };
        if clients.value.entries.is_empty() {
            faults.push_help(
                clients.place,
                "`clients` has no group, so nobody could ask",
                "name at least one group, such as vpc: { cidrs: [10.0.0.0/8] }".to_owned(),
            );
        }
        for (number, client) in clients.value.entries.iter().enumerate() {
            let Some(id) = u8::try_from(number).ok().filter(|_| number < MAX_GROUPS) else {
                faults.push(
                    client.name.place,
                    format!(
                        "there are {} client groups; {MAX_GROUPS} are the most",
                        clients.value.entries.len()
                    ),
                );
                groups.lenient = true;
                break;
            };
            groups.add(GroupId(id), client, faults);
        }
        groups
    }

    fn add(&mut self, id: GroupId, client: &NamedEntry<ClientGroup>, faults: &mut Faults<'_>) {
        let group = Group {
            name: client.name.value.0.clone(),
            deny_with: client.deny_with.into_value(),
        };
        let given = client.cidrs.iter().flat_map(|cidrs| &cidrs.value);
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
        let (mut cidrs, mut seen) = (Vec::new(), HashSet::new());
        for cidr in given {
            if !seen.insert(cidr.value.0) {
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

    /// The place of a group's CIDR in the file.
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

    /// The error for an unknown group name.
    fn unknown(&self, name: &Label) -> (String, Option<String>) {
        let known = self.groups.iter().map(|(group, _)| &*group.name);
        let help = match nearest(&name.0, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let known: Vec<_> = known.take(20).collect();
                format!("the groups under `clients` are {}", known.join(", "))
            }
        };
        (format!("there is no client group `{}`", name.0), Some(help))
    }

    /// The set of the named groups; reports unknown and repeated names.
    pub(super) fn set(&self, names: &At<List<Label>>, faults: &mut Faults<'_>) -> GroupSet {
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
                if self.lenient {
                    continue;
                }
                faults.push_with(name.place, || self.unknown(&name.value));
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
