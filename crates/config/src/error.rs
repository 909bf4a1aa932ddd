//! Errors and warnings about a configuration: file, line, column, the line itself with a mark under
//! the place, and the nearest valid spelling if there is one.
//!
//! Every fault of a file is collected, not only the first, so that an operator can fix them all at
//! once. Text from the file is not trusted: control characters and characters that change the
//! writing direction are escaped before they reach a terminal.

mod faults;

use std::{borrow::Cow, cell::Cell, fmt, sync::Arc};

use crate::text::ReadFile;

pub(super) use faults::{Faults, OtherFile};

/// The most notices in one report; further ones are counted. A file with more faults is probably
/// the wrong file.
pub const MAX_NOTICES: usize = 100;

/// A place in a file: line and column from 1, in characters, not bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Whether a notice makes the configuration invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// The configuration is used, but it may do something unintended.
    Warning,
}

/// One error or warning about a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether this makes the configuration invalid.
    pub severity: Severity,
    /// The file, as it was named on the command line or in the configuration.
    pub file: Arc<str>,
    /// The line, counted from 1; 0 if the notice is about the whole file.
    pub line: u32,
    /// The character within the line, counted from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The part of the line around the column, and the number of characters before the caret. It is cut before it is
    /// stored, because one line may be the whole file.
    snippet: Option<(Box<str>, usize)>,
    /// The description for people who may not read the file.
    kind: Option<&'static str>,
}

impl Notice {
    /// `file:line:column`, or the file alone.
    pub(super) fn located(&self) -> String {
        let file = plain(&self.file);
        match self.line {
            0 => file.into_owned(),
            line => format!("{file}:{line}:{}", self.column),
        }
    }

    /// The kind of fault, in words that quote nothing.
    pub(super) fn kind(&self) -> &'static str {
        self.kind.unwrap_or(match self.severity {
            Severity::Error => "what stands here is not right",
            Severity::Warning => "what stands here may not be what was meant",
        })
    }
}

/// The text of a fault, for people who may read the file, and its kind, for everyone else. A text
/// built at run time may quote the file, so it has no kind unless one is given.
pub(super) struct Message {
    text: String,
    kind: Option<&'static str>,
}

impl Message {
    /// A message whose kind quotes nothing.
    pub(super) const fn of(kind: &'static str, text: String) -> Self {
        Self {
            text,
            kind: Some(kind),
        }
    }
}

impl From<&'static str> for Message {
    fn from(text: &'static str) -> Self {
        Self::of(text, text.to_owned())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self { text, kind: None }
    }
}

impl fmt::Display for Notice {
    /// `file:line:column: error: message`, the line, a caret under the column, `help: …`; without
    /// a line break at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.located())?;
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, ": {severity}: {}", plain(&self.message))?;
        if let Some((text, caret)) = &self.snippet {
            write!(f, "\n  {text}\n  {:caret$}^", "", caret = *caret)?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {}", plain(help))?;
        }
        Ok(())
    }
}

/// Why a configuration is not used: every error found in it, ordered by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    notices: Vec<Notice>,
    /// Errors beyond [`MAX_NOTICES`].
    more: usize,
    files: Vec<ReadFile>,
}

impl Report {
    /// The report of one error about a whole file.
    pub(super) fn of_file(file: &str, message: impl Into<Message>, files: Vec<ReadFile>) -> Self {
        let mut faults = Faults::new(file, "");
        *faults.files() = files;
        faults.push(Place::default(), message);
        faults.into_report()
    }

    /// The files that were read, or would have been: a change of one of them may fix the error.
    #[must_use]
    pub fn files(&self) -> &[ReadFile] {
        &self.files
    }

    /// The errors, by file and place.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The number of errors, including those for which the report has no room.
    #[must_use]
    pub fn count(&self) -> usize {
        self.notices.len() + self.more
    }
}

impl fmt::Display for Report {
    /// Every error, one after another, without a final line break.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, notice) in self.notices.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{notice}")?;
        }
        match self.more {
            0 => {}
            1 => f.write_str("\n… and 1 more error")?,
            more => write!(f, "\n… and {more} more errors")?,
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// The word of `known` nearest to `word`, if it is near enough to have been meant.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.get(..MAX_WORD.min(word.len()))?.to_ascii_lowercase();
    let far = |candidate: &str| 1 + candidate.len() / 4;
    known
        .into_iter()
        // The difference in length is a lower bound of the distance.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= far(candidate))
        .take(MAX_COMPARED)
        .map(|candidate| {
            let distance = strsim::osa_distance(&word, &candidate.to_ascii_lowercase());
            (distance, candidate)
        })
        .filter(|&(distance, candidate)| distance <= far(candidate))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// A longer word resembles no known word, and comparing it costs time in proportion to its length.
const MAX_WORD: usize = 256;
/// The most words compared: a file may have thousands of rules and a hundred errors.
const MAX_COMPARED: usize = 200;

/// The most characters of a line shown.
const MAX_SNIPPET: usize = 120;
/// The most characters of one message: some messages repeat text of the file.
const MAX_MESSAGE: usize = 600;
/// The most characters of a bad value repeated in its error.
const MAX_QUOTED: usize = 80;

/// The start of the line that was looked up last. Faults are mostly found from top to bottom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LastLine {
    /// The text, by its address in memory and its length.
    text: (usize, usize),
    /// Counted from 0.
    line: usize,
    start: usize,
}

/// The part of the line shown for a place.
fn snippet(text: &str, place: Place, last: &Cell<LastLine>) -> Option<(Box<str>, usize)> {
    let line = line_of(text, place.line, last)?;
    let (shown, caret) = window(line, place.column);
    Some((shown.into(), caret))
}

/// A line of a text, counted from 1; `None` if the text has fewer lines.
fn line_of<'t>(text: &'t str, line: u32, last: &Cell<LastLine>) -> Option<&'t str> {
    let wanted = usize::try_from(line).ok()?.checked_sub(1)?;
    let of = (text.as_ptr() as usize, text.len());
    let mut at = last.get();
    if at.text != of || at.line > wanted {
        at = LastLine {
            text: of,
            line: 0,
            start: 0,
        };
    }
    at.start += start_of_line(text.get(at.start..)?.as_bytes(), wanted - at.line)?;
    at.line = wanted;
    last.set(at);
    text.get(at.start..)?.lines().next()
}

/// The start of the line after that many line breaks. It counts line breaks in whole pieces for speed.
fn start_of_line(text: &[u8], mut breaks: usize) -> Option<usize> {
    const PIECE: usize = 4096;
    let mut start = 0;
    for piece in text.chunks(PIECE) {
        if breaks == 0 {
            break;
        }
        let here = piece.iter().filter(|&&byte| byte == b'\n').count();
        if here >= breaks {
            let mut ends = piece.iter().enumerate().filter(|&(_, &byte)| byte == b'\n');
            let (at, _) = ends.nth(breaks - 1)?;
            return Some(start + at + 1);
        }
        breaks -= here;
        start += piece.len();
    }
    (breaks == 0).then_some(start)
}

/// The part of the line around `column`, with one visible character for each character of the line,
/// and the number of characters before the caret.
fn window(line: &str, column: u32) -> (String, usize) {
    let column = usize::try_from(column).unwrap_or(usize::MAX).max(1) - 1;
    let skip = column.saturating_sub(MAX_SNIPPET * 2 / 3);
    let visible = |c: char| match c {
        '\t' => ' ',
        c if is_unsafe(c) => '\u{fffd}',
        c => c,
    };
    let text: String = line
        .chars()
        .skip(skip)
        .take(MAX_SNIPPET)
        .map(visible)
        .collect();
    let caret = (column - skip).min(text.chars().count());
    (text, caret)
}

/// Text without characters that a terminal would act on, cut to the longest message.
fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, MAX_MESSAGE)
}

/// Text without characters that a terminal would act on, cut to `most` characters.
pub(crate) fn escaped(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most && !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len().min(most * 2));
    for (at, c) in text.chars().enumerate() {
        if at == most {
            safe.push('…');
            break;
        }
        if is_unsafe(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// A text of the file, shortened for a message.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Whether a character controls the terminal or the writing direction instead of being displayed.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["listen", "admin", "clients", "rules", "VPC"];
        for (word, near) in [
            ("lisen", Some("listen")),
            ("Clients", Some("clients")),
            ("vpc", Some("VPC")),
            ("client", Some("clients")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
        }
    }

    #[test]
    fn a_long_line_is_cut_around_its_fault() {
        let text = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let (shown, caret) = window(&text, 501);
        assert_eq!(shown.chars().count(), MAX_SNIPPET);
        assert_eq!(shown.chars().nth(caret), Some('x'));
        // A column after the end of the line: the parser reports one if something is missing there.
        assert_eq!(window("ab", 9), ("ab".to_owned(), 2));
        assert_eq!(window("ab", 0), ("ab".to_owned(), 0));
    }

    #[test]
    fn lines_are_found_whatever_was_looked_for_before() {
        let long = "x".repeat(5000);
        let text = format!("a\n\r\nb\r\n{long}\nä\n\n{long}\nend");
        let other = "other\n";
        let last = Cell::default();
        for wanted in [1, 2, 3, 4, 5, 6, 7, 8, 9, 3, 8, 1, 0, 8, 20, 4, 5] {
            let at = usize::try_from(wanted).expect("small").checked_sub(1);
            let want = at.and_then(|at| text.lines().nth(at));
            assert_eq!(line_of(&text, wanted, &last), want, "{wanted}");
            assert_eq!(line_of(other, 1, &last), Some("other"));
            assert_eq!(line_of(&text, wanted, &last), want, "{wanted}");
        }
    }
}
