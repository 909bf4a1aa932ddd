//! A name under construction on the stack: read from the wire, or built label by label.

use std::fmt;

use super::{MAX_LABEL, MAX_LABELS, MAX_NAME, NameError, NameRef};

/// The number of bytes lower-cased at once; compilers turn a block into a few vector instructions.
const BLOCK: usize = 16;
/// The maximum length of a name, rounded up to whole blocks.
const ROOM: usize = MAX_NAME.next_multiple_of(BLOCK);

/// A name under construction, or the name of one query, without an allocation.
#[derive(Clone)]
pub struct NameBuf {
    bytes: [u8; ROOM],
    /// The number of used bytes, including the root byte.
    len: u8,
    /// The number of labels, without the root.
    count: u8,
    /// The starts of the labels as in [`NameRef`], with one extra element so that the root needs no
    /// special case.
    starts: [u8; MAX_LABELS + 1],
}

impl NameBuf {
    /// The root; [`NameBuf::push_label`] appends labels to it.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            len: 1,
            count: 0,
            starts: [0; MAX_LABELS + 1],
        }
    }

    /// The name so far.
    #[must_use]
    #[inline]
    pub fn as_ref(&self) -> NameRef<'_> {
        let wire = self.bytes.get(..usize::from(self.len));
        let starts = self.starts.get(..usize::from(self.count));
        NameRef {
            wire: wire.unwrap_or(&[0]),
            starts: starts.unwrap_or_default(),
        }
    }

    /// Appends a label in lower case.
    ///
    /// # Errors
    /// If the label is empty or longer than 63 bytes, or the name would be longer than 255 bytes.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a name has at most 255 bytes and 127 labels"
    )]
    pub fn push_label(&mut self, label: &[u8]) -> Result<(), NameError> {
        match label.len() {
            0 => return Err(NameError::EmptyLabel),
            1..=MAX_LABEL => {}
            _ => return Err(NameError::LongLabel),
        }
        let root = usize::from(self.len) - 1;
        let end = root + 1 + label.len();
        let name = self.bytes.first_chunk_mut::<MAX_NAME>();
        let Some(room) = name.and_then(|name| name.get_mut(root..=end)) else {
            return Err(NameError::LongName);
        };
        let Some((len, rest)) = room.split_first_mut() else {
            return Err(NameError::LongName);
        };
        *len = label.len() as u8;
        for (to, from) in rest.iter_mut().zip(label) {
            *to = from.to_ascii_lowercase();
        }
        if let Some(last) = rest.last_mut() {
            *last = 0;
        }
        self.len = (end + 1) as u8;
        // The distance of earlier labels from the end grows by this; the new label and the root
        // byte follow.
        let longer = label.len() as u8 + 1;
        let starts = self.starts.get_mut(..=usize::from(self.count));
        for start in starts.into_iter().flatten() {
            *start += longer;
        }
        if let Some(last) = self.starts.get_mut(usize::from(self.count)) {
            *last = longer + 1;
        }
        self.count += 1;
        Ok(())
    }

    /// Appends all labels of `name`.
    ///
    /// # Errors
    /// If the name would be longer than 255 bytes.
    pub fn push_name(&mut self, name: NameRef<'_>) -> Result<(), NameError> {
        name.labels().try_for_each(|label| self.push_label(label))
    }

    /// Reads an uncompressed name at the start of `wire` and returns its length in bytes.
    ///
    /// This is the form of a question's name: no name precedes it, so a compression pointer is an
    /// error.
    ///
    /// # Errors
    /// [`NameError::BadWire`] for a pointer, an unknown label type or an early end, and
    /// [`NameError::LongName`].
    #[inline]
    pub fn read(wire: &[u8]) -> Result<(Self, usize), NameError> {
        let mut name = Self::new();
        let len = name.set(wire)?;
        Ok((name, len))
    }

    /// Replaces this name with the name at the start of `wire`, as [`NameBuf::read`] does, and
    /// returns its length in bytes.
    ///
    /// # Errors
    /// As [`NameBuf::read`]; this name is then the root.
    #[inline]
    pub fn set(&mut self, wire: &[u8]) -> Result<usize, NameError> {
        let set = self
            .find_labels(wire)
            .and_then(|(len, count)| self.fill(wire, len, count));
        if set.is_err() {
            *self = Self::new();
        }
        set
    }

    /// Finds the labels of the name at the start of `wire` and stores their starts, counted from
    /// the start of the name. Returns the length of the name and the number of labels.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a name has at most 255 bytes and 127 labels"
    )]
    fn find_labels(&mut self, wire: &[u8]) -> Result<(usize, usize), NameError> {
        let name = wire.get(..MAX_NAME).unwrap_or(wire);
        let mut at = 0;
        for (count, start) in self.starts.iter_mut().enumerate() {
            let Some(&len) = name.get(at) else {
                break;
            };
            if usize::from(len) > MAX_LABEL {
                return Err(NameError::BadWire);
            }
            *start = at as u8; // below 255
            at += 1 + usize::from(len);
            if len == 0 {
                return Ok((at, count));
            }
        }
        let long = at > MAX_NAME || at < wire.len();
        Err(if long {
            NameError::LongName
        } else {
            NameError::BadWire
        })
    }

    /// Copies the name of `len` bytes whose labels were found.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a name has at most 255 bytes and 127 labels"
    )]
    fn fill(&mut self, wire: &[u8], len: usize, count: usize) -> Result<usize, NameError> {
        let (blocks, _) = self.bytes.as_chunks_mut::<BLOCK>();
        // Length bytes are below 64, so they are not letters, and one pass lower-cases the whole
        // name. The bytes after the name in the last block are not used.
        if let Some(wire) = wire.get(..len.next_multiple_of(BLOCK)) {
            for (block, from) in blocks.iter_mut().zip(wire.as_chunks().0) {
                let mut lower = *from;
                lower.make_ascii_lowercase();
                *block = lower;
            }
        } else {
            let (Some(room), Some(name)) = (self.bytes.get_mut(..len), wire.get(..len)) else {
                return Err(NameError::BadWire);
            };
            room.copy_from_slice(name);
            let (blocks, _) = self.bytes.as_chunks_mut::<BLOCK>();
            for block in blocks.iter_mut().take(len.div_ceil(BLOCK)) {
                block.make_ascii_lowercase();
            }
        }
        // A name has at most 255 bytes and 127 labels.
        let (short, count) = (len as u8, count as u8);
        (self.len, self.count) = (short, count);
        // The elements after the last label are not used.
        let (blocks, _) = self.starts.as_chunks_mut::<BLOCK>();
        for block in blocks.iter_mut().take(usize::from(count).div_ceil(BLOCK)) {
            for start in block {
                *start = short.wrapping_sub(*start);
            }
        }
        Ok(len)
    }
}

impl From<NameRef<'_>> for NameBuf {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a name has at most 255 bytes and 127 labels"
    )]
    fn from(name: NameRef<'_>) -> Self {
        let mut buf = Self::new();
        let room = buf.bytes.get_mut(..name.wire.len());
        let starts = buf.starts.get_mut(..name.starts.len());
        // A name fits by construction.
        if let (Some(room), Some(starts)) = (room, starts) {
            room.copy_from_slice(name.wire);
            starts.copy_from_slice(name.starts);
            (buf.len, buf.count) = (name.wire.len() as u8, name.starts.len() as u8);
        }
        buf
    }
}

impl Default for NameBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}
