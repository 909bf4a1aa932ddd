//! The form of RDATA, as far as it matters to those who keep it: how long it is, and where there
//! are names in it that may have been compressed.
//!
//! More types than those whose names we compress: a pointer that is passed on as it came would
//! lead into another message. RFC 3597 section 4 lists the types in which a pointer is to be
//! understood; in all the others bytes are bytes.

use super::message::MessageReader;
use crate::dns::RecordType;

/// What RDATA consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Bytes, as many as there are.
    Opaque,
    /// So many bytes.
    Bytes(usize),
    /// `prefix` bytes, `names` names, and what the tail says.
    Names {
        prefix: usize,
        names: usize,
        tail: Tail,
    },
    /// Four bytes, three character-strings and a name (RFC 3403 section 4.1).
    Naptr,
}

/// What follows the names.
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
            // MD, MF, MB, MG and MR are RFC 1035's, too.
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

/// Reads the RDATA that ends at `end` and adds it to `out`, its names uncompressed. `None` when it
/// has not the form of its type.
pub(super) fn read(
    reader: &mut MessageReader<'_>,
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

fn copy(reader: &mut MessageReader<'_>, len: usize, out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(reader.bytes(len)?);
    Some(())
}

fn copy_to(reader: &mut MessageReader<'_>, end: usize, out: &mut Vec<u8>) -> Option<()> {
    copy(reader, end.checked_sub(reader.at())?, out)
}

/// The type that an RRSIG signs (RFC 4034 section 3.1.1).
pub(super) fn covered(rrsig: &[u8]) -> Option<RecordType> {
    let &[high, low] = rrsig.first_chunk::<2>()?;
    Some(RecordType(u16::from_be_bytes([high, low])))
}

/// The zone that an RRSIG is from: the name from this byte on (RFC 4034 section 3.1.7).
pub(super) fn signer(rrsig: &[u8]) -> Option<&[u8]> {
    rrsig.get(18..)
}

/// The MINIMUM of an SOA: how long its zone lets negative answers be kept, in seconds (RFC 2308
/// section 4).
pub(super) fn minimum(soa: &[u8]) -> Option<u32> {
    soa.last_chunk::<4>()
        .map(|&bytes| u32::from_be_bytes(bytes))
}
