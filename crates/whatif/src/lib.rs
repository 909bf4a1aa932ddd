//! Predicts what a configuration would do, by asking it.
//!
//! | file | what it does |
//! |---|---|
//! | `ask` | asks a configuration one question, through the engine |
//! | `policy_tests` | runs the `tests:` of a configuration |
//! | `diff` | finds the questions that two configurations treat differently |
//! | `explain` | explains the answer to a question; `explain/tally` for a whole query log |
//! | `learn` | proposes rules for the names that mode observe has recorded |
//! | `usage` | the page `/usage`, which is also the state file: which rules and names were used |
//! | `audit` | finds what a configuration allows and nobody uses, and the edit for it |
//! | `words` | wording that several outputs share |
//! | `answer` | decodes the records of a reply, without the code that wrote them |
//!
//! A question becomes a packet and passes through `engine::begin`, like a client's query; this crate
//! makes no decisions. So a test cannot pass for a reason that does not hold in the server. No
//! upstream is asked: a question for an upstream ends with the upstream's name and the limits on its
//! answer.
//!
//! The crate converts text and values. Files, clocks, HTTP and output are in the program's `cli`; the
//! program's start and reload decide what happens to a configuration whose tests fail.

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

mod ask;
pub mod audit;
pub mod diff;
pub mod explain;
pub mod learn;
mod policy_tests;
pub mod usage;
mod words;

pub use ask::{ClientQuestion, Subject, snapshot};
pub use diff::Diff;
pub use policy_tests::{Failures, PolicyTestResult, check_tests, run_tests};
pub use words::plural;
