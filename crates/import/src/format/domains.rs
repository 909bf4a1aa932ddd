//! Lists of names, one a line, in the shapes that lists have.
//!
//! | line | names | meaning |
//! |------|-------|---------|
//! | `x` | x | allow; deny in a list that has shapes of block lists, and with `--names denied` |
//! | `.x` | x and below | the same |
//! | `*.x` | below x | the same |
//! | `0.0.0.0 x y` (127.0.0.1, ::, ::1) | x, y | deny |
//! | `10.0.0.5 x` | x | answer with the address |
//! | `\|\|x^` | x and below | deny |
//! | `@@\|\|x^` | x and below | an exception to the denials of the list |
//!
//! `#` and `!` begin comments.

use std::{collections::BTreeMap, net::IpAddr};

use dnsgate_core::{
    dns::{Name, NameBuf},
    policy::{DenyWith, Pattern},
};

use crate::{
    ImportError, Place, SourceFile,
    draft::{Draft, Said, label},
    report::short,
    shape::{self, Shape, Star},
    statement::{Effect, Resolver},
};

/// The most names on a line of a hosts file; resolvers read fewer.
const MAX_NAMES: usize = 256;

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    Plain(Pattern),
    Block(Vec<Pattern>),
    Answer(IpAddr, Vec<Pattern>),
    Except(Pattern),
}

pub(crate) fn read(sources: &[SourceFile], draft: &mut Draft<'_>) -> Result<(), ImportError> {
    for source in sources {
        list(source, draft);
    }
    Ok(())
}

fn list(source: &SourceFile, draft: &mut Draft<'_>) {
    let stem = stem(&source.name);
    let mut read: Vec<(Place, String, Result<Line, shape::BadShape>)> = Vec::new();
    for (number, line) in source.lines() {
        let text = without_comment(line);
        if !text.is_empty() {
            read.push((
                Place::line(&source.name, number),
                text.to_owned(),
                line_of(text),
            ));
        }
    }
    let is_block_list = |line: &Line| matches!(line, Line::Block(_) | Line::Except(_));
    let blocks = read
        .iter()
        .any(|(_, _, line)| line.as_ref().is_ok_and(is_block_list));
    let denied = draft.plain_denied() || blocks;
    let mut list = List {
        stem: &stem,
        denied,
        addresses: BTreeMap::new(),
    };
    for (place, text, line) in read {
        match line {
            Ok(line) => list.say(&place, &text, line, draft),
            Err(bad) => {
                let advice = "correct the line, or list the names that it means";
                draft.left_out(&place, text, &bad.why, advice);
                if denied {
                    draft.close(&place, bad.above, 0);
                }
            }
        }
    }
    for (name, addresses) in list.addresses {
        answer(&stem, &name, &addresses, draft);
    }
    if denied && let Some(first) = source.lines().next() {
        let place = Place::line(&source.name, first.0);
        let what = "every name that the list does not have";
        draft.default_allow(&place, what, Resolver::OPERATOR, 1);
    }
}

/// What the lines of one list have in common.
struct List<'a> {
    /// How its rules are called.
    stem: &'a str,
    /// Whether a plain name is denied.
    denied: bool,
    /// The addresses that its hosts lines give to names.
    addresses: BTreeMap<Name, Vec<(IpAddr, Place)>>,
}

impl List<'_> {
    fn say(&mut self, place: &Place, text: &str, line: Line, draft: &mut Draft<'_>) {
        let deny = Effect::Deny(Some(DenyWith::NxDomain));
        let (kind, patterns, effect) = match line {
            Line::Plain(pattern) if self.denied => ("denied", vec![pattern], deny),
            Line::Plain(pattern) => (
                "allowed",
                vec![pattern],
                Effect::Forward(Resolver::OPERATOR),
            ),
            Line::Block(patterns) => ("denied", patterns, deny),
            Line::Except(pattern) => (
                "exceptions",
                vec![pattern],
                Effect::Forward(Resolver::OPERATOR),
            ),
            Line::Answer(address, patterns) => {
                for pattern in patterns {
                    let entry = self.addresses.entry(pattern.name().to_name()).or_default();
                    entry.push((address, place.clone()));
                }
                return;
            }
        };
        let item = draft.kept(place, text);
        for pattern in patterns {
            let said = Said::new(format!("{}-{kind}", self.stem), pattern, effect.clone(), 0);
            draft.state(place, Some(item), said);
        }
    }
}

/// A hosts line with an address of its own.
fn answer(stem: &str, name: &Name, addresses: &[(IpAddr, Place)], draft: &mut Draft<'_>) {
    let Some((_, place)) = addresses.first() else {
        return;
    };
    let mut records: Vec<String> = Vec::new();
    for (address, _) in addresses {
        let rtype = if address.is_ipv4() { "A" } else { "AAAA" };
        let record = format!("300 {rtype} {address}");
        if !records.contains(&record) {
            records.push(record);
        }
    }
    let item = draft.kept(place, format!("{name} with its addresses"));
    let rule = label(&format!("{stem}-{name}"));
    let said = Said::new(
        rule,
        Pattern::Exact(name.clone()),
        Effect::Answer(records),
        0,
    );
    draft.state(place, Some(item), said);
}

/// The name of a file without directories and its last ending, as part of a rule's name.
pub(crate) fn stem(name: &str) -> String {
    let file = std::path::Path::new(name).file_stem();
    let stem = file
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    match &*stem {
        "-" | "" => "list".to_owned(),
        stem => label(stem).chars().take(24).collect(),
    }
}

fn without_comment(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with(['#', '!']) || line.starts_with("[Adblock") {
        return "";
    }
    let cut = line.find(" #").or_else(|| line.find("\t#"));
    cut.and_then(|at| line.get(..at)).unwrap_or(line).trim()
}

fn line_of(text: &str) -> Result<Line, shape::BadShape> {
    let bad = |why: &str| shape::BadShape {
        why: why.to_owned(),
        above: Name::root(),
    };
    if let Some(rest) = text.strip_prefix("@@") {
        return adblock(rest).map(Line::Except);
    }
    if text.starts_with('|') {
        return adblock(text).map(|pattern| Line::Block(vec![pattern]));
    }
    let mut words = text.split_whitespace();
    if let Some(first) = words.next()
        && let Ok(address) = first.split('%').next().unwrap_or(first).parse::<IpAddr>()
    {
        let words: Vec<&str> = words.take(MAX_NAMES + 1).collect();
        if words.len() > MAX_NAMES {
            return Err(bad("a line of a hosts file has at most 256 names"));
        }
        let names = words
            .into_iter()
            .map(|name| exactly(name).map(Pattern::Exact))
            .collect::<Result<Vec<_>, _>>()?;
        let names: Vec<Pattern> = names
            .into_iter()
            .filter(|name| !is_of_every_hosts_file(name))
            .collect();
        return Ok(match address.is_unspecified() || address.is_loopback() {
            true => Line::Block(names),
            false => Line::Answer(address, names),
        });
    }
    if text.contains(char::is_whitespace) {
        return Err(bad("a line has one name, or an address and names"));
    }
    if let Some(rest) = text.strip_prefix('.') {
        return exactly(rest).map(|name| Line::Plain(Pattern::Subtree(name)));
    }
    match shape::read(text, Star::AnyDepth)? {
        Shape::Is(pattern) => Ok(Line::Plain(pattern)),
        Shape::Within { above, why } => Err(shape::BadShape {
            why: why.to_owned(),
            above,
        }),
    }
}

fn exactly(text: &str) -> Result<Name, shape::BadShape> {
    shape::plain(text).map_err(|error| shape::BadShape {
        why: format!("{:?}: {error}", short(text)),
        above: shape::readable_end(text),
    })
}

/// `||x^`: x and every name below it.
fn adblock(text: &str) -> Result<Pattern, shape::BadShape> {
    let unsupported = |name: &str| shape::BadShape {
        why: "of the filters of ad blockers only ||name^ and @@||name^ are about whole names"
            .to_owned(),
        above: match name.contains(['*', '/']) {
            true => Name::root(),
            false => shape::readable_end(name),
        },
    };
    let Some(rest) = text.strip_prefix("||") else {
        return Err(unsupported(""));
    };
    let Some((name, "" | "|")) = rest.split_once('^') else {
        let name = rest.split(['^', '$', '/']).next().unwrap_or_default();
        // A filter with options is about that name and names below it, too.
        return Err(match shape::plain(name) {
            Ok(above) => shape::BadShape {
                above,
                ..unsupported("")
            },
            Err(_) => unsupported(rest),
        });
    };
    exactly(name).map(Pattern::Subtree)
}

/// Names that every hosts file has for the machine itself; they are no names to deny.
fn is_of_every_hosts_file(pattern: &Pattern) -> bool {
    const OWN: [&[u8]; 9] = [
        b"localhost",
        b"localdomain",
        b"broadcasthost",
        b"ip6-localhost",
        b"ip6-loopback",
        b"ip6-localnet",
        b"ip6-mcastprefix",
        b"ip6-allnodes",
        b"ip6-allrouters",
    ];
    let mut buf = NameBuf::new();
    OWN.iter().any(|own| {
        buf = NameBuf::new();
        buf.push_label(own).is_ok() && buf.as_ref() == pattern.name()
    })
}
