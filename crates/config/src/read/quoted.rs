//! Quotes values of the file in errors, and their correct spelling in the help.

use std::{fmt::Display, str::FromStr};

use super::super::{
    error::{Message, quoted},
    yaml::{Node, Value},
};

/// The most entries that the help for a list shows.
const MAX_LISTED: usize = 4;

/// The error for a text that its key does not accept.
pub(crate) fn bad_value(key: &str, text: &str, error: &impl Display) -> Message {
    let text = format!("{key} {:?}: {error}", quoted(text));
    Message::of("the key does not accept this value", text)
}

pub(super) fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::Bad => "nothing",
        Value::Scalar(_) => "a single value",
        Value::Seq(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

/// A text written as a list: commas in it separate the entries that were meant.
pub(super) fn listed(text: &str) -> String {
    let entries = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    let shown: Vec<_> = entries
        .take(MAX_LISTED)
        .map(|entry| format!("{:?}", quoted(entry)))
        .collect();
    format!("[{}]", shown.join(", "))
}

/// A value written as a list.
pub(super) fn as_list(node: &Node) -> String {
    match &node.value {
        Value::Scalar(text) => listed(text),
        Value::Seq(items) => {
            let texts = items.iter().filter_map(|item| match &item.value {
                Value::Scalar(text) => Some(text.as_str()),
                _ => None,
            });
            listed(&texts.take(MAX_LISTED).collect::<Vec<_>>().join(","))
        }
        _ => "[…]".to_owned(),
    }
}

/// The value of a former key, in the form of its replacement.
pub(super) fn former_value(old: &str, node: &Node) -> String {
    let value = match &node.value {
        // `answers: { within: [CIDR, …] }` is `addresses: [CIDR, …]`.
        Value::Map(entries) if old == "answers" => entries
            .iter()
            .find(|entry| entry.name() == "within")
            .map_or(node, |entry| &entry.node),
        _ => node,
    };
    match (old, &value.value) {
        ("answer" | "answers", Value::Scalar(_)) => format!("[{}]", written(value)),
        _ => written(value),
    }
}

/// A value as it could be written, with at most [`MAX_LISTED`] entries.
fn written(node: &Node) -> String {
    match &node.value {
        Value::Scalar(text) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || " ./_-".contains(c);
            match text.starts_with(char::is_alphanumeric) && text.chars().all(plain) {
                true => quoted(text),
                false => format!("{:?}", quoted(text)),
            }
        }
        Value::Seq(items) => {
            let mut shown: Vec<_> = items.iter().take(MAX_LISTED).map(written).collect();
            if items.len() > MAX_LISTED {
                shown.push("…".to_owned());
            }
            format!("[{}]", shown.join(", "))
        }
        Value::Null | Value::Bad | Value::Map(_) => "…".to_owned(),
    }
}

/// A corrected spelling that the key accepts: a word or the part before a colon in lower case, a unit in the right
/// case, a number without leading zeros.
pub(crate) fn respelt<T: FromStr>(text: &str) -> Option<String> {
    const UNITS: [&str; 8] = ["ms", "s", "m", "h", "d", "KiB", "MiB", "GiB"];
    let (head, tail) = text.split_at(text.find(':').unwrap_or(text.len()));
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number = match number.trim_start_matches('0') {
        "" => number.get(..1).unwrap_or_default(),
        trimmed => trimmed,
    };
    let units = UNITS
        .iter()
        .filter(|known| known.eq_ignore_ascii_case(unit));
    let units = units.copied().chain(unit.is_empty().then_some(""));
    [format!("{}{tail}", head.to_ascii_lowercase())]
        .into_iter()
        .chain(units.map(|unit| format!("{number}{unit}")))
        .find(|other| other != text && other.parse::<T>().is_ok())
}
