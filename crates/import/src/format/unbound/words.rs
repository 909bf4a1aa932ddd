//! Splits Unbound's file into keywords and values, and reads included files.

use crate::{ImportError, IncludeReader, Place, SourceFile, report::short, source::MAX_DEPTH};

/// A keyword with its values.
pub(super) struct Keyword {
    pub(super) key: String,
    pub(super) values: Vec<String>,
    pub(super) place: Place,
}

/// Splits a file into keywords and their values; a keyword ends with a colon. Included files are read where they are named.
pub(super) fn words(
    source: &SourceFile,
    includes: &mut dyn IncludeReader,
    depth: usize,
    said: &mut Vec<Keyword>,
) -> Result<(), ImportError> {
    for (number, line) in source.lines() {
        let place = Place::line(&source.name, number);
        let mut rest = line.trim();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, quoted, behind) = word(rest).ok_or_else(|| ImportError::Content {
                place: place.clone(),
                why: "a quotation mark is not closed on its line".to_owned(),
            })?;
            rest = behind.trim_start();
            let key = word.strip_suffix(':').filter(|key| !quoted && is_key(key));
            match (key, said.last_mut()) {
                (Some(key), _) => said.push(Keyword {
                    key: key.to_owned(),
                    values: Vec::new(),
                    place: place.clone(),
                }),
                (None, Some(last)) => last.values.push(word.to_owned()),
                (None, None) => {
                    let why = format!(
                        "{:?} is no keyword of Unbound; keywords end with a colon",
                        short(word)
                    );
                    return Err(ImportError::Content { place, why });
                }
            }
        }
        let include = said
            .last()
            .filter(|it| it.key.starts_with("include") && it.place == place);
        if let Some(path) = include.and_then(|it| it.values.first()).cloned() {
            said.pop();
            let wrong = |why: String| ImportError::Content {
                place: place.clone(),
                why,
            };
            if depth >= MAX_DEPTH {
                return Err(wrong(format!(
                    "files include each other more than {MAX_DEPTH} levels deep; does one include itself?"
                )));
            }
            if path.contains(['*', '?', '[']) {
                return Err(wrong(
                    "files that are included by a pattern are not read; name each of them"
                        .to_owned(),
                ));
            }
            let file = includes
                .read(&source.name, &path)
                .map_err(|why| wrong(format!("{:?} cannot be included: {why}", short(&path))))?;
            words(&file, includes, depth + 1, said)?;
        }
    }
    Ok(())
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// The first word of a text, whether it was quoted, and the rest.
fn word(text: &str) -> Option<(&str, bool, &str)> {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            let (word, rest) = inner.split_once(quote)?;
            return Some((word, true, rest));
        }
    }
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    // A keyword may touch its value.
    if let Some((key, value)) = word.split_once(':')
        && !value.is_empty()
        && is_key(key)
        && key.contains('-')
        && let Some((key, behind)) = text.split_at_checked(key.len() + 1)
    {
        return Some((key, false, behind));
    }
    Some((word, false, rest))
}
