//! Sources that are made by dice, and the questions about them. Every run makes the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::SocketAddr,
};

use dnsgate_core::dns::{Name, RecordType};

use crate::differential_nsd::wire::Question;

/// Labels of the names; few, so that names meet.
const LABELS: [&str; 5] = ["a", "b", "c", "api", "x-1"];
/// Ends of the names; no engine knows anything about them.
const ENDS: [&str; 3] = ["xa", "corp.xa", "xb"];
/// Names in each policy zone.
const TRIGGERS: usize = 150;
const ACTIONS: [&str; 8] = [
    "CNAME .",
    "CNAME .",
    "CNAME *.",
    "CNAME rpz-passthru.",
    "CNAME rpz-passthru.",
    "A 10.0.0.1",
    "AAAA fd00::2",
    "TXT \"local\"",
];
/// The types of questions.
const TYPES: [RecordType; 4] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::TXT,
    RecordType::MX,
];

/// Splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A name of up to three labels above an end.
    fn name(&mut self) -> String {
        let labels = (0..self.below(4))
            .map(|_| self.pick(&LABELS))
            .collect::<Vec<_>>();
        let end = self.pick(&ENDS);
        labels
            .into_iter()
            .chain([end])
            .collect::<Vec<_>>()
            .join(".")
    }
}

/// Two policy zones, whose order counts.
pub(super) fn policy_zones() -> Vec<(String, String)> {
    let mut dice = Dice(17);
    ["one", "two"].map(|zone| {
        let mut triggers: BTreeMap<String, &str> = BTreeMap::new();
        for _ in 0..TRIGGERS {
            let name = dice.name();
            let action = dice.pick(&ACTIONS);
            if dice.below(3) == 0 {
                triggers.insert(format!("*.{name}"), action);
            } else {
                triggers.insert(name, action);
            }
        }
        triggers.insert("*literal.xa".to_owned(), "CNAME .");
        let mut text = format!("$TTL 60\n$ORIGIN {zone}.rpz.\n@ SOA ns.{zone}.rpz. h.{zone}.rpz. 1 3600 600 86400 60\n@ NS ns.elsewhere.xc.\n");
        // Shows that the policy is in force.
        triggers.insert(format!("loaded.{zone}.xc"), "CNAME .");
        for (name, action) in triggers {
            let _ = writeln!(text, "{name} {action}");
        }
        (format!("{zone}.rpz"), text)
    })
    .into()
}

/// Questions about every name of the policy zones and the names around them.
pub(super) fn questions_about_policies() -> Vec<Question> {
    let mut names = BTreeSet::from([
        "literal.xa".to_owned(),
        "aliteral.xa".to_owned(),
        "unrelated.xd".to_owned(),
    ]);
    for (_, text) in policy_zones() {
        for line in text.lines().skip(4) {
            let owner = line.split(' ').next().unwrap_or_default();
            names.extend(around(owner.trim_start_matches("*.")));
        }
    }
    names.extend(deeper(&names));
    questions(&names)
}

/// A name, the names above it, and some below and beside it.
fn around(name: &str) -> Vec<String> {
    let mut names = vec![
        name.to_owned(),
        format!("q.{name}"),
        format!("b.a.{name}"),
        format!("x{name}"),
    ];
    let mut above = name;
    while let Some((_, rest)) = above.split_once('.') {
        names.extend([rest.to_owned(), format!("zz.{rest}")]);
        above = rest;
    }
    names
}

/// A name below each of these.
fn deeper(names: &BTreeSet<String>) -> Vec<String> {
    let mut dice = Dice(5);
    names
        .iter()
        .map(|name| format!("{}.{name}", dice.pick(&LABELS)))
        .collect()
}

fn questions(names: &BTreeSet<String>) -> Vec<Question> {
    let mut dice = Dice(3);
    let mut questions = Vec::new();
    for text in names.iter().filter(|name| !name.contains('*')) {
        let name: Name = text.parse().expect("a name");
        for qtype in TYPES {
            let mut wire = name.as_ref().wire().to_vec();
            if dice.below(2) == 0 {
                wire.make_ascii_uppercase(); // lengths of labels are below the letters
            }
            questions.push(Question {
                name: wire,
                qtype: qtype.0,
                edns: None,
                recursion_desired: true,
                over_tcp: false,
            });
        }
    }
    questions
}

/// Types of local zones; those that drop are left out, because a test would wait for nothing.
const ZONES: [&str; 12] = [
    "static",
    "refuse",
    "redirect",
    "transparent",
    "typetransparent",
    "always_nxdomain",
    "always_refuse",
    "always_nodata",
    "always_null",
    "always_transparent",
    "inform",
    "transparent",
];

/// The names of local zones, local data and forward zones.
struct Parts {
    zones: BTreeMap<String, &'static str>,
    data: BTreeMap<String, Vec<&'static str>>,
    forwards: BTreeSet<String>,
    denies_the_rest: bool,
}

fn parts(seed: u64) -> Parts {
    let mut dice = Dice(100 + seed);
    let zones: BTreeMap<_, _> = (0..30).map(|_| (dice.name(), dice.pick(&ZONES))).collect();
    let mut data: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for _ in 0..40 {
        let records: &[&str] = dice.pick(&[
            &["A 10.0.0.3"][..],
            &["A 10.0.0.4", "AAAA fd00::4"],
            &["TXT \"data\""],
        ]);
        data.insert(dice.name(), records.to_vec());
    }
    // The data of a zone that redirects stand at its own name.
    for (name, kind) in &zones {
        if *kind == "redirect" {
            data.insert(name.clone(), vec!["A 10.0.0.5"]);
        }
    }
    // Unbound refuses data below a zone that redirects.
    let redirects: Vec<&String> = zones
        .iter()
        .filter(|(_, kind)| **kind == "redirect")
        .map(|(name, _)| name)
        .collect();
    data.retain(|name, _| {
        !redirects.iter().any(|zone| {
            name.ends_with(&format!(".{zone}"))
                && !zones.keys().any(|other| {
                    other.len() > zone.len()
                        && (name == other || name.ends_with(&format!(".{other}")))
                })
        })
    });
    let forwards = (0..8).map(|_| dice.name()).collect();
    Parts {
        zones,
        data,
        forwards,
        denies_the_rest: seed == 1,
    }
}

/// Unbound's file: local zones and data, forward zones to `inside`, everything else to `upstream`, or (one of them) an allowlist.
pub(super) fn unbound(seed: u64, upstream: SocketAddr, inside: SocketAddr) -> String {
    let Parts {
        zones,
        data,
        forwards,
        denies_the_rest,
    } = parts(seed);
    let mut text = "server:\n  access-control: 127.0.0.0/8 allow\n".to_owned();
    if denies_the_rest {
        text += "  local-zone: \".\" refuse\n";
    }
    for (name, kind) in zones {
        let _ = writeln!(text, "  local-zone: \"{name}.\" {kind}");
    }
    for (name, records) in data {
        for record in records {
            let _ = writeln!(text, "  local-data: '{name}. 60 IN {record}'");
        }
    }
    let mut forward = |name: &str, server: SocketAddr| {
        let _ = writeln!(
            text,
            "forward-zone:\n  name: \"{name}\"\n  forward-addr: {}@{}",
            server.ip(),
            server.port()
        );
    };
    forward(".", upstream);
    forwards
        .iter()
        .for_each(|name| forward(&format!("{name}."), inside));
    text
}

pub(super) fn questions_about_unbound(seed: u64) -> Vec<Question> {
    let Parts {
        zones,
        data,
        forwards,
        ..
    } = parts(seed);
    let own = zones.keys().chain(data.keys()).chain(&forwards);
    let mut names: BTreeSet<String> = own.flat_map(|name| around(name)).collect();
    names.extend(deeper(&names));
    names.extend(deeper(&names));
    questions(&names)
}
