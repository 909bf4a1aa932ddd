//! The query log: which queries it contains, its format, and its destination.

use std::{fmt, path::PathBuf, str::FromStr};

use super::limits::LOG_SAMPLE;

/// The longest path of a Unix socket, in bytes: the size of `sun_path` without its final zero
/// (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// Which queries get a line in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogQueries {
    /// No queries; only counters.
    None,
    /// Denied queries: the ones that matter to the operator of an allowlist, and few in a well-behaved
    /// network.
    #[default]
    Denied,
    /// Every query. A log line costs more than the answer itself.
    All,
}

/// The format of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text if the output is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object per line, with the keys of Cloud Logging.
    Json,
    /// Text for people.
    Text,
}

/// The destination of query log lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error, in order with dnsgate's other messages.
    #[default]
    Stderr,
    /// Standard output.
    Stdout,
    /// A regular file, to which lines are appended.
    File(PathBuf),
    /// A Unix stream socket on which another program listens.
    Unix(PathBuf),
}

/// Why a text is not a log output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogOutputError {
    /// It has none of the valid forms.
    #[error("write stderr, stdout, file:/PATH or unix:/PATH")]
    Form,
    /// The path is relative, so it would depend on the working directory.
    #[error("the path must begin with /")]
    Relative,
    /// The path is too long for the kernel.
    #[error("the path of a socket has {MAX_SOCKET_PATH} bytes at most")]
    TooLong,
}

impl FromStr for LogOutput {
    type Err = LogOutputError;

    fn from_str(text: &str) -> Result<Self, LogOutputError> {
        let (kind, path) = match text {
            "stderr" => return Ok(Self::Stderr),
            "stdout" => return Ok(Self::Stdout),
            _ => text.split_once(':').ok_or(LogOutputError::Form)?,
        };
        let with = match kind {
            "file" => Self::File,
            "unix" => Self::Unix,
            _ => return Err(LogOutputError::Form),
        };
        if !path.starts_with('/') {
            return Err(LogOutputError::Relative);
        }
        if kind == "unix" && path.len() > MAX_SOCKET_PATH {
            return Err(LogOutputError::TooLong);
        }
        Ok(with(path.into()))
    }
}

impl fmt::Display for LogOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => f.write_str("stderr"),
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The `log` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Which queries are logged.
    pub queries: LogQueries,
    /// One in this many successful queries is logged; see [`LOG_SAMPLE`].
    pub sample: u32,
    /// The format of the lines.
    pub format: LogFormat,
    /// The destination of the lines.
    pub output: LogOutput,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            queries: LogQueries::default(),
            sample: LOG_SAMPLE.default,
            format: LogFormat::default(),
            output: LogOutput::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_read_back() {
        let long = format!("unix:/{}", "x".repeat(MAX_SOCKET_PATH - 1));
        for text in [
            "stderr",
            "stdout",
            "file:/a/b c",
            "file:/a:b",
            "unix:/run/c",
            &long,
        ] {
            let output: LogOutput = text.parse().expect(text);
            assert_eq!(output.to_string(), text);
        }
    }

    #[test]
    fn bad_outputs_are_told_apart() {
        let long = format!("unix:/{}", "x".repeat(MAX_SOCKET_PATH));
        for (text, error) in [
            ("", LogOutputError::Form),
            ("/var/log/x", LogOutputError::Form),
            ("syslog", LogOutputError::Form),
            ("tcp:/x", LogOutputError::Form),
            ("file:", LogOutputError::Relative),
            ("file:x.log", LogOutputError::Relative),
            (&long, LogOutputError::TooLong),
        ] {
            assert_eq!(text.parse::<LogOutput>(), Err(error), "{text}");
        }
    }
}
