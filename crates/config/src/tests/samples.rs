//! The files that ship with dnsgate are valid, say what they mean, and are held by the checks.

use super::{answer_to, config, keys_of_the_schema, now};
use crate::{
    DEFAULT,
    error::Faults,
    parse,
    yaml::{self, Node, Value},
};
use std::path::Path;

const SERVER_POLICY: &str = include_str!("../../../../config/server-policy-target.yaml");
const REFERENCE: &str = include_str!("../../../../config/reference.yaml");
const SCHEMA: &str = include_str!("../../../../config/schema.json");
const SAMPLES: [(&str, &str); 3] = [
    ("default", DEFAULT),
    ("server-policy-target", SERVER_POLICY),
    ("reference", REFERENCE),
];

#[test]
fn every_sample_is_valid_and_warns_of_nothing() {
    for (name, text) in SAMPLES {
        let warnings = config(text).warnings(now());
        assert!(warnings.is_empty(), "{name}: {}", warnings[0]);
    }
}

#[test]
fn behind_cloud_dns_what_is_not_allowed_does_not_exist() {
    let config = config(SERVER_POLICY);
    for (client, name, want) in [
        (
            "35.199.192.1",
            "storage.googleapis.com",
            "CNAME restricted.googleapis.com.",
        ),
        ("35.199.192.1", "eu.gcr.io", "CNAME gcr.io."),
        (
            "35.199.192.1",
            "gcr.io",
            "A 199.36.153.4 199.36.153.5 199.36.153.6 199.36.153.7",
        ),
        ("35.199.192.1", "europe-docker.pkg.dev", "CNAME pkg.dev."),
        ("35.199.192.1", "a-b.a.run.app", "CNAME run.app."),
        (
            "35.199.192.1",
            "example.com",
            "nxdomain: no rule allows this name",
        ),
        (
            "10.0.0.1",
            "example.com",
            "refused: no rule allows this name",
        ),
    ] {
        assert_eq!(
            answer_to(&config, client, name, "A"),
            want,
            "{client} {name}"
        );
    }
}

#[test]
fn the_reference_has_every_key() {
    // `file` and `addresses` exclude keys that it shows, so it has them in comments.
    let keys = keys_of_the_schema();
    assert!(keys.len() > 70, "{}", keys.len());
    for key in &keys {
        let shown = REFERENCE
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
            .any(|word| word.strip_suffix(':') == Some(key));
        assert!(shown, "{key}");
    }
}

#[test]
fn the_committed_schema_is_the_one_that_is_printed() {
    let hint = "run `dnsgate schema > config/schema.json`";
    assert_eq!(SCHEMA, crate::schema(), "{hint}");
}

#[test]
fn the_reference_tells_the_limits_that_are_in_force() {
    let (_, shown) = REFERENCE.split_once("\nlimits:\n").expect("limits");
    let (shown, _) = shown.split_once("\n\n").expect("an end");
    let want = crate::limits::reference();
    assert_eq!(
        format!("limits:\n{shown}\n"),
        want,
        "the table is in limits.rs"
    );
}

#[test]
fn a_rule_of_the_schema_says_what_it_takes() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).expect("JSON");
    let rule = &schema["$defs"]["Rule"];
    assert_eq!(rule["additionalProperties"], false);
    assert_eq!(rule["required"], serde_json::json!(["name"]));
    let deny = &rule["properties"]["deny"]["enum"];
    let words = serde_json::json!([true, "refused", "nxdomain", "nodata", "drop"]);
    assert_eq!(*deny, words);
    let limit = &schema["$defs"]["Limits"]["properties"]["in_flight"];
    assert_eq!(limit["default"], 10_000);
}

#[test]
fn an_unknown_key_in_any_mapping_of_a_sample_is_found() {
    for (name, text) in SAMPLES {
        let mut places = Vec::new();
        mappings(
            &yaml::parse(text, &mut Faults::new("", "")),
            text,
            &mut places,
        );
        assert!(places.len() >= 4, "{name}: {}", places.len());
        for (at, indent) in places {
            let mut bogus = text.to_owned();
            bogus.insert_str(at, &indent);
            let report = match parse(&bogus, "t.yaml", Path::new("")) {
                Ok(_) => panic!("{name}: accepted\n{bogus}"),
                Err(report) => report.to_string(),
            };
            assert!(report.contains("bogus-key"), "{name}: {report}\n{bogus}");
        }
    }
}

/// Where a key can be put before the first one of each mapping, and the text to put there.
fn mappings(node: &Node, text: &str, places: &mut Vec<(usize, String)>) {
    match &node.value {
        Value::Map(entries) => {
            let first = entries[0].key.place;
            let line_start: usize = text
                .split_inclusive('\n')
                .take(first.line as usize - 1)
                .map(str::len)
                .sum();
            let at = line_start + first.column as usize - 1;
            let is_flow = text[line_start..at].contains('{');
            let key = if is_flow {
                "bogus-key: 1, ".to_owned()
            } else {
                format!("bogus-key: 1\n{}", " ".repeat(first.column as usize - 1))
            };
            places.push((at, key));
            for entry in entries {
                mappings(&entry.node, text, places);
            }
        }
        Value::Seq(items) => items.iter().for_each(|item| mappings(item, text, places)),
        _ => {}
    }
}
