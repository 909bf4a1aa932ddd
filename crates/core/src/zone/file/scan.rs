//! Splits the text of a zone file into entries: the words of one record or directive, with their
//! positions.
//!
//! Only this module handles quotation marks, parentheses, comments and line ends. It skips over
//! escapes, so that an escaped blank or semicolon is part of its word; their meaning depends on
//! whether the word is a name or a string. It reads every byte a bounded number of times for any
//! text.

use super::Fault;

/// The maximum number of words in an entry. RDATA has at most 65 535 bytes, and a reasonable file
/// uses at most one word per byte.
const MAX_WORDS: usize = 66_000;

/// A position in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextPosition {
    /// The line, from 1.
    pub(super) line: u32,
    /// The offset in bytes from the start of the text.
    pub(super) offset: usize,
}

impl TextPosition {
    /// The column in characters, from 1.
    pub(super) fn column(self, text: &str) -> u32 {
        let before = text.get(..self.offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let characters = before.get(start..).map_or(0, |line| line.chars().count());
        u32::try_from(characters).map_or(u32::MAX, |count| count.saturating_add(1))
    }
}

/// One word of an entry, with its escapes unresolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'t> {
    /// The text without enclosing quotation marks. In `key="value"` they remain.
    pub(super) text: &'t str,
    pub(super) quoted: bool,
    /// The word contains a quotation, as in SVCB parameters.
    pub(super) mixed: bool,
    pub(super) place: TextPosition,
}

impl Word<'_> {
    /// Whether the word is `text`, unquoted and in any letter case.
    pub(super) fn is(&self, text: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(text)
    }

    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault {
            place: self.place,
            message: message.into(),
        }
    }
}

/// Reads a text entry by entry.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    line: u32,
}

/// One entry. The caller holds its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogicalLine {
    /// The line begins with a blank, so the entry has the owner name of the previous one.
    pub(super) indented: bool,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: if text.starts_with('\u{feff}') { 3 } else { 0 },
            line: 1,
        }
    }

    /// Reads the next non-empty entry into `words`. Returns `None` at the end of the text.
    ///
    /// # Errors
    /// If the syntax of the entry is invalid. The rest of the line is skipped, so that reading can
    /// continue.
    pub(super) fn next_entry(
        &mut self,
        words: &mut Vec<Word<'t>>,
    ) -> Option<Result<LogicalLine, Fault>> {
        let entry = self.read_entry(words);
        if entry.is_err() {
            self.skip_line();
        }
        entry.transpose()
    }

    fn read_entry(&mut self, words: &mut Vec<Word<'t>>) -> Result<Option<LogicalLine>, Fault> {
        words.clear();
        let mut indented = self.at_blank();
        let mut open: Option<TextPosition> = None;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => {
                    self.newline();
                    if open.is_none() && !words.is_empty() {
                        return Ok(Some(LogicalLine { indented }));
                    }
                    if open.is_none() {
                        indented = self.at_blank();
                    }
                }
                b' ' | b'\t' => self.at += 1,
                b'\r' if matches!(self.byte(self.at + 1), Some(b'\n') | None) => self.at += 1,
                b';' => self.skip_comment(),
                b'(' => self.open(&mut open)?,
                b')' => {
                    open.take().ok_or_else(|| self.unopened())?;
                    self.at += 1;
                }
                _ if words.len() >= MAX_WORDS => {
                    return Err(self.fault(format!(
                        "more than {MAX_WORDS} words in one entry; is a parenthesis not closed?"
                    )));
                }
                b'"' => words.push(self.quoted()?),
                _ => words.push(self.word()?),
            }
        }
        match open {
            Some(place) => Err(Fault {
                place,
                message: "this parenthesis is never closed; put a ) behind the entry's last word"
                    .to_owned(),
            }),
            None if words.is_empty() => Ok(None),
            None => Ok(Some(LogicalLine { indented })),
        }
    }

    fn open(&mut self, open: &mut Option<TextPosition>) -> Result<(), Fault> {
        if let Some(outer) = open {
            return Err(self.fault(format!(
                "a parenthesis inside a parenthesis; close the one of line {} first",
                outer.line
            )));
        }
        *open = Some(self.place());
        self.at += 1;
        Ok(())
    }

    fn unopened(&self) -> Fault {
        self.fault("this parenthesis closes none; remove it, or escape it as \\)")
    }

    /// Reads a quoted word, which must end on its first line.
    fn quoted(&mut self) -> Result<Word<'t>, Fault> {
        let place = self.place();
        self.quotation(place)?;
        Ok(Word {
            text: self
                .text
                .get(place.offset + 1..self.at - 1)
                .unwrap_or_default(),
            quoted: true,
            mixed: false,
            place,
        })
    }

    /// Skips a quotation, including both marks.
    fn quotation(&mut self, place: TextPosition) -> Result<(), Fault> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                None | Some(b'\n' | b'\r') => {
                    return Err(Fault {
                        place,
                        message: "this quotation mark is not closed on its line; \
                                  a line end inside a string is written \\010"
                            .to_owned(),
                    });
                }
                Some(byte) if byte.is_ascii_control() && byte != b'\t' => {
                    return Err(self.control(byte));
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// Reads an unquoted word. A blank, parenthesis, comment or line end terminates it.
    fn word(&mut self) -> Result<Word<'t>, Fault> {
        let place = self.place();
        let mut mixed = false;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b';' | b'(' | b')' if self.at > place.offset => {
                    break;
                }
                b'\\' => self.escape()?,
                b'"' if self.byte(self.at.wrapping_sub(1)) == Some(b'=') => {
                    self.quotation(self.place())?;
                    mixed = true;
                }
                b'"' => {
                    return Err(self.fault(
                        "a quotation mark inside a word; put a blank before it or write \\\"",
                    ));
                }
                byte if byte.is_ascii_control() => return Err(self.control(byte)),
                _ => self.at += 1,
            }
        }
        Ok(Word {
            text: self.text.get(place.offset..self.at).unwrap_or_default(),
            quoted: false,
            mixed,
            place,
        })
    }

    /// Skips a backslash and the next byte. For `\DDD`, skipping the first digit is sufficient.
    fn escape(&mut self) -> Result<(), Fault> {
        match self.byte(self.at + 1) {
            None | Some(b'\n' | b'\r') => {
                Err(self.fault("a backslash at the end of a line; remove it or write \\\\"))
            }
            Some(byte) if byte.is_ascii_control() => Err(self.control(byte)),
            Some(_) => {
                self.at += 2;
                Ok(())
            }
        }
    }

    fn control(&self, byte: u8) -> Fault {
        self.fault(format!(
            "a control character (byte {byte}); remove it, or write it as \\{byte:03}"
        ))
    }

    fn skip_comment(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let comment = rest.iter().position(|&byte| byte == b'\n');
        self.at += comment.unwrap_or(rest.len());
    }

    fn skip_line(&mut self) {
        self.skip_comment();
        if self.peek().is_some() {
            self.newline();
        }
    }

    fn newline(&mut self) {
        self.at += 1;
        self.line = self.line.saturating_add(1);
    }

    fn at_blank(&self) -> bool {
        matches!(self.peek(), Some(b' ' | b'\t'))
    }

    fn peek(&self) -> Option<u8> {
        self.byte(self.at)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn place(&self) -> TextPosition {
        TextPosition {
            line: self.line,
            offset: self.at,
        }
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault {
            place: self.place(),
            message: message.into(),
        }
    }
}
