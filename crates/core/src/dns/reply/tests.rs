//! Every reply is decoded by hickory-proto and compared with what was meant.

use hickory_proto::{
    op::Message,
    rr::{Name as TheirName, RData, RecordType as TheirType},
    serialize::txt::Parser,
};
use proptest::prelude::*;

use super::*;
use crate::dns::{Name, rrset::wire_rdata};

/// A query for `name` with type `A`, with an OPT record of this payload size if given.
fn query(name: &str, payload: Option<u16>) -> Vec<u8> {
    let name: Name = name.parse().expect("name");
    let mut packet = vec![
        0xab,
        0xcd,
        0x01,
        0x10,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        u8::from(payload.is_some()),
    ];
    packet.extend(name.as_ref().wire());
    packet.extend([0, 1, 0, 1]);
    if let Some(payload) = payload {
        packet.extend([0, 0, 41]);
        packet.extend(payload.to_be_bytes());
        packet.extend([0, 0, 0x80, 0, 0, 0]);
    }
    packet
}

/// Record sets from zone-file text, in the order of owner and type.
fn sets(text: &str) -> Vec<(Name, Rrset)> {
    let (_, records) = Parser::new(text, None, Some(TheirName::root()))
        .parse()
        .expect(text);
    let set = |set: &hickory_proto::rr::RecordSet| {
        let mut rrset = Rrset::new(RecordType(u16::from(set.record_type())), set.ttl());
        for record in set.records_without_rrsigs() {
            rrset
                .push(&wire_rdata(&record.data).expect("encodes"))
                .expect("fits");
        }
        rrset
    };
    records
        .iter()
        .map(|(key, records)| (key.name().to_string().parse().expect("name"), set(records)))
        .collect()
}

/// Writes the sets into the answer and decodes the reply.
fn round_trip(
    query_packet: &[u8],
    sets: &[(Name, Rrset)],
    max: usize,
) -> (Vec<u8>, Result<Message, String>) {
    let query = Query::parse(query_packet).expect("a query");
    let mut out = vec![0xee; 65_535];
    let mut writer = ReplyWriter::new(&query, max, &mut out).expect("room for the question");
    for (owner, set) in sets {
        if writer.rrset(Section::Answer, owner.as_ref(), set).is_err() {
            writer.truncate();
            break;
        }
    }
    let len = writer.finish(None);
    out.truncate(len);
    let decoded = Message::from_vec(&out).map_err(|error| error.to_string());
    (out, decoded)
}

#[test]
fn names_are_compressed_against_the_question_and_each_other() {
    let sets = sets(
        "storage.googleapis.com. 300 IN CNAME restricted.googleapis.com.\n\
         www.googleapis.com. 300 IN A 199.36.153.4\n\
         www.googleapis.com. 300 IN A 199.36.153.5\n",
    );
    let (wire, message) = round_trip(&query("storage.googleapis.com", None), &sets, 512);
    let message = message.expect("decodes");
    let shown: Vec<String> = message.answers.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "storage.googleapis.com. 300 IN CNAME restricted.googleapis.com.",
            "www.googleapis.com. 300 IN A 199.36.153.4",
            "www.googleapis.com. 300 IN A 199.36.153.5",
        ]
    );
    // Header 12, question 28; CNAME 2+10+11+2 with the target's tail as a pointer; the first A has
    // its own first label and a pointer, the second a pointer alone.
    assert_eq!(wire.len(), 12 + 28 + (12 + 13) + (6 + 14) + (2 + 14));
}

#[test]
fn every_layout_of_rdata_survives() {
    let sets = sets(
        "a.example. 300 IN SOA ns.example. host.master.example. 1 2 3 4 5\n\
         a.example. 300 IN NS ns.a.example.\n\
         a.example. 300 IN MX 10 mx.a.example.\n\
         a.example. 300 IN SRV 1 2 443 srv.a.example.\n\
         a.example. 300 IN TXT \"a.example\" \"two\"\n\
         a.example. 300 IN HTTPS 1 . alpn=h2 ipv4hint=10.0.0.1\n\
         a.example. 300 IN CAA 0 issue \"pki.goog\"\n\
         a.example. 300 IN NAPTR 1 2 \"u\" \"x\" \"\" a.example.\n",
    );
    let (_, message) = round_trip(&query("a.example", Some(1232)), &sets, 1232);
    let message = message.expect("decodes");
    assert_eq!(message.answers.len(), sets.len());
    for (record, (owner, set)) in message.answers.iter().zip(&sets) {
        assert_eq!(record.name.to_string(), owner.to_string());
        assert_eq!(
            wire_rdata(&record.data).ok().as_deref(),
            set.rdatas().next(),
            "{record}"
        );
    }
    // RFC 3597 section 4: names in newer types are not compressed.
    let srv = message
        .answers
        .iter()
        .find(|record| record.record_type() == TheirType::SRV)
        .expect("SRV");
    assert!(matches!(&srv.data, RData::SRV(srv) if srv.target.to_string() == "srv.a.example."));
}

#[test]
fn the_header_says_what_was_set() {
    let packet = query("a.example", Some(4096));
    let query = Query::parse(&packet).expect("a query");
    let mut out = [0; 512];
    let mut writer = ReplyWriter::new(&query, 512, &mut out).expect("room");
    writer.set_authoritative();
    writer.set_recursion_available();
    writer.set_rcode(Rcode::NxDomain);
    let len = writer.finish(Some((Ede::Blocked, "rule x")));
    let message = Message::from_vec(&out[..len]).expect("decodes");
    assert_eq!(message.id, 0xabcd);
    assert!(message.authoritative && message.recursion_available && message.recursion_desired);
    assert!(message.checking_disabled && !message.authentic_data && !message.truncation);
    assert_eq!(
        message.response_code,
        hickory_proto::op::ResponseCode::NXDomain
    );
    let edns = message.edns.as_ref().expect("OPT");
    assert_eq!(
        (edns.max_payload(), edns.version(), edns.flags().dnssec_ok),
        (UDP_PAYLOAD, 0, true)
    );
    assert_eq!(&out[len - 12..len], b"\0\x0f\0\x08\0\x0frule x");
}

#[test]
fn without_edns_there_is_no_opt_and_no_upper_rcode() {
    let packet = query("a.example", None);
    let query = Query::parse(&packet).expect("a query");
    let mut out = [0; 512];
    let mut writer = ReplyWriter::new(&query, 512, &mut out).expect("room");
    let len = writer.finish(Some((Ede::Blocked, "never sent")));
    assert_eq!(len, packet.len());
    assert_eq!(out[2] & 0x80, 0x80);
}

#[test]
fn an_extended_error_is_cut_to_the_room_there_is() {
    let packet = query("a.example", Some(512));
    let query = Query::parse(&packet).expect("a query");
    let head = query.header_and_question().len();
    for room in 0..20 {
        let mut out = [0; 512];
        let max = head + OPT_LEN + room;
        let mut writer = ReplyWriter::new(&query, max, &mut out).expect("room");
        let len = writer.finish(Some((Ede::Prohibited, "grüße an alle")));
        assert!(len <= max, "{room}");
        let message = Message::from_vec(&out[..len]).expect("decodes");
        assert_eq!(
            message
                .edns
                .is_some_and(|edns| edns.options().as_ref().is_empty()),
            room < 6,
            "{room}"
        );
    }
}

#[test]
fn a_reply_that_does_not_fit_is_truncated_whole() {
    let many: String = (0..40)
        .map(|n| format!("a.example. 300 IN TXT \"{}\"\n", "x".repeat(n + 1)))
        .collect();
    let (wire, message) = round_trip(&query("a.example", None), &sets(&many), 512);
    let message = message.expect("decodes");
    assert!(message.truncation && message.answers.is_empty());
    assert!(wire.len() <= 512);
}

#[test]
fn malformed_packets_are_echoed_as_far_as_they_were_read() {
    let packet = query("a.example", Some(4096));
    for (question, edns) in [(0, false), (15, false), (15, true)] {
        let mut out = [0; 512];
        let mut writer =
            ReplyWriter::for_malformed(&packet, question, edns, 512, &mut out).expect("room");
        writer.set_rcode(Rcode::BadVers);
        let len = writer.finish(None);
        let message = Message::from_vec(&out[..len]).expect("decodes");
        assert_eq!(message.queries.len(), usize::from(question > 0));
        assert_eq!(message.edns.is_some(), edns);
    }
}

prop_compose! {
    fn any_name()(labels in prop::collection::vec("[a-cA-C]{1,12}", 0..8)) -> String {
        format!("{}.", labels.join("."))
    }
}

proptest! {
    #[test]
    fn every_reply_decodes_and_keeps_its_bound(
        question in any_name(),
        owners in prop::collection::vec((any_name(), any_name(), 0u8..4), 0..60),
        max in 300usize..3000,
    ) {
        let sets: Vec<(Name, Rrset)> = owners.iter().map(|(owner, target, kind)| {
            let target: Name = target.parse().unwrap();
            let rtype = [RecordType::CNAME, RecordType::NS, RecordType::PTR, RecordType::A][usize::from(*kind)];
            let mut set = Rrset::new(rtype, 60);
            set.push(if rtype == RecordType::A { &[10, 0, 0, 1] } else { target.as_ref().wire() }).unwrap();
            (owner.parse().unwrap(), set)
        }).collect();
        let (wire, message) = round_trip(&query(&question, Some(4096)), &sets, max);
        prop_assert!(wire.len() <= max);
        let message = message.unwrap();
        if !message.truncation {
            prop_assert_eq!(message.answers.len(), sets.len());
            for (record, (owner, set)) in message.answers.iter().zip(&sets) {
                prop_assert_eq!(record.name.to_string(), owner.to_string());
                prop_assert_eq!(wire_rdata(&record.data).unwrap(), set.rdatas().next().unwrap());
            }
        }
    }
}
