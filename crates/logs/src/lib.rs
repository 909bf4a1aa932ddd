//! Reads query logs: bytes in, records out. Files, directories and clocks are in the program's `cli`.
//!
//! ```text
//!   bytes ─▶ unpack (gzip) ─▶ entries (lines, objects) ─▶ json ─┬─▶ LogRecord
//!                         │                             text/ ─┤
//!                         └─▶ frames ──────────────▶ dnstap ────┘
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `record` | a question that was asked, and what became of it |
//! | `reader` | finds the form of a log and reads all of it |
//! | `unpack` | unpacks gzip, with a limit on what a small file may become |
//! | `entries` | splits text into lines, or into the objects of a JSON array |
//! | `json` | Cloud DNS, Route 53 Resolver, dnsgate; text of others inside JSON |
//! | `text/` | CoreDNS, Unbound, and dnsgate's form for people |
//! | `frames`, `dnstap` | frame streams, and the messages in them |
//! | `looks` | names the formats that this crate does not read |
//! | `join` | finds who asked, by the log of the server in between |
//!
//! A log may be truncated and mixed with other programs' lines, and contains data from clients. What is not a question
//! is counted and skipped. Whatever the size of a log, only one entry of it is in memory.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )
)]

mod dnstap;
mod entries;
mod frames;
pub mod join;
mod json;
mod looks;
mod reader;
mod record;
#[cfg(test)]
mod tests;
mod text;
mod unpack;

pub use looks::looks_like;
pub use reader::{LogError, LogSummary, read};
pub use record::{LogFormat, LogRecord, LoggedEnd};
