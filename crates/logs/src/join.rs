//! Finds who asked, behind Cloud DNS: dnsgate sees Cloud DNS's own addresses, and Cloud DNS's log has the virtual machines.
//!
//! Both write a line for the same question at nearly the same time. Lines of the same name and type are paired in the order
//! of their times, as long as they are no further apart than the given bound. A denial that is left over beside a line
//! which has a partner is a repetition: Cloud DNS asks another server, too.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use foldhash::fast::RandomState;
use ipnet::IpNet;
use jiff::Timestamp;

use crate::record::{LogFormat, LogRecord, LoggedEnd};
use dnsgate_core::dns::{Name, RecordType};

/// The addresses from which Cloud DNS asks (Google's documentation, "DNS server policies").
pub const CLOUD_DNS_SOURCE: (Ipv4Addr, u8) = (Ipv4Addr::new(35, 199, 192, 0), 19);
/// The most denials that are kept, some 50 MB with their names.
const MAX_DENIALS: usize = 500_000;
/// The most lines of Cloud DNS that are kept, some 50 MB.
const MAX_ASKED: usize = 1_500_000;
/// The most virtual machines.
const MAX_ASKERS: usize = 200_000;

/// Who asked: what Cloud DNS logs of a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JoinedClient {
    /// Its address.
    pub address: IpAddr,
    /// The name of the virtual machine, without the project's number; empty if the log has none.
    pub instance: String,
    /// The network that it is in; empty if the log has none.
    pub network: String,
}

/// A denial of dnsgate.
#[derive(Clone, Copy, Debug)]
struct Denial {
    time: Timestamp,
    /// The reason and rule, in the table of texts.
    why: u32,
}

/// A line of Cloud DNS.
#[derive(Clone, Copy, Debug)]
struct AskedAt {
    time: Timestamp,
    /// The client, in the table of clients.
    client: u32,
}

/// The lines of one question.
#[derive(Debug, Default)]
struct JoinedLines {
    denials: Vec<Denial>,
    asked: Vec<AskedAt>,
}

/// The lines of both logs: first all denials, then Cloud DNS's lines.
#[derive(Debug)]
pub struct DenialJoin {
    within: Duration,
    sources: Vec<IpNet>,
    lines: HashMap<Name, BTreeMap<RecordType, JoinedLines>, RandomState>,
    texts: Table<String>,
    clients: Table<JoinedClient>,
    denials: u64,
    asked: usize,
    report: JoinReport,
}

/// A row of the result: who was denied what, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRow {
    /// Who asked; `None` if it was not found.
    pub client: Option<JoinedClient>,
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
    /// dnsgate's reason, and the rule if there is one.
    pub why: String,
    /// The number of denials.
    pub count: u64,
    /// The time of the first and the last one.
    pub times: (Timestamp, Timestamp),
}

/// The result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinReport {
    /// The rows, the most frequent first.
    pub rows: Vec<JoinRow>,
    /// Denials to Cloud DNS, and those among them whose client was found.
    pub denials: u64,
    /// See `denials`.
    pub matched: u64,
    /// Denials to other clients, which dnsgate's log names itself.
    pub others: u64,
    /// Denials without a time, and denials for which there was no room.
    pub left_out: u64,
    /// Lines of Cloud DNS for a denied question at a time at which dnsgate was not asked: it answered from its cache.
    pub cached: u64,
    /// Lines of Cloud DNS for which there was no room.
    pub dropped: u64,
}

impl DenialJoin {
    /// Pairs lines that are at most `within` apart; `sources` are the addresses from which Cloud DNS asks.
    #[must_use]
    pub fn new(within: Duration, sources: Vec<IpNet>) -> Self {
        Self {
            within,
            sources,
            lines: HashMap::default(),
            texts: Table::default(),
            clients: Table::default(),
            denials: 0,
            asked: 0,
            report: JoinReport::default(),
        }
    }

    /// Takes a line of dnsgate's log.
    pub fn dnsgate(&mut self, record: &LogRecord<'_>) {
        if record.format != LogFormat::Dnsgate || record.end != LoggedEnd::Blocked {
            return;
        }
        if !self
            .sources
            .iter()
            .any(|source| source.contains(&record.client))
        {
            self.report.others += record.times;
            return;
        }
        self.report.denials += 1;
        let (Some(time), true) = (record.time, self.denials < MAX_DENIALS as u64) else {
            self.report.left_out += 1;
            return;
        };
        self.denials += 1;
        let reason = record.reason.unwrap_or("denied");
        let why = match record.rule {
            Some(rule) => printable(&format!("{reason}: rule {rule}")),
            None => printable(reason),
        };
        let why = self.texts.number(why, MAX_DENIALS);
        let types = self.lines.entry(record.name.to_name()).or_default();
        let lines = types.entry(record.rtype).or_default();
        lines.denials.push(Denial { time, why });
    }

    /// Takes a line of Cloud DNS's log, after all lines of dnsgate's.
    pub fn cloud_dns(&mut self, record: &LogRecord<'_>) {
        let (LogFormat::CloudDns, Some(time)) = (record.format, record.time) else {
            return;
        };
        let types = self.lines.get_mut(record.name.wire());
        let Some(lines) = types.and_then(|types| types.get_mut(&record.rtype)) else {
            return;
        };
        if self.asked >= MAX_ASKED {
            self.report.dropped += 1;
            return;
        }
        self.asked += 1;
        // Cloud DNS writes `PROJECT_NUMBER.NAME`.
        let instance = record.host.unwrap_or_default();
        let number_and_name = instance.split_once('.');
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let name = number_and_name.filter(|(number, _)| is_number(number));
        let client = JoinedClient {
            address: record.client,
            instance: printable(name.map_or(instance, |(_, name)| name)),
            network: printable(record.network.unwrap_or_default()),
        };
        let client = self.clients.number(client, MAX_ASKERS);
        lines.asked.push(AskedAt { time, client });
    }

    /// Pairs the lines.
    #[must_use]
    pub fn finish(mut self) -> JoinReport {
        let mut rows: HashMap<(Option<u32>, Name, RecordType, u32), JoinRow> = HashMap::new();
        for (name, types) in std::mem::take(&mut self.lines) {
            for (rtype, mut lines) in types {
                let (found, cached) = lines.pair(self.within);
                self.report.cached += cached;
                for (denial, client) in lines.denials.iter().zip(found) {
                    self.report.matched += u64::from(client.is_some());
                    let key = (client, name.clone(), rtype, denial.why);
                    let row = rows.entry(key).or_insert_with(|| JoinRow {
                        client: client.and_then(|number| self.clients.get(number).cloned()),
                        name: name.clone(),
                        rtype,
                        why: self.texts.get(denial.why).cloned().unwrap_or_default(),
                        count: 0,
                        times: (denial.time, denial.time),
                    });
                    row.count += 1;
                    row.times.0 = row.times.0.min(denial.time);
                    row.times.1 = row.times.1.max(denial.time);
                }
            }
        }
        let mut rows: Vec<_> = rows.into_values().collect();
        rows.sort_by_cached_key(|row| {
            (
                row.client.is_none(),
                u64::MAX - row.count,
                row.client.clone(),
                row.name.to_string(),
                row.rtype.0,
                row.why.clone(),
            )
        });
        self.report.rows = rows;
        self.report
    }
}

impl JoinedLines {
    /// The client of each denial, and the number of Cloud DNS's lines beside which there is no denial.
    fn pair(&mut self, within: Duration) -> (Vec<Option<u32>>, u64) {
        self.denials.sort_by_key(|denial| denial.time);
        self.asked.sort_by_key(|asked| asked.time);
        let is_near =
            |one: Timestamp, other: Timestamp| one.duration_since(other).unsigned_abs() <= within;
        let mut found = Vec::with_capacity(self.denials.len());
        let mut partner = vec![false; self.asked.len()];
        let mut at = 0;
        for denial in &self.denials {
            let early =
                |asked: &AskedAt| asked.time < denial.time && !is_near(asked.time, denial.time);
            while self.asked.get(at).is_some_and(early) {
                at += 1;
            }
            let next = self
                .asked
                .get(at)
                .filter(|asked| is_near(asked.time, denial.time));
            found.push(next.map(|asked| asked.client));
            if next.is_some() {
                if let Some(partner) = partner.get_mut(at) {
                    *partner = true;
                }
                at += 1;
            }
        }
        for (denial, found) in self.denials.iter().zip(&mut found) {
            if found.is_none() {
                // The lines around this time: the last one before it, and the first one after it.
                let after = self.asked.partition_point(|asked| asked.time < denial.time);
                let around = [after.checked_sub(1), Some(after)];
                let around = around
                    .into_iter()
                    .flatten()
                    .filter_map(|at| self.asked.get(at));
                let near = around.filter(|asked| is_near(asked.time, denial.time));
                let nearest =
                    near.min_by_key(|asked| asked.time.duration_since(denial.time).unsigned_abs());
                *found = nearest.map(|asked| asked.client);
            }
        }
        let alone = partner.iter().filter(|has| !**has).count();
        (found, alone as u64)
    }
}

/// A text of a log that a terminal shows and does not obey.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// Values by number, each once.
#[derive(Debug)]
struct Table<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            values: Vec::new(),
        }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Table<T> {
    /// The number of a value; one that has no value if there is no room.
    fn number(&mut self, value: T, most: usize) -> u32 {
        if let Some(&number) = self.numbers.get(&value) {
            return number;
        }
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        if self.values.len() >= most {
            return u32::MAX;
        }
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    fn get(&self, number: u32) -> Option<&T> {
        self.values.get(usize::try_from(number).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `dnsgate` or the instance, the name, the second.
    fn joined(lines: &[(&str, &str, &str)]) -> JoinReport {
        let (address, len) = CLOUD_DNS_SOURCE;
        let source = IpNet::new(address.into(), len).expect("a network");
        let mut join = DenialJoin::new(Duration::from_secs(5), vec![source]);
        for is_dnsgate in [true, false] {
            for (who, name, second) in lines {
                let line = match *who {
                    "dnsgate" | "direct" => format!(
                        "{{\"queryName\":\"{name}\",\"queryType\":\"A\",\"sourceIP\":\"{}\",\"verdict\":\"denied\",\"reason\":\"no_rule\",\"time\":\"2026-11-03T10:00:{second}Z\"}}",
                        if *who == "dnsgate" {
                            "35.199.223.255"
                        } else {
                            "10.0.0.9"
                        }
                    ),
                    host => format!(
                        "{{\"jsonPayload\":{{\"queryName\":\"{name}\",\"queryType\":\"A\",\"sourceIP\":\"10.0.0.1\",\"vmInstanceName\":\"123.{host}\"}},\"timestamp\":\"2026-11-03T10:00:{second}Z\"}}"
                    ),
                };
                let read = crate::read(line.as_bytes(), |record| {
                    if is_dnsgate {
                        join.dnsgate(record);
                    } else {
                        join.cloud_dns(record);
                    }
                });
                assert_eq!(read.expect("readable").questions, 1, "{line}");
            }
        }
        join.finish()
    }

    /// A line for each row.
    fn told(report: &JoinReport) -> String {
        let rows = report.rows.iter().map(|row| {
            let client = row.client.as_ref().map_or("?", |client| &client.instance);
            format!("{client} {} x{}", row.name, row.count)
        });
        rows.collect::<Vec<_>>().join(", ")
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn pairs_lines_by_name_and_time() {
        for (lines, want, cached) in [
            (
                &[
                    ("dnsgate", "a.example", "10.5"),
                    ("web", "A.example", "10.1"),
                ][..],
                "web a.example. x1",
                0,
            ),
            // Two machines at nearly the same time get one denial each.
            (
                &[
                    ("dnsgate", "a.example", "10.5"),
                    ("dnsgate", "a.example", "10.6"),
                    ("web", "a.example", "10.1"),
                    ("app", "a.example", "10.2"),
                ],
                "app a.example. x1, web a.example. x1",
                0,
            ),
            // Cloud DNS asks a second server.
            (
                &[
                    ("dnsgate", "a.example", "10.5"),
                    ("dnsgate", "a.example", "12.5"),
                    ("web", "a.example", "10.1"),
                ],
                "web a.example. x2",
                0,
            ),
            // Too far apart, another name, and a line that comes from Cloud DNS's cache.
            (
                &[
                    ("dnsgate", "a.example", "10.5"),
                    ("web", "a.example", "16.1"),
                ],
                "? a.example. x1",
                1,
            ),
            (
                &[
                    ("dnsgate", "a.example", "16.1"),
                    ("web", "a.example", "10.5"),
                ],
                "? a.example. x1",
                1,
            ),
            (
                &[
                    ("dnsgate", "a.example", "10.5"),
                    ("web", "b.example", "10.1"),
                ],
                "? a.example. x1",
                0,
            ),
            (
                &[
                    ("dnsgate", "a.example", "50.5"),
                    ("web", "a.example", "10.1"),
                    ("app", "a.example", "50.6"),
                ],
                "app a.example. x1",
                1,
            ),
            (
                &[
                    ("direct", "a.example", "10.5"),
                    ("web", "a.example", "10.1"),
                ],
                "",
                0,
            ),
        ] {
            let report = joined(lines);
            assert_eq!(
                (&*told(&report), report.cached),
                (want, cached),
                "{lines:?}"
            );
            let all: u64 = report.rows.iter().map(|row| row.count).sum();
            assert_eq!(all, report.denials, "{lines:?}");
        }
    }
}
