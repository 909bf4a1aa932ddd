//! Parses a reply into checked records.
//!
//! The input is untrusted: an upstream forwards data that unknown parties put into their zones. So
//! the parser checks each count, length and pointer, and bounds the total expansion of names, so
//! that a few bytes cannot cause much work.
//!
//! A malformed record is skipped; the lengths give the start of the next one. Only invalid lengths
//! make the rest of a message unreadable. Trailing bytes are ignored, and of the additional section
//! only the OPT record matters.

use super::cursor::{self, MessageCursor};
use crate::dns::{
    NameRef, RecordType,
    name::{MAX_NAME, NameBuf},
    query::{CLASS_IN, HEADER},
};

/// The section of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageSection {
    Answer,
    Authority,
    Additional,
}

/// One record of class IN.
pub(super) struct MessageRecord<'r> {
    pub(super) section: MessageSection,
    /// In lower case; `None` if it is unreadable.
    pub(super) owner: Option<NameRef<'r>>,
    pub(super) rtype: RecordType,
    pub(super) ttl: u32,
    /// With uncompressed names in their letter case; `None` if it does not match its type.
    pub(super) rdata: Option<&'r [u8]>,
}

/// The fixed parts of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageHead {
    /// All 12 bits of the response code.
    pub(super) code: u16,
    /// Whether the authority section was readable to its end.
    pub(super) whole_authority: bool,
}

/// The rest of the message is unreadable: a record exceeds the message, or its names exceed the
/// expansion limit.
struct Torn;

/// Reads the reply to the question for `name` and `qtype` and passes each record of class IN in the
/// answer and authority sections to `take`. Returns `None` if the reply is incomplete before the
/// end of the answer section or does not match the question, or if `take` returns `None`.
pub(super) fn read(
    message: &[u8],
    name: NameRef<'_>,
    qtype: RecordType,
    mut take: impl FnMut(MessageRecord<'_>) -> Option<()>,
) -> Option<MessageHead> {
    let (&[_, _, high, low, q1, q0, counts @ ..], _) = message.split_first_chunk::<HEADER>()?;
    // QR = 1, opcode QUERY, TC = 0, one question.
    if high & 0xfa != 0x80 || [q1, q0] != [0, 1] {
        return None;
    }
    let mut reader = MessageReader {
        cursor: MessageCursor::behind_header(message),
        owner: Vec::with_capacity(MAX_NAME),
        rdata: Vec::new(),
        upper_code: None,
    };
    reader.question(name, qtype)?;
    let sections = [
        MessageSection::Answer,
        MessageSection::Authority,
        MessageSection::Additional,
    ];
    let mut torn = None;
    for (section, count) in sections.into_iter().zip(counts.chunks_exact(2)) {
        let count = u16::from_be_bytes(count.try_into().ok()?);
        for _ in 0..count {
            match reader.record(section, &mut take) {
                Ok(taken) => taken?,
                Err(Torn) => {
                    torn = Some(section);
                    break;
                }
            }
        }
        if torn.is_some() {
            break;
        }
    }
    let code = u16::from(low & 0x0f) | u16::from(reader.upper_code.unwrap_or(0)) << 4;
    (torn != Some(MessageSection::Answer)).then_some(MessageHead {
        code,
        whole_authority: torn != Some(MessageSection::Authority),
    })
}

/// The fixed-size fields of a record.
struct Fields {
    rtype: RecordType,
    class: u16,
    ttl: u32,
    /// The length of the RDATA.
    len: usize,
}

/// Reads records one by one.
struct MessageReader<'m> {
    cursor: MessageCursor<'m>,
    /// The owner name of the last record, uncompressed.
    owner: Vec<u8>,
    /// The RDATA of the last record, uncompressed.
    rdata: Vec<u8>,
    /// The upper bits of the response code, if an OPT record was read.
    upper_code: Option<u8>,
}

impl MessageReader<'_> {
    fn question(&mut self, name: NameRef<'_>, qtype: RecordType) -> Option<()> {
        let cursor = &mut self.cursor;
        let (asked, len) = NameBuf::read(cursor.rest()?).ok()?;
        cursor.bytes(len)?;
        let same =
            asked.as_ref() == name && cursor.number()? == qtype.0 && cursor.number()? == CLASS_IN;
        same.then_some(())
    }

    /// Reads one record and moves to the next. Returns `Ok(None)` if `take` returns `None`.
    fn record(
        &mut self,
        section: MessageSection,
        take: &mut impl FnMut(MessageRecord<'_>) -> Option<()>,
    ) -> Result<Option<()>, Torn> {
        let cursor = &mut self.cursor;
        let owner_at = cursor.at();
        let behind = cursor.after_name().ok_or(Torn)?;
        cursor.go_to(behind);
        let fields = fields(cursor).ok_or(Torn)?;
        let start = cursor.at();
        cursor.bytes(fields.len).ok_or(Torn)?;
        let end = cursor.at();
        if section == MessageSection::Additional {
            if fields.rtype == RecordType::OPT && cursor.is_root(owner_at) {
                self.opt(fields.ttl);
            }
            return Ok(Some(()));
        }
        // The RDATA of other classes is not checked.
        if fields.rtype == RecordType::OPT || fields.class != CLASS_IN {
            return Ok(Some(()));
        }
        self.owner.clear();
        let named = cursor.read_at(owner_at, |cursor| cursor.name(&mut self.owner));
        self.rdata.clear();
        let rtype = fields.rtype;
        let formed = cursor.read_at(start, |cursor| {
            cursor::read(cursor, rtype, end, &mut self.rdata)
        });
        if cursor.is_exhausted() {
            return Err(Torn);
        }
        let owner = named.and_then(|()| NameBuf::read(&self.owner).ok());
        Ok(take(MessageRecord {
            section,
            owner: owner.as_ref().map(|(owner, _)| owner.as_ref()),
            rtype,
            // RFC 2181 section 8: a TTL with the highest bit set counts as 0.
            ttl: if fields.ttl >> 31 == 0 { fields.ttl } else { 0 },
            rdata: formed.map(|()| &*self.rdata),
        }))
    }

    /// Takes the upper bits of the response code from the first OPT record at the root (RFC 6891
    /// section 6.1.1). Ignores later OPT records and the options.
    fn opt(&mut self, ttl: u32) {
        let [upper_code, ..] = ttl.to_be_bytes();
        self.upper_code.get_or_insert(upper_code);
    }
}

/// Reads the fields between a record's owner name and its RDATA.
fn fields(cursor: &mut MessageCursor<'_>) -> Option<Fields> {
    Some(Fields {
        rtype: RecordType(cursor.number()?),
        class: cursor.number()?,
        ttl: u32::from(cursor.number()?) << 16 | u32::from(cursor.number()?),
        len: usize::from(cursor.number()?),
    })
}
