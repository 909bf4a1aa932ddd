//! A reply from front to back, as records whose form has been checked.
//!
//! Nobody vouches for the bytes: an upstream passes on what strangers put into their zones. So each
//! count, length and pointer is checked, and names as a whole may not expand to more than a message
//! could sensibly say, so that a few bytes cannot buy much work.

use super::rdata;
use crate::dns::{
    NameRef, RecordType,
    edns::options_well_formed,
    name::{MAX_NAME, NameBuf},
    query::{CLASS_IN, HEADER},
};

/// The most that all names of a message may expand to, in bytes and pointers: 64 kB of addresses,
/// each at a name of full length, are just within it.
const MAX_EXPANSION: usize = 1 << 20;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// One record of class IN.
pub(super) struct Record<'r> {
    pub(super) section: Section,
    /// In lower case.
    pub(super) owner: NameRef<'r>,
    pub(super) rtype: RecordType,
    pub(super) ttl: u32,
    /// Its names written out, letters as received.
    pub(super) rdata: &'r [u8],
}

/// What the fixed parts of a message say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// All 12 bits of the response code.
    pub(super) code: u16,
}

/// Reads the reply to the question for `name` and `qtype` and hands each record of class IN to
/// `take`. `None` when it is not well-formed, not whole, not the reply to that question, or when
/// `take` says so.
pub(super) fn read(
    message: &[u8],
    name: NameRef<'_>,
    qtype: RecordType,
    mut take: impl FnMut(Record<'_>) -> Option<()>,
) -> Option<Head> {
    let (&[_, _, high, low, q1, q0, counts @ ..], _) = message.split_first_chunk::<HEADER>()?;
    // QR = 1, opcode QUERY, TC = 0, one question.
    if high & 0xfa != 0x80 || [q1, q0] != [0, 1] {
        return None;
    }
    let mut reader = Reader {
        message,
        at: HEADER,
        expansion: MAX_EXPANSION,
        owner: Vec::with_capacity(MAX_NAME),
        rdata: Vec::new(),
        upper_code: None,
    };
    reader.question(name, qtype)?;
    let sections = [Section::Answer, Section::Authority, Section::Additional];
    for (section, count) in sections.into_iter().zip(counts.chunks_exact(2)) {
        let count = u16::from_be_bytes(count.try_into().ok()?);
        for _ in 0..count {
            reader.record(section, &mut take)?;
        }
    }
    let code = u16::from(low & 0x0f) | u16::from(reader.upper_code.unwrap_or(0)) << 4;
    (reader.at == message.len()).then_some(Head { code })
}

/// A place in a message.
pub(super) struct Reader<'m> {
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

impl<'m> Reader<'m> {
    fn question(&mut self, name: NameRef<'_>, qtype: RecordType) -> Option<()> {
        let (asked, len) = NameBuf::read(self.message.get(self.at..)?).ok()?;
        self.at += len;
        let same =
            asked.as_ref() == name && self.number()? == qtype.0 && self.number()? == CLASS_IN;
        same.then_some(())
    }

    fn record(
        &mut self,
        section: Section,
        take: &mut impl FnMut(Record<'_>) -> Option<()>,
    ) -> Option<()> {
        let mut owner = std::mem::take(&mut self.owner);
        owner.clear();
        self.name(&mut owner)?;
        self.owner = owner;
        let rtype = RecordType(self.number()?);
        let class = self.number()?;
        let ttl = u32::from(self.number()?) << 16 | u32::from(self.number()?);
        let end = usize::from(self.number()?) + self.at;
        let raw = self.message.get(self.at..end)?;
        if rtype == RecordType::OPT {
            self.at = end;
            return self.opt(section, ttl, raw);
        }
        if class != CLASS_IN {
            // Its form is the other class's business.
            self.at = end;
            return Some(());
        }
        let mut uncompressed = std::mem::take(&mut self.rdata);
        uncompressed.clear();
        rdata::read(self, rtype, end, &mut uncompressed)?;
        self.rdata = uncompressed;
        let (owner, _) = NameBuf::read(&self.owner).ok()?;
        take(Record {
            section,
            owner: owner.as_ref(),
            rtype,
            // RFC 2181 section 8: a TTL with the highest bit set counts as 0.
            ttl: if ttl >> 31 == 0 { ttl } else { 0 },
            rdata: &self.rdata,
        })
    }

    /// RFC 6891 section 6.1.1: one OPT record, at the root, in the additional section.
    fn opt(&mut self, section: Section, ttl: u32, rdata: &[u8]) -> Option<()> {
        let proper = section == Section::Additional
            && self.owner == [0]
            && self.upper_code.is_none()
            && options_well_formed(rdata);
        self.upper_code = Some((ttl >> 24) as u8);
        proper.then_some(())
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
            self.expansion = self.expansion.checked_sub(size)?;
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
