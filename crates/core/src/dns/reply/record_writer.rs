//! Writes the parts of records in place: names and RDATA, compressed against the names in the
//! response, and the OPT record.

use crate::dns::{
    RecordType,
    code::Ede,
    name::MAX_LABELS,
    query::{Edns, HEADER, OPT_LEN, UDP_PAYLOAD},
    rrset::{Layout, name_len},
};

use super::{MAX_POINTER, ReplyFull, ReplyWriter, pointer, pointer_to};

impl ReplyWriter<'_> {
    /// Writes RDATA with a two-byte length prefix and compresses its names. The input has the
    /// prefix too.
    pub(super) fn put_rdata(&mut self, layout: Layout, rdata: &[u8]) -> Result<(), ReplyFull> {
        let Layout::Names { prefix, more } = layout else {
            return self.put(rdata);
        };
        let length_at = self.len;
        let (length, rest) = rdata.split_first_chunk::<2>().ok_or(ReplyFull)?;
        self.put(length)?; // it is put right below
        let (head, mut rest) = rest.split_at_checked(prefix).ok_or(ReplyFull)?;
        if !head.is_empty() {
            self.put(head)?;
        }
        if more {
            for _ in 0..2 {
                let (name, after) = name_len(rest)
                    .and_then(|len| rest.split_at_checked(len))
                    .ok_or(ReplyFull)?;
                self.put_name(name)?;
                rest = after;
            }
            self.put(rest)?;
        } else {
            self.put_target(rest)?;
        }
        self.set_length(length_at);
        Ok(())
    }

    /// Writes the target of an alias, whose records may follow.
    pub(super) fn put_target(&mut self, wire: &[u8]) -> Result<(), ReplyFull> {
        let at = self.put_name(wire)?;
        // If the table is full, it may not contain the name, which is then written in full again.
        self.target = at.filter(|_| !self.known.is_full());
        Ok(())
    }

    /// Writes the length of the RDATA after `length_at` into the two bytes at `length_at`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the length of RDATA that is within a message"
    )]
    pub(super) fn set_length(&mut self, length_at: usize) {
        let written = self.len - length_at - 2;
        if let Some(slot) = self.out.get_mut(length_at..length_at + 2) {
            slot.copy_from_slice(&(written as u16).to_be_bytes());
        }
    }

    /// Writes a name with its longest known suffix as a pointer. Returns the position for pointers
    /// to the whole name.
    pub(super) fn put_name(&mut self, wire: &[u8]) -> Result<Option<u16>, ReplyFull> {
        if self.known.count() == 0 {
            self.know_question();
        }
        let begin = self.len;
        let mut rest = wire;
        while let Some((&len, tail)) = rest.split_first() {
            if len == 0 {
                break;
            }
            let fresh = wire.len() - rest.len();
            if let Some(at) = self.known.find(self.out, rest) {
                if fresh == 0 {
                    self.put(&pointer(at))?;
                    return Ok(Some(at));
                }
                self.put(wire.get(..fresh).ok_or(ReplyFull)?)?;
                self.put(&pointer(at))?;
                return Ok(pointer_to(begin));
            }
            self.known.add(begin + fresh, rest.len());
            rest = tail.get(usize::from(len)..).ok_or(ReplyFull)?;
        }
        self.put(wire)?;
        Ok(pointer_to(begin))
    }

    /// Adds the question's name, which is well-formed, to the table.
    fn know_question(&mut self) {
        let question = self.out.get(HEADER..self.body).unwrap_or_default();
        let mut left = question.len().saturating_sub(4); // type and class
        let mut at = HEADER;
        while let Some(&len) = self.out.get(at) {
            let step = 1 + usize::from(len);
            if len == 0 || left <= step {
                break;
            }
            self.known.add(at, left);
            at += step;
            left -= step;
        }
    }
}

/// The maximum number of suffixes: enough for a chain of a dozen names.
const MOST: usize = 40;

/// The names in a response and their positions, as targets for compression pointers: suffixes of
/// names, in the order of writing. The table is bounded, so that the cost of a name is bounded too.
/// A name that does not fit into the table is written in full each time.
pub(super) struct CompressionTable {
    /// The position of each suffix in the response.
    places: [u16; MOST],
    /// The uncompressed length of each suffix, including the root byte. A search compares it first.
    lengths: [u8; MOST],
    count: usize,
}

impl CompressionTable {
    pub(super) const fn new() -> Self {
        Self {
            places: [0; MOST],
            lengths: [0; MOST],
            count: 0,
        }
    }

    /// Adds a suffix of `len` bytes at position `at`, if there is room and a pointer can reach it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a name has at most 255 bytes"
    )]
    pub(super) fn add(&mut self, at: usize, len: usize) {
        let slots = (
            self.places.get_mut(self.count),
            self.lengths.get_mut(self.count),
        );
        if let ((Some(place), Some(length)), Some(at)) = (slots, pointer_to(at)) {
            (*place, *length) = (at, len as u8); // a name has at most 255 bytes
            self.count += 1;
        }
    }

    /// The position of `suffix` in the response, ignoring letter case.
    pub(super) fn find(&self, reply: &[u8], suffix: &[u8]) -> Option<u16> {
        let lengths = self.lengths.get(..self.count)?;
        let known = lengths.iter().zip(&self.places);
        known
            .filter(|&(&len, _)| usize::from(len) == suffix.len())
            .map(|(_, &at)| at)
            .find(|&at| stands_at(reply, at, suffix))
    }

    /// Whether the table is full.
    pub(super) const fn is_full(&self) -> bool {
        self.count >= MOST
    }

    /// The number of suffixes, for [`CompressionTable::cut`].
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Removes all but the first `count` suffixes.
    pub(super) fn cut(&mut self, count: usize) {
        self.count = count.min(self.count);
    }

    /// Removes the suffixes at or after `end`.
    pub(super) fn cut_at(&mut self, end: usize) {
        let places = self.places.iter().take(self.count);
        self.count = places.take_while(|&&at| usize::from(at) < end).count();
    }
}

/// Whether the name at `at` in the response is `name`, ignoring letter case. Pointers in the
/// response are our own and lead backward, so the loop bound is only for the reader.
#[inline]
pub(super) fn stands_at(reply: &[u8], at: u16, mut name: &[u8]) -> bool {
    let mut at = usize::from(at);
    // The name is usually there byte for byte, without a pointer.
    if reply.get(at..at + name.len()) == Some(name) {
        return true;
    }
    for _ in 0..2 * MAX_LABELS {
        let Some(&len) = reply.get(at) else {
            return false;
        };
        if len >= 0xc0 {
            let Some(&low) = reply.get(at + 1) else {
                return false;
            };
            at = usize::from(u16::from_be_bytes([len, low])) & MAX_POINTER;
            continue;
        }
        let size = 1 + usize::from(len);
        let (Some(here), Some((label, rest))) =
            (reply.get(at..at + size), name.split_at_checked(size))
        else {
            return false;
        };
        // Most names are in lower case, and an equality check compares many bytes at once.
        if here != label && !here.eq_ignore_ascii_case(label) {
            return false;
        }
        if len == 0 {
            return rest.is_empty();
        }
        at += size;
        name = rest;
    }
    false
}

impl ReplyWriter<'_> {
    /// Writes the OPT record into its reserved room, with as much of the extended error as fits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper eight of twelve bits, and a text within a message"
    )]
    pub(super) fn put_opt(&mut self, edns: Edns, ede: Option<(Ede, &str)>) {
        let room = self.limit - self.len;
        self.limit += OPT_LEN;
        let [payload_high, payload_low] = UDP_PAYLOAD.to_be_bytes();
        let upper_rcode = (self.rcode.number() >> 4) as u8;
        let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
        // 4 bytes of option header, 2 of INFO-CODE, then the text (RFC 8914 section 2).
        let ede = ede
            .filter(|_| room >= 6)
            .map(|(code, text)| (code, fitting(text, room - 6)));
        let rdata_len = ede.map_or(0, |(_, text)| 6 + text.len() as u16);
        let [rdata_high, rdata_low] = rdata_len.to_be_bytes();
        let [_, opt_type] = RecordType::OPT.0.to_be_bytes();
        let fixed = [
            0,
            0,
            opt_type,
            payload_high,
            payload_low,
            upper_rcode,
            0,
            dnssec_ok,
            0,
            rdata_high,
            rdata_low,
        ];
        // The fixed part has reserved room, and the room for the rest was measured.
        let _ = if let Some((code, text)) = ede {
            let [length_high, length_low] = (2 + text.len() as u16).to_be_bytes();
            let [code_high, code_low] = code.number().to_be_bytes();
            let option = [0, 15, length_high, length_low, code_high, code_low];
            self.put_two(&fixed, &option)
                .and_then(|()| self.put(text.as_bytes()))
        } else {
            self.put(&fixed)
        };
    }
}

/// The longest prefix of `text` that fits into `room` bytes, in whole characters.
fn fitting(text: &str, room: usize) -> &str {
    if text.len() <= room {
        return text;
    }
    let end = (0..=room)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
