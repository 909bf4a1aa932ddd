//! Reads zone files (RFC 1035 section 5) and single records in the same syntax.
//!
//! [`scan`] splits the text into entries and words. `reader` applies directives and tracks the
//! values that an entry inherits. [`record_data`] converts the RDATA to wire form by the [`form`]
//! of its type. The [`ZoneBuilder`](super::ZoneBuilder) checks the zone as a whole. Every fault has
//! a position, and reading continues after it, so that an operator sees all faults at once.
//!
//! Extensions to RFC 1035: `$TTL` (RFC 2308 section 4), times with units as in BIND, and generic
//! RDATA (RFC 3597). One difference from RFC 1035: a quoted string ends on its first line, because
//! a missing quotation mark would otherwise consume the rest of the file. The BIND directive
//! `$GENERATE` is rejected.

mod field;
mod form;
mod reader;
mod record_data;
mod scan;
mod special_fields;
mod svcb;
mod word;

use std::fmt;

use crate::dns::{Name, RecordType};

use super::Zone;
use reader::ZoneReader;
use scan::TextPosition;

/// The default TTL of an inline record, in seconds.
pub const INLINE_TTL: u32 = 300;
/// The maximum number of faults reported for one zone.
pub const MAX_FAULTS: usize = 100;
/// The maximum nesting of included files. It also stops a file that includes itself. No official
/// reference; BIND and NSD have limits of this order.
pub const MAX_INCLUDE_DEPTH: usize = 10;
/// The maximum number of files that one zone may include; the nesting limit alone does not bound
/// it.
pub const MAX_INCLUDES: usize = 1_000;
/// The maximum total size of all included files in bytes. [`MAX_RECORDS`](super::MAX_RECORDS)
/// records take less.
pub const MAX_INCLUDED_TEXT: usize = 256 << 20;

/// A zone read from a file.
#[derive(Debug)]
pub struct ParsedZone {
    /// The zone.
    pub zone: Zone,
    /// The paths of included files as passed to the closure, in order of reading.
    pub included: Vec<String>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneRecord {
    /// The owner name.
    pub owner: Name,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The record type.
    pub rtype: RecordType,
    /// The RDATA in uncompressed wire form.
    pub rdata: Vec<u8>,
}

/// A record of a zone file and the place where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRecord {
    /// The path of the included file as passed to the closure; `None` for the main text.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: u32,
    /// The record.
    pub record: ZoneRecord,
}

/// A fault in a zone file and its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFault {
    /// The path of the included file as passed to the closure; `None` for the main text.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The problem and its remedy.
    pub message: String,
}

impl fmt::Display for ZoneFault {
    /// Writes `file:line:column: message`, without `file:` for the main text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ZoneFault {}

/// A fault at a position in the current text.
#[derive(Debug)]
struct Fault {
    place: TextPosition,
    message: String,
}

impl Fault {
    fn in_text(self, text: &str, file: Option<String>) -> ZoneFault {
        ZoneFault {
            file,
            line: self.place.line,
            column: self.place.column(text),
            message: self.message,
        }
    }
}

/// Reads a zone file and checks the consistency of the zone.
///
/// `include` returns the text of each file that `$INCLUDE` names. Its argument is the path as
/// written; within an included file, the path is joined to the directory of that file.
///
/// # Errors
/// Every fault, sorted by file and line, up to [`MAX_FAULTS`].
pub fn parse_zone(
    text: &str,
    origin: &Name,
    include: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<ParsedZone, Vec<ZoneFault>> {
    let mut reader = ZoneReader::new(origin, include);
    reader.read(text);
    reader.finish()
}

/// Passes each record of a zone file to `each`, with its place. It does not check whether the records make a
/// consistent zone, nor whether they are inside the origin, which only completes relative names. `include` is as in
/// [`parse_zone`].
///
/// # Errors
/// Every fault, up to [`MAX_FAULTS`]. The records that could be read have been passed on.
pub fn parse_records(
    text: &str,
    origin: &Name,
    include: &mut dyn FnMut(&str) -> Result<String, String>,
    each: &mut dyn FnMut(PlacedRecord),
) -> Result<(), Vec<ZoneFault>> {
    let mut reader = ZoneReader::new(origin, include).with_each(each);
    reader.read(text);
    match reader.finish_records() {
        faults if faults.is_empty() => Ok(()),
        faults => Err(faults),
    }
}

/// Reads one record. Relative names are completed with `origin`; the default TTL is [`INLINE_TTL`].
/// The [`ZoneBuilder`](super::ZoneBuilder) checks whether the record is valid in its zone.
///
/// # Errors
/// The first fault, with its column.
pub fn parse_record(text: &str, origin: &Name) -> Result<ZoneRecord, ZoneFault> {
    reader::single(text, origin).map_err(|fault| fault.in_text(text, None))
}

#[cfg(test)]
mod tests;
