//! The shipped budget in simulated time: slow tunnels that it reports within a day, and a replay of legitimate questions
//! that it leaves alone. docs/security.md has the figures.

#![expect(clippy::disallowed_methods, reason = "a point to count from")]

mod legitimate;

use std::{
    collections::{BTreeMap, HashSet},
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use dnsgate_config::{PublicSuffix, SHIPPED_BUDGET};
use dnsgate_core::{
    budget::{BudgetTable, Charge, Spending},
    dns::Name,
    policy::{Budget, OverBudget},
};
use legitimate::{DAY, Fleet};

const MIB: usize = 1 << 20;

fn spending<'q>(budget: Budget, client: IpAddr, name: &'q Name) -> Spending<'q> {
    Spending {
        rule: "allowed",
        budget,
        group: "vpc",
        client,
        name: name.as_ref(),
        domain_labels: PublicSuffix::of(name.as_ref()).labels + 1,
    }
}

/// What one tunnel does: a name of so many bytes below its domain, as often as this.
struct SlowTunnel {
    what: &'static str,
    label: usize,
    every: Duration,
    /// The time by which the shipped budget must have reported it.
    within: Duration,
}

/// The slow ways to leave, and when each is reported.
#[test]
fn slow_tunnels_are_reported_within_a_day() {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    for tunnel in [
        SlowTunnel {
            what: "one short name a minute",
            label: 8,
            every: Duration::from_secs(60),
            within: hours(17),
        },
        SlowTunnel {
            what: "one name a minute with 60 bytes",
            label: 60,
            every: Duration::from_secs(60),
            within: hours(17),
        },
        SlowTunnel {
            what: "one full name a minute",
            label: 230,
            every: Duration::from_secs(60),
            within: hours(5),
        },
        SlowTunnel {
            what: "one full name in five minutes",
            label: 230,
            every: Duration::from_secs(300),
            within: hours(24),
        },
        SlowTunnel {
            what: "one name in 80 seconds",
            label: 30,
            every: Duration::from_secs(80),
            within: hours(23),
        },
    ] {
        let mut table = BudgetTable::new(64 * MIB, [32, 64]);
        let (start, client) = (Instant::now(), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
        let mut passed = Duration::ZERO;
        let mut number = 0;
        loop {
            number += 1;
            let name = tunnel_name(number, tunnel.label);
            let charge = table.charge(spending(SHIPPED_BUDGET, client, &name), start + passed);
            if matches!(charge, Charge::Over(_)) {
                break;
            }
            passed += tunnel.every;
            assert!(
                passed <= tunnel.within,
                "{}: not within {:?}",
                tunnel.what,
                tunnel.within
            );
        }
        println!(
            "{}: reported after {:.1} h",
            tunnel.what,
            passed.as_secs_f64() / 3_600.0
        );
    }
}

/// A name of that many bytes below the tunnel's domain, in labels of 63 at most.
fn tunnel_name(number: u64, length: usize) -> Name {
    let digits = format!("{number:0length$x}");
    let labels: Vec<&str> = digits
        .as_bytes()
        .chunks(60)
        .map(|it| str::from_utf8(it).expect("ASCII"))
        .collect();
    format!("{}.t.tunnel.example", labels.join("."))
        .parse()
        .expect("a name")
}

/// Many clients that share the load, each below its own budget, are found if the budget is per rule.
#[test]
fn a_tunnel_over_many_clients_is_reported_per_rule() {
    let budget = Budget {
        per: dnsgate_core::policy::BudgetParty::Rule,
        ..SHIPPED_BUDGET
    };
    let mut table = BudgetTable::new(64 * MIB, [32, 64]);
    let start = Instant::now();
    let over = (0..1_100u32).any(|number| {
        let client = IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        let name = tunnel_name(number.into(), 20);
        let now = start + Duration::from_secs(number.into());
        matches!(
            table.charge(spending(budget, client, &name), now),
            Charge::Over(_)
        )
    });
    assert!(over);
}

/// The replay: none denied, and at most one report in ten thousand client-windows.
#[test]
fn legitimate_questions_stay_within_the_shipped_budget() {
    let clients = environment("DNSGATE_REPLAY_CLIENTS", 2_000);
    let days = environment("DNSGATE_REPLAY_DAYS", 6);
    let mut table = BudgetTable::new(64 * MIB, [32, 64]);
    let start = Instant::now();
    let mut fleet = Fleet::new(clients);
    let (mut asked, mut denied) = (0u64, 0u64);
    let mut windows = HashSet::new();
    let mut reports: BTreeMap<String, u64> = BTreeMap::new();
    let mut heaviest: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
    for day in 0..days {
        fleet.day(day, |shape, client, second, name| {
            asked += 1;
            windows.insert((client, day));
            let now = start + DAY * u32::try_from(day).expect("few") + Duration::from_secs(second);
            let charge = table.charge(spending(SHIPPED_BUDGET, client, name), now);
            if let Charge::Over(counted) = charge {
                denied += u64::from(counted.budget.over == OverBudget::Deny);
                if counted.is_first {
                    *reports
                        .entry(format!("{shape}: {:?}", counted.domain))
                        .or_default() += 1;
                }
            }
        });
        // What the fullest counters have, by the end of the day.
        for counted in table.heaviest(
            3,
            start + DAY * u32::try_from(day + 1).expect("few") - Duration::from_secs(60),
        ) {
            let most = heaviest
                .entry("most names and bytes of one counter")
                .or_default();
            *most = (
                most.0.max(counted.count.names),
                most.1.max(counted.count.bytes),
            );
        }
    }
    let reported: u64 = reports.values().sum();
    println!(
        "{asked} questions, {} client-windows: {denied} denied, {reported} reported {reports:?}; {heaviest:?}; {} counters in {} KiB, {} without room",
        windows.len(),
        table.len(),
        table.used() >> 10,
        table.overflowed(),
    );
    assert!(asked >= 1_000_000 && windows.len() >= 10_000);
    assert_eq!((denied, table.overflowed()), (0, 0));
    assert!(reported * 10_000 <= windows.len() as u64, "{reports:?}");
}

fn environment(name: &str, default: u64) -> u64 {
    let given = std::env::var(name)
        .ok()
        .map(|text| text.parse().expect(name));
    given.unwrap_or(default)
}
