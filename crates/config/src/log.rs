//! What is logged of queries, in which form, and where to.

use std::{fmt, path::PathBuf, str::FromStr};

use super::limits::LOG_SAMPLE;

/// The longest path of a Unix socket, in bytes: what `sun_path` holds besides its final zero
/// (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// Which queries get a line in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogQueries {
    /// None: counters only.
    None,
    /// Those that were denied: what an operator of an allowlist wants to know, and few in a
    /// network that behaves.
    #[default]
    Denied,
    /// Every query. Costs more than the answer itself.
    All,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text when it goes to a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line, with the keys of Cloud Logging.
    Json,
    /// For people.
    Text,
}

/// Where the lines of queries go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error, among the lines of dnsgate's own life and in order with them.
    #[default]
    Stderr,
    /// Standard output.
    Stdout,
    /// A regular file, appended to.
    File(PathBuf),
    /// A Unix stream socket on which somebody listens.
    Unix(PathBuf),
}

/// Why a text is no output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogOutputError {
    /// None of the forms.
    #[error("write stderr, stdout, file:/PATH or unix:/PATH")]
    Form,
    /// Where it would be depends on where dnsgate was started.
    #[error("the path must begin with /")]
    Relative,
    /// The kernel has no room for it.
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
    /// Which queries.
    pub queries: LogQueries,
    /// One in so many of those that went well; see [`LOG_SAMPLE`].
    pub sample: u32,
    /// In which form.
    pub format: LogFormat,
    /// Where to.
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
