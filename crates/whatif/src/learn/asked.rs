//! Counts the questions of query logs, by name, type and client group, in bounded memory.
//!
//! When the table is full, the entries that were asked for least are dropped, as in lossy counting: what is asked for
//! often stays, however many random names a log holds. What was dropped is counted.

use std::{
    collections::{BTreeSet, HashMap},
    hash::BuildHasher as _,
    net::IpAddr,
};

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::observed::TimesSeen;
use dnsgate_core::{
    dns::{Name, RecordType},
    policy::Policy,
};
use dnsgate_logs::{LogRecord, LoggedEnd};

/// The most entries, some 70 MB.
const MAX_ENTRIES: usize = 300_000;
/// The share of entries that stay when the table is full, in percent.
const KEPT_PERCENT: usize = 60;
/// Clients of a name that are told apart, at least.
const MIN_CLIENTS: usize = 8;
/// The most groups: a configuration can have 64, and a log hardly has more networks.
const MAX_GROUPS: usize = 1000;
/// The most networks that are shown for a group.
const MAX_RANGES: usize = 16;
/// The group of clients that are in none.
pub(super) const NO_GROUP: &str = "(none)";
/// The group for which there is no room.
const OTHER_GROUPS: &str = "(others)";

/// How clients are put into groups.
#[derive(Clone, Copy, Debug)]
pub enum GroupBy<'p> {
    /// All of them together: rules name no group.
    Nothing,
    /// By the client groups of a configuration.
    Policy(&'p Policy),
    /// By the network that the log names: a VPC.
    Network,
    /// By IPv4 networks of this length; IPv6 networks have 64 bits.
    Prefix(u8),
}

/// What the log says of a question, over all times that it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SeenEnds(u8);

impl SeenEnds {
    /// An entry that counts no question, and says that the server decided itself.
    const MARK: u8 = 3;

    fn note(&mut self, end: LoggedEnd, is_mark: bool) {
        let bit = match end {
            LoggedEnd::Unknown | LoggedEnd::Refused if is_mark => return,
            LoggedEnd::Unknown => 0,
            LoggedEnd::Resolved => 1,
            LoggedEnd::NoSuchName => 2,
            LoggedEnd::OwnData if is_mark => Self::MARK,
            LoggedEnd::OwnData => 4,
            LoggedEnd::Blocked => 5,
            LoggedEnd::Refused => 6,
        };
        self.0 |= 1 << bit;
    }

    const fn has(self, bit: u8) -> bool {
        self.0 >> bit & 1 == 1
    }

    /// Whether the server denied it at least once by a policy, or refused it always.
    pub(super) const fn is_blocked(self) -> bool {
        self.has(5) || self.has(6) && !self.has(1) && !self.has(2)
    }

    /// Whether the server answered it from its own data, and never asked another one.
    pub(super) const fn is_own(self) -> bool {
        self.has(Self::MARK) || self.has(4) && !self.has(1)
    }

    /// Whether the name never existed.
    pub(super) const fn is_absent(self) -> bool {
        self.has(2) && !self.has(0) && !self.has(1)
    }
}

/// The questions for one name, of one type, from one group.
#[derive(Clone, Debug)]
pub(super) struct AskedEntry {
    pub(super) rtype: RecordType,
    pub(super) group: u16,
    pub(super) ends: SeenEnds,
    pub(super) seen: TimesSeen,
    /// Hashes of the clients' addresses, up to a number. Two of a thousand addresses have the same hash once in ten
    /// thousand logs.
    pub(super) clients: Vec<u32>,
}

/// The questions of query logs.
#[derive(Debug)]
pub struct AskedNames<'p> {
    group_by: GroupBy<'p>,
    since: Option<Timestamp>,
    most_clients: usize,
    most_entries: usize,
    pub(super) names: HashMap<Name, Vec<AskedEntry>, RandomState>,
    entries: usize,
    groups: Vec<String>,
    group_numbers: HashMap<String, u16>,
    ranges: Vec<BTreeSet<IpAddr>>,
    hasher: RandomState,
    /// The questions in all, and their times.
    pub(super) seen: TimesSeen,
    pub(super) early: u64,
    pub(super) timeless: u64,
    /// Entries that were dropped, and the most questions that one of them had.
    pub(super) dropped: (u64, u64),
}

impl<'p> AskedNames<'p> {
    /// A table without questions. Questions before `since` are left out, and so are those without a time if it is given.
    /// At least `min_clients` clients of a name are told apart.
    #[must_use]
    pub fn new(group_by: GroupBy<'p>, since: Option<Timestamp>, min_clients: usize) -> Self {
        Self {
            group_by,
            since,
            most_clients: min_clients.max(MIN_CLIENTS),
            most_entries: MAX_ENTRIES,
            names: HashMap::default(),
            entries: 0,
            groups: Vec::new(),
            group_numbers: HashMap::new(),
            ranges: Vec::new(),
            hasher: RandomState::default(),
            seen: TimesSeen {
                count: 0,
                first: None,
                last: None,
            },
            early: 0,
            timeless: 0,
            dropped: (0, 0),
        }
    }

    /// The same with room for fewer entries.
    #[cfg(test)]
    pub(super) const fn with_room(mut self, entries: usize) -> Self {
        self.most_entries = entries;
        self
    }

    /// Counts a question.
    pub fn add(&mut self, record: &LogRecord<'_>) {
        if let Some(since) = self.since {
            match record.time {
                Some(time) if time >= since => {}
                Some(_) => {
                    self.early += record.times;
                    return;
                }
                None => {
                    self.timeless += record.times;
                    return;
                }
            }
        }
        let group = self.group(record);
        let client = self.client(record.client);
        let (most_clients, is_mark) = (self.most_clients, record.times == 0);
        let seen = TimesSeen {
            count: record.times,
            first: record.time,
            last: record.time,
        };
        self.seen = self.seen.and(seen);
        let entries = match self.names.get_mut(record.name.wire()) {
            Some(entries) => entries,
            None => self.names.entry(record.name.to_name()).or_default(),
        };
        let found = |entry: &&mut AskedEntry| entry.rtype == record.rtype && entry.group == group;
        match entries.iter_mut().find(found) {
            Some(entry) => {
                entry.seen = entry.seen.and(seen);
                entry.ends.note(record.end, is_mark);
                if entry.clients.len() < most_clients && !entry.clients.contains(&client) {
                    entry.clients.push(client);
                }
            }
            None => {
                let mut ends = SeenEnds::default();
                ends.note(record.end, is_mark);
                entries.push(AskedEntry {
                    rtype: record.rtype,
                    group,
                    ends,
                    seen,
                    clients: vec![client],
                });
                self.entries += 1;
                if self.entries > self.most_entries {
                    self.make_room();
                }
            }
        }
    }

    /// Drops the entries that were asked for least, until there is room.
    fn make_room(&mut self) {
        let room = self.most_entries * KEPT_PERCENT / 100;
        let mut floor = 1;
        while self.entries > room {
            let mut kept = 0;
            self.names.retain(|_, entries| {
                entries.retain(|entry| entry.seen.count > floor);
                kept += entries.len();
                !entries.is_empty()
            });
            self.dropped.0 += (self.entries - kept) as u64;
            self.entries = kept;
            self.dropped.1 = self.dropped.1.max(floor);
            floor *= 2;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
    fn client(&self, client: IpAddr) -> u32 {
        self.hasher.hash_one(client) as u32
    }

    fn group(&mut self, record: &LogRecord<'_>) -> u16 {
        let name = match self.group_by {
            GroupBy::Nothing => return self.number(""),
            GroupBy::Policy(policy) => {
                let group = policy.admit(record.client);
                let group = group.and_then(|id| policy.group_of(id));
                return self.number(group.map_or(NO_GROUP, |group| &*group.name));
            }
            GroupBy::Network => record.network.map_or(NO_GROUP.to_owned(), as_label),
            GroupBy::Prefix(_) => {
                let range = self.range(record.client);
                as_label(&format!("net-{range}"))
            }
        };
        let number = self.number(&name);
        let range = self.range(record.client);
        let ranges = self.ranges.get_mut(usize::from(number));
        if let Some(ranges) = ranges.filter(|ranges| ranges.len() < MAX_RANGES) {
            ranges.insert(range);
        }
        number
    }

    /// The first address of a client's network.
    fn range(&self, client: IpAddr) -> IpAddr {
        let len = self.prefix();
        match client {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                IpAddr::V4((u32::from(v4) & mask).into())
            }
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        }
    }

    const fn prefix(&self) -> u8 {
        match self.group_by {
            GroupBy::Prefix(len) => len,
            _ => 24,
        }
    }

    fn number(&mut self, name: &str) -> u16 {
        if let Some(&number) = self.group_numbers.get(name) {
            return number;
        }
        let name = if self.groups.len() >= MAX_GROUPS {
            OTHER_GROUPS
        } else {
            name
        };
        if let Some(&number) = self.group_numbers.get(name) {
            return number;
        }
        let number = u16::try_from(self.groups.len()).unwrap_or(u16::MAX);
        self.groups.push(name.to_owned());
        self.ranges.push(BTreeSet::new());
        self.group_numbers.insert(name.to_owned(), number);
        number
    }

    /// The name of a group; empty for everybody.
    pub(super) fn group_name(&self, number: u16) -> &str {
        self.groups.get(usize::from(number)).map_or("", |name| name)
    }

    /// The groups that were made, each with the networks of its clients.
    pub(super) fn made_groups(&self) -> Vec<(&str, Vec<String>)> {
        let len = self.prefix();
        let ranges = |ranges: &BTreeSet<IpAddr>| {
            let ranges = ranges.iter().map(|range| match range {
                IpAddr::V4(_) => format!("{range}/{len}"),
                IpAddr::V6(_) => format!("{range}/64"),
            });
            ranges.collect()
        };
        let made = self.groups.iter().zip(&self.ranges);
        let made = made.filter(|(_, ranges)| !ranges.is_empty());
        made.map(|(name, all)| (&**name, ranges(all))).collect()
    }
}

/// A text as the name of a group in a configuration.
fn as_label(text: &str) -> String {
    let kept = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let mut label: String = text.chars().map(kept).take(64).collect();
    if !label.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        label.insert(0, 'x');
        label.truncate(64);
    }
    label
}
