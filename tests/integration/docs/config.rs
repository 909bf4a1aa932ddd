//! Checks the configurations of the documentation: YAML blocks, and the files of `config`.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use dnsgate::telemetry::families;
use serde_json::Value;

use super::text::{ROOT, blocks, files_of};
use crate::running::{PROGRAM, installed};

/// What a block that is not ours begins with.
const PROMETHEUS: &str = "# prometheus.yml\n";

/// Every configuration that is shown: its place and its text.
fn shown() -> Vec<(String, String)> {
    let own = blocks("yaml").into_iter();
    let own = own.filter(|block| !block.text.starts_with(PROMETHEUS));
    let mut shown: Vec<_> = own.map(|block| (block.place, block.text)).collect();
    assert!(!shown.is_empty(), "README.md shows a configuration");
    for path in files_of(&Path::new(ROOT).join("config"), false) {
        if path.extension().is_some_and(|it| it == "yaml") {
            let text = fs::read_to_string(&path).expect("a text");
            shown.push((path.display().to_string(), text));
        }
    }
    assert!(shown.len() >= 4, "and config has three");
    shown
}

fn run(program: &str, args: &[&str], file: &Path) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(args)
        .arg(file)
        .output()
        .expect("the program runs");
    let said = [stdout, stderr].concat();
    (
        status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn shown_configurations_pass_check_without_a_warning() {
    for (place, text) in shown() {
        // Beside the samples, so that files that they name are found.
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("shown.yaml");
        fs::write(&file, text).expect("room");
        let (good, said) = run(PROGRAM, &["check"], &file);
        assert!(good, "{place}: {said}");
        assert!(!said.contains("warning"), "{place}: {said}");
    }
}

#[test]
fn every_sample_has_policy_tests_and_passes_them() {
    let folder = Path::new(ROOT).join("config");
    let samples = files_of(&folder, false).into_iter();
    let samples: Vec<_> = samples
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .collect();
    assert!(samples.len() >= 3, "{samples:?}");
    for sample in &samples {
        let (good, said) = run(PROGRAM, &["test"], sample);
        assert!(good && !said.contains("no tests"), "{said}");
    }
    // As one types it.
    let mut all = Command::new("sh");
    all.args(["-c", "exec \"$1\" test config/*.yaml", "sh", PROGRAM]);
    let output = all.current_dir(ROOT).output().expect("the shell runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.lines().count(), samples.len() + 1, "{said}");
    assert!(said.ends_with(" passed, 0 failed\n"), "{said}");
}

#[test]
fn every_limit_of_the_reference_has_a_metric() {
    let text = fs::read_to_string(Path::new(ROOT).join("config/reference.yaml")).expect("a text");
    let (_, limits) = text.split_once("\nlimits:\n").expect("limits");
    let (limits, _) = limits.split_once("\n\n").expect("an end");
    let (mut comment, mut keys) = (String::new(), 0);
    for line in limits.lines() {
        if let Some(words) = line.strip_prefix("  # ") {
            comment.push_str(words);
            comment.push(' ');
            continue;
        }
        let metrics = families().filter(|family| comment.contains(family.name));
        // What a client is, how long a drain is, and what the kernel holds are not reached; a socket that
        // has had its questions or its time is replaced, and nobody misses it.
        let none = [
            "drain",
            "per_client_ipv4_prefix",
            "per_client_ipv6_prefix",
            "tcp_socket_buffer",
            "upstream_socket_lifetime",
            "upstream_socket_questions",
            "upstream_sockets",
        ];
        let key = line.trim().split(':').next().unwrap_or_default();
        assert_eq!(
            metrics.count() == 0,
            none.contains(&key),
            "{key}: {comment}"
        );
        comment.clear();
        keys += 1;
    }
    assert!(keys >= 14, "{keys} limits");
}

#[test]
fn scrape_configurations_pass_promtool() {
    if !installed(&["promtool"]) {
        return;
    }
    let foreign = blocks("yaml").into_iter();
    let foreign: Vec<_> = foreign
        .filter(|block| block.text.starts_with(PROMETHEUS))
        .collect();
    assert!(!foreign.is_empty(), "README.md shows how to scrape");
    for block in foreign {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("prometheus.yml");
        fs::write(&file, block.text).expect("room");
        let (good, said) = run("promtool", &["check", "config"], &file);
        assert!(good, "{}: {said}", block.place);
    }
}

#[test]
fn unknown_key_is_an_error_in_every_mapping() {
    const BOGUS: &str = "bogus-key";
    for (place, text) in shown() {
        let value: Value = serde_yaml::from_str(&text).expect("YAML");
        let mut pointers = Vec::new();
        mappings(&value, String::new(), &mut pointers);
        assert!(pointers.len() >= 3, "{place}: {pointers:?}");
        for pointer in pointers {
            let mut value = value.clone();
            let mapping = value.pointer_mut(&pointer).and_then(Value::as_object_mut);
            mapping
                .expect("a mapping")
                .insert(BOGUS.to_owned(), Value::from(1));
            // JSON is YAML.
            let text = format!("{value:#}");
            let dir = Path::new(ROOT).join("config");
            match dnsgate_config::parse(&text, "shown.yaml", &dir) {
                Ok(_) => panic!("{place}: accepted in {pointer:?}"),
                Err(report) => {
                    let report = report.to_string();
                    assert!(report.contains(BOGUS), "{place} {pointer:?}: {report}");
                }
            }
        }
    }
}

/// The JSON pointers of all mappings in a value.
fn mappings(value: &Value, at: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                mappings(value, format!("{at}/{key}"), pointers);
            }
            pointers.push(at);
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                mappings(item, format!("{at}/{index}"), pointers);
            }
        }
        _ => {}
    }
}
