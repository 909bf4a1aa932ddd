//! Counters against exact counts, windows, parties, a full table and learnt names. Time is simulated.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, DefaultHasher},
    net::IpAddr,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{learnt::network_of, sketch::NameSketch, *};
use crate::{
    dns::Name,
    policy::{Budget, BudgetParty, OverBudget},
};

/// Hashes are the same in every run, so that no estimate is unlucky now and then.
type Fixed = BuildHasherDefault<DefaultHasher>;

const HOUR: Duration = Duration::from_secs(3_600);
const MIB: usize = 1 << 20;

const SMALL: Budget = Budget {
    names: 3,
    bytes: 1_000,
    window: HOUR,
    per: BudgetParty::Client,
    over: OverBudget::Deny,
};

struct Clock {
    table: BudgetTable<Fixed>,
    now: Instant,
}

impl Clock {
    fn new(memory: usize) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a moment from which tests count")]
        let now = Instant::now();
        Self {
            table: BudgetTable::with_hasher(memory, [32, 64], Fixed::default()),
            now,
        }
    }

    fn ask(&mut self, budget: Budget, client: &str, name: &str) -> Charge {
        let name: Name = name.parse().expect(name);
        let client = client.parse().expect(client);
        self.table.charge(spending(budget, client, &name), self.now)
    }

    /// `within`, `over`, `OVER` for the first one of a window, or `free`.
    fn told(&mut self, budget: Budget, client: &str, name: &str) -> &'static str {
        match self.ask(budget, client, name) {
            Charge::Free => "free",
            Charge::Within => "within",
            Charge::Over(counted) if counted.is_first => "OVER",
            Charge::Over(_) => "over",
        }
    }
}

fn spending(budget: Budget, client: IpAddr, name: &Name) -> Spending<'_> {
    Spending {
        rule: "r",
        budget,
        group: if client.is_ipv4() { "four" } else { "six" },
        client,
        name: name.as_ref(),
        domain_labels: 2,
    }
}

#[test]
fn distinct_names_and_the_bytes_of_their_labels_count() {
    let mut clock = Clock::new(MIB);
    let report = Budget {
        over: OverBudget::Report,
        bytes: 20,
        ..SMALL
    };
    for (budget, name, want) in [
        (SMALL, "t.example", "free"),
        (SMALL, "example", "free"),
        (SMALL, "a.t.example", "within"),
        (SMALL, "a.t.example", "within"),
        (SMALL, "b.t.example", "within"),
        (SMALL, "c.b.t.example", "within"),
        (SMALL, "d.t.example", "OVER"),
        (SMALL, "e.t.example", "over"),
        (SMALL, "a.t.example", "within"), // it is known, so it tells nothing new
        (SMALL, "d.other.example", "within"), // another domain
        (report, "ten-octets.u.example", "within"),
        (report, "eight-oc.u.example", "within"), // 11 and 9 with their length octets: 20
        (report, "a.u.example", "OVER"),
        (report, "a.u.example", "over"), // it is sent each time, and each time it is too much
    ] {
        assert_eq!(clock.told(budget, "10.0.0.1", name), want, "{name}");
    }
}

#[test]
fn a_window_begins_with_its_first_name_and_ends_by_itself() {
    let mut clock = Clock::new(MIB);
    clock.now += HOUR * 5;
    for name in ["a.t.example", "b.t.example", "c.t.example"] {
        clock.now += HOUR / 4;
        assert_eq!(clock.told(SMALL, "10.0.0.1", name), "within", "{name}");
    }
    let Charge::Over(counted) = clock.ask(SMALL, "10.0.0.1", "d.t.example") else {
        panic!("the fourth name");
    };
    assert_eq!(
        counted.left,
        HOUR / 2,
        "the first name was half an hour ago"
    );
    assert_eq!((counted.count.names, counted.count.bytes), (3, 6));
    clock.now += HOUR / 2;
    assert_eq!(clock.told(SMALL, "10.0.0.1", "d.t.example"), "within");
    // A time before the window, which no monotonic clock shows, changes nothing.
    clock.now -= HOUR * 3;
    assert_eq!(clock.told(SMALL, "10.0.0.1", "d.t.example"), "within");
}

#[test]
fn parties_are_counted_apart_or_together() {
    for (per, same, other) in [
        (BudgetParty::Client, ["10.0.0.1", "10.0.0.1"], "10.0.0.2"),
        (BudgetParty::Client, ["fd00::1", "fd00::2"], "fd00:0:0:1::1"),
        (
            BudgetParty::Client,
            ["10.0.0.1", "::ffff:10.0.0.1"],
            "10.0.0.2",
        ),
        (BudgetParty::Group, ["10.0.0.1", "10.9.9.9"], "fd00::1"),
    ] {
        let mut clock = Clock::new(MIB);
        let budget = Budget {
            names: 1,
            per,
            ..SMALL
        };
        assert_eq!(clock.told(budget, same[0], "a.t.example"), "within");
        assert_eq!(
            clock.told(budget, same[1], "b.t.example"),
            "OVER",
            "{same:?}"
        );
        assert_eq!(
            clock.told(budget, other, "b.t.example"),
            "within",
            "{other}"
        );
    }
    let mut clock = Clock::new(MIB);
    let budget = Budget {
        names: 1,
        per: BudgetParty::Rule,
        ..SMALL
    };
    assert_eq!(clock.told(budget, "10.0.0.1", "a.t.example"), "within");
    assert_eq!(clock.told(budget, "fd00::1", "b.t.example"), "OVER");
}

#[test]
fn a_reload_that_changes_the_budget_keeps_the_count() {
    let mut clock = Clock::new(MIB);
    for name in ["a.t.example", "b.t.example", "c.t.example"] {
        assert_eq!(clock.told(SMALL, "10.0.0.1", name), "within");
    }
    let less = Budget { names: 2, ..SMALL };
    assert_eq!(clock.told(less, "10.0.0.1", "d.t.example"), "OVER");
    let more = Budget { names: 4, ..SMALL };
    assert_eq!(clock.told(more, "10.0.0.1", "d.t.example"), "within");
}

/// Every name of a tunnel is new. What leaves is never more than the budget, also where the sketch
/// estimates.
#[test]
fn a_denying_budget_is_never_exceeded() {
    for names in [1, 100, 1_024, 1_025, 5_000, 20_000] {
        let mut clock = Clock::new(MIB);
        let budget = Budget {
            names,
            bytes: names * 12,
            ..SMALL
        };
        let mut sent = (0, 0);
        for number in 0..2 * names {
            let label = format!("{number:0width$}", width = 8 + number as usize % 8);
            let charge = clock.ask(budget, "10.0.0.1", &format!("{label}.t.example"));
            if charge == Charge::Within {
                sent = (sent.0 + 1, sent.1 + label.len() as u64 + 1);
            }
        }
        assert!(sent.0 <= names && sent.1 <= names * 12, "{names}: {sent:?}");
        // It is not much less either.
        assert!(sent.1 * 10 >= names * 12 * 7, "{names}: {sent:?}");
    }
}

#[test]
fn one_client_with_many_domains_does_not_fill_the_table() {
    let mut clock = Clock::new(16 * MIB);
    for domain in 0..2_000 {
        clock.ask(SMALL, "10.0.0.1", &format!("a.d{domain}.example"));
    }
    assert_eq!(clock.table.len(), MAX_DOMAINS + 1);
    let Charge::Over(counted) = clock.ask(SMALL, "10.0.0.1", "a.e.example") else {
        panic!("the shared counter has seen more than three names");
    };
    assert_eq!(counted.domain, CountedDomain::Others);
    assert_eq!(clock.told(SMALL, "10.0.0.2", "a.e.example"), "within");
    assert_eq!(clock.table.overflowed(), 0);
}

#[test]
fn a_full_table_counts_together_and_stays_bounded() {
    let mut clock = Clock::new(64 << 10);
    let client = |number: u32| IpAddr::from((0x0a00_0000 + number).to_be_bytes()).to_string();
    let mut over = 0;
    for number in 0..2_000 {
        for name in ["a.t.example", "b.t.example"] {
            over += u32::from(
                clock
                    .told(SMALL, &client(number), name)
                    .eq_ignore_ascii_case("over"),
            );
        }
    }
    assert!(clock.table.overflowed() > 1_000);
    assert_eq!(over, 0, "a and b are two names, whoever asks for them");
    assert!(
        clock.table.used() <= (64 << 10) + 512,
        "{}",
        clock.table.used()
    );
    let Charge::Over(counted) = clock.ask(Budget { names: 1, ..SMALL }, "10.9.9.9", "c.t.example")
    else {
        panic!("without room for a counter the shared one decides");
    };
    assert_eq!(counted.domain, CountedDomain::Overflow);
    // Those who have a counter are not touched.
    assert_eq!(clock.told(SMALL, &client(0), "c.t.example"), "within");
    // Once the windows have ended there is room again, without a pause to make it.
    clock.now += HOUR;
    for number in 10_000..10_100 {
        assert_eq!(clock.told(SMALL, &client(number), "a.t.example"), "within");
    }
    assert!(clock.table.used() <= (64 << 10) + 512);
}

#[test]
fn a_full_table_estimates_from_fewer_entries_and_denies_early() {
    let mut clock = Clock::new(16 << 10);
    let many = Budget {
        names: 400,
        bytes: 1 << 30,
        ..SMALL
    };
    let client = |number: u32| IpAddr::from((0x0a00_0000 + number).to_be_bytes()).to_string();
    for number in 0..200 {
        clock.ask(many, &client(number), "a.t.example");
    }
    let mut sent = 0;
    for number in 0..1_000 {
        let charge = clock.ask(many, &client(0), &format!("n{number}.t.example"));
        sent += u64::from(charge == Charge::Within);
    }
    assert!((50..=400).contains(&sent), "{sent}");
}

#[test]
fn names_that_many_networks_ask_for_over_many_hours_cost_nothing() {
    let mut clock = Clock::new(MIB);
    let budget = Budget {
        names: 1,
        over: OverBudget::Report,
        ..SMALL
    };
    for hour in 0..u32::from(LEARNT_HOURS) {
        // A machine of the same network, and one behind Cloud DNS, add nothing.
        for client in [
            format!("10.0.{}.7", hour % 12),
            "10.0.0.8".to_owned(),
            format!("35.199.{}.1", 192 + hour % 32),
        ] {
            let told = clock.told(budget, &client, "popular.t.example");
            assert!(
                told != "free" || hour + 1 == u32::from(LEARNT_HOURS),
                "{hour}"
            );
        }
        clock.ask(budget, "10.0.0.9", "own.t.example");
        clock.ask(
            budget,
            &format!("35.199.{}.1", 192 + hour),
            "drip.t.example",
        );
        clock.now += HOUR;
    }
    assert_eq!(clock.told(budget, "10.7.7.7", "popular.t.example"), "free");
    assert_ne!(clock.told(budget, "10.0.0.9", "own.t.example"), "free");
    assert_ne!(clock.told(budget, "35.199.192.1", "drip.t.example"), "free");
    // For a month nobody asks, and others need the room.
    let popular: Name = "popular.t.example".parse().expect("a name");
    assert!(clock.table.is_free(popular.as_ref()));
    clock.now += HOUR * 24 * 32;
    for number in 0..40_000 {
        clock.ask(budget, "10.0.0.9", &format!("new{number}.t.example"));
    }
    assert!(!clock.table.is_free(popular.as_ref()));
}

#[test]
fn a_flood_of_new_names_does_not_unlearn_names_in_use() {
    let mut clock = Clock::new(MIB);
    for hour in 0..u32::from(LEARNT_HOURS) + 2 {
        clock.ask(SMALL, &format!("10.0.{}.7", hour % 12), "popular.t.example");
        clock.now += HOUR;
    }
    let flood = Budget {
        names: 1_000_000,
        bytes: 1 << 30,
        ..SMALL
    };
    for number in 0..40_000 {
        clock.ask(flood, "10.0.0.9", &format!("new{number}.t.example"));
    }
    assert_eq!(clock.told(SMALL, "10.7.7.7", "popular.t.example"), "free");
}

#[test]
fn the_heaviest_come_first() {
    let mut clock = Clock::new(MIB);
    for number in 0..30 {
        let budget = Budget {
            names: 100,
            over: OverBudget::Report,
            ..SMALL
        };
        for name in 0..=number {
            clock.ask(
                budget,
                &format!("10.0.0.{number}"),
                &format!("n{name}.t.example"),
            );
        }
    }
    let heaviest = clock.table.heaviest(3, clock.now);
    let counts: Vec<u64> = heaviest.iter().map(|counted| counted.count.names).collect();
    assert_eq!(counts, [30, 29, 28]);
    assert_eq!(clock.table.heaviest(3, clock.now + HOUR), []);
    let name: Name = "n.t.example".parse().expect("a name");
    let asked = spending(SMALL, "10.0.0.4".parse().expect("an address"), &name);
    let counted = clock.table.counted(asked, clock.now).expect("it has asked");
    assert_eq!((counted.count.names, counted.left), (5, HOUR));
}

#[test]
fn networks_are_coarser_than_clients() {
    for (client, network) in [
        ("10.1.2.3", "10.1.2.0"),
        ("35.199.192.1", "35.199.192.0"),
        ("35.199.223.255", "35.199.192.0"),
        ("35.199.224.1", "35.199.224.0"),
        ("fd00::1:2:3:4:5", "fd00:0:0:1::"),
        ("::ffff:10.1.2.3", "10.1.2.0"),
    ] {
        let found = network_of(client.parse().expect(client));
        assert_eq!(found, network.parse::<IpAddr>().expect(network), "{client}");
    }
}

/// A number that looks random, the same for the same input.
fn mixed(seed: u64, number: u64) -> u64 {
    use std::hash::BuildHasher as _;
    Fixed::default().hash_one((seed, number))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The bounds of the module's documentation: exact to 1024 names, and within five standard errors
    /// beyond.
    #[test]
    fn the_sketch_keeps_its_error_bounds(
        seed: u64,
        names in prop_oneof![0u64..1_200, 1_200u64..40_000],
        shortest in 2u64..100,
        spread in 1u64..150,
        repeats in 0u64..3,
    ) {
        let mut sketch = NameSketch::new();
        let length = |number| shortest + mixed(seed, number) % spread;
        for _ in 0..=repeats {
            for number in 0..names {
                let length = u8::try_from(length(number)).expect("below 256");
                sketch.add(mixed(seed ^ 1, number), length, true);
            }
        }
        let bytes: u64 = (0..names).map(length).sum();
        let count = sketch.count();
        prop_assert_eq!(count.exact, names <= SKETCH_ENTRIES as u64);
        if count.exact {
            prop_assert_eq!((count.names, count.bytes), (names, bytes));
        } else {
            let error = |found: u64, exact: u64| (found as f64 - exact as f64).abs() / exact as f64;
            let standard = 1.0 / (SKETCH_ENTRIES as f64 - 2.0).sqrt();
            prop_assert!(error(count.names, names) < 5.0 * standard, "{count:?}, not {names}");
            // The lengths vary by less than their mean, so v < 1.
            let of_bytes = 5.0 * standard * 2f64.sqrt();
            prop_assert!(error(count.bytes, bytes) < of_bytes, "{count:?}, not {bytes}");
        }
        prop_assert!(sketch.memory() <= SKETCH_ENTRIES * 8);
    }

    /// Every decision, against exact sets.
    #[test]
    fn the_table_decides_as_exact_counts_do(
        asked in prop::collection::vec((0u8..4, 0u8..3, 0u8..40, 0u64..2_000), 1..300),
        names in 1u64..20,
        bytes in 2u64..60,
        denies: bool,
    ) {
        let over = if denies { OverBudget::Deny } else { OverBudget::Report };
        let budget = Budget { names, bytes, over, ..SMALL };
        let mut clock = Clock::new(4 * MIB);
        let mut exact: HashMap<(u8, u8), (Instant, HashSet<String>)> = HashMap::new();
        for (client, domain, name, passed) in asked {
            clock.now += Duration::from_secs(passed / 10);
            let label = "x".repeat(usize::from(name % 7) + 1) + &name.to_string();
            let (began, sent) = exact.entry((client, domain)).or_insert((clock.now, HashSet::new()));
            if clock.now - *began >= HOUR {
                (*began, *sent) = (clock.now, HashSet::new());
            }
            let mut with = sent.clone();
            with.insert(label.clone());
            let size: usize = with.iter().map(|label| label.len() + 1).sum();
            let fits = with.len() as u64 <= names && size as u64 <= bytes;
            let known = sent.contains(&label);
            let want_within = fits || (denies && known);
            if want_within || !denies {
                *sent = with;
            }
            let told = clock.told(budget, &format!("10.0.0.{client}"), &format!("{label}.d{domain}.example"));
            prop_assert_eq!(told == "within", want_within, "{} {}", told, label);
        }
    }
}
