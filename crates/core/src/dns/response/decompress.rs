//! The form of RDATA: its length and the positions of names that may be compressed.
//!
//! This covers more types than those whose names dnsgate compresses: an unresolved pointer would
//! refer to the wrong place in another message. RFC 3597 section 4 lists the types in which a
//! receiver must decompress names; the RDATA of all other types is opaque.

use super::cursor::MessageCursor;
use crate::dns::RecordType;

/// The parts of RDATA.
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
