//! Lists of names: the files that rules name by `domains_file`.
//!
//! One pattern a line, as under `domains` and without quotes; `#` begins a comment where it begins
//! the line or follows a blank. A line that is no pattern is an error: a list that is let through
//! but for the lines that nobody could read is not the list that was reviewed.
//!
//! Lists are long, and places in them are needed for errors alone. So a list keeps its text while
//! the configuration is built, and looks for a line when something is to be said about it.

use std::{cell::OnceCell, collections::HashMap, path::Path};

use super::{
    error::{Faults, Message, OtherFile, Place, quoted},
    given::At,
    text::read_named,
};
use dnsgate_core::policy::Pattern;

/// The largest list, in bytes: a million names of 67 bytes each, and the common block lists have a
/// third of that a name. No official reference.
pub(super) const MAX_LIST: u64 = 64 << 20;
/// The most names of one list: some 300 MB while it is loaded. No official reference.
const MAX_NAMES: usize = 4_000_000;

/// The most names of all lists together: twice those of the largest one. A rule that names the list of another one
/// has its names once more. No official reference.
const MAX_ALL_NAMES: usize = 8_000_000;
/// The most bytes of all lists together, in the same proportion to the names as for one list. No official reference.
#[expect(
    clippy::cast_possible_truncation,
    reason = "tens of mebibytes, on any machine"
)]
const MAX_ALL: usize = 8 * MAX_LIST as usize;

/// How much the lists of a configuration have so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    names: usize,
    bytes: usize,
}

impl Total {
    /// Adds a list, if there is room.
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

/// A list that was read, for messages about its lines.
#[derive(Clone, Debug)]
pub(super) struct NameList {
    /// The file, as it was opened.
    pub(super) path: Box<str>,
    text: String,
    /// The line of each pattern, once somebody has asked.
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
            // A file of another kind is wrong in every line: all but the first are counted only.
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
    /// The file, to say something about it.
    pub(super) fn file(&self) -> OtherFile<'_> {
        OtherFile {
            name: &self.path,
            text: &self.text,
        }
    }

    /// Where a pattern stands, else one with the same name.
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

    /// Where the patterns of these numbers stand, which are in ascending order.
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

/// What a line has before its comment, without the blanks around it.
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

#[cfg(test)]
mod tests;
