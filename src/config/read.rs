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
}

impl<'t> Fields<'t> {
    /// Takes a mapping with these keys: others, and repeated ones, are reported.
    pub(super) fn of(node: &'t Node, keys: &Keys, faults: &mut Faults<'_>) -> Option<Self> {
        let entries = mapping(node, keys.what, faults)?;
        let known = |entry: &&Entry| keys.known.contains(&&*entry.key);
        for stranger in entries.iter().filter(|entry| !known(entry)) {
            unknown_key(stranger, keys, faults);
        }
        Some(Self {
            place: node.place,
            what: keys.what,
            entries: entries.into_iter().filter(known).collect(),
        })
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
        if self.get(key).is_none() {
            let message = Message::of(
                "a key is missing",
                format!("{} needs the key `{key}`", self.what),
            );
            faults.push(self.key_place(key).unwrap_or(self.place), message);
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
            .filter_map(|item| scalar(item, key, faults))
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
                let message = Message::of(
                    "a list is needed, not a single value",
                    format!("`{key}` must be a list, not a single value"),
                );
                let help = format!("write {key}: [{:?}]", quoted(text));
                faults.push_help(node.place, message, help);
                None
            }
            other => {
                wrong_shape(node.place, key, "a list", other, faults);
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
            Some(earlier) => faults.push_help(
                entry.key_place,
                format!(
                    "the key `{}` is there twice, first at line {}, column {}",
                    quoted(&entry.key),
                    earlier.line,
                    earlier.column
                ),
                "keep one of them".to_owned(),
            ),
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
            faults.push(node.place, bad_value(key, text, &error));
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
            let words = T::CHOICES.iter().map(|&(word, _)| word);
            let help = nearest(text, words.clone()).map(|word| format!("did you mean {word}?"));
            let words: Vec<_> = words.collect();
            let message = format!("write one of {}", words.join(", "));
            faults.push_help(node.place, bad_value(key, text, &message), help);
            None
        }
    }
}

/// The text of a scalar.
pub(super) fn text<'t>(node: &'t Node, key: &str, faults: &mut Faults<'_>) -> Option<&'t str> {
    match &node.value {
        Value::Scalar(text) => Some(text),
        other => {
            wrong_shape(node.place, key, "a single value", other, faults);
            None
        }
    }
}

fn wrong_shape(place: Place, key: &str, wanted: &str, found: &Value, faults: &mut Faults<'_>) {
    if *found != Value::Bad {
        faults.push(
            place,
            Message::of(
                "the value has another shape than its key needs",
                format!("`{key}` must be {wanted}, not {}", shape(found)),
            ),
        );
    }
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::Bad => "nothing",
        Value::Scalar(_) => "a single value",
        Value::Seq(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

fn unknown_key(entry: &Entry, keys: &Keys, faults: &mut Faults<'_>) {
    let key = quoted(&entry.key);
    if let Some(later) = keys.later.iter().find(|later| later.key == entry.key) {
        faults.push_help(
            entry.key_place,
            format!("`{key}` comes with a later version; this one does not know it"),
            later.help.to_owned(),
        );
        return;
    }
    // Comparing words is worth its time only for a reader.
    let near = |word| {
        if faults.is_full() {
            None
        } else {
            nearest(word, keys.known.iter().copied())
        }
    };
    let help = match near(&entry.key) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys of {} are {}", keys.what, keys.known.join(", ")),
    };
    faults.push_help(
        entry.key_place,
        Message::of(
            "there is no such key",
            format!("{} has no key `{key}`", keys.what),
        ),
        help,
    );
}

/// A text of the file, short enough to stand in a message.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
