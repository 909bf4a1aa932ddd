//! Parses the page `/observed`: converts JSON into names, types and times, or returns an error that
//! names the faulty entry.

use jiff::Timestamp;
use serde::Deserialize;

use super::needed::LogNotes;
use dnsgate_core::dns::{Name, RecordType};

/// The longest name of a group or an upstream in a configuration.
const MAX_LABEL: usize = 64;

/// The record of queries that would have been denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedPage {
    pub(super) origin: PageOrigin,
    pub(super) observed: Vec<ObservedQuestion>,
}

/// Where the questions were recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PageOrigin {
    /// By a dnsgate in mode observe.
    Observed {
        /// The generation of the configuration in force when the page was written.
        generation: u64,
        /// The number of entries dropped for lack of room.
        dropped: u64,
    },
    /// In query logs.
    Logs(Box<LogNotes>),
}

/// One question from one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObservedQuestion {
    pub(super) name: Name,
    pub(super) rtype: RecordType,
    /// The client group; empty for all clients together.
    pub(super) group: String,
    /// The rule that would have denied it; `None` if no rule covers it.
    pub(super) rule: Option<String>,
    pub(super) seen: TimesSeen,
}

/// How often a question was seen, and when, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimesSeen {
    pub(super) count: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

impl TimesSeen {
    /// Combines both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            first: self.first.into_iter().chain(other.first).min(),
            last: self.last.max(other.last),
        }
    }
}

/// The page in its JSON form.
#[derive(Deserialize)]
struct PageText {
    generation: u64,
    dropped: u64,
    observed: Vec<EntryText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryText {
    name: String,
    #[serde(rename = "type")]
    qtype: String,
    group: String,
    rule: Option<String>,
    count: u64,
    first_seen: String,
    last_seen: String,
}

/// Why a text is not the page `/observed`.
#[derive(Debug, thiserror::Error)]
pub enum ObservedPageError {
    /// It is not JSON, or lacks a field.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// One entry has an invalid value.
    #[error("entry {number}, {name:?}: {why}")]
    Entry {
        /// The number of the entry, from 1.
        number: usize,
        /// The name in the entry.
        name: String,
        /// What is wrong.
        why: String,
    },
}

impl ObservedPage {
    /// Parses the JSON.
    ///
    /// # Errors
    /// [`ObservedPageError`].
    pub fn parse(text: &[u8]) -> Result<Self, ObservedPageError> {
        let page: PageText = serde_json::from_slice(text)?;
        let entries = page.observed.iter().zip(1..);
        let observed = entries.map(|(entry, number)| {
            entry.parse().map_err(|why| ObservedPageError::Entry {
                number,
                name: entry.name.clone(),
                why,
            })
        });
        Ok(Self {
            origin: PageOrigin::Observed {
                generation: page.generation,
                dropped: page.dropped,
            },
            observed: observed.collect::<Result<_, _>>()?,
        })
    }
}

impl EntryText {
    fn parse(&self) -> Result<ObservedQuestion, String> {
        let Self { group, rule, .. } = self;
        if !is_label(group) {
            return Err(format!("{group:?} cannot be a client group"));
        }
        // The text goes into a comment, which a line break would end.
        let prints = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !rule.as_deref().is_none_or(prints) {
            return Err(format!("{rule:?} cannot be a rule"));
        }
        let time = |text: &str| text.parse().map_err(|_| format!("{text:?} is not a time"));
        Ok(ObservedQuestion {
            name: self.name.parse().map_err(told)?,
            rtype: self.qtype.parse().map_err(told)?,
            group: group.clone(),
            rule: rule.clone(),
            seen: TimesSeen {
                count: self.count,
                first: Some(time(&self.first_seen)?),
                last: Some(time(&self.last_seen)?),
            },
        })
    }
}

fn told(error: impl ToString) -> String {
    error.to_string()
}

/// Whether a text is a valid name for a group, a rule or an upstream.
pub fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    text.len() <= MAX_LABEL && begins_well && text.bytes().all(allowed)
}
