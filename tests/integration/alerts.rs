//! The alert rules of `deploy` use metrics that exist, and each alert has a test in which it fires. promtool runs those tests:
//! `deploy/prometheus-rules.test.yml` and `deploy/prometheus-rules-days.test.yml`.

use std::{collections::BTreeSet, fs, path::Path};

use dnsgate::telemetry::families;

const RULES: &str = include_str!("../../deploy/prometheus-rules.yml");
const TESTS: &str = include_str!("../../deploy/prometheus-rules.test.yml");
/// Where a runbook is linked to; the placeholder is the reader's copy of the repository.
const RUNBOOKS: &str = "https://github.com/ORGANISATION/dnsgate/blob/main/docs/runbooks/";
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

#[test]
fn every_alert_links_to_a_runbook_and_every_runbook_is_of_an_alert() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect(name);
    let index = read("README.md");
    let mut pages = BTreeSet::from(["README.md".to_owned()]);
    for rule in RULES.split("- alert: ").skip(1) {
        let alert = rule.lines().next().expect("a name");
        let page = format!("{alert}.md");
        let url = format!("runbook_url: {RUNBOOKS}{page}\n");
        assert!(rule.contains(&url), "{alert}: no {url}");
        let text = read(&page);
        assert!(text.starts_with(&format!("# {alert}\n")), "{page}");
        for part in [
            "**Severity**: ",
            "## Look\n",
            "## Do\n\n1. ",
            "\nThe alert ends ",
        ] {
            assert!(text.contains(part), "{page}: no {part}");
        }
        let severity = |text: &str| text.contains("severity: page");
        let told = text.contains("**Severity**: page");
        assert_eq!(severity(rule), told, "{page} has another severity");
        assert!(
            index.contains(&format!("[{alert}]({page})")),
            "{page} is not listed"
        );
        pages.insert(page);
    }
    let known: Vec<&str> = families().map(|family| family.name).collect();
    let entries = fs::read_dir(&folder).expect("a folder");
    for entry in entries {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("UTF-8");
        assert!(pages.contains(name), "{name} is of no alert");
        for metric in metrics(&read(name)) {
            assert!(known.contains(&metric), "{name}: {metric}");
        }
    }
}
