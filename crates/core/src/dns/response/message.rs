//! A reply from front to back, as records whose form has been checked.
//!
//! Nobody vouches for the bytes: an upstream passes on what unknown clients put into their zones. So each
//! count, length and pointer is checked, and names as a whole may not expand to more than a message
//! could sensibly say, so that a few bytes cannot buy much work.
//!
//! One record that is not well-formed costs that record: the next one begins where the lengths say.
//! Only where they cannot be followed is the rest of a message lost. Bytes behind the last record
//! are nobody's, and of the additional section nothing matters but the OPT record.

use super::decompress;
use crate::dns::{
    NameRef, RecordType,
    name::{MAX_NAME, NameBuf},
    query::{CLASS_IN, HEADER},
};

/// The most that all names of a message may expand to, in bytes and pointers: 64 kB of addresses,
/// each at a name of full length, are just within it.
const MAX_EXPANSION: usize = 1 << 20;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageSection {
    Answer,
    Authority,
    Additional,
}

/// One record of class IN.
pub(super) struct MessageRecord<'r> {
    pub(super) section: MessageSection,
    /// In lower case; `None` where it cannot be read.
    pub(super) owner: Option<NameRef<'r>>,
    pub(super) rtype: RecordType,
    pub(super) ttl: u32,
    /// Its names written out, letters as received; `None` where it has not the form of its type.
    pub(super) rdata: Option<&'r [u8]>,
}

/// What the fixed parts of a message say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageHead {
    /// All 12 bits of the response code.
    pub(super) code: u16,
    /// Whether the authority section could be read to its end.
    pub(super) whole_authority: bool,
}

/// The message cannot be read on from here: a record ends behind its end, or its names have expanded
/// to more than they may.
struct Torn;

/// Reads the reply to the question for `name` and `qtype` and hands each record of class IN in the
/// answer and authority sections to `take`. `None` when it is not whole up to the end of the answer
/// section, not the reply to that question, or when `take` says so.
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
        message,
        at: HEADER,
        expansion: MAX_EXPANSION,
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

/// The fields of a record that are as long in each.
struct Fields {
    rtype: RecordType,
    class: u16,
    ttl: u32,
    /// Of its RDATA.
    len: usize,
}

/// A place in a message.
pub(super) struct MessageReader<'m> {
    message: &'m [u8],
    at: usize,
    /// What names may still expand to.
    expansion: usize,
    /// The last record's owner, uncompressed.
    owner: Vec<u8>,
    /// The last record's RDATA, uncompressed.
    rdata: Vec<u8>,
    /// The upper bits of the response code, once there was an OPT record.
    upper_code: Option<u8>,
}

impl<'m> MessageReader<'m> {
    fn question(&mut self, name: NameRef<'_>, qtype: RecordType) -> Option<()> {
        let (asked, len) = NameBuf::read(self.message.get(self.at..)?).ok()?;
        self.at += len;
        let same =
            asked.as_ref() == name && self.number()? == qtype.0 && self.number()? == CLASS_IN;
        same.then_some(())
    }

    /// Reads one record and goes on to the next. `Ok(None)` when `take` says so.
    fn record(
        &mut self,
        section: MessageSection,
        take: &mut impl FnMut(MessageRecord<'_>) -> Option<()>,
    ) -> Result<Option<()>, Torn> {
        let owner_at = self.at;
        self.at = self.after_name().ok_or(Torn)?;
        let fields = self.fields().ok_or(Torn)?;
        let (start, end) = (self.at, self.at + fields.len);
        if end > self.message.len() {
            return Err(Torn);
        }
        self.at = end;
        if section == MessageSection::Additional {
            if fields.rtype == RecordType::OPT {
                self.opt(owner_at, fields.ttl);
            }
            return Ok(Some(()));
        }
        // The form of another class is that class's business.
        if fields.rtype == RecordType::OPT || fields.class != CLASS_IN {
            return Ok(Some(()));
        }
        let mut owner = std::mem::take(&mut self.owner);
        owner.clear();
        let named = self.read_at(owner_at, |reader| reader.name(&mut owner));
        self.owner = owner;
        let mut uncompressed = std::mem::take(&mut self.rdata);
        uncompressed.clear();
        let rtype = fields.rtype;
        let formed = self.read_at(start, |reader| {
            decompress::read(reader, rtype, end, &mut uncompressed)
        });
        self.rdata = uncompressed;
        if self.expansion == 0 {
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

    /// What stands between a record's owner and its RDATA.
    fn fields(&mut self) -> Option<Fields> {
        Some(Fields {
            rtype: RecordType(self.number()?),
            class: self.number()?,
            ttl: u32::from(self.number()?) << 16 | u32::from(self.number()?),
            len: usize::from(self.number()?),
        })
    }

    /// Reads something that begins elsewhere, and stays here.
    fn read_at(&mut self, at: usize, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let here = std::mem::replace(&mut self.at, at);
        let found = read(self);
        self.at = here;
        found
    }

    /// RFC 6891 section 6.1.1: one OPT record, at the root. Others are nobody's, and what its options
    /// say does not matter.
    fn opt(&mut self, owner_at: usize, ttl: u32) {
        if self.message.get(owner_at) == Some(&0) {
            self.upper_code.get_or_insert((ttl >> 24) as u8);
        }
    }

    /// Where the name that begins here ends, whatever it points to.
    fn after_name(&self) -> Option<usize> {
        let mut at = self.at;
        loop {
            match *self.message.get(at)? {
                0 => return Some(at + 1),
                len @ 1..=63 => at += 1 + usize::from(len),
                0xc0.. => return Some(at + 2),
                _ => return None,
            }
        }
    }

    /// Where the next byte is.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The next `len` bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'m [u8]> {
        let bytes = self.message.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u16> {
        let bytes = self.bytes(2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Reads a name, compressed or not, and adds it to `out` uncompressed, letters as they are.
    ///
    /// Each pointer must lead to before the labels that it follows, so that no walk can go in
    /// circles (RFC 1035 section 4.1.4: to a prior occurrence).
    pub(super) fn name(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let mut at = self.at;
        let mut first = at;
        let mut after = None;
        let mut len = 0;
        loop {
            let &byte = self.message.get(at)?;
            let size = match byte {
                0xc0.. => 2,
                0..=63 => 1 + usize::from(byte),
                _ => return None,
            };
            self.expansion = self.expansion.saturating_sub(size);
            if self.expansion == 0 {
                return None;
            }
            match byte {
                0xc0.. => {
                    let to = u16::from_be_bytes([byte & 0x3f, *self.message.get(at + 1)?]);
                    after.get_or_insert(at + 2);
                    at = usize::from(to);
                    if at >= first || at < HEADER {
                        return None;
                    }
                    first = at;
                }
                _ => {
                    len += size;
                    if len > MAX_NAME {
                        return None;
                    }
                    out.extend_from_slice(self.message.get(at..at + size)?);
                    at += size;
                    if byte == 0 {
                        self.at = after.unwrap_or(at);
                        return Some(());
                    }
                }
            }
        }
    }
}
