//! Reads a Corefile: server blocks, their zones and directives. Snippets and imported files are put in where they are named.

use std::collections::HashMap;

use dnsgate_core::dns::Name;

use crate::{
    ImportError, IncludeReader, Place, SourceFile, report::short, shape, source::MAX_DEPTH,
};

/// The most words of a Corefile with all that it imports: snippets that import each other grow fast.
const MAX_WORDS: usize = 200_000;

/// Words of one line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) words: Vec<String>,
    pub(super) place: Place,
}

impl Line {
    pub(super) fn first(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    pub(super) fn rest(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

/// A plugin with its arguments and the lines of its own block.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    pub(super) head: Line,
    pub(super) lines: Vec<Line>,
}

/// A server block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) zones: Vec<Result<Name, shape::BadShape>>,
    /// The ports of its addresses; 53 where there is none.
    pub(super) ports: Vec<u16>,
    pub(super) place: Place,
    pub(super) directives: Vec<Directive>,
}

/// The server blocks of a file.
pub(super) fn read(
    source: &SourceFile,
    includes: &mut dyn IncludeReader,
) -> Result<Vec<Block>, ImportError> {
    let mut reader = Reader {
        snippets: HashMap::new(),
        budget: MAX_WORDS,
    };
    let lines = lines(source)?;
    reader.blocks(&lines, source, includes, 0)
}

struct Reader {
    snippets: HashMap<String, Vec<Directive>>,
    budget: usize,
}

impl Reader {
    fn blocks(
        &mut self,
        lines: &[Line],
        source: &SourceFile,
        includes: &mut dyn IncludeReader,
        depth: usize,
    ) -> Result<Vec<Block>, ImportError> {
        let mut blocks = Vec::new();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            let mut head = line.clone();
            at += 1;
            // Addresses go on over lines until the brace.
            while head.words.last().is_some_and(|word| word != "{")
                && head.words.last().is_some_and(|word| word.ends_with(','))
                && let Some(more) = lines.get(at)
            {
                head.words.extend(more.words.iter().cloned());
                at += 1;
            }
            if head.first() == "import" {
                let files = self.file(&head, source, includes, depth)?;
                blocks.extend(self.blocks(&self::lines(&files)?, &files, includes, depth + 1)?);
                continue;
            }
            if head.words.pop().as_deref() != Some("{") {
                return Err(wrong(
                    &head.place,
                    "a server block begins with its zones and a brace on the same line",
                ));
            }
            let (directives, end) = self.directives(lines, at, source, includes, depth)?;
            at = end;
            let name = head
                .words
                .first()
                .and_then(|word| word.strip_prefix('(')?.strip_suffix(')'));
            match name {
                Some(name) => {
                    self.snippets.insert(name.to_owned(), directives);
                }
                None => blocks.push(block(&head, directives)),
            }
        }
        Ok(blocks)
    }

    /// The directives up to the closing brace, and the line behind it.
    fn directives(
        &mut self,
        lines: &[Line],
        mut at: usize,
        source: &SourceFile,
        includes: &mut dyn IncludeReader,
        depth: usize,
    ) -> Result<(Vec<Directive>, usize), ImportError> {
        let mut directives = Vec::new();
        while let Some(line) = lines.get(at) {
            at += 1;
            self.spend(line)?;
            if line.first() == "}" {
                return Ok((directives, at));
            }
            let mut head = line.clone();
            if head.first() == "import" {
                directives.extend(self.imported(&head, source, includes, depth)?);
                continue;
            }
            let mut inner = Vec::new();
            if head.words.last().is_some_and(|word| word == "{") {
                head.words.pop();
                let mut open = 1;
                loop {
                    let Some(line) = lines.get(at) else {
                        return Err(wrong(&head.place, "this brace is not closed"));
                    };
                    at += 1;
                    self.spend(line)?;
                    open += usize::from(line.words.last().is_some_and(|word| word == "{"));
                    if line.first() == "}" {
                        open -= 1;
                        if open == 0 {
                            break;
                        }
                    }
                    inner.push(line.clone());
                }
            }
            directives.push(Directive { head, lines: inner });
        }
        let place = lines
            .last()
            .map_or_else(|| Place::line(&source.name, 1), |line| line.place.clone());
        Err(wrong(
            &place,
            "the file ends inside a block; a closing brace is missing",
        ))
    }

    fn spend(&mut self, line: &Line) -> Result<(), ImportError> {
        match self.budget.checked_sub(line.words.len().max(1)) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(wrong(
                &line.place,
                "with all that is imported there are too many words up to here",
            )),
        }
    }

    fn imported(
        &mut self,
        head: &Line,
        source: &SourceFile,
        includes: &mut dyn IncludeReader,
        depth: usize,
    ) -> Result<Vec<Directive>, ImportError> {
        let Some(name) = head.rest().first() else {
            return Err(wrong(
                &head.place,
                "import needs the name of a snippet or a file",
            ));
        };
        if let Some(snippet) = self.snippets.get(name).cloned() {
            if head.words.len() > 2 {
                return Err(wrong(
                    &head.place,
                    "arguments of a snippet are not filled in here; write the snippet out",
                ));
            }
            for directive in &snippet {
                self.spend(&directive.head)?;
                directive
                    .lines
                    .iter()
                    .try_for_each(|line| self.spend(line))?;
            }
            return Ok(snippet);
        }
        let file = self.file(head, source, includes, depth)?;
        let mut lines = lines(&file)?;
        lines.push(Line {
            words: vec!["}".to_owned()],
            place: head.place.clone(),
        });
        Ok(self.directives(&lines, 0, &file, includes, depth + 1)?.0)
    }

    fn file(
        &mut self,
        head: &Line,
        source: &SourceFile,
        includes: &mut dyn IncludeReader,
        depth: usize,
    ) -> Result<SourceFile, ImportError> {
        let path = head.rest().first().map_or("", String::as_str);
        if depth >= MAX_DEPTH {
            return Err(wrong(
                &head.place,
                "files import each other too deep; does one import itself?",
            ));
        }
        if path.contains(['*', '?', '[']) {
            return Err(wrong(
                &head.place,
                "files that are imported by a pattern are not read; name each of them",
            ));
        }
        includes.read(&source.name, path).map_err(|why| {
            wrong(
                &head.place,
                &format!(
                    "{:?} is no snippet above this line, and cannot be read as a file: {why}",
                    short(path)
                ),
            )
        })
    }
}

pub(super) fn wrong(place: &Place, why: &str) -> ImportError {
    ImportError::Content {
        place: place.clone(),
        why: why.to_owned(),
    }
}

fn block(head: &Line, directives: Vec<Directive>) -> Block {
    let mut zones = Vec::new();
    let mut ports = Vec::new();
    for word in head
        .words
        .iter()
        .flat_map(|word| word.split(','))
        .filter(|word| !word.is_empty())
    {
        let bare = word.split_once("://").map_or(word, |(_, bare)| bare);
        let (zone, port) = match bare.rsplit_once(':') {
            Some((zone, port)) if !zone.contains(':') && port.parse::<u16>().is_ok() => {
                (zone, port.parse().ok())
            }
            _ => (bare, None),
        };
        ports.push(port.unwrap_or(53));
        zones.push(zone_of(if zone.is_empty() { "." } else { zone }));
    }
    Block {
        zones,
        ports,
        place: head.place.clone(),
        directives,
    }
}

/// A zone as CoreDNS writes it: a name, or a range that stands for a reverse zone.
pub(super) fn zone_of(text: &str) -> Result<Name, shape::BadShape> {
    if text == "." {
        return Ok(Name::root());
    }
    if let Some((address, length)) = text.split_once('/') {
        let bad = || shape::BadShape {
            why: "a range stands for a reverse zone only at the bounds of its labels".to_owned(),
            above: "arpa".parse().unwrap_or_else(|_| Name::root()),
        };
        let own = shape::reverse(address).ok_or_else(bad)?;
        let bits = length.parse::<usize>().map_err(|_| bad())?;
        let of_label = if address.contains(':') { 4 } else { 8 };
        let kept = bits / of_label + 2;
        if bits % of_label != 0 || kept > own.as_ref().label_count() {
            return Err(bad());
        }
        return Ok(own.as_ref().last_labels(kept).to_name());
    }
    match shape::read(text, shape::Star::Literal)? {
        shape::Shape::Is(pattern) => Ok(pattern.name().to_name()),
        shape::Shape::Within { above, why } => Err(shape::BadShape {
            why: why.to_owned(),
            above,
        }),
    }
}

/// The lines of a file as words; empty ones are left out. A quoted word may have line breaks.
fn lines(source: &SourceFile) -> Result<Vec<Line>, ImportError> {
    let mut lines: Vec<Line> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut number = 1;
    let mut started = 1;
    let (mut quoted, mut escaped, mut in_word, mut comment) = (false, false, false, false);
    let place = |line| Place::line(&source.name, line);
    for character in source.text.chars().chain(['\n']) {
        if quoted {
            match character {
                _ if escaped => {
                    if character != '"' {
                        word.push('\\');
                    }
                    word.push(character);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => quoted = false,
                _ => word.push(character),
            }
            number += usize::from(character == '\n');
            continue;
        }
        if character == '\n' || (character.is_whitespace() && !comment) {
            if in_word {
                words.push(std::mem::take(&mut word));
                in_word = false;
            }
            if character == '\n' {
                if !words.is_empty() {
                    lines.push(Line {
                        words: std::mem::take(&mut words),
                        place: place(started),
                    });
                }
                comment = false;
                number += 1;
                started = number;
            }
            continue;
        }
        match character {
            _ if comment => {}
            '#' if !in_word => comment = true,
            '"' if !in_word => (quoted, in_word) = (true, true),
            _ => {
                in_word = true;
                word.push(character);
            }
        }
    }
    match quoted {
        true => Err(wrong(&place(started), "a quotation mark is not closed")),
        false => Ok(lines),
    }
}
