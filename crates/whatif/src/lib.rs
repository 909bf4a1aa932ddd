//! What a configuration would do, found out by asking it.
//!
//! | file | what it does |
//! |---|---|
//! | `ask` | puts one question to a configuration, through the engine |
//! | `policy_tests` | the `tests:` of a configuration: question, expectation, failure |
//! | `diff` | which questions two configurations do not treat alike |
//! | `explain` | why a question gets its answer; `explain/tally` for a whole query log |
//! | `learn` | rules that would allow what mode observe has recorded |
//! | `query_log` | reads a query log into questions, for `diff` and `explain` |
//! | `words` | words that several outputs share |
//! | `answer` | the records of a reply, decoded by other code than wrote them |
//!
//! A question becomes a packet and goes through `engine::begin`, as a client's query does; nothing
//! is decided here. So a test cannot pass for a reason that does not hold in the server. No upstream
//! is asked: a question that one would have to answer ends with the upstream's name and with what
//! its answer may hold.
//!
//! Text and values go in, text and values come out. Files, clocks, HTTP and output are in the
//! program's `cli`; what happens to a configuration whose tests fail is in its start and reload.

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

mod answer;
mod ask;
pub mod diff;
pub mod explain;
pub mod learn;
mod policy_tests;
pub mod query_log;
mod words;

pub use ask::{ClientQuestion, Subject, snapshot};
pub use diff::Diff;
pub use policy_tests::{Failures, PolicyTestResult, check_tests, run_tests};
pub use words::plural;
