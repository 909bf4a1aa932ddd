//! Parses a packet into a borrowed, checked view of a query, or the reason to reject it.
//!
//! The checks run from the start of the packet to its end and stop at the first fault; the table in
//! [`Malformed`] lists them. A valid query has exactly one name, type and class, at most one OPT
//! record and no trailing bytes, so that two parsers cannot read it differently.
//!
//! This module does not decide which types and classes are served; the engine does.

use super::{
    code::Rcode,
    edns::{Edns, options_well_formed},
    name::{NameBuf, NameRef},
    rtype::RecordType,
};

/// The length of a header in bytes (RFC 1035 section 4.1.1).
pub const HEADER: usize = 12;
/// The class IN.
pub const CLASS_IN: u16 = 1;

/// The fault of a packet and the response to it.
///
/// | packet | reply |
/// |---|---|
/// | shorter than a header | none |
/// | a response (QR = 1) | none: otherwise two servers could answer each other forever |
/// | opcode other than QUERY | NOTIMP |
/// | not exactly one question (RFC 9619), a bad name, records in the answer or authority section, two OPT records, an OPT record with an owner name other than the root or with incomplete options, trailing bytes | FORMERR |
/// | EDNS version other than 0 | BADVERS |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than a header, so there is no ID to respond to.
    Short,
    /// A response, not a query.
    Response,
    /// An opcode other than QUERY.
    Opcode,
    /// A malformed packet.
    Format {
        /// The length of the question to echo in bytes; 0 if it is unreadable.
        question: usize,
        /// Whether an OPT record precedes the fault.
        edns: bool,
    },
    /// An EDNS version other than 0.
    Version {
        /// The length of the question in bytes.
        question: usize,
    },
}

impl Malformed {
    /// The response code; `None` for no response.
    #[must_use]
    pub const fn rcode(self) -> Option<Rcode> {
        match self {
            Self::Short | Self::Response => None,
            Self::Opcode => Some(Rcode::NotImp),
            Self::Format { .. } => Some(Rcode::FormErr),
            Self::Version { .. } => Some(Rcode::BadVers),
        }
    }
}

/// The fault of a packet with an unreadable question.
const UNREAD: Malformed = Malformed::Format {
    question: 0,
    edns: false,
};

/// A checked view of one query.
#[derive(Debug)]
pub struct Query<'p> {
    packet: &'p [u8],
    name: NameBuf,
    /// The length of the question section in bytes.
    question: usize,
    qtype: RecordType,
    qclass: u16,
    edns: Option<Edns>,
}

impl<'p> Query<'p> {
    /// Checks a packet.
    ///
    /// # Errors
    /// [`Malformed`], which determines the response.
    #[inline]
    pub fn parse(packet: &'p [u8]) -> Result<Self, Malformed> {
        let mut query = Self::unread(packet);
        query.read()?;
        Ok(query)
    }

    /// An empty query for [`Query::read`]. Reading in place avoids a move of about a hundred bytes.
    #[inline]
    pub(crate) const fn unread(packet: &'p [u8]) -> Self {
        Self {
            packet,
            name: NameBuf::new(),
            question: 0,
            qtype: RecordType(0),
            qclass: 0,
            edns: None,
        }
    }

    /// Checks the packet; see [`Query::parse`].
    ///
    /// # Errors
    /// [`Malformed`]; the query is then unusable.
    #[inline]
    pub(crate) fn read(&mut self) -> Result<(), Malformed> {
        let Some((&[_, _, flags, _, counts @ ..], body)) =
            self.packet.split_first_chunk::<HEADER>()
        else {
            return Err(Malformed::Short);
        };
        if flags & 0x80 != 0 {
            return Err(Malformed::Response);
        }
        if flags & 0x78 != 0 {
            return Err(Malformed::Opcode);
        }
        let [0, 1, 0, 0, 0, 0, ar_high, ar_low] = counts else {
            return Err(UNREAD);
        };
        let name_len = self.name.set(body).map_err(|_| UNREAD)?;
        let question = name_len + 4;
        let (fields, rest) = body
            .get(name_len..)
            .and_then(|rest| rest.split_first_chunk::<4>())
            .ok_or(UNREAD)?;
        let records = u16::from_be_bytes([ar_high, ar_low]);
        let edns = match plain_opt(rest, records) {
            None => read_additional(rest, records)
                .map_err(|edns| Malformed::Format { question, edns })?,
            opt => opt,
        };
        if edns.is_some_and(|edns| edns.version != 0) {
            return Err(Malformed::Version { question });
        }
        let &[type_high, type_low, class_high, class_low] = fields;
        self.question = question;
        self.qtype = RecordType(u16::from_be_bytes([type_high, type_low]));
        self.qclass = u16::from_be_bytes([class_high, class_low]);
        self.edns = edns;
        Ok(())
    }

    /// The name of the question, in lower case.
    #[must_use]
    pub fn name(&self) -> NameRef<'_> {
        self.name.as_ref()
    }

    /// The type of the question.
    #[must_use]
    pub const fn qtype(&self) -> RecordType {
        self.qtype
    }

    /// The class of the question.
    #[must_use]
    pub const fn qclass(&self) -> u16 {
        self.qclass
    }

    /// The contents of the OPT record, if there is one.
    #[must_use]
    pub const fn edns(&self) -> Option<Edns> {
        self.edns
    }

    /// The RD flag: recursion desired.
    #[must_use]
    pub fn recursion_desired(&self) -> bool {
        self.packet.get(2).is_some_and(|flags| flags & 0x01 != 0)
    }

    /// The CD flag: checking disabled (RFC 4035 section 3.2.2).
    #[must_use]
    pub fn checking_disabled(&self) -> bool {
        self.packet.get(3).is_some_and(|flags| flags & 0x10 != 0)
    }

    /// The header and question as received, with letter case.
    #[must_use]
    pub fn header_and_question(&self) -> &'p [u8] {
        self.packet
            .get(..HEADER + self.question)
            .unwrap_or_default()
    }
}

/// A fast path for the most common additional section: one OPT record without options.
#[inline]
fn plain_opt(rest: &[u8], count: u16) -> Option<Edns> {
    let &[0, t1, t0, c1, c0, l3, l2, l1, l0, 0, 0] = rest else {
        return None;
    };
    let (class, ttl) = ([c1, c0], [l3, l2, l1, l0]);
    (count == 1 && u16::from_be_bytes([t1, t0]) == RecordType::OPT.0)
        .then(|| Edns::from_fields(u16::from_be_bytes(class), u32::from_be_bytes(ttl)))
}

/// Reads the additional section to the end of the packet. `Err` tells whether an OPT record
/// precedes the fault.
fn read_additional(mut rest: &[u8], count: u16) -> Result<Option<Edns>, bool> {
    let mut edns = None;
    for _ in 0..count {
        let seen = edns.is_some();
        let (at_root, after_name) = skip_name(rest).ok_or(seen)?;
        let (fields, after) = after_name.split_first_chunk::<10>().ok_or(seen)?;
        let &[t1, t0, c1, c0, l3, l2, l1, l0, r1, r0] = fields;
        let (rdata, after) = after
            .split_at_checked(usize::from(u16::from_be_bytes([r1, r0])))
            .ok_or(seen)?;
        if u16::from_be_bytes([t1, t0]) == RecordType::OPT.0 {
            // RFC 6891 section 6.1.1: one OPT record, at the root.
            if seen || !at_root || !options_well_formed(rdata) {
                return Err(seen);
            }
            edns = Some(Edns::from_fields(
                u16::from_be_bytes([c1, c0]),
                u32::from_be_bytes([l3, l2, l1, l0]),
            ));
        }
        rest = after;
    }
    if rest.is_empty() {
        Ok(edns)
    } else {
        Err(edns.is_some())
    }
}

/// Skips a record's owner name. Returns whether it is the root, and the following bytes.
fn skip_name(mut rest: &[u8]) -> Option<(bool, &[u8])> {
    let mut at_root = true;
    let mut left = super::name::MAX_NAME;
    loop {
        let (&len, tail) = rest.split_first()?;
        match len {
            0 => return Some((at_root, tail)),
            1..=63 => {
                let step = 1 + usize::from(len);
                left = left.checked_sub(step)?;
                rest = tail.get(usize::from(len)..)?;
                at_root = false;
            }
            // A pointer ends a name. It is not followed, because the name does not matter.
            0xc0.. => return Some((false, tail.get(1..)?)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
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
}
