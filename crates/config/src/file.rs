//! The file as it is written: its keys, and the shape of what stands behind each.
//!
//! No logic: what a value means together with others (a rule's group that nobody defined, two
//! zones of one origin) is for `build` and its helpers. What is bad on its own is reported here and
//! left out. The names of the keys are in `keys`.

use super::{
    case::{self, CaseEntry},
    error::{Faults, Place, nearest},
    google::DOCUMENTED_WORD,
    host::HostName,
    keys::{self, Keys},
    limits::LOG_SAMPLE,
    listen::Listen,
    log::{Log, LogFormat, LogOutput, LogQueries},
    read::{At, Choice, Fields, bad_value, choice, listed, mapping, quoted, scalar, shape},
    value::{Address, Admin, Cidr, Count, Label, Version},
    yaml::{Entry, Node, Value},
};
use dnsgate_core::{dns::Name, policy::DenyWith};

mod limits;
mod rules;
mod upstreams;

pub(super) use limits::{CacheSection, LimitsSection};
use limits::{read_cache, read_limits, within};
pub(super) use rules::{Deny, RuleEntry};
pub(super) use upstreams::{Mode, UpstreamEntry, UpstreamsSection};

/// The whole file. What is `None` was left out, and `build` has its default.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) listen: Option<At<Vec<At<Listen>>>>,
    pub(super) admin: Option<At<Admin>>,
    pub(super) admin_hosts: Option<At<Vec<At<HostName>>>>,
    pub(super) workers: Option<At<Count>>,
    pub(super) clients: Option<At<Vec<ClientGroup>>>,
    pub(super) google_apis: Option<GoogleApis>,
    pub(super) zones: Vec<ZoneEntry>,
    pub(super) rules: Vec<RuleEntry>,
    pub(super) deny_with: Option<At<DenyWith>>,
    pub(super) upstreams: UpstreamsSection,
    pub(super) mode: Option<Mode>,
    pub(super) built_in: BuiltIn,
    pub(super) cache: CacheSection,
    pub(super) limits: LimitsSection,
    pub(super) log: Log,
    pub(super) tests: Vec<CaseEntry>,
    /// Whether each client group and each upstream that rules may name could be read.
    pub(super) named: AllNamed,
}

/// Whether what rules name could be read: else a name that is not there may be one that could not.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllNamed {
    pub(super) groups: bool,
    pub(super) upstreams: bool,
}

impl Default for AllNamed {
    fn default() -> Self {
        Self {
            groups: true,
            upstreams: true,
        }
    }
}

/// One entry of `clients`.
#[derive(Debug)]
pub(super) struct ClientGroup {
    pub(super) name: At<Label>,
    /// `None`: none of them could be read.
    pub(super) cidrs: Option<At<Vec<At<Cidr>>>>,
    pub(super) deny_with: Option<At<DenyWith>>,
}

/// The `google_apis` section.
#[derive(Debug)]
pub(super) struct GoogleApis {
    pub(super) place: Place,
    /// Whether none of the addresses that are there could be read.
    pub(super) bad_addresses: bool,
    /// Whether some of the domains could not be read, so that nobody knows what is missing.
    pub(super) bad_domains: bool,
    /// Whether it is known which VIP is meant.
    pub(super) is_known: bool,
    pub(super) vip: Option<At<Vip>>,
    pub(super) addresses: Option<At<Vec<At<Address>>>>,
    pub(super) domains: Option<Domains>,
    pub(super) ipv6: Option<At<bool>>,
    pub(super) except: Vec<(At<Name>, At<Vip>)>,
}

/// Which way the Google APIs are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vip {
    Restricted,
    Private,
    Psc,
    Off,
}

impl Choice for Vip {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("restricted", Self::Restricted),
        ("private", Self::Private),
        ("psc", Self::Psc),
        ("off", Self::Off),
    ];
}

/// The domains of the Google preset.
#[derive(Debug)]
pub(super) enum Domains {
    /// Every name that Google documents for the VIP.
    Documented,
    /// These.
    List(At<Vec<At<Name>>>),
}

/// One entry of `zones`.
#[derive(Debug)]
pub(super) struct ZoneEntry {
    pub(super) place: Place,
    /// Whether all of it could be read.
    pub(super) whole: bool,
    pub(super) origin: Option<At<Name>>,
    pub(super) file: Option<At<String>>,
    pub(super) records: Option<At<Vec<At<String>>>>,
}

impl Choice for LogQueries {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("denied", Self::Denied),
        ("all", Self::All),
    ];
}

impl Choice for LogFormat {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("json", Self::Json),
        ("text", Self::Text),
    ];
}

/// The `built_in` section: which of the built-in answers are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BuiltIn {
    pub(super) metadata: bool,
    pub(super) private_reverse: bool,
    pub(super) doh_canaries: bool,
    pub(super) search: bool,
}

impl Default for BuiltIn {
    fn default() -> Self {
        Self {
            metadata: true,
            private_reverse: true,
            doh_canaries: true,
            search: true,
        }
    }
}

impl File {
    /// Reads the tree of a file.
    pub(super) fn read(root: &Node, faults: &mut Faults<'_>) -> Self {
        if root.value == Value::Null {
            return Self::default();
        }
        let Some(fields) = Fields::of(root, &keys::FILE, faults) else {
            return Self::default();
        };
        // There is one, so that nothing depends on it yet.
        let _: Option<At<Version>> = fields.scalar("version", faults);
        let clients_node = fields.get("clients");
        let clients = clients_node.and_then(|node| clients(node, faults));
        let written = clients_node.map_or(0, |node| match &node.value {
            Value::Map(entries) => entries.len(),
            _ => usize::MAX,
        });
        let groups = clients.as_ref().map_or(0, |at| at.value.len());
        Self {
            named: AllNamed {
                groups: fields.whole && groups == written,
                upstreams: fields.whole,
            },
            listen: fields.scalars("listen", faults),
            admin: fields.scalar("admin", faults),
            admin_hosts: fields.scalars("admin_hosts", faults),
            workers: fields.scalar("workers", faults),
            clients,
            google_apis: fields
                .get("google_apis")
                .and_then(|node| GoogleApis::read(node, faults)),
            zones: entries(&fields, "zones", faults, ZoneEntry::read),
            rules: entries(&fields, "rules", faults, RuleEntry::read),
            deny_with: fields.choice("deny_with", faults),
            upstreams: fields
                .get("upstreams")
                .map(|node| UpstreamsSection::read(node, faults))
                .unwrap_or_default(),
            mode: fields.get("mode").and_then(|node| Mode::read(node, faults)),
            built_in: section(&fields, "built_in", &keys::BUILT_IN, faults, BuiltIn::read),
            cache: section(&fields, "cache", &keys::CACHE, faults, read_cache),
            limits: section(&fields, "limits", &keys::LIMITS, faults, read_limits),
            log: section(&fields, "log", &keys::LOG, faults, read_log),
            tests: case::entries(&fields, faults),
        }
    }
}

/// The items of a list that are mappings each.
fn entries<T>(
    fields: &Fields<'_>,
    key: &str,
    faults: &mut Faults<'_>,
    read: fn(&Node, &mut Faults<'_>) -> Option<T>,
) -> Vec<T> {
    let items = fields
        .items(key, faults)
        .map_or(&[][..], |items| items.value);
    items.iter().filter_map(|item| read(item, faults)).collect()
}

/// A section that is a mapping, or its default.
fn section<T: Default>(
    fields: &Fields<'_>,
    key: &str,
    keys: &Keys,
    faults: &mut Faults<'_>,
    read: fn(&Fields<'_>, &mut Faults<'_>) -> T,
) -> T {
    fields
        .get(key)
        .and_then(|node| Fields::of(node, keys, faults))
        .map(|fields| read(&fields, faults))
        .unwrap_or_default()
}

/// The entries of a mapping whose keys are the operator's names, each with its own keys. What is
/// `None` is no mapping, and was told.
fn named<'t>(
    node: &'t Node,
    section: &str,
    kind: &str,
    keys: &Keys,
    faults: &mut Faults<'_>,
) -> Option<Vec<(At<Label>, Option<Fields<'t>>)>> {
    let entries = mapping(node, section, faults)?;
    let mut all = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = Node {
            place: entry.key_place,
            value: Value::Scalar(entry.key.clone()),
        };
        let name = scalar(&key, kind, faults);
        let fields = match &entry.node.value {
            Value::Map(_) | Value::Bad => Fields::of(&entry.node, keys, faults),
            other => {
                unwrapped(entry, other, (kind, keys), faults);
                None
            }
        };
        all.extend(name.map(|name| (name, fields)));
    }
    Some(all)
}

/// The most entries of a list that are repeated in a help.
const MAX_SHOWN: usize = 4;

/// Reports an entry that is the value of its main key and not a mapping with that key.
fn unwrapped(entry: &Entry, value: &Value, (kind, keys): (&str, &Keys), faults: &mut Faults<'_>) {
    let (name, main) = (
        quoted(&entry.key),
        keys.known.first().copied().unwrap_or_default(),
    );
    let given = match value {
        Value::Scalar(text) => listed(text),
        Value::Seq(items) => {
            let texts = items.iter().filter_map(|item| match &item.value {
                Value::Scalar(text) => Some(text.as_str()),
                _ => None,
            });
            listed(&texts.take(MAX_SHOWN).collect::<Vec<_>>().join(","))
        }
        _ => "[…]".to_owned(),
    };
    let message = format!(
        "{kind} `{name}` must be a mapping (`key: value`), not {}",
        shape(value)
    );
    let help = format!("write {name}: {{ {main}: {given} }}");
    faults.push_help(entry.node.place, message, help);
}

/// Reports a section whose entries have names and that is no mapping.
fn nameless(node: &Node, section: &str, example: &str, faults: &mut Faults<'_>) -> bool {
    let wrong = matches!(node.value, Value::Scalar(_) | Value::Seq(_));
    if wrong {
        let message = format!(
            "`{section}` must be a mapping (`key: value`), not {}",
            shape(&node.value)
        );
        let help = format!("give each entry a name: {section}: {{ {example} }}");
        faults.push_help(node.place, message, help);
    }
    wrong
}

fn clients(node: &Node, faults: &mut Faults<'_>) -> Option<At<Vec<ClientGroup>>> {
    if nameless(node, "clients", "vpc: { cidrs: [10.0.0.0/8] }", faults) {
        return None;
    }
    let before = faults.count();
    let entries = named(
        node,
        "`clients`",
        "client group",
        &keys::CLIENT_GROUP,
        faults,
    )?;
    let all_bad = entries.is_empty() && faults.count() > before;
    let mut groups = Vec::with_capacity(entries.len());
    for (name, fields) in entries {
        // A group that is wrong is still one: rules that name it are not.
        let mut group = ClientGroup {
            name,
            cidrs: None,
            deny_with: None,
        };
        if let Some(fields) = fields {
            fields.require("cidrs", faults);
            group.cidrs = fields.scalars("cidrs", faults);
            group.deny_with = fields.choice("deny_with", faults);
        }
        groups.push(group);
    }
    (!all_bad).then_some(At {
        value: groups,
        place: node.place,
    })
}

impl GoogleApis {
    fn read(node: &Node, faults: &mut Faults<'_>) -> Option<Self> {
        let fields = Fields::of(node, &keys::GOOGLE_APIS, faults)?;
        let domains = fields.get("domains");
        let is_word = domains.is_some_and(|node| is_documented(node, faults));
        let excepted = fields
            .get("except")
            .and_then(|node| mapping(node, "`except`", faults))
            .unwrap_or_default();
        let vip = fields.choice("vip", faults);
        let addresses = fields.scalars("addresses", faults);
        let bad_addresses = fields.is_bad("addresses", addresses.as_ref());
        let before = faults.count();
        let domains = if is_word {
            Some(Domains::Documented)
        } else {
            fields.scalars("domains", faults).map(Domains::List)
        };
        Some(Self {
            place: fields.place,
            is_known: fields.whole && !fields.is_bad("vip", vip.as_ref()),
            vip,
            addresses,
            bad_addresses,
            bad_domains: faults.count() > before,
            domains,
            ipv6: fields.choice("ipv6", faults),
            except: excepted
                .into_iter()
                .filter_map(|entry| {
                    let key = Node {
                        place: entry.key_place,
                        value: Value::Scalar(entry.key.clone()),
                    };
                    let name = scalar(&key, "except", faults);
                    let vip = choice(&entry.node, "except", faults);
                    name.zip(vip)
                })
                .collect(),
        })
    }
}

/// Whether the domains are the word for all of them, perhaps misspelt.
fn is_documented(node: &Node, faults: &mut Faults<'_>) -> bool {
    const WORD: &str = DOCUMENTED_WORD;
    let Value::Scalar(text) = &node.value else {
        return false;
    };
    if text != WORD && nearest(text, [WORD]).is_some() {
        let message = bad_value("domains", text, &"write a list of names, or documented");
        faults.push_help(node.place, message, format!("did you mean {WORD}?"));
        return true;
    }
    text == WORD
}

impl ZoneEntry {
    fn read(node: &Node, faults: &mut Faults<'_>) -> Option<Self> {
        let before = faults.count();
        let fields = Fields::of(node, &keys::ZONE, faults)?;
        fields.require("origin", faults);
        let mut zone = Self {
            place: fields.place,
            whole: true,
            origin: fields.scalar("origin", faults),
            file: fields.scalar("file", faults),
            records: fields.scalars("records", faults),
        };
        zone.whole = faults.count() == before;
        Some(zone)
    }
}

impl BuiltIn {
    fn read(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Self {
        let mut on = |key| {
            fields
                .choice(key, faults)
                .is_none_or(|on: At<bool>| on.value)
        };
        Self {
            metadata: on("metadata"),
            private_reverse: on("private_reverse"),
            doh_canaries: on("doh_canaries"),
            search: on("search"),
        }
    }
}

fn read_log(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Log {
    let queries: Option<At<LogQueries>> = fields.choice("queries", faults);
    let known = fields.whole && !fields.is_bad("queries", queries.as_ref());
    let queries = queries.map(|at| at.value).unwrap_or_default();
    let sample: Option<At<Count>> = fields.scalar("sample", faults);
    // What does not fit is above the most.
    let sample = sample.map(|at| at.map(|Count(count)| count.try_into().unwrap_or(u32::MAX)));
    let place = sample.map(|at| at.place);
    let sample = within("sample", sample, LOG_SAMPLE, faults);
    if let Some(place) = place.filter(|_| known && sample > 1 && queries != LogQueries::All) {
        faults.push_help(
            place,
            "`sample` thins out a log of all queries, and this one is none",
            "add `queries: all`, or leave `sample` out".to_owned(),
        );
    }
    let format: Option<At<LogFormat>> = fields.choice("format", faults);
    let output: Option<At<LogOutput>> = fields.scalar("output", faults);
    Log {
        queries,
        sample,
        format: format.map(|at| at.value).unwrap_or_default(),
        output: output.map(|at| at.value).unwrap_or_default(),
    }
}
