//! What a policy that is observed only would have denied: names, types and groups, counted. From it
//! `dnsgate learn` writes the rules that would allow it.
//!
//! Names are told here that no metric may have; so the page shows them only where a policy is
//! observed, on a port that is the operator's. The table is locked by each query that is observed,
//! and by none in a policy that is enforced.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dns::{Query, RecordType};

use super::{labels::Labels, ledger::Ledger, recorder::Event};

/// The most different questions that are kept: some 200 bytes each, 2 MB in all. A VPC that asks
/// for more than these needs another way than an allowlist.
const MOST: usize = 10_000;

/// A question, and who asked it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    /// The name in wire form, lower case.
    name: Box<[u8]>,
    qtype: RecordType,
    /// The names of the group and of the rule that would have denied.
    group: Box<str>,
    rule: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    count: u64,
    first: SystemTime,
    last: SystemTime,
}

#[derive(Debug, Default)]
struct Table {
    asked: HashMap<Asked, Seen>,
    dropped: u64,
}

/// The record.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Table>);

/// The page `/observed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The generation of the configuration in force.
    pub generation: u64,
    /// Queries for questions that the record had no room for.
    pub dropped: u64,
    /// The questions, those asked most often first.
    pub observed: Vec<Entry>,
}

/// One question that would have been denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The name, as in a zone file, without the dot at its end.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub qtype: String,
    /// The client group.
    pub group: String,
    /// The rule that would have denied; `None` where none allows.
    pub rule: Option<String>,
    /// How often it was asked.
    pub count: u64,
    /// When it was asked first (RFC 3339).
    pub first_seen: String,
    /// When it was asked last.
    pub last_seen: String,
}

impl Record {
    /// Notes a query that would have been denied.
    pub(super) fn note(&self, event: &Event<'_>, ledger: &Ledger) {
        let Ok(query) = Query::parse(event.query) else {
            return;
        };
        let labels = ledger.labels(event.generation);
        let asked = asked(&query, event, &labels);
        let mut table = self.lock();
        let full = table.asked.len() >= MOST;
        if let Some(seen) = table.asked.get_mut(&asked) {
            seen.count += 1;
            seen.last = seen.last.max(event.time);
        } else if full {
            table.dropped += 1;
        } else {
            let seen = Seen {
                count: 1,
                first: event.time,
                last: event.time,
            };
            table.asked.insert(asked, seen);
        }
    }

    /// The page.
    pub(super) fn page(&self, generation: u64) -> Observed {
        let table = self.lock();
        let mut observed: Vec<Entry> = table.asked.iter().map(entry).collect();
        let dropped = table.dropped;
        drop(table);
        observed.sort_by(|one, other| {
            let key = |entry: &Entry| (entry.name.clone(), entry.qtype.clone());
            other
                .count
                .cmp(&one.count)
                .then_with(|| key(one).cmp(&key(other)))
        });
        Observed {
            generation,
            dropped,
            observed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn asked(query: &Query<'_>, event: &Event<'_>, labels: &Labels) -> Asked {
    let outcome = &event.outcome;
    Asked {
        name: query.name().wire().into(),
        qtype: query.qtype(),
        group: labels.group(outcome.group).into(),
        rule: outcome.rule.map(|rule| labels.rule(Some(rule)).into()),
    }
}

fn entry((asked, seen): (&Asked, &Seen)) -> Entry {
    let name = crate::dns::NameBuf::read(&asked.name);
    let name = name.map_or_else(|_| String::new(), |(name, _)| name.as_ref().to_string());
    let shown = match name.strip_suffix('.') {
        Some("") | None => name.clone(),
        Some(name) => name.to_owned(),
    };
    let time = |time| Timestamp::try_from(time).map_or_else(|_| String::new(), |at| at.to_string());
    Entry {
        name: shown,
        qtype: asked.qtype.to_string(),
        group: asked.group.to_string(),
        rule: asked.rule.as_deref().map(str::to_owned),
        count: seen.count,
        first_seen: time(seen.first),
        last_seen: time(seen.last),
    }
}
