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

/// The part of a message that is not its id, with an id of zero.
fn without_id(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    message[..2].fill(0);
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
        for caught in messages.iter().filter(|it| !is_probe(&it.message)) {
            let asked = (upstream, without_id(&caught.message));
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
        assert!(is_probe(&caught.message), "{caught:?}");
    }
}

/// Ids and ports are spread, and one does not tell the next (RFC 5452 section 9.2).
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
        assert!(times.len() * 10 > count * 9, "{what} come again");
        assert!(near * 20 < count, "{what} follow each other");
    }
}
