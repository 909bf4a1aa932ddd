//! Compares dnsgate with its own upstream: thousands of questions are asked of Unbound directly and through dnsgate. Answers that
//! the policy and the response filter let pass must be equal. All others must be denied, by a simpler reading of the rules.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

use dnsgate_core::{
    dns::{Name, RecordType, response::MAX_ALIASES},
    zone::{Zone, parse_zone},
};

use super::{
    naive::{ZONES, is_allowed, may_pass},
    unbound::{CORP, Unbound, have},
};
use crate::{
    differential_nsd::{
        client, questions,
        wire::{Question, Record, Reply},
    },
    running::Running,
};

/// Fewer questions would mean that the zones were not read.
const LEAST_QUESTIONS: usize = 5_000;
/// The most differences that are printed: one fault makes hundreds of them.
const SHOWN: usize = 12;
/// One question in so many is asked as it is drawn, perhaps without the wish for recursion; the others all with it.
const AS_DRAWN: usize = 8;
/// Kinds of replies that must occur.
const KINDS: [&str; 9] = [
    "answer",
    "chain",
    "no data",
    "no name",
    "alias to no name",
    "truncated",
    "denied",
    "filtered",
    "no recursion",
];

#[test]
fn allowed_answers_pass_unchanged_and_all_others_are_denied() {
    if !have(&[]) {
        return;
    }
    let zones = zones();
    let questions = questions(&zones);
    assert!(questions.len() >= LEAST_QUESTIONS, "{}", questions.len());
    let texts: Vec<_> = zones
        .iter()
        .map(|(origin, text, _)| (*origin, &**text))
        .collect();
    let unbound = Unbound::with(&texts, None);
    let dnsgate = Running::start(&config(unbound.address));
    let direct = Asked::all(unbound.address, &questions);
    let through = Asked::all(SocketAddr::from(([127, 0, 0, 1], dnsgate.port)), &questions);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut different = Vec::new();
    for (at, question) in questions.iter().enumerate() {
        if through.cut[at] {
            *kinds.entry("truncated").or_default() += 1;
        }
        match compare(question, &direct.replies[at], &through.replies[at]) {
            Ok(kind) => *kinds.entry(kind).or_default() += 1,
            Err(why) => different.push(format!(
                "{}: {why}\nUnbound:\n{}dnsgate:\n{}",
                question.as_dig(),
                direct.replies[at].as_dig(),
                through.replies[at].as_dig()
            )),
        }
    }
    println!("{} questions: {kinds:?}", questions.len());
    let shown = different[..different.len().min(SHOWN)].join("\n");
    assert!(
        different.is_empty(),
        "{} differ, of which the first are:\n\n{shown}",
        different.len()
    );
    let absent = KINDS.iter().find(|kind| !kinds.contains_key(*kind));
    assert!(absent.is_none(), "no reply of a kind: {absent:?}");
}

/// Origin, text, and what has been read of it.
fn zones() -> Vec<(&'static str, String, Zone)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/differential_nsd");
    let text = |file| {
        let text = fs::read_to_string(folder.join(file)).expect("a zone file");
        // No answer holds an address that is for documentation: those of AS112 are as harmless.
        [
            ("192.0.2.", "192.31.196."),
            ("198.51.100.", "192.175.48."),
            ("2001:db8:", "2620:4f:8000:"),
        ]
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
    };
    let corp = (CORP.0, CORP.1.to_owned());
    let others = ZONES.iter().map(|&(origin, file, _)| (origin, text(file)));
    [corp]
        .into_iter()
        .chain(others)
        .map(|(origin, text)| {
            let name: Name = origin.parse().expect("a name");
            let no_include = &mut |_: &str| Err("no file is included".to_owned());
            let zone = parse_zone(&text, &name, no_include);
            let zone = zone
                .unwrap_or_else(|faults| panic!("{origin}: {faults:#?}"))
                .zone;
            (origin, text, zone)
        })
        .collect()
}

/// The delegation in one of the zones; where it leads to there is nobody, which Unbound tells now so, now so.
const DELEGATED: &[u8] = b"\x02ds\x05types\x04test\0";

/// ANY is left out as well: dnsgate answers that by itself.
fn questions(zones: &[(&str, String, Zone)]) -> Vec<Question> {
    let zones: Vec<Zone> = zones.iter().map(|(_, _, zone)| zone.clone()).collect();
    let mut questions = questions::of(&zones);
    questions.retain(|question| {
        question.qtype != RecordType::ANY.0 && !question.lower_name().ends_with(DELEGATED)
    });
    for (at, question) in questions.iter_mut().enumerate() {
        question.recursion_desired |= at % AS_DRAWN != 0;
    }
    questions
}

fn config(server: SocketAddr) -> String {
    let mut text = format!(
        "google_apis: {{ vip: off }}
built_in: {{ private_reverse: false, search: false }}
upstreams: {{ all: {{ servers: [\"udp://{server}\"] }} }}
log: {{ queries: none }}
rules:
  - {{ name: corp, domains: [.corp.example], forward: all }}
"
    );
    for (origin, _, types) in ZONES {
        let types = match types {
            [] => String::new(),
            types => format!(", types: [{}]", types.join(", ")),
        };
        text += &format!("  - {{ name: {origin}, domains: [.{origin}], forward: all{types} }}\n");
    }
    text
}

/// What a server said: asked again over TCP where it did not fit, as clients do.
struct Asked {
    replies: Vec<Reply>,
    cut: Vec<bool>,
}

impl Asked {
    fn all(server: SocketAddr, questions: &[Question]) -> Self {
        let mut replies = client::ask_all(server, questions);
        let cut: Vec<bool> = replies.iter().map(|reply| reply[2] & 0x02 != 0).collect();
        let again: Vec<usize> = (0..cut.len()).filter(|&at| cut[at]).collect();
        let over_tcp = |&at: &usize| Question {
            over_tcp: true,
            ..questions[at].clone()
        };
        let whole = client::ask_all(server, &again.iter().map(over_tcp).collect::<Vec<_>>());
        for (at, reply) in again.into_iter().zip(whole) {
            replies[at] = reply;
        }
        let read = |(wire, question): (Vec<u8>, &Question)| {
            Reply::read(wire, question).unwrap_or_else(|why| panic!("{}: {why}", question.as_dig()))
        };
        let replies = replies.into_iter().zip(questions).map(read).collect();
        Self { replies, cut }
    }
}

/// What kind of reply it is, or what is wrong with it.
fn compare(question: &Question, direct: &Reply, through: &Reply) -> Result<&'static str, String> {
    let refused = |kind| match (through.rcode, &*through.answer, &*through.authority) {
        (5, [], []) => Ok(kind),
        _ => Err(format!("{kind} is what it should be")),
    };
    if !is_allowed(question) {
        return refused("denied");
    }
    if !question.recursion_desired {
        return refused("no recursion");
    }
    if ![0, 3, 6].contains(&direct.rcode) {
        // An error is told as the one that clients know what to do with.
        return match (through.rcode, &*through.answer) {
            (2, []) => Ok("error"),
            _ => Err("an error is what it should be".to_owned()),
        };
    }
    let aliases = direct
        .answer
        .iter()
        .filter(|it| it.rtype == RecordType::CNAME.0);
    if aliases.count() > MAX_ALIASES {
        return match (through.rcode, &*through.answer) {
            (2, []) => Ok("endless"),
            _ => Err("an error is what it should be".to_owned()),
        };
    }
    if !direct.answer.iter().all(may_pass) {
        return refused("filtered");
    }
    let dnssec_ok = question.edns.is_some_and(|(_, dnssec_ok)| dnssec_ok);
    let mut theirs = match dnssec_ok {
        true => direct.answer.clone(),
        false => without_dname(question, &direct.answer),
    };
    // Unbound writes the DNAME that makes a name too long twice.
    if direct.rcode == 6 {
        theirs.sort();
        theirs.dedup();
    }
    if let Some(told) = unfinished(direct, &theirs, through) {
        return told;
    }
    if !same(&theirs, &through.answer) {
        return Err("the answers differ".to_owned());
    }
    if !same(&direct.authority, &through.authority) {
        return Err("the authorities differ".to_owned());
    }
    match (direct.rcode, through.rcode) {
        (theirs, ours) if theirs != ours => Err("the codes differ".to_owned()),
        (6, _) => Ok("too long a name"),
        (3, _) if through.answer.is_empty() => Ok("no name"),
        (3, _) => Ok("alias to no name"),
        (0, _) if through.answer.is_empty() => Ok("no data"),
        (0, _)
            if through
                .answer
                .iter()
                .any(|record| record.rtype == RecordType::CNAME.0) =>
        {
            Ok("chain")
        }
        (0, _) => Ok("answer"),
        _ => Ok("other"),
    }
}

/// Of a chain that Unbound leaves at a DNAME, as it does now and then: dnsgate goes on from there.
fn unfinished(
    direct: &Reply,
    theirs: &[Record],
    through: &Reply,
) -> Option<Result<&'static str, String>> {
    let leads =
        |record: &&Record| [RecordType::CNAME.0, RecordType::DNAME.0].contains(&record.rtype);
    let bare = direct.rcode == 0 && direct.authority.is_empty() && !theirs.is_empty();
    let more = through.answer.len() > theirs.len() || !through.authority.is_empty();
    if !bare || !more || theirs.iter().filter(leads).count() < theirs.len() {
        return None;
    }
    let begun: Vec<Record> = through.answer.iter().filter(leads).cloned().collect();
    let kept = begun.get(..theirs.len()).unwrap_or_default();
    Some(match same(theirs, kept) {
        true => Ok("chain"),
        false => Err("the chains differ".to_owned()),
    })
}

/// Of what leads elsewhere dnsgate passes on the CNAME alone, which every client understands, unless it is to be
/// validated. A DNAME that was asked for, or that leads nowhere, is the answer.
fn without_dname(question: &Question, answer: &[Record]) -> Vec<Record> {
    let owner = question.lower_name();
    let made = |dname: &Record| {
        let mut aliases = answer.iter().filter(|it| it.rtype == RecordType::CNAME.0);
        aliases.any(|alias| alias.owner != dname.owner && alias.owner.ends_with(&dname.owner))
    };
    let mut left = answer.to_vec();
    left.retain(|it| it.rtype != RecordType::DNAME.0 || it.owner == owner || !made(it));
    left
}

/// Whether the records are the same, and none is to be kept for longer.
fn same(theirs: &[Record], ours: &[Record]) -> bool {
    let without_ttl = |records: &[Record]| -> Vec<Record> {
        let record = |record: &Record| Record {
            ttl: 0,
            ..record.clone()
        };
        let mut records: Vec<_> = records.iter().map(record).collect();
        records.sort();
        records
    };
    let of = |ours: &Record| {
        let same = |theirs: &&Record| {
            (&theirs.owner, &theirs.rdata) == (&ours.owner, &ours.rdata)
                && theirs.rtype == ours.rtype
        };
        theirs.iter().find(same).map_or(0, |theirs| theirs.ttl)
    };
    without_ttl(theirs) == without_ttl(ours) && ours.iter().all(|ours| ours.ttl <= of(ours))
}
