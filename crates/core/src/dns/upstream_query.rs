//! Encodes a question to an upstream, and checks whether a message is the reply to it.
//!
//! The encoding contains only the question: no letter case, option, padding or flag of a client
//! reaches an upstream. Equal questions of two clients give equal bytes, except for the ID and, over
//! UDP, the letter case, which are both random ([`letter_case`]).

pub mod letter_case;
pub mod stream_options;

use super::{
    RecordType,
    name::{NameBuf, NameRef},
    query::{CLASS_IN, HEADER, OPT_LEN, UDP_PAYLOAD},
};

/// Bits of the two flag bytes in the header.
mod flag {
    /// In the first byte.
    pub(super) const RESPONSE: u8 = 0x80;
    pub(super) const OPCODE: u8 = 0x78;
    pub(super) const TRUNCATED: u8 = 0x02;
    pub(super) const RECURSION_DESIRED: u8 = 0x01;
    /// In the second byte.
    pub(super) const CHECKING_DISABLED: u8 = 0x10;
    pub(super) const CODE: u8 = 0x0f;
}

/// The query for `name` and `qtype` in class IN: recursion desired, and one OPT record without
/// options (RFC 6891) that accepts UDP replies of up to 1232 bytes.
#[must_use]
pub fn encode(
    id: u16,
    name: NameRef<'_>,
    qtype: RecordType,
    dnssec_ok: bool,
    checking_disabled: bool,
) -> Vec<u8> {
    let name = name.wire();
    let low_flags = if checking_disabled {
        flag::CHECKING_DISABLED
    } else {
        0
    };
    let mut query = Vec::with_capacity(HEADER + name.len() + 4 + OPT_LEN);
    query.extend(id.to_be_bytes());
    query.extend([flag::RECURSION_DESIRED, low_flags]);
    query.extend([0, 1, 0, 0, 0, 0, 0, 1]); // one question, one additional record
    query.extend(name);
    query.extend(qtype.0.to_be_bytes());
    query.extend(CLASS_IN.to_be_bytes());
    query.push(0); // OPT is at the root
    query.extend(RecordType::OPT.0.to_be_bytes());
    query.extend(UDP_PAYLOAD.to_be_bytes());
    query.extend([0, 0, if dnssec_ok { 0x80 } else { 0 }, 0]); // upper rcode, version, DO
    query.extend([0, 0]); // no options
    query
}

/// Removes the OPT record from a query of [`encode`], for a server without EDNS.
#[must_use]
pub fn without_edns(mut query: Vec<u8>) -> Vec<u8> {
    query.truncate(query.len().saturating_sub(OPT_LEN));
    if let Some([.., high, low]) = query.first_chunk_mut::<HEADER>() {
        [*high, *low] = [0, 0];
    }
    query
}

/// Whether `reply` is a reply to `query`: it has the same ID, and the same question in any letter
/// case.
///
/// A server that could not or would not read the question may omit it: a header with an error code
/// or the TC bit is a reply if its ID is right. Over UDP, only the ID and the port then protect
/// against an off-path attacker. That is always so, because an attacker who forges replies also
/// chose the question.
#[must_use]
pub fn is_reply_to(reply: &[u8], query: &[u8]) -> bool {
    let (Some((head, body)), Some((asked_head, asked))) = (
        reply.split_first_chunk::<HEADER>(),
        query.split_first_chunk::<HEADER>(),
    ) else {
        return false;
    };
    let &[id_high, id_low, flags, _, qd_high, qd_low, ..] = head;
    asked_head.starts_with(&[id_high, id_low])
        && flags & flag::RESPONSE != 0
        && flags & flag::OPCODE == 0
        && match [qd_high, qd_low] {
            [0, 0] => is_bare(head, body),
            [0, 1] => same_question(body, asked),
            _ => false,
        }
}

/// Whether a reply without a question is still meaningful: an error or TC, and no records except an
/// OPT.
fn is_bare(head: &[u8; HEADER], body: &[u8]) -> bool {
    let &[_, _, high, low, _, _, an_high, an_low, ns_high, ns_low, ..] = head;
    [an_high, an_low, ns_high, ns_low] == [0; 4]
        && (high & flag::TRUNCATED != 0 || low & flag::CODE != 0 || upper_code(body) != 0)
}

/// Adds the missing question to the reply to `query`, so that it is parsed like any other.
#[must_use]
pub fn with_question(reply: Vec<u8>, query: &[u8]) -> Vec<u8> {
    let (Some((&head, rest)), Some(asked)) = (
        reply.split_first_chunk::<HEADER>(),
        query.get(HEADER..).and_then(question),
    ) else {
        return reply;
    };
    let [id_high, id_low, high, low, 0, 0, counts @ ..] = head else {
        return reply;
    };
    let mut whole = Vec::with_capacity(reply.len() + asked.len());
    whole.extend([id_high, id_low, high, low, 0, 1]);
    whole.extend(counts);
    whole.extend(asked);
    whole.extend(rest);
    whole
}

/// Whether a server without EDNS has rejected a query with EDNS (RFC 6891 section 7, and NOTIMP
/// from some servers). BADVERS in reply to version 0 counts too.
#[must_use]
pub fn rejects_edns(reply: &[u8]) -> bool {
    const FORMERR: u8 = 1;
    const NOTIMP: u8 = 4;
    const BADVERS: u8 = 1; // in the OPT record, and 0 in the header
    let Some((&head, body)) = reply.split_first_chunk::<HEADER>() else {
        return false;
    };
    let [_, _, _, low, qd_high, qd_low, counts @ ..] = head;
    let behind = match [qd_high, qd_low] {
        [0, 0] => Some(body),
        _ => question(body).and_then(|question| body.get(question.len()..)),
    };
    match low & flag::CODE {
        FORMERR | NOTIMP => true,
        0 => counts.starts_with(&[0; 4]) && behind.is_some_and(|opt| upper_code(opt) == BADVERS),
        _ => false,
    }
}

/// The upper bits of the code if `record` is an OPT record, else 0.
fn upper_code(record: &[u8]) -> u8 {
    match record {
        // The root, the type, the payload size, the upper bits.
        &[0, high, low, _, _, upper, ..]
            if RecordType(u16::from_be_bytes([high, low])) == RecordType::OPT =>
        {
            upper
        }
        _ => 0,
    }
}

/// The first name, type and class of a message without its header.
fn question(body: &[u8]) -> Option<&[u8]> {
    let (_, len) = NameBuf::read(body).ok()?;
    body.get(..len + 4)
}

/// Where a name without compression that begins at `at` ends, in a message that we encoded.
fn end_of_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let len = *message.get(at)?;
        at += 1 + usize::from(len);
        if len == 0 {
            return Some(at);
        }
    }
}

/// Whether two messages, without their headers, begin with the same name, type and class.
fn same_question(one: &[u8], other: &[u8]) -> bool {
    // Most servers repeat the question byte for byte.
    let asked = end_of_name(other, 0).and_then(|end| other.get(..end + 4));
    if asked.is_some_and(|asked| one.starts_with(asked)) {
        return true;
    }
    let question = |body: &[u8]| {
        let (name, len) = NameBuf::read(body).ok()?;
        Some((name, *body.get(len..)?.first_chunk::<4>()?))
    };
    match (question(one), question(other)) {
        (Some((name, fields)), Some((other_name, other_fields))) => {
            name.as_ref() == other_name.as_ref() && fields == other_fields
        }
        _ => false,
    }
}

/// Whether a reply is truncated (TC), so that the question must be repeated over a stream.
#[must_use]
pub fn is_truncated(reply: &[u8]) -> bool {
    reply
        .get(2)
        .is_some_and(|flags| flags & flag::TRUNCATED != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Name, Query};

    fn name(text: &str) -> Name {
        text.parse().expect(text)
    }

    #[test]
    fn one_question_has_one_encoding() {
        let question = b"\x03www\x01x\0\0\x1c\0\x01";
        for (dnssec_ok, checking_disabled, flags, ttl) in [
            (false, false, b"\x01\x00", b"\0\0\0\0"),
            (true, false, b"\x01\x00", b"\0\0\x80\0"),
            (false, true, b"\x01\x10", b"\0\0\0\0"),
            (true, true, b"\x01\x10", b"\0\0\x80\0"),
        ] {
            let want = [
                b"\x12\x34",
                &flags[..],
                b"\0\x01\0\0\0\0\0\x01",
                question,
                b"\0\0\x29\x04\xd0",
                ttl,
                b"\0\0",
            ]
            .concat();
            let asked = name("WWW.x");
            let query = encode(
                0x1234,
                asked.as_ref(),
                RecordType::AAAA,
                dnssec_ok,
                checking_disabled,
            );
            assert_eq!(query, want);
            let read = Query::parse(&query).expect("well-formed");
            assert_eq!(read.name(), asked.as_ref());
            assert_eq!(read.edns().map(|edns| edns.dnssec_ok), Some(dnssec_ok));
        }
    }

    #[test]
    fn what_is_a_reply() {
        let query = encode(0x1234, name("www.x").as_ref(), RecordType::A, false, false);
        let message = |head: &[u8], question: &[u8]| [head, &[0; 6], question].concat();
        let asked = b"\x03www\x01x\0\0\x01\0\x01";
        let cases: [(&str, &[u8], &[u8], bool); 19] = [
            ("ours", b"\x12\x34\x81\x80\0\x01", asked, true),
            (
                "letter case",
                b"\x12\x34\x81\x80\0\x01",
                b"\x03wWw\x01X\0\0\x01\0\x01",
                true,
            ),
            ("truncated", b"\x12\x34\x83\x80\0\x01", asked, true),
            ("an error", b"\x12\x34\x81\x85\0\x01", asked, true),
            ("wrong id", b"\x12\x35\x81\x80\0\x01", asked, false),
            ("QR=0", b"\x12\x34\x01\x80\0\x01", asked, false),
            ("NOTIFY", b"\x12\x34\xa1\x80\0\x01", asked, false),
            ("a bare error", b"\x12\x34\x81\x81\0\0", b"", true),
            ("a bare refusal", b"\x12\x34\x80\x05\0\0", b"", true),
            ("a bare TC", b"\x12\x34\x83\x80\0\0", b"", true),
            (
                "a bare BADVERS",
                b"\x12\x34\x81\x80\0\0",
                b"\0\0\x29\x04\xd0\x01\0\0\0\0\0",
                true,
            ),
            ("a bare nothing", b"\x12\x34\x81\x80\0\0", b"", false),
            (
                "a bare error, wrong id",
                b"\x12\x35\x81\x81\0\0",
                b"",
                false,
            ),
            ("a bare error, QR=0", b"\x12\x34\x01\x81\0\0", b"", false),
            ("two questions", b"\x12\x34\x81\x80\0\x02", asked, false),
            (
                "wrong name",
                b"\x12\x34\x81\x80\0\x01",
                b"\x03wwx\x01x\0\0\x01\0\x01",
                false,
            ),
            (
                "wrong type",
                b"\x12\x34\x81\x80\0\x01",
                b"\x03www\x01x\0\0\x02\0\x01",
                false,
            ),
            (
                "wrong class",
                b"\x12\x34\x81\x80\0\x01",
                b"\x03www\x01x\0\0\x01\0\x03",
                false,
            ),
            (
                "a pointer",
                b"\x12\x34\x81\x80\0\x01",
                b"\xc0\x0c\0\x01\0\x01",
                false,
            ),
        ];
        for (what, head, question, want) in cases {
            let reply = message(head, question);
            assert_eq!(is_reply_to(&reply, &query), want, "{what}");
            let truncated = what == "truncated" || what == "a bare TC";
            assert_eq!(is_truncated(&reply), truncated, "{what}");
        }
        let whole = message(b"\x12\x34\x81\x80\0\x01", asked);
        for len in 0..whole.len() {
            assert!(!is_reply_to(&whole[..len], &query), "{len} bytes");
        }
        assert!(!is_truncated(&[]));
    }

    #[test]
    fn without_edns_a_query_is_the_question_alone() {
        let query = encode(0x1234, name("www.x").as_ref(), RecordType::A, true, true);
        let plain = without_edns(query.clone());
        let read = Query::parse(&plain).expect("well-formed");
        assert_eq!(read.name(), name("www.x").as_ref());
        assert!(read.edns().is_none() && read.checking_disabled());
        assert_eq!(plain[..10], query[..10]);
    }

    #[test]
    fn what_says_that_a_server_does_not_know_edns() {
        let asked = b"\x03www\x01x\0\0\x01\0\x01";
        let opt = |upper: u8| [b"\0\0\x29\x04\xd0", &[upper, 0, 0, 0, 0, 0][..]].concat();
        for (what, flags, counts, body, want) in [
            ("FORMERR", 0x81, [1, 0, 0, 0], asked.to_vec(), true),
            (
                "FORMERR with OPT",
                0x81,
                [1, 0, 0, 1],
                [&asked[..], &opt(0)].concat(),
                true,
            ),
            ("a bare FORMERR", 0x81, [0; 4], vec![], true),
            ("NOTIMP", 0x84, [1, 0, 0, 0], asked.to_vec(), true),
            ("a bare NOTIMP", 0x84, [0; 4], vec![], true),
            (
                "BADVERS",
                0x80,
                [1, 0, 0, 1],
                [&asked[..], &opt(1)].concat(),
                true,
            ),
            ("a bare BADVERS", 0x80, [0, 0, 0, 1], opt(1), true),
            (
                "an answer",
                0x80,
                [1, 0, 0, 1],
                [&asked[..], &opt(0)].concat(),
                false,
            ),
            (
                "BADCOOKIE",
                0x87,
                [1, 0, 0, 1],
                [&asked[..], &opt(1)].concat(),
                false,
            ),
            ("SERVFAIL", 0x82, [1, 0, 0, 0], asked.to_vec(), false),
            ("a bare REFUSED", 0x85, [0; 4], vec![], false),
        ] {
            let counts = counts.map(|count: u8| [0, count]).concat();
            let reply = [&[0x12, 0x34, 0x81, flags][..], &counts, &body].concat();
            assert_eq!(rejects_edns(&reply), want, "{what}");
        }
        assert!(!rejects_edns(&[]));
    }

    #[test]
    fn a_reply_gets_the_question_that_it_lacks() {
        let query = encode(0x1234, name("www.x").as_ref(), RecordType::A, false, false);
        let bare = b"\x12\x34\x81\x85\0\0\0\0\0\0\0\0".to_vec();
        let asked = b"\x03www\x01x\0\0\x01\0\x01";
        let want = [&b"\x12\x34\x81\x85\0\x01\0\0\0\0\0\0"[..], asked].concat();
        assert_eq!(with_question(bare, &query), want);
        assert_eq!(with_question(want.clone(), &query), want, "it has one");
        assert_eq!(with_question(vec![1, 2], &query), [1, 2]);
    }
}
