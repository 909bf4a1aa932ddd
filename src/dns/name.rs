//! Domain names as they are compared: uncompressed wire form, letters in lower case.
//!
//! A name is a sequence of labels, each a length byte and that many bytes, ended by the root's
//! zero byte (RFC 1035 section 3.1). Comparing these bytes compares labels, so that no dot inside
//! a label can pass for one between labels, and `evilcorp.internal` is not below `corp.internal`.
//!
//! Three types, one content: [`Name`] owns, [`NameRef`] borrows, [`NameBuf`] lives on the stack of
//! one query. All three are valid by construction: at most 255 bytes, labels of 1 to 63 bytes,
//! lower case.

use std::{borrow::Borrow, fmt, str::FromStr};

/// The longest name on the wire, root byte included (RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 255;
/// The longest label (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;
/// The most labels that fit into a name, the root not counted.
pub const MAX_LABELS: usize = (MAX_NAME - 1) / 2;
/// The bytes that are lowered at once: a compiler makes a few vector instructions of them.
const BLOCK: usize = 16;
/// The longest name in whole blocks.
const ROOM: usize = MAX_NAME.next_multiple_of(BLOCK);

/// A borrowed name in canonical form.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameRef<'a>(&'a [u8]);

/// Where each label of a name starts, leftmost first.
pub struct LabelStarts {
    starts: [u8; MAX_LABELS],
    count: u8,
}

impl LabelStarts {
    /// The offsets of the labels' length bytes, leftmost first; the root is not among them.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.starts
            .get(..usize::from(self.count))
            .unwrap_or_default()
    }
}

impl<'a> NameRef<'a> {
    /// The root.
    pub const ROOT: NameRef<'static> = NameRef(&[0]);

    /// The wire form, root byte included.
    #[must_use]
    pub const fn wire(self) -> &'a [u8] {
        self.0
    }

    /// Whether this is the root.
    #[must_use]
    pub const fn is_root(self) -> bool {
        self.0.len() <= 1
    }

    /// The labels, leftmost first, without the root.
    pub fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&len, tail) = rest.split_first()?;
            if len == 0 {
                return None;
            }
            let (label, after) = tail.split_at_checked(usize::from(len))?;
            rest = after;
            Some(label)
        })
    }

    /// The number of labels, the root not counted.
    #[must_use]
    pub fn label_count(self) -> usize {
        self.labels().count()
    }

    /// The offsets of all labels, in one pass: for walks from the root downward.
    #[must_use]
    pub fn label_starts(self) -> LabelStarts {
        let mut starts = [0; MAX_LABELS];
        let (mut at, mut count) = (0, 0);
        for slot in &mut starts {
            let len = self.0.get(at).map_or(0, |&len| usize::from(len));
            if len == 0 {
                break;
            }
            // A name has at most 255 bytes, so its offsets fit.
            *slot = at as u8;
            count += 1;
            at += 1 + len;
        }
        LabelStarts { starts, count }
    }

    /// The label whose length byte stands at `start`.
    #[must_use]
    pub fn label_at(self, start: u8) -> &'a [u8] {
        let from = self.0.get(usize::from(start)..).unwrap_or_default();
        let Some((&len, rest)) = from.split_first() else {
            return &[];
        };
        rest.get(..usize::from(len)).unwrap_or_default()
    }

    /// The name that begins with the label at `start`.
    #[must_use]
    pub fn from_label(self, start: u8) -> NameRef<'a> {
        NameRef(self.0.get(usize::from(start)..).unwrap_or(&[0]))
    }

    /// The name without its leftmost label; `None` for the root.
    #[must_use]
    pub fn parent(self) -> Option<NameRef<'a>> {
        let (&len, _) = self.0.split_first()?;
        (len != 0).then(|| self.0.get(1 + usize::from(len)..).map(NameRef))?
    }

    /// Whether this name is `ancestor` or below it.
    #[must_use]
    pub fn is_within(self, ancestor: NameRef<'_>) -> bool {
        let Some(extra) = self.0.len().checked_sub(ancestor.0.len()) else {
            return false;
        };
        // The tail must be equal and must begin where a label begins.
        self.0.get(extra..) == Some(ancestor.0) && {
            let mut at = 0;
            while at < extra {
                at += 1 + usize::from(self.0.get(at).copied().unwrap_or(0));
            }
            at == extra
        }
    }

    /// An owned copy.
    #[must_use]
    pub fn to_name(self) -> Name {
        Name(self.0.into())
    }
}

impl fmt::Display for NameRef<'_> {
    /// Master-file form with the final dot (RFC 1035 section 5.1): a dot or backslash inside a
    /// label is escaped, as is every byte that does not print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(byte))?
                    }
                    0x21..=0x7e => write!(f, "{}", char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An owned name in canonical form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        NameRef::ROOT.to_name()
    }

    /// The borrowed form.
    #[must_use]
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }

    /// The child of this name with `label` before it.
    ///
    /// # Errors
    /// When the label is empty or too long, or the name would be.
    pub fn child(&self, label: &[u8]) -> Result<Self, NameError> {
        let mut buf = NameBuf::new();
        buf.push_label(label)?;
        for own in self.as_ref().labels() {
            buf.push_label(own)?;
        }
        Ok(buf.as_ref().to_name())
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

/// What is wrong with a name in text or wire form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, or a dot at the front.
    #[error("a label is empty: there are two dots in a row, or one at the front")]
    EmptyLabel,
    /// A label of more than 63 bytes.
    #[error("a label is longer than 63 bytes")]
    LongLabel,
    /// More than 255 bytes in all.
    #[error("the name is longer than 255 bytes")]
    LongName,
    /// A backslash that is not followed by a character or by three digits up to 255.
    #[error("a backslash is not followed by a character or by three digits up to 255")]
    BadEscape,
    /// A byte outside ASCII: the name is to be written in its `xn--` form.
    #[error("a character is not ASCII; write the name in its xn-- form")]
    NotAscii,
    /// White space or a control character.
    #[error("there is white space or a control character in the name")]
    NotPrintable,
    /// Nothing at all.
    #[error("the name is empty; the root is written as a single dot")]
    Empty,
    /// Wire form that ends early, points forward, or has a label type that nobody defined.
    #[error("the name is not a valid name on the wire")]
    BadWire,
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads master-file form; the final dot may be left out.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let mut buf = NameBuf::new();
        let mut label: Vec<u8> = Vec::with_capacity(MAX_LABEL);
        let mut bytes = text.bytes();
        let mut ended = false;
        while let Some(byte) = bytes.next() {
            ended = byte == b'.';
            match byte {
                b'.' => {
                    buf.push_label(&label)?;
                    label.clear();
                }
                b'\\' => label.push(escaped(&mut bytes)?),
                0x21..=0x7e => label.push(byte),
                0x80.. => return Err(NameError::NotAscii),
                _ => return Err(NameError::NotPrintable),
            }
        }
        if !ended {
            buf.push_label(&label)?;
        }
        Ok(buf.as_ref().to_name())
    }
}

/// The byte that `\X` or `\DDD` stands for; the backslash has been read.
fn escaped(bytes: &mut std::str::Bytes<'_>) -> Result<u8, NameError> {
    let first = bytes.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return if first.is_ascii_graphic() || first == b' ' {
            Ok(first)
        } else {
            Err(NameError::BadEscape)
        };
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes
            .next()
            .filter(u8::is_ascii_digit)
            .ok_or(NameError::BadEscape)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

impl From<NameRef<'_>> for NameBuf {
    fn from(name: NameRef<'_>) -> Self {
        let mut buf = Self::new();
        // A name fits by construction.
        if let Some(room) = buf.bytes.get_mut(..name.0.len()) {
            room.copy_from_slice(name.0);
            buf.len = name.0.len() as u8;
        }
        buf
    }
}

/// A name under construction, or the name of one query, without an allocation.
#[derive(Clone)]
pub struct NameBuf {
    bytes: [u8; ROOM],
    /// Bytes in use, root byte included.
    len: u8,
}

impl NameBuf {
    /// The root, to be extended at its end by [`NameBuf::push_label`].
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            len: 1,
        }
    }

    /// The name so far.
    #[must_use]
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(self.bytes.get(..usize::from(self.len)).unwrap_or(&[0]))
    }

    /// Adds a label behind the ones that are there, in lower case.
    ///
    /// # Errors
    /// When the label is empty or longer than 63 bytes, or the name would be longer than 255.
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
        Ok(())
    }

    /// Adds all labels of `name`.
    ///
    /// # Errors
    /// When the name would be longer than 255 bytes.
    pub fn push_name(&mut self, name: NameRef<'_>) -> Result<(), NameError> {
        name.labels().try_for_each(|label| self.push_label(label))
    }

    /// Reads an uncompressed name at the start of `wire` and tells how many bytes it took.
    ///
    /// This is the form of a question's name: nothing stands before it that it could point to, so
    /// a compression pointer there is an error.
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

    /// Becomes the name at the start of `wire`, as by [`NameBuf::read`], and tells how many bytes it
    /// took.
    ///
    /// # Errors
    /// As [`NameBuf::read`]; then this is still the name that it was.
    #[inline]
    pub fn set(&mut self, wire: &[u8]) -> Result<usize, NameError> {
        let len = wire_len(wire)?;
        let (Some(room), Some(name)) = (self.bytes.get_mut(..len), wire.get(..len)) else {
            return Err(NameError::BadWire);
        };
        room.copy_from_slice(name);
        self.len = len as u8; // at most 255
        let (blocks, _) = self.bytes.as_chunks_mut::<BLOCK>();
        // Length bytes are below 64 and so are no letters: one pass lowers the whole name. What
        // stands behind it in the last block matters to nobody.
        for block in blocks.iter_mut().take(len.div_ceil(BLOCK)) {
            block.make_ascii_lowercase();
        }
        Ok(len)
    }
}

/// The length of the uncompressed name at the start of `wire`, root byte included.
#[inline]
fn wire_len(wire: &[u8]) -> Result<usize, NameError> {
    let mut at = 0;
    loop {
        let len = usize::from(*wire.get(at).ok_or(NameError::BadWire)?);
        if len > MAX_LABEL {
            return Err(NameError::BadWire);
        }
        at += 1 + len;
        if at > MAX_NAME {
            return Err(NameError::LongName);
        }
        if len == 0 {
            return Ok(at);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        text.parse().expect(text)
    }

    #[test]
    fn text_becomes_lower_case_wire_form() {
        for (text, wire) in [
            (".", &b"\0"[..]),
            ("com", b"\x03com\0"),
            (
                "Storage.GoogleAPIs.com.",
                b"\x07storage\x0agoogleapis\x03com\0",
            ),
            (r"a\.b.c", b"\x03a.b\x01c\0"),
            (r"\000\255.c", b"\x02\0\xff\x01c\0"),
            ("*.x", b"\x01*\x01x\0"),
        ] {
            assert_eq!(name(text).as_ref().wire(), wire, "{text}");
        }
    }

    #[test]
    fn bad_text_is_told_apart() {
        let long_label = "a".repeat(64);
        let long_name = "abcdefg.".repeat(32);
        for (text, error) in [
            ("", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("..", NameError::EmptyLabel),
            (r"a\", NameError::BadEscape),
            (r"a\25", NameError::BadEscape),
            (r"a\256", NameError::BadEscape),
            ("bücher.example", NameError::NotAscii),
            ("a b", NameError::NotPrintable),
            (&long_label, NameError::LongLabel),
            (&long_name, NameError::LongName),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn within_compares_labels_not_bytes() {
        for (below, above, within) in [
            ("a.corp.internal", "corp.internal", true),
            ("corp.internal", "corp.internal", true),
            ("evilcorp.internal", "corp.internal", false),
            (r"evil\.corp.internal", "corp.internal", false),
            ("internal", "corp.internal", false),
            ("anything", ".", true),
        ] {
            assert_eq!(
                name(below).as_ref().is_within(name(above).as_ref()),
                within,
                "{below} in {above}"
            );
        }
        // A label that ends with the very bytes of another name's wire form.
        let trap = name(r"x\001a.b");
        assert!(!trap.as_ref().is_within(name("a.b").as_ref()));
    }

    #[test]
    fn wire_form_is_read_up_to_its_root() {
        let (read, len) = NameBuf::read(b"\x03WwW\x01x\0\x00\x01").expect("valid");
        assert_eq!((read.as_ref(), len), (name("www.x").as_ref(), 7));
        for wire in [
            &b""[..],
            b"\x01",
            b"\x01a",
            b"\xc0\x0c",
            b"\x40a\0",
            b"\x3f",
        ] {
            assert!(NameBuf::read(wire).is_err(), "{wire:?}");
        }
        let mut longest = b"\x3f".iter().copied().cycle().take(0).collect::<Vec<u8>>();
        for _ in 0..127 {
            longest.extend_from_slice(b"\x01a");
        }
        longest.push(0);
        assert_eq!(NameBuf::read(&longest).expect("255 bytes").1, MAX_NAME);
        longest.splice(0..0, *b"\x01a");
        assert_eq!(NameBuf::read(&longest).err(), Some(NameError::LongName));
    }

    proptest! {
        /// Whole blocks are lowered at once, and what stood there before is gone.
        #[test]
        fn letters_are_lowered_one_by_one(
            before in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..4),
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..4),
        ) {
            let wire = |labels: &[Vec<u8>]| {
                let mut wire = Vec::new();
                for label in labels {
                    wire.push(label.len() as u8);
                    wire.extend(label);
                }
                wire.push(0);
                wire
            };
            let (before, mut wire) = (wire(&before), wire(&labels));
            let lowered: Vec<u8> = wire.iter().map(u8::to_ascii_lowercase).collect();
            let (mut name, _) = NameBuf::read(&before).unwrap_or_default();
            wire.extend(b"AND MORE");
            let len = name.set(&wire);
            if lowered.len() > MAX_NAME {
                prop_assert_eq!(len, Err(NameError::LongName));
            } else {
                prop_assert_eq!(len, Ok(lowered.len()));
                prop_assert_eq!(name.as_ref().wire(), &*lowered);
            }
        }

        #[test]
        fn text_form_reads_back(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..10)) {
            let mut buf = NameBuf::new();
            for label in &labels {
                buf.push_label(label).unwrap();
            }
            let name = buf.as_ref().to_name();
            prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name.clone()));
            let starts = name.as_ref().label_starts();
            let by_start: Vec<_> = starts.as_slice().iter().map(|&s| name.as_ref().label_at(s)).collect();
            prop_assert_eq!(by_start, name.as_ref().labels().collect::<Vec<_>>());
        }
    }
}
