//! What is logged of queries, and in which form.

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
    /// Text when standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line, with the keys of Cloud Logging.
    Json,
    /// For people.
    Text,
}

/// The `log` section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Which queries.
    pub queries: LogQueries,
    /// In which form.
    pub format: LogFormat,
}
