//! No text, however bad, makes the reader panic, and no mutation of a good one slips through without
//! being either valid or told with a place.

use std::path::Path;

use proptest::prelude::*;

use super::super::{DEFAULT, parse};

const REFERENCE: &str = include_str!("../../../../config/reference.yaml");

/// Reads a text; a report must name a place that is in it, and be printable.
fn check(text: &str) {
    // A directory that is not there: no file of this machine is read.
    let Err(report) = parse(text, "t.yaml", Path::new("/nonexistent/dnsgate")) else {
        return;
    };
    assert!(report.count() > 0);
    let lines = text.lines().count() as u32 + 1;
    for notice in report.notices() {
        assert!(notice.line <= lines, "{notice}");
    }
    let shown = report.to_string();
    assert!(
        !shown.contains(|c: char| c.is_control() && c != '\n'),
        "{shown:?}"
    );
}

/// Words of the format, so that what is made of them gets past the first stage.
const WORDS: [&str; 52] = [
    "listen",
    "admin",
    "clients",
    "cidrs",
    "google_apis",
    "vip",
    "domains",
    "except",
    "zones",
    "origin",
    "records",
    "file",
    "rules",
    "name",
    "records",
    "deny",
    "deny_with",
    "groups",
    "types",
    "until",
    "upstreams",
    "servers",
    "udp://10.9.0.53",
    "tls://8.8.8.8#dns.google",
    "forward",
    "domains_file",
    "addresses",
    "version",
    "mode",
    "observe",
    "cache",
    "max_ttl",
    "limits",
    "log",
    "vpc",
    "10.0.0.0/8",
    "googleapis.com",
    "\"*.x\"",
    ".x",
    "[",
    "]",
    "{",
    "}",
    ": ",
    ", ",
    "\n",
    "\n  ",
    "\n- ",
    "true",
    "nxdomain",
    "A 10.0.0.1",
    "*x",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_words_are_read_or_refused(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
        check(&words.concat());
    }

    #[test]
    fn any_mutation_of_a_sample_is_read_or_refused(
        sample in prop::sample::select(&[DEFAULT, REFERENCE][..]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3usize, any::<char>(), prop::sample::select(&WORDS[..])), 1..6),
    ) {
        let mut text: Vec<char> = sample.chars().collect();
        for (at, kind, char, word) in edits {
            let at = at.index(text.len());
            match kind {
                0 => text[at] = char,
                1 => { text.remove(at); }
                _ => { text.splice(at..at, word.chars()); }
            }
        }
        check(&text.into_iter().collect::<String>());
    }
}

#[test]
fn texts_that_could_take_long_do_not() {
    let many = 20_000;
    for text in [
        "a".repeat(many),
        "[".repeat(many),
        "- ".repeat(many),
        "a: &a [x]\n".to_owned() + &"b: *a\n".repeat(many),
        (0..many).map(|n| format!("key{n}: 1\n")).collect(),
        "listen: []\n".repeat(many),
        format!("listen: [{}]", "udp://0.0.0.0:53, ".repeat(many)),
        format!(
            "clients: {{a: {{cidrs: [{}]}}}}",
            "10.0.0.0/8, ".repeat(many)
        ),
        format!(
            "rules: [{}]",
            "{name: a, domains: [x], deny: true}, ".repeat(many)
        ),
        format!(
            "rules: [{{name: a, domains: [{}], records: [A 199.36.153.4]}}]",
            ".x.example, ".repeat(many)
        ),
        format!("zones: [{}]", "{origin: x, records: []}, ".repeat(many)),
        format!(
            "rules: [{{name: a, domains: [x], records: [{}], types: [{}]}}]",
            "A 10.0.0.1, ".repeat(many),
            "A, ".repeat(many)
        ),
        format!(
            "google_apis: {{vip: psc, addresses: [{}]}}",
            "10.0.0.1, ".repeat(many)
        ),
        format!(
            "google_apis: {{domains: [{}]}}",
            (0..many)
                .map(|n| format!("n{n}.example, "))
                .collect::<String>()
        ),
        format!(
            "google_apis: {{except: {{{}}}}}",
            (0..many)
                .map(|n| format!("n{n}.googleapis.com: private, "))
                .collect::<String>()
        ),
        format!(
            "google_apis: {{domains: [{}], except: {{{}}}}}",
            (0..1000)
                .map(|n| format!("n{n}.example, "))
                .collect::<String>(),
            (0..1000)
                .map(|n| format!("a.b.c.d.e.n{n}.example: private, "))
                .collect::<String>()
        ),
        format!(
            "clients: {{{}}}",
            (0..many)
                .map(|n| format!("n{n}: {{cidrs: [10.0.0.0/8]}}, "))
                .collect::<String>()
        ),
    ] {
        check(&text);
    }
}

#[test]
fn nor_do_upstreams_that_could_take_long() {
    let many = 20_000;
    for text in [
        format!(
            "upstreams: {{{}}}",
            (0..many)
                .map(|n| format!("n{n}: {{servers: [udp://10.9.0.53]}}, "))
                .collect::<String>()
        ),
        format!(
            "upstreams: {{u: {{servers: [{}]}}}}",
            (0..many)
                .map(|n| format!("tcp://10.9.{}.{}, ", n >> 8 & 255, n & 255))
                .collect::<String>()
        ),
        format!(
            "upstreams: {{u: {{servers: [udp://10.9.0.53]}}}}\nrules: [{{name: a, domains: [x], forward: u, addresses: [{}]}}]",
            "10.0.0.0/8, ".repeat(many)
        ),
        format!(
            "rules: [{}]",
            "{name: a, domains: [x], forward: u}, ".repeat(many)
        ),
    ] {
        check(&text);
    }
}
