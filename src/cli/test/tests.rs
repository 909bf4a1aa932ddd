//! Reports as they are printed, and the samples that ship.

use std::time::Duration;

use super::*;

/// 2027-01-01T00:00:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_761_600)
}

#[test]
fn every_sample_has_tests_and_passes_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let entries = fs::read_dir(folder).expect("config");
    let files: Vec<_> = entries
        .map(|entry| entry.expect("entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    assert!(files.len() >= 3);
    for suite in suites(&files, now()).iter().chain(&suites(&[], now())) {
        assert_eq!(suite.invalid, None, "{}", suite.file);
        assert!(!suite.results.is_empty(), "{} has no tests", suite.file);
        let bad: Vec<_> = suite
            .results
            .iter()
            .filter(|ran| ran.failure.is_some() || ran.warning.is_some())
            .collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
}

/// A directory with a configuration that passes in part, one that is not valid, and one without
/// tests; run in that order.
fn three() -> (tempfile::TempDir, Vec<Suite>) {
    let dir = tempfile::tempdir().expect("directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect(name);
        path
    };
    let some = write(
        "some.yaml",
        "rules: [{name: x, domains: [x.test], records: [A 10.0.0.5], until: 2027-01-31}]\n\
         tests:\n  - {ask: x.test, from: 10.0.0.1, expect: {rule: x}}\n",
    );
    let beside = write(
        "some.test.yaml",
        "tests:\n  - {ask: \"x.test TXT\", from: 10.0.0.1, expect: {contains: ['x.test TXT \"<&\"']}}\n",
    );
    let bad = write("bad.yaml", "rulez: [\"<&>\"]\n");
    let none = write("none.yaml", "");
    let files = [some.clone(), beside, bad, none, some];
    let mut suites = suites(&files, now());
    // Directories of tests have names of their own.
    let at = format!("{}/", dir.path().display());
    for suite in &mut suites {
        suite.file = suite.file.replace(&at, "");
        if let Some(text) = &mut suite.invalid {
            *text = text.replace(&at, "");
        }
        for ran in &mut suite.results {
            ran.name = ran.name.replace(&at, "");
            if let Some(text) = &mut ran.warning {
                *text = text.replace(&at, "");
            }
        }
    }
    (dir, suites)
}

#[test]
fn report_lists_failures_and_counts() {
    let (_dir, suites) = three();
    assert_eq!(
        report(&suites),
        r#"some.yaml:3: x.test. A from 10.0.0.1: warning: its rule ends 2027-02-01T00:00:00Z, and the outcome changes then; write `at:`
FAILED some.test.yaml:2: x.test. TXT from 10.0.0.1: wanted record x.test TXT "<&"; seen no records
some.yaml: 1 passed, 1 failed
bad.yaml:1:1: error: the configuration has no key `rulez`
  rulez: ["<&>"]
  ^
  help: did you mean `rules`?
bad.yaml: not valid, nothing tested
none.yaml: no tests
2 tests: 1 passed, 1 failed, 1 file not valid
"#
    );
}

#[test]
fn junit_is_well_formed_and_agrees_with_the_report() {
    let (_dir, mut suites) = three();
    assert_eq!(
        junit::document(&suites),
        r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="some.yaml" tests="2" failures="1" errors="0">
    <testcase classname="some.yaml" name="some.yaml:3: x.test. A from 10.0.0.1"/>
    <testcase classname="some.yaml" name="some.test.yaml:2: x.test. TXT from 10.0.0.1"><failure message="wanted record x.test TXT &quot;&lt;&amp;&quot;; seen no records"/></testcase>
  </testsuite>
  <testsuite name="bad.yaml" tests="1" failures="0" errors="1">
    <testcase classname="bad.yaml" name="the configuration is valid"><error message="not valid">bad.yaml:1:1: error: the configuration has no key `rulez`&#10;  rulez: [&quot;&lt;&amp;&gt;&quot;]&#10;  ^&#10;  help: did you mean `rules`?</error></testcase>
  </testsuite>
  <testsuite name="none.yaml" tests="0" failures="0" errors="0">
  </testsuite>
</testsuites>
"#
    );
    // Whatever a name or a failure has in it.
    for text in [
        "\"'<>&",
        "]]>",
        "<!--",
        "\0\x1b[31m\u{7f}\u{85}\u{fffe}\u{ffff}",
        "\t\r\n",
        "ä\u{10ffff}",
    ] {
        suites[0].file = text.to_owned();
        suites[0].results[0].failure = Some(text.to_owned());
        suites[1].invalid = Some(text.to_owned());
        let xml = junit::document(&suites);
        assert_eq!(well_formed(&xml), Ok(()), "{text:?}\n{xml}");
    }
    for bad in [
        "<a>",
        "<a></b>",
        "<a b=\"<\"/>",
        "<a b=c/>",
        "<a>&</a>",
        "<a>&x;</a>",
        "<a>\u{1}</a>",
        "<a/><b/>",
    ] {
        assert!(well_formed(bad).is_err(), "{bad:?}");
    }
}

/// Whether a text is one XML element, of what our documents have: elements, attributes in double
/// quotes, references.
fn well_formed(text: &str) -> Result<(), String> {
    let mut rest = text
        .split_once("?>\n")
        .map_or(text, |(_, body)| body)
        .trim_end();
    let mut open: Vec<&str> = Vec::new();
    let mut roots = 0;
    while let Some((before, after)) = rest.split_once('<') {
        chars(before)?;
        let (tag, behind) = after.split_once('>').ok_or("an open tag")?;
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}>"));
            }
            continue;
        }
        roots += usize::from(open.is_empty());
        let (tag, is_empty) = tag
            .strip_suffix('/')
            .map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        while !attributes.is_empty() {
            let (key, value) = attributes.split_once("=\"").ok_or("no value")?;
            let (value, more) = value.split_once('"').ok_or("an open value")?;
            if value.contains('<') || !key.bytes().all(|b| b.is_ascii_lowercase()) {
                return Err(format!("{key}={value}"));
            }
            chars(value)?;
            attributes = more.trim_start();
        }
        if !is_empty {
            open.push(name);
        }
    }
    if !open.is_empty() || roots != 1 || !rest.is_empty() {
        return Err(format!("{open:?} {roots} {rest:?}"));
    }
    Ok(())
}

fn chars(text: &str) -> Result<(), String> {
    if let Some(bad) = text.chars().find(|&c| {
        (c.is_control() && !matches!(c, '\t' | '\n')) || matches!(c, '\u{fffe}' | '\u{ffff}')
    }) {
        return Err(format!("{bad:?}"));
    }
    for reference in text.split('&').skip(1) {
        let name = reference.split_once(';').map_or("", |(name, _)| name);
        if !["amp", "lt", "gt", "quot", "apos", "#9", "#10", "#13"].contains(&name) {
            return Err(format!("&{reference}"));
        }
    }
    Ok(())
}
