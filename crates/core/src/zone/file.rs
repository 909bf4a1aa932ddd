//! Zone files (RFC 1035 section 5) and single records in the same form.
//!
//! [`scan`] splits a text into entries and words, `reader` follows the directives and keeps what
//! one entry inherits from another, [`record_data`] turns a record's data into wire form by the [`form`] of
//! its type, and the [`ZoneBuilder`](super::ZoneBuilder) judges the whole. Every fault has its place, and reading
//! goes on behind it, so that an operator sees all of them at once.
//!
//! Beyond RFC 1035: `$TTL` (RFC 2308 section 4), times with units as BIND has them, generic data
//! (RFC 3597). Unlike RFC 1035, a string ends on the line where it began: a quotation mark that
//! somebody forgot would swallow the rest of the file. `$GENERATE` is BIND's own and refused.

mod field;
mod form;
mod gateway;
mod location;
mod prefixes;
mod rdata_text;
mod reader;
mod record_data;
mod scan;
mod services;
mod svcb;
mod types;
mod word;

use std::fmt;

use crate::dns::{Name, RecordType};

use super::Zone;
use reader::ZoneReader;
use scan::TextPosition;

/// The TTL in seconds of an inline record that states none.
pub const INLINE_TTL: u32 = 300;
/// The most faults that are reported of one zone: more help nobody.
pub const MAX_FAULTS: usize = 100;
/// How deep files may include each other: deeper is a file that includes itself. No official
/// reference; BIND and NSD have limits of this order.
pub const MAX_INCLUDE_DEPTH: usize = 10;
/// The most files that one zone may include in all, since each of ten levels could include many.
pub const MAX_INCLUDES: usize = 1_000;
/// The most bytes of all included files together; [`MAX_RECORDS`](super::MAX_RECORDS) of them
/// take less.
pub const MAX_INCLUDED_TEXT: usize = 256 << 20;

/// A zone read from a file.
#[derive(Debug)]
pub struct ParsedZone {
    /// The zone.
    pub zone: Zone,
    /// The files that `$INCLUDE` named, as handed to the closure, in order of reading.
    pub included: Vec<String>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneRecord {
    /// The owner.
    pub owner: Name,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The type.
    pub rtype: RecordType,
    /// The data in uncompressed wire form.
    pub rdata: Vec<u8>,
}

/// What is wrong with a zone file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFault {
    /// The included file, as handed to the closure; `None` for the text itself.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl fmt::Display for ZoneFault {
    /// `file:line:column: message`, the file where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ZoneFault {}

/// What is wrong at a place of the text at hand.
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

/// Reads a zone file and checks that the zone makes sense.
///
/// `include` is asked for the text of each file that `$INCLUDE` names; its argument is the path as
/// written, joined to the directory of the including file where that was an included one, too.
///
/// # Errors
/// Everything that is wrong, file by file and line by line, up to [`MAX_FAULTS`] of it.
pub fn parse_zone(
    text: &str,
    origin: &Name,
    include: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<ParsedZone, Vec<ZoneFault>> {
    let mut reader = ZoneReader::new(origin, include);
    reader.read(text);
    reader.finish()
}

/// Reads one record, relative names being completed with `origin`; the TTL may be left out
/// ([`INLINE_TTL`]). Whether it makes sense in its zone is for the
/// [`ZoneBuilder`](super::ZoneBuilder) to say.
///
/// # Errors
/// The first thing that is wrong with it, with its column.
pub fn parse_record(text: &str, origin: &Name) -> Result<ZoneRecord, ZoneFault> {
    reader::single(text, origin).map_err(|fault| fault.in_text(text, None))
}

#[cfg(test)]
mod tests;
