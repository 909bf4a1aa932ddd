//! Why a reload changed nothing.

use std::path::PathBuf;

use dnsgate_config::{Report, Unquoted};
use dnsgate_whatif::Failures;

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadRefused {
    /// There is no file to read: the built-in configuration is in force.
    #[error("there is no configuration file; start with --config to have one that can be reloaded")]
    NoFile,
    /// The file was a pipe or the like: it was read once, and what it would say now is another
    /// thing, perhaps nothing at all.
    #[error("{} is not a regular file and cannot be read twice", .0.display())]
    ReadOnce(PathBuf),
    /// The file was a regular one, and something else has its name now: to read from it might never
    /// end.
    #[error("{} is no longer a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file is not wholly valid.
    #[error("{0}")]
    Invalid(#[from] Report),
    /// A key was changed that takes effect at a start only.
    #[error("{how} cannot change while dnsgate runs; restart it, or put the old value back")]
    Fixed {
        /// The key.
        key: &'static str,
        /// The key, and from what to what.
        how: String,
    },
    /// The file is valid, and does not do what its own tests say.
    #[error("{0}")]
    Tests(#[from] Failures),
    /// An upstream of it cannot be used: there are no certificates to trust, or the like.
    #[error("{0}")]
    Upstream(String),
    /// It could not be read to its end: no thread, a file that does not answer, a panic.
    #[error("the configuration was not read: {0}")]
    Failed(Unquoted),
}

impl ReloadRefused {
    /// Whether what the operator's file says is not what is in force, so that there is something to
    /// be mended. Where there is no file that could be read again, nothing can be said of it.
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
    /// The same for those who may not read the files that it is about. Each kind says what of it
    /// may be told.
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
