//! Reads the tree of a file, and reports every fault with its place.
//!
//! serde stops at the first error. This reader does not: each value of the file's types is a
//! [`Given`](super::given::Given), which is read through [`PLACED`]. A value that cannot be read is
//! reported here and then counts as missing. `tree_deserializer` connects the reader to serde.

use std::{cell::RefCell, collections::HashMap, fmt::Display};

use serde::{Deserialize, de};

use super::{
    error::{Faults, Message, Place, nearest, quoted},
    key_table::{FORMER, required, restricts},
    yaml::{Entry, Node, Value},
};

mod quoted;
mod tree_deserializer;

use quoted::{as_list, former_value, listed, shape};
pub(super) use quoted::{bad_value, respelt};

/// The newtype name by which [`Given`](super::given::Given) requests a value with its place.
pub(super) const PLACED: &str = "a value and its place";
/// The newtype name of a value that is a word or a mapping.
pub(super) const WORD_OR_MAPPING: &str = "a word or a mapping";
/// The key under which a mapping provides its [`Span`](super::given::Span).
pub(super) const SPAN: &str = "";
/// Separates an error from its advice.
const HELP: char = '\u{f8ff}';

/// Why a value cannot be read: an error, perhaps with advice; empty if it has been reported already.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Wrong(String);

impl de::Error for Wrong {
    fn custom<T: Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// An error with advice.
pub(super) fn advised<E: de::Error>(error: impl Display, help: Option<String>) -> E {
    match help {
        Some(help) => E::custom(format_args!("{error}{HELP}{help}")),
        None => E::custom(error),
    }
}

/// An error that has been reported already.
pub(super) fn reported<E: de::Error>() -> E {
    E::custom("")
}

/// Reads a tree. `None` means that it could not be read, which has been reported.
pub(super) fn read<'t, T: Deserialize<'t>>(root: &'t Node, faults: &mut Faults<'_>) -> Option<T> {
    let own = std::mem::replace(faults, Faults::new("", ""));
    let own = RefCell::new(own);
    let reader = Reader {
        node: root,
        key: "",
        role: Role::Value,
        faults: &own,
    };
    let value = T::deserialize(reader).map_err(|wrong| reader.report(&wrong));
    *faults = own.into_inner();
    value.ok()
}

/// Sections whose keys are names that the operator chooses: the description of an entry, and an example.
const NAMED: [(&str, &str, Option<&str>); 3] = [
    (
        "clients",
        "client group",
        Some("vpc: { cidrs: [10.0.0.0/8] }"),
    ),
    (
        "upstreams",
        "upstream",
        Some("public: { servers: [tls://8.8.8.8#dns.google] }"),
    ),
    ("except", "except", None),
];

/// Lists whose entries are mappings, each with an example of an entry.
const OF_MAPPINGS: [(&str, &str); 3] = [
    (
        "rules",
        "name: github, domains: [.github.com], forward: public",
    ),
    ("zones", "origin: corp.example, file: corp.example.zone"),
    (
        "tests",
        "ask: www.example, from: 10.0.0.1, expect: { verdict: denied }",
    ),
];

/// The role of a value in its collection.
#[derive(Clone, Copy)]
enum Role<'t> {
    /// The value of a key of the format.
    Value,
    /// An entry of a list.
    Item,
    /// The value under a name that the operator chose.
    Named(&'t str),
}

/// A node to be read.
struct Reader<'t, 'f, 'x> {
    node: &'t Node,
    /// Its name in messages: its key, or a description of the list entry or named entry.
    key: &'t str,
    role: Role<'t>,
    faults: &'f RefCell<Faults<'x>>,
}

impl Clone for Reader<'_, '_, '_> {
    fn clone(&self) -> Self {
        *self
    }
}

impl Copy for Reader<'_, '_, '_> {}

impl<'t> Reader<'t, '_, '_> {
    fn of(self, node: &'t Node, key: &'t str, role: Role<'t>) -> Self {
        Self {
            node,
            key,
            role,
            ..self
        }
    }

    fn push<M: Into<Message>>(self, place: Place, words: impl FnOnce() -> (M, Option<String>)) {
        self.faults.borrow_mut().push_with(place, words);
    }

    /// Reports an error of the value, unless it has been reported.
    fn report(self, wrong: &Wrong) {
        if wrong.0.is_empty() {
            return;
        }
        self.push(self.node.place, || {
            let (error, help) = match wrong.0.split_once(HELP) {
                Some((error, help)) => (error, Some(help.to_owned())),
                None => (&*wrong.0, None),
            };
            let text = match &self.node.value {
                Value::Scalar(text) => text,
                _ => "",
            };
            (bad_value(self.key, text, &error), help)
        });
    }

    /// Reports a value of the wrong shape.
    fn misshapen(self, message: Message, help: Option<String>) -> Wrong {
        if self.node.value != Value::Bad {
            self.push(self.node.place, || (message, help));
        }
        reported()
    }

    fn not_a_scalar(self) -> Wrong {
        let what = match self.role {
            Role::Item => format!("an entry of `{}`", self.key),
            Role::Value | Role::Named(_) => format!("`{}`", self.key),
        };
        let text = format!(
            "{what} must be a single value, not {}",
            shape(&self.node.value)
        );
        let kind = "the value has another shape than its key needs";
        self.misshapen(Message::of(kind, text), None)
    }

    fn not_a_list(self) -> Wrong {
        let (key, found) = (self.key, shape(&self.node.value));
        let message = format!("`{key}` must be a list, not {found}");
        match &self.node.value {
            value if let Some((_, entry)) = OF_MAPPINGS.iter().find(|(of, _)| *of == key) => {
                let help = format!("write {key}: [{{ {entry} }}]");
                let kind = match value {
                    Value::Scalar(_) => {
                        Message::of("a list is needed, not a single value", message)
                    }
                    _ => message.into(),
                };
                self.misshapen(kind, Some(help))
            }
            Value::Scalar(text) => {
                let kind = "a list is needed, not a single value";
                let help = format!("write {key}: {}", listed(text));
                self.misshapen(Message::of(kind, message), Some(help))
            }
            _ => {
                let help =
                    format!("write {key}: [ONE, TWO], or a line for each, with a dash before it");
                self.misshapen(message.into(), Some(help))
            }
        }
    }

    /// Reports a value that is not a mapping. `main` is the first key that the mapping should have.
    fn not_a_mapping(self, what: &str, main: Option<&str>) -> Wrong {
        let found = shape(&self.node.value);
        let (what, help) = match (self.role, main) {
            (Role::Named(name), Some(main)) => {
                let name = quoted(name);
                let help = format!("write {name}: {{ {main}: {} }}", as_list(self.node));
                (&*format!("{} `{name}`", self.key), Some(help))
            }
            _ => {
                let named = NAMED.iter().find(|(section, ..)| *section == self.key);
                let example = named.and_then(|(.., example)| *example);
                let help =
                    example.map(|it| format!("give each entry a name: {}: {{ {it} }}", self.key));
                (what, help)
            }
        };
        let message = format!("{what} must be a mapping (`key: value`), not {found}");
        self.misshapen(message.into(), help)
    }

    /// The entries of a mapping, each key once; reports repeated keys.
    fn entries(self, what: &str, main: Option<&str>) -> Result<Vec<&'t Entry>, Wrong> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.not_a_mapping(what, main));
        };
        let mut seen: HashMap<&str, Place> = HashMap::with_capacity(entries.len());
        let mut first = Vec::with_capacity(entries.len());
        for entry in entries {
            match seen.insert(entry.name(), entry.key.place) {
                Some(earlier) => self.push(entry.key.place, || {
                    let Place { line, column } = earlier;
                    let key = quoted(entry.name());
                    let message = format!(
                        "the key `{key}` is there twice, first at line {line}, column {column}"
                    );
                    (message, Some("keep one of them".to_owned()))
                }),
                None => first.push(entry),
            }
        }
        Ok(first)
    }

    /// Reports an unknown key.
    fn unknown_key(self, entry: &Entry, what: &str, known: &[&str]) {
        self.push(entry.key.place, || {
            let former = FORMER
                .iter()
                .find(|(of, old, _)| *of == what && *old == entry.name());
            if let Some((_, old, new)) = former {
                let message = format!("`{old}` is now `{new}`");
                let help = format!("write {new}: {}", former_value(old, &entry.node));
                return (
                    Message::of("the key has another name now", message),
                    Some(help),
                );
            }
            let help = match nearest(entry.name(), known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys of {what} are {}", known.join(", ")),
            };
            let text = format!("{what} has no key `{}`", quoted(entry.name()));
            (Message::of("there is no such key", text), Some(help))
        });
    }

    /// Reports missing required keys.
    fn missing_keys(self, what: &str, entries: &[&Entry]) {
        for key in required(what) {
            let entry = entries.iter().find(|entry| entry.name() == *key);
            if entry.is_none_or(|entry| entry.node.value == Value::Null) {
                let place = entry.map_or(self.node.place, |entry| entry.key.place);
                self.push(place, || {
                    let text = format!("{what} needs the key `{key}`");
                    (Message::of("a key is missing", text), None)
                });
            }
        }
    }

    /// Reports keys that restrict and have no value. Left out, they would restrict nothing, which
    /// nobody means who writes them.
    fn empty_restrictions(self, what: &str, entries: &[&Entry]) {
        let empty = entries
            .iter()
            .filter(|entry| entry.node.value == Value::Null && restricts(what, entry.name()));
        for entry in empty {
            self.push(entry.key.place, || {
                let text = format!(
                    "`{}` has no value, so {what} would not be restricted by it",
                    entry.name()
                );
                let help = "write a value, or leave the key out".to_owned();
                (Message::of("the key has no value", text), Some(help))
            });
        }
    }
}
