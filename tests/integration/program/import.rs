//! `dnsgate import`: exit codes, the report, and files that are written whole or not at all.

use std::fs;

use serde_json::Value;

use super::verbs::{run, run_with};

#[test]
fn exit_code_says_how_much_was_kept() {
    for (args, code, told) in [
        (
            &["import", "auto", "tests/import/zone-export.zone"][..],
            1,
            "dnsgate denies what no rule allows",
        ),
        (
            &["import", "domains", "tests/import/allow.txt"],
            1,
            "no upstream was named",
        ),
        (
            &["import", "auto", "tests/import/absent"],
            2,
            "tests/import/absent: it cannot be read",
        ),
        (
            &["import", "auto", "tests/import"],
            2,
            "this is a directory",
        ),
        (
            &["import", "rpz", "tests/import/unbound.conf"],
            2,
            "dnsgate import unbound",
        ),
        (
            &["import", "zones", "tests/import/unbound.conf"],
            2,
            "the formats are auto, gcloud-dns",
        ),
        (
            &[
                "import",
                "auto",
                "tests/import/allow.txt",
                "--upstream",
                "public",
            ],
            2,
            "NAME=SERVER",
        ),
        (
            &[
                "import",
                "auto",
                "tests/import/allow.txt",
                "--group",
                "app=web",
            ],
            2,
            "LABEL=CIDR",
        ),
    ] {
        let (is, stdout, stderr) = run(args);
        assert!(
            is == code && stderr.contains(told),
            "{args:?}: {is} {stderr}"
        );
        assert_eq!(code == 2, stdout.is_empty(), "{args:?}: {stdout}");
    }
}

#[test]
fn a_block_list_from_standard_input_gives_a_valid_configuration() {
    let public = ["--upstream", "public=udp://8.8.8.8"];
    let (code, config, report) = run_with(
        &[&["import", "domains", "-"], &public[..]].concat(),
        "0.0.0.0 ads.example\n",
    );
    assert_eq!(code, 1, "{report}");
    assert!(config.contains("ads.example"), "{config}");
    let all = [
        &["import", "domains", "-", "--keep-default-allow", "--json"],
        &public[..],
    ]
    .concat();
    let (_, config, report) = run_with(&all, "0.0.0.0 ads.example\n");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(
        (&report["kept"], &report["left_out"]),
        (&Value::from(2), &Value::from(0)),
        "{report}"
    );
    let (code, stdout, stderr) = run_with(&["check", "-"], &config);
    assert_eq!(code, 0, "{stdout}{stderr}");
}

#[test]
fn the_file_is_written_whole_or_not_at_all() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("dnsgate.yaml");
    let path = out.to_str().expect("letters");
    fs::write(&out, "version: 1\n").expect("room");
    let (code, _, stderr) = run(&["import", "auto", "tests/import/absent", "--out", path]);
    assert_eq!(code, 2, "{stderr}");
    assert_eq!(
        fs::read_to_string(&out).expect("the old file"),
        "version: 1\n"
    );
    let (code, stdout, stderr) = run(&["import", "auto", "tests/import/block.rpz", "--out", path]);
    assert_eq!((code, &*stdout), (1, ""), "{stderr}");
    let (code, stdout, stderr) = run(&["check", path]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let left: Vec<_> = fs::read_dir(dir.path()).expect("a directory").collect();
    assert_eq!(left.len(), 1, "no other file stays: {left:?}");
    let nowhere = dir.path().join("absent/dnsgate.yaml");
    let (code, _, stderr) = run(&[
        "import",
        "auto",
        "tests/import/block.rpz",
        "--out",
        nowhere.to_str().expect("letters"),
    ]);
    assert!(
        code == 2 && stderr.contains("cannot be written"),
        "{code} {stderr}"
    );
}
