use super::*;

/// `id=0x1234 RD`, counts, then the body.
fn packet(flags: u16, counts: [u16; 4], body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34];
    packet.extend(flags.to_be_bytes());
    packet.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    packet.extend(body);
    packet
}

const QUESTION: &[u8] = b"\x03wWw\x01x\0\0\x01\0\x01";
const OPT: &[u8] = b"\0\0\x29\x10\0\0\0\x80\0\0\0";
/// QUESTION's length.
const Q: usize = 11;

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn a_query_is_read() {
    let packet = packet(0x0110, [1, 0, 0, 1], &joined(&[QUESTION, OPT]));
    let query = Query::parse(&packet).expect("well-formed");
    assert_eq!(query.name().to_string(), "www.x.");
    assert_eq!((query.qtype(), query.qclass()), (RecordType::A, CLASS_IN));
    assert!(query.recursion_desired());
    assert_eq!(
        query.edns(),
        Some(Edns {
            udp_payload: 4096,
            version: 0,
            dnssec_ok: true
        })
    );
    assert_eq!(query.header_and_question(), &packet[..HEADER + Q]);
}

#[test]
fn what_the_header_forbids() {
    let none = Malformed::Format {
        question: 0,
        edns: false,
    };
    for (what, flags, counts, want) in [
        ("a response", 0x8100, [1, 0, 0, 0], Malformed::Response),
        ("NOTIFY", 0x2000, [1, 0, 0, 0], Malformed::Opcode),
        ("no question", 0, [0, 0, 0, 0], none),
        ("two questions", 0, [2, 0, 0, 0], none),
        ("an answer", 0, [1, 1, 0, 0], none),
        ("an authority", 0, [1, 0, 1, 0], none),
    ] {
        let packet = packet(flags, counts, QUESTION);
        assert_eq!(Query::parse(&packet).err(), Some(want), "{what}");
    }
    for len in 0..HEADER {
        let short = &packet(0, [1, 0, 0, 0], QUESTION)[..len];
        assert_eq!(Query::parse(short).err(), Some(Malformed::Short), "{len}");
    }
}

#[test]
fn what_the_body_forbids() {
    const NEXT: &[u8] = b"\0\0\x29\x10\0\0\0\x01\0\0\0";
    const TORN: &[u8] = b"\0\0\x29\x10\0\0\0\0\0\0\x01\0";
    const V1: &[u8] = b"\0\0\x29\x10\0\0\x01\0\0\0\0";
    let format = |question, edns| Malformed::Format { question, edns };
    let version = Malformed::Version { question: Q };
    let cases: [(&str, u16, &[&[u8]], Malformed); 9] = [
        ("a pointer", 0, &[b"\xc0\x0c\0\x01\0\x01"], format(0, false)),
        ("an early end", 0, &[b"\x05ab"], format(0, false)),
        ("no class", 0, &[b"\x01x\0\0\x01\0"], format(0, false)),
        ("a byte left over", 0, &[QUESTION, b"!"], format(Q, false)),
        ("a record missing", 1, &[QUESTION], format(Q, false)),
        (
            "two OPT records",
            2,
            &[QUESTION, OPT, NEXT],
            format(Q, true),
        ),
        (
            "OPT below a name",
            1,
            &[QUESTION, b"\x01a", OPT],
            format(Q, false),
        ),
        ("a torn option", 1, &[QUESTION, TORN], format(Q, false)),
        ("EDNS version 1", 1, &[QUESTION, V1], version),
    ];
    for (what, additional, body, want) in cases {
        let packet = packet(0, [1, 0, 0, additional], &joined(body));
        assert_eq!(Query::parse(&packet).err(), Some(want), "{what}");
    }
}

#[test]
fn other_additional_records_are_stepped_over() {
    let tsig = b"\xc0\x0c\0\xfa\0\xff\0\0\0\0\0\x02hi";
    let packet = packet(0, [1, 0, 0, 2], &joined(&[QUESTION, OPT, tsig]));
    assert!(Query::parse(&packet).expect("well-formed").edns().is_some());
}

#[test]
fn a_plain_opt_record_is_read_like_any_other() {
    let plain = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";
    assert!(plain_opt(plain, 1).is_some());
    for at in 0..plain.len() {
        for value in [0, 1, 0x29, 0x80, 0xff] {
            let mut other = *plain;
            other[at] = value;
            for count in 0..3 {
                if let Some(edns) = plain_opt(&other, count) {
                    assert_eq!(read_additional(&other, count), Ok(Some(edns)));
                }
            }
        }
    }
}

#[test]
fn options_must_be_whole() {
    for (rdata, whole) in [
        (&b""[..], true),
        (b"\0\x0a\0\x02ab", true),
        (b"\0\x0a\0\x02ab\0\x08\0\0", true),
        (b"\0\x0a\0\x03ab", false),
        (b"\0\x0a\0", false),
    ] {
        assert_eq!(options_well_formed(rdata), whole, "{rdata:?}");
    }
}

#[test]
fn small_sizes_count_as_512() {
    assert_eq!(
        Edns::from_fields(0, 0x8000),
        Edns {
            udp_payload: 512,
            version: 0,
            dnssec_ok: true
        }
    );
    assert_eq!(
        Edns::from_fields(4096, 0x0001_0000),
        Edns {
            udp_payload: 4096,
            version: 1,
            dnssec_ok: false
        }
    );
}
