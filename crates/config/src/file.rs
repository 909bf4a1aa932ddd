//! The structure of the file: its keys, and the type of each value.
//!
//! It has no logic: checks across values (a rule that names an undefined group, two zones with the same origin) are
//! in `build` and its helpers. These types also generate the JSON Schema of the file.

use std::{fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Visitor};

use super::{
    budget::BudgetEntry,
    case::{Ask, ExpectEntry, Moment, TestEntry, TestFile, Wanted},
    error::Faults,
    given::{At, ByName, FileValue, Given, List, Named, Span, mappings, texts, words},
    host::HostName,
    key_table::required,
    limits::LimitsSection,
    listen::Listen,
    log::{LogFormat, LogOutput, LogQueries},
    read::{self, WORD_OR_MAPPING, advised, reported},
    upstream::{ServerAddr, Strategy},
    value::{
        Address, Admin, Bytes, Cidr, Count, Interval, Label, OneIn, ReasonText, Seconds, Until,
        Version,
    },
    yaml::{Node, Value},
};
use dnsgate_core::{
    dns::{Name, RecordType},
    policy::{BudgetParty, CnameMode, DenyWith, OverBudget, Pattern},
};

/// What `domains` says for every name that Google documents.
pub(super) const DOCUMENTED_WORD: &str = "documented";

/// The whole file. What was left out has its default in `build`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "the configuration")]
#[schemars(rename = "Configuration", deny_unknown_fields)]
pub(super) struct File {
    /// The version of the file's format.
    pub(super) version: Given<Version>,
    /// Where dnsgate listens for queries.
    pub(super) listen: Given<List<Listen>>,
    /// Where dnsgate serves metrics, health and the status page.
    pub(super) admin: Given<Admin>,
    /// The host names by which clients may ask for the admin pages.
    pub(super) admin_hosts: Given<List<HostName>>,
    /// How many threads answer queries for each UDP address, and for all TCP addresses.
    pub(super) workers: Given<Count>,
    /// Who may ask: groups of client addresses, each under a name of yours.
    pub(super) clients: Given<Named<ClientGroup>>,
    /// Google's own names, sent to one of its private addresses.
    pub(super) google_apis: Given<GoogleApis>,
    /// Names that dnsgate has the data of.
    pub(super) zones: Given<List<ZoneEntry>>,
    /// What else may be asked, and what may not.
    pub(super) rules: Given<List<RuleEntry>>,
    /// The servers that dnsgate may ask, each group of them under a name of yours.
    pub(super) upstreams: Given<Named<UpstreamEntry>>,
    /// What happens to denials: `enforce`, or `{ observe: UPSTREAM }`.
    pub(super) mode: Given<Mode>,
    /// How much may leave through a rule over a subtree that has no `budget`; or `off`.
    pub(super) budget: Given<BudgetEntry>,
    /// How denials are answered where neither the rule nor the client group says.
    pub(super) deny_with: Given<DenyWith>,
    /// Answers that need no configuration.
    pub(super) built_in: Given<BuiltIn>,
    /// How long and how much dnsgate caches of upstreams' answers.
    pub(super) cache: Given<CacheSection>,
    /// How much of everything there may be.
    pub(super) limits: Given<LimitsSection>,
    /// What is logged, in which form, and where to.
    pub(super) log: Given<LogSection>,
    /// Questions, and what must come of them.
    pub(super) tests: Given<List<TestEntry>>,
    #[serde(rename = "")]
    #[schemars(skip)]
    pub(super) span: Span,
}

impl File {
    /// Reads the tree of a file.
    pub(super) fn read(root: &Node, faults: &mut Faults<'_>) -> Self {
        if root.value == Value::Null {
            return Self::default();
        }
        let file = read::read::<Given<Self>>(root, faults);
        let file = file.and_then(Given::into_value).unwrap_or_default();
        let _: Option<Version> = file.version.into_value(); // there is one
        file
    }
}

/// One entry of `clients`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a client group")]
#[schemars(rename = "ClientGroup", deny_unknown_fields, extend("required" = required("a client group")))]
pub(super) struct ClientGroup {
    /// The client addresses. The longest prefix that holds an address decides its group.
    pub(super) cidrs: Given<List<Cidr>>,
    /// How denials of this group are answered.
    pub(super) deny_with: Given<DenyWith>,
}

/// The `google_apis` section.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "google_apis")]
#[schemars(rename = "GoogleApis", deny_unknown_fields)]
pub(super) struct GoogleApis {
    /// Which of Google's addresses the names lead to.
    pub(super) vip: Given<GoogleVip>,
    /// With psc: the addresses of the endpoints.
    pub(super) addresses: Given<List<Address>>,
    /// The domains: a list, or `documented` for every domain that Google documents for the address.
    pub(super) domains: Given<Domains>,
    /// Whether AAAA is answered with the address that Google documents.
    pub(super) ipv6: Given<bool>,
    /// Names that go to the other address, each with all names below it.
    pub(super) except: Given<ByName<GoogleVip>>,
    #[serde(rename = "")]
    #[schemars(skip)]
    pub(super) span: Span,
}

/// Which way the Google APIs are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GoogleVip {
    Restricted,
    Private,
    Psc,
    Off,
}

/// The domains of the Google preset.
#[derive(Debug)]
pub(super) enum Domains {
    /// Every name that Google documents for the VIP.
    Documented,
    /// These.
    List(List<Name>),
}

/// One entry of `zones`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a zone")]
#[schemars(rename = "Zone", deny_unknown_fields, extend("required" = required("a zone")))]
pub(super) struct ZoneEntry {
    /// The name at its top.
    pub(super) origin: Given<Name>,
    /// A zone file (RFC 1035).
    pub(super) file: Given<String>,
    /// Its records, each as in a zone file.
    pub(super) records: Given<List<String>>,
    #[serde(rename = "")]
    #[schemars(skip)]
    pub(super) span: Span,
}

/// One entry of `rules`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a rule")]
#[schemars(rename = "Rule", deny_unknown_fields, extend("required" = required("a rule")))]
pub(super) struct RuleEntry {
    /// Its name in denials, logs and metrics.
    pub(super) name: Given<Label>,
    /// The names that it is about: `x` exactly, `.x` and all names below it, `*.x` all names below it.
    pub(super) domains: Given<List<Pattern>>,
    /// A file with one such name per line.
    pub(super) domains_file: Given<String>,
    /// The records to answer with, each as in a zone file without its name.
    pub(super) records: Given<List<String>>,
    /// How to deny; `true`: as the client group says, else as the file does.
    pub(super) deny: Given<Deny>,
    /// The upstream to ask.
    pub(super) forward: Given<Label>,
    /// The addresses that an upstream's answer may hold.
    pub(super) addresses: Given<List<Cidr>>,
    /// Where the answer's aliases may lead.
    pub(super) cname: Given<CnameMode>,
    /// How much may leave through it to one domain; or `off`.
    pub(super) budget: Given<BudgetEntry>,
    /// The client groups that it is for.
    pub(super) groups: Given<List<Label>>,
    /// The query types that it is for.
    pub(super) types: Given<List<RecordType>>,
    /// When it expires: a date or a time.
    pub(super) until: Given<Until>,
    /// Why the rule exists.
    pub(super) reason: Given<ReasonText>,
    #[serde(rename = "")]
    #[schemars(skip)]
    pub(super) span: Span,
}

/// The value of a rule's `deny`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deny {
    /// `true`: as `deny_with` of the group or the file says.
    Yes,
    /// In this way.
    With(DenyWith),
}

/// One entry of `upstreams`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "an upstream")]
#[schemars(rename = "Upstream", deny_unknown_fields, extend("required" = required("an upstream")))]
pub(super) struct UpstreamEntry {
    /// Its servers: udp://, tcp://, tls:// or https://, each with its address.
    pub(super) servers: Given<List<ServerAddr>>,
    /// Which server is asked first.
    pub(super) strategy: Given<Strategy>,
    /// The certificates (PEM) that the servers' certificates must chain to, or be.
    pub(super) ca_file: Given<String>,
    #[serde(rename = "")]
    #[schemars(skip)]
    pub(super) span: Span,
}

/// The value of `mode`.
#[derive(Clone, Debug)]
pub(super) enum Mode {
    /// What is denied is denied.
    Enforce,
    /// It is forwarded to this upstream instead, and recorded.
    Observe(At<Label>),
}

/// `mode` where it is not the word `enforce`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "`mode`")]
#[schemars(rename = "Observe", deny_unknown_fields, extend("required" = required("`mode`")))]
struct ObserveKeys {
    /// The upstream that gets what would be denied.
    observe: Given<Label>,
}

/// The `built_in` section: which of the built-in answers are on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "built_in")]
#[schemars(rename = "BuiltIn", deny_unknown_fields)]
pub(super) struct BuiltIn {
    /// metadata.google.internal is 169.254.169.254.
    pub(super) metadata: Given<bool>,
    /// Reverse zones of private and reserved addresses are empty (RFC 6303).
    pub(super) private_reverse: Given<bool>,
    /// use-application-dns.net and resolver.arpa do not exist.
    pub(super) doh_canaries: Given<bool>,
    /// Names that search lists make and that cannot exist in the public DNS do not exist.
    pub(super) search: Given<bool>,
}

/// The `cache` section.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "`cache`")]
#[schemars(rename = "Cache", deny_unknown_fields)]
pub(super) struct CacheSection {
    /// Memory for it; 0 for no cache.
    pub(super) size: Given<Bytes>,
    /// The least time that an answer is kept.
    pub(super) min_ttl: Given<Seconds>,
    /// The longest time that an answer is kept.
    pub(super) max_ttl: Given<Seconds>,
    /// How long an answer is used beyond its time while no upstream answers.
    pub(super) serve_stale: Given<Seconds>,
    /// What such an answer stands in for.
    pub(super) serve_stale_on: Given<StaleOn>,
    #[serde(rename = "")]
    #[schemars(skip)]
    pub(super) span: Span,
}

/// What answers past their time stand in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StaleOn {
    /// No answer at all.
    Failure,
    /// That, and a denial of what there was.
    Denial,
}

/// The `log` section.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "log")]
#[schemars(rename = "Log", deny_unknown_fields)]
pub(super) struct LogSection {
    /// Which queries are logged.
    pub(super) queries: Given<LogQueries>,
    /// With `queries: all`: one in this many of the queries that were neither denied nor failed is logged.
    pub(super) sample: Given<OneIn>,
    /// The form of a line.
    pub(super) format: Given<LogFormat>,
    /// Where queries are logged: stderr, stdout, file:/PATH or unix:/PATH.
    pub(super) output: Given<LogOutput>,
    #[serde(rename = "")]
    #[schemars(skip)]
    pub(super) span: Span,
}

/// The visitor of a value that is a word or something else.
struct WordOr<T>(PhantomData<T>);

impl<'de> Visitor<'de> for WordOr<Mode> {
    type Value = Mode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("enforce, or { observe: UPSTREAM }")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Mode, E> {
        if word == "enforce" {
            return Ok(Mode::Enforce);
        }
        let help = match crate::error::nearest(word, ["enforce", "observe"]) {
            Some("enforce") => "did you mean enforce?",
            _ => "observe needs an upstream, for the queries that would be denied",
        };
        let error = "write enforce, or { observe: UPSTREAM }";
        Err(advised(error, Some(help.to_owned())))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Mode, D::Error> {
        let ObserveKeys { observe } = Deserialize::deserialize(from)?;
        (*observe).clone().map(Mode::Observe).ok_or_else(reported)
    }
}

impl FileValue for Mode {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_newtype_struct(WORD_OR_MAPPING, WordOr(PhantomData::<Self>))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let observe = generator.subschema_for::<ObserveKeys>();
        json_schema!({ "anyOf": [{ "const": "enforce" }, observe] })
    }
}

impl<'de> Visitor<'de> for WordOr<Domains> {
    type Value = Domains;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names, or documented")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Domains, E> {
        if word == DOCUMENTED_WORD {
            return Ok(Domains::Documented);
        }
        let help = format!("did you mean {DOCUMENTED_WORD}?");
        let error = "write a list of names, or documented";
        Err(advised(error, Some(help)))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Domains, D::Error> {
        List::read(from).map(Domains::List)
    }
}

impl FileValue for Domains {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_newtype_struct(DOCUMENTED_WORD, WordOr(PhantomData::<Self>))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let list = List::<Name>::schema(generator);
        json_schema!({ "anyOf": [{ "const": DOCUMENTED_WORD }, list] })
    }
}

mappings!(
    BuiltIn,
    CacheSection,
    ClientGroup,
    ExpectEntry,
    File,
    GoogleApis,
    LimitsSection,
    LogSection,
    RuleEntry,
    TestEntry,
    TestFile,
    UpstreamEntry,
    ZoneEntry,
);

words! {
    bool: "true" = true, "false" = false;
    BudgetParty: "client" = Self::Client, "group" = Self::Group, "rule" = Self::Rule;
    CnameMode: "any" = Self::Any, "allowed" = Self::Allowed;
    Deny: "true" = Self::Yes, "refused" = Self::With(DenyWith::Refused),
        "nxdomain" = Self::With(DenyWith::NxDomain), "nodata" = Self::With(DenyWith::NoData),
        "drop" = Self::With(DenyWith::Drop);
    DenyWith: "refused" = Self::Refused, "nxdomain" = Self::NxDomain, "nodata" = Self::NoData, "drop" = Self::Drop;
    GoogleVip: "restricted" = Self::Restricted, "private" = Self::Private, "psc" = Self::Psc, "off" = Self::Off;
    LogFormat: "auto" = Self::Auto, "json" = Self::Json, "text" = Self::Text;
    LogQueries: "none" = Self::None, "denied" = Self::Denied, "all" = Self::All;
    StaleOn: "failure" = Self::Failure, "denial" = Self::Denial;
    OverBudget: "report" = Self::Report, "deny" = Self::Deny;
    Strategy: "fastest" = Self::Fastest, "ordered" = Self::Ordered, "spread" = Self::Spread;
}

texts! {
    Address: { "type": "string", "examples": ["10.1.1.5"] };
    Admin: { "type": "string", "examples": ["127.0.0.1:9153", "off"] };
    Ask: { "type": "string", "examples": ["db.example AAAA"] };
    Bytes: { "type": ["string", "integer"], "pattern": "^(0|[1-9][0-9]*(KiB|MiB|GiB))$" };
    Cidr: { "type": "string", "examples": ["10.0.0.0/8"] };
    Count: { "type": "integer", "minimum": 0 };
    HostName: { "type": "string", "examples": ["dnsgate.monitoring"] };
    Interval: { "type": "string", "pattern": "^(0|[1-9][0-9]*)(ms|s|m|h|d)$" };
    Label: { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" };
    Listen: { "type": "string", "pattern": "^(udp|tcp)://" };
    LogOutput: { "type": "string", "pattern": "^(stderr|stdout|(file|unix):/.*)$" };
    Moment: { "type": "string", "examples": ["2027-01-31", "2027-01-31T12:00:00Z"] };
    Name: { "type": "string", "examples": ["db.example"] };
    OneIn: { "type": "integer", "minimum": 1 };
    Pattern: { "type": "string", "examples": ["x.example", ".x.example", "*.x.example"] };
    ReasonText: { "type": "string", "maxLength": 160 };
    RecordType: { "type": "string", "examples": ["AAAA", "TYPE65280"] };
    Seconds: { "type": "string", "pattern": "^(0|[1-9][0-9]*)(ms|s|m|h|d)$" };
    ServerAddr: { "type": "string", "pattern": "^(udp|tcp|tls|https)://" };
    String: { "type": "string" };
    Until: { "type": "string", "examples": ["2027-01-31", "2027-01-31T12:00:00Z"] };
    Version: { "const": 1 };
    Wanted: { "type": "string", "examples": ["db.example A 10.0.0.5"] };
}

/// The JSON Schema of the file, as text.
#[must_use]
pub fn schema() -> String {
    let schema = SchemaGenerator::default().into_root_schema_for::<File>();
    format!("{:#}\n", schema.as_value())
}
