use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::channel,
    time::{Instant, UNIX_EPOCH},
};

use dnsgate_config::LogQueries;
use dnsgate_core::{
    dns::{Rcode, RecordType, Transport},
    engine::{Ending, FilterCheck, GroupId, Outcome, Reason, RuleId, Snapshot},
};

use super::*;

mod exposition;
mod reloads;
mod shared;

/// A DNS query for `x. A`.
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01x\0\0\x01\0\x01";

fn telemetry() -> Telemetry {
    let settings = LogSettings {
        queries: LogQueries::None,
        ..LogSettings::default()
    };
    Telemetry::start_into(&settings, Box::new(io::sink())).expect("starts")
}

fn labels(groups: &[&str], rules: &[&str]) -> Labels {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Labels {
        groups: owned(groups),
        rules: owned(rules),
        upstreams: Vec::new(),
    }
}

/// Telemetry with generation 1 loaded: groups build and web, rules github and no-gists.
fn loaded() -> Telemetry {
    let telemetry = telemetry();
    let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
    telemetry.loaded(1, labels(&["build", "web"], &["github", "no-gists"]), at);
    telemetry
}

fn event(outcome: Outcome, transport: Transport) -> FinishedQuery<'static> {
    FinishedQuery {
        rejected: None,
        outcome,
        transport,
        source: SocketAddr::from(([10, 0, 0, 5], 4242)),
        query: QUERY,
        reply: &[],
        time: UNIX_EPOCH,
        latency: Latency::Known(Duration::from_micros(30)),
        generation: 1,
    }
}

/// The page as a map from series to value.
fn series(telemetry: &Telemetry) -> BTreeMap<String, f64> {
    let page = String::from_utf8(telemetry.metrics().expect("a page")).expect("UTF-8");
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("series and value");
            (series.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

/// The sum of all series that begin so.
fn sum(series: &BTreeMap<String, f64>, start: &str) -> f64 {
    let matching = series.iter().filter(|(name, _)| name.starts_with(start));
    matching.map(|(_, value)| value).sum()
}

/// Every reason with several codes, groups, rules and types.
fn many_outcomes() -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for &reason in Reason::ALL {
        for rcode in [None, Some(Rcode::NoError), Some(Rcode::Refused)] {
            for group in [None, Some(GroupId(0)), Some(GroupId(1)), Some(GroupId(7))] {
                for rule in [None, Some(RuleId(1)), Some(RuleId(77))] {
                    for qtype in [None, Some(RecordType::HTTPS), Some(RecordType(4711))] {
                        outcomes.push(Outcome {
                            group,
                            rule,
                            qtype,
                            rcode,
                            check: (reason == Reason::Filtered).then_some(FilterCheck::Hint),
                            truncated: rcode == Some(Rcode::NoError),
                            ..Outcome::new(reason)
                        });
                    }
                }
            }
        }
    }
    outcomes
}

/// An outcome, how it came, and the series that rise by one.
type Case = (Outcome, Transport, Vec<&'static str>);

fn cases() -> Vec<Case> {
    let new = Outcome::new;
    let answer = Outcome {
        group: Some(GroupId(0)),
        qtype: Some(RecordType::A),
        rcode: Some(Rcode::NoError),
        ..new(Reason::Zone)
    };
    let blocked = Outcome {
        group: Some(GroupId(1)),
        rule: Some(RuleId(1)),
        qtype: Some(RecordType(65280)),
        rcode: Some(Rcode::NxDomain),
        ..new(Reason::Blocked)
    };
    let unknown_client = Outcome {
        qtype: Some(RecordType::AAAA),
        rcode: Some(Rcode::Refused),
        ..new(Reason::UnknownClient)
    };
    vec![
        (
            Outcome {
                truncated: true,
                ..answer
            },
            Transport::Udp,
            vec![
                r#"dnsgate_queries_total{transport="udp",group="build",verdict="answered",rcode="NOERROR",type="A"}"#,
                r#"dnsgate_truncated_total{transport="udp"}"#,
                r#"dnsgate_query_duration_seconds_count{verdict="answered"}"#,
            ],
        ),
        (
            blocked,
            Transport::Tcp,
            vec![
                r#"dnsgate_queries_total{transport="tcp",group="web",verdict="denied",rcode="NXDOMAIN",type="other"}"#,
                r#"dnsgate_denied_total{group="web",rule="no-gists",reason="blocked"}"#,
                r#"dnsgate_query_duration_seconds_count{verdict="denied"}"#,
            ],
        ),
        (
            unknown_client,
            Transport::Udp,
            vec![
                r#"dnsgate_queries_total{transport="udp",group="none",verdict="denied",rcode="REFUSED",type="AAAA"}"#,
                r#"dnsgate_denied_total{group="none",rule="none",reason="unknown_client"}"#,
            ],
        ),
        (
            new(Reason::Short),
            Transport::Udp,
            vec![
                r#"dnsgate_queries_total{transport="udp",group="none",verdict="rejected",rcode="none",type="none"}"#,
            ],
        ),
        (
            Outcome {
                rcode: Some(Rcode::ServFail),
                ..new(Reason::Panic)
            },
            Transport::Tcp,
            vec![
                r#"dnsgate_queries_total{transport="tcp",group="none",verdict="failed",rcode="SERVFAIL",type="none"}"#,
                "dnsgate_panics_total",
            ],
        ),
    ]
}

/// The same for an answer of an upstream that may not pass.
fn filtered() -> Case {
    (
        Outcome {
            group: Some(GroupId(1)),
            rule: Some(RuleId(1)),
            qtype: Some(RecordType(65280)),
            rcode: Some(Rcode::NxDomain),
            check: Some(FilterCheck::Cname),
            ..Outcome::new(Reason::Filtered)
        },
        Transport::Udp,
        vec![
            r#"dnsgate_denied_total{group="web",rule="no-gists",reason="filtered"}"#,
            r#"dnsgate_filter_rejected_total{rule="no-gists",check="cname"}"#,
            r#"dnsgate_queries_total{transport="udp",group="web",verdict="denied",rcode="NXDOMAIN",type="other"}"#,
        ],
    )
}

#[test]
fn outcomes_become_series() {
    for (outcome, transport, want) in cases().into_iter().chain([filtered()]) {
        let telemetry = loaded();
        let before = series(&telemetry);
        telemetry.recorder().record(&event(outcome, transport));
        let after = series(&telemetry);
        for name in &want {
            let risen = after[*name] - before.get(*name).unwrap_or(&0.0);
            assert_eq!(risen, 1.0, "{name}");
        }
        for family in [
            "dnsgate_queries_total",
            "dnsgate_denied_total",
            "dnsgate_filter_rejected_total",
            "dnsgate_truncated_total",
            "dnsgate_panics_total",
        ] {
            let counted = want.iter().any(|name| name.starts_with(family));
            let risen = sum(&after, family) - sum(&before, family);
            assert_eq!(risen, f64::from(u8::from(counted)), "{family} {outcome:?}");
        }
    }
}

#[test]
fn every_query_is_in_exactly_one_series() {
    let telemetry = loaded();
    let mut recorders = [
        telemetry.recorder(),
        telemetry.recorder(),
        telemetry.recorder(),
    ];
    let outcomes = many_outcomes();
    for (at, outcome) in outcomes.iter().enumerate() {
        let recorder = &mut recorders[at % 3];
        recorder.record(&event(*outcome, Transport::ALL[at % 2]));
    }
    let series = series(&telemetry);
    assert_eq!(
        sum(&series, "dnsgate_queries_total{"),
        outcomes.len() as f64
    );
    let count = |wanted: &dyn Fn(&&Outcome) -> bool| outcomes.iter().filter(wanted).count() as f64;
    for ending in Ending::ALL {
        let of_ending = count(&|outcome| outcome.ending() == ending);
        let label = format!(r#"verdict="{}""#, ending.as_str());
        let in_queries: f64 = series
            .iter()
            .filter(|(name, _)| name.starts_with("dnsgate_queries_total{") && name.contains(&label))
            .map(|(_, value)| value)
            .sum();
        assert_eq!(in_queries, of_ending, "{ending:?}");
        let histogram = format!("dnsgate_query_duration_seconds_count{{{label}}}");
        assert_eq!(series[&histogram], of_ending);
    }
    let denied = count(&|outcome| outcome.ending() == Ending::Denied);
    assert_eq!(sum(&series, "dnsgate_denied_total{"), denied);
    let panics = count(&|outcome| outcome.reason == Reason::Panic);
    assert_eq!(series["dnsgate_panics_total"], panics);
    let limited = count(&|outcome| outcome.reason == Reason::RateLimited);
    let shed = r#"dnsgate_shed_total{why="per_client_qps"}"#;
    assert_eq!(series[shed], limited);
    let filtered = count(&|outcome| outcome.reason == Reason::Filtered);
    assert_eq!(sum(&series, "dnsgate_filter_rejected_total{"), filtered);
    let truncated = count(&|outcome| outcome.truncated);
    assert_eq!(sum(&series, "dnsgate_truncated_total{"), truncated);
}

#[test]
fn queries_that_end_on_any_thread_are_counted_by_that_thread() {
    let (telemetry, other) = (loaded(), loaded());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..5 {
                    telemetry.record(&event(Outcome::new(Reason::Upstream), Transport::Tcp));
                }
                other.record(&event(Outcome::new(Reason::Upstream), Transport::Tcp));
            });
        }
    });
    let queries = |telemetry| sum(&series(telemetry), "dnsgate_queries_total{");
    assert_eq!((queries(&telemetry), queries(&other)), (15.0, 3.0));
}

#[test]
fn latencies_fall_into_cumulative_buckets() {
    let telemetry = loaded();
    let mut recorder = telemetry.recorder();
    for micros in [1, 10, 11, 3_000_000, 9_000_000] {
        recorder.record(&FinishedQuery {
            latency: Latency::Known(Duration::from_micros(micros)),
            ..event(Outcome::new(Reason::Zone), Transport::Udp)
        });
    }
    let series = series(&telemetry);
    for (bound, count) in [
        ("0.00001", 2.0),
        ("0.000025", 3.0),
        ("2", 3.0),
        ("4", 4.0),
        ("+Inf", 5.0),
    ] {
        let name =
            format!(r#"dnsgate_query_duration_seconds_bucket{{verdict="answered",le="{bound}"}}"#);
        assert_eq!(series[&name], count, "{name}");
    }
    let total = series[r#"dnsgate_query_duration_seconds_sum{verdict="answered"}"#];
    assert!((total - 12.000_022).abs() < 1e-9, "{total}");
}

#[test]
fn the_queries_of_a_batch_took_as_long_as_the_batch() {
    let telemetry = loaded();
    let mut recorder = telemetry.recorder();
    for reason in [Reason::Zone, Reason::Zone, Reason::NoRule] {
        recorder.record(&FinishedQuery {
            latency: Latency::Batch {
                since: point(),
                clock: || panic!("nothing is logged"),
            },
            ..event(Outcome::new(reason), Transport::Udp)
        });
    }
    let took = |label: &str| {
        let series = series(&telemetry);
        let of =
            |part| series[&format!("dnsgate_query_duration_seconds_{part}{{verdict=\"{label}\"}}")];
        ((of("sum") * 1e6_f64).round(), of("count"))
    };
    assert_eq!(took("answered"), (0.0, 0.0), "the batch goes on");
    recorder.batch_took(Duration::from_micros(30));
    assert_eq!(took("answered"), (60.0, 2.0));
    assert_eq!(took("denied"), (30.0, 1.0));
    recorder.batch_took(Duration::from_micros(30));
    assert_eq!(took("denied"), (30.0, 1.0), "they were counted once");
}

#[expect(clippy::disallowed_methods, reason = "a point to count from")]
fn point() -> Instant {
    Instant::now()
}

#[test]
fn what_one_alerts_on_is_there_at_zero() {
    let telemetry = loaded();
    let _corp = telemetry.upstream("corp", &["udp://a".to_owned()]);
    let series = series(&telemetry);
    for name in [
        r#"dnsgate_queries_total{transport="tcp",group="web",verdict="answered",rcode="NOERROR",type="AAAA"}"#,
        r#"dnsgate_denied_total{group="build",rule="none",reason="no_rule"}"#,
        r#"dnsgate_denied_total{group="none",rule="none",reason="unknown_client"}"#,
        r#"dnsgate_query_duration_seconds_count{verdict="failed"}"#,
        r#"dnsgate_reload_total{result="rejected"}"#,
        r#"dnsgate_shed_total{why="connection_evicted"}"#,
        r#"dnsgate_shed_total{why="in_flight"}"#,
        r#"dnsgate_shed_total{why="coalesced"}"#,
        r#"dnsgate_upstream_queries_total{upstream="corp",server="udp://a",result="timeout"}"#,
        r#"dnsgate_upstream_rtt_seconds_count{upstream="corp",server="udp://a"}"#,
        r#"dnsgate_upstream_mismatch_total{upstream="corp",server="udp://a"}"#,
        r#"dnsgate_upstream_looping{upstream="corp"}"#,
        r#"dnsgate_upstream_hedged_total{upstream="corp"}"#,
        r#"dnsgate_upstream_coalesced_total{upstream="corp"}"#,
        "dnsgate_cache_misses_total",
        "dnsgate_in_flight",
        "dnsgate_tcp_closed_total",
        "dnsgate_panics_total",
        "dnsgate_log_dropped_total",
        "dnsgate_ready",
    ] {
        assert_eq!(series.get(name), Some(&0.0), "{name}");
    }
    assert_eq!(series["dnsgate_snapshot_generation"], 1.0);
    assert_eq!(
        series["dnsgate_snapshot_loaded_timestamp_seconds"],
        1_700_000_000.5
    );
    assert_eq!(sum(&series, "dnsgate_build_info{"), 1.0);
    assert_eq!(sum(&series, "dnsgate_queries_total"), 0.0);
}

#[test]
fn only_what_is_observed_is_on_record_under_the_labels_of_its_generation() {
    let telemetry = loaded();
    let mut recorder = telemetry.recorder();
    let observed = |generation| FinishedQuery {
        generation,
        ..event(
            Outcome {
                group: Some(GroupId(0)),
                rule: Some(RuleId(1)),
                qtype: Some(RecordType::A),
                ..Outcome::new(Reason::Observed)
            },
            Transport::Udp,
        )
    };
    recorder.record(&observed(1));
    telemetry.loaded(2, labels(&["lab"], &["a", "b"]), UNIX_EPOCH);
    recorder.record(&observed(2));
    recorder.record(&observed(1));
    for &reason in Reason::ALL {
        if reason != Reason::Observed {
            let mut event = observed(2);
            event.outcome.reason = reason;
            recorder.record(&event);
        }
    }
    let page = telemetry.observed();
    assert_eq!(page.generation, 2);
    let shown: Vec<_> = page
        .observed
        .iter()
        .map(|it| {
            (
                it.name.as_str(),
                it.group.as_str(),
                it.rule.as_deref(),
                it.count,
            )
        })
        .collect();
    let build = ("x", "build", Some("no-gists"), 2);
    assert_eq!(shown, [build, ("x", "lab", Some("b"), 1)]);
}
