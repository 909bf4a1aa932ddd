//! Differences as they are printed, probed and from logs.

use std::{fmt::Write as _, io::Cursor, path::Path};

use super::*;
use crate::snapshot;
use dnsgate_config::Config;
use dnsgate_logs::LogSummary;

const OLD: &str = "
clients: { vpc: { cidrs: [10.0.0.0/8] }, build: { cidrs: [10.8.0.0/16] } }
google_apis: { vip: off }
built_in: { private_reverse: false, doh_canaries: false, metadata: false, search: false }
zones: [{ origin: corp.example, records: [\"db A 10.0.0.5\", \"*.svc A 10.0.0.6\"] }]
rules:
  - { name: github, domains: [.github.test], records: [A 10.1.0.1] }
  - { name: ci, domains: [ci.test], records: [A 10.1.0.2], groups: [build], types: [A, NAPTR] }
  - { name: fwd, domains: [fwd.test], forward: public, types: [A] }
upstreams: { public: { servers: [udp://8.8.8.8] }, corp: { servers: [udp://10.0.0.53] } }
";

fn config(text: &str) -> Config {
    dnsgate_config::parse(text, "t.yaml", Path::new("")).unwrap_or_else(|report| panic!("{report}"))
}

fn with_diff<T>(old: &str, new: &str, ask: impl FnOnce(Diff<'_>) -> T) -> T {
    let (old, new) = (config(old), config(new));
    let one = snapshot(old.policy, old.zones, old.upstreams.len());
    let other = snapshot(new.policy, new.zones, new.upstreams.len());
    let old = Subject::new(&one, &old.upstreams);
    let new = Subject::new(&other, &new.upstreams);
    ask(Diff::new(old, new, SystemTime::UNIX_EPOCH))
}

fn probed(from: &str, to: &str) -> String {
    let new = OLD.replace(from, to);
    assert!(from.is_empty() || new != OLD, "{from}");
    with_diff(OLD, &new, |mut diff| {
        diff.probe();
        diff.to_string()
    })
}

#[test]
fn probe_finds_every_change_of_a_verdict() {
    let mut text = String::new();
    for (from, to) in [
        ("", ""),
        ("name: github", "name: hub"),
        ("[A 10.1.0.1]", "[A 10.1.0.9]"),
        ("[A 10.1.0.1]", "[77 A 10.1.0.1]"),
        (".github.test", "github.test"),
        ("groups: [build]", "groups: [vpc]"),
        ("types: [A, NAPTR]", "types: [A]"),
        ("db A 10.0.0.5", "db A 10.0.0.7"),
        ("*.svc A", "x.svc A"),
        ("forward: public", "forward: corp"),
        (
            "forward: public",
            "forward: public, addresses: [192.0.2.0/24]",
        ),
        ("forward: public", "forward: public, cname: allowed"),
        ("forward: public", "deny: true"),
        ("rules:", "mode: { observe: corp }\nrules:"),
        (
            "upstreams: { public: { servers: [udp://8.8.8.8] }, corp: { servers: [udp://10.0.0.53] } }",
            "upstreams: { corp: { servers: [udp://10.0.0.53] }, public: { servers: [udp://8.8.4.4] } }",
        ),
        (
            "build: { cidrs: [10.8.0.0/16] }",
            "build: { cidrs: [10.8.0.0/16, 192.0.2.0/24] }",
        ),
        (
            "{ cidrs: [10.0.0.0/8] }",
            "{ cidrs: [10.0.0.0/8], deny_with: nxdomain }",
        ),
    ] {
        let _ = writeln!(text, "## {from} -> {to}\n{}", probed(from, to));
    }
    assert_eq!(text, include_str!("probed.txt"), "{text}");
}

fn replayed(log: &[u8]) -> (String, LogSummary) {
    let new = OLD
        .replace("A 10.1.0.1", "A 10.1.0.9")
        .replace("[build]", "[vpc]");
    with_diff(OLD, &new, |mut diff| {
        let done = dnsgate_logs::read(Cursor::new(log), |record| {
            let question = ClientQuestion {
                name: record.name,
                rtype: record.rtype,
                source: record.client,
                transport: record.transport,
            };
            diff.ask(question, record.times)
        })
        .expect("read");
        (diff.to_string(), done)
    })
}

#[test]
fn replays_a_log_with_counts_and_skips_garbage() {
    let line = |name: &str, rtype: &str, source: &str| {
        format!(
            "{{\"severity\":\"INFO\",\"queryName\":\"{name}\",\"queryType\":\"{rtype}\",\"sourceIP\":\"{source}\",\"protocol\":\"UDP\",\"rule\":null}}\n"
        )
    };
    let mut log = String::new();
    for _ in 0..3 {
        log.push_str(&line("a.github.test.", "A", "10.0.0.1"));
    }
    log.push_str(&line("B.GitHub.test.", "A", "10.0.0.2"));
    log.push_str(&line("a.github.test.", "TXT", "10.0.0.1")); // the same: none of either
    log.push_str(&line("ci.test.", "A", "10.8.0.1"));
    log.push_str(&line("other.test.", "A", "10.8.0.1")); // the same
    let exported = line("ci.test.", "NAPTR", "10.8.0.1");
    let _ = writeln!(
        log,
        "{{\"jsonPayload\":{},\"insertId\":\"x\"}}",
        exported.trim_end()
    );
    // Two lines of a sample stand for twelve.
    let sampled = line("ci.test.", "A", "10.8.0.1");
    log.push_str(&sampled.replace("\"rule\":null", "\"sampleRate\":10"));
    log.push_str(&sampled.replace("\"rule\":null", "\"sampleRate\":2"));
    let questions = 8 + 12;
    // A start, a text line, a cut line, a bad name, type and address, a line without end.
    log.push_str("{\"severity\":\"NOTICE\",\"message\":\"ready\"}\n\n2026-01-01T00:00:00Z INFO x\n{\"queryName\":\"a.gith\n[1]\nnull\n");
    log.push_str(&line("a..b.", "A", "10.0.0.1"));
    log.push_str(&line("a.github.test.", "BOGUS", "10.0.0.1"));
    log.push_str(&line("a.github.test.", "A", "10.0.0"));
    let mut log = log.into_bytes();
    log.extend(b"\xff\xfe\0\n");
    log.extend(line(&"x".repeat(100_000), "A", "10.0.0.1").into_bytes());
    log.extend("[".repeat(60_000).into_bytes());
    log.extend(b"\n");
    log.extend(line("a.github.test.", "A", "10.0.0.1").into_bytes());
    let (text, done) = replayed(&log);
    assert_eq!((done.questions, done.others), (questions + 1, 11), "{text}");
    assert_eq!(
        text,
        "\
build: answered by rule ci (NOERROR) -> denied, no rule allows it (REFUSED): 14, from 1 client
        14  ci.test. A NAPTR

vpc: answered by rule github (NOERROR) -> different records: 5, from 2 clients
         4  a.github.test. A: A 10.1.0.1 -> A 10.1.0.9
         1  b.github.test. A: A 10.1.0.1 -> A 10.1.0.9

19 of 21 questions get another verdict
"
    );
}

#[test]
fn prints_the_first_names_and_sums_the_rest() {
    let mut log = String::new();
    for number in 0..50 {
        let _ = writeln!(
            log,
            "{{\"queryName\":\"n{number}.github.test\",\"queryType\":\"A\",\"sourceIP\":\"10.0.0.1\"}}"
        );
    }
    let (text, done) = replayed(log.as_bytes());
    assert_eq!(done.questions, 50);
    assert_eq!(text.lines().count(), 1 + 20 + 1 + 2, "{text}");
    assert!(text.contains("\n        30  for other names\n"), "{text}");
}

/// A page, for a new text of the configuration and a log.
fn paged(new: &str, by_effect: bool) -> (String, DiffReport) {
    with_diff(OLD, new, |diff| {
        let mut diff = if by_effect {
            diff.by_effect("fwd")
        } else {
            diff
        };
        for (name, rtype, source, times) in [
            ("a.github.test", RecordType::A, [10, 0, 0, 1], 3),
            ("a.github.test", RecordType::A, [10, 0, 0, 2], 1),
            ("db.corp.example", RecordType::A, [10, 0, 0, 1], 2),
            ("fwd.test", RecordType::A, [10, 8, 0, 1], 1234),
            ("other.test", RecordType::A, [10, 8, 0, 1], 5),
        ] {
            let name: Name = name.parse().expect("a name");
            let question = ClientQuestion {
                name: name.as_ref(),
                rtype,
                source: source.into(),
                transport: Transport::Udp,
            };
            diff.ask(question, times);
        }
        let report = diff.report(ReportSize::PAGE);
        let context = PageContext {
            old: "old<script>.yaml".to_owned(),
            new: "new.yaml".to_owned(),
            ..PageContext::default()
        };
        (page(&report, &context), report)
    })
}

#[test]
fn a_page_tells_what_clients_notice() {
    let effects = |report: &DiffReport| {
        let told = report.effects.iter().filter(|it| it.questions > 0);
        let told = told.map(|it| format!("{:?} {} {:?}", it.effect, it.questions, it.clients));
        told.collect::<Vec<_>>().join(", ")
    };
    for (from, to, want) in [
        ("[A 10.1.0.1]", "[A 10.1.0.9]", "Otherwise 4 Some(2)"),
        ("name: github", "name: hub", "Unnoticed 4 Some(2)"),
        ("forward: public", "deny: true", "Denied 1234 Some(1)"),
        ("db A", "dc A", "Denied 2 Some(1)"),
        ("fwd.test]", "fwd.test, other.test]", "Allowed 5 Some(1)"),
        ("forward: public", "forward: corp", "Otherwise 1234 Some(1)"),
    ] {
        let (page, report) = paged(&OLD.replace(from, to), false);
        assert_eq!(effects(&report), want, "{to}");
        assert!(
            page.contains("old&lt;script&gt;.yaml") && !page.contains("<script"),
            "{page}"
        );
        assert!(page.ends_with("</html>\n"), "{page}");
    }
    // By their effect, rules and upstreams of other names are the same.
    for (from, to) in [
        ("name: github", "name: hub"),
        ("forward: public", "forward: corp"),
    ] {
        let (page, report) = paged(&OLD.replace(from, to), true);
        assert_eq!(report.changed, 0, "{to}");
        assert!(
            page.contains("None of 1,245 questions would be treated differently"),
            "{page}"
        );
    }
}

#[test]
fn what_an_importer_closed_counts_as_answered() {
    let old = OLD.replace(
        "fwd.test], forward: public, types: [A]",
        "fwd.test], deny: true",
    );
    let new = OLD.replace(
        "fwd.test], forward: public, types: [A]",
        "elsewhere.test], deny: true",
    );
    let question = |name: &str, rtype: RecordType, old: &str, new: &str| {
        with_diff(old, new, |diff| {
            let mut diff = diff.by_effect("fwd");
            let name: Name = name.parse().expect("a name");
            let question = ClientQuestion {
                name: name.as_ref(),
                rtype,
                source: [10, 0, 0, 1].into(),
                transport: Transport::Udp,
            };
            diff.ask(question, 1);
            let effects = diff.report(ReportSize::TEXT).effects;
            effects
                .iter()
                .find(|it| it.questions > 0)
                .map(|it| it.effect)
        })
    };
    assert_eq!(
        question("fwd.test", RecordType::A, &old, &new),
        Some(ChangeEffect::Denied)
    );
    assert_eq!(question("fwd.test", RecordType::A, &old, OLD), None);
    // TXT: the source forwards it, the importer does not.
    let forwards = OLD.replace(", types: [A] }", " }");
    assert_eq!(
        question("fwd.test", RecordType::TXT, &forwards, &old),
        Some(ChangeEffect::Denied)
    );
}
