//! The building blocks of the file's types: a value with its place, lists, and mappings whose keys are names that
//! the operator chooses. Each is read through [`FileValue`], which also describes it in JSON Schema.

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::{
    error::{Place, nearest},
    read::{PLACED, advised, reported, respelt},
    value::Label,
};
use dnsgate_core::dns::Name;

/// What a value of the file can be read as.
pub(super) trait FileValue: Sized {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
    /// What it takes, in JSON Schema.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// A value and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// What a key was given, which derefs to what could be read of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<T> {
    at: Option<At<T>>,
    /// Whether there is a value that could not be read.
    pub(super) is_bad: bool,
}

impl<T> Given<T> {
    /// The value, if there is one that could be read.
    pub(super) fn value(&self) -> Option<&T> {
        self.at.as_ref().map(|at| &at.value)
    }

    pub(super) fn into_value(self) -> Option<T> {
        self.at.map(|at| at.value)
    }

    /// Where the value stands that could be read.
    pub(super) fn place(&self) -> Option<Place> {
        self.at.as_ref().map(|at| at.place)
    }
}

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self {
            at: None,
            is_bad: false,
        }
    }
}

impl<T> Deref for Given<T> {
    type Target = Option<At<T>>;

    fn deref(&self) -> &Self::Target {
        &self.at
    }
}

/// A value that serde can read.
struct Readable<T>(T);

impl<'de, T: FileValue> Deserialize<'de> for Readable<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::read(from).map(Self)
    }
}

impl<'de, T: FileValue> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_newtype_struct(PLACED, Reading(PhantomData::<Self>))
    }
}

/// The visitor of a type.
struct Reading<T>(PhantomData<T>);

impl<'de, T: FileValue> Visitor<'de> for Reading<Given<T>> {
    type Value = Given<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value and its place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Given<T>, A::Error> {
        let line = parts.next_element()?.unwrap_or_default();
        let column = parts.next_element()?.unwrap_or_default();
        let value = parts.next_element()?;
        Ok(Given {
            is_bad: value.is_none(),
            at: value.map(|Readable(value)| At {
                value,
                place: Place { line, column },
            }),
        })
    }
}

impl<T: FileValue> JsonSchema for Given<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}

/// Where a mapping begins, and what could be read of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) place: Place,
    /// Whether every key is one that the mapping may have. What is missing otherwise may be what was misspelt.
    pub(super) has_known_keys: bool,
    /// Whether all of it could be read.
    pub(super) is_whole: bool,
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let [line, column, keys, whole] = Deserialize::deserialize(from)?;
        Ok(Self {
            place: Place { line, column },
            has_known_keys: keys == 1u32,
            is_whole: whole == 1u32,
        })
    }
}

/// A list. What is bad in it is left out; where all of it is, the list could not be read: an empty one was written so.
#[derive(Clone, Debug)]
pub(super) struct List<T> {
    good: Vec<At<T>>,
    is_whole: bool,
}

impl<T> List<T> {
    /// Whether all of it could be read.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

impl<T> Deref for List<T> {
    type Target = Vec<At<T>>;

    fn deref(&self) -> &Vec<At<T>> {
        &self.good
    }
}

impl<'l, T> IntoIterator for &'l List<T> {
    type Item = &'l At<T>;
    type IntoIter = std::slice::Iter<'l, At<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.good.iter()
    }
}

impl<'de, T: FileValue> Visitor<'de> for Reading<List<T>> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
        let (mut good, mut written) = (Vec::new(), 0);
        while let Some(item) = list.next_element::<Given<T>>()? {
            written += 1;
            good.extend(item.at);
        }
        match good.is_empty() && written > 0 {
            true => Err(reported()),
            false => Ok(List {
                is_whole: good.len() == written,
                good,
            }),
        }
    }
}

impl<T: FileValue> FileValue for List<T> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Reading(PhantomData::<Self>))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": T::schema(generator) })
    }
}

impl<T> Given<List<T>> {
    /// The values of the list that could be read.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.at.iter().flat_map(|at| &at.value).map(|at| &at.value)
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        let list = self.at.into_iter().flat_map(|at| at.value.good);
        list.map(|at| at.value)
    }
}

/// A mapping whose keys are names of the operator's. An entry that is wrong is still one: what names it is not to blame.
#[derive(Clone, Debug)]
pub(super) struct Named<T> {
    /// In the order of the file.
    pub(super) entries: Vec<NamedEntry<T>>,
    /// Whether every name could be read: an unknown one may be meant for one that could not.
    pub(super) is_whole: bool,
}

/// What stands under a name.
#[derive(Clone, Debug)]
pub(super) struct NamedEntry<T> {
    pub(super) name: At<Label>,
    keys: T,
}

impl<T> Deref for NamedEntry<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.keys
    }
}

impl<'de, T: FileValue + Default> Visitor<'de> for Reading<Named<T>> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
        let (mut entries, mut written) = (Vec::new(), 0);
        while let Some((name, keys)) = map.next_entry::<Given<Label>, Given<T>>()? {
            written += 1;
            let keys = keys.into_value().unwrap_or_default();
            entries.extend(name.at.map(|name| NamedEntry { name, keys }));
        }
        match entries.is_empty() && written > 0 {
            true => Err(reported()),
            false => Ok(Named {
                is_whole: entries.len() == written,
                entries,
            }),
        }
    }
}

impl<T: FileValue + Default> FileValue for Named<T> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Reading(PhantomData::<Self>))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": T::schema(generator) })
    }
}

impl<T> Given<Named<T>> {
    pub(super) fn entries(&self) -> &[NamedEntry<T>] {
        self.value().map_or(&[], |named| &named.entries)
    }

    /// Whether every name could be read.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_bad && self.value().is_none_or(|named| named.is_whole)
    }
}

/// A mapping from DNS names.
#[derive(Clone, Debug)]
pub(super) struct ByName<T>(pub(super) Vec<(At<Name>, At<T>)>);

impl<'de, T: FileValue> Visitor<'de> for Reading<ByName<T>> {
    type Value = ByName<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByName<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, value)) = map.next_entry::<Given<Name>, Given<T>>()? {
            entries.extend(name.at.zip(value.at));
        }
        Ok(ByName(entries))
    }
}

impl<T: FileValue> FileValue for ByName<T> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Reading(PhantomData::<Self>))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": T::schema(generator) })
    }
}

/// A value that is written as one text.
pub(super) struct TextOf<T>(pub(super) PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for TextOf<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|error| {
            let help = respelt::<T>(text).map(|other| format!("did you mean {other}?"));
            advised(error, help)
        })
    }
}

/// A word of the file that is one of a few.
pub(super) trait Choice: Copy + 'static {
    /// The words and what they stand for.
    const CHOICES: &'static [(&'static str, Self)];

    /// The words in JSON Schema, as which `true` and `false` are no words.
    fn schema() -> Schema {
        let words = Self::CHOICES.iter().map(|&(word, _)| match word {
            "true" => true.into(),
            "false" => false.into(),
            word => word.into(),
        });
        let words: Vec<serde_json::Value> = words.collect();
        json_schema!({ "enum": words })
    }
}

/// The visitor of a [`Choice`].
pub(super) struct WordOf<T>(pub(super) PhantomData<T>);

impl<T: Choice> Visitor<'_> for WordOf<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of a few words")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        if let Some(&(_, value)) = T::CHOICES.iter().find(|(word, _)| *word == text) {
            return Ok(value);
        }
        let words: Vec<_> = T::CHOICES.iter().map(|&(word, _)| word).collect();
        let help = boolean(text, &words).or_else(|| {
            let near = nearest(text, words.iter().copied());
            near.map(|word| format!("did you mean {word}?"))
        });
        let former = FORMER_REASONS.iter().find(|(old, _)| *old == text);
        let former = former.filter(|_| words.contains(&"unknown_client"));
        let help = former.map(|(_, help)| (*help).to_owned()).or(help);
        Err(advised(format!("write one of {}", words.join(", ")), help))
    }
}

/// Reasons in tests that had another name before the first release, and what to write.
const FORMER_REASONS: [(&str, &str); 2] = [
    ("stranger", "it is now unknown_client"),
    (
        "screened",
        "it is now filtered, which a test cannot meet, because no upstream is asked",
    ),
];

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

/// Types that a text of the file is read as, each with its JSON Schema.
macro_rules! texts {
    ($($type:ty: $schema:tt;)+) => {
        $(impl $crate::given::FileValue for $type {
            fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str($crate::given::TextOf(std::marker::PhantomData))
            }

            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        })+
    };
}

/// Types that a few words of the file are read as.
macro_rules! words {
    ($($type:ty: $($word:literal = $value:expr),+;)+) => {
        $(impl $crate::given::Choice for $type {
            const CHOICES: &'static [(&'static str, Self)] = &[$(($word, $value)),+];
        }

        impl $crate::given::FileValue for $type {
            fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str($crate::given::WordOf(std::marker::PhantomData))
            }

            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <Self as $crate::given::Choice>::schema()
            }
        })+
    };
}

/// Types that mappings of the file are read as, by what serde and schemars derive for them.
macro_rules! mappings {
    ($($type:ty),+ $(,)?) => {
        $(impl $crate::given::FileValue for $type {
            fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                serde::Deserialize::deserialize(from)
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        })+
    };
}

pub(super) use {mappings, texts, words};
