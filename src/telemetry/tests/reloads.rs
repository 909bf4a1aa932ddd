//! Counters over reloads, and while they are read.

use super::*;

#[test]
fn counters_do_not_go_backward_over_a_reload() {
    let telemetry = loaded();
    let [mut first, mut second] = [telemetry.recorder(), telemetry.recorder()];
    let filtered = |group, rule, generation| FinishedQuery {
        generation,
        ..event(
            Outcome {
                group: Some(GroupId(group)),
                rule: Some(RuleId(rule)),
                check: Some(FilterCheck::Hint),
                ..Outcome::new(Reason::Filtered)
            },
            Transport::Udp,
        )
    };
    first.record(&filtered(0, 1, 1));
    second.record(&filtered(1, 0, 1));

    // The places change, build keeps its name, web goes, no-gists keeps its name.
    telemetry.loaded(2, labels(&["lab", "build"], &["no-gists"]), UNIX_EPOCH);
    first.record(&filtered(1, 0, 2));
    // A query that began before the reload, in a worker that has seen the new generation.
    first.record(&filtered(1, 0, 1));
    drop(second);

    let series = series(&telemetry);
    let denied = |group: &str, rule: &str| {
        let name =
            format!(r#"dnsgate_denied_total{{group="{group}",rule="{rule}",reason="filtered"}}"#);
        series.get(&name).copied().unwrap_or(0.0)
    };
    assert_eq!(denied("build", "no-gists"), 2.0, "of both configurations");
    assert_eq!(
        denied("web", "github"),
        2.0,
        "of generation 1, one of them late"
    );
    for (rule, count) in [("no-gists", 2.0), ("github", 2.0)] {
        let name = format!(r#"dnsgate_filter_rejected_total{{rule="{rule}",check="hint"}}"#);
        assert_eq!(series[&name], count, "{rule}");
    }
    assert_eq!(sum(&series, "dnsgate_denied_total"), 4.0);
    assert_eq!(sum(&series, "dnsgate_queries_total"), 4.0);
    assert_eq!(sum(&series, "dnsgate_query_duration_seconds_count"), 4.0);
    assert_eq!(series["dnsgate_snapshot_generation"], 2.0);
}

#[test]
fn a_query_of_a_configuration_long_gone_is_counted_as_other() {
    let telemetry = loaded();
    let mut recorder = telemetry.recorder();
    for generation in 1..=100 {
        let group = format!("group-{generation}");
        telemetry.loaded(generation, labels(&[&group], &[]), UNIX_EPOCH);
        recorder.record(&FinishedQuery {
            generation,
            ..event(
                Outcome {
                    group: Some(GroupId(0)),
                    ..Outcome::new(Reason::Zone)
                },
                Transport::Udp,
            )
        });
    }
    // Far too late: nobody knows the labels any more, but the query is counted.
    recorder.record(&FinishedQuery {
        generation: 3,
        ..event(
            Outcome {
                group: Some(GroupId(0)),
                ..Outcome::new(Reason::Zone)
            },
            Transport::Udp,
        )
    });
    let series = series(&telemetry);
    assert_eq!(sum(&series, "dnsgate_queries_total"), 101.0);
    assert_eq!(
        series[r#"dnsgate_queries_total{transport="udp",group="other",verdict="answered",rcode="none",type="none"}"#],
        1.0
    );
}

#[test]
fn a_scrape_while_workers_write_sees_counters_rise() {
    const EACH: usize = 20_000;
    let telemetry = loaded();
    std::thread::scope(|scope| {
        let (done, workers) = channel();
        for _ in 0..2 {
            let (telemetry, done) = (telemetry.clone(), done.clone());
            scope.spawn(move || {
                let mut recorder = telemetry.recorder();
                for _ in 0..EACH {
                    recorder.record(&event(Outcome::new(Reason::NoRule), Transport::Udp));
                }
                let _ = done.send(());
            });
        }
        drop(done);
        let (mut last, mut ended) = (0.0, 0);
        while ended < 2 {
            ended += workers.try_iter().count();
            let now = sum(&series(&telemetry), "dnsgate_queries_total");
            assert!(now >= last, "{now} after {last}");
            last = now;
        }
    });
    let series = series(&telemetry);
    assert_eq!(sum(&series, "dnsgate_queries_total"), 2.0 * EACH as f64);
}
