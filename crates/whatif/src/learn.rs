//! The rules that would allow what a dnsgate in mode observe has recorded.
//!
//! ```text
//!   page ─▶ wanted, by the configuration ─┬─▶ rules ─▶ YAML
//!                                         └─▶ what is not allowed, and why, as comments
//! ```
//!
//! The text is a proposal for a person to read and to paste. It opens as little as stays readable, and lifts no
//! denial that somebody wrote down.

mod observed;
mod rules;
mod subtrees;
#[cfg(test)]
mod tests;
mod wanted;
mod yaml;

pub use observed::{ObservedPage, ObservedPageError, is_label};
pub use wanted::ExistingPolicy;

/// The rules as YAML, and everything else as comments. `source` is where the page comes from, `upstream`
/// the one that the rules forward to; names that were asked for fewer than `min_count` times in all are
/// left out.
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
