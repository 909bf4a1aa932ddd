//! Lists against the same names written under `domains`.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::{MAX_ALL, MAX_ALL_NAMES, Total};
use crate::{Config, Report, load, tests::answer};
use dnsgate_core::policy::Pattern;

/// A rule that forwards what a list has.
const GATE: &str = "\
upstreams: {public: {servers: [tls://8.8.8.8#dns.google]}}
rules: [{name: listed, domains_file: names.txt, forward: public}]
";

/// The configuration of these files, named for their paths in a directory of their own.
fn loaded(files: &[(&str, &str)]) -> Result<Config, Report> {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("room");
    }
    load(&dir.path().join("gate.yaml"))
}

/// What is wrong with these files, each notice in one line, paths without their directory.
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let report = loaded(files).expect_err("invalid");
    let told = |notice: &crate::Notice| {
        let file = Path::new(&*notice.file).file_name().unwrap_or_default();
        let (file, message) = (file.to_string_lossy(), &notice.message);
        format!("{file}:{}:{} {message}", notice.line, notice.column)
    };
    report.notices().iter().map(told).collect()
}

#[test]
fn all_lists_together_are_bounded() {
    let pattern: Pattern = "a.example".parse().expect("a pattern");
    let mut total = Total::default();
    assert_eq!(
        total.add(std::slice::from_ref(&pattern), "a.example"),
        Ok(())
    );
    for (names, bytes) in [(MAX_ALL_NAMES, 0), (0, MAX_ALL)] {
        let mut total = Total { names, bytes };
        let told = total.add(std::slice::from_ref(&pattern), "a.example");
        assert!(told.is_err_and(|told| told.starts_with("the lists of all rules have more than")));
    }
}

#[test]
fn lines_are_patterns_comments_or_nothing() {
    let list = "\u{feff}# what is needed\r\nexample.com\r\n\r\n  .Example.NET  \t# all of it\n*.example.org\n\
        #x.example\n\tlast.example#1.test\\#\n";
    let told = faults(&[("gate.yaml", GATE), ("names.txt", list)]);
    assert_eq!(
        told,
        [
            "names.txt:7:2 \"last.example#1.test\\\\#\": '#' cannot stand in a host\'s name (a name that really has it is written with a backslash, `\\#`)"
        ]
    );
    let list = list.replace("last.example#1", "last.example\\#1");
    let config = loaded(&[("gate.yaml", GATE), ("names.txt", &list)]).expect("valid");
    let forwarded = [
        "example.com",
        "example.net",
        "a.b.example.net",
        "a.example.org",
        "last.example\\#1.test\\#",
    ];
    for name in forwarded {
        assert_eq!(answer(&config, name, "A"), "forward to 0", "{name}");
    }
    for name in [
        "a.example.com",
        "example.org",
        "x.example",
        "x.test.example",
    ] {
        assert!(answer(&config, name, "A").starts_with("refused"), "{name}");
    }
}

#[test]
fn every_bad_line_is_told_and_none_skipped() {
    let list =
        "good.example\nhttp://x/\n\n  a..b # twice\n\"q.example\"\n10.0.0.1\n- dash.example\n";
    let told = faults(&[("gate.yaml", GATE), ("names.txt", list)]);
    let places: Vec<_> = told
        .iter()
        .filter_map(|told| told.split_once(' '))
        .collect();
    let want = [
        ("names.txt:2:1", "this is a URL"),
        ("names.txt:4:3", "a label is empty"),
        ("names.txt:5:1", "cannot stand in a host's name"),
        ("names.txt:6:1", "this is an address"),
        ("names.txt:7:1", "white space"),
    ];
    assert_eq!(places.len(), want.len(), "{told:?}");
    for ((place, message), (want_place, want)) in places.iter().zip(want) {
        assert_eq!(*place, want_place, "{told:?}");
        assert!(message.contains(want), "{message}");
    }
    let report = loaded(&[("gate.yaml", GATE), ("names.txt", list)]).expect_err("invalid");
    assert!(
        report.to_string().contains("names.txt:4:3: error: \"a..b\": a label is empty: there are two dots in a row, or one at the front\n    a..b # twice\n    ^"),
        "{report}"
    );
    // Of a file that is something else the first lines say enough.
    let other = "a b\n".repeat(5_000);
    let report = loaded(&[("gate.yaml", GATE), ("names.txt", &other)]).expect_err("invalid");
    assert_eq!((report.notices().len(), report.count()), (100, 5_000));
}

#[test]
fn a_list_without_a_name_is_an_error() {
    let empty = ("names.txt", "# nothing yet\n");
    assert_eq!(
        faults(&[("gate.yaml", GATE), empty]),
        ["gate.yaml:2:38 \"names.txt\" has no name, so the rule would be about none"]
    );
    // Beside names that stand in the file it may be.
    let beside = GATE.replace("domains_file", "domains: [x.example], domains_file");
    loaded(&[("gate.yaml", &beside), empty]).expect("valid");
}

#[test]
fn conflicts_and_warnings_have_their_place_in_the_list() {
    let gate = "\
upstreams: {public: {servers: [tls://8.8.8.8#dns.google]}}
rules:
  - {name: one, domains_file: one.txt, forward: public}
  - {name: two, domains: [own.example], domains_file: two.txt, forward: public}
  - {name: three, domains: [Y.example], forward: public}
";
    let one = ("one.txt", "# one\nx.example\n\n  .y.example\n");
    let two = (
        "two.txt",
        "a.example\n *.y.example\nb.example\nX.example.\n",
    );
    let told = faults(&[("gate.yaml", gate), one, two]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("two.txt:2:2 rule `two` and rule `one` (/"),
        "{told:?}"
    );
    assert!(
        told[0].contains("one.txt:4) are both about `*.y.example`"),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("two.txt:4:1 rule `two` and rule `one` (/"),
        "{told:?}"
    );

    let two = (
        "two.txt",
        "a.example\n.co.uk\n# .com\n\n github.io\n  *.github.io # all\n",
    );
    let config = loaded(&[("gate.yaml", gate), one, two]).expect("valid");
    let warnings = config.warnings(std::time::SystemTime::UNIX_EPOCH);
    let places: Vec<_> = warnings.iter().map(|it| (it.line, it.column)).collect();
    assert_eq!(places, [(2, 1), (6, 3)]);
    let shown = warnings[1].to_string();
    assert!(
        shown.contains("two.txt:6:3: warning: anybody can have a name under github.io, and `*.github.io` covers all of them\n    *.github.io # all\n    ^"),
        "{shown}"
    );
    // A list of what is denied may well be of suffixes.
    let gate = gate.replace("two.txt, forward: public", "two.txt, deny: true");
    let config = loaded(&[("gate.yaml", &gate), one, two]).expect("valid");
    assert_eq!(config.warnings(std::time::SystemTime::UNIX_EPOCH), []);
}

#[test]
fn a_changed_list_is_seen() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    fs::write(path("gate.yaml"), GATE).expect("room");
    // One that is not there is waited for, too, and so are tests beside the configuration.
    let report = load(&path("gate.yaml")).expect_err("no list");
    assert_eq!(report.files().len(), 3);
    fs::write(path("names.txt"), "x.example").expect("room");
    assert!(report.files().iter().any(crate::ReadFile::differs));
    let config = load(&path("gate.yaml")).expect("valid");
    assert!(!config.files.iter().any(crate::ReadFile::differs));
    fs::write(path("names.txt"), "y.example").expect("room");
    assert!(config.files.iter().any(crate::ReadFile::differs));
    let new = load(&path("gate.yaml")).expect("valid");
    assert_eq!(
        config.contents.changes(&new.contents).to_string(),
        "changed rule listed (names: other ones, 1 entry)"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_list_says_what_domains_say(
        patterns in prop::collection::vec("(|\\.|\\*\\.)[ab](\\.[ab]){0,2}", 1..8),
        blanks in prop::collection::vec("[ \t]{0,2}", 8),
        asked in prop::collection::vec("[abc](\\.[abc]){0,3}", 8),
    ) {
        let quoted: Vec<_> = patterns.iter().map(|pattern| format!("{pattern:?}")).collect();
        let written = GATE.replace("domains_file: names.txt", &format!("domains: [{}]", quoted.join(", ")));
        let lines = patterns.iter().zip(blanks.iter().cycle());
        let list: String = lines.map(|(pattern, blank)| format!("{blank}{pattern}{blank}\n{blank}# c\n")).collect();
        let written = loaded(&[("gate.yaml", &written)]).expect("valid");
        let listed = loaded(&[("gate.yaml", GATE), ("names.txt", &list)]).expect("valid");
        prop_assert_eq!(written.policy.pattern_count(), listed.policy.pattern_count());
        for name in &asked {
            prop_assert_eq!(answer(&written, name, "A"), answer(&listed, name, "A"), "{}", name);
        }
    }
}

#[test]
#[ignore = "a million lines for the same code; for measurements, with --release"]
fn a_million_names_are_read() {
    let list: String = (0..1_000_000)
        .map(|n| format!(".host-{n}.department-{}.example.com\n", n % 997))
        .collect();
    let config = loaded(&[("gate.yaml", GATE), ("names.txt", &list)]).expect("valid");
    let last = "a.host-999999.department-8.example.com";
    assert_eq!(answer(&config, last, "A"), "forward to 0");
    assert!(config.policy.pattern_count() > 1_000_000);
}
