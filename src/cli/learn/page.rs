//! The page `/observed` as it is read: JSON that becomes names, types and times, or an error that
//! says which entry is wrong.

use anyhow::{Context as _, ensure};
use jiff::Timestamp;

use crate::querylog::observed as written;
use dnsgate_core::dns::{Name, RecordType};

/// The longest name of a group or an upstream that a configuration can have.
const MAX_LABEL: usize = 64;

/// The record of what would have been denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The configuration that was in force when the page was made.
    pub(super) generation: u64,
    /// How many entries had to go for want of room.
    pub(super) dropped: u64,
    pub(super) observed: Vec<Observed>,
}

/// One question of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) name: Name,
    pub(super) rtype: RecordType,
    pub(super) group: String,
    /// The rule that would have denied it; `None` when no rule is about it.
    pub(super) rule: Option<String>,
    pub(super) seen: Seen,
}

/// How often, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) count: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl Seen {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

impl Page {
    /// Reads the JSON.
    pub(super) fn parse(text: &[u8]) -> anyhow::Result<Self> {
        let page: written::ObservedPage = serde_json::from_slice(text)?;
        let entries = page.observed.into_iter().zip(1..);
        let observed = entries.map(|(entry, number)| {
            let name = entry.name.clone();
            Observed::of(entry).with_context(|| format!("entry {number}, {name:?}"))
        });
        Ok(Self {
            generation: page.generation,
            dropped: page.dropped,
            observed: observed.collect::<anyhow::Result<_>>()?,
        })
    }
}

impl Observed {
    fn of(entry: written::ObservedName) -> anyhow::Result<Self> {
        let written::ObservedName { group, rule, .. } = entry;
        ensure!(is_label(&group), "{group:?} cannot be a client group");
        // It goes into a comment, which a line break would end.
        let prints = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        ensure!(
            rule.as_deref().is_none_or(prints),
            "{rule:?} cannot be a rule"
        );
        let time = |text: &str| text.parse().with_context(|| format!("{text:?} is no time"));
        Ok(Self {
            name: entry.name.parse()?,
            rtype: entry.qtype.parse()?,
            group,
            rule,
            seen: Seen {
                count: entry.count,
                first: time(&entry.first_seen)?,
                last: time(&entry.last_seen)?,
            },
        })
    }
}

/// Whether a text can name a group, a rule or an upstream in a configuration.
pub(super) fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    text.len() <= MAX_LABEL && begins_well && text.bytes().all(allowed)
}
