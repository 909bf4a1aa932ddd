//! Lists of names: the files that rules name by `domains_file`.
//!
//! Each line has one pattern, as under `domains` but without quotes; `#` starts a comment at the
//! start of a line or after white space. A line that is not a pattern is an error: a list with
//! unreadable lines left out is not the list that was reviewed.
//!
//! Lists are long, and places in them are needed only for messages. So a list keeps its text while
//! the configuration is built, and searches for a line only when a message is about it.

use std::{cell::OnceCell, collections::HashMap, path::Path};

use super::{
    error::{Faults, Message, OtherFile, Place, quoted},
    given::At,
    text::read_named,
};
use dnsgate_core::policy::Pattern;

/// The largest list, in bytes: a million names of 67 bytes each; common block lists need a third of
/// that for each name. No official reference.
pub(super) const MAX_LIST: u64 = 64 << 20;
/// The most names of one list: some 300 MB of memory while it is loaded. No official reference.
const MAX_NAMES: usize = 4_000_000;

/// The most names of all lists together: twice the limit of one list. If two rules name the same list, its names
/// count twice. No official reference.
const MAX_ALL_NAMES: usize = 8_000_000;
/// The most bytes of all lists together: the same multiple of the limit of one list. No official reference.
#[expect(
    clippy::cast_possible_truncation,
    reason = "tens of mebibytes, on any machine"
)]
const MAX_ALL: usize = 8 * MAX_LIST as usize;

/// The size of all lists of a configuration so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    names: usize,
    bytes: usize,
}

impl Total {
    /// Adds a list if it is within the limits.
    fn add(&mut self, patterns: &[Pattern], text: &str) -> Result<(), String> {
        self.names = self.names.saturating_add(patterns.len());
        self.bytes = self.bytes.saturating_add(text.len());
        if self.names > MAX_ALL_NAMES {
            return Err(format!(
                "the lists of all rules have more than {MAX_ALL_NAMES} names up to here"
            ));
        }
        if self.bytes > MAX_ALL {
            return Err(format!(
                "the lists of all rules have more than {MAX_ALL} bytes up to here"
            ));
        }
        Ok(())
    }
}

/// A list that was read; it is kept for messages about its lines.
#[derive(Clone, Debug)]
pub(super) struct NameList {
    /// The path with which the file was opened.
    pub(super) path: Box<str>,
    text: String,
    /// The line of each pattern, computed when first needed.
    lines: OnceCell<HashMap<Pattern, u32>>,
}

/// Reads a list; a relative path starts at `dir`. The patterns are in the order of the lines.
pub(super) fn read(
    file: &At<String>,
    dir: &Path,
    total: &mut Total,
    faults: &mut Faults<'_>,
) -> Option<(Vec<Pattern>, NameList)> {
    let named = file;
    let path = dir.join(&file.value);
    let path = path.to_string_lossy();
    let text = match read_named(Path::new(&*path), MAX_LIST, faults.files()) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("{:?} {error}", quoted(&path));
            let kind = "the file that is named here cannot be read";
            faults.push(file.place, Message::of(kind, message));
            return None;
        }
    };
    let file = OtherFile {
        name: &path,
        text: &text,
    };
    let before = faults.count();
    let mut patterns = Vec::new();
    for (place, entry) in entries(&text) {
        if patterns.len() == MAX_NAMES {
            let message = format!("{MAX_NAMES} names are the most that a list may have");
            faults.push_in(file, place, message, None);
            break;
        }
        match entry.parse::<Pattern>() {
            Ok(pattern) => patterns.push(pattern),
            // In a file of another kind every line is wrong: beyond the limit, errors are only counted.
            Err(_) if faults.is_full() => {
                faults.push_in(file, place, String::new(), None);
            }
            Err(error) => {
                let message = format!("{:?}: {error}", quoted(entry));
                let kind = "the line is not a valid name";
                faults.push_in(file, place, Message::of(kind, message), None);
            }
        }
    }
    if let Err(message) = total.add(&patterns, &text) {
        faults.push(named.place, message);
    }
    let list = NameList {
        path: path.into(),
        text,
        lines: OnceCell::new(),
    };
    (faults.count() == before).then_some((patterns, list))
}

impl NameList {
    /// The file, for messages about it.
    pub(super) fn file(&self) -> OtherFile<'_> {
        OtherFile {
            name: &self.path,
            text: &self.text,
        }
    }

    /// The place of a pattern, or else of a pattern with the same name.
    pub(super) fn place_of(&self, pattern: &Pattern) -> Option<Place> {
        let lines = self.lines.get_or_init(|| {
            let entries = entries(&self.text);
            let parsed =
                entries.filter_map(|(place, entry)| Some((entry.parse().ok()?, place.line)));
            parsed.collect()
        });
        let name = || pattern.name().to_name();
        let same_name = [
            Pattern::Exact(name()),
            Pattern::Subtree(name()),
            Pattern::Below(name()),
        ];
        let mut wanted = [pattern].into_iter().chain(&same_name);
        let line = *wanted.find_map(|pattern| lines.get(pattern))?;
        let text = self.text.lines().nth(line as usize - 1)?;
        entry_of(line, text).map(|(place, _)| place)
    }

    /// The places of the patterns with these indices, which must be in ascending order.
    pub(super) fn places(&self, numbers: &[usize]) -> Vec<Place> {
        let mut numbers = numbers.iter().copied().peekable();
        let numbered = entries(&self.text).enumerate();
        let wanted = numbered.filter(|(at, _)| numbers.next_if_eq(at).is_some());
        wanted.map(|(_, (place, _))| place).collect()
    }
}

/// The patterns of a text as written, with their places.
fn entries(text: &str) -> impl Iterator<Item = (Place, &str)> {
    // Some editors put a byte order mark before the first line.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = (1..).zip(text.lines());
    lines.filter_map(|(number, line)| entry_of(number, line))
}

/// The part of a line before its comment, without surrounding white space.
fn entry_of(number: u32, line: &str) -> Option<(Place, &str)> {
    let comment = line.match_indices('#').find(|&(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        before.chars().next_back().is_none_or(char::is_whitespace)
    });
    let line = comment.map_or(line, |(at, _)| line.get(..at).unwrap_or_default());
    let entry = line.trim();
    let blanks = line.chars().take_while(|c| c.is_whitespace()).count();
    let place = Place {
        line: number,
        column: u32::try_from(blanks).unwrap_or(u32::MAX).saturating_add(1),
    };
    (!entry.is_empty()).then_some((place, entry))
}

/// The name in a line of such a file, if it has one.
#[must_use]
pub fn listed_name(line: &str) -> Option<&str> {
    entry_of(1, line).map(|(_, entry)| entry)
}

#[cfg(test)]
mod tests;
