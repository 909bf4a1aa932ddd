//! Parses a packet into a borrowed, checked view of a query with its EDNS, or the reason to reject
//! it.
//!
//! The checks run from the start of the packet to its end and stop at the first fault; the table in
//! [`Malformed`] lists them. A valid query has exactly one name, type and class, at most one OPT
//! record and no trailing bytes, so that two parsers cannot read it differently. EDNS options (RFC
//! 6891) are checked for form and otherwise ignored: a client's client subnet, cookie or padding
//! has no effect and is not forwarded to an upstream.
//!
//! This module does not decide which types and classes are served; the engine does.

#[cfg(test)]
mod tests;

use super::{
    code::Rcode,
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

/// The UDP payload size that dnsgate announces and does not exceed. It fits into one packet on
/// every path that carries IPv6 (the value of DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1232;
/// The size of a UDP response to a client without EDNS (RFC 1035 section 4.2.1).
pub const UDP_PAYLOAD_CLASSIC: u16 = 512;
/// The length of an OPT record without options, in bytes.
pub const OPT_LEN: usize = 11;

/// The contents of a query's OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The maximum UDP payload of the client, in bytes; at least 512.
    pub udp_payload: u16,
    /// The version; only 0 is defined.
    pub version: u8,
    /// DNSSEC OK: the client requests signatures (RFC 3225).
    pub dnssec_ok: bool,
}

impl Edns {
    /// Reads the fixed part of an OPT record: its class and TTL fields.
    #[must_use]
    pub fn from_fields(class: u16, ttl: u32) -> Self {
        let [_, version, ..] = ttl.to_be_bytes();
        Self {
            // RFC 6891 section 6.2.3: values below 512 count as 512.
            udp_payload: class.max(UDP_PAYLOAD_CLASSIC),
            version,
            dnssec_ok: ttl & 0x8000 != 0,
        }
    }
}

/// Whether `rdata` is a sequence of complete options (RFC 6891 section 6.1.2).
#[must_use]
pub fn options_well_formed(mut rdata: &[u8]) -> bool {
    while let Some((&[_, _, high, low], rest)) = rdata.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let Some(after) = rest.get(len..) else {
            return false;
        };
        rdata = after;
    }
    rdata.is_empty()
}
