//! What must hold for any packet whatever. The order of a decision and the replies themselves are
//! in `tests/scenarios`.

use std::{sync::LazyLock, time::UNIX_EPOCH};

use hickory_proto::op::Message;
use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::{
    dns::{Name, RecordType},
    policy::{Action, DenyWith, Group, Pattern, Rule, RuleOrigin, ZoneId},
    zone::ZoneBuilder,
};

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

/// One zone, `corp.example`, with an alias, a delegation and a set that no datagram holds; one
/// rule that denies; one group, 10.0.0.0/8.
fn snapshot() -> Snapshot {
    let mut zone = ZoneBuilder::new(name("corp.example")).with_default_soa();
    let mut add = |owner: &str, rtype, rdata: &[u8]| {
        zone.add(name(owner).as_ref(), 300, rtype, rdata)
            .expect(owner);
    };
    add(
        "*.corp.example",
        RecordType::CNAME,
        name("a.corp.example").as_ref().wire(),
    );
    add("a.corp.example", RecordType::A, &[10, 0, 0, 1]);
    add(
        "sub.corp.example",
        RecordType::NS,
        name("a.sub.corp.example").as_ref().wire(),
    );
    add("a.sub.corp.example", RecordType::A, &[10, 0, 0, 2]);
    for n in 0..200 {
        add("big.corp.example", RecordType::A, &[10, 1, 0, n]);
    }
    let rule = |name: &str, pattern, action| {
        Rule::new(name.into(), vec![pattern], action, RuleOrigin::Configured)
    };
    let rules = vec![
        rule(
            "zone corp.example",
            Pattern::Subtree(name("corp.example")),
            Action::Zone(ZoneId(0)),
        ),
        rule("no", Pattern::Below(name("no.example")), Action::Deny),
    ];
    let group = Group {
        name: "all".into(),
        deny_with: None,
    };
    let network: IpNet = "10.0.0.0/8".parse().expect("CIDR");
    let policy = Policy::build(vec![(group, vec![network])], rules, DenyWith::NxDomain)
        .expect("no conflict");
    Snapshot::new(1, policy, vec![zone.finish().expect("makes sense")])
}

/// Built once: the property tests ask it thousands of times.
static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(snapshot);

/// Takes the packet through, into a buffer whose rest must stay as it was.
fn go(packet: &[u8], transport: Transport) -> (Step, Vec<u8>) {
    let mut out = vec![0xee; max_reply(transport) + 16];
    let client = Client {
        source: [10, 0, 0, 1].into(),
        transport,
    };
    let step = begin(
        packet,
        client,
        &Context::new(&SNAPSHOT, UNIX_EPOCH),
        &mut out,
    );
    (step, out)
}

#[test]
fn a_query_over_its_rate_is_dropped_or_sent_to_tcp() {
    let packet = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x1c\0\x01";
    let mut out = [0; 512];
    let Step::Reply { len, outcome, .. } = limited(packet, true, &mut out) else {
        panic!("no reply")
    };
    // Recursion is available, as in every reply to who may ask.
    assert_eq!(out[..len], [b"\x12\x34\x83\x80", &packet[4..]].concat());
    let want = Outcome {
        qtype: Some(RecordType::AAAA),
        rcode: Some(Rcode::NoError),
        truncated: true,
        ..Outcome::new(Reason::RateLimited)
    };
    assert_eq!(outcome, want);
    // What is no query gets nothing in its run, either.
    for (packet, slips) in [(&packet[..], false), (b"?", true), (&packet[..18], true)] {
        let dropped = Step::Drop(Outcome::new(Reason::RateLimited), None);
        assert_eq!(limited(packet, slips, &mut out), dropped);
    }
}

#[test]
fn a_fault_of_ours_is_servfail() {
    let packet = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    let mut out = [0; 512];
    let step = fail(packet, Transport::Udp, Reason::Panic, &mut out);
    let Step::Reply { len, outcome, .. } = step else {
        panic!("no reply")
    };
    assert_eq!(
        (outcome.reason, outcome.rcode),
        (Reason::Panic, Some(Rcode::ServFail))
    );
    let message = Message::from_vec(&out[..len]).expect("decodes");
    assert_eq!(
        message.response_code,
        hickory_proto::op::ResponseCode::ServFail
    );
    assert!(matches!(
        fail(b"?", Transport::Udp, Reason::Panic, &mut out),
        Step::Drop(..)
    ));
}

#[test]
fn a_shed_query_gets_an_extended_error() {
    let packet =
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x01a\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let mut out = [0; 512];
    let len = fail(packet, Transport::Udp, Reason::Shed, &mut out).len();
    let text = b"\0\x16too many questions wait for an answer";
    assert!(out[..len].ends_with(text), "{:?}", &out[..len]);
}

#[test]
fn a_buffer_without_room_gets_no_reply() {
    let packet = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    let client = Client {
        source: [10, 0, 0, 1].into(),
        transport: Transport::Tcp,
    };
    let step = begin(
        packet,
        client,
        &Context::new(&SNAPSHOT, UNIX_EPOCH),
        &mut [0; 15],
    );
    assert!(matches!(step, Step::Drop(outcome, _) if outcome.reason == Reason::NoRoom));
}

/// Packets that are nearly queries: names from a small alphabet that meets the policy, and a byte
/// changed here or there.
fn nearly_a_query() -> impl Strategy<Value = Vec<u8>> {
    let label = prop::sample::select(vec![
        "a", "b", "big", "sub", "corp", "example", "no", "*", "xn--", "com",
    ]);
    let tail = prop::sample::select(vec![
        "corp.example",
        "no.example",
        "example",
        "sub.corp.example",
        ".",
    ]);
    let rtype = prop_oneof![
        prop::sample::select(vec![1u16, 2, 5, 6, 28, 39, 43, 65, 252, 255]),
        any::<u16>()
    ];
    let edns = prop::option::of((any::<u16>(), any::<u8>(), 0u8..2));
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (
        prop::collection::vec(label, 0..4),
        tail,
        rtype,
        0u16..4,
        edns,
        changes,
    )
        .prop_map(|(labels, tail, rtype, class, edns, changes)| {
            let mut packet = vec![
                0x12,
                0x34,
                1,
                0,
                0,
                1,
                0,
                0,
                0,
                0,
                0,
                u8::from(edns.is_some()),
            ];
            let text = labels
                .iter()
                .map(|label| format!("{label}."))
                .collect::<String>();
            let full: Name = format!(
                "{text}{}",
                if tail == "." && !text.is_empty() {
                    ""
                } else {
                    tail
                }
            )
            .parse()
            .unwrap();
            packet.extend(full.as_ref().wire());
            packet.extend(rtype.to_be_bytes());
            packet.extend(class.to_be_bytes());
            if let Some((size, flags, version)) = edns {
                packet.extend([0, 0, 41]);
                packet.extend(size.to_be_bytes());
                packet.extend([0, version, flags, 0, 0, 0]);
            }
            for (at, byte) in changes {
                let at = at.index(packet.len());
                packet[at] = byte;
            }
            packet
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_packet_gets_a_reply_within_bounds_or_none(
        packet in prop_oneof![4 => nearly_a_query(), 1 => prop::collection::vec(any::<u8>(), 0..600)],
        tcp in any::<bool>(),
    ) {
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let (step, out) = go(&packet, transport);
        let outcome = *step.outcome();
        let Step::Reply { len, .. } = step else {
            prop_assert_eq!(outcome.rcode, None);
            return Ok(());
        };
        prop_assert!(len <= max_reply(transport));
        prop_assert!(out[max_reply(transport)..].iter().all(|&byte| byte == 0xee), "written past the limit");
        let message = Message::from_vec(&out[..len]).unwrap();
        prop_assert_eq!(message.id.to_be_bytes(), [packet[0], packet[1]]);
        prop_assert_eq!(u16::from(message.response_code), outcome.rcode.unwrap().number());
        prop_assert_eq!(message.truncation, outcome.truncated);
        if let Ok(query) = Query::parse(&packet) {
            prop_assert!(out[..len].starts_with(&packet[..2]));
            let asked = query.header_and_question();
            prop_assert_eq!(&out[12..asked.len()], &asked[12..], "the question is echoed");
            prop_assert_eq!(message.edns.is_some(), query.edns().is_some());
            prop_assert!(len <= reply_limit(&query, transport));
        }
    }
}

#[test]
fn the_outcome_names_the_entries_that_were_used() {
    let packet = |name: &str| {
        let name: Name = name.parse().expect(name);
        let wire = name.as_ref().wire();
        let packet = [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0", wire, b"\0\x01\0\x01"].concat();
        (packet, wire.len())
    };
    for (asked, question, aliases) in [
        ("a.corp.example", Some(".corp.example"), 0),
        ("x.corp.example", Some(".corp.example"), 1),
        ("x.no.example", Some("*.no.example"), 0),
        ("other.example", None, 0),
    ] {
        let (packet, len) = packet(asked);
        let (step, _) = go(&packet, Transport::Udp);
        let outcome = step.outcome();
        assert_eq!(usize::from(outcome.name_len), len);
        let policy = SNAPSHOT.policy();
        let used = outcome.used.question;
        let entry = policy
            .entries(|id| used.is_some_and(|(_, own)| own == id))
            .next();
        let pattern = entry.map(|(_, _, pattern)| pattern.to_string());
        assert_eq!(pattern.as_deref(), question, "{asked}");
        assert_eq!(outcome.used.aliases.iter().flatten().count(), aliases);
        assert!(!outcome.used.outside);
    }
    let mut used = UsedEntries::default();
    let ids: Vec<_> = SNAPSHOT.policy().entries(|_| true).collect();
    for (id, rule, _) in ids.iter().cycle().take(9) {
        used.note(Some((*rule, *id)));
    }
    used.note(None);
    assert_eq!(used.aliases.iter().flatten().count(), ids.len());
}
