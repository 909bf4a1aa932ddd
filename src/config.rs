//! The configuration: from YAML text to values that the rest of the program can trust.

mod error;
mod file;
mod limits;
mod listen;
mod log;
mod read;
mod value;
mod yaml;

pub use error::{MAX_NOTICES, Notice, Report, Severity};
pub use limits::Limits;
pub use listen::{Listen, ListenError};
pub use log::{Log, LogFormat, LogQueries};
