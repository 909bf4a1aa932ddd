//! The proof of `dnsgate import`: the source's own engine and dnsgate with the imported configuration, side by side.
//!
//! Thousands of questions are made from each source: every name in it, names above, below and beside it, in letters of either
//! case, several types. What dnsgate answers, the engine answers with the same data. Where the engine answers and dnsgate
//! does not, the report of the import must have said so. Both ask one upstream that answers every name.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dnsgate_core::dns::{Name, RecordType};
use hickory_proto::op::Message;
use serde_json::Value;

use crate::{
    differential_nsd::{client::ask_all, wire::Question},
    running::{PROGRAM, Running, installed},
};
use peer::Peer;
use resolver::Upstream;

mod corpus;
mod peer;
mod resolver;
mod zones;

/// Fewer questions would mean that the source was not read.
const LEAST_QUESTIONS: usize = 3_000;
/// The most differences that are printed.
const SHOWN: usize = 20;

/// A report's item that is not "kept".
struct Said {
    what: String,
    why: String,
}

/// An imported configuration and what its report said.
struct Imported {
    config: String,
    said: Vec<Said>,
}

/// Runs `dnsgate import` with the program itself.
fn import(format: &str, files: &[PathBuf], upstream: SocketAddr) -> Imported {
    let output = Command::new(PROGRAM)
        .args(["import", format])
        .args(files)
        .args(["--upstream", &format!("public=udp://{upstream}")])
        .args(["--keep-default-allow", "--json"])
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_ne!(output.status.code(), Some(2), "{report}");
    let report: Value = serde_json::from_str(&report).expect("a report");
    let items = report["items"].as_array().expect("items");
    let said = items
        .iter()
        .filter(|item| item["kept"] != "kept")
        .map(|item| Said {
            what: item["what"].as_str().unwrap_or_default().to_owned(),
            why: item["why"].as_str().unwrap_or_default().to_owned(),
        });
    Imported {
        config: String::from_utf8(output.stdout).expect("UTF-8"),
        said: said.collect(),
    }
}

impl Imported {
    /// Whether the report said that this question is answered by the source alone.
    fn excuses(&self, question: &Question) -> bool {
        let name = name_of(question);
        self.said.iter().any(|said| {
            if said.what == "forwarded types" {
                return !dnsgate_config::default_types().contains(RecordType(question.qtype));
            }
            let words = said
                .what
                .split([' ', ','])
                .filter(|word| word.contains('.'));
            let mut names =
                words.filter_map(|word| word.trim_start_matches("*.").parse::<Name>().ok());
            let about = names.any(|own| name.as_ref().is_within(own.as_ref()));
            about && !said.why.is_empty()
        })
    }
}

fn name_of(question: &Question) -> Name {
    let (name, _) = dnsgate_core::dns::NameBuf::read(&question.name).expect("a name");
    name.as_ref().to_name()
}

/// The records of an answer, without TTLs and in one order; empty for every kind of denial.
fn answer(reply: &[u8]) -> Vec<String> {
    let Ok(message) = Message::from_vec(reply) else {
        return vec!["not a message".to_owned()];
    };
    let record = |record: &hickory_proto::rr::Record| {
        let text = format!("{} {} {}", record.name, record.record_type(), record.data);
        text.to_ascii_lowercase()
    };
    let mut records: Vec<String> = message.answers.iter().map(record).collect();
    records.sort();
    // An alias that leads to nothing is a denial for whoever asks for an address.
    records
}

/// Asks both, and compares.
fn compare(peer: SocketAddr, imported: &Imported, questions: &[Question]) {
    assert!(questions.len() >= LEAST_QUESTIONS, "{}", questions.len());
    let dnsgate = Running::start(&format!("{}log: {{ queries: none }}\n", imported.config));
    let ours = SocketAddr::from(([127, 0, 0, 1], dnsgate.port));
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| ask_all(peer, questions));
        let ours = ask_all(ours, questions);
        (theirs.join().expect("the engine was asked"), ours)
    });
    let (mut equal, mut denied, mut narrower) = (0, 0, 0);
    let mut wrong: Vec<String> = Vec::new();
    for (question, (theirs, ours)) in questions.iter().zip(theirs.iter().zip(&ours)) {
        let (theirs, ours) = (answer(theirs), answer(ours));
        if theirs == ours {
            equal += 1;
            denied += usize::from(ours.is_empty());
        } else if ours.is_empty() && imported.excuses(question) {
            narrower += 1;
        } else {
            wrong.push(format!(
                "{}\n  source: {theirs:?}\n  dnsgate: {ours:?}",
                question.as_dig()
            ));
        }
    }
    println!(
        "{} questions: {equal} equal ({denied} of them denials), {narrower} narrower as reported",
        questions.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {} differ, of which the first are:\n{}\n{}",
        wrong.len(),
        questions.len(),
        wrong
            .iter()
            .take(SHOWN)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n"),
        imported.config
    );
    assert!(denied > 0 && equal > denied, "both answers and denials");
}

/// The policy zones of the corpus in files.
fn policy_zones(dir: &Path) -> Vec<PathBuf> {
    let write = |(name, text): (String, String)| {
        let path = dir.join(name);
        fs::write(&path, text).expect("room for a file");
        path
    };
    corpus::policy_zones().into_iter().map(write).collect()
}

/// Imports the policy zones and compares with an engine that has loaded them.
fn prove_policy_zones(start: impl Fn(&Path, &[PathBuf], SocketAddr) -> Peer) {
    let dir = tempfile::tempdir().expect("a directory");
    let files = policy_zones(dir.path());
    let upstream = Upstream::start(resolver::PUBLIC);
    let peer = start(dir.path(), &files, upstream.address);
    let imported = import("rpz", &files, upstream.address);
    compare(peer.address, &imported, &corpus::questions_about_policies());
}

#[test]
fn policy_zones_allow_no_more_than_bind_does() {
    if installed(&["named"]) {
        prove_policy_zones(Peer::bind);
    }
}

#[test]
fn policy_zones_allow_no_more_than_unbound_does() {
    if installed(&["unbound"]) {
        prove_policy_zones(Peer::unbound_with_policies);
    }
}

#[test]
fn policy_zones_allow_no_more_than_powerdns_recursor_does() {
    if installed(&["pdns_recursor"]) {
        prove_policy_zones(Peer::recursor);
    }
}

#[test]
fn unbounds_own_file_allows_no_more_than_unbound_does() {
    if !installed(&["unbound"]) {
        return;
    }
    for seed in 0..3 {
        let dir = tempfile::tempdir().expect("a directory");
        let upstream = Upstream::start(resolver::PUBLIC);
        let inside = Upstream::start(resolver::PRIVATE);
        let text = corpus::unbound(seed, upstream.address, inside.address);
        let peer = Peer::unbound(dir.path(), &text, upstream.address);
        let file = dir.path().join("source.conf");
        fs::write(&file, text).expect("room for a file");
        let imported = import("unbound", &[file], upstream.address);
        compare(
            peer.address,
            &imported,
            &corpus::questions_about_unbound(seed),
        );
    }
}
