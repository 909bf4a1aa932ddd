//! Query logs of other servers: `learn`, `diff`, `join`, and what is no log.

use std::{fs, path::Path};

use serde_json::Value;

use super::verbs::{file, run, run_with, stdout};

const SAMPLE: &str = "docs/logs/cloud-dns.json";
const CONFIG: &str = "docs/logs/dnsgate.yaml";

fn write(dir: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("room");
    path.to_str().expect("UTF-8").to_owned()
}

/// Without the first line, which names the source.
fn rules(text: &str) -> &str {
    text.split_once('\n').map_or("", |(_, rest)| rest)
}

#[test]
fn learn_reads_the_same_from_a_file_a_directory_an_array_and_standard_input() {
    let sample = fs::read_to_string(SAMPLE).expect("the sample");
    let dir = tempfile::tempdir().expect("a directory");
    let entries: Vec<Value> = sample
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    fs::create_dir_all(dir.path().join("logs/2026/11")).expect("room");
    let half = sample.len() / 2;
    let half = half + sample[half..].find('\n').expect("a line") + 1;
    write(dir.path(), "logs/2026/11/a.json", &sample[..half]);
    write(dir.path(), "logs/2026/11/b.json", &sample[half..]);
    let array = write(
        dir.path(),
        "array.json",
        serde_json::to_string_pretty(&entries).expect("JSON"),
    );
    let logs = dir.path().join("logs");
    let logs = logs.to_str().expect("UTF-8");
    let want = stdout(&["learn", SAMPLE, "--config", CONFIG]);
    for source in [logs, &array] {
        let told = stdout(&["learn", source, "--config", CONFIG]);
        assert_eq!(rules(&told), rules(&want), "{source}");
    }
    let (code, told, stderr) = run_with(&["learn", "-", "--config", CONFIG], &sample);
    assert_eq!((code, rules(&told), &*stderr), (0, rules(&want), ""));
    // The configuration allows these already, and its only upstream is the one to forward to.
    assert!(
        want.contains("# Allowed already:") && !want.contains("- name: github"),
        "{want}"
    );
    assert!(want.contains("forward: public"), "{want}");

    // Pasted, it is a configuration that allows what was asked for.
    let learnt = stdout(&["learn", SAMPLE, "--upstream", "public"]);
    let text = format!("upstreams: {{ public: {{ servers: [udp://8.8.8.8] }} }}\nrules:\n{learnt}");
    let pasted = file(dir.path(), &text);
    assert!(stdout(&["check", &pasted]).contains("3 rules"));
    let explained = stdout(&["explain", "--replay", SAMPLE, "--config", &pasted]);
    assert!(
        explained.contains("pypi.org. A                              vpc    forwarded to `public`"),
        "{explained}"
    );
}

#[test]
fn input_that_is_no_log_is_named_for_what_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let zone = write(dir.path(), "x.zone", "$TTL 300\n@ IN SOA a. b. 1 2 3 4 5\n");
    let capture = write(dir.path(), "x.pcap", b"\xd4\xc3\xb2\xa1\x02\0\x04\0");
    let cut = write(dir.path(), "x.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03cut");
    let tap = fs::read("crates/logs/src/tests/named.tap").expect("the sample");
    let cut_tap = write(dir.path(), "x.tap", &tap[..700]);
    let learn = |source: &str| run(&["learn", source, "--upstream", "public"]);
    for (source, code, wrong) in [
        (
            &*zone,
            2,
            "nor a question to learn from; log: 0 questions, 2 lines without a question; it looks like a zone file",
        ),
        (&capture, 2, "it looks like a packet capture"),
        (&cut, 1, "x.gz cannot be read to its end: behind "),
        (
            &cut_tap,
            1,
            "x.tap cannot be read to its end: the frame stream is cut within frame ",
        ),
        (
            "/nowhere/q.log",
            1,
            "dnsgate: /nowhere/q.log cannot be read: ",
        ),
    ] {
        let (seen, said, errors) = learn(source);
        assert!(
            seen == code && said.is_empty() && errors.contains(wrong),
            "{source}: {seen} {errors}"
        );
    }
    // In a directory, what is no log is reported, and the rest is read.
    fs::copy(SAMPLE, dir.path().join("y.json")).expect("room");
    let (code, told, errors) = learn(dir.path().to_str().expect("UTF-8"));
    assert!(code == 0 && told.contains("- name: github.com"), "{errors}");
    assert_eq!(errors.lines().count(), 4, "{errors}");
    for arguments in [
        &["learn", SAMPLE, "--since", "yesterday"][..],
        &["learn", SAMPLE, "--group-by", "/33"],
        &["learn", SAMPLE, "--include", "everything"],
        &["learn", SAMPLE, "--min-clients", "0"],
        &["join", "--dnsgate", "x"],
        &["diff", CONFIG, CONFIG, "--from", "bind"],
    ] {
        assert_eq!(run(arguments).0, 2, "{arguments:?}");
    }
}

#[test]
fn diff_writes_a_page_and_json() {
    let dir = tempfile::tempdir().expect("a directory");
    let closed = file(dir.path(), "google_apis: { vip: off }\n");
    let out = dir.path().join("change.html");
    let html = out.to_str().expect("UTF-8");
    let (code, told, _) = run(&[
        "diff", CONFIG, &closed, "--replay", SAMPLE, "--json", "--html", html,
    ]);
    assert_eq!(code, 1);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["report"]["effects"][0]["effect"], "denied");
    assert_eq!(told["report"]["effects"][0]["questions"], 3, "{told}");
    assert_eq!(told["log"]["formats"][0], "Cloud DNS");
    let page = fs::read_to_string(&out).expect("the page");
    for part in [
        "No longer answered",
        "<code>api.<wbr>github.<wbr>com</code>",
        "10.128.0.2",
        "</html>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    // Nothing is left of a page that cannot be written whole.
    let (code, ..) = run(&["diff", CONFIG, &closed, "--html", "/nowhere/change.html"]);
    assert_eq!(code, 2);
}

#[test]
fn diff_takes_the_file_of_another_program_on_the_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let rpz = write(
        dir.path(),
        "block.rpz",
        "$TTL 300\n$ORIGIN rpz.example.\n@ SOA ns. host. 1 3600 600 86400 300\n@ NS ns.\npypi.org CNAME .\n32.1.0.0.10.rpz-ip CNAME .\n",
    );
    let (code, told, errors) = run(&["diff", "--from", "rpz", &rpz, CONFIG, "--replay", SAMPLE]);
    assert_eq!(code, 1, "{errors}");
    // What the list does not mention is let through by its server, and denied by the configuration.
    assert!(
        told.contains("vpc: forwarded -> denied (REFUSED): "),
        "{told}"
    );
    assert!(
        told.contains("vpc: denied (NXDOMAIN) -> denied (REFUSED): 1, from 1 client"),
        "{told}"
    );
    assert!(
        !told.contains("api.github.com. A"),
        "both let it through: {told}"
    );
    assert!(told.contains("rpz-ip trigger"), "{told}");
}

#[test]
fn join_tells_who_was_denied() {
    let told = stdout(&[
        "join",
        "--cloud-dns",
        SAMPLE,
        "--dnsgate",
        "docs/logs/dnsgate.log",
        "--json",
    ]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        (&told["denials"], &told["matched"]),
        (&3.into(), &3.into()),
        "{told}"
    );
    assert_eq!(told["rows"][0]["client"]["instance"], "web-2");
    let (code, told, _) = run(&[
        "join",
        "--cloud-dns",
        CONFIG,
        "--dnsgate",
        "docs/logs/dnsgate.log",
    ]);
    assert!(
        code == 1 && told.contains("the client of 0 was found (0.00 %)"),
        "{told}"
    );
    let (code, _, errors) = run(&["join", "--cloud-dns", SAMPLE, "--dnsgate", SAMPLE]);
    assert!(
        code == 2 && errors.contains("no denial to a client in 35.199.192.0/19"),
        "{errors}"
    );
    let (code, _, errors) = run(&["join", "--cloud-dns", "-", "--dnsgate", "-"]);
    assert!(
        code == 2 && errors.contains("standard input can be one of the logs only"),
        "{errors}"
    );
}
