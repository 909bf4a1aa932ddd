//! Texts with faults, and all that is said about them: `bad.txt` has the one and the other.
//!
//! A case is a text, a line `---->`, and for each fault its place and message, indented below it
//! the help. Cases are kept apart by a line `====`.

use std::path::Path;

use super::super::parse;

const CASES: &str = include_str!("bad.txt");

/// What is said about a text, in the form of the file.
fn told(text: &str) -> String {
    let Err(report) = parse(text, "t.yaml", Path::new("/nonexistent/dnsgate")) else {
        return "valid".to_owned();
    };
    let mut told = String::new();
    for notice in report.notices() {
        assert_eq!(&*notice.file, "t.yaml");
        // As it is displayed, so that what is escaped there is escaped here.
        let shown = notice.to_string();
        let mut lines = shown.lines();
        let first = lines.next().unwrap_or_default();
        let first = first.strip_prefix("t.yaml:").unwrap_or(first);
        told.push_str(&first.replacen(": error:", "", 1));
        told.push('\n');
        if let Some(help) = lines.find(|line| line.starts_with("  help: ")) {
            told.push_str(help);
            told.push('\n');
        }
    }
    told
}

#[test]
fn every_fault_is_told_with_its_place() {
    let mut count = 0;
    for case in CASES.split("\n====\n") {
        let (text, want) = case.split_once("\n---->\n").expect(case);
        assert_eq!(told(text).trim_end(), want.trim_end(), "{text}");
        count += want
            .lines()
            .filter(|line| !line.starts_with("  help: "))
            .count();
    }
    // A table that nobody reads any more would pass, too.
    assert!(count > 100, "{count}");
}

#[test]
fn a_report_shows_the_line_and_the_place() {
    let text = "rules:\n  - { name: a, domians: [x.example], deny: true }\nadmin: 80\n";
    let report = parse(text, "gate.yaml", Path::new("")).expect_err("invalid");
    assert_eq!(
        report.to_string(),
        r#"gate.yaml:2:16: error: a rule has no key `domians`
    - { name: a, domians: [x.example], deny: true }
                 ^
  help: did you mean `domains`?
gate.yaml:3:8: error: admin "80": write an IP address with a port, such as 127.0.0.1:9153 or [::1]:9153, or off
  admin: 80
         ^"#
    );
}
