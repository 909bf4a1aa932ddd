//! What the page says after some queries, a reload and a restart.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dnsgate_core::{
    dns::{Name, Transport},
    engine::{self, Client, Context, Snapshot},
};
use dnsgate_whatif::usage::{RuleUsage, UsagePage};

use crate::telemetry::{FinishedQuery, Labels, Latency, LogSettings, Telemetry};

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + second)
}

const RULES: &str = "
    google_apis: { vip: off }
    built_in: { metadata: false, private_reverse: false, doh_canaries: false, search: false }
    clients: { vpc: { cidrs: [10.0.0.0/8] }, build: { cidrs: [10.8.0.0/16] } }
    zones: [{ origin: z.test, records: ['a A 10.0.0.1', 'w CNAME b.ci.test.'] }]
    rules:
      - { name: ci, domains: [.ci.test, x.test, y.test], records: [A 10.0.0.2] }
      - { name: no, domains: [no.test], deny: nodata }
      - { name: few, domains: [few.test], groups: [build], records: [A 10.0.0.3] }
";

/// A policy that is asked, as a worker asks it.
struct Asked {
    telemetry: Telemetry,
    snapshot: Arc<Snapshot>,
}

impl Asked {
    fn new(text: &str) -> Self {
        let telemetry = Telemetry::start(&LogSettings::default()).expect("started");
        Self::with(telemetry, 1, text, 0)
    }

    fn with(telemetry: Telemetry, generation: u64, text: &str, second: u64) -> Self {
        let config =
            dnsgate_config::parse(text, "t.yaml", std::path::Path::new("")).expect("valid");
        let snapshot = Arc::new(Snapshot::new(generation, config.policy, config.zones));
        let policy = snapshot.policy();
        let labels = Labels {
            groups: policy
                .groups()
                .iter()
                .map(|it| it.name.to_string())
                .collect(),
            rules: policy
                .rules()
                .iter()
                .map(|it| it.name.to_string())
                .collect(),
            upstreams: Vec::new(),
        };
        telemetry.loaded(generation, labels, at(second));
        telemetry.note_usage(&snapshot, at(second));
        Self {
            telemetry,
            snapshot,
        }
    }

    /// The next generation of the same process.
    fn reload(self, text: &str, second: u64) -> Self {
        let generation = self.snapshot.generation() + 1;
        Self::with(self.telemetry, generation, text, second)
    }

    fn ask(&self, name: &str, second: u64) {
        let wire: Name = name.parse().expect(name);
        let wire = wire.as_ref().wire();
        let head = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0";
        let packet = [head, wire, b"\0\x01\0\x01"].concat();
        let client = Client {
            source: [10, 0, 0, 1].into(),
            transport: Transport::Udp,
        };
        let mut out = [0; 1232];
        let context = Context::new(&self.snapshot, at(second));
        let step = engine::begin(&packet, client, &context, &mut out);
        self.telemetry.record(&FinishedQuery {
            outcome: *step.outcome(),
            transport: Transport::Udp,
            source: SocketAddr::new(client.source, 4242),
            query: &packet,
            reply: &out[..step.len()],
            rejected: None,
            time: at(second),
            latency: Latency::Known(Duration::ZERO),
            generation: self.snapshot.generation(),
        });
    }

    fn page(&self) -> UsagePage {
        self.telemetry.usage()
    }

    fn rule(&self, name: &str) -> RuleUsage {
        let rules = self.page().rules.into_iter();
        let mut named = rules.filter(|rule| rule.rule == name);
        named.next().unwrap_or_else(|| panic!("no rule {name}"))
    }
}

fn names(rule: &RuleUsage) -> Vec<(&str, u64)> {
    let names = rule.names.iter();
    names.map(|it| (it.name.as_str(), it.count)).collect()
}

#[test]
fn the_page_has_the_use_of_every_rule() {
    let asked = Asked::new(RULES);
    for (second, name) in [
        (5, "A.ci.test"),
        (6, "b.ci.test"),
        (9, "a.CI.test"),
        (7, "x.test"),
        (7, "no.test"),
        (7, "few.test"),
        (7, "other.test"),
    ] {
        asked.ask(name, second);
    }
    let ci = asked.rule("ci");
    assert_eq!(ci.used, [".ci.test", "x.test"]);
    assert_eq!((ci.patterns, ci.used_complete), (3, true));
    assert_eq!(names(&ci), [("a.ci.test", 2), ("b.ci.test", 1)]);
    assert_eq!((ci.distinct_names, ci.names_complete), (2, true));
    assert_eq!(ci.types, ["A"]);
    let time = |stamp: Option<jiff::Timestamp>| stamp.map(|it| it.as_second() - 1_000_000);
    assert_eq!((time(ci.first), time(ci.last)), (Some(5), Some(7)));
    let queries = ci.queries.iter();
    let queries: Vec<_> = queries
        .map(|it| (&*it.group, &*it.verdict, it.count))
        .collect();
    assert_eq!(queries, [("vpc", "answered", 4)]);
    assert_eq!(asked.rule("no").used, ["no.test"]);
    // It is for another group, so the question was denied: that is no use.
    let few = asked.rule("few");
    assert_eq!((few.last, few.used.len()), (None, 0));
    assert_eq!(
        (&*few.queries[0].verdict, few.queries[0].count),
        ("denied", 1)
    );
    let groups = asked.page().groups.into_iter();
    let groups: Vec<_> = groups.map(|it| (it.group, it.queries)).collect();
    assert_eq!(groups, [("vpc".to_owned(), 7), ("build".to_owned(), 0)]);
}

#[test]
fn the_target_of_an_alias_is_used() {
    let asked = Asked::new(RULES);
    asked.ask("w.z.test", 3);
    assert_eq!(asked.rule("zone z.test").used, [".z.test"]);
    let ci = asked.rule("ci");
    assert_eq!(ci.used, [".ci.test"]);
    assert_eq!(names(&ci), [], "nobody asked for it");
    assert!(ci.last.is_some() && ci.aliases && ci.alias_target && !ci.aliases_outside);
}

#[test]
fn a_reload_keeps_what_is_the_same_rule() {
    let asked = Asked::new(RULES);
    asked.ask("a.ci.test", 5);
    asked.ask("y.test", 6);
    let changed = RULES.replace("y.test]", "y.test, new.test]");
    let asked = asked.reload(&changed.replace("name: no,", "name: nay,"), 100);
    asked.ask("b.ci.test", 110);
    let ci = asked.rule("ci");
    assert_eq!(ci.used, [".ci.test", "y.test"]);
    assert_eq!(names(&ci), [("a.ci.test", 1), ("b.ci.test", 1)]);
    let time = |stamp: jiff::Timestamp| stamp.as_second() - 1_000_000;
    assert_eq!(ci.last.map(time), Some(110));
    assert_eq!(ci.first.map(time), Some(5));
    assert_eq!((time(ci.since), time(ci.names_since)), (0, 100));
    assert_eq!(ci.queries[0].count, 3);
    assert_eq!(time(asked.rule("nay").since), 100);
    // Each generation carries what the one before it had carried.
    let asked = asked.reload(RULES, 200).reload(RULES, 300);
    assert_eq!(asked.rule("ci").used, [".ci.test", "y.test"]);
    assert_eq!(asked.rule("ci").queries[0].count, 3);
}

#[test]
fn a_restart_goes_on_from_the_state_file() {
    let before = Asked::new(RULES);
    before.ask("a.ci.test", 5);
    before.ask("x.test", 5);
    let page = before.page();
    let telemetry = Telemetry::start(&LogSettings::default()).expect("started");
    telemetry.restore_usage(Some(page.clone()), "/state/usage.json".to_owned());
    let after = Asked::with(telemetry, 1, RULES, 500);
    after.ask("a.ci.test", 600);
    assert_eq!(after.page().since, page.since);
    assert_eq!(after.page().kept_in.as_deref(), Some("/state/usage.json"));
    assert_eq!(after.page().groups[0].queries, 3);
    let ci = after.rule("ci");
    assert_eq!(ci.used, [".ci.test", "x.test"]);
    assert_eq!(names(&ci), [("a.ci.test", 2)]);
    assert_eq!(ci.queries[0].count, 3);
    assert_eq!(ci.since, page.since);
}

#[test]
fn a_clock_that_jumps_puts_no_use_into_the_future() {
    let asked = Asked::new(RULES);
    asked.ask("x.test", 1 << 40);
    let page = asked.page();
    assert!(asked.rule("ci").last.expect("used") <= page.now);
    asked.ask("x.test", 7);
    let last = asked.rule("ci").last.expect("used");
    assert_eq!(last.as_second(), 1_000_007, "the next use is right again");
}

#[test]
fn a_flood_of_names_is_bounded_within_a_second() {
    let asked = Asked::new(RULES);
    for at in 0..1_500 {
        asked.ask(&format!("n{at}.ci.test"), 5);
    }
    let page = asked.page();
    assert_eq!(page.unlooked, 500);
    let ci = asked.rule("ci");
    assert_eq!((ci.names.len(), ci.distinct_names), (1_000, 1_000));
    asked.ask("n1499.ci.test", 6);
    let ci = asked.rule("ci");
    assert_eq!((ci.distinct_names, ci.names_complete), (1_001, false));
}

#[test]
fn metrics_have_the_use_of_rules() {
    let asked = Asked::new(RULES);
    asked.ask("x.test", 5);
    let page = asked.telemetry.metrics().expect("a page");
    let page = String::from_utf8(page).expect("text");
    for line in [
        "dnsgate_rule_queries_total{rule=\"ci\",group=\"vpc\",verdict=\"answered\"} 1",
        "dnsgate_rule_last_used_timestamp_seconds{rule=\"ci\"} 1000005",
        "dnsgate_rule_last_used_timestamp_seconds{rule=\"no\"} 0",
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
}
