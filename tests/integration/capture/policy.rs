//! The policy of the capture, twice: as the file that the program reads, and as the rules of the naive policy. What may leave
//! is what the naive policy says.

use std::{collections::BTreeSet, fmt::Write as _};

use dnsgate_naive::{Origin, Pattern, Rule, labels};

use super::fake;

/// A client group and the last but one byte of its addresses, 127.0.x.y.
pub(crate) const GROUPS: [(&str, u8); 2] = [("office", 1), ("build", 2)];

/// What a rule does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Forward(usize),
    Answer,
    Deny,
    Zone,
}

/// Domains, groups and types (none: all, or the default ones), whether it has ended, what it does, and what else the
/// file says.
type Line = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
    bool,
    Does,
    &'static str,
);

#[rustfmt::skip]
const RULES: &[Line] = &[
    (&[".wide.example"], &[], &[], false, Does::Forward(0), ""),
    (&[".secret.wide.example"], &[], &[], false, Does::Deny, "nxdomain"),
    (&["open.secret.wide.example"], &["office"], &[], false, Does::Forward(0), ""),
    (&["fixed.wide.example"], &[], &[], false, Does::Answer, ""),
    (&["exact.example"], &[], &["A", "TXT"], false, Does::Forward(0), ""),
    (&["*.below.example"], &[], &[], false, Does::Forward(1), ""),
    (&[".old.example"], &[], &[], true, Does::Forward(0), ""),
    (&[".two.example", "also.two.test"], &["office"], &["A", "AAAA"], false, Does::Forward(1), ""),
    (&[".two.example"], &["build"], &["MX"], false, Does::Forward(0), ""),
    (&["no.two.example"], &[], &["A"], false, Does::Deny, "true"),
    (&[".strict.example"], &["office"], &[], false, Does::Forward(0), ", cname: allowed"),
    (&["*.strict.example"], &["build"], &["TXT", "TYPE65280"], false, Does::Forward(1), ", cname: any"),
];

/// Our own zone, whose aliases lead to names that are forwarded, that are not, and to nobody's.
const ZONE: &str = "lab.example";
const ALIASES: [(&str, &str); 4] = [
    ("alias", "www.wide.example"),
    ("office", "open.secret.wide.example"),
    ("two", "edge.wide.example"),
    ("out", "www.evil.example"),
];

/// Types that a rule forwards when it names none.
const DEFAULT_TYPES: [&str; 10] = [
    "A", "AAAA", "CNAME", "HTTPS", "SVCB", "SRV", "MX", "PTR", "NS", "SOA",
];
const TYPES: [(&str, u16); 12] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("TYPE65280", 65280),
];
const CNAME: u16 = 5;

/// A question as it may leave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    /// Labels in lower case, the leftmost first.
    pub(crate) name: Vec<Vec<u8>>,
    pub(crate) qtype: u16,
    pub(crate) dnssec_ok: bool,
    pub(crate) checking_disabled: bool,
}

impl Question {
    /// The one encoding of it, its id zero: RFC 1035 section 4.1, RFC 6891 section 6.1.2.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut query = vec![0, 0, 1, u8::from(self.checking_disabled) << 4];
        query.extend([0, 1, 0, 0, 0, 0, 0, 1]);
        for label in &self.name {
            query.push(label.len() as u8);
            query.extend(label);
        }
        query.push(0);
        query.extend(self.qtype.to_be_bytes());
        query.extend([0, 1]);
        query.extend([0, 0, 41, 1232u16.to_be_bytes()[0], 1232u16.to_be_bytes()[1]]);
        query.extend([0, 0, u8::from(self.dnssec_ok) << 7, 0, 0, 0]);
        query
    }
}

/// The configuration, with two upstreams at these addresses. Without `forwards`, the rules that do are left out.
pub(crate) fn config(upstreams: [&str; 2], forwards: bool) -> String {
    let mut text = String::from("google_apis: { vip: off }\nclients:\n");
    for (group, net) in GROUPS {
        let _ = writeln!(text, "  {group}: {{ cidrs: [127.0.{net}.0/24] }}");
    }
    let [one, two] = upstreams;
    let _ = writeln!(
        text,
        "upstreams:\n  up0: {{ servers: [\"{one}\"] }}\n  up1: {{ servers: [\"{two}\"] }}"
    );
    let aliases: Vec<String> = ALIASES
        .iter()
        .map(|(name, target)| format!("\"{name} CNAME {target}.\""))
        .collect();
    let _ = writeln!(
        text,
        "zones: [{{ origin: {ZONE}, records: [{}] }}]\nrules:",
        aliases.join(", ")
    );
    for (number, (domains, groups, types, ended, does, more)) in RULES.iter().enumerate() {
        let does = match does {
            Does::Forward(_) if !forwards => continue,
            Does::Forward(upstream) => format!("forward: up{upstream}"),
            Does::Answer => "records: [A 192.0.2.7]".to_owned(),
            Does::Deny | Does::Zone => "deny: ".to_owned(),
        };
        let _ = write!(
            text,
            "  - {{ name: rule{number}, domains: {domains:?}, {does}{more}"
        );
        for (key, list) in [("groups", groups), ("types", types)] {
            if !list.is_empty() {
                let _ = write!(text, ", {key}: {list:?}");
            }
        }
        let until = if *ended { ", until: 2020-01-31" } else { "" };
        let _ = writeln!(text, "{until} }}");
    }
    text
}

/// The rules and what each of them does; the last one is the zone.
fn rules() -> (Vec<Rule<Vec<u8>>>, Vec<Does>) {
    let number = |wanted: &&str| {
        let found = TYPES.iter().find(|(word, _)| word == wanted);
        found.expect("a type of the table").1
    };
    let rule = |domains: &[&str]| Rule {
        patterns: domains.iter().map(|domain| Pattern::read(domain)).collect(),
        groups: None,
        types: None,
        until: None,
        origin: Origin::Configured,
    };
    let listed = RULES
        .iter()
        .map(|&(domains, groups, types, ended, does, _)| {
            let types = match (types, does) {
                ([], Does::Forward(_)) => &DEFAULT_TYPES[..],
                _ => types,
            };
            let rule = Rule {
                groups: (!groups.is_empty())
                    .then(|| groups.iter().map(|group| group_id(group)).collect()),
                types: (!types.is_empty()).then(|| types.iter().map(number).collect()),
                until: ended.then_some(0),
                ..rule(domains)
            };
            (rule, does)
        });
    listed
        .chain([(rule(&[&format!(".{ZONE}")]), Does::Zone)])
        .unzip()
}

fn group_id(group: &str) -> u8 {
    let found = GROUPS.iter().find(|(name, _)| *name == group);
    found.expect("a group of the table").1
}

/// What becomes of a question of this group.
fn decide(group: &str, name: &[Vec<u8>], qtype: u16) -> Does {
    let (rules, does) = rules();
    let asked = dnsgate_naive::Question {
        group: group_id(group),
        name: name.to_vec(),
        qtype,
        now: 0,
    };
    dnsgate_naive::decide(&rules, &asked).map_or(Does::Deny, |number| does[number])
}

/// All that may be asked for the sake of a question: of which upstream, and the bytes.
pub(crate) fn may_ask(group: &str, question: &Question) -> BTreeSet<(usize, Vec<u8>)> {
    let mut asked = BTreeSet::new();
    let mut question = question.clone();
    // Longer than any way through the zone and the two upstreams.
    for _ in 0..8 {
        let target = match decide(group, &question.name, question.qtype) {
            Does::Zone => ALIASES
                .iter()
                .find(|(name, _)| labels(&format!("{name}.{ZONE}")) == question.name)
                .map(|(_, target)| *target),
            // The fake upstream follows none of its aliases, so whoever has the target is asked for it, be it the same one.
            Does::Forward(upstream) => {
                asked.insert((upstream, question.canonical()));
                fake::target(&question.name)
            }
            Does::Answer | Does::Deny => None,
        };
        let Some(target) = target.filter(|_| question.qtype != CNAME) else {
            break;
        };
        question.name = labels(target);
    }
    asked
}
