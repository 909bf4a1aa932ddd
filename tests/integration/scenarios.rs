//! Scenarios as data: each file of `tests/scenarios` holds a configuration and questions with the
//! replies that they must get, in the words of dig and of zone files. They run against the engine
//! itself; every reply is decoded by hickory-proto and compared with what was meant.
//!
//! To add one, copy a file and change it; `cargo test --test integration scenarios` finds it.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use dnsgate_core::{
    cache::Cache,
    dns::{Name, NameBuf, Rcode, RecordType, Transport},
    engine::{self, Client, Context, Partition, Snapshot, Step, UpstreamResult},
};
use hickory_proto::{
    op::Message,
    rr::{RData, Record, rdata::opt::EdnsOption},
};
use serde::Deserialize;

mod upstream;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What it shows, for whoever reads it.
    about: String,
    /// A configuration file's text; relative paths in it start at `tests/scenarios`.
    config: String,
    /// What upstreams say.
    #[serde(default)]
    upstreams: Vec<upstream::Says>,
    steps: Vec<Question>,
}

/// One question and its reply.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    /// `name [type [class-number]]`; letter case travels.
    ask: Option<String>,
    /// A whole packet in hexadecimal instead, white space between bytes as liked.
    packet: Option<String>,
    #[serde(default = "default_source")]
    from: IpAddr,
    #[serde(default)]
    over: Over,
    /// The UDP payload size of the query's OPT record; 0 for no OPT record.
    #[serde(default = "default_edns")]
    edns: u16,
    /// DNSSEC OK.
    #[serde(default, rename = "do")]
    dnssec_ok: bool,
    /// Checking disabled.
    #[serde(default, rename = "cd")]
    checking_disabled: bool,
    #[serde(default = "default_true")]
    rd: bool,
    /// When, as seconds since 2026-01-01T00:00:00Z.
    #[serde(default)]
    at: u64,
    expect: Expect,
}

#[derive(Debug, Default, Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Over {
    #[default]
    Udp,
    Tcp,
}

/// The reply: what is left out must be absent from it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// The response code as dig writes it, or `none` for no reply.
    status: String,
    /// The flags that are set, without `qr`, in dig's order.
    #[serde(default)]
    flags: String,
    /// `code text` of the extended error.
    ede: Option<String>,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    authority: String,
    #[serde(default)]
    additional: String,
    /// The reason of the outcome, where it is the point of the step.
    reason: Option<String>,
    /// The name of the rule that decided, likewise.
    rule: Option<String>,
    /// The record that was withheld, for the log, likewise.
    rejected: Option<String>,
    /// What upstreams are asked, a question a line; nothing where it is left out.
    #[serde(default)]
    asks: String,
}

fn default_source() -> IpAddr {
    [10, 1, 2, 3].into()
}

const fn default_edns() -> u16 {
    1232
}

const fn default_true() -> bool {
    true
}

/// 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

#[test]
fn every_scenario_gets_the_replies_it_lists() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    assert!(!files.is_empty());
    let mut faults = Vec::new();
    for file in &files {
        run(file, &folder, &mut faults);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

fn run(file: &Path, folder: &Path, faults: &mut Vec<String>) {
    let text = std::fs::read_to_string(file).unwrap();
    let scenario: Scenario =
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(!scenario.about.is_empty());
    let config = dnsgate_config::parse(&scenario.config, "config.yaml", folder)
        .unwrap_or_else(|report| panic!("{}:\n{report}", file.display()));
    let partitions = (0..).take(config.upstreams.len()).map(Partition);
    let snapshot =
        Snapshot::new(1, config.policy, config.zones).with_upstreams(partitions.collect());
    let world = World {
        snapshot,
        cache: Cache::new(config.startup.cache),
        began: now(),
        upstreams: scenario.upstreams,
    };
    for (number, step) in scenario.steps.iter().enumerate() {
        let seen = ask(step, &world);
        let wanted = wanted(step);
        if seen != wanted {
            let asked = step.ask.as_ref().or(step.packet.as_ref());
            faults.push(format!(
                "{} step {} ({}):\n--- wanted\n{wanted}\n--- seen\n{seen}",
                file.display(),
                number + 1,
                asked.map_or("", String::as_str)
            ));
        }
    }
}

/// What the step expects, in the form of [`shown`].
fn wanted(step: &Question) -> String {
    let expect = &step.expect;
    let mut lines = vec![format!("status: {}", expect.status)];
    if expect.status != "none" {
        lines.push(format!("flags: {}", expect.flags).trim_end().to_owned());
        lines.push(format!("ede: {}", expect.ede.as_deref().unwrap_or("-")));
        for (title, text) in [
            ("answer", &expect.answer),
            ("authority", &expect.authority),
            ("additional", &expect.additional),
        ] {
            lines.extend(sorted(
                text.lines()
                    .map(|line| format!("{title}: {}", squeezed(line))),
            ));
        }
    }
    lines.extend(
        expect
            .reason
            .iter()
            .map(|reason| format!("reason: {reason}")),
    );
    lines.extend(expect.rule.iter().map(|rule| format!("rule: {rule}")));
    let rejected = expect.rejected.iter();
    lines.extend(rejected.map(|record| format!("rejected: {record}")));
    lines.extend(
        expect
            .asks
            .lines()
            .map(|line| format!("asks: {}", squeezed(line))),
    );
    lines.join("\n")
}

/// What the questions of one scenario share.
struct World {
    snapshot: Snapshot,
    cache: Cache,
    /// Second 0.
    began: Instant,
    upstreams: Vec<upstream::Says>,
}

#[expect(clippy::disallowed_methods, reason = "the shell of this test")]
fn now() -> Instant {
    Instant::now()
}

fn ask(step: &Question, world: &World) -> String {
    let packet = packet(step);
    let transport = match step.over {
        Over::Udp => Transport::Udp,
        Over::Tcp => Transport::Tcp,
    };
    let mut out = vec![0; engine::max_reply(transport)];
    let now = SystemTime::UNIX_EPOCH + EPOCH + Duration::from_secs(step.at);
    let client = Client {
        source: step.from,
        transport,
    };
    let steady = world.began + Duration::from_secs(step.at);
    let context = Context::new(&world.snapshot, now).with_cache(&world.cache, steady);
    let mut done = engine::begin(&packet, client, &context, &mut out);
    let (mut arrived, mut asks) = (Vec::new(), Vec::new());
    while let Step::Forward(ask) = done {
        asks.push(format!("asks: {}", upstream::shown(&ask.permit)));
        let said = upstream::resolve(&world.upstreams, &ask.permit, step.at);
        arrived.push(UpstreamResult::new(ask.permit, said, &context));
        done = engine::resume(&packet, client, &context, &arrived, &mut out);
    }
    let mut lines = match done.len() {
        0 => vec!["status: none".to_owned()],
        len => shown(&packet, &out[..len], step, transport),
    };
    let outcome = done.outcome();
    if step.expect.reason.is_some() {
        lines.push(format!("reason: {}", outcome.reason.as_str()));
    }
    if step.expect.rule.is_some() {
        let name = outcome
            .rule
            .and_then(|id| world.snapshot.policy().rule(id))
            .map_or("-", |rule| &rule.name);
        lines.push(format!("rule: {name}"));
    }
    if step.expect.rejected.is_some() {
        lines.push(format!("rejected: {}", done.rejected().unwrap_or("-")));
    }
    lines.extend(asks);
    lines.join("\n")
}

/// The query's bytes.
fn packet(step: &Question) -> Vec<u8> {
    if let Some(hex) = &step.packet {
        let digits: Vec<u8> = hex
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        return digits.chunks(2).map(byte).collect();
    }
    let mut words = step.ask.as_ref().expect("ask or packet").split_whitespace();
    let text = words.next().expect("a name");
    let rtype: RecordType = words.next().unwrap_or("A").parse().expect("a type");
    let class: u16 = words
        .next()
        .map_or(1, |class| class.parse().expect("a class number"));
    let mut packet = vec![
        0x12,
        0x34,
        u8::from(step.rd),
        if step.checking_disabled { 0x10 } else { 0 },
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        u8::from(step.edns > 0),
    ];
    packet.extend(cased(text));
    packet.extend(rtype.0.to_be_bytes());
    packet.extend(class.to_be_bytes());
    if step.edns > 0 {
        packet.extend([0, 0, 41]);
        packet.extend(step.edns.to_be_bytes());
        packet.extend([0, 0, if step.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    }
    packet
}

/// The wire form of a name with the letters as written: `Name` would lower them.
fn cased(text: &str) -> Vec<u8> {
    let lower: Name = text.parse().expect("a name");
    let mut wire = lower.as_ref().wire().to_vec();
    if !text.contains('\\') {
        for (at, byte) in text
            .trim_end_matches('.')
            .bytes()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_uppercase())
        {
            wire[at + 1] = byte;
        }
    }
    wire
}

/// A reply as lines; faults that no step may have are told in them, too.
fn shown(packet: &[u8], reply: &[u8], step: &Question, transport: Transport) -> Vec<String> {
    let message = match Message::from_vec(reply) {
        Ok(message) => message,
        Err(error) => return vec![format!("undecodable: {error}")],
    };
    let number = u16::from(message.response_code);
    let rcode = Rcode::ALL
        .into_iter()
        .find(|rcode| rcode.number() == number);
    let mut lines = vec![format!("status: {}", rcode.map_or("?", Rcode::as_str))];
    let flags = [
        ("aa", message.authoritative),
        ("tc", message.truncation),
        ("rd", message.recursion_desired),
        ("ra", message.recursion_available),
        ("ad", message.authentic_data),
        ("cd", message.checking_disabled),
    ];
    let set: Vec<&str> = flags
        .iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| *name)
        .collect();
    lines.push(format!("flags: {}", set.join(" ")).trim_end().to_owned());
    lines.push(format!(
        "ede: {}",
        extended_error(&message).unwrap_or_else(|| "-".to_owned())
    ));
    for (title, records) in [
        ("answer", &message.answers),
        ("authority", &message.authorities),
        ("additional", &message.additionals),
    ] {
        lines.extend(sorted(
            records
                .iter()
                .map(|record| format!("{title}: {}", squeezed(&text(record)))),
        ));
    }
    let limit = match transport {
        Transport::Tcp => 65_535,
        Transport::Udp if step.edns == 0 => 512,
        Transport::Udp => usize::from(step.edns.clamp(512, 1232)),
    };
    if reply.len() > limit {
        lines.push(format!("{} bytes where {limit} are allowed", reply.len()));
    }
    if reply[..2] != packet[..2] {
        lines.push("the id is not echoed".to_owned());
    }
    if step.ask.is_some() {
        let question = 12..packet.len() - if step.edns > 0 { 11 } else { 0 };
        if reply.get(question.clone()) != packet.get(question) {
            lines.push("the question is not echoed byte for byte".to_owned());
        }
        let edns = message.edns.as_ref();
        if edns.is_some() != (step.edns > 0) {
            lines.push("OPT where none was asked for, or none where one was".to_owned());
        }
        if edns.is_some_and(|edns| {
            edns.flags().dnssec_ok != step.dnssec_ok || edns.max_payload() != 1232
        }) {
            lines.push("OPT does not echo DO or does not announce 1232".to_owned());
        }
    }
    lines
}

/// A record as a zone file would have it. hickory-proto has no text for DNAME.
fn text(record: &Record) -> String {
    match &record.data {
        RData::Unknown { code, rdata } if u16::from(*code) == RecordType::DNAME.0 => {
            let (target, _) = NameBuf::read(&rdata.anything).expect("a name");
            format!(
                "{} {} IN DNAME {}",
                record.name,
                record.ttl,
                target.as_ref()
            )
        }
        _ => record.to_string(),
    }
}

fn extended_error(message: &Message) -> Option<String> {
    message
        .edns
        .as_ref()?
        .options()
        .as_ref()
        .iter()
        .find_map(|(_, option)| match option {
            EdnsOption::Unknown(15, data) => {
                let (code, text) = data.split_first_chunk::<2>()?;
                Some(format!(
                    "{} {}",
                    u16::from_be_bytes(*code),
                    String::from_utf8_lossy(text)
                ))
            }
            _ => None,
        })
}

/// Runs of white space as one space; the order of records within a section does not matter.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}
