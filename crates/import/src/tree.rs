//! Reads YAML and JSON into trees in which every value has its line.
//!
//! One reader serves both, because JSON is YAML. Unlike a configuration of dnsgate, files of others may have several documents,
//! anchors and aliases. An alias is a copy, so the number of values is bounded after copying: a bomb is an error.

use std::{collections::HashMap, sync::Arc};

use serde_yaml::granit_parser::{Event, Options, Parser, ScalarStyle};

use crate::{ImportError, Place, SourceFile, report::short};

/// The deepest nesting. Policies need some ten levels.
const MAX_DEPTH: usize = 64;
/// The most values of a file, copies by aliases included.
const MAX_NODES: usize = 1_000_000;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) place: Place,
    pub(crate) value: TreeValue,
}

/// What a value holds.
#[derive(Clone, Debug)]
pub(crate) enum TreeValue {
    /// Nothing, `~` or `null`.
    Null,
    /// A text, a number, true or false, as written.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A mapping, in the order written.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// The value of a key; of a repeated key the last one, as most readers have it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let found = self.entries().iter().rev().find(|(name, _)| name == key);
        found
            .map(|(_, value)| value)
            .filter(|value| !matches!(value.value, TreeValue::Null))
    }

    /// The text of a key.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            TreeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; none of other values.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            TreeValue::List(items) => items,
            _ => &[],
        }
    }

    /// The items of the list under a key.
    pub(crate) fn list_of(&self, key: &str) -> &[Self] {
        self.get(key).map_or(&[], Self::items)
    }

    pub(crate) fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            TreeValue::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Whether it is a list or a mapping.
    pub(crate) fn is_map(&self) -> bool {
        matches!(self.value, TreeValue::Map(_))
    }

    /// The first key that stands twice in a mapping of the tree.
    pub(crate) fn repeated_key(&self) -> Option<(&str, &Place)> {
        let mut seen = std::collections::HashSet::new();
        for (key, value) in self.entries() {
            if !seen.insert(key) {
                return Some((key, &value.place));
            }
        }
        let values = self.entries().iter().map(|(_, value)| value);
        values.chain(self.items()).find_map(Self::repeated_key)
    }
}

/// Reads every document of a file.
pub(crate) fn read(source: &SourceFile) -> Result<Vec<Tree>, ImportError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut growing = Growing::new(Arc::clone(&source.name));
    for event in Parser::new_from_str_with_options(&source.text, options) {
        match event {
            Ok((event, span)) => growing.take(event, span.start.line(), span.start.col())?,
            Err(error) => {
                let place = growing.place(error.marker().line(), error.marker().col());
                let why = format!(
                    "this is neither YAML nor JSON: {}",
                    short(&error.kind().to_string())
                );
                return Err(ImportError::Content { place, why });
            }
        }
    }
    let documents = growing.documents;
    for document in &documents {
        if let Some((key, place)) = document.repeated_key() {
            let why = format!(
                "the key {:?} stands twice in one mapping; which of them holds cannot be told",
                short(key)
            );
            return Err(ImportError::Content {
                place: place.clone(),
                why,
            });
        }
    }
    Ok(documents)
}

/// A collection whose end has not come.
enum Opened {
    List(Place, usize, Vec<Tree>),
    Map(Place, usize, Vec<(String, Tree)>, Option<String>),
}

struct Growing {
    file: Arc<str>,
    open: Vec<Opened>,
    /// What aliases stand for, by the number of the anchor; each document has its own.
    anchors: HashMap<usize, (Tree, usize)>,
    documents: Vec<Tree>,
    nodes: usize,
    /// The nodes that were kept for aliases.
    copies: usize,
    /// The nodes before each open collection.
    started: Vec<usize>,
}

impl Growing {
    fn new(file: Arc<str>) -> Self {
        Self {
            file,
            open: Vec::new(),
            anchors: HashMap::new(),
            documents: Vec::new(),
            nodes: 0,
            copies: 0,
            started: Vec::new(),
        }
    }

    fn place(&self, line: usize, column: usize) -> Place {
        let mut place = Place::line(&self.file, line.max(1));
        place.column = u32::try_from(column.saturating_add(1)).unwrap_or(u32::MAX);
        place
    }

    fn take(&mut self, event: Event<'_>, line: usize, column: usize) -> Result<(), ImportError> {
        let place = self.place(line, column);
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain
                    && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = match null {
                    true => TreeValue::Null,
                    false => TreeValue::Text(text.into_owned()),
                };
                self.add(Tree { place, value }, anchor, 1)?;
            }
            Event::Alias(anchor) => {
                let Some((mut copy, size)) = self.anchors.get(&anchor).cloned() else {
                    let why = "this alias stands inside the value that it names".to_owned();
                    return Err(ImportError::Content { place, why });
                };
                copy.place = place;
                self.add(copy, 0, size)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.started.push(self.nodes);
                self.open.push(Opened::List(place, anchor, Vec::new()));
            }
            Event::MappingStart(_, anchor, _) => {
                self.started.push(self.nodes);
                self.open.push(Opened::Map(place, anchor, Vec::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (tree, anchor) = match self.open.pop() {
                    Some(Opened::List(place, anchor, items)) => (
                        Tree {
                            place,
                            value: TreeValue::List(items),
                        },
                        anchor,
                    ),
                    Some(Opened::Map(place, anchor, entries, _)) => (
                        Tree {
                            place,
                            value: TreeValue::Map(entries),
                        },
                        anchor,
                    ),
                    None => return Ok(()),
                };
                let size = self.nodes - self.started.pop().unwrap_or_default() + 1;
                self.nodes -= size - 1;
                self.add(tree, anchor, size)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts a value of `size` nodes into its place.
    fn add(&mut self, tree: Tree, anchor: usize, size: usize) -> Result<(), ImportError> {
        self.nodes = self.nodes.saturating_add(size);
        if self.nodes > MAX_NODES || self.copies > MAX_NODES {
            let why = format!(
                "up to here there are more than {MAX_NODES} values, copies by aliases included"
            );
            return Err(ImportError::Content {
                place: tree.place,
                why,
            });
        }
        if anchor != 0 {
            self.copies = self.copies.saturating_add(size);
            self.anchors.insert(anchor, (tree.clone(), size));
        }
        match self.open.last_mut() {
            None => self.documents.push(tree),
            Some(Opened::List(_, _, items)) => items.push(tree),
            Some(Opened::Map(_, _, entries, key)) => match key.take() {
                Some(name) if name == "<<" => merge(entries, tree),
                Some(name) => entries.push((name, tree)),
                None => match tree.value {
                    TreeValue::Text(name) => *key = Some(name),
                    TreeValue::Null => *key = Some(String::new()),
                    _ => {
                        let why = "a key must be a word, not a list or a mapping".to_owned();
                        return Err(ImportError::Content {
                            place: tree.place,
                            why,
                        });
                    }
                },
            },
        }
        Ok(())
    }
}

/// The merge key of YAML 1.1: entries of another mapping, unless the key is there.
fn merge(entries: &mut Vec<(String, Tree)>, from: Tree) {
    let maps = match from.value {
        TreeValue::List(items) => items,
        _ => vec![from],
    };
    for (key, value) in maps.into_iter().flat_map(|map| match map.value {
        TreeValue::Map(entries) => entries,
        _ => Vec::new(),
    }) {
        if !entries.iter().any(|(known, _)| *known == key) {
            entries.push((key, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Result<Vec<Tree>, ImportError> {
        read(&SourceFile {
            name: "t".into(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn anchors_belong_to_their_document() {
        let two = "a: &x one\nb: *x\n---\na: &x two\nb: *x\n";
        let documents = documents(two).expect("YAML");
        let b: Vec<_> = documents.iter().map(|tree| tree.text_of("b")).collect();
        assert_eq!(b, [Some("one"), Some("two")]);
    }

    #[test]
    fn json_is_read_with_places() {
        let tree =
            &documents("[{\"a\": \"x\\u002e\\/\",\n\t\"b\": [1, true, null]}]").expect("JSON")[0];
        let map = &tree.items()[0];
        assert_eq!(map.text_of("a"), Some("x./"));
        assert_eq!(map.get("b").expect("a list").place.line, 2);
    }

    #[test]
    fn bombs_depth_and_repeated_keys_are_errors() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let copies = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{copies}]\n");
        }
        for (text, told) in [
            (bomb, "copies by aliases"),
            ("[".repeat(100), "YAML"),
            ("a: 1\na: 2\n".to_owned(), "stands twice"),
            ("a: &x [*x]\n".to_owned(), "inside the value"),
        ] {
            let error = documents(&text).expect_err(told);
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
