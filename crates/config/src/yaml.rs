//! Parses YAML text into a tree in which every value has its place.
//!
//! The deserializer of `serde_yaml` does not suffice: it stops at the first error, and loses the spelling of values
//! (`007`, `1e3`, `no`). The tree is built from the events of the parser that `serde_yaml` brings with it. All
//! scalars stay text; `read` is the deserializer over the tree.
//!
//! Some of YAML is not supported on purpose: anchors and aliases (a policy is read top to bottom, and
//! an alias bomb is impossible), tags, a second document, keys that are not plain words. Each is
//! reported as an error, and parsing continues after it.

use serde_yaml::granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span};

use super::error::{Faults, Message, Place, quoted};

/// The deepest nesting; the format itself needs 4 levels.
const MAX_DEPTH: usize = 12;
/// The most values, keys and aliases of a file: as many as the largest file has lines of sixteen bytes. Each takes
/// some seventy bytes while the file is read, so without this limit a file full of commas would take a gigabyte. No
/// official reference.
const MAX_NODES: usize = 1_000_000;

/// A value and the place where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// An empty value, `~` or `null`. A key without a value counts as left out.
    Null,
    /// Text as written, with quotes and escapes resolved.
    Scalar(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping: keys in the order written, including repeated ones.
    Map(Vec<Entry>),
    /// A value whose error has been reported; it causes no further errors.
    Bad,
}

/// A key of a mapping and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// A scalar.
    pub(super) key: Node,
    pub(super) node: Node,
}

impl Entry {
    /// The text of the key.
    pub(super) fn name(&self) -> &str {
        match &self.key.value {
            Value::Scalar(name) => name,
            _ => "",
        }
    }
}

/// Parses a document. A syntax error is reported, and parsing stops there; an empty text is
/// [`Value::Null`].
pub(super) fn parse(text: &str, faults: &mut Faults<'_>) -> Node {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    options.emit_anchor_events = true;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut tree = Tree::default();
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                let place = place_of(&span);
                if tree.is_full(&event) {
                    let message = format!("there are more than {MAX_NODES} values in this file");
                    let help = "put long lists of names into a file: domains_file";
                    faults.push_help(place, message, help.to_owned());
                    return bad_root();
                }
                if !tree.take(event, place, faults) {
                    break;
                }
            }
            Err(error) => {
                report(&error, faults);
                return bad_root();
            }
        }
    }
    tree.root.unwrap_or(Node {
        place: Place { line: 1, column: 1 },
        value: Value::Null,
    })
}

/// The tree of a file that could not be parsed completely.
fn bad_root() -> Node {
    Node {
        place: Place::default(),
        value: Value::Bad,
    }
}

/// A tree under construction: the open collections, outermost first.
#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    /// The number of values, keys and aliases so far.
    nodes: usize,
}

/// A collection whose end has not been reached.
enum Open {
    Seq(Place, Vec<Node>),
    /// With the key that waits for its value; an inner `None` stands for an invalid key.
    Map(Place, Vec<Entry>, Option<Option<Node>>),
}

impl Tree {
    /// Counts an event; returns whether the limit is exceeded.
    fn is_full(&mut self, event: &Event<'_>) -> bool {
        let counts = matches!(
            event,
            Event::Scalar(..)
                | Event::Alias(_)
                | Event::UnresolvedAlias(_)
                | Event::Anchor(..)
                | Event::SequenceStart(..)
                | Event::MappingStart(..)
        );
        self.nodes += usize::from(counts);
        self.nodes > MAX_NODES
    }

    /// Processes an event; returns false if parsing must stop.
    fn take(&mut self, event: Event<'_>, place: Place, faults: &mut Faults<'_>) -> bool {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    faults.push(
                        place,
                        "a second YAML document begins here; write one file with one document",
                    );
                    return false;
                }
            }
            Event::Scalar(text, style, _, tag) => {
                let value = match tag {
                    Some(_) => bad(place, faults, "a YAML tag (`!…`) has no meaning here"),
                    None if is_null(&text, style) => Value::Null,
                    None => Value::Scalar(text.into_owned()),
                };
                self.node(Node { place, value }, faults);
            }
            Event::UnresolvedAlias(name) => {
                faults.push_with(place, || {
                    let name = quoted(&name);
                    let message = format!("in YAML a value that begins with * is an alias, and there is no anchor {name:?}");
                    (message, Some(format!("quote it: \"*{name}\"")))
                });
                self.node(
                    Node {
                        place,
                        value: Value::Bad,
                    },
                    faults,
                );
            }
            Event::Alias(_) => {
                let value = bad(
                    place,
                    faults,
                    "YAML aliases (`*…`) are not used in this file; write the value out",
                );
                self.node(Node { place, value }, faults);
            }
            Event::Anchor(..) => {
                bad(
                    place,
                    faults,
                    "YAML anchors (`&…`) are not used in this file; write the value out where it is needed",
                );
            }
            Event::SequenceStart(_, _, tag) => {
                if tag.is_some() {
                    bad(place, faults, "a YAML tag (`!…`) has no meaning here");
                }
                self.open.push(Open::Seq(place, Vec::new()));
            }
            Event::MappingStart(_, _, tag) => {
                if tag.is_some() {
                    bad(place, faults, "a YAML tag (`!…`) has no meaning here");
                }
                self.open.push(Open::Map(place, Vec::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(faults),
            // The start and end of the stream, and events that a later version of the parser may add.
            _ => {}
        }
        true
    }

    /// Closes the innermost collection: it becomes a node of its parent.
    fn close(&mut self, faults: &mut Faults<'_>) {
        let node = match self.open.pop() {
            Some(Open::Seq(place, items)) => Node {
                place,
                value: Value::Seq(items),
            },
            Some(Open::Map(place, entries, _)) => Node {
                place,
                value: Value::Map(entries),
            },
            None => return,
        };
        self.node(node, faults);
    }

    /// Puts a node into its place: list item, mapping key or value, or root.
    fn node(&mut self, node: Node, faults: &mut Faults<'_>) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Seq(_, items)) => items.push(node),
            Some(Open::Map(_, entries, waiting)) => match waiting.take() {
                Some(Some(key)) => entries.push(Entry { key, node }),
                Some(None) => {}
                None => {
                    *waiting = Some(match node.value {
                        Value::Scalar(_) => Some(node),
                        Value::Bad => None,
                        Value::Null => {
                            faults.push_help(
                                node.place,
                                "a key is missing before this colon",
                                KEY_HELP.to_owned(),
                            );
                            None
                        }
                        Value::Seq(_) | Value::Map(_) => {
                            faults.push_help(
                                node.place,
                                "a key must be a word, not a list or a mapping",
                                KEY_HELP.to_owned(),
                            );
                            None
                        }
                    });
                }
            },
        }
    }
}

/// The advice for a key that is no word.
const KEY_HELP: &str = "write a word before the colon, as in `name: value`";

fn bad(place: Place, faults: &mut Faults<'_>, message: &'static str) -> Value {
    faults.push(place, message);
    Value::Bad
}

fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn place_of(span: &Span) -> Place {
    place(span.start.line(), span.start.col())
}

/// The parser counts lines from 1 and columns from 0.
fn place(line: usize, column: usize) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        line: number(line).max(1),
        column: number(column).saturating_add(1),
    }
}

/// Reports a syntax error. The parser's own message is kept if ours would not be clearer.
fn report(error: &ScanError, faults: &mut Faults<'_>) {
    let place = place(error.marker().line(), error.marker().col());
    let (message, help) = match error.kind() {
        ErrorKind::MissingAnchorOrAliasName => (
            "in YAML a value that begins with * or & is an alias or an anchor".to_owned(),
            Some("quote it: \"*.example.com\"; a single \".\" stands for every name"),
        ),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => (
            "YAML is indented with spaces; there is a tab here".to_owned(),
            Some("replace the tab by spaces"),
        ),
        ErrorKind::RecursionLimitExceeded => (
            format!(
                "this is nested more than {MAX_DEPTH} levels deep; no key of this file needs that"
            ),
            None,
        ),
        ErrorKind::UnexpectedCharacter {
            character: '@' | '`' | '%',
        } => (
            "a value cannot begin with this character in YAML".to_owned(),
            Some("put the value into quotes"),
        ),
        kind @ (ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::MisplacedFlowCollectionEnd
        | ErrorKind::MismatchedFlowCollectionEnd { .. }) => (
            format!("this is not YAML: {kind}"),
            Some(
                "within [ ] and { } quote a value that has brackets, braces or commas in it: \"udp://[::]:53\"",
            ),
        ),
        kind @ (ErrorKind::InvalidColonPlacement | ErrorKind::MappingValueNotAllowed) => (
            format!("this is not YAML: {kind}"),
            Some(
                "quote a value that has a colon and a blank in it, and see whether a [ or { above is closed",
            ),
        ),
        kind @ (ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation) => (
            format!("this is not YAML: {kind}"),
            Some("keys of one mapping, and items of one list, begin in the same column"),
        ),
        kind => (format!("this is not YAML: {kind}"), None),
    };
    let message = Message::of("this is not YAML", message);
    faults.push_help(place, message, help.map(str::to_owned));
}

#[cfg(test)]
mod tests;
