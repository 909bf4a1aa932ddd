//! Runs policy tests: asks the question of each test, and compares the reply with the expected one.

use std::{fmt, time::SystemTime};

use super::ask::{ClientQuestion, Decided, Subject, ask, rule_of};
use crate::ask;
use dnsgate_config::{Case, ReplyCode, Unquoted};

/// The most failures printed at a start or a reload; further ones are counted.
const MAX_TOLD: usize = 20;

/// The description of a reply that only an upstream could give.
const UPSTREAMS: &str = "what the upstream says, which a test does not ask";

/// The result of one test.
#[derive(Clone, Debug)]
pub struct PolicyTestResult<'c> {
    /// The test.
    pub case: &'c Case,
    /// The expected and the actual result, in one line; `None` if they agree.
    pub failure: Option<String>,
    /// The time at which the deciding rule expires, for a test that passes and states no time: after it
    /// the test may fail although nobody has changed anything.
    pub ends: Option<SystemTime>,
}

impl fmt::Display for PolicyTestResult<'_> {
    /// `file:line: NAME TYPE from IP`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case {
            file,
            line,
            name,
            rtype,
            source,
            ..
        } = self.case;
        write!(f, "{file}:{line}: {name} {rtype} from {source}")
    }
}

/// Runs tests against a configuration, in order. `now` is the time for tests that state none.
pub fn run_tests<'c>(
    cases: &'c [Case],
    subject: &Subject<'_>,
    now: SystemTime,
) -> impl Iterator<Item = PolicyTestResult<'c>> {
    cases.iter().map(move |case| try_one(case, subject, now))
}

fn try_one<'c>(case: &'c Case, subject: &Subject<'_>, now: SystemTime) -> PolicyTestResult<'c> {
    let snapshot = subject.snapshot;
    let question = ClientQuestion {
        name: case.name.as_ref(),
        rtype: case.rtype,
        source: case.source,
        transport: case.transport,
    };
    let seen = ask(question, snapshot, case.at.unwrap_or(now));
    let failure = failure(case, &seen, subject);
    let rule = seen.outcome.rule.and_then(|id| snapshot.policy().rule(id));
    let ends = rule.and_then(|rule| rule.until);
    PolicyTestResult {
        case,
        ends: ends.filter(|_| case.at.is_none() && failure.is_none()),
        failure,
    }
}

/// The expected and the actual values that differ.
#[derive(Default)]
struct Differences {
    wanted: Vec<String>,
    seen: Vec<String>,
}

impl Differences {
    fn words(&mut self, what: &str, wanted: Option<&str>, seen: &str) {
        if let Some(wanted) = wanted.filter(|&wanted| wanted != seen) {
            self.wanted.push(format!("{what} {wanted}"));
            self.seen.push(format!("{what} {seen}"));
        }
    }
}

fn failure(case: &Case, seen: &Decided, subject: &Subject<'_>) -> Option<String> {
    let expect = &case.expect;
    let outcome = &seen.outcome;
    let mut differ = Differences::default();
    differ.words("verdict", expect.verdict, outcome.ending().as_str());
    differ.words("reason", expect.reason, outcome.reason.as_str());
    let rule = rule_of(outcome, subject.snapshot.policy());
    differ.words("rule", expect.rule.as_deref(), rule.unwrap_or("none"));
    let upstream = subject.upstream_of(outcome);
    differ.words(
        "upstream",
        expect.upstream.as_deref(),
        upstream.unwrap_or("none"),
    );
    let rcode = match seen.asks {
        Some(_) => UPSTREAMS,
        None => ReplyCode(outcome.rcode).as_str(),
    };
    differ.words("rcode", expect.rcode.map(ReplyCode::as_str), rcode);
    if !expect.contains.is_empty() || !expect.within.is_empty() {
        of_records(case, seen, &mut differ);
    }
    if differ.wanted.is_empty() {
        return None;
    }
    let (wanted, seen) = (differ.wanted.join(", "), differ.seen.join(", "));
    Some(format!("wanted {wanted}; seen {seen}"))
}

fn of_records(case: &Case, seen: &Decided, differ: &mut Differences) {
    let records = ask::records(&seen.reply);
    let expect = &case.expect;
    let before = differ.wanted.len();
    for wanted in &expect.contains {
        let zone = &wanted.record;
        let is = |own: &ask::AnswerRecord| own.is(&zone.owner, zone.rtype, &zone.rdata);
        if !records.iter().any(is) {
            differ.wanted.push(format!("record {}", wanted.text));
        }
    }
    if !expect.within.is_empty() {
        let mut addresses = records
            .iter()
            .filter_map(ask::AnswerRecord::address)
            .peekable();
        let some = addresses.peek().is_some();
        let lies_within = |address| expect.within.iter().any(|net| net.contains(&address));
        if !some || !addresses.all(lies_within) {
            let nets: Vec<_> = expect.within.iter().map(ToString::to_string).collect();
            let nets = nets.join(", ");
            differ.wanted.push(format!("addresses within {nets}"));
        }
    }
    if differ.wanted.len() > before {
        differ.seen.push(match seen.asks {
            Some(_) => UPSTREAMS.to_owned(),
            None => ask::shown(&records),
        });
    }
}

/// The failed tests of a configuration, which keep it from being put into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    tests: usize,
    /// The first [`MAX_TOLD`] of them, one line each.
    told: Vec<String>,
    failed: usize,
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tests,
            told,
            failed,
        } = self;
        write!(f, "{failed} of {tests} policy tests failed")?;
        for line in told {
            write!(f, "\n{line}")?;
        }
        match failed.saturating_sub(told.len()) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

impl Failures {
    /// The number of failures; the verbs and the log show the questions and expectations.
    #[must_use]
    pub fn unquoted(&self) -> Unquoted {
        Unquoted::from("")
            .and_number(self.failed as u64)
            .and(" of ")
            .and_number(self.tests as u64)
            .and(" policy tests failed; the log of dnsgate says which, and so does `dnsgate test`")
    }
}

impl std::error::Error for Failures {}

/// Runs a configuration's own tests.
///
/// # Errors
/// The tests that fail.
pub fn check_tests(cases: &[Case], subject: &Subject<'_>, now: SystemTime) -> Result<(), Failures> {
    let mut failures = Failures {
        tests: cases.len(),
        told: Vec::new(),
        failed: 0,
    };
    for tried in run_tests(cases, subject, now) {
        let Some(failure) = &tried.failure else {
            continue;
        };
        failures.failed += 1;
        if failures.told.len() < MAX_TOLD {
            failures.told.push(format!("{tried}: {failure}"));
        }
    }
    match failures.failed {
        0 => Ok(()),
        _ => Err(failures),
    }
}

#[cfg(test)]
mod tests;
