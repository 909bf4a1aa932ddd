//! Compares the README's table of metrics with the program's own list and with the metrics of a running dnsgate.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use dnsgate::telemetry::{FamilyKind, families};

use super::text::ROOT;
use crate::running::{Running, installed};

/// The table as it should be.
fn table() -> String {
    let mut table = String::from("| metric | type | labels | |\n|---|---|---|---|\n");
    for family in families() {
        let labels: Vec<_> = family.labels.iter().map(|it| format!("`{it}`")).collect();
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            family.name,
            family.kind.as_str(),
            labels.join(", "),
            family.help
        );
    }
    table
}

#[test]
fn readme_table_lists_every_metric_family() {
    let text = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("a text");
    let (_, rest) = text
        .split_once("<!-- metrics -->\n")
        .expect("the table's start");
    let (shown, _) = rest
        .split_once("<!-- /metrics -->")
        .expect("the table's end");
    let want = table();
    assert!(
        shown == want,
        "README.md should have between its markers:\n\n{want}"
    );
}

#[test]
fn running_process_exports_the_families_of_the_table() {
    if !installed(&["dig"]) {
        return;
    }
    let dnsgate = Running::start("");
    for ask in [
        "example.com",
        "+tcp storage.googleapis.com",
        "version.bind CH TXT",
    ] {
        dnsgate.dig(ask);
    }
    let (status, page) = dnsgate.get("/metrics");
    assert_eq!(status, 200);
    let mut shown = BTreeMap::new();
    let mut help = BTreeMap::new();
    for line in page.lines() {
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|it| it.split_once(' '))
        {
            shown.insert(name, kind);
        } else if let Some((name, text)) = line
            .strip_prefix("# HELP ")
            .and_then(|it| it.split_once(' '))
        {
            help.insert(name, text);
        }
    }
    // Sealed as it is, it has no upstream to count for, no answer to filter, no rule with a budget, and none that ends.
    let sealed = || {
        families().filter(|it| {
            !["upstream", "check", "over"]
                .iter()
                .any(|label| it.labels.contains(label))
                && it.name != "dnsgate_rule_expires_timestamp_seconds"
        })
    };
    let want: BTreeMap<_, _> = sealed().map(|it| (it.name, it.kind.as_str())).collect();
    assert_eq!(shown, want);
    let want: BTreeMap<_, _> = sealed().map(|it| (it.name, it.help)).collect();
    assert_eq!(help, want);
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = labels_of(line);
        let family = families().find(|it| {
            let parts = ["_bucket", "_sum", "_count"].iter();
            let mut bases = parts.filter_map(|part| name.strip_suffix(part));
            it.name == name
                || (it.kind == FamilyKind::Histogram && bases.any(|base| base == it.name))
        });
        let family = family.unwrap_or_else(|| panic!("{line}"));
        let own: Vec<_> = labels.into_iter().filter(|label| label != "le").collect();
        assert_eq!(own, family.labels, "{line}");
    }
}

/// The name and the label names of a sample.
fn labels_of(line: &str) -> (&str, Vec<String>) {
    let Some((name, rest)) = line.split_once('{') else {
        return (line.split(' ').next().unwrap_or_default(), Vec::new());
    };
    let (labels, _) = rest.rsplit_once('}').expect("closed");
    let pairs = labels.split("\",");
    let names = pairs.map(|pair| pair.split('=').next().unwrap_or_default().to_owned());
    (name, names.collect())
}
