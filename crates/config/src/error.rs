//! What is wrong with a configuration, told so that it can be mended: file, line, column, the line
//! itself with a mark under the place, and where there is one the nearest right spelling.
//!
//! Every fault of a file is collected, not only the first: whoever mends a policy mends it once.
//! Text from the file is shown, never trusted: control characters and those that turn the
//! direction of writing are escaped before they can reach a terminal.

use std::{borrow::Cow, cell::Cell, fmt, sync::Arc};

use super::text::ReadFile;

/// The most notices that one report holds; further ones are counted. A file with more faults than
/// these is the wrong file.
pub const MAX_NOTICES: usize = 100;
/// The most characters of a line that are shown.
const MAX_SNIPPET: usize = 120;
/// The most characters of one message: some repeat what the file says.
const MAX_MESSAGE: usize = 600;

/// A place in a file, counted from 1; characters, not bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Whether a notice forbids the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is not used.
    Error,
    /// The configuration is used, and does something that was perhaps not meant.
    Warning,
}

/// One thing to say about a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether this forbids the configuration.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, counted from 1; 0 when the notice is about the file as a whole.
    pub line: u32,
    /// The character within the line, counted from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The part of the line around the column as it is shown, and how many characters stand before the caret. A
    /// line may be the whole file, so it is cut before it is kept.
    snippet: Option<(Box<str>, usize)>,
    /// What may be told of it to those who may not read the file.
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

    /// What kind of fault it is, in words of the program's own.
    pub(super) fn kind(&self) -> &'static str {
        self.kind.unwrap_or(match self.severity {
            Severity::Error => "what stands here is not right",
            Severity::Warning => "what stands here may not be what was meant",
        })
    }
}

/// What is wrong, as whoever may read the file is told, and its kind, for anybody else. A text that
/// was put together may quote the file, so it has no kind unless one is given.
pub(super) struct Message {
    text: String,
    kind: Option<&'static str>,
}

impl Message {
    /// With a kind that quotes nothing.
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

/// Why a configuration is not used: every error found in it, by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    notices: Vec<Notice>,
    /// Errors beyond [`MAX_NOTICES`].
    more: usize,
    files: Vec<ReadFile>,
}

impl Report {
    /// The report of one error about a file as a whole.
    pub(super) fn of_file(file: &str, message: impl Into<Message>, files: Vec<ReadFile>) -> Self {
        let mut faults = Faults::new(file, "");
        *faults.files() = files;
        faults.push(Place::default(), message);
        faults.into_report()
    }

    /// The files that were read, or would have been: a change of one of them may mend it.
    #[must_use]
    pub fn files(&self) -> &[ReadFile] {
        &self.files
    }

    /// The errors, by file and place.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// How many errors there are, those that the report has no room for included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.notices.len() + self.more
    }
}

impl fmt::Display for Report {
    /// Every error, one after the other, without a line break at the end.
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

/// A file that the configuration names, whose text is at hand to quote from.
#[derive(Clone, Copy)]
pub(super) struct OtherFile<'t> {
    pub(super) name: &'t str,
    pub(super) text: &'t str,
}

impl OtherFile<'_> {
    /// A warning at a place of this file, for the caller to keep.
    pub(super) fn warning(self, place: Place, message: String, help: Option<String>) -> Notice {
        self.notice(Severity::Warning, place, message.into(), help)
    }

    fn notice(
        self,
        severity: Severity,
        place: Place,
        message: Message,
        help: Option<String>,
    ) -> Notice {
        self.notice_from(&Cell::default(), (severity, place), message, help)
    }

    /// The same, for one who asks for many lines of a text.
    fn notice_from(
        self,
        last: &Cell<LastLine>,
        (severity, place): (Severity, Place),
        message: Message,
        help: Option<String>,
    ) -> Notice {
        Notice {
            severity,
            file: self.name.into(),
            line: place.line,
            column: place.column,
            message: message.text,
            help,
            snippet: snippet(self.text, place, last),
            kind: message.kind,
        }
    }
}

/// The faults found so far in one configuration and the files that it names.
pub(super) struct Faults<'t> {
    file: Arc<str>,
    text: &'t str,
    notices: Vec<Notice>,
    more: usize,
    files: Vec<ReadFile>,
    /// The line that was quoted last.
    last: Cell<LastLine>,
}

impl<'t> Faults<'t> {
    pub(super) fn new(file: &str, text: &'t str) -> Self {
        Self {
            file: file.into(),
            text,
            notices: Vec::new(),
            more: 0,
            files: Vec::new(),
            last: Cell::default(),
        }
    }

    /// The files that were read so far, for more to be added.
    pub(super) fn files(&mut self) -> &mut Vec<ReadFile> {
        &mut self.files
    }

    /// The file's name.
    pub(super) fn file(&self) -> Arc<str> {
        Arc::clone(&self.file)
    }

    /// An error at a place of the configuration file.
    pub(super) fn push(&mut self, place: Place, message: impl Into<Message>) {
        self.push_help(place, message, None);
    }

    /// An error with advice.
    pub(super) fn push_help(
        &mut self,
        place: Place,
        message: impl Into<Message>,
        help: impl Into<Option<String>>,
    ) {
        // Asked first: quoting a line costs a walk through the text.
        if self.has_room() {
            let notice = self.notice(Severity::Error, place, message.into(), help.into());
            self.notices.push(notice);
        }
    }

    /// An error whose words are found only if somebody will read them: a faulty file of some megabytes may have
    /// millions.
    pub(super) fn push_with<M: Into<Message>>(
        &mut self,
        place: Place,
        words: impl FnOnce() -> (M, Option<String>),
    ) {
        if self.has_room() {
            let (message, help) = words();
            let notice = self.notice(Severity::Error, place, message.into(), help);
            self.notices.push(notice);
        }
    }

    /// An error in another file.
    pub(super) fn push_in(
        &mut self,
        file: OtherFile<'_>,
        place: Place,
        message: impl Into<Message>,
        help: impl Into<Option<String>>,
    ) {
        if self.has_room() {
            let help = help.into();
            let notice =
                file.notice_from(&self.last, (Severity::Error, place), message.into(), help);
            self.notices.push(notice);
        }
    }

    /// Adds what was found in another file, read with faults of its own.
    pub(super) fn absorb(&mut self, other: Self) {
        for notice in other.notices {
            if self.has_room() {
                self.notices.push(notice);
            }
        }
        self.more += other.more;
    }

    /// A warning at a place of the configuration file, for the caller to keep.
    pub(super) fn warning(&self, place: Place, message: String, help: Option<String>) -> Notice {
        self.notice(Severity::Warning, place, message.into(), help)
    }

    /// How many faults were found.
    pub(super) fn count(&self) -> usize {
        self.notices.len() + self.more
    }

    /// Whether further faults would only be counted.
    pub(super) fn is_full(&self) -> bool {
        self.notices.len() >= MAX_NOTICES
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }

    /// The report: the configuration file first, then the others, each from top to bottom.
    pub(super) fn into_report(mut self) -> Report {
        let main = Arc::clone(&self.file);
        self.notices.sort_by(|a, b| {
            let order = |notice: &Notice| (notice.file != main, notice.line, notice.column);
            (order(a).0, &a.file, order(a)).cmp(&(order(b).0, &b.file, order(b)))
        });
        Report {
            notices: self.notices,
            more: self.more,
            files: self.files,
        }
    }

    fn notice(
        &self,
        severity: Severity,
        place: Place,
        message: Message,
        help: Option<String>,
    ) -> Notice {
        Notice {
            severity,
            file: Arc::clone(&self.file),
            line: place.line,
            column: place.column,
            message: message.text,
            help,
            snippet: snippet(self.text, place, &self.last),
            kind: message.kind,
        }
    }

    /// Whether one more can be held; if not, it is counted.
    fn has_room(&mut self) -> bool {
        let room = self.notices.len() < MAX_NOTICES;
        self.more += usize::from(!room);
        room
    }
}

/// Where a line of a text begins: the one that was looked for last. Faults are mostly found from top to bottom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LastLine {
    /// Which text: where it stands in memory, and its length.
    text: (usize, usize),
    /// Counted from 0.
    line: usize,
    start: usize,
}

/// What is shown of a place: part of its line.
fn snippet(text: &str, place: Place, last: &Cell<LastLine>) -> Option<(Box<str>, usize)> {
    let line = line_of(text, place.line, last)?;
    let (shown, caret) = window(line, place.column);
    Some((shown.into(), caret))
}

/// A line of a text, counted from 1; `None` when there is no such line.
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

/// Where the line begins that so many line breaks stand before. Most of the text is counted only.
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

/// The part of a line around `column`, one visible character for each of the line's, and how many
/// of them stand before the caret.
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

/// Text without characters that a terminal could act on, and not longer than a message may be.
fn plain(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_MESSAGE && !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len().min(MAX_MESSAGE * 2));
    for (at, c) in text.chars().enumerate() {
        if at == MAX_MESSAGE {
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

/// Whether a character steers the terminal or the direction of writing instead of being shown.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The nearest of `known` to `word`, where one is near enough to have been meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.get(..MAX_WORD.min(word.len()))?.to_ascii_lowercase();
    let far = |candidate: &str| 1 + candidate.len() / 4;
    known
        .into_iter()
        // As many letters must be added or removed at least.
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

/// A word longer than this is like none of ours: comparing it costs its length.
const MAX_WORD: usize = 256;
/// As many words of the same length are compared at most: a file may have thousands of rules, and a hundred errors.
const MAX_COMPARED: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_shows_the_place() {
        let mut faults = Faults::new("gate.yaml", "a: 1\nrules: [x]\n");
        let place = Place { line: 2, column: 9 };
        faults.push_help(place, "not this", Some("that".to_owned()));
        assert_eq!(
            faults.into_report().to_string(),
            "gate.yaml:2:9: error: not this\n  rules: [x]\n          ^\n  help: that"
        );
        let report = Report::of_file("gone.yaml", "cannot be read".to_owned(), Vec::new());
        assert_eq!(report.to_string(), "gone.yaml: error: cannot be read");
    }

    #[test]
    fn what_is_told_to_anybody_quotes_nothing() {
        let mut faults = Faults::new("gate.yaml", "rules: [secret]\n");
        let place = Place { line: 1, column: 9 };
        faults.push_help(place, format!("no {}", "secret"), "not secret".to_owned());
        faults.push(place, Message::of("no such thing", "secret".to_owned()));
        faults.push(place, "a text of the program");
        let shadow = OtherFile {
            name: "/etc/shadow",
            text: "root:secret:1\n",
        };
        faults.push_in(shadow, place, "secret".to_owned(), None);
        let report = faults.into_report();
        let quoted = report.to_string();
        assert_eq!(quoted.matches("secret").count(), 8, "{quoted}");
        let told = report.unquoted().to_string();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "gate.yaml:1:9: error: what stands here is not right",
                "gate.yaml:1:9: error: no such thing",
                "gate.yaml:1:9: error: a text of the program",
                "/etc/shadow:1:9: error: what stands here is not right",
            ]
        );
        assert!(!told.contains("secret"), "{told}");
    }

    #[test]
    fn what_could_steer_a_terminal_is_shown_instead() {
        let text = "a: \"\x1b[31m\u{202e}\"\tb";
        let mut faults = Faults::new("e\x07vil.yaml", text);
        faults.push(
            Place {
                line: 1,
                column: 13,
            },
            "bad \x1b[2J",
        );
        let shown = faults.into_report().to_string();
        assert_eq!(
            shown,
            "e\\u{7}vil.yaml:1:13: error: bad \\u{1b}[2J\n  a: \"\u{fffd}[31m\u{fffd}\" b\n              ^"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_its_fault() {
        let text = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let (shown, caret) = window(&text, 501);
        assert_eq!(shown.chars().count(), MAX_SNIPPET);
        assert_eq!(shown.chars().nth(caret), Some('x'));
        // A column behind the end of the line, as a parser tells for what is missing there.
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

    #[test]
    fn a_notice_keeps_no_more_of_a_line_than_it_shows() {
        let text = "x".repeat(1 << 20);
        let mut faults = Faults::new("t", &text);
        faults.push(
            Place {
                line: 1,
                column: 500_000,
            },
            "here",
        );
        let report = faults.into_report();
        let (shown, _) = report.notices()[0].snippet.as_ref().expect("a line");
        assert_eq!(shown.len(), MAX_SNIPPET);
    }

    #[test]
    fn faults_are_sorted_and_bounded() {
        let mut faults = Faults::new("a.yaml", "");
        faults.push_in(
            OtherFile {
                name: "0.zone",
                text: "",
            },
            Place { line: 1, column: 1 },
            "zone".to_owned(),
            None,
        );
        faults.push(Place { line: 9, column: 1 }, "late");
        faults.push(Place { line: 2, column: 1 }, "early");
        for _ in 0..MAX_NOTICES {
            faults.push(Place { line: 5, column: 5 }, "many");
        }
        let report = faults.into_report();
        assert_eq!(report.count(), MAX_NOTICES + 3);
        assert_eq!(report.notices().len(), MAX_NOTICES);
        let order: Vec<_> = report.notices().iter().map(|n| &*n.message).collect();
        assert_eq!((order[0], order[MAX_NOTICES - 1]), ("early", "zone"));
        assert!(report.to_string().ends_with("\n… and 3 more errors"));
    }

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
}
