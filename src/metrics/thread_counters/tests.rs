use std::collections::BTreeSet;

use dnsgate_core::engine::{FilterCheck, Reason};

use super::*;

fn denied(group: u16, rule: u16) -> Key {
    Key::denied(group, rule, Reason::Blocked).expect("a denial")
}

#[test]
fn counters_of_all_threads_are_summed_and_stay_when_a_thread_ends() {
    let all = Arc::new(QueryCounters::default());
    let (mut one, mut two) = (all.of_thread(), all.of_thread());
    one.add(Key::PANICS, 1);
    two.add(Key::PANICS, 2);
    two.add(denied(0, 7), 5);
    let want = BTreeMap::from([(Key::PANICS, 3), (denied(0, 7), 5)]);
    assert_eq!(all.sum(), want);
    drop(two);
    assert_eq!(all.sum(), want);
    assert_eq!(locked(&all.0).running.len(), 1);
    one.add(denied(0, 7), 1);
    assert_eq!(all.sum()[&denied(0, 7)], 6);
}

#[test]
fn no_count_is_lost_when_a_table_grows() {
    let all = Arc::new(QueryCounters::default());
    let mut own = all.of_thread();
    let mut last = 0;
    for round in 1..=3 {
        for rule in 0..2_000 {
            own.add(denied(3, rule), 1);
            if rule % 100 == 99 {
                let sum: u64 = all.sum().values().sum();
                assert_eq!(sum, last + 100);
                last = sum;
            }
        }
        assert!(all.sum().values().all(|&count| count == round));
    }
    assert_eq!(last, 6_000);
    assert_eq!(own.table.places.len(), 4_096);
}

#[test]
fn counters_past_the_bound_are_counted_as_other() {
    let all = Arc::new(QueryCounters::default());
    for _ in 0..2 {
        let mut own = all.of_thread();
        for rule in 0..=u16::MAX {
            own.add(denied(7, rule), 1);
        }
        own.add(Key::filtered(2, FilterCheck::Cname), 1);
        assert_eq!(own.table.places.len(), MOST);
    }
    let sum = all.sum();
    assert_eq!(sum.values().sum::<u64>(), 2 * (65_536 + 1));
    assert!(sum.len() < MOST / 2 + NAMELESS, "{}", sum.len());
    assert_eq!(sum[&denied(7, 9)], 2, "who was first keeps the name");
    assert!(sum[&denied(1, 1)] > 60_000);
    assert_eq!(sum[&Key::filtered(1, FilterCheck::Cname)], 2);
}

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
