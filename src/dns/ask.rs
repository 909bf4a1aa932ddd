//! A question on its way to an upstream: the one encoding it has, and whether what comes back is
//! the reply to it.
//!
//! Nothing but the question goes in, so nothing else can come out: no letter case, option, padding
//! or flag of a client travels. Two clients that ask the same make the same bytes, the id aside.

use super::{
    RecordType,
    edns::{OPT_LEN, UDP_PAYLOAD},
    name::{NameBuf, NameRef},
    query::{CLASS_IN, HEADER},
};

/// Bits of the header's two bytes of flags.
mod flag {
    /// In the first byte.
    pub(super) const RESPONSE: u8 = 0x80;
    pub(super) const OPCODE: u8 = 0x78;
    pub(super) const TRUNCATED: u8 = 0x02;
    pub(super) const RECURSION_DESIRED: u8 = 0x01;
    /// In the second byte.
    pub(super) const CHECKING_DISABLED: u8 = 0x10;
}

/// The query for `name` and `qtype` in class IN: recursion desired, one OPT record without options
/// (RFC 6891) that takes replies of up to 1232 bytes over UDP.
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

/// Whether `reply` is a response to `query`: its id, and its question with the letters in any case.
///
/// An error without a question section is none: to accept it would leave the id alone between an
/// off-path sender and us.
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
        && [qd_high, qd_low] == [0, 1]
        && same_question(body, asked)
}

/// Whether two messages, their headers aside, begin with the same name, type and class.
fn same_question(one: &[u8], other: &[u8]) -> bool {
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

/// Whether a reply says that it is not whole (TC), so that it is to be asked for over a stream.
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
        let cases: [(&str, &[u8], &[u8], bool); 13] = [
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
            ("no question", b"\x12\x34\x81\x81\0\0", b"", false),
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
            assert_eq!(is_truncated(&reply), what == "truncated", "{what}");
        }
        let whole = message(b"\x12\x34\x81\x80\0\x01", asked);
        for len in 0..whole.len() {
            assert!(!is_reply_to(&whole[..len], &query), "{len} bytes");
        }
        assert!(!is_truncated(&[]));
    }
}
