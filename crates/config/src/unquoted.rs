//! Text for readers who may query dnsgate but may not read its files.
//!
//! A configuration may name any file that dnsgate can read, and an error quotes the faulty line of
//! it. On the command line that is safe, because the operator may read the file; on the admin pages,
//! in the output of `dnsgate reload` and in `systemctl status` it would disclose those files. So
//! those outputs take a type of their own that cannot be made from a string built at run time: it
//! accepts constant texts of the program, places, numbers and the kind of a fault. An error shows
//! nothing more there unless its author gives it a kind.

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

/// Appended to errors: where to find the full messages.
const MORE: &str = "\nthe log of dnsgate quotes what is wrong, and so does `dnsgate check`";

impl From<&'static str> for Unquoted {
    fn from(text: &'static str) -> Self {
        Self(text.to_owned())
    }
}

impl Unquoted {
    /// Appends a constant text.
    #[must_use]
    pub fn and(mut self, text: &'static str) -> Self {
        self.0.push_str(text);
        self
    }

    /// Appends another text that quotes no file.
    #[must_use]
    pub fn and_all(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// Appends a number.
    #[must_use]
    pub fn and_number(mut self, number: u64) -> Self {
        let _ = write!(self.0, "{number}");
        self
    }

    /// Appends a duration.
    #[must_use]
    pub fn and_span(mut self, span: Duration) -> Self {
        let _ = write!(self.0, "{span:?}");
        self
    }

    /// Appends the changes without their values: keys, and the names that the operator gave to rules, groups, zones
    /// and upstreams, which are also labels of metrics.
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
    /// The file, the place and the kind, without a quotation.
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
