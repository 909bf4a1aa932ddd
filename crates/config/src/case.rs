//! The structure of policy tests: `tests` of the configuration, and of a separate file beside it.
//!
//! A test consists of a question, its client and the expected result. It is read like every other
//! value, so that a test that tests nothing (a misspelt key, a rule that does not exist) is an error
//! with its place and not a test that passes. The crate `whatif` asks the questions: this layer does
//! not know the engine. So it repeats the words for verdicts and reasons, and a test of `whatif`
//! checks that they match the engine's.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::SystemTime,
};

use ipnet::IpNet;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::{
    Upstream,
    error::{Faults, Place, nearest},
    given::{FileValue, Given, List, Span, words},
    key_table::required,
    read::{advised, bad_value, read},
    value::{Address, Cidr},
    yaml::{self, Value},
};
use dnsgate_core::{
    dns::{Name, Rcode, RecordType, Transport},
    policy::Policy,
    zone::{ZoneRecord, parse_record},
};

/// The most tests of one configuration. They are run at every start and reload, in some
/// microseconds each; more than these would be waited for. No official reference.
const MAX_CASES: usize = 10_000;

/// One test of a policy.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file that it stands in, as it was named.
    pub file: Arc<str>,
    /// The line where it begins, from 1.
    pub line: u32,
    /// The name asked for.
    pub name: Name,
    /// The type asked for.
    pub rtype: RecordType,
    /// Who asks.
    pub source: IpAddr,
    /// What the question comes by.
    pub transport: Transport,
    /// When it is asked; `None` for the moment of the run.
    pub at: Option<SystemTime>,
    /// What must come of it.
    pub expect: Expect,
}

/// What must come of a question. What is left out may be anything.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The label of the ending.
    pub verdict: Option<&'static str>,
    /// The label of the reason.
    pub reason: Option<&'static str>,
    /// The name of the rule that decides.
    pub rule: Option<Box<str>>,
    /// The name of the upstream that has to be asked.
    pub upstream: Option<Box<str>>,
    /// The reply's code.
    pub rcode: Option<ReplyCode>,
    /// Records that the answer has, whatever else it has. Their TTLs do not count.
    pub contains: Vec<Wanted>,
    /// Networks that the answer's addresses lie in, all of them and at least one; empty for
    /// anywhere.
    pub within: Vec<IpNet>,
}

/// A record that an answer must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// As written.
    pub text: Box<str>,
    /// What it says.
    pub record: ZoneRecord,
}

/// The code of a reply, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyCode(pub Option<Rcode>);

impl ReplyCode {
    /// What `rcode` says of no reply.
    const NONE: &str = "none";

    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0.map_or(Self::NONE, Rcode::as_str)
    }
}

/// The text is no response code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write NOERROR, NXDOMAIN, REFUSED, SERVFAIL, or another code's name; or none for no reply")]
pub struct UnknownCode;

impl FromStr for ReplyCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let is = |word: &str| word.eq_ignore_ascii_case(text);
        if is(Self::NONE) {
            return Ok(Self(None));
        }
        let code = Rcode::ALL.into_iter().find(|code| is(code.as_str()));
        code.map(|code| Self(Some(code))).ok_or(UnknownCode)
    }
}

impl FileValue for ReplyCode {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::read(from)?;
        text.parse().map_err(|error| {
            let words = Rcode::ALL.iter().map(|code| code.as_str());
            let near = nearest(&text, words.chain([Self::NONE]));
            advised(error, near.map(|near| format!("did you mean {near}?")))
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["NXDOMAIN", "none"] })
    }
}

/// One of the engine's words for what became of a question.
#[derive(Clone, Copy, Debug)]
struct Verdict(&'static str);

/// One of the engine's words for why, of those that a well-formed question can meet to which no
/// upstream has been asked yet.
#[derive(Clone, Copy, Debug)]
struct Reason(&'static str);

words! {
    Verdict: "answered" = Self("answered"), "forwarded" = Self("forwarded"), "denied" = Self("denied"),
        "rejected" = Self("rejected"), "failed" = Self("failed");
    Reason: "zone" = Self("zone"), "rule" = Self("rule"), "any" = Self("any"), "upstream" = Self("upstream"),
        "observed" = Self("observed"), "blocked" = Self("blocked"), "no_rule" = Self("no_rule"),
        "other_group" = Self("other_group"), "other_type" = Self("other_type"), "expired" = Self("expired"),
        "search" = Self("search"), "unknown_client" = Self("unknown_client"), "meta_type" = Self("meta_type"),
        "loop_probe" = Self("loop_probe"), "chain_too_long" = Self("chain_too_long");
    Transport: "udp" = Self::Udp, "tcp" = Self::Tcp;
}

/// `ask`: a name, and perhaps a type.
#[derive(Debug)]
pub(super) struct Ask(Name, RecordType);

impl FromStr for Ask {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let (Some(name), rtype, None) = (words.next(), words.next(), words.next()) else {
            return Err("write a name and, unless it is A, a type: \"db.example AAAA\"".to_owned());
        };
        let name = name.parse().map_err(|error| format!("{error}"))?;
        let rtype = rtype.unwrap_or("A").parse();
        Ok(Self(name, rtype.map_err(|error| format!("{error}"))?))
    }
}

/// `at`: a day, which stands for its first moment in UTC, or a time.
#[derive(Debug)]
pub(super) struct Moment(SystemTime);

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write a date, 2027-01-31 (its first moment, UTC), or a time with its offset, 2027-01-31T12:00:00Z";
        let time = if text.contains(['T', 't', ' ', ':']) {
            text.parse::<Timestamp>().map_err(|_| FORM)?
        } else {
            let day: Date = text.parse().map_err(|_| FORM)?;
            let start = day.to_zoned_datetime(TimeZone::UTC);
            start.map_err(|_| FORM)?.timestamp()
        };
        SystemTime::try_from(time).map(Self).map_err(|_| FORM)
    }
}

/// A record of `contains`; names in it are complete.
impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let record = parse_record(text, &Name::root()).map_err(|fault| fault.message)?;
        Ok(Self {
            text: text.into(),
            record,
        })
    }
}

/// A file of tests that stands beside a configuration.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a file of tests")]
#[schemars(rename = "TestFile", deny_unknown_fields)]
pub(super) struct TestFile {
    /// Questions, and what must come of them.
    tests: Given<List<TestEntry>>,
}

/// One entry of `tests` as it is written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "a test")]
#[schemars(rename = "Test", deny_unknown_fields, extend("required" = required("a test")))]
pub(super) struct TestEntry {
    /// The question: a name and, unless it is A, a type.
    ask: Given<Ask>,
    /// The client's address.
    from: Given<Address>,
    /// What the question comes by.
    over: Given<Transport>,
    /// When it is asked: a date or a time.
    at: Given<Moment>,
    /// What must come of it; what is left out may be anything.
    expect: Given<ExpectEntry>,
    #[serde(rename = "")]
    #[schemars(skip)]
    span: Span,
}

/// The value of `expect`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename = "`expect`")]
#[schemars(rename = "Expect", deny_unknown_fields)]
pub(super) struct ExpectEntry {
    /// What becomes of the question.
    verdict: Given<Verdict>,
    /// Why, as in logs and metrics.
    reason: Given<Reason>,
    /// The rule that decides, as `explain` calls it.
    rule: Given<String>,
    /// The upstream that has to be asked.
    upstream: Given<String>,
    /// The reply's code; `none` for no reply.
    rcode: Given<ReplyCode>,
    /// Records that the answer has.
    contains: Given<List<Wanted>>,
    /// Where every address of the answer lies.
    within: Given<List<Cidr>>,
    #[serde(rename = "")]
    #[schemars(skip)]
    span: Span,
}

/// One entry of `tests` as it was read.
#[derive(Debug)]
pub(super) struct CaseEntry {
    case: Case,
    named: Named,
}

/// Where the names stand that `expect` has of other sections.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    rule: Option<Place>,
    upstream: Option<Place>,
}

/// The file of tests that may stand beside a configuration: `dnsgate.test.yaml` beside
/// `dnsgate.yaml`.
pub(super) fn beside(configuration: &Path) -> PathBuf {
    configuration.with_extension("test.yaml")
}

/// Reads a file that has nothing but tests.
pub(super) fn read_file(text: &str, faults: &mut Faults<'_>) -> Vec<CaseEntry> {
    let root = yaml::parse(text, faults);
    if root.value == Value::Null {
        return Vec::new();
    }
    let file = read::<Given<TestFile>>(&root, faults).and_then(Given::into_value);
    file.map_or_else(Vec::new, |file| entries(file.tests, faults))
}

/// The tests under the key `tests`. What is wrong in part is left out.
pub(super) fn entries(tests: Given<List<TestEntry>>, faults: &mut Faults<'_>) -> Vec<CaseEntry> {
    if let Some(place) = tests.place().filter(|_| tests.values().count() > MAX_CASES) {
        let message = format!("{MAX_CASES} tests are the most");
        faults.push(place, message);
        return Vec::new();
    }
    tests
        .into_values()
        .filter_map(|test| entry(test, faults))
        .collect()
}

fn entry(test: TestEntry, faults: &mut Faults<'_>) -> Option<CaseEntry> {
    let before = faults.count();
    let TestEntry {
        ask,
        from,
        over,
        at,
        expect,
        span,
    } = test;
    let place = expect.place().unwrap_or_default();
    let (expect, named) = expected(expect.into_value()?, place, faults);
    let (Ask(name, rtype), source) = (ask.into_value()?, from.into_value()?.0);
    let is_whole = span.is_whole && faults.count() == before;
    is_whole.then(|| CaseEntry {
        case: Case {
            file: faults.file(),
            line: span.place.line,
            name,
            rtype,
            source,
            transport: over.into_value().unwrap_or(Transport::Udp),
            at: at.into_value().map(|Moment(time)| time),
            expect,
        },
        named,
    })
}

/// What `expect` says, and where its names stand.
fn expected(given: ExpectEntry, place: Place, faults: &mut Faults<'_>) -> (Expect, Named) {
    let ExpectEntry {
        verdict,
        reason,
        rule,
        upstream,
        rcode,
        contains,
        within,
        span,
    } = given;
    let named = Named {
        rule: rule.place(),
        upstream: upstream.place(),
    };
    for (key, place) in [
        (
            "contains",
            contains
                .place()
                .filter(|_| contains.values().next().is_none()),
        ),
        (
            "within",
            within.place().filter(|_| within.values().next().is_none()),
        ),
    ] {
        if let Some(place) = place {
            let message = format!("`{key}` is empty, so it would always hold");
            faults.push_help(place, message, "leave the key out".to_owned());
        }
    }
    let is_empty = verdict.is_none()
        && reason.is_none()
        && rule.is_none()
        && upstream.is_none()
        && rcode.is_none()
        && contains.is_none()
        && within.is_none();
    if span.is_whole && is_empty {
        faults.push_help(
            place,
            "`expect` expects nothing, so the test would always pass",
            "its keys are verdict, reason, rule, upstream, rcode, contains, within".to_owned(),
        );
    }
    let expect = Expect {
        verdict: verdict.into_value().map(|verdict| verdict.0),
        reason: reason.into_value().map(|reason| reason.0),
        rule: rule.into_value().map(Into::into),
        upstream: upstream.into_value().map(Into::into),
        rcode: rcode.into_value(),
        contains: contains.into_values().collect(),
        within: within.into_values().map(|cidr| cidr.0).collect(),
    };
    (expect, named)
}

/// Reports tests of rules and upstreams that there are not: they would fail for a reason that is
/// hard to see.
pub(super) fn check(
    entries: &[CaseEntry],
    policy: &Policy,
    upstreams: &[Upstream],
    faults: &mut Faults<'_>,
) {
    let rules: BTreeSet<&str> = policy.rules().iter().map(|rule| &*rule.name).collect();
    let upstreams: BTreeSet<&str> = upstreams.iter().map(|upstream| &*upstream.name).collect();
    for CaseEntry { case, named } in entries {
        if faults.is_full() {
            return;
        }
        let (expect, hint) = (
            &case.expect,
            "rules are called as `explain` shows them: github, zone corp.example, google_apis googleapis.com",
        );
        check_name(
            "rule",
            expect.rule.as_deref().zip(named.rule),
            &rules,
            hint,
            faults,
        );
        let hint = "upstreams are called as in the section `upstreams`";
        let upstream = expect.upstream.as_deref().zip(named.upstream);
        check_name("upstream", upstream, &upstreams, hint, faults);
    }
}

/// Reports a name that is none of those that are known.
fn check_name(
    key: &str,
    given: Option<(&str, Place)>,
    known: &BTreeSet<&str>,
    hint: &str,
    faults: &mut Faults<'_>,
) {
    let Some((name, place)) = given.filter(|(name, _)| !known.contains(name)) else {
        return;
    };
    let near = nearest(name, known.iter().copied());
    let help = near.map_or_else(|| hint.to_owned(), |near| format!("did you mean {near}?"));
    let message = bad_value(key, name, &format!("there is no such {key}"));
    faults.push_help(place, message, help);
}

/// The tests of a configuration, in the order written.
pub(super) fn cases(entries: Vec<CaseEntry>) -> impl Iterator<Item = Case> {
    entries.into_iter().map(|entry| entry.case)
}
