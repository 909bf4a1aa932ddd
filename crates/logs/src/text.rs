//! Entries in text: one line each.

use jiff::Timestamp;

use crate::record::LogRecord;

mod coredns;
mod own;
mod unbound;

pub(crate) use unbound::is_reply;

/// Reads one line, and passes its question on: the number of questions that it stands for, if it is one.
pub(crate) fn read(line: &str, visit: &mut impl FnMut(&LogRecord<'_>)) -> Option<u64> {
    // The readers look for marks that only their format has.
    coredns::read(line, visit)
        .or_else(|| unbound::read(line, visit))
        .or_else(|| own::read(line, visit))
}

/// The time with which a line begins: RFC 3339, as a container's output has it, or Unbound's seconds in brackets. Syslog's
/// time has no year, so it says nothing.
fn leading_time(line: &str) -> Option<Timestamp> {
    let first = line.split_ascii_whitespace().next()?;
    if let Some(seconds) = first
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        let whole = seconds.split('.').next()?;
        return Timestamp::from_second(whole.parse().ok()?).ok();
    }
    first.parse().ok()
}

/// The first field of a line that may hold blanks behind a backslash, and the rest behind the blank.
fn escaped_field(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b' ' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}
