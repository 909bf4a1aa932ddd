//! The faults of one configuration, collected while it is read.

use std::{cell::Cell, sync::Arc};

use super::{
    super::text::ReadFile, LastLine, MAX_NOTICES, Message, Notice, Place, Report, Severity, snippet,
};

/// A file that the configuration names, with its text for quotations.
#[derive(Clone, Copy)]
pub(crate) struct OtherFile<'t> {
    pub(crate) name: &'t str,
    pub(crate) text: &'t str,
}

impl OtherFile<'_> {
    /// Makes a warning at a place of this file; the caller stores it.
    pub(crate) fn warning(self, place: Place, message: String, help: Option<String>) -> Notice {
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

    /// Makes a notice, and remembers the last line in `last`: faster for many lines of one text.
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
pub(crate) struct Faults<'t> {
    file: Arc<str>,
    text: &'t str,
    notices: Vec<Notice>,
    more: usize,
    files: Vec<ReadFile>,
    /// The line that was quoted last, which speeds up the search for the next one.
    last: Cell<LastLine>,
}

impl<'t> Faults<'t> {
    pub(crate) fn new(file: &str, text: &'t str) -> Self {
        Self {
            file: file.into(),
            text,
            notices: Vec::new(),
            more: 0,
            files: Vec::new(),
            last: Cell::default(),
        }
    }

    /// The files read so far; the caller may add more.
    pub(crate) fn files(&mut self) -> &mut Vec<ReadFile> {
        &mut self.files
    }

    /// The name of the file.
    pub(crate) fn file(&self) -> Arc<str> {
        Arc::clone(&self.file)
    }

    /// Adds an error at a place of the configuration file.
    pub(crate) fn push(&mut self, place: Place, message: impl Into<Message>) {
        self.push_help(place, message, None);
    }

    /// Adds an error with advice.
    pub(crate) fn push_help(
        &mut self,
        place: Place,
        message: impl Into<Message>,
        help: impl Into<Option<String>>,
    ) {
        // Checked first, because quoting a line costs a search through the text.
        if self.has_room() {
            let notice = self.notice(Severity::Error, place, message.into(), help.into());
            self.notices.push(notice);
        }
    }

    /// Adds an error whose message is built only if it is kept: a faulty file of some megabytes may have millions of
    /// errors.
    pub(crate) fn push_with<M: Into<Message>>(
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

    /// Adds an error in another file.
    pub(crate) fn push_in(
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

    /// Adds the faults of another file, which was read with its own collection.
    pub(crate) fn absorb(&mut self, other: Self) {
        for notice in other.notices {
            if self.has_room() {
                self.notices.push(notice);
            }
        }
        self.more += other.more;
    }

    /// Makes a warning at a place of the configuration file; the caller stores it.
    pub(crate) fn warning(&self, place: Place, message: String, help: Option<String>) -> Notice {
        self.notice(Severity::Warning, place, message.into(), help)
    }

    /// The number of faults found.
    pub(crate) fn count(&self) -> usize {
        self.notices.len() + self.more
    }

    /// Whether further faults are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.notices.len() >= MAX_NOTICES
    }

    /// Whether no faults were found.
    pub(crate) fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }

    /// The report: faults of the configuration file first, then those of other files, each ordered by place.
    pub(crate) fn into_report(mut self) -> Report {
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

    /// Whether there is room for one more fault; if not, counts it.
    fn has_room(&mut self) -> bool {
        let room = self.notices.len() < MAX_NOTICES;
        self.more += usize::from(!room);
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::MAX_SNIPPET;

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
}
