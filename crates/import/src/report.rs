//! The report: what was kept, kept narrower, or left out.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::Place;

/// How much of a thing of the source is in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// All of it.
    Kept,
    /// The configuration allows less than the source.
    Narrower,
    /// Nothing of it is in the configuration, or only its denial.
    LeftOut,
}

impl Kept {
    /// The word in the report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Narrower => "kept narrower",
            Self::LeftOut => "left out",
        }
    }
}

/// What became of one thing of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportItem {
    /// How much of it was kept.
    pub kept: Kept,
    /// Where it stands.
    pub place: Place,
    /// The thing, in the words of the source.
    pub what: String,
    /// Why it was not kept as it is; empty if it was.
    pub why: String,
    /// What the operator can do about that; empty if nothing needs to be done.
    pub advice: String,
}

/// What was kept, narrowed and left out, in the order of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Every thing of the source.
    pub items: Vec<ImportItem>,
}

impl ImportReport {
    /// How many things were kept so.
    #[must_use]
    pub fn count(&self, kept: Kept) -> usize {
        self.items.iter().filter(|item| item.kept == kept).count()
    }

    /// Whether everything was kept as it is.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.items.iter().all(|item| item.kept == Kept::Kept)
    }

    /// The report as JSON: `{"kept": N, "narrower": N, "left_out": N, "items": […]}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Item<'r> {
            kept: Kept,
            file: &'r str,
            line: u32,
            what: &'r str,
            why: &'r str,
            advice: &'r str,
        }
        let items = self.items.iter().map(|item| Item {
            kept: item.kept,
            file: &item.place.file,
            line: item.place.line,
            what: &item.what,
            why: &item.why,
            advice: &item.advice,
        });
        let items: Vec<_> = items.collect();
        let report = serde_json::json!({
            "kept": self.count(Kept::Kept),
            "narrower": self.count(Kept::Narrower),
            "left_out": self.count(Kept::LeftOut),
            "items": items,
        });
        report.to_string()
    }
}

impl fmt::Display for ImportReport {
    /// A line for each thing that was not kept as it is, and the counts at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in self.items.iter().filter(|item| item.kept != Kept::Kept) {
            let (kept, what) = (item.kept.as_str(), plain(&item.what));
            write!(f, "{}: {kept}: {what}: {}", item.place, plain(&item.why))?;
            if !item.advice.is_empty() {
                write!(f, "; {}", plain(&item.advice))?;
            }
            f.write_char('\n')?;
        }
        write!(
            f,
            "{} kept, {} kept narrower, {} left out",
            self.count(Kept::Kept),
            self.count(Kept::Narrower),
            self.count(Kept::LeftOut)
        )
    }
}

/// The longest piece of a source that is repeated in a message, in characters.
const MAX_SHOWN: usize = 120;

/// A piece of a source on one line, cut if it is long, without what a terminal would act on.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count >= MAX_SHOWN * 4 {
            shown.push('…');
            break;
        }
        match character {
            '\t' => shown.push(' '),
            _ if character.is_control() || is_invisible(character) => {
                shown.extend(character.escape_default());
            }
            _ => shown.push(character),
        }
    }
    shown
}

/// The same for a word of the source in the middle of a sentence.
pub(crate) fn short(text: &str) -> String {
    let text = plain(text);
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Characters that change how a line reads: directions, joiners, byte order marks, line separators.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
