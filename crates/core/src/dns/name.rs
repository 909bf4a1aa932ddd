//! Domain names in canonical form: uncompressed wire form with lower-case letters.
//!
//! A name is a sequence of labels, each a length byte and that many bytes, and ends with the root's
//! zero byte (RFC 1035 section 3.1). Comparing these bytes compares whole labels: a dot inside a
//! label does not separate labels, and `evilcorp.internal` is not below `corp.internal`.
//!
//! Three types represent names: [`Name`] is owned, [`NameRef`] is borrowed, and [`NameBuf`] is on
//! the stack of one query. All are valid by construction: at most 255 bytes, labels of 1 to 63
//! bytes, lower case.
//!
//! Lookups start at the root, but the bytes of a name can only be read from the leftmost label. So
//! each name stores the start of every label, one byte each. The starts are counted from the end of
//! the name, so they remain valid when labels are removed on the left.

mod buf;
#[cfg(test)]
mod tests;

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

pub use buf::NameBuf;

/// The maximum length of a name in wire form, including the root byte (RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 255;
/// The maximum length of a label (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;
/// The maximum number of labels in a name, without the root.
pub const MAX_LABELS: usize = (MAX_NAME - 1) / 2;

/// A borrowed name in canonical form.
#[derive(Clone, Copy)]
pub struct NameRef<'a> {
    wire: &'a [u8],
    /// See [`NameRef::label_starts`].
    starts: &'a [u8],
}

/// The start of each label of a name, leftmost first.
#[derive(Clone, Copy)]
pub struct LabelStarts<'a>(&'a [u8]);

impl<'a> LabelStarts<'a> {
    /// The positions of the labels' length bytes, leftmost first, without the root. Each is the
    /// number of bytes from there to the end of the name.
    #[must_use]
    pub const fn as_slice(self) -> &'a [u8] {
        self.0
    }
}

impl<'a> NameRef<'a> {
    /// The root.
    pub const ROOT: NameRef<'static> = NameRef {
        wire: &[0],
        starts: &[],
    };

    /// The wire form, including the root byte.
    #[must_use]
    pub const fn wire(self) -> &'a [u8] {
        self.wire
    }

    /// Whether this is the root.
    #[must_use]
    pub const fn is_root(self) -> bool {
        self.wire.len() <= 1
    }

    /// The labels, leftmost first, without the root.
    pub fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.wire;
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

    /// The number of labels, without the root.
    #[must_use]
    pub const fn label_count(self) -> usize {
        self.starts.len()
    }

    /// The starts of the labels, for walks down from the root.
    #[must_use]
    pub const fn label_starts(self) -> LabelStarts<'a> {
        LabelStarts(self.starts)
    }

    /// The label that starts at `start`.
    #[must_use]
    pub fn label_at(self, start: u8) -> &'a [u8] {
        let from = self.wire.len().wrapping_sub(usize::from(start));
        let Some((&len, rest)) = self.wire.get(from..).and_then(<[u8]>::split_first) else {
            return &[];
        };
        rest.get(..usize::from(len)).unwrap_or_default()
    }

    /// The name that begins with the label at `start`.
    #[must_use]
    pub fn from_label(self, start: u8) -> NameRef<'a> {
        let at = self.starts.iter().position(|&own| own == start);
        let starts = at.and_then(|at| self.starts.get(at..));
        starts.map_or(Self::ROOT, |starts| NameRef {
            wire: self.last_bytes(start),
            starts,
        })
    }

    /// The name without its leftmost label; `None` for the root.
    #[must_use]
    pub fn parent(self) -> Option<NameRef<'a>> {
        let (_, starts) = self.starts.split_first()?;
        let wire = self.last_bytes(starts.first().copied().unwrap_or(1));
        Some(NameRef { wire, starts })
    }

    /// Whether this name is `ancestor` or below it.
    #[must_use]
    pub fn is_within(self, ancestor: NameRef<'_>) -> bool {
        let Some(more) = self.starts.len().checked_sub(ancestor.starts.len()) else {
            return false;
        };
        // The suffix must be equal and begin at a label boundary.
        let start = self.starts.get(more).copied().unwrap_or(1);
        self.last_bytes(start) == ancestor.wire
    }

    fn last_bytes(self, count: u8) -> &'a [u8] {
        let from = self.wire.len().wrapping_sub(usize::from(count));
        self.wire.get(from..).unwrap_or(&[0])
    }

    /// The last `count` labels as a name; the root if the name has fewer labels.
    #[must_use]
    pub fn last_labels(self, count: usize) -> NameRef<'a> {
        let starts = self.label_starts().as_slice();
        let first = starts
            .len()
            .checked_sub(count)
            .and_then(|at| starts.get(at));
        first.map_or(NameRef::ROOT, |&start| self.from_label(start))
    }

    /// An owned copy.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a name has at most 127 labels"
    )]
    pub fn to_name(self) -> Name {
        let count = [self.starts.len() as u8]; // at most 127
        Name([self.wire, self.starts, &count].concat().into())
    }
}

impl PartialEq for NameRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl Eq for NameRef<'_> {}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.wire.hash(state);
    }
}

impl fmt::Display for NameRef<'_> {
    /// Writes master-file form with a final dot (RFC 1035 section 5.1). Escapes dots and
    /// backslashes inside labels, and unprintable bytes.
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

/// An owned name in canonical form, ordered by its bytes.
#[derive(Clone)]
pub struct Name(
    /// The wire form, the starts of the labels, and their number.
    Box<[u8]>,
);

impl Name {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        NameRef::ROOT.to_name()
    }

    /// The borrowed form.
    #[must_use]
    pub fn as_ref(&self) -> NameRef<'_> {
        self.parts().unwrap_or(NameRef::ROOT)
    }

    fn parts(&self) -> Option<NameRef<'_>> {
        let (&count, name) = self.0.split_last()?;
        let end = name.len().checked_sub(usize::from(count))?;
        let (wire, starts) = name.split_at_checked(end)?;
        Some(NameRef { wire, starts })
    }

    /// The heap memory in bytes.
    pub(super) const fn heap(&self) -> usize {
        self.0.len()
    }

    /// Prepends `label` to this name.
    ///
    /// # Errors
    /// If the label is empty or too long, or the name would be too long.
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
        self.as_ref().wire
    }
}

// These impls use the wire form only, so that a name can be looked up by its wire form.

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().wire.cmp(other.as_ref().wire)
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

/// The problem with a name in text or wire form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two consecutive dots, or a leading dot.
    #[error("a label is empty: there are two dots in a row, or one at the front")]
    EmptyLabel,
    /// A label exceeds 63 bytes.
    #[error("a label is longer than 63 bytes")]
    LongLabel,
    /// The name exceeds 255 bytes.
    #[error("the name is longer than 255 bytes")]
    LongName,
    /// A backslash without a following character or three digits up to 255.
    #[error("a backslash is not followed by a character or by three digits up to 255")]
    BadEscape,
    /// A non-ASCII byte; such a name must be written in `xn--` form.
    #[error("a character is not ASCII; write the name in its xn-- form")]
    NotAscii,
    /// White space or a control character.
    #[error("there is white space or a control character in the name")]
    NotPrintable,
    /// The text is empty.
    #[error("the name is empty; the root is written as a single dot")]
    Empty,
    /// The wire form ends early, has a forward pointer, or has an unknown label type.
    #[error("the name is not a valid name on the wire")]
    BadWire,
}

impl FromStr for Name {
    type Err = NameError;

    /// Parses master-file form; the final dot is optional.
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

/// Decodes `\X` or `\DDD` after its backslash.
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
