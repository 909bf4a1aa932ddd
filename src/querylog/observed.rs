//! The names that a policy in observe mode would have denied, with the number of queries, as a
//! basis for new rules. The page `/observed` shows them.
//!
//! The table has `MOST` entries. When a new name finds it full, the `SHARE` entries with the fewest
//! queries are dropped, and among equal ones those not seen for longest. A flood of random names
//! therefore costs little per name and does not displace names that are queried repeatedly. The
//! number of dropped entries is reported (`dropped`).
//!
//! The table survives reloads: names that the operator has allowed since are still in it, with the
//! time when they were last seen.
//!
//! There is one lock, which only observed queries take. Observe mode is a trial in which every
//! query that would be denied is forwarded anyway.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use hashbrown::HashTable;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use dnsgate_core::dns::{Name, NameBuf, NameRef, RecordType, query::HEADER};

use super::record::FinishedQuery;
use crate::metrics::labels::{LabelSet, NONE};

/// Maximum number of entries. An entry takes about 150 bytes plus its name, group and rule: 2 MiB
/// in total, 5 MiB with the longest names. A VPC queries some hundred names outside its own zones,
/// and nobody reads a list of more than ten thousand.
const MOST: usize = 10_000;
/// The number of entries that are dropped at once. Searching for the smallest entry for every new
/// name would let a flood of them hold the lock.
const SHARE: usize = MOST / 10;

/// The page `/observed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedListing {
    /// The current generation when the page was created.
    pub generation: u64,
    /// The number of entries that were dropped because the table was full.
    pub dropped: u64,
    /// The entries, ordered by count, highest first.
    pub observed: Vec<ObservedName>,
}

/// One name and type, queried by one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedName {
    /// The name in zone-file form (RFC 1035 section 5.1), without the final dot; the root is a dot.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub qtype: String,
    /// The group of the clients.
    pub group: String,
    /// The rule that would have denied it; `None` if no rule allows it.
    pub rule: Option<String>,
    /// The number of queries.
    pub count: u64,
    /// Time of the first query (RFC 3339).
    pub first_seen: String,
    /// Time of the last query (RFC 3339).
    pub last_seen: String,
}

/// The observed names so far.
#[derive(Debug, Default)]
pub(crate) struct ObservedNames {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Randomly keyed, because clients choose the names and could choose colliding ones.
    hasher: RandomState,
    rows: HashTable<Row>,
    dropped: u64,
}

#[derive(Debug)]
struct Row {
    name: Name,
    qtype: RecordType,
    group: Box<str>,
    rule: Option<Box<str>>,
    count: u64,
    first: SystemTime,
    last: SystemTime,
}

impl ObservedNames {
    /// Adds an observed query. It always has a question.
    pub(crate) fn add(&self, event: &FinishedQuery<'_>, labels: &LabelSet) {
        let question = event.query.get(HEADER..).map(NameBuf::read);
        let (Some(Ok((name, _))), Some(qtype)) = (question, event.outcome.qtype) else {
            return;
        };
        let group = event.outcome.group;
        let group = group.map_or(NONE, |group| labels.group(group));
        let rule = event.outcome.rule.map(|rule| labels.rule(rule));
        let mut table = self.lock();
        let hash = table
            .hasher
            .hash_one((name.as_ref().wire(), qtype.0, group));
        let row = table.row(hash, (name.as_ref(), qtype, group), event.time);
        row.count += 1;
        row.first = row.first.min(event.time);
        row.last = row.last.max(event.time);
        if row.rule.as_deref() != rule {
            row.rule = rule.map(Box::from);
        }
    }

    /// Creates the page.
    pub(crate) fn read(&self, generation: u64) -> ObservedListing {
        let table = self.lock();
        let mut page = ObservedListing {
            generation,
            dropped: table.dropped,
            observed: table.rows.iter().map(Row::entry).collect(),
        };
        drop(table);
        page.observed.sort_unstable_by(|a, b| {
            let by_count = b.count.cmp(&a.count);
            by_count.then_with(|| (&a.name, &a.qtype, &a.group).cmp(&(&b.name, &b.qtype, &b.group)))
        });
        page
    }

    /// A poisoned table is usable, because its rows are complete.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// The row of a name, type and group. Creates it with count 0 if necessary.
    fn row(
        &mut self,
        hash: u64,
        key: (NameRef<'_>, RecordType, &str),
        now: SystemTime,
    ) -> &mut Row {
        let same = |row: &Row| row.key() == key;
        if self.rows.len() >= MOST && self.rows.find(hash, same).is_none() {
            self.make_room();
        }
        let Self { hasher, rows, .. } = self;
        let (name, qtype, group) = key;
        let row = rows.entry(hash, same, |row| row.hash(hasher));
        row.or_insert_with(|| Row {
            name: name.to_name(),
            qtype,
            group: group.into(),
            rule: None,
            count: 0,
            first: now,
            last: now,
        })
        .into_mut()
    }

    /// Drops the [`SHARE`] entries with the fewest queries.
    fn make_room(&mut self) {
        let mut ranks: Vec<_> = self.rows.iter().map(|row| (row.count, row.last)).collect();
        let (_, &mut most, _) = ranks.select_nth_unstable(SHARE - 1);
        let mut left = SHARE;
        self.rows.retain(|row| {
            let goes = left > 0 && (row.count, row.last) <= most;
            left -= usize::from(goes);
            !goes
        });
        self.dropped += (SHARE - left) as u64;
    }
}

impl Row {
    fn key(&self) -> (NameRef<'_>, RecordType, &str) {
        (self.name.as_ref(), self.qtype, &self.group)
    }

    fn hash(&self, hasher: &RandomState) -> u64 {
        hasher.hash_one((self.name.as_ref().wire(), self.qtype.0, &*self.group))
    }

    fn entry(&self) -> ObservedName {
        let mut name = self.name.to_string();
        if !self.name.as_ref().is_root() {
            name.pop();
        }
        ObservedName {
            name,
            qtype: self.qtype.to_string(),
            group: self.group.to_string(),
            rule: self.rule.as_deref().map(str::to_owned),
            count: self.count,
            first_seen: shown(self.first),
            last_seen: shown(self.last),
        }
    }
}

/// The time, rounded to a second; empty if RFC 3339 cannot represent its year.
fn shown(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| String::new(), |time| format!("{time:.0}"))
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::Arc,
        time::{Duration, UNIX_EPOCH},
    };

    use super::*;
    use crate::{
        metrics::labels::{Labels, Names},
        telemetry::Latency,
    };
    use dnsgate_core::{
        dns::Transport,
        engine::{GroupId, Outcome, Reason, RuleId},
    };

    fn labels() -> Arc<LabelSet> {
        let names = Names::default();
        let labels = Labels {
            groups: vec!["build".to_owned(), "web".to_owned()],
            rules: vec!["no-gists".to_owned()],
            upstreams: Vec::new(),
        };
        names.load(1, labels);
        names.of(1)
    }

    fn outcome(group: u8, rule: Option<u32>, qtype: RecordType) -> Outcome {
        Outcome {
            group: Some(GroupId(group)),
            rule: rule.map(RuleId),
            qtype: Some(qtype),
            ..Outcome::new(Reason::Observed)
        }
    }

    /// Adds a query for a name, so many seconds after the beginning of 1970.
    fn add(record: &ObservedNames, name: &[u8], outcome: Outcome, at: u64) {
        let packet = [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0", name, b"\0\x01\0\x01"].concat();
        let event = FinishedQuery {
            outcome,
            transport: Transport::Udp,
            source: SocketAddr::from(([10, 0, 0, 5], 4242)),
            query: &packet,
            reply: &[],
            rejected: None,
            time: UNIX_EPOCH + Duration::from_secs(at),
            latency: Latency::Known(Duration::ZERO),
            generation: 1,
        };
        record.add(&event, &labels());
    }

    #[test]
    fn names_are_counted_by_type_and_group_whatever_their_case() {
        let record = ObservedNames::default();
        let a = RecordType::A;
        for at in [30, 10, 20] {
            add(&record, b"\x01X\x03Y.Z\0", outcome(0, Some(0), a), at);
        }
        add(&record, b"\x01x\x03y.z\0", outcome(1, None, a), 5);
        add(
            &record,
            b"\x01x\x03y.z\0",
            outcome(0, None, RecordType(65280)),
            5,
        );
        add(&record, b"\0", outcome(0, None, a), 5);
        let page = record.read(4);
        assert_eq!((page.generation, page.dropped), (4, 0));
        let shown: Vec<_> = page
            .observed
            .iter()
            .map(|it| {
                (
                    it.name.as_str(),
                    it.qtype.as_str(),
                    it.group.as_str(),
                    it.count,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                (r"x.y\.z", "A", "build", 3),
                (".", "A", "build", 1),
                (r"x.y\.z", "A", "web", 1),
                (r"x.y\.z", "TYPE65280", "build", 1),
            ]
        );
        let first = &page.observed[0];
        assert_eq!(first.rule.as_deref(), Some("no-gists"));
        assert_eq!(first.first_seen, "1970-01-01T00:00:10Z");
        assert_eq!(first.last_seen, "1970-01-01T00:00:30Z");
    }

    #[test]
    fn the_rule_is_the_last_one_that_would_have_denied() {
        let record = ObservedNames::default();
        add(&record, b"\x01x\0", outcome(0, Some(0), RecordType::A), 1);
        add(&record, b"\x01x\0", outcome(0, None, RecordType::A), 2);
        let page = record.read(1);
        assert_eq!(page.observed.len(), 1);
        assert_eq!(page.observed[0].rule, None);
    }

    #[test]
    fn a_packet_without_a_question_is_not_observed() {
        let record = ObservedNames::default();
        add(&record, b"\xc0\x0c", outcome(0, None, RecordType::A), 1);
        add(&record, b"\x01x\0", Outcome::new(Reason::Observed), 1);
        assert_eq!(
            record.read(1),
            ObservedListing {
                generation: 1,
                ..ObservedListing::default()
            }
        );
    }

    #[test]
    fn a_flood_of_names_pushes_out_nothing_that_is_asked_for_again() {
        let record = ObservedNames::default();
        let a = RecordType::A;
        for at in 0..100_u8 {
            for _ in 0..2 {
                add(&record, &[1, b'-', 1, at + 128, 0], outcome(0, None, a), 0);
            }
        }
        let flood = 3 * MOST;
        for at in 0..flood {
            let name = [b"\x08", format!("{at:08}").as_bytes(), b"\0"].concat();
            add(&record, &name, outcome(0, None, a), 1 + at as u64);
        }
        let page = record.read(1);
        assert!(page.observed.len() <= MOST && page.observed.len() > MOST - SHARE);
        let gone = 100 + flood - page.observed.len();
        assert_eq!(page.dropped, gone as u64);
        assert!(page.observed.iter().take(100).all(|it| it.count == 2));
        let last = format!("{:08}", flood - 1);
        assert!(
            page.observed.iter().any(|it| it.name == last),
            "the newest stay"
        );
        assert!(!page.observed.iter().any(|it| it.name == "00000000"));
    }

    #[test]
    fn the_page_is_what_it_is_read_from() {
        let record = ObservedNames::default();
        add(&record, b"\x01x\0", outcome(0, None, RecordType::A), 1);
        let json = serde_json::to_value(record.read(3)).expect("JSON");
        assert_eq!(
            json,
            serde_json::json!({
                "generation": 3,
                "dropped": 0,
                "observed": [{
                    "name": "x", "type": "A", "group": "build", "rule": null, "count": 1,
                    "firstSeen": "1970-01-01T00:00:01Z", "lastSeen": "1970-01-01T00:00:01Z",
                }],
            })
        );
        let read: ObservedListing = serde_json::from_value(json).expect("the page");
        assert_eq!(read, record.read(3));
    }
}
