//! A position in a message for reading bytes, numbers and names.

use crate::dns::{RecordType, name::MAX_NAME, query::HEADER};

/// The maximum expansion of all names in a message, in bytes and pointers. 64 kB of addresses, each
/// with an owner name of full length, just fit.
const MAX_EXPANSION: usize = 1 << 20;

/// A position in a message.
pub(super) struct MessageCursor<'m> {
    message: &'m [u8],
    at: usize,
    /// The remaining expansion of names.
    expansion: usize,
}

impl<'m> MessageCursor<'m> {
    /// The position after the header.
    pub(super) const fn behind_header(message: &'m [u8]) -> Self {
        Self {
            message,
            at: HEADER,
            expansion: MAX_EXPANSION,
        }
    }

    /// Reads at another position without moving this cursor.
    pub(super) fn read_at(
        &mut self,
        at: usize,
        read: impl FnOnce(&mut Self) -> Option<()>,
    ) -> Option<()> {
        let here = std::mem::replace(&mut self.at, at);
        let found = read(self);
        self.at = here;
        found
    }

    /// The end of the name at this position, without following pointers.
    pub(super) fn after_name(&self) -> Option<usize> {
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

    /// The offset of the next byte.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The unread bytes.
    pub(super) fn rest(&self) -> Option<&'m [u8]> {
        self.message.get(self.at..)
    }

    /// Moves to another position.
    pub(super) const fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Whether the root is at this position.
    pub(super) fn is_root(&self, at: usize) -> bool {
        self.message.get(at) == Some(&0)
    }

    /// Whether the expansion limit is reached.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.expansion == 0
    }

    /// Reads the next `len` bytes.
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'m [u8]> {
        let bytes = self.message.get(self.at..)?.get(..len)?;
        self.at += len;
        Some(bytes)
    }

    pub(super) fn number(&mut self) -> Option<u16> {
        let bytes = self.bytes(2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Reads a name, compressed or not, and appends it to `out` uncompressed with its letter case.
    ///
    /// Each pointer must lead to a position before the labels that precede it, so that no walk can
    /// loop (RFC 1035 section 4.1.4: to a prior occurrence).
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

/// The parts of RDATA.
///
/// This covers more types than those whose names dnsgate compresses: an unresolved pointer would
/// refer to the wrong place in another message. RFC 3597 section 4 lists the types in which a
/// receiver must decompress names; the RDATA of all other types is opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Any number of bytes.
    Opaque,
    /// This many bytes.
    Bytes(usize),
    /// `prefix` bytes, `names` names, and the tail.
    Names {
        prefix: usize,
        names: usize,
        tail: Tail,
    },
    /// Four bytes, three character-strings and a name (RFC 3403 section 4.1).
    Naptr,
}

/// The bytes after the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Bytes(usize),
    Any,
}

const fn names(prefix: usize, names: usize, tail: Tail) -> Form {
    Form::Names {
        prefix,
        names,
        tail,
    }
}

impl Form {
    const fn of(rtype: RecordType) -> Self {
        match rtype {
            RecordType::A => Self::Bytes(4),
            RecordType::AAAA => Self::Bytes(16),
            // MD, MF, MB, MG and MR are also defined in RFC 1035.
            RecordType::NS
            | RecordType::CNAME
            | RecordType::PTR
            | RecordType::DNAME
            | RecordType(3 | 4 | 7 | 8 | 9) => names(0, 1, Tail::Bytes(0)),
            RecordType::SOA => names(0, 2, Tail::Bytes(20)),
            // MINFO, RP
            RecordType(14 | 17) => names(0, 2, Tail::Bytes(0)),
            // AFSDB, RT, KX
            RecordType::MX | RecordType(18 | 21 | 36) => names(2, 1, Tail::Bytes(0)),
            // PX
            RecordType(26) => names(2, 2, Tail::Bytes(0)),
            RecordType::SRV => names(6, 1, Tail::Bytes(0)),
            RecordType::SIG | RecordType::RRSIG => names(18, 1, Tail::Any),
            // NXT
            RecordType::NSEC | RecordType(30) => names(0, 1, Tail::Any),
            RecordType::NAPTR => Self::Naptr,
            _ => Self::Opaque,
        }
    }
}

/// Reads the RDATA that ends at `end` and appends it to `out` with uncompressed names. Returns
/// `None` if it does not match its type.
pub(super) fn read(
    reader: &mut MessageCursor<'_>,
    rtype: RecordType,
    end: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    match Form::of(rtype) {
        Form::Opaque => copy_to(reader, end, out)?,
        Form::Bytes(len) => copy(reader, len, out)?,
        Form::Names {
            prefix,
            names,
            tail,
        } => {
            copy(reader, prefix, out)?;
            for _ in 0..names {
                reader.name(out)?;
            }
            match tail {
                Tail::Bytes(len) => copy(reader, len, out)?,
                Tail::Any => copy_to(reader, end, out)?,
            }
        }
        Form::Naptr => {
            copy(reader, 4, out)?;
            for _ in 0..3 {
                let &len = reader.bytes(1)?.first()?;
                out.push(len);
                copy(reader, usize::from(len), out)?;
            }
            reader.name(out)?;
        }
    }
    (reader.at() == end).then_some(())
}

fn copy(reader: &mut MessageCursor<'_>, len: usize, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(reader.bytes(len)?);
    Some(())
}

fn copy_to(reader: &mut MessageCursor<'_>, end: usize, out: &mut Vec<u8>) -> Option<()> {
    copy(reader, end.checked_sub(reader.at())?, out)
}

/// The type that an RRSIG signs (RFC 4034 section 3.1.1).
pub(super) fn covered(rrsig: &[u8]) -> Option<RecordType> {
    let &[high, low] = rrsig.first_chunk::<2>()?;
    Some(RecordType(u16::from_be_bytes([high, low])))
}

/// The zone of an RRSIG: the name at the start of the result (RFC 4034 section 3.1.7).
pub(super) fn signer(rrsig: &[u8]) -> Option<&[u8]> {
    rrsig.get(18..)
}

/// The MINIMUM field of an SOA: the maximum TTL of negative answers, in seconds (RFC 2308 section
/// 4).
pub(super) fn minimum(soa: &[u8]) -> Option<u32> {
    soa.last_chunk::<4>()
        .map(|&bytes| u32::from_be_bytes(bytes))
}
