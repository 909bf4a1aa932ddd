//! Counters that threads share, those of upstreams, and numbers that others keep.

use super::*;

#[test]
fn shared_counters_show() {
    let telemetry = loaded();
    let shared = telemetry.shared();
    for _ in 0..3 {
        shared.tcp_opened();
    }
    shared.tcp_closed();
    shared.reply_lost();
    shared.unanswerable();
    shared.shed(Shed::Refused);
    shared.tcp_limited(TcpLimit::Pipeline);
    shared.reloaded(Reload::Rejected);
    telemetry.health().ready();
    let series = series(&telemetry);
    for (name, value) in [
        ("dnsgate_tcp_connections", 2.0),
        ("dnsgate_tcp_accepted_total", 3.0),
        ("dnsgate_tcp_closed_total", 1.0),
        ("dnsgate_replies_lost_total", 1.0),
        ("dnsgate_unanswerable_total", 1.0),
        (r#"dnsgate_shed_total{why="connection_refused"}"#, 1.0),
        (r#"dnsgate_shed_total{why="per_client_qps"}"#, 0.0),
        (r#"dnsgate_tcp_limited_total{limit="tcp_pipeline"}"#, 1.0),
        (
            r#"dnsgate_tcp_limited_total{limit="tcp_idle_timeout"}"#,
            0.0,
        ),
        (r#"dnsgate_tcp_limited_total{limit="tcp_unread"}"#, 0.0),
        ("dnsgate_tcp_unread_bytes", 0.0),
        (r#"dnsgate_reload_total{result="rejected"}"#, 1.0),
        ("dnsgate_ready", 1.0),
    ] {
        assert_eq!(series[name], value, "{name}");
    }
}

#[test]
fn upstreams_show_as_long_as_they_are_held() {
    let telemetry = loaded();
    telemetry.health().ready();
    let corp = telemetry.upstream("corp", &["udp://a", "tls://b"].map(str::to_owned));
    for (rtt, result) in [
        (Some(300), UpstreamQueryResult::Answered),
        (Some(3_000_000), UpstreamQueryResult::ErrorCode),
        (None, UpstreamQueryResult::Timeout),
        (None, UpstreamQueryResult::Timeout),
    ] {
        corp.asked(1, result, rtt.map(Duration::from_micros));
    }
    corp.mismatched(1);
    corp.up(1, false);
    corp.looping(0, true);
    corp.hedged();
    corp.coalesced();
    corp.refused(UpstreamRefusal::Down);
    let shown = series(&telemetry);
    let server = r#"upstream="corp",server="tls://b""#;
    for (name, value) in [
        (
            format!(r#"queries_total{{{server},result="answered"}}"#),
            1.0,
        ),
        (
            format!(r#"queries_total{{{server},result="error_code"}}"#),
            1.0,
        ),
        (
            format!(r#"queries_total{{{server},result="timeout"}}"#),
            2.0,
        ),
        (
            format!(r#"rtt_seconds_bucket{{{server},le="0.00025"}}"#),
            0.0,
        ),
        (
            format!(r#"rtt_seconds_bucket{{{server},le="0.0005"}}"#),
            1.0,
        ),
        (format!(r#"rtt_seconds_bucket{{{server},le="2"}}"#), 1.0),
        (format!("rtt_seconds_count{{{server}}}"), 2.0),
        (format!("rtt_seconds_sum{{{server}}}"), 3.000_3),
        (format!("mismatch_total{{{server}}}"), 1.0),
        (format!("up{{{server}}}"), 0.0),
        (r#"up{upstream="corp",server="udp://a"}"#.to_owned(), 1.0),
        (r#"looping{upstream="corp"}"#.to_owned(), 1.0),
        (r#"hedged_total{upstream="corp"}"#.to_owned(), 1.0),
        (r#"coalesced_total{upstream="corp"}"#.to_owned(), 1.0),
        (
            r#"refused_total{upstream="corp",why="down"}"#.to_owned(),
            1.0,
        ),
        (
            r#"refused_total{upstream="corp",why="looping"}"#.to_owned(),
            0.0,
        ),
    ] {
        assert_eq!(shown[&format!("dnsgate_upstream_{name}")], value, "{name}");
    }
    assert_eq!(sum(&shown, "dnsgate_upstream_queries_total"), 4.0);
    assert_eq!(shown["dnsgate_ready"], 1.0, "whatever upstreams do");
    drop(corp);
    let shown = series(&telemetry);
    assert!(
        !shown
            .keys()
            .any(|name| name.starts_with("dnsgate_upstream"))
    );
}

#[test]
fn numbers_that_others_keep_are_read_at_a_scrape() {
    let telemetry = loaded();
    let scrapes = std::sync::atomic::AtomicU64::new(0);
    telemetry.read_at_scrape(move || Reading {
        cache_hits: 1,
        cache_misses: 2,
        cache_stale: 3,
        cache_evictions: 4,
        cache_entries: 5,
        cache_bytes: 6,
        in_flight: scrapes.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
        tcp_unread_bytes: 7,
    });
    telemetry.read_at_scrape(Reading::default);
    assert_eq!(series(&telemetry)["dnsgate_in_flight"], 0.0);
    let series = series(&telemetry);
    for (name, value) in [
        ("cache_hits_total", 1.0),
        ("cache_misses_total", 2.0),
        ("cache_stale_total", 3.0),
        ("cache_evictions_total", 4.0),
        ("cache_entries", 5.0),
        ("cache_bytes", 6.0),
        ("in_flight", 1.0),
    ] {
        assert_eq!(series[&format!("dnsgate_{name}")], value, "{name}");
    }
}
