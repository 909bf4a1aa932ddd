//! The severity of a log line.

/// The severity of a line, in Cloud Logging's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogSeverity {
    /// Routine: an answer, a start, a stop.
    Info,
    /// Normal, but notable: a denial, or an observed query that would be one.
    Notice,
    /// Something may be wrong.
    Warning,
    /// Something is wrong.
    Error,
    /// dnsgate cannot continue.
    Critical,
}

impl LogSeverity {
    /// The value of the key `severity`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}
