//! The file as it is written: its keys, and the shape of what stands behind each.
//!
//! No logic: what a value means together with others (a rule's group that nobody defined, two
//! zones of one origin) is for `build` and its helpers. What is bad on its own is reported here and
//! left out. The names of the keys are in `keys`.

use super::{
    case::{self, CaseEntry},
    error::{Faults, Place},
    keys::{self, Keys},
    limits::{self, Bound, Bounded, Limits},
    listen::Listen,
    log::{Log, LogFormat, LogQueries},
    read::{At, Choice, Fields, choice, mapping, scalar},
    value::{Address, Admin, Cidr, Count, Interval, Label, ReasonText, Until},
    yaml::{Node, Value},
};
use crate::{
    dns::{Name, RecordType},
    policy::{DenyWith, Pattern},
};

/// The whole file. What is `None` was left out, and `build` has its default.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) listen: Option<At<Vec<At<Listen>>>>,
    pub(super) admin: Option<At<Admin>>,
    pub(super) workers: Option<At<Count>>,
    pub(super) clients: Option<At<Vec<ClientGroup>>>,
    pub(super) google_apis: Option<GoogleApis>,
    pub(super) zones: Vec<ZoneEntry>,
    pub(super) rules: Vec<RuleEntry>,
    pub(super) deny_with: Option<At<DenyWith>>,
    pub(super) built_in: BuiltIn,
    pub(super) limits: LimitsSection,
    pub(super) log: Log,
    pub(super) tests: Vec<CaseEntry>,
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
    pub(super) origin: Option<At<Name>>,
    pub(super) file: Option<At<String>>,
    pub(super) records: Option<At<Vec<At<String>>>>,
}

/// One entry of `rules`.
#[derive(Debug)]
pub(super) struct RuleEntry {
    pub(super) place: Place,
    pub(super) name: Option<At<Label>>,
    pub(super) domains: Option<At<Vec<At<Pattern>>>>,
    pub(super) answer: Option<At<Vec<At<String>>>>,
    pub(super) deny: Option<At<Deny>>,
    pub(super) deny_with: Option<At<DenyWith>>,
    pub(super) groups: Option<At<Vec<At<Label>>>>,
    pub(super) types: Option<At<Vec<At<RecordType>>>>,
    pub(super) until: Option<At<Until>>,
    pub(super) reason: Option<At<ReasonText>>,
    /// Whether all of it could be read.
    pub(super) whole: bool,
}

/// The value of a rule's `deny`: whether, or in one word with how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deny {
    /// `true`: as `deny_with` of the rule, the group or the file says.
    Yes,
    /// In this way.
    With(DenyWith),
}

impl Choice for Deny {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("true", Self::Yes),
        ("refused", Self::With(DenyWith::Refused)),
        ("nxdomain", Self::With(DenyWith::NxDomain)),
        ("nodata", Self::With(DenyWith::NoData)),
        ("drop", Self::With(DenyWith::Drop)),
    ];
}

impl Choice for DenyWith {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("refused", Self::Refused),
        ("nxdomain", Self::NxDomain),
        ("nodata", Self::NoData),
        ("drop", Self::Drop),
    ];
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

/// The `limits` section.
#[derive(Debug, Default)]
pub(super) struct LimitsSection {
    pub(super) limits: Limits,
    /// Where the limit of one client is set.
    pub(super) per_client: Option<Place>,
}

/// The `built_in` section: which of the built-in answers are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BuiltIn {
    pub(super) metadata: bool,
    pub(super) private_reverse: bool,
    pub(super) doh_canaries: bool,
}

impl Default for BuiltIn {
    fn default() -> Self {
        Self {
            metadata: true,
            private_reverse: true,
            doh_canaries: true,
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
        Self {
            listen: fields.scalars("listen", faults),
            admin: fields.scalar("admin", faults),
            workers: fields.scalar("workers", faults),
            clients: fields.get("clients").and_then(|node| clients(node, faults)),
            google_apis: fields
                .get("google_apis")
                .and_then(|node| GoogleApis::read(node, faults)),
            zones: entries(&fields, "zones", faults, ZoneEntry::read),
            rules: entries(&fields, "rules", faults, RuleEntry::read),
            deny_with: fields.choice("deny_with", faults),
            built_in: section(&fields, "built_in", &keys::BUILT_IN, faults, BuiltIn::read),
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

fn clients(node: &Node, faults: &mut Faults<'_>) -> Option<At<Vec<ClientGroup>>> {
    let entries = mapping(node, "`clients`", faults)?;
    let none = entries.is_empty();
    let mut groups = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = Node {
            place: entry.key_place,
            value: Value::Scalar(entry.key.clone()),
        };
        let name = scalar(&key, "client group", faults);
        let fields = Fields::of(&entry.node, &keys::CLIENT_GROUP, faults);
        let Some(name) = name else { continue };
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
    (none || !groups.is_empty()).then_some(At {
        value: groups,
        place: node.place,
    })
}

impl GoogleApis {
    fn read(node: &Node, faults: &mut Faults<'_>) -> Option<Self> {
        let fields = Fields::of(node, &keys::GOOGLE_APIS, faults)?;
        let domains = fields.get("domains");
        let is_word = domains.is_some_and(|node| node.value == Value::Scalar("documented".into()));
        let excepted = fields
            .get("except")
            .and_then(|node| mapping(node, "`except`", faults))
            .unwrap_or_default();
        Some(Self {
            place: fields.place,
            vip: fields.choice("vip", faults),
            addresses: fields.scalars("addresses", faults),
            domains: if is_word {
                Some(Domains::Documented)
            } else {
                fields.scalars("domains", faults).map(Domains::List)
            },
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

impl ZoneEntry {
    fn read(node: &Node, faults: &mut Faults<'_>) -> Option<Self> {
        let fields = Fields::of(node, &keys::ZONE, faults)?;
        fields.require("origin", faults);
        Some(Self {
            place: fields.place,
            origin: fields.scalar("origin", faults),
            file: fields.scalar("file", faults),
            records: fields.scalars("records", faults),
        })
    }
}

impl RuleEntry {
    fn read(node: &Node, faults: &mut Faults<'_>) -> Option<Self> {
        let before = faults.count();
        let fields = Fields::of(node, &keys::RULE, faults)?;
        fields.require("name", faults);
        fields.require("domains", faults);
        let mut rule = Self {
            place: fields.place,
            name: fields.scalar("name", faults),
            domains: fields.scalars("domains", faults),
            answer: fields.scalars("answer", faults),
            deny: fields.choice("deny", faults),
            deny_with: fields.choice("deny_with", faults),
            groups: fields.scalars("groups", faults),
            types: fields.scalars("types", faults),
            until: fields.scalar("until", faults),
            reason: fields.scalar("reason", faults),
            whole: true,
        };
        rule.whole = faults.count() == before;
        Some(rule)
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
        }
    }
}

fn read_log(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Log {
    let queries = fields.choice("queries", faults);
    let format = fields.choice("format", faults);
    Log {
        queries: queries.map(|at| at.value).unwrap_or_default(),
        format: format.map(|at| at.value).unwrap_or_default(),
    }
}

fn read_limits(fields: &Fields<'_>, faults: &mut Faults<'_>) -> LimitsSection {
    let mut count = |key, bound| {
        let given = fields.scalar::<Count>(key, faults);
        within(key, given.map(|at| at.map(|given| given.0)), bound, faults)
    };
    let tcp_connections = count("tcp_connections", limits::TCP_CONNECTIONS);
    let tcp_connections_per_client = count(
        "tcp_connections_per_client",
        limits::TCP_CONNECTIONS_PER_CLIENT,
    );
    let tcp_pipeline = count("tcp_pipeline", limits::TCP_PIPELINE);
    let log_queue = count("log_queue", limits::LOG_QUEUE);
    let mut time = |key, bound| {
        let given = fields.scalar::<Interval>(key, faults);
        within(key, given.map(|at| at.map(|given| given.0)), bound, faults)
    };
    let limits = Limits {
        tcp_connections,
        tcp_connections_per_client,
        tcp_idle: time("tcp_idle", limits::TCP_IDLE),
        tcp_message: time("tcp_message", limits::TCP_MESSAGE),
        tcp_pipeline,
        log_queue,
        drain: time("drain", limits::DRAIN),
    };
    let per_client = fields.get("tcp_connections_per_client");
    LimitsSection {
        limits,
        per_client: per_client.map(|node| node.place),
    }
}

/// The value given, if there is one and it is within bounds.
fn within<T: Bounded + PartialOrd>(
    key: &str,
    given: Option<At<T>>,
    bound: Bound<T>,
    faults: &mut Faults<'_>,
) -> T {
    let Some(given) = given else {
        return bound.default;
    };
    bound.check(given.value).unwrap_or_else(|error| {
        faults.push(given.place, format!("`{key}` {error}"));
        bound.default
    })
}
