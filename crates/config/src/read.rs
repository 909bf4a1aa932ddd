//! From the tree to values: a reader that reports what is wrong and goes on.
//!
//! Each function answers with what could be read. What could not is in [`Faults`] by then, so that
//! nobody has to pass it on, and no function but the last one asks whether there is any.

use std::{collections::HashMap, fmt::Display, str::FromStr};

use super::{
    error::{Faults, Message, Place, nearest},
    keys::Keys,
    yaml::{Entry, Node, Value},
};

/// The most characters of a bad value that its error repeats.
const MAX_QUOTED: usize = 80;
/// The most entries that the help for a list repeats.
const MAX_LISTED: usize = 4;

/// A value and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<T> At<T> {
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> At<U> {
        At {
            value: f(self.value),
            place: self.place,
        }
    }
}

/// A word of the file that is one of a few.
pub(super) trait Choice: Copy + 'static {
    /// The words and what they stand for.
    const CHOICES: &'static [(&'static str, Self)];
}

impl Choice for bool {
    const CHOICES: &'static [(&'static str, Self)] = &[("true", true), ("false", false)];
}

/// A mapping whose keys have been checked.
pub(super) struct Fields<'t> {
    pub(super) place: Place,
    what: &'static str,
    entries: Vec<&'t Entry>,
    /// Whether every key is one that the mapping may have. What is missing otherwise may be what was misspelt.
    pub(super) whole: bool,
}

impl<'t> Fields<'t> {
    /// Takes a mapping with these keys: others, and repeated ones, are reported.
    pub(super) fn of(node: &'t Node, keys: &Keys, faults: &mut Faults<'_>) -> Option<Self> {
        let entries = mapping(node, keys.what, faults)?;
        let known = |entry: &&Entry| keys.known.contains(&&*entry.key);
        let mut whole = true;
        for unknown_client in entries.iter().filter(|entry| !known(entry)) {
            unknown_key(unknown_client, keys, faults);
            whole = false;
        }
        Some(Self {
            place: node.place,
            what: keys.what,
            entries: entries.into_iter().filter(known).collect(),
            whole,
        })
    }

    /// Whether a key has a value that could not be read.
    pub(super) fn is_bad<T>(&self, key: &str, read: Option<&T>) -> bool {
        read.is_none() && self.get(key).is_some()
    }

    /// The value of a key; `None` when there is none, not even `null`.
    pub(super) fn get(&self, key: &str) -> Option<&'t Node> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (entry.node.value != Value::Null).then_some(&entry.node)
    }

    /// The place of a key that is there.
    pub(super) fn key_place(&self, key: &str) -> Option<Place> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(entry.key_place)
    }

    /// Reports a key that must be there and is not.
    pub(super) fn require(&self, key: &str, faults: &mut Faults<'_>) {
        if self.whole && self.get(key).is_none() {
            let place = self.key_place(key).unwrap_or(self.place);
            faults.push_with(place, || {
                let text = format!("{} needs the key `{key}`", self.what);
                (Message::of("a key is missing", text), None)
            });
        }
    }

    /// A value that is read from its text.
    pub(super) fn scalar<T>(&self, key: &str, faults: &mut Faults<'_>) -> Option<At<T>>
    where
        T: FromStr<Err: Display>,
    {
        scalar(self.get(key)?, key, faults)
    }

    /// A value that is one of a few words.
    pub(super) fn choice<T: Choice>(&self, key: &str, faults: &mut Faults<'_>) -> Option<At<T>> {
        choice(self.get(key)?, key, faults)
    }

    /// A list of values that are read from their texts. What is bad is left out, and the whole list
    /// where all of it is: an empty list is one that was written so.
    pub(super) fn scalars<T>(&self, key: &str, faults: &mut Faults<'_>) -> Option<At<Vec<At<T>>>>
    where
        T: FromStr<Err: Display>,
    {
        let items = self.items(key, faults)?;
        let good: Vec<_> = items
            .value
            .iter()
            .filter_map(|item| match &item.value {
                Value::Scalar(_) => scalar(item, key, faults),
                other => {
                    let what = format!("an entry of `{key}`");
                    wrong_shape(item.place, &what, "a single value", other, faults);
                    None
                }
            })
            .collect();
        (items.value.is_empty() || !good.is_empty()).then_some(At {
            value: good,
            place: items.place,
        })
    }

    /// The items of a list.
    pub(super) fn items(&self, key: &str, faults: &mut Faults<'_>) -> Option<At<&'t [Node]>> {
        let node = self.get(key)?;
        match &node.value {
            Value::Seq(items) => Some(At {
                value: items,
                place: node.place,
            }),
            Value::Scalar(text) => {
                faults.push_with(node.place, || {
                    let told = format!("`{key}` must be a list, not a single value");
                    let message = Message::of("a list is needed, not a single value", told);
                    (message, Some(format!("write {key}: {}", listed(text))))
                });
                None
            }
            Value::Bad => None,
            other => {
                faults.push_with(node.place, || {
                    let message = format!("`{key}` must be a list, not {}", shape(other));
                    let help = format!(
                        "write {key}: [ONE, TWO], or a line for each, with a dash before it"
                    );
                    (message, Some(help))
                });
                None
            }
        }
    }
}

/// The entries of a mapping, each key once; repeated ones are reported.
pub(super) fn mapping<'t>(
    node: &'t Node,
    what: &str,
    faults: &mut Faults<'_>,
) -> Option<Vec<&'t Entry>> {
    let entries = match &node.value {
        Value::Map(entries) => entries,
        Value::Bad => return None,
        other => {
            faults.push(
                node.place,
                format!(
                    "{what} must be a mapping (`key: value`), not {}",
                    shape(other)
                ),
            );
            return None;
        }
    };
    let mut seen: HashMap<&str, Place> = HashMap::with_capacity(entries.len());
    let mut first = Vec::with_capacity(entries.len());
    for entry in entries {
        match seen.insert(&entry.key, entry.key_place) {
            Some(earlier) => faults.push_with(entry.key_place, || {
                let message = format!(
                    "the key `{}` is there twice, first at line {}, column {}",
                    quoted(&entry.key),
                    earlier.line,
                    earlier.column
                );
                (message, Some("keep one of them".to_owned()))
            }),
            None => first.push(entry),
        }
    }
    Some(first)
}

/// A value that is read from its text.
pub(super) fn scalar<T>(node: &Node, key: &str, faults: &mut Faults<'_>) -> Option<At<T>>
where
    T: FromStr<Err: Display>,
{
    let text = text(node, key, faults)?;
    match text.parse() {
        Ok(value) => Some(At {
            value,
            place: node.place,
        }),
        Err(error) => {
            faults.push_with(node.place, || {
                let help = respelt::<T>(text).map(|other| format!("did you mean {other}?"));
                (bad_value(key, text, &error), help)
            });
            None
        }
    }
}

/// What an error says of a text that is not what its key needs.
pub(super) fn bad_value(key: &str, text: &str, error: &impl Display) -> Message {
    let told = format!("{key} {:?}: {error}", quoted(text));
    Message::of("the value is none that its key takes", told)
}

/// A value that is one of a few words.
pub(super) fn choice<T: Choice>(node: &Node, key: &str, faults: &mut Faults<'_>) -> Option<At<T>> {
    let text = text(node, key, faults)?;
    match T::CHOICES.iter().find(|(word, _)| *word == text) {
        Some(&(_, value)) => Some(At {
            value,
            place: node.place,
        }),
        None => {
            faults.push_with(node.place, || {
                let words: Vec<_> = T::CHOICES.iter().map(|&(word, _)| word).collect();
                let help = boolean(text, &words).or_else(|| {
                    let near = nearest(text, words.iter().copied());
                    near.map(|word| format!("did you mean {word}?"))
                });
                let message = format!("write one of {}", words.join(", "));
                (bad_value(key, text, &message), help)
            });
            None
        }
    }
}

/// What to write for a word that YAML once took for true or false, where one of them may stand.
fn boolean(text: &str, words: &[&str]) -> Option<String> {
    let is = |known: &[&str]| known.iter().any(|word| word.eq_ignore_ascii_case(text));
    let meant = if is(&["true", "yes", "on", "y", "1"]) {
        "true"
    } else if is(&["false", "no", "off", "n", "0"]) {
        "false"
    } else {
        return None;
    };
    match (words.contains(&meant), words.contains(&"true")) {
        (true, _) => Some(format!("write {meant}, in lower case")),
        (false, true) => Some("leave the key out instead".to_owned()),
        (false, false) => None,
    }
}

/// The text of a scalar.
pub(super) fn text<'t>(node: &'t Node, key: &str, faults: &mut Faults<'_>) -> Option<&'t str> {
    match &node.value {
        Value::Scalar(text) => Some(text),
        other => {
            wrong_shape(
                node.place,
                &format!("`{key}`"),
                "a single value",
                other,
                faults,
            );
            None
        }
    }
}

/// A text as the list that it should be: one that has commas was meant to have several entries.
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

fn wrong_shape(place: Place, what: &str, wanted: &str, found: &Value, faults: &mut Faults<'_>) {
    if *found != Value::Bad {
        faults.push_with(place, || {
            let kind = "the value has another shape than its key needs";
            let text = format!("{what} must be {wanted}, not {}", shape(found));
            (Message::of(kind, text), None)
        });
    }
}

pub(super) fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::Bad => "nothing",
        Value::Scalar(_) => "a single value",
        Value::Seq(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

fn unknown_key(entry: &Entry, keys: &Keys, faults: &mut Faults<'_>) {
    faults.push_with(entry.key_place, || {
        let key = quoted(&entry.key);
        let former = keys.former.iter();
        if let Some(&(old, new)) = former.clone().find(|(old, _)| *old == entry.key) {
            let message = format!("`{old}` is now `{new}`");
            let kind = "the key has another name now";
            let value = former_value(old, &entry.node);
            let value = match (old, &value.value) {
                ("answer" | "answers", Value::Scalar(_)) => format!("[{}]", written(value)),
                _ => written(value),
            };
            let help = format!("write {new}: {value}");
            return (Message::of(kind, message), Some(help));
        }
        let help = match nearest(&entry.key, keys.known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys of {} are {}", keys.what, keys.known.join(", ")),
        };
        let text = format!("{} has no key `{key}`", keys.what);
        (Message::of("there is no such key", text), Some(help))
    });
}

/// The part of the value of a former key that the new one takes.
fn former_value<'n>(old: &str, node: &'n Node) -> &'n Node {
    match &node.value {
        // `answers: { within: [CIDR, …] }` is `addresses: [CIDR, …]`.
        Value::Map(entries) if old == "answers" => entries
            .iter()
            .find(|entry| entry.key == "within")
            .map_or(node, |entry| &entry.node),
        _ => node,
    }
}

/// A value as it may be written, with at most [`MAX_LISTED`] entries.
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

/// The text in another spelling that its key takes: a word or the part before a colon in lower case, a unit in
/// the right case, a number without leading zeros.
fn respelt<T: FromStr>(text: &str) -> Option<String> {
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

/// A text of the file, short enough to stand in a message.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
