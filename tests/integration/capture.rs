//! Compares every byte that reaches an upstream with what the policy allows, while clients send random packets.
//!
//! The program runs between a random load and two fake upstreams inside the test. Each message that an upstream gets must be
//! the one encoding of a question that the naive policy allows to a client that asked it. Nothing else of a client's packet may
//! be in it, and no upstream's answer may cause another question. Only dnsgate's own probes are excepted, and their form is
//! checked.
//!
//! `CAPTURE_SEED=…` repeats a run.

mod clients;
mod fake;
mod load;
mod policy;

use std::collections::{BTreeMap, BTreeSet};

use crate::running::Running;
use clients::Clients;
use dnsgate_core::dns::upstream_query::letter_case;
use fake::{Caught, Fake};
use load::Random;

/// The packets of one run.
const PACKETS: usize = 6000;

/// What may reach which upstream, ids aside.
type Allowed = BTreeSet<(usize, Vec<u8>)>;

fn seed() -> u64 {
    let given = std::env::var("CAPTURE_SEED").ok();
    let seed = given.map_or_else(rand::random, |text| text.parse().expect("a number"));
    println!("CAPTURE_SEED={seed}");
    seed
}

/// A message without what is dnsgate's own: its id and, over UDP, the letter case of the question, which are random; over
/// TCP the request for the server's idle time-out.
fn as_encoded(caught: &Caught) -> Vec<u8> {
    let mut message = caught.message.clone();
    if let Some(id) = message.first_chunk_mut::<2>() {
        *id = [0; 2];
    }
    if !caught.tcp {
        letter_case::restore(&mut message, &caught.message);
    } else if let Some(rest) = message.strip_suffix(b"\0\x04\0\x0b\0\0") {
        message = [rest, b"\0\0"].concat();
    }
    message
}

/// Whether a message is one of dnsgate's own probes: a question for the address of 32 hexadecimal digits under a name
/// of its own, and not a bit beside.
fn is_probe(message: &[u8]) -> bool {
    let Some((head, rest)) = message.split_at_checked(13) else {
        return false;
    };
    let Some((digits, tail)) = rest.split_at_checked(32) else {
        return false;
    };
    head[2..] == *b"\x01\0\0\x01\0\0\0\0\0\x01\x20"
        && digits
            .iter()
            .all(|digit| b"0123456789abcdef".contains(digit))
        && tail == b"\x0ddnsgate-probe\x07example\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0"
}

/// Runs the load against the program with this configuration. Returns what was caught, by upstream, and what the load
/// allowed.
fn run(forwards: bool) -> ([Vec<Caught>; 2], Allowed) {
    let mut random = Random(seed());
    let upstreams = [Fake::start(), Fake::start()];
    let [one, two] = &upstreams;
    let config = policy::config(
        [
            &format!("udp://{}", one.address),
            &format!("tcp://{}", two.address),
        ],
        forwards,
    );
    let dnsgate = Running::start(&config);
    let mut clients = Clients::new(dnsgate.port);
    let mut allowed = Allowed::new();
    for _ in 0..PACKETS {
        let packet = load::packet(&mut random);
        let client = random.below(clients.count());
        let group = clients.group(client);
        if let (Some(question), Some(group)) = (&packet.question, group) {
            allowed.extend(policy::may_ask(group, question));
        }
        clients.send(client, packet, random.below(4) == 0);
    }
    clients.finish();
    let (live, _) = dnsgate.get("/livez");
    assert_eq!(live, 200);
    (upstreams.map(|upstream| upstream.caught()), allowed)
}

#[test]
fn upstreams_get_only_what_the_policy_allows() {
    let (caught, allowed) = run(true);
    let mut seen = Allowed::new();
    for (upstream, messages) in caught.iter().enumerate() {
        for caught in messages.iter().filter(|it| !is_probe(&as_encoded(it))) {
            let asked = (upstream, as_encoded(caught));
            assert!(
                allowed.contains(&asked),
                "upstream {upstream} was sent {:?}: {}",
                caught,
                caught.message.escape_ascii()
            );
            seen.insert(asked);
        }
    }
    // The load is one that says something, and the scan one that allows no more than there is.
    println!("{} of {} questions", seen.len(), allowed.len());
    assert!(allowed.len() > 150);
    let absent: Vec<_> = allowed.difference(&seen).collect();
    assert!(absent.is_empty(), "never asked: {absent:02x?}");
    hard_to_guess(&caught[0]);
}

#[test]
fn upstreams_get_nothing_without_a_rule() {
    let (caught, allowed) = run(false);
    assert!(!allowed.is_empty(), "the same load");
    for caught in caught.iter().flatten() {
        assert!(is_probe(&as_encoded(caught)), "{caught:?}");
    }
}

/// Ids and ports are spread, and one does not tell the next (RFC 5452 section 9.2). A port is used again for a while, but
/// never an id on it; about half of the letters are upper-case.
fn hard_to_guess(caught: &[Caught]) {
    let datagrams: Vec<_> = caught.iter().filter(|it| !it.tcp).collect();
    let ids = datagrams.iter().map(|it| {
        let id = it.message.first_chunk().expect("a header");
        u16::from_be_bytes(*id)
    });
    let ports = datagrams.iter().map(|it| it.port);
    for (what, numbers) in [
        ("ids", ids.collect::<Vec<_>>()),
        ("ports", ports.collect::<Vec<_>>()),
    ] {
        let count = numbers.len();
        let mut times = BTreeMap::new();
        for number in &numbers {
            *times.entry(number).or_insert(0) += 1;
        }
        let near = |pair: &&[u16]| pair[0].abs_diff(pair[1]) <= 16;
        let near = numbers.windows(2).filter(near).count();
        println!("{what}: {} of {count}, {near} near the last", times.len());
        assert!(near * 5 < count, "{what} follow each other");
        match what {
            "ids" => assert!(times.len() * 10 > count * 9, "{what} come again"),
            _ => assert!(times.len() >= 16, "{what} come again"),
        }
    }
    let mut on_port = BTreeSet::new();
    let letters = |of: fn(&u8) -> bool| {
        let names = datagrams.iter().flat_map(|it| &it.message[12..]);
        names.filter(|byte| of(byte)).count()
    };
    for it in &datagrams {
        assert!(
            on_port.insert((it.port, &it.message[..2])),
            "an id again: {it:?}"
        );
    }
    let (upper, lower) = (
        letters(u8::is_ascii_uppercase),
        letters(u8::is_ascii_lowercase),
    );
    assert!(upper * 3 > lower && lower * 3 > upper, "{upper} {lower}");
}
