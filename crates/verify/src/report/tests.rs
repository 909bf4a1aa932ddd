//! The report as it is printed.

use super::*;

fn report() -> VerifyReport {
    let finding = |outcome, seen: &str, remedy| Finding {
        outcome,
        seen: seen.to_owned(),
        remedy,
    };
    VerifyReport {
        findings: vec![
            (
                "bucket b".to_owned(),
                finding(CheckResult::Pass, "1 object, 1 page", None),
            ),
            (
                "denied x".to_owned(),
                finding(CheckResult::Fail, "\x1b[2Jodd", Some("do this")),
            ),
            (
                "name p".to_owned(),
                finding(CheckResult::Skipped, "elsewhere", None),
            ),
        ],
        bucket: Some("b".to_owned()),
        file_names: vec!["one".to_owned()],
        check_connection: Some(false),
        not_tried: vec!["ICMP", "NTP (udp:123)"],
    }
}

#[test]
fn report_as_table_and_as_json() {
    let table = "\
pass     bucket b  1 object, 1 page
FAIL     denied x   [2Jodd
         -> do this
skipped  name p    elsewhere

NOT proved: 1 passed, 1 failed, 1 skipped
not tried: ICMP; NTP (udp:123)
";
    assert_eq!(report().table(), table);
    let json = report().json(Duration::from_millis(1500));
    let want = serde_json::json!({
        "passed": false,
        "seconds": 1.5,
        "bucket": "b",
        "file_names": ["one"],
        "check_connection": false,
        "not_tried": ["ICMP", "NTP (udp:123)"],
        "checks": [
            { "check": "bucket b", "result": "pass", "seen": "1 object, 1 page", "remedy": null },
            { "check": "denied x", "result": "fail", "seen": "\u{1b}[2Jodd", "remedy": "do this" },
            { "check": "name p", "result": "skipped", "seen": "elsewhere", "remedy": null },
        ],
    });
    assert_eq!(json, want);
    let mut good = report();
    good.findings
        .retain(|(_, finding)| finding.outcome != CheckResult::Fail);
    assert!(good.passed() && !report().passed());
    good.findings
        .retain(|(_, finding)| finding.outcome == CheckResult::Skipped);
    assert!(!good.passed(), "nothing was proved");
}

#[test]
fn metrics_hold_the_last_round() {
    let exporter = Exporter::new().expect("families that agree");
    let page = || String::from_utf8(exporter.page().expect("a page")).expect("UTF-8");
    let mut report = report();
    exporter.set(&report, Duration::from_secs(9), Duration::from_secs(2));
    let first = page();
    for line in [
        "dnsgate_verify_check{check=\"bucket b\"} 1",
        "dnsgate_verify_check{check=\"denied x\"} 0",
        "dnsgate_verify_passed 0",
        "dnsgate_verify_last_run_timestamp_seconds 9",
        "dnsgate_verify_duration_seconds 2",
    ] {
        assert!(first.lines().any(|it| it == line), "{line}: {first}");
    }
    assert!(!first.contains("name p"), "{first}");
    report.findings.truncate(1);
    exporter.set(&report, Duration::from_secs(10), Duration::from_secs(1));
    let second = page();
    assert!(second.contains("dnsgate_verify_passed 1"), "{second}");
    assert!(!second.contains("denied x"), "{second}");
}
