//! Any packet, from any client, at any time, against a policy with something of everything.
//!
//! Held: the engine does not panic; a reply is not larger than the client and the transport allow; hickory-proto can
//! read it, and it belongs to the question; and what the engine made of the question is what the naive policy, a scan over
//! all rules, says that it must be.
//!
//! The first byte of the input chooses client, transport and time, the rest is the packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use dnsgate_core::dns::{Query, RecordType, Rrset, Transport};
use dnsgate_core::engine::{
    self, Client, Context, Ending, GroupId, Outcome, Reason, Snapshot, Step,
};
use dnsgate_core::policy::{Action, DenyWith, Group, Policy, Rule, RuleOrigin, TypeSet, ZoneId};
use dnsgate_core::zone::{Zone, parse_zone};
use hickory_proto::op::{Message, MessageType};

/// The moment at which a rule of the table ends.
const UNTIL: u64 = 1_000_000;

const GROUPS: &[(&str, Option<DenyWith>, &[&str])] = &[
    ("vpc", None, &["10.0.0.0/8", "fc00::/7"]),
    ("build", None, &["10.8.0.0/16"]),
    ("cloud-dns", Some(DenyWith::NxDomain), &["35.199.192.0/19"]),
];

/// Where the first three bits of the input say that the packet comes from. The last is an unknown client.
const SOURCES: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)),
    IpAddr::V4(Ipv4Addr::new(10, 8, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(35, 199, 192, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x0a08, 1)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
];

/// Zones with every way that a look-up can end: see RFC 1034 section 4.3.2.
const ZONES: &[(&str, &str)] = &[
    (
        "example",
        "$TTL 300\n\
         @ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 10.0.0.1\n\
         www A 10.0.0.2\nwww AAAA fd00::2\nwww TXT \"a text\"\n\
         alias CNAME www\nlong CNAME l1\nl1 CNAME l2\nl2 CNAME l3\nl3 CNAME www.corp\n\
         loop CNAME pool\npool CNAME loop\nout CNAME www.elsewhere.test.\n\
         *.wild A 10.0.0.3\n*.wild MX 10 www\na.b.c TXT deep\nold DNAME corp\n\
         cut NS ns.cut\nns.cut A 10.0.0.4\nsrv SRV 0 0 53 www\nsvc HTTPS 1 www alpn=h2\n\
         large TXT \"0123456789012345678901234567890123456789012345678901234567890123456789\"\n",
    ),
    (
        "corp.example",
        "@ 60 SOA . . 1 2 3 4 5\n@ 60 NS ns.example.\nwww 60 A 10.1.0.1\n* 60 CNAME www\n",
    ),
];

/// What a rule of the table does.
enum Does {
    Zone(u32),
    Answer,
    Deny(Option<DenyWith>),
}

/// Patterns, the groups (none: all), the types (none: all), whether it ends, what it does.
type Line = (&'static str, &'static [u8], &'static [u16], bool, Does);

const RULES: &[Line] = &[
    (".example", &[], &[], false, Does::Zone(0)),
    (".corp.example", &[], &[], false, Does::Zone(1)),
    (
        "secret.example *.secret.example",
        &[],
        &[],
        false,
        Does::Deny(None),
    ),
    ("www.secret.example", &[1], &[], false, Does::Zone(0)),
    (
        ".wild.example",
        &[2],
        &[16],
        false,
        Does::Deny(Some(DenyWith::NoData)),
    ),
    (
        "w.wild.example",
        &[],
        &[1, 28],
        true,
        Does::Deny(Some(DenyWith::Drop)),
    ),
    ("old.example", &[0, 1], &[], true, Does::Answer),
    ("db.legacy.test", &[], &[], false, Does::Answer),
    (
        ".legacy.test",
        &[],
        &[1],
        false,
        Does::Deny(Some(DenyWith::NxDomain)),
    ),
    ("*.vendor.test", &[1], &[], true, Does::Answer),
    (
        "*.vendor.test",
        &[],
        &[],
        false,
        Does::Deny(Some(DenyWith::Refused)),
    ),
];

/// The snapshot, and its rules for the naive policy.
struct Fixture {
    snapshot: Snapshot,
    naive: Vec<dnsgate_naive::Rule<Vec<u8>>>,
}

static FIXTURE: LazyLock<Result<Fixture, String>> = LazyLock::new(|| {
    let zones = ZONES
        .iter()
        .map(|(origin, text)| zone(origin, text))
        .collect::<Result<_, _>>()?;
    let mut groups = Vec::new();
    for (name, deny_with, cidrs) in GROUPS {
        let cidrs = cidrs
            .iter()
            .map(|cidr| cidr.parse())
            .collect::<Result<_, _>>();
        groups.push((
            Group {
                name: (*name).into(),
                deny_with: *deny_with,
            },
            cidrs.map_err(|error: ipnet::AddrParseError| error.to_string())?,
        ));
    }
    let rules = RULES.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    let policy =
        Policy::build(groups, rules, DenyWith::Refused).map_err(|error| format!("{error:?}"))?;
    Ok(Fixture {
        snapshot: Snapshot::new(1, policy, zones),
        naive: RULES.iter().map(naive_rule).collect(),
    })
});

fn zone(origin: &str, text: &str) -> Result<Zone, String> {
    let origin = origin
        .parse()
        .map_err(|error| format!("{origin}: {error}"))?;
    let parsed = parse_zone(text, &origin, &mut |_| Err("no files here".into()));
    parsed
        .map(|parsed| parsed.zone)
        .map_err(|faults| format!("{faults:?}"))
}

fn rule((patterns, groups, types, ends, does): &Line) -> Result<Rule, String> {
    let patterns = patterns.split(' ').map(|pattern| {
        pattern
            .parse()
            .map_err(|error| format!("{pattern}: {error}"))
    });
    let types = types.iter().map(|&number| RecordType(number));
    Ok(Rule {
        name: "rule".into(),
        patterns: patterns.collect::<Result<_, _>>()?,
        groups: (!groups.is_empty())
            .then(|| groups.iter().map(|&number| GroupId(number)).collect()),
        types: if types.len() == 0 {
            TypeSet::ANY
        } else {
            types.collect()
        },
        until: ends.then(|| at(UNTIL)),
        reason: None,
        deny_with: if let Does::Deny(with) = does {
            *with
        } else {
            None
        },
        action: match does {
            Does::Zone(number) => Action::Zone(ZoneId(*number)),
            Does::Answer => {
                Action::Answer(vec![Rrset::of_addresses(RecordType::A, 60, &SOURCES[..1])])
            }
            Does::Deny(_) => Action::Deny,
        },
        origin: RuleOrigin::Configured,
    })
}

fn naive_rule((patterns, groups, types, ends, _): &Line) -> dnsgate_naive::Rule<Vec<u8>> {
    dnsgate_naive::Rule {
        patterns: patterns
            .split(' ')
            .map(dnsgate_naive::Pattern::read)
            .collect(),
        groups: (!groups.is_empty()).then(|| groups.to_vec()),
        types: (!types.is_empty()).then(|| types.to_vec()),
        until: ends.then_some(UNTIL),
        origin: dnsgate_naive::Origin::Configured,
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Checks one input.
pub(crate) fn check(data: &[u8]) {
    let Some((&choices, packet)) = data.split_first() else {
        return;
    };
    let fixture = FIXTURE.as_ref();
    assert!(
        fixture.is_ok(),
        "the table of this target makes no policy: {:?}",
        fixture.err()
    );
    let Ok(fixture) = fixture else { return };

    let source = SOURCES[usize::from(choices & 7) % SOURCES.len()];
    let transport = Transport::ALL[usize::from(choices >> 3 & 1)];
    let now = UNTIL - u64::from(choices >> 4 & 1);
    let mut out = vec![0; engine::max_reply(transport)];
    match engine::begin(
        packet,
        Client { source, transport },
        &Context::new(&fixture.snapshot, at(now)),
        &mut out,
    ) {
        Step::Reply { len, outcome, .. } => {
            assert!(len <= out.len(), "the reply is longer than its buffer");
            check_reply(packet, &out[..len], transport);
            check_decision(fixture, packet, source, now, &outcome);
        }
        Step::Drop(outcome, _) => check_decision(fixture, packet, source, now, &outcome),
        Step::Forward(ask) => check_decision(fixture, packet, source, now, &ask.outcome),
    }
}

fn check_reply(packet: &[u8], reply: &[u8], transport: Transport) {
    assert_eq!(packet[..2], reply[..2], "another id");
    let message = Message::from_vec(reply);
    assert!(
        message.is_ok(),
        "hickory-proto cannot read {reply:02x?}: {:?}",
        message.err()
    );
    let Ok(message) = message else { return };
    assert_eq!(message.message_type, MessageType::Response);
    if transport == Transport::Udp {
        let asked = Query::parse(packet)
            .ok()
            .and_then(|query| query.edns())
            .map_or(512, |edns| edns.udp_payload);
        let limit = if Query::parse(packet).is_ok() {
            usize::from(asked).min(1232)
        } else {
            512
        };
        assert!(
            reply.len() <= limit,
            "{} bytes where {limit} are allowed",
            reply.len()
        );
    }
    if let Ok(query) = Query::parse(packet) {
        let question = query.header_and_question();
        assert_eq!(
            reply[12..question.len()],
            question[12..],
            "the question is not echoed byte for byte"
        );
    }
}

/// What the engine made of the question, against the naive policy.
fn check_decision(fixture: &Fixture, packet: &[u8], source: IpAddr, now: u64, outcome: &Outcome) {
    let group = group_of(source);
    let Ok(query) = Query::parse(packet) else {
        assert_eq!(
            outcome.ending(),
            Ending::Rejected,
            "malformed, yet {outcome:?}"
        );
        return;
    };
    if matches!(outcome.ending(), Ending::Rejected) || outcome.reason == Reason::NoRoom {
        return;
    }
    let Some(group) = group else {
        assert_eq!(outcome.reason, Reason::UnknownClient, "{outcome:?}");
        return;
    };
    assert_eq!(outcome.group, Some(group), "{outcome:?}");
    let asked = dnsgate_naive::Question {
        group: group.0,
        name: dnsgate_naive::wire_labels(query.name().wire()),
        qtype: query.qtype().0,
        now,
    };
    let winner = dnsgate_naive::decide(&fixture.naive, &asked);
    // Where none decides, the rule is the one that allows the name to others, if there is one.
    assert!(
        winner.is_none() || outcome.rule.map(|id| id.0 as usize) == winner,
        "{} {}",
        query.name(),
        query.qtype()
    );
    let want: &[Reason] = match winner.map(|number| &RULES[number].4) {
        None if outcome.rule.is_none() => &[Reason::NoRule],
        None => &[Reason::OtherGroup, Reason::OtherType, Reason::Expired],
        Some(Does::Deny(_)) => &[Reason::Blocked],
        Some(Does::Answer) => &[Reason::Rule],
        Some(Does::Zone(_)) => &[Reason::Zone, Reason::ChainTooLong],
    };
    assert!(
        want.contains(&outcome.reason),
        "{} {}: {:?}",
        query.name(),
        query.qtype(),
        outcome.reason
    );
}

/// The group of each source, read off the two tables by eye.
fn group_of(source: IpAddr) -> Option<GroupId> {
    let at = SOURCES.iter().position(|&other| other == source)?;
    [Some(0), Some(1), Some(2), Some(0), Some(1), None][at].map(GroupId)
}
