//! Encodes sets of record types as bitmaps.

use super::{Fault, field, scan::Word};

/// Types per window of the bitmap (RFC 4034 section 4.1.2).
const WINDOW: u16 = 256;
/// The first type that does not fit into the NXT bitmap (RFC 2535 section 5.2).
const OLD_END: u16 = 128;

/// Writes the bitmap of NSEC, NSEC3 and CSYNC (RFC 4034 section 4.1.2): windows of 256 types, each
/// with its number and length.
#[expect(
    clippy::cast_possible_truncation,
    reason = "there are 256 windows of at most 32 bytes"
)]
pub(super) fn bitmap(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut types = Vec::with_capacity(words.len());
    for word in words {
        types.push(field::rtype(word)?);
    }
    types.sort_unstable();
    for block in types.chunk_by(|a, b| a.0 / WINDOW == b.0 / WINDOW) {
        let bits = bits(block.iter().map(|rtype| usize::from(rtype.0 % WINDOW)));
        let window = block.first().map_or(0, |rtype| rtype.0 / WINDOW);
        // Both fit: there are 256 windows of at most 32 bytes.
        out.extend([window as u8, bits.len() as u8]);
        out.extend(bits);
    }
    Ok(())
}

/// Writes the bitmap of NXT (RFC 2535 section 5.2): one run of bits, for types below 128.
pub(super) fn old_bitmap(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut types = Vec::with_capacity(words.len());
    for word in words {
        let rtype = field::rtype(word)?;
        if rtype.0 >= OLD_END {
            return Err(word.fault(format!("NXT cannot hold {rtype}: only types below 128")));
        }
        types.push(rtype);
    }
    out.extend(bits(types.into_iter().map(|rtype| usize::from(rtype.0))));
    Ok(())
}

/// Sets one bit for each position. Position 0 is the highest bit of the first byte; there are no
/// trailing zero bytes.
pub(super) fn bits(places: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut bits = Vec::new();
    for at in places {
        if bits.len() <= at / 8 {
            bits.resize(at / 8 + 1, 0u8);
        }
        if let Some(byte) = bits.get_mut(at / 8) {
            *byte |= 0x80 >> (at % 8);
        }
    }
    bits
}
