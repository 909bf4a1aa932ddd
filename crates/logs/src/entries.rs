//! Splits a log into its lines, or the objects of a JSON array. Only one piece is in memory at a time.

use std::io::{self, BufRead, Read as _};

/// The longest line or object accepted, in bytes. Ours are shorter, and Cloud Logging adds some kilobytes to each; a
/// longer one is skipped.
const MAX_ENTRY: usize = 64 << 10;

/// The form of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogForm {
    /// One object per line.
    #[default]
    Lines,
    /// Objects that span several lines, usually in an array.
    Objects,
    /// Frames of a stream, which are not read here.
    Frames,
}

impl LogForm {
    /// The form of a log with this beginning.
    pub(crate) fn of(start: &[u8]) -> Self {
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let start = start.trim_ascii_start();
        let is_array = start.strip_prefix(b"[").is_some_and(|rest| {
            let next = rest.trim_ascii_start().first();
            matches!(next, None | Some(b'{' | b']'))
        });
        let first = start.split(|&byte| byte == b'\n').next();
        let is_pretty = first.is_some_and(|line| line.trim_ascii() == b"{");
        if is_array || is_pretty {
            Self::Objects
        } else {
            Self::Lines
        }
    }
}

/// The pieces of a log.
pub(crate) struct LogEntries<R> {
    log: R,
    form: LogForm,
    entry: Vec<u8>,
    /// The bytes of the piece that was given out last, and that are still in the log's buffer.
    given: usize,
}

impl<R: BufRead> LogEntries<R> {
    /// The pieces of a log of this form.
    pub(crate) const fn new(log: R, form: LogForm) -> Self {
        Self {
            log,
            form,
            entry: Vec::new(),
            given: 0,
        }
    }

    /// The next piece. An overlong piece is cut short, so that it cannot be mistaken for a valid one.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.log.consume(std::mem::take(&mut self.given));
        if self.form == LogForm::Lines {
            // Nearly all lines lie in the buffer as a whole, and are not copied.
            let line = memchr::memchr(b'\n', self.log.fill_buf()?);
            if let Some(end) = line.filter(|&end| end < MAX_ENTRY) {
                self.given = end + 1;
                return Ok(self.log.fill_buf()?.get(..=end));
            }
        }
        self.entry.clear();
        let more = match self.form {
            LogForm::Objects => self.read_object()?,
            LogForm::Lines | LogForm::Frames => self.read_line()?,
        };
        Ok(more.then_some(&self.entry))
    }

    fn read_line(&mut self) -> io::Result<bool> {
        let mut line = self.log.by_ref().take(MAX_ENTRY as u64);
        let read = line.read_until(b'\n', &mut self.entry)?;
        if read == MAX_ENTRY && self.entry.last() != Some(&b'\n') {
            self.log.skip_until(b'\n')?;
            self.entry.truncate(1);
        }
        Ok(read > 0)
    }

    /// Reads an object up to its last brace, or other text between two objects.
    fn read_object(&mut self) -> io::Result<bool> {
        let mut object = ObjectReader::default();
        loop {
            let here = self.log.fill_buf()?;
            if here.is_empty() {
                return Ok(!self.entry.is_empty());
            }
            let mut taken = 0;
            let mut done = false;
            for &byte in here {
                let part = object.take(byte);
                if part == BytePart::Behind {
                    done = true;
                    break;
                }
                taken += 1;
                if part != BytePart::Between && self.entry.len() <= MAX_ENTRY {
                    self.entry.push(byte);
                }
                if part == BytePart::Last {
                    done = true;
                    break;
                }
            }
            self.log.consume(taken);
            if done {
                if self.entry.len() > MAX_ENTRY {
                    self.entry.truncate(1);
                }
                return Ok(true);
            }
        }
    }
}

/// The role of a byte for the current object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BytePart {
    /// It separates objects.
    Between,
    /// It belongs to the current object.
    Within,
    /// It ends the current object.
    Last,
    /// It begins the next object.
    Behind,
}

/// The position of the reader in an object.
#[derive(Default)]
struct ObjectReader {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Whether text that is not an object has begun.
    is_other: bool,
}

impl ObjectReader {
    fn take(&mut self, byte: u8) -> BytePart {
        if self.depth == 0 {
            return self.outside(byte);
        }
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return BytePart::Within;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        if self.depth == 0 {
            BytePart::Last
        } else {
            BytePart::Within
        }
    }

    fn outside(&mut self, byte: u8) -> BytePart {
        match byte {
            b'{' if self.is_other => BytePart::Behind,
            b'{' => {
                self.depth = 1;
                BytePart::Within
            }
            b',' | b'[' | b']' | b'\n' if self.is_other => BytePart::Last,
            b',' | b'[' | b']' => BytePart::Between,
            _ if byte.is_ascii_whitespace() => BytePart::Between,
            // A byte order mark.
            0xef | 0xbb | 0xbf if !self.is_other => BytePart::Between,
            _ => {
                self.is_other = true;
                BytePart::Within
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(log: &str) -> (LogForm, Vec<String>) {
        // A few bytes at a time, as from a pipe.
        let form = LogForm::of(log.as_bytes());
        let log = io::BufReader::with_capacity(3, log.as_bytes());
        let mut entries = LogEntries::new(log, form);
        let mut all = Vec::new();
        while let Some(entry) = entries.next().expect("readable") {
            all.push(String::from_utf8_lossy(entry).trim().to_owned());
        }
        (form, all)
    }

    #[test]
    fn reads_lines_and_json_arrays() {
        for (log, form, want) in [
            ("", LogForm::Lines, &[][..]),
            (
                "{\"a\": 1}\n{\"b\": 2}\n",
                LogForm::Lines,
                &["{\"a\": 1}", "{\"b\": 2}"],
            ),
            // Lines of other programs.
            (
                "[INFO] x\n{\"b\": 2}\n",
                LogForm::Lines,
                &["[INFO] x", "{\"b\": 2}"],
            ),
            ("[]\n", LogForm::Objects, &[]),
            (
                " [ {\"a\": \"}\\\"]\"},\n{\"b\": [{}]} ]\n",
                LogForm::Objects,
                &["{\"a\": \"}\\\"]\"}", "{\"b\": [{}]}"],
            ),
            (
                "\u{feff}[{\"a\": 1}]\n[{\"b\": 2}]",
                LogForm::Objects,
                &["{\"a\": 1}", "{\"b\": 2}"],
            ),
            (
                "{\n \"a\": 1\n}\n{\n \"b\": 2\n}\n",
                LogForm::Objects,
                &["{\n \"a\": 1\n}", "{\n \"b\": 2\n}"],
            ),
            (
                "[{\"a\": 1}, null, 7 {\"b\": 2}, {\"cut",
                LogForm::Objects,
                &["{\"a\": 1}", "null,", "7", "{\"b\": 2}", "{\"cut"],
            ),
        ] {
            let want = want.iter().map(ToString::to_string).collect();
            assert_eq!(pieces(log), (form, want), "{log:?}");
        }
    }

    #[test]
    fn skips_an_entry_that_is_too_long() {
        let long = "x".repeat(MAX_ENTRY);
        for (log, form) in [
            (
                format!("{{\"a\": \"{long}\"}}\n{{\"b\": 2}}\n"),
                LogForm::Lines,
            ),
            (
                format!("[{{\"a\": \"{long}\"}}, {{\"b\": 2}}]"),
                LogForm::Objects,
            ),
        ] {
            let (seen, all) = pieces(&log);
            assert_eq!(
                (seen, &all[..]),
                (form, &["{".to_owned(), "{\"b\": 2}".to_owned()][..])
            );
        }
    }
}
