//! Why telemetry did not start.

use std::io;

use dnsgate_config::LogOutput;

/// Why telemetry did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system refuses a thread.
    #[error("the log's thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// The output of queries cannot be opened.
    #[error(
        "queries cannot be logged to {output}: {error}; its directory must exist, and the user that \
         dnsgate runs as must be allowed to write there"
    )]
    Output {
        /// The configured output.
        output: LogOutput,
        /// The system's error.
        error: io::Error,
    },
    /// The metric families are inconsistent; a test verifies that they are not.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}
