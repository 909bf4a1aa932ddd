//! From the text of a zone file to its entries: the words of one record or directive, with their
//! places.
//!
//! Quotation marks, parentheses, comments and line ends are dealt with here and nowhere else.
//! Escapes are only stepped over, so that an escaped blank or semicolon is part of its word: what
//! they stand for depends on whether the word is a name or a string. Every byte is looked at a
//! bounded number of times, whatever the text.

use super::Fault;

/// The most words of one entry: the data of a record have at most 65 535 bytes, and no sensible
/// file spends more than a word on each.
const MAX_WORDS: usize = 66_000;

/// Where something stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextPosition {
    /// From 1.
    pub(super) line: u32,
    /// In bytes from the start of the text.
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

/// One word of an entry, escapes and all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'t> {
    /// Without the quotation marks around it, if it had any. Those of `key="value"` are left in.
    pub(super) text: &'t str,
    pub(super) quoted: bool,
    /// There is a quotation inside the word, as parameters of SVCB may have it.
    pub(super) mixed: bool,
    pub(super) place: TextPosition,
}

impl Word<'_> {
    /// Whether the word is `text`, not quoted, in any case.
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

/// One entry; its words are with the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogicalLine {
    /// The line began with a blank: the entry has the owner of the one before.
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

    /// Reads the next entry that has words into `words`; `None` at the end of the text.
    ///
    /// # Errors
    /// What is wrong with the form of the entry. The rest of the line has been skipped, so that
    /// reading can go on.
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

    /// A word between quotation marks; it ends on the line where it began.
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

    /// Steps over a quotation, from its first mark to behind its last.
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

    /// A word that ends before a blank, a parenthesis, a comment or the line's end.
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

    /// Steps over a backslash and what follows it, the first byte of `\DDD` being enough here.
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
