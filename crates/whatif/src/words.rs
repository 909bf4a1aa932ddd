//! Wording that several outputs share.

use dnsgate_core::dns::Name;

/// A count with its noun in the singular or plural.
#[must_use]
pub fn plural(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

/// A name without its final dot; the root stays a dot.
pub(super) fn without_dot(name: &Name) -> String {
    let text = name.to_string();
    match text.strip_suffix('.') {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => text,
    }
}
