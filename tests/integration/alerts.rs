//! The alert rules of `deploy` use metrics that exist, and each alert has a test in which it fires. promtool runs those tests:
//! `deploy/prometheus-rules.test.yml` and `deploy/prometheus-rules-days.test.yml`.

use dnsgate::telemetry::families;

const RULES: &str = include_str!("../../deploy/prometheus-rules.yml");
const TESTS: &str = include_str!("../../deploy/prometheus-rules.test.yml");
const TESTS_OF_DAYS: &str = include_str!("../../deploy/prometheus-rules-days.test.yml");

/// Every word of the text that begins like one of our metrics.
fn metrics(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("dnsgate_")).collect()
}

#[test]
fn alerts_use_metrics_that_exist() {
    let known: Vec<&str> = families().map(|family| family.name).collect();
    for (text, least) in [(RULES, 15), (TESTS, 15), (TESTS_OF_DAYS, 2)] {
        let used = metrics(text);
        assert!(used.len() >= least, "{used:?}");
        for metric in used {
            let family = metric.strip_suffix("_count").unwrap_or(metric);
            assert!(known.contains(&family), "{metric} is no metric of ours");
        }
    }
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    for line in RULES.lines() {
        if let Some(alert) = line.trim().strip_prefix("- alert: ") {
            assert!(
                TESTS.contains(&format!("alertname=\"{alert}\"")),
                "{alert} is never shown firing"
            );
        }
    }
}
