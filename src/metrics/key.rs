//! The identity of a counter as one number: its family and label values.

use std::time::Duration;

use dnsgate_core::{
    dns::{Rcode, RecordType, Transport},
    engine::{Ending, FilterCheck, Reason},
};

use super::{
    duration::{BUCKETS, bucket},
    labels::{
        DENIAL_REASONS, DENIALS, NONE, RCODES, TYPES, denial_position, rcode_label, rcode_position,
        type_label, type_position,
    },
    names::{NONE_ID, NameId, OTHER_ID},
};

/// Identifies one counter. Never 0, because 0 marks a free entry of a table.
///
/// From the top: 8 unused bits, 8 bits for the family, 16 for the group's ID, 16 for the rule's ID,
/// 16 for the other labels, which depend on the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(u64);

const QUERIES: u64 = 1;
const DENIED: u64 = 2;
const FILTERED: u64 = 3;
const BUCKET: u64 = 4;
const NANOS: u64 = 5;
const TRUNCATED: u64 = 6;
const SINGLE: u64 = 7;
const NAME: u64 = 8;

/// Bits of the positions of a type, a response code and a verdict.
const TYPE_BITS: usize = 6;
const RCODE_BITS: usize = 4;
const ENDING_BITS: usize = 3;
const _: () = assert!(TYPES <= 1 << TYPE_BITS && RCODES <= 1 << RCODE_BITS);
const _: () = assert!(Ending::ALL.len() <= 1 << ENDING_BITS && BUCKETS <= 1 << 8);

/// The maximum number of counters without an operator's name, that is, of keys after
/// [`Key::nameless`].
pub(crate) const NAMELESS: usize = 4 * Transport::ALL.len() * Ending::ALL.len() * RCODES * TYPES
    + 4 * DENIALS
    + 2 * FilterCheck::ALL.len()
    + Ending::ALL.len() * (BUCKETS + 1)
    + Transport::ALL.len()
    + 3;

impl Key {
    pub(crate) const PANICS: Self = Self::new(SINGLE, NONE_ID, NONE_ID, 0);
    pub(crate) const RATE_LIMITED: Self = Self::new(SINGLE, NONE_ID, NONE_ID, 1);
    pub(crate) const LOG_DROPPED: Self = Self::new(SINGLE, NONE_ID, NONE_ID, 2);

    const fn new(family: u64, group: NameId, rule: NameId, rest: usize) -> Self {
        Self(family << 48 | (group as u64) << 32 | (rule as u64) << 16 | rest as u64)
    }

    /// A counter of `queries_total` and of `rule_queries_total`, which add up what the other tells
    /// apart: one counter costs a query half of what two would.
    pub(crate) fn queries(
        transport: Transport,
        (group, rule): (NameId, NameId),
        ending: Ending,
        rcode: Option<Rcode>,
        qtype: Option<RecordType>,
    ) -> Self {
        let rest = (transport as usize) << ENDING_BITS | ending as usize;
        let rest = rest << RCODE_BITS | rcode_position(rcode);
        let rest = rest << TYPE_BITS | type_position(qtype);
        Self::new(QUERIES, group, rule, rest)
    }

    /// A counter of `denied_total`; `None` if the reason is not a denial.
    pub(crate) fn denied(group: NameId, rule: NameId, reason: Reason) -> Option<Self> {
        Some(Self::new(DENIED, group, rule, denial_position(reason)?))
    }

    /// A counter of `filter_rejected_total`.
    pub(crate) const fn filtered(rule: NameId, check: FilterCheck) -> Self {
        Self::new(FILTERED, NONE_ID, rule, check as usize)
    }

    /// The bucket of `query_duration_seconds` for a latency.
    pub(crate) fn bucket_of(ending: Ending, latency: Duration) -> Self {
        Self::bucket(ending, bucket(latency))
    }

    /// A bucket of `query_duration_seconds`.
    pub(crate) const fn bucket(ending: Ending, bucket: usize) -> Self {
        Self::new(BUCKET, NONE_ID, NONE_ID, (ending as usize) << 8 | bucket)
    }

    /// The sum of `query_duration_seconds`, in nanoseconds.
    pub(crate) const fn nanos(ending: Ending) -> Self {
        Self::new(NANOS, NONE_ID, NONE_ID, ending as usize)
    }

    /// A counter of `truncated_total`.
    pub(crate) const fn truncated(transport: Transport) -> Self {
        Self::new(TRUNCATED, NONE_ID, NONE_ID, transport as usize)
    }

    /// The counter of a name, by the hash of the name and its rule, of which it keeps 48 bits.
    pub(crate) const fn name(hash: u64) -> Self {
        Self(NAME << 48 | hash & ((1 << 48) - 1))
    }

    /// The same key with every operator's name replaced by "other".
    pub(crate) fn nameless(self) -> Self {
        let other = |id| if id == NONE_ID { NONE_ID } else { OTHER_ID };
        let (family, group, rule, rest) = self.parts();
        if u64::from(family) == NAME {
            return Self::name(0);
        }
        Self::new(family.into(), other(group), other(rule), rest.into())
    }

    /// A hash whose lower bits differ for keys that differ in a few bits: the upper half of the
    /// product with the golden ratio's fraction (Knuth, The Art of Computer Programming 6.4).
    pub(crate) const fn hash(self) -> usize {
        (self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
    }

    /// The number that a table stores.
    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    /// Reads a number from a table; `None` for a free entry.
    pub(crate) fn from_place(place: u64) -> Option<Self> {
        (place != 0).then_some(Self(place))
    }

    /// The labels, for families with operator's names as labels.
    pub(crate) fn labels(self) -> Option<KeyLabels> {
        let (family, group, rule, rest) = self.parts();
        let rest = usize::from(rest);
        match u64::from(family) {
            QUERIES => {
                let (rest, qtype) = (rest >> TYPE_BITS, rest & ((1 << TYPE_BITS) - 1));
                let (rest, rcode) = (rest >> RCODE_BITS, rest & ((1 << RCODE_BITS) - 1));
                let (rest, ending) = (rest >> ENDING_BITS, rest & ((1 << ENDING_BITS) - 1));
                Some(KeyLabels::Queries {
                    transport: label_of(&Transport::ALL, rest, Transport::as_str),
                    group,
                    rule,
                    verdict: label_of(&Ending::ALL, ending, Ending::as_str),
                    rcode: rcode_label(rcode),
                    qtype: type_label(qtype),
                })
            }
            DENIED => Some(KeyLabels::Denied {
                group,
                rule,
                reason: label_of(&DENIAL_REASONS, rest, Reason::as_str),
            }),
            FILTERED => Some(KeyLabels::Filtered {
                rule,
                check: label_of(&FilterCheck::ALL, rest, FilterCheck::as_str),
            }),
            _ => None,
        }
    }

    const fn parts(self) -> (u8, NameId, NameId, u16) {
        let [_, family, g1, g0, r1, r0, high, low] = self.0.to_be_bytes();
        let (group, rule) = ([g1, g0], [r1, r0]);
        (
            family,
            NameId::from_be_bytes(group),
            NameId::from_be_bytes(rule),
            u16::from_be_bytes([high, low]),
        )
    }
}

/// The labels of one counter, with operator's names as IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyLabels {
    Queries {
        transport: &'static str,
        group: NameId,
        rule: NameId,
        verdict: &'static str,
        rcode: &'static str,
        qtype: &'static str,
    },
    Denied {
        group: NameId,
        rule: NameId,
        reason: &'static str,
    },
    Filtered {
        rule: NameId,
        check: &'static str,
    },
}

fn label_of<T: Copy>(all: &[T], at: usize, label: fn(T) -> &'static str) -> &'static str {
    all.get(at).map_or(NONE, |&item| label(item))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_counters_share_a_key() {
        let mut seen = BTreeSet::new();
        let mut count = 0;
        let mut add = |key: Key| {
            count += 1;
            assert_ne!(key.0, 0);
            seen.insert(key);
        };
        for transport in Transport::ALL {
            add(Key::truncated(transport));
            for (ending, group) in Ending::ALL
                .into_iter()
                .flat_map(|e| [(0, 0), (1, 0), (7, 1), (65_535, 7)].map(|g| (e, g)))
            {
                for rcode in Rcode::ALL.map(Some).into_iter().chain([None]) {
                    let named = RecordType::NAMED.iter().map(|&(qtype, _)| Some(qtype));
                    for qtype in named.chain([None, Some(RecordType(9999))]) {
                        add(Key::queries(transport, group, ending, rcode, qtype));
                    }
                }
            }
        }
        for ending in Ending::ALL {
            add(Key::nanos(ending));
            (0..BUCKETS).for_each(|bucket| add(Key::bucket(ending, bucket)));
        }
        for rule in [0, 1, 7, 65_535] {
            FilterCheck::ALL
                .into_iter()
                .for_each(|check| add(Key::filtered(rule, check)));
            for group in [0, 1, 65_535] {
                let denied = Reason::ALL
                    .iter()
                    .filter_map(|&reason| Key::denied(group, rule, reason));
                denied.for_each(&mut add);
            }
        }
        for key in [Key::PANICS, Key::RATE_LIMITED, Key::LOG_DROPPED] {
            add(key);
        }
        assert_eq!(seen.len(), count);
        let nameless: BTreeSet<_> = seen.iter().map(|key| key.nameless()).collect();
        assert!(nameless.len() <= NAMELESS, "{}", nameless.len());
    }

    #[test]
    fn a_key_knows_its_labels() {
        let rcode = Some(Rcode::NxDomain);
        let queries = Key::queries(
            Transport::Tcp,
            (7, 300),
            Ending::Denied,
            rcode,
            Some(RecordType::A),
        );
        assert_eq!(
            queries.labels(),
            Some(KeyLabels::Queries {
                transport: "tcp",
                group: 7,
                rule: 300,
                verdict: "denied",
                rcode: "NXDOMAIN",
                qtype: "A"
            })
        );
        let denied = Key::denied(7, 300, Reason::Blocked);
        let want = KeyLabels::Denied {
            group: 7,
            rule: 300,
            reason: "blocked",
        };
        assert_eq!(denied.and_then(Key::labels), Some(want));
        let want = KeyLabels::Filtered {
            rule: 300,
            check: "cname",
        };
        assert_eq!(Key::filtered(300, FilterCheck::Cname).labels(), Some(want));
        assert_eq!(Key::denied(7, 300, Reason::Zone), None);
        assert_eq!(Key::PANICS.labels(), None);
    }
}
