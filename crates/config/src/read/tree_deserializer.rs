//! The [`Deserializer`] over the tree of a file.

use serde::{
    Deserializer,
    de::{
        DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{SeqDeserializer, StrDeserializer, U32Deserializer},
    },
    forward_to_deserialize_any,
};

use super::{
    super::{
        error::{Place, nearest},
        yaml::{Entry, Value},
    },
    NAMED, PLACED, Reader, Role, SPAN, WORD_OR_MAPPING, Wrong, reported,
};

impl<'t> Deserializer<'t> for Reader<'t, '_, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Scalar(_) => self.deserialize_str(visitor),
            Value::Seq(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Null | Value::Bad => Err(reported()),
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
        let items = items.iter().map(|item| self.of(item, self.key, Role::Item));
        visitor.visit_seq(SeqDeserializer::new(items))
    }

    /// A mapping whose keys are names that the operator chooses.
    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let entries = self.entries(&format!("`{}`", self.key), None)?;
        let kind = NAMED.iter().find(|(section, ..)| *section == self.key);
        visitor.visit_map(Entries {
            reader: self,
            names: Some(kind.map_or("", |(_, kind, _)| kind)),
            entries: entries.into_iter(),
            value: None,
            span: None,
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
        visitor.visit_map(Entries {
            reader: self,
            names: None,
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

/// A list is read item by item.
impl<'t> IntoDeserializer<'t, Wrong> for Reader<'t, '_, '_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The entries of a mapping.
struct Entries<'t, 'f, 'x> {
    reader: Reader<'t, 'f, 'x>,
    /// If the operator chooses the keys: what an entry is. The keys are then read like values.
    names: Option<&'static str>,
    entries: std::vec::IntoIter<&'t Entry>,
    value: Option<&'t Entry>,
    /// Returned last, as [`SPAN`]: the number of faults before it, and whether all keys are known.
    span: Option<(usize, bool)>,
}

impl<'t> MapAccess<'t> for Entries<'t, '_, '_> {
    type Error = Wrong;

    fn next_key_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Wrong> {
        self.value = self.entries.next();
        let key = match (self.value, self.names) {
            (Some(entry), Some(kind)) => {
                let reader = self.reader.of(&entry.key, kind, Role::Value);
                return seed.deserialize(reader).map(Some);
            }
            (Some(entry), None) => entry.name(),
            (None, _) if self.span.is_some() => SPAN,
            (None, _) => return Ok(None),
        };
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        if let Some(entry) = self.value.take() {
            let (key, role) = match self.names {
                Some(kind) => (kind, Role::Named(entry.name())),
                None => (entry.name(), Role::Value),
            };
            return seed.deserialize(self.reader.of(&entry.node, key, role));
        }
        let (before, keys) = self.span.take().unwrap_or_default();
        let whole = self.reader.faults.borrow().count() == before;
        let Place { line, column } = self.reader.node.place;
        let span = [line, column, u32::from(keys), u32::from(whole)];
        seed.deserialize(SeqDeserializer::new(span.into_iter()))
    }
}
