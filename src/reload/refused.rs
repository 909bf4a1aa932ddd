//! Why a reload changed nothing.

use std::path::PathBuf;

use dnsgate_config::{Report, Unquoted};
use dnsgate_whatif::Failures;

/// Why a reload was refused and changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadRefused {
    /// There is no file to read: the built-in configuration is in force.
    #[error("there is no configuration file; start with --config to have one that can be reloaded")]
    NoFile,
    /// The configuration came from a pipe or device. Its content can be read only once.
    #[error("{} is not a regular file and cannot be read twice", .0.display())]
    ReadOnce(PathBuf),
    /// The file was regular, but the path now refers to something else, and reading from that might
    /// never end.
    #[error("{} is no longer a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file is invalid.
    #[error("{0}")]
    Invalid(#[from] Report),
    /// A key changed that takes effect only at the start.
    #[error("{how} cannot change while dnsgate runs; restart it, or put the old value back")]
    Fixed {
        /// The key.
        key: &'static str,
        /// The key with its old and new value.
        how: String,
    },
    /// The file is valid, but its own tests fail.
    #[error("{0}")]
    Tests(#[from] Failures),
    /// An upstream in it cannot be used, for example because there are no trusted certificates.
    #[error("{0}")]
    Upstream(String),
    /// Reading did not finish: no thread, a file that does not respond, or a panic.
    #[error("the configuration was not read: {0}")]
    Failed(Unquoted),
}

impl ReloadRefused {
    /// Whether the operator's file may differ from the configuration in force, so that the operator
    /// must act. Without a file that can be read again, that is unknown.
    #[must_use]
    pub(crate) const fn leaves_a_difference(&self) -> bool {
        match self {
            Self::NoFile | Self::ReadOnce(_) => false,
            Self::NotAFile(_)
            | Self::Invalid(_)
            | Self::Fixed { .. }
            | Self::Tests(_)
            | Self::Upstream(_)
            | Self::Failed(_) => true,
        }
    }
}

impl ReloadRefused {
    /// The reason, without text from files that the requester may not read.
    #[must_use]
    pub(crate) fn unquoted(&self) -> Unquoted {
        match self {
            Self::NoFile => Unquoted::from(
                "there is no configuration file; start with --config to have one that can be reloaded",
            ),
            Self::ReadOnce(_) => {
                Unquoted::from("the configuration is not a regular file and cannot be read twice")
            }
            Self::NotAFile(_) => Unquoted::from("the configuration is no longer a regular file"),
            Self::Invalid(report) => report.unquoted(),
            Self::Fixed { key, .. } => Unquoted::from("`")
                .and(key)
                .and("` cannot change while dnsgate runs; restart it, or put the old value back"),
            Self::Failed(why) => Unquoted::from("the configuration was not read: ").and_all(why),
            Self::Tests(failures) => failures.unquoted(),
            Self::Upstream(_) => {
                Unquoted::from("an upstream cannot be used; the log of dnsgate says why")
            }
        }
    }
}
