//! Errors and warnings about a configuration: file, line, column, the line itself with a mark under
//! the place, and the nearest valid spelling if there is one.
//!
//! Every fault of a file is collected, not only the first, so that an operator can fix them all at
//! once. Text from the file is not trusted: control characters and characters that change the
//! writing direction are escaped before they reach a terminal.

use std::{fmt, sync::Arc};

use super::text::ReadFile;

mod faults;
mod nearest;
mod snippet;

pub(super) use faults::{Faults, OtherFile};
pub(super) use nearest::nearest;
use snippet::plain;
pub(super) use snippet::{escaped, is_unsafe, quoted};

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
