//! Compares dnsgate with NSD: the same zone files, the same questions, the same answers.
//!
//! Thousands of questions are made from the zones of `tests/integration/differential_nsd`: names that are in them and names next
//! to those, every type, either transport, with and without EDNS. Both servers are asked. Response code, AA, TC and the sections
//! must be equal. One list has the differences that are allowed, with the reasons ([`accepted::ACCEPTED`]), and each of them must
//! occur.

use std::{collections::BTreeMap, io::Write as _, net::SocketAddr, path::Path};

use dnsgate_core::zone::{Zone, parse_zone};

use crate::running::Running;
use accepted::{ACCEPTED, Both};
use nsd::ZoneFile;
use wire::{Question, Reply};

mod accepted;
pub(crate) mod client;
pub(crate) mod nsd;
pub(crate) mod questions;
pub(crate) mod wire;

/// Origin and file of each zone.
const ZONES: [(&str, &str); 9] = [
    ("example", "example.zone"),
    ("types.test", "types.zone"),
    ("cuts.test", "cuts.zone"),
    ("child.cuts.test", "child.cuts.zone"),
    ("deep.child.cuts.test", "deep.child.cuts.zone"),
    ("aliases.test", "aliases.zone"),
    ("names.test", "names.zone"),
    ("rare.test", "rare.zone"),
    ("signed.test", "signed.zone"),
];
/// The most differences that are printed: one fault makes hundreds of them.
const SHOWN: usize = 20;
/// Kinds of replies that must be among the equal ones.
const KINDS: [&str; 10] = [
    "answer",
    "chain",
    "no data",
    "no name",
    "alias to no name",
    "referral",
    "alias to a delegation",
    "overflow",
    "refused",
    "truncated",
];
/// Fewer questions would mean that the zones were not read.
const LEAST_QUESTIONS: usize = 5_000;

#[test]
fn answers_are_equal_to_those_of_nsd() {
    let Some(program) = nsd::find() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "NSD is not installed; in CI nothing is skipped"
        );
        // Not println: what the harness takes for passed it keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: not installed: nsd");
        return;
    };
    let files = files();
    let questions = questions::of(&zones(&files));
    assert!(questions.len() >= LEAST_QUESTIONS, "{}", questions.len());

    let folder = tempfile::tempdir().expect("a folder");
    let nsd = nsd::start(&program, &files, folder.path());
    let dnsgate = Running::start(&nsd::dnsgate_config(&files));
    let address = SocketAddr::from(([127, 0, 0, 1], dnsgate.port));
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| client::ask_all(nsd.address, &questions));
        let ours = client::ask_all(address, &questions);
        (theirs.join().expect("NSD was asked"), ours)
    });
    conclude(&questions, theirs, ours);
}

/// Compares NSD's replies with dnsgate's.
pub(crate) fn conclude(questions: &[Question], theirs: Vec<Vec<u8>>, ours: Vec<Vec<u8>>) {
    let mut tally = Tally::default();
    for (question, (nsd, ours)) in questions.iter().zip(theirs.into_iter().zip(ours)) {
        tally.compare(question, nsd, ours);
    }
    tally.conclude(questions.len());
}

pub(crate) fn files() -> Vec<ZoneFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/differential_nsd");
    let file = |(origin, file): (&str, &str)| ZoneFile {
        origin: origin.parse().expect("a name"),
        path: folder.join(file),
    };
    ZONES.into_iter().map(file).collect()
}

pub(crate) fn zones(files: &[ZoneFile]) -> Vec<Zone> {
    let read = |file: &ZoneFile| {
        let text = std::fs::read_to_string(&file.path).expect("a zone file");
        let no_include = &mut |_: &str| Err("no file is included".to_owned());
        match parse_zone(&text, &file.origin, no_include) {
            Ok(parsed) => parsed.zone,
            Err(faults) => panic!("{}: {faults:#?}", file.path.display()),
        }
    };
    files.iter().map(read).collect()
}

/// What came of the comparison.
#[derive(Default)]
struct Tally {
    equal: usize,
    /// Of the equal ones.
    kinds: BTreeMap<&'static str, usize>,
    /// In the order of the list.
    accepted: [usize; ACCEPTED.len()],
    different: usize,
    shown: Vec<String>,
}

impl Tally {
    fn compare(&mut self, question: &Question, nsd: Vec<u8>, ours: Vec<u8>) {
        let replies = (Reply::read(nsd, question), Reply::read(ours, question));
        let told = match &replies {
            (Ok(nsd), Ok(ours)) => {
                if equal(nsd, ours) {
                    self.equal += 1;
                    *self.kinds.entry(kind(ours)).or_default() += 1;
                    return;
                }
                let both = Both {
                    question,
                    nsd,
                    ours,
                };
                let listed = ACCEPTED.iter().zip(&mut self.accepted);
                if let Some((_, count)) = listed
                    .into_iter()
                    .find(|(accepted, _)| (accepted.holds)(&both))
                {
                    *count += 1;
                    return;
                }
                format!("NSD:\n{}dnsgate:\n{}", nsd.as_dig(), ours.as_dig())
            }
            (nsd, ours) => format!(
                "NSD: {:?}\ndnsgate: {:?}",
                nsd.as_ref().err(),
                ours.as_ref().err()
            ),
        };
        self.different += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(format!("{}\n{told}", question.as_dig()));
        }
    }

    /// Prints the counts and fails where there is a reason to.
    fn conclude(self, questions: usize) {
        println!("{questions} questions, {} equal replies", self.equal);
        for kind in KINDS {
            let count = self.kinds.get(kind).copied().unwrap_or_default();
            println!("{count:6} {kind}");
        }
        println!("and accepted differences:");
        for (accepted, count) in ACCEPTED.iter().zip(self.accepted) {
            println!("{count:6} {}: {}", accepted.name, accepted.reason);
        }
        assert!(
            self.different == 0,
            "{} replies differ, of which the first are:\n\n{}",
            self.different,
            self.shown.join("\n")
        );
        let absent = KINDS.iter().find(|kind| !self.kinds.contains_key(*kind));
        assert!(absent.is_none(), "no equal replies of a kind: {absent:?}");
        let idle: Vec<&str> = ACCEPTED
            .iter()
            .zip(self.accepted)
            .filter(|&(_, count)| count == 0)
            .map(|(accepted, _)| accepted.name)
            .collect();
        assert!(idle.is_empty(), "listed, but it never occurs: {idle:?}");
    }
}

/// What a reply is, by the first of these that fits.
fn kind(reply: &Reply) -> &'static str {
    match (reply.rcode, &*reply.answer) {
        _ if reply.truncated => "truncated",
        (0, _) if reply.refers() && reply.authoritative => "alias to a delegation",
        (0, _) if reply.refers() => "referral",
        (0, []) => "no data",
        (0, answer) if answer.iter().all(|record| record.owner == answer[0].owner) => "answer",
        (0, _) => "chain",
        (3, []) => "no name",
        (3, _) => "alias to no name",
        (5, _) => "refused",
        (6, _) => "overflow",
        _ => "other",
    }
}

/// Whether the replies say the same. Without minimal responses NSD would add what we never do; of the additional
/// section only the glue of referrals matters.
fn equal(nsd: &Reply, ours: &Reply) -> bool {
    let glue = !nsd.refers() || nsd.additional == ours.additional;
    let flags = |reply: &Reply| (reply.rcode, reply.authoritative, reply.truncated);
    flags(nsd) == flags(ours)
        && nsd.answer == ours.answer
        && nsd.authority == ours.authority
        && glue
}
