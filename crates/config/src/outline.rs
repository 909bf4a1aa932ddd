//! Where the parts of a configuration's text stand, for a program that edits the text: it replaces
//! single values, and every other byte stays, comments included.
//!
//! It is for a text that is a valid configuration. Editing does not go through a YAML library,
//! because none that writes YAML keeps comments where they stood.

use std::ops::Range;

use serde_yaml::granit_parser::{Event, Options, Parser, Span};

/// A value in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineNode {
    /// The line, from 1.
    pub line: u32,
    /// The character within the line, from 1.
    pub column: u32,
    /// The bytes of the value: of a block, from its first entry to its last one.
    pub range: Range<usize>,
    /// Whether it is written in brackets or braces.
    pub is_flow: bool,
    /// What it holds.
    pub value: OutlineValue,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutlineValue {
    /// A text, without quotes; empty for no value.
    Scalar(String),
    /// A list.
    List(Vec<OutlineNode>),
    /// Keys and values.
    Keys(Vec<(OutlineNode, OutlineNode)>),
}

impl OutlineNode {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let OutlineValue::Keys(entries) = &self.value else {
            return None;
        };
        let found = entries.iter().find(|(own, _)| own.text() == Some(key));
        found.map(|(_, value)| value)
    }

    /// The entries of a list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            OutlineValue::List(items) => items,
            _ => &[],
        }
    }

    /// The keys and values.
    #[must_use]
    pub fn entries(&self) -> &[(Self, Self)] {
        match &self.value {
            OutlineValue::Keys(entries) => entries,
            _ => &[],
        }
    }

    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            OutlineValue::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

/// The outline of a text; `None` if it is no YAML document that a configuration can be.
#[must_use]
pub fn outline(text: &str) -> Option<OutlineNode> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut open: Vec<(OutlineNode, Vec<OutlineNode>)> = Vec::new();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.ok()?;
        let node = match event {
            Event::Scalar(value, ..) => node(&span, OutlineValue::Scalar(value.into_owned()))?,
            Event::SequenceStart(..) => {
                let list = OutlineValue::List(Vec::new());
                open.push((collection(text, &span, list)?, Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                let keys = OutlineValue::Keys(Vec::new());
                open.push((collection(text, &span, keys)?, Vec::new()));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (node, parts) = open.pop()?;
                closed(node, parts, span.byte_range()?)
            }
            _ => continue,
        };
        match open.last_mut() {
            Some((_, parts)) => parts.push(node),
            None => return Some(node),
        }
    }
    None
}

fn node(span: &Span, value: OutlineValue) -> Option<OutlineNode> {
    Some(OutlineNode {
        line: u32::try_from(span.start.line()).ok()?,
        column: u32::try_from(span.start.col()).ok()?.saturating_add(1),
        range: span.byte_range()?,
        is_flow: false,
        value,
    })
}

fn collection(text: &str, span: &Span, value: OutlineValue) -> Option<OutlineNode> {
    let mut node = node(span, value)?;
    let first = text.as_bytes().get(node.range.start);
    node.is_flow = matches!(first, Some(b'[' | b'{'));
    Some(node)
}

/// A collection with its parts. The end of a block is that of its last part, because comments may
/// follow before the parser sees that it has ended.
fn closed(mut node: OutlineNode, parts: Vec<OutlineNode>, end: Range<usize>) -> OutlineNode {
    if node.is_flow {
        node.range.end = end.end;
    } else if let (Some(first), Some(last)) = (parts.first(), parts.last()) {
        node.range = first.range.start..last.range.end;
        (node.line, node.column) = (first.line, first.column);
    }
    node.value = match node.value {
        OutlineValue::Keys(_) => {
            let mut parts = parts.into_iter();
            let mut entries = Vec::new();
            while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                entries.push((key, value));
            }
            OutlineValue::Keys(entries)
        }
        _ => OutlineValue::List(parts),
    };
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_bytes() {
        let text = "# ä\nrules:\n  - name: x # c\n    domains:\n      - .ä.test\n      - 'b.test'\n  # d\n  - { name: y, domains: [a.test, \"b.test\"] }\n# e\n";
        let all = outline(text).expect("YAML");
        let rules = all.get("rules").expect("rules").items();
        let bytes = |node: &OutlineNode| text.get(node.range.clone()).expect("in it").to_owned();
        let domains = |at: usize| rules[at].get("domains").expect("domains");
        assert_eq!(bytes(&rules[0]).lines().count(), 4);
        assert_eq!(bytes(&domains(0).items()[1]), "'b.test'");
        assert_eq!(domains(0).items()[1].text(), Some("b.test"));
        assert_eq!(
            (domains(0).items()[1].line, domains(0).items()[1].column),
            (6, 9)
        );
        assert_eq!(bytes(domains(1)), "[a.test, \"b.test\"]");
        assert!(domains(1).is_flow && !domains(0).is_flow);
        assert_eq!(
            bytes(&rules[1]),
            "{ name: y, domains: [a.test, \"b.test\"] }"
        );
        assert_eq!(outline("a: [").map(|_| ()), None);
        assert_eq!(outline(""), None);
    }
}
