//! Quotes part of a line of a file, without characters that a terminal would act on.

use std::{borrow::Cow, cell::Cell};

use super::Place;

/// The most characters of a line shown.
pub(super) const MAX_SNIPPET: usize = 120;
/// The most characters of one message: some messages repeat text of the file.
const MAX_MESSAGE: usize = 600;
/// The most characters of a bad value repeated in its error.
const MAX_QUOTED: usize = 80;

/// The start of the line that was looked up last. Faults are mostly found from top to bottom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LastLine {
    /// The text, by its address in memory and its length.
    text: (usize, usize),
    /// Counted from 0.
    line: usize,
    start: usize,
}

/// The part of the line shown for a place.
pub(super) fn snippet(
    text: &str,
    place: Place,
    last: &Cell<LastLine>,
) -> Option<(Box<str>, usize)> {
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
pub(super) fn plain(text: &str) -> Cow<'_, str> {
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
