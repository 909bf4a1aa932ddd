//! Parses single words of a zone file: names, strings and times.

use crate::dns::{
    NameBuf, NameError, NameRef, RecordType,
    name::{MAX_LABEL, MAX_NAME},
    rrset::MAX_TTL,
};

use super::{Fault, scan::Word};

/// A name in wire form with its letter case as written. RDATA keeps the case; owner names are
/// lower-cased.
#[derive(Clone)]
pub(super) struct WrittenName {
    bytes: [u8; MAX_NAME],
    /// The number of used bytes; it excludes the root byte while the name is incomplete.
    len: usize,
}

impl WrittenName {
    pub(super) fn of(name: NameRef<'_>) -> Self {
        let mut bytes = [0; MAX_NAME];
        for (to, from) in bytes.iter_mut().zip(name.wire()) {
            *to = *from;
        }
        Self {
            bytes,
            len: name.wire().len(),
        }
    }

    /// Parses a name in master-file form. A name without a final dot is completed with `origin`;
    /// `@` is the origin.
    pub(super) fn parse(text: &str, origin: &Self) -> Result<Self, NameError> {
        match text {
            "@" => return Ok(origin.clone()),
            "." => return Ok(Self::of(NameRef::ROOT)),
            "" => return Err(NameError::Empty),
            _ => {}
        }
        let mut name = Self {
            bytes: [0; MAX_NAME],
            len: 0,
        };
        let mut label = Label::default();
        let mut rest = text.as_bytes();
        let mut absolute = false;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            absolute = byte == b'.';
            match byte {
                b'.' => {
                    name.push(label.bytes.get(..label.len).unwrap_or_default())?;
                    label.len = 0;
                }
                b'\\' => label.push(unescape(&mut rest)?)?,
                0x21..=0x7e => label.push(byte)?,
                0x80.. => return Err(NameError::NotAscii),
                _ => return Err(NameError::NotPrintable),
            }
        }
        if !absolute {
            name.push(label.bytes.get(..label.len).unwrap_or_default())?;
        }
        name.end(if absolute { &[0] } else { origin.wire() })?;
        Ok(name)
    }

    pub(super) fn wire(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[0])
    }

    /// The name in canonical form, for comparisons.
    pub(super) fn canonical(&self) -> NameBuf {
        // The name was written within the limits, so it is readable.
        NameBuf::read(self.wire()).map_or_else(|_| NameBuf::new(), |(name, _)| name)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a label has at most 63 bytes"
    )]
    fn push(&mut self, label: &[u8]) -> Result<(), NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        let start = self.len;
        self.end(&[label.len() as u8])?;
        self.end(label).inspect_err(|_| self.len = start)
    }

    fn end(&mut self, wire: &[u8]) -> Result<(), NameError> {
        let end = self.len + wire.len();
        let room = self.bytes.get_mut(self.len..end);
        room.ok_or(NameError::LongName)?.copy_from_slice(wire);
        self.len = end;
        Ok(())
    }
}

/// A label during parsing.
struct Label {
    bytes: [u8; MAX_LABEL],
    len: usize,
}

impl Default for Label {
    fn default() -> Self {
        Self {
            bytes: [0; MAX_LABEL],
            len: 0,
        }
    }
}

impl Label {
    fn push(&mut self, byte: u8) -> Result<(), NameError> {
        *self.bytes.get_mut(self.len).ok_or(NameError::LongLabel)? = byte;
        self.len += 1;
        Ok(())
    }
}

/// Decodes `\X` or `\DDD` after its backslash (RFC 1035 section 5.1).
fn unescape(rest: &mut &[u8]) -> Result<u8, NameError> {
    let (&first, after) = rest.split_first().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        *rest = after;
        return Ok(first);
    }
    let (digits, after) = rest.split_at_checked(3).ok_or(NameError::BadEscape)?;
    *rest = after;
    let digits = digits.iter().try_fold(0u32, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        Some(value * 10 + digit)
    });
    let value = digits.and_then(|value| u8::try_from(value).ok());
    value.ok_or(NameError::BadEscape)
}

/// Appends the bytes of a string to `out` and resolves escapes. Non-ASCII characters become their
/// UTF-8 bytes.
pub(super) fn push_string(text: &str, out: &mut Vec<u8>) -> Result<(), NameError> {
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        out.push(match byte {
            b'\\' => unescape(&mut rest)?,
            _ => byte,
        });
    }
    Ok(())
}

/// Parses a time in seconds: `3600`, or with units as in `1w2d3h4m5s`. Returns `None` if it is
/// invalid or exceeds the maximum TTL (RFC 2181 section 8).
pub(super) fn time(text: &str) -> Option<u32> {
    let mut total = 0u32;
    let mut number: Option<u32> = None;
    for byte in text.bytes() {
        let unit = match byte.to_ascii_lowercase() {
            b'0'..=b'9' => {
                let digit = u32::from(byte - b'0');
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    // A number without a unit is in seconds; empty text is not a time.
    let rest = match (number, text.is_empty()) {
        (Some(number), _) => number,
        (None, false) => 0,
        (None, true) => return None,
    };
    total.checked_add(rest).filter(|&time| time <= MAX_TTL)
}

/// Unparsed RDATA.
pub(super) struct RdataText<'a, 't> {
    pub(super) rtype: RecordType,
    /// The type word.
    pub(super) head: &'a Word<'t>,
    /// The words after the type.
    pub(super) words: &'a [Word<'t>],
    pub(super) origin: &'a WrittenName,
}

impl RdataText<'_, '_> {
    /// A fault at the last word of the data.
    pub(super) fn fault_at_end(&self, message: impl Into<String>) -> Fault {
        self.words.last().unwrap_or(self.head).fault(message)
    }
}
