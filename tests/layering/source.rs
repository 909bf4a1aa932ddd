//! Reads Rust source just far enough to say which paths it names outside its tests.
//!
//! Not a parser: tokens, with comments and literals left out, `#[cfg(test)]` items dropped, `use` trees flattened.
//! What macros are given counts like any other code, which a syntax tree would not show.

/// An identifier, or one character of punctuation (`::` is two), and its line.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphanumeric() || c == '_')
    }
}

/// A path as written, `["crate", "dns", "Name"]`, and its line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// One file, split into what ships and what only tests.
pub(crate) struct Source {
    pub(crate) tokens: Vec<Token>,
    /// The same without `#[cfg(test)]` items.
    pub(crate) production: Vec<Token>,
    /// Modules that the file declares for its tests only: `#[cfg(test)] mod tests;`.
    pub(crate) test_modules: Vec<String>,
    /// Lines outside `#[cfg(test)]` items, comments and blank ones included.
    pub(crate) production_lines: usize,
}

impl Source {
    pub(crate) fn read(text: &str) -> Self {
        let tokens = tokens(text);
        let mut source = Self {
            production: Vec::new(),
            test_modules: Vec::new(),
            production_lines: text.lines().count(),
            tokens,
        };
        let mut at = 0;
        while at < source.tokens.len() {
            let rest = &source.tokens[at..];
            if let Some(len) = test_item(rest) {
                let item = &rest[..len];
                let lines = item.last().map_or(0, |t| t.line) - rest[0].line + 1;
                source.production_lines -= lines.min(source.production_lines);
                source.test_modules.extend(declared_module(item));
                at += len;
            } else {
                source.production.push(rest[0].clone());
                at += 1;
            }
        }
        source
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let rest = &chars[at..];
        let len = match rest {
            ['/', '/', ..] => rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['"', ..] => string(rest),
            ['\'', ..] => quote(rest),
            [c, ..] if c.is_alphanumeric() || *c == '_' => {
                let word = rest
                    .iter()
                    .position(|c| !c.is_alphanumeric() && *c != '_')
                    .unwrap_or(rest.len());
                match raw_string(rest, word) {
                    Some(len) => len,
                    None => {
                        tokens.push(Token {
                            text: rest[..word].iter().collect(),
                            line,
                        });
                        word
                    }
                }
            }
            [c, ..] if c.is_whitespace() => 1,
            _ => {
                tokens.push(Token {
                    text: rest[0].to_string(),
                    line,
                });
                1
            }
        };
        line += rest[..len].iter().filter(|&&c| c == '\n').count();
        at += len;
    }
    tokens
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `br"…"`: no escapes, and an end of its own. `b"…"` and `c"…"` are left to [`string`].
fn raw_string(rest: &[char], word: usize) -> Option<usize> {
    let prefix: String = rest[..word].iter().collect();
    if !matches!(prefix.as_str(), "r" | "br" | "cr") {
        return None;
    }
    let hashes = rest[word..].iter().take_while(|&&c| c == '#').count();
    if rest.get(word + hashes) != Some(&'"') {
        return None;
    }
    let mut end = vec!['"'];
    end.resize(hashes + 1, '#');
    let body = word + hashes + 1;
    let at = rest[body..].windows(end.len()).position(|w| w == end);
    Some(at.map_or(rest.len(), |at| body + at + end.len()))
}

/// A character literal, or the mark of a lifetime.
fn quote(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', ..] => rest[3..]
            .iter()
            .position(|&c| c == '\'')
            .map_or(rest.len(), |at| at + 4),
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

/// The length of the item that `rest` opens with, when it is there for tests only.
fn test_item(rest: &[Token]) -> Option<usize> {
    let opens = |words: &[&str]| {
        rest.iter()
            .map(|t| t.text.as_str())
            .take(words.len())
            .eq(words.iter().copied())
    };
    if !opens(&["#", "[", "cfg", "(", "test", ")", "]"])
        && !opens(&["#", "[", "cfg", "(", "all", "(", "test"])
    {
        return None;
    }
    let mut depth = 0_usize;
    for (at, token) in rest.iter().enumerate() {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(token.text.as_str(), "}" | ";") {
            return Some(at + 1);
        }
    }
    Some(rest.len())
}

fn declared_module(item: &[Token]) -> Option<String> {
    match item {
        [.., keyword, name, end] if keyword.text == "mod" && end.text == ";" => {
            Some(name.text.clone())
        }
        _ => None,
    }
}

/// Every path of two segments or more, and every `use` of one; trees (`a::{b, c::d}`) as their branches.
pub(crate) fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].is_name() {
            at = path(tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found.retain(|path| path.segments.len() > 1);
    found
}

/// Reads the path at `at`, below `prefix`, and returns where it ends.
fn path(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |t| t.text.as_str());
    let line = tokens[at].line;
    let mut segments = prefix.to_vec();
    segments.push(tokens[at].text.clone());
    at += 1;
    while text(at) == ":" && text(at + 1) == ":" {
        match tokens.get(at + 2) {
            Some(token) if token.is_name() => {
                segments.push(token.text.clone());
                at += 3;
            }
            Some(token) if token.text == "{" => return branches(tokens, at + 3, &segments, found),
            _ => break,
        }
    }
    found.push(Path { segments, line });
    at
}

fn branches(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Path>) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "}" => return at + 1,
            "as" => at += 2, // the new name is not a branch
            _ if token.is_name() => at = path(tokens, at, prefix, found),
            "*" => {
                found.push(Path {
                    segments: prefix.to_vec(),
                    line: token.line,
                });
                at += 1;
            }
            _ => at += 1,
        }
    }
    at
}
