//! A `serde::Deserializer` over the tree of a file. It reports every fault with its place, and continues.
//!
//! serde stops at the first error. This reader does not: each value of the file's types is a
//! [`Given`](super::given::Given), which is read through [`PLACED`]. A value that cannot be read is reported here and
//! then counts as missing.

use std::{cell::RefCell, collections::HashMap, fmt::Display};

use serde::{
    Deserialize, Deserializer, de,
    de::{
        DeserializeSeed, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
        value::{SeqDeserializer, StrDeserializer, U32Deserializer},
    },
    forward_to_deserialize_any,
};

use super::{
    error::{Faults, Message, Place, nearest, quoted},
    key_table::{FORMER, required, restricts},
    yaml::{Entry, Node, Value},
};

mod quoted;

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
pub(super) fn told<E: de::Error>() -> E {
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
        told()
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
}

impl Reader<'_, '_, '_> {
    /// Reports keys that restrict and have no value. Left out, they would restrict nothing, which nobody means who
    /// writes them.
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

impl<'t> Deserializer<'t> for Reader<'t, '_, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Scalar(_) => self.deserialize_str(visitor),
            Value::Seq(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Null | Value::Bad => Err(told()),
        }
    }

    fn deserialize_str<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Scalar(text) => visitor.visit_borrowed_str(text),
            _ => Err(self.not_a_scalar()),
        }
    }

    fn deserialize_seq<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Value::Seq(items) = &self.node.value else {
            return Err(self.not_a_list());
        };
        visitor.visit_seq(Items {
            reader: self,
            items: items.iter(),
        })
    }

    /// A mapping whose keys are names that the operator chooses.
    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let entries = self.entries(&format!("`{}`", self.key), None)?;
        let kind = NAMED.iter().find(|(section, ..)| *section == self.key);
        visitor.visit_map(Names {
            reader: self,
            kind: kind.map_or("", |(_, kind, _)| kind),
            entries: entries.into_iter(),
            value: None,
        })
    }

    /// A mapping with these keys; reports unknown and missing ones.
    fn deserialize_struct<V: Visitor<'t>>(
        self,
        what: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let before = self.faults.borrow().count();
        let known: Vec<_> = fields.iter().copied().filter(|key| *key != SPAN).collect();
        let mut entries = self.entries(what, known.first().copied())?;
        let all = entries.len();
        entries.retain(|entry| {
            let is_known = known.contains(&entry.name());
            if !is_known {
                self.unknown_key(entry, what, &known);
            }
            is_known
        });
        let keys = entries.len() == all;
        if keys {
            self.missing_keys(what, &entries);
        }
        self.empty_restrictions(what, &entries);
        // A key without a value counts as left out.
        entries.retain(|entry| entry.node.value != Value::Null);
        visitor.visit_map(Fields {
            reader: self,
            entries: entries.into_iter(),
            value: None,
            span: fields.contains(&SPAN).then_some((before, keys)),
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.node.value {
            _ if name == PLACED => visitor.visit_seq(Placed {
                reader: self,
                at: 0,
            }),
            // If the name is that of a word, a misspelling of that word is read, too.
            Value::Scalar(text) if name == WORD_OR_MAPPING || nearest(text, [name]).is_some() => {
                visitor.visit_borrowed_str(text)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! {
        <V: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char string bytes byte_buf option unit
        unit_struct tuple tuple_struct enum identifier ignored_any
    }
}

/// A value with its place, as a sequence: line, column, and the value unless it could not be read.
struct Placed<'t, 'f, 'x> {
    reader: Reader<'t, 'f, 'x>,
    at: u8,
}

impl<'t> SeqAccess<'t> for Placed<'t, '_, '_> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Wrong> {
        self.at += 1;
        let Place { line, column } = self.reader.node.place;
        let number = |number: u32| -> U32Deserializer<Wrong> { number.into_deserializer() };
        match self.at {
            1 => seed.deserialize(number(line)).map(Some),
            2 => seed.deserialize(number(column)).map(Some),
            _ => Ok(seed
                .deserialize(self.reader)
                .map_err(|wrong| self.reader.report(&wrong))
                .ok()),
        }
    }
}

/// The items of a list.
struct Items<'t, 'f, 'x> {
    reader: Reader<'t, 'f, 'x>,
    items: std::slice::Iter<'t, Node>,
}

impl<'t> SeqAccess<'t> for Items<'t, '_, '_> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Wrong> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let reader = self.reader.of(item, self.reader.key, Role::Item);
        seed.deserialize(reader).map(Some)
    }
}

/// The entries of a mapping with the keys of the format.
struct Fields<'t, 'f, 'x> {
    reader: Reader<'t, 'f, 'x>,
    entries: std::vec::IntoIter<&'t Entry>,
    value: Option<&'t Entry>,
    /// Returned last, as [`SPAN`]: the number of faults before it, and whether all keys are known.
    span: Option<(usize, bool)>,
}

impl<'t> MapAccess<'t> for Fields<'t, '_, '_> {
    type Error = Wrong;

    fn next_key_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Wrong> {
        self.value = self.entries.next();
        let key = match (self.value, self.span) {
            (Some(entry), _) => entry.name(),
            (None, Some(_)) => SPAN,
            (None, None) => return Ok(None),
        };
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        if let Some(entry) = self.value.take() {
            return seed.deserialize(self.reader.of(&entry.node, entry.name(), Role::Value));
        }
        let (before, keys) = self.span.take().unwrap_or_default();
        let whole = self.reader.faults.borrow().count() == before;
        let Place { line, column } = self.reader.node.place;
        let span = [line, column, u32::from(keys), u32::from(whole)];
        seed.deserialize(SeqDeserializer::new(span.into_iter()))
    }
}

/// The entries of a mapping whose keys are names that the operator chooses; the names are read like values.
struct Names<'t, 'f, 'x> {
    reader: Reader<'t, 'f, 'x>,
    kind: &'static str,
    entries: std::vec::IntoIter<&'t Entry>,
    value: Option<&'t Entry>,
}

impl<'t> MapAccess<'t> for Names<'t, '_, '_> {
    type Error = Wrong;

    fn next_key_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Wrong> {
        self.value = self.entries.next();
        let Some(entry) = self.value else {
            return Ok(None);
        };
        let reader = self.reader.of(&entry.key, self.kind, Role::Value);
        seed.deserialize(reader).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        let Some(entry) = self.value.take() else {
            return Err(told());
        };
        let role = Role::Named(entry.name());
        seed.deserialize(self.reader.of(&entry.node, self.kind, role))
    }
}
