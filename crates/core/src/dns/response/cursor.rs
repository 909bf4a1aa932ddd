//! A position in a message for reading bytes, numbers and names.

use crate::dns::{name::MAX_NAME, query::HEADER};

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
