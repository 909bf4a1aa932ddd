//! A text for whoever may ask dnsgate, who need not be one who may read its files.
//!
//! A configuration may name any file that dnsgate can read, and an error shows the line that is wrong
//! with it. On the command line that is the operator's own right; on the admin pages, in what
//! `dnsgate reload` prints and in `systemctl status` it would be a way to read those files. So what
//! goes there is of a type of its own, which cannot be made of a text that was put together: it
//! takes texts of the program, places and numbers, and what a fault says of its kind. Whoever adds an
//! error has to say what of it may be told, or nothing is.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use super::{
    contents::Changes,
    error::{Notice, Report, Severity},
};

/// A text that quotes no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unquoted(String);

/// Where the rest is told, behind errors.
const MORE: &str = "\nthe log of dnsgate quotes what is wrong, and so does `dnsgate check`";

impl From<&'static str> for Unquoted {
    fn from(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

impl Unquoted {
    /// The text, and another one of the program behind it.
    #[must_use]
    pub fn and(mut self, text: &'static str) -> Self {
        self.0.push_str(text);
        self
    }

    /// The text, and another one that quotes nothing behind it.
    #[must_use]
    pub fn and_all(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// The text, and a number behind it.
    #[must_use]
    pub fn and_number(mut self, number: u64) -> Self {
        let _ = write!(self.0, "{number}");
        self
    }

    /// The text, and a span of time behind it.
    #[must_use]
    pub fn and_span(mut self, span: Duration) -> Self {
        let _ = write!(self.0, "{span:?}");
        self
    }

    /// The text, and what differs behind it, without the values: keys, and the names that the operator gave
    /// to rules, groups, zones and upstreams, which are the labels of metrics as well.
    #[must_use]
    pub fn and_changes(mut self, changes: &Changes) -> Self {
        let _ = write!(self.0, "{}", changes.without_values());
        self
    }

    /// The first line.
    #[must_use]
    pub fn first_line(&self) -> Self {
        Self(self.0.lines().next().unwrap_or_default().to_owned())
    }
}

impl fmt::Display for Unquoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Notice {
    /// The file, the place and the kind: nothing of what stands there.
    #[must_use]
    pub fn unquoted(&self) -> Unquoted {
        let mut text = self.located();
        text.push_str(match self.severity {
            Severity::Error => ": error: ",
            Severity::Warning => ": warning: ",
        });
        text.push_str(self.kind());
        Unquoted(text)
    }
}

impl Report {
    /// Every error by its place and kind.
    #[must_use]
    pub fn unquoted(&self) -> Unquoted {
        let notices = self.notices();
        let lines: Vec<_> = notices.iter().map(|it| it.unquoted().0).collect();
        let mut text = lines.join("\n");
        if let more @ 1.. = self.count() - notices.len() {
            let _ = write!(text, "\n… and {more} more errors");
        }
        Unquoted(text + MORE)
    }
}
