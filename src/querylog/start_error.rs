//! Why telemetry did not start.

use std::io;

use dnsgate_config::LogOutput;

/// Why telemetry did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system refuses a thread.
    #[error("the log's thread cannot be started: {0}")]
    Thread(#[from] io::Error),
    /// Where queries are to be logged cannot be opened.
    #[error(
        "queries cannot be logged to {output}: {error}; its directory must exist, and the user that \
         dnsgate runs as must be allowed to write there"
    )]
    Output {
        /// What the configuration says.
        output: LogOutput,
        /// What the system says.
        error: io::Error,
    },
    /// The metric families contradict each other; a test holds that they do not.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}
