//! Zone files (RFC 1035 section 5) and single records in the same form.

use std::fmt;

use crate::dns::{Name, RecordType};

use super::Zone;

/// The TTL in seconds of an inline record that states none.
pub const INLINE_TTL: u32 = 300;
/// The most faults that are reported of one zone: more help nobody.
pub const MAX_FAULTS: usize = 100;

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
pub struct Record {
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

/// Reads a zone file and checks that the zone makes sense.
///
/// `include` is asked for the text of each file that `$INCLUDE` names; its argument is the path as
/// written, joined to the directory of the including file where that was an included one, too.
///
/// # Errors
/// Everything that is wrong, in the order of the text, up to [`MAX_FAULTS`] of it.
pub fn parse_zone(
    text: &str,
    origin: &Name,
    include: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<ParsedZone, Vec<ZoneFault>> {
    let _ = (text, origin, include);
    Err(Vec::new())
}

/// Reads one record, relative names being completed with `origin`; the TTL may be left out
/// ([`INLINE_TTL`]).
///
/// # Errors
/// The first thing that is wrong with it, with its column.
pub fn parse_record(text: &str, origin: &Name) -> Result<Record, ZoneFault> {
    let _ = (text, origin);
    Err(ZoneFault {
        file: None,
        line: 1,
        column: 1,
        message: String::new(),
    })
}
