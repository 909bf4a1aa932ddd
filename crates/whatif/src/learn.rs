//! Proposes rules that would allow the questions that a dnsgate in mode observe has recorded, or that query logs hold.
//!
//! ```text
//!   logs ─▶ asked, counted ─▶ needed, without noise ─▶ page
//!   page ─▶ wanted, by the configuration ─┬─▶ rules ─▶ YAML
//!                                         └─▶ what is not allowed, and why, as comments
//! ```
//!
//! The text is a proposal for a person to review. It allows as little as it can while staying readable, and overrides
//! no denial of the configuration.

mod asked;
mod needed;
mod observed;
mod rules;
mod subtrees;
#[cfg(test)]
mod tests;
mod wanted;
mod yaml;

pub use asked::{AskedNames, GroupBy};
pub use needed::{LeftOut, LogSelection, log_page};
pub use observed::{ObservedPage, ObservedPageError, is_label};
pub use wanted::ExistingPolicy;
pub(crate) use yaml::scalar;

/// The rules as YAML, and everything else as comments. `source` is the origin of the page, `upstream`
/// the upstream that the rules forward to; names with fewer than `min_count` queries in total are left
/// out.
#[must_use]
pub fn proposal(
    page: &ObservedPage,
    source: &str,
    upstream: &str,
    existing: ExistingPolicy<'_>,
    min_count: u64,
) -> String {
    let wanted = wanted::all(page, existing, min_count);
    let rules = rules::rules(&wanted.wanted, existing);
    yaml::written(page, source, upstream, &wanted, &rules)
}
