//! Writes RDATA and names, compressed against the names in the response.

use super::{ReplyFull, ReplyWriter, pointer, pointer_to};
use crate::dns::{
    query::HEADER,
    rrset::{Layout, name_len},
};

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
