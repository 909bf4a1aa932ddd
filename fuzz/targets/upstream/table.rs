//! The policy of this target, twice: built, and as the rules of the naive policy.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use dnsgate_core::dns::{NameBuf, RecordType, Rrset};
use dnsgate_core::engine::{Partition, Snapshot};
use dnsgate_core::policy::{
    Action, AnswerRanges, CnameMode, DenyWith, Forwarding, Group, GroupId, Policy, Rule,
    RuleOrigin, TypeSet, UpstreamId, ZoneId,
};
use dnsgate_core::zone::parse_zone;
use ipnet::IpNet;

/// The moment at which a rule of the table ends.
pub(super) const UNTIL: u64 = 1_000_000;

/// A client of each group.
pub(super) const SOURCES: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 8, 0, 1]];
const GROUPS: [(&str, &str); 2] = [("vpc", "10.0.0.0/8"), ("build", "10.8.0.0/16")];

const ZONE: &str = "$TTL 300\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 10.0.0.1\nwww A 10.0.0.2\n\
     alias CNAME www.any.example.\n";

/// What a rule of the table does.
#[derive(Clone, Copy)]
enum Does {
    /// The upstream, and the ranges as they are written; none: public ones.
    Forward(u16, &'static [&'static str], CnameMode),
    Zone,
    Answer,
    Deny,
}

const ANY: CnameMode = CnameMode::Any;
const ALLOWED: CnameMode = CnameMode::Allowed;

/// Pattern, group (none: all), whether it ends, what it does, and what it does under the stricter policy.
type Line = (&'static str, Option<u8>, bool, Does, Does);

const RULES: &[Line] = &[
    (
        ".any.example",
        None,
        false,
        Does::Forward(0, &[], ANY),
        Does::Forward(0, &["192.31.196.0/24", "2001:db8::/32"], ALLOWED),
    ),
    (
        ".within.example",
        None,
        false,
        Does::Forward(0, &["192.31.196.0/24", "10.9.0.0/16", "2001:db8::/32"], ANY),
        Does::Forward(0, &["192.31.196.0/25"], ALLOWED),
    ),
    (
        ".strict.example",
        None,
        false,
        Does::Forward(0, &[], ALLOWED),
        Does::Forward(0, &[], ALLOWED),
    ),
    (
        ".other.example",
        None,
        false,
        Does::Forward(1, &[], ANY),
        Does::Deny,
    ),
    (
        ".brief.test",
        None,
        true,
        Does::Forward(0, &[], ANY),
        Does::Forward(0, &[], ANY),
    ),
    (
        "*.build.test",
        Some(1),
        false,
        Does::Forward(0, &[], ANY),
        Does::Forward(0, &[], ANY),
    ),
    ("no.any.example", None, false, Does::Deny, Does::Deny),
    ("fixed.example", None, false, Does::Answer, Does::Answer),
    (".corp.example", None, false, Does::Zone, Does::Zone),
];

/// A policy with its zone and upstreams, its rules for the naive policy, and what each of them does.
pub(super) struct Table {
    pub(super) snapshot: Snapshot,
    naive: Vec<dnsgate_naive::Rule<Vec<u8>>>,
    actions: Vec<Action>,
}

/// The table, or the stricter one.
pub(super) fn table(generation: u64, stricter: bool) -> Result<Table, String> {
    let origin = "corp.example".parse().map_err(|_| "an origin")?;
    let zone = parse_zone(ZONE, &origin, &mut |_| Err("no files here".into()))
        .map_err(|faults| format!("{faults:?}"))?;
    let groups = GROUPS.iter().map(|&(name, cidr)| {
        let group = Group {
            name: name.into(),
            deny_with: None,
        };
        Ok((group, vec![net(cidr)?]))
    });
    let groups = groups.collect::<Result<_, String>>()?;
    let rules = RULES.iter().map(|line| rule(line, stricter));
    let rules = rules.collect::<Result<Vec<_>, String>>()?;
    let actions = rules.iter().map(|rule| rule.action.clone()).collect();
    let policy = Policy::build(groups, rules, DenyWith::Refused);
    let policy = policy.map_err(|error| format!("{error:?}"))?;
    let snapshot = Snapshot::new(generation, policy, vec![zone.zone]);
    Ok(Table {
        snapshot: snapshot.with_upstreams(vec![Partition(0), Partition(1)]),
        naive: RULES.iter().map(naive_rule).collect(),
        actions,
    })
}

fn rule(&(pattern, group, ends, open, strict): &Line, stricter: bool) -> Result<Rule, String> {
    let action = match if stricter { strict } else { open } {
        Does::Forward(upstream, [], cname) => Action::Forward(Forwarding {
            upstream: UpstreamId(upstream),
            answers: AnswerRanges::Public,
            cname,
            budget: None,
        }),
        Does::Forward(upstream, nets, cname) => {
            let nets = nets.iter().map(|text| net(text));
            let nets = nets.collect::<Result<_, _>>()?;
            Action::Forward(Forwarding {
                upstream: UpstreamId(upstream),
                answers: AnswerRanges::Within(nets),
                cname,
                budget: None,
            })
        }
        Does::Zone => Action::Zone(ZoneId(0)),
        Does::Answer => {
            let address = IpAddr::from(SOURCES[0]);
            Action::Answer(vec![Rrset::of_addresses(RecordType::A, 60, &[address])])
        }
        Does::Deny => Action::Deny,
    };
    Ok(Rule {
        name: "rule".into(),
        patterns: vec![
            pattern
                .parse()
                .map_err(|error| format!("{pattern}: {error}"))?,
        ],
        groups: group.map(|group| [GroupId(group)].into_iter().collect()),
        types: TypeSet::ANY,
        until: ends.then(|| at(UNTIL)),
        reason: None,
        deny_with: None,
        action,
        origin: RuleOrigin::Configured,
    })
}

fn naive_rule(&(pattern, group, ends, ..): &Line) -> dnsgate_naive::Rule<Vec<u8>> {
    dnsgate_naive::Rule {
        patterns: vec![dnsgate_naive::Pattern::read(pattern)],
        groups: group.map(|group| vec![group]),
        types: None,
        until: ends.then_some(UNTIL),
        origin: dnsgate_naive::Origin::Configured,
    }
}

pub(super) fn net(text: &str) -> Result<IpNet, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

pub(super) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

impl Table {
    /// What becomes of a name, whatever the type. `None` where no rule applies.
    pub(super) fn action(&self, group: usize, name: &[u8], now: SystemTime) -> Option<&Action> {
        NameBuf::read(name).ok()?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let asked = dnsgate_naive::Question {
            group: group as u8,
            name: dnsgate_naive::wire_labels(name),
            qtype: 0,
            now: now.as_secs(),
        };
        let number = dnsgate_naive::decide(&self.naive, &asked)?;
        self.actions.get(number)
    }
}
