//! Where something stands in a source.

use std::{fmt, sync::Arc};

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file as the operator named it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0 where only the line is known.
    pub column: u32,
}

impl Place {
    /// The beginning of a line.
    #[must_use]
    pub fn line(file: &Arc<str>, line: usize) -> Self {
        Self {
            file: Arc::clone(file),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: 0,
        }
    }
}

impl fmt::Display for Place {
    /// Writes `file:line:column`, or `file:line`. A file name with control characters is escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", crate::report::plain(&self.file), self.line)?;
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}
