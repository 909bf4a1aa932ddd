use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr},
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::UNIX_EPOCH,
};

use serde_json::Value;

use crate::telemetry::{FinishedQuery, Labels, Latency, Telemetry};
use dnsgate_core::{
    dns::{
        Name, NameBuf, NameRef, Query, Rcode, RecordType, ReplyWriter, Rrset, Transport,
        reply::Section,
    },
    engine::{FilterCheck, GroupId, RuleId, UpstreamId},
};

use super::*;

mod outputs;

/// Long enough for any machine; nothing waits for it unless a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sink whose content the test can read.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("UTF-8")
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

fn start(queries: LogQueries, format: LogFormat) -> (Telemetry, Paper) {
    let paper = Paper::default();
    let settings = LogSettings {
        queries,
        format,
        ..LogSettings::default()
    };
    let telemetry = Telemetry::start_into(&settings, Box::new(paper.clone())).expect("a thread");
    let labels = Labels {
        groups: vec!["build".to_owned()],
        rules: vec!["no-gists".to_owned()],
        upstreams: vec!["corp".to_owned()],
    };
    telemetry.loaded(7, labels, UNIX_EPOCH);
    (telemetry, paper)
}

fn query(name: NameRef<'_>, qtype: RecordType) -> Vec<u8> {
    let mut packet = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    packet.extend_from_slice(name.wire());
    packet.extend_from_slice(&qtype.0.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

/// The reply to `packet` with these sets, each under its owner.
fn reply(packet: &[u8], answers: &[(&str, Rrset)]) -> Vec<u8> {
    let mut out = vec![0; 4096];
    let query = Query::parse(packet).expect("a query");
    let mut writer = ReplyWriter::new(&query, 4096, &mut out).expect("room");
    for (owner, set) in answers {
        writer
            .rrset(Section::Answer, name(owner).as_ref(), set)
            .expect("room");
    }
    let len = writer.finish(None);
    out.truncate(len);
    out
}

fn addresses(texts: &[&str]) -> Rrset {
    let addresses: Vec<IpAddr> = texts.iter().map(|a| a.parse().expect(a)).collect();
    Rrset::of_addresses(RecordType::A, 300, &addresses)
}

fn event<'a>(outcome: Outcome, query: &'a [u8], reply: &'a [u8]) -> FinishedQuery<'a> {
    FinishedQuery {
        outcome,
        transport: Transport::Udp,
        source: SocketAddr::from(([10, 0, 0, 5], 4242)),
        query,
        reply,
        rejected: None,
        time: UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_250),
        latency: Latency::Known(Duration::from_nanos(12_345)),
        generation: 7,
    }
}

fn blocked() -> Outcome {
    Outcome {
        group: Some(GroupId(0)),
        rule: Some(RuleId(0)),
        qtype: Some(RecordType::A),
        rcode: Some(Rcode::NxDomain),
        ..Outcome::new(Reason::Blocked)
    }
}

fn answered() -> Outcome {
    Outcome {
        group: Some(GroupId(0)),
        qtype: Some(RecordType::A),
        rcode: Some(Rcode::NoError),
        ..Outcome::new(Reason::Zone)
    }
}

#[test]
fn a_denial_is_a_json_object_with_the_keys_of_cloud_logging() {
    let (telemetry, paper) = start(LogQueries::Denied, LogFormat::Json);
    let packet = query(name("gist.github.com").as_ref(), RecordType::A);
    let reply = reply(&packet, &[]);
    let mut recorder = telemetry.recorder();
    recorder.record(&event(blocked(), &packet, &reply));
    assert!(telemetry.flush(PATIENCE));
    assert_eq!(
        paper.lines(),
        [serde_json::json!({
            "severity": "NOTICE",
            "message": "denied gist.github.com. A for 10.0.0.5: blocked",
            "time": "2023-11-14T22:13:20.000250Z",
            "logging.googleapis.com/labels": { "log": "query" },
            "queryName": "gist.github.com.",
            "queryType": "A",
            "responseCode": "NXDOMAIN",
            "sourceIP": "10.0.0.5",
            "protocol": "UDP",
            "serverLatency": 0.012,
            "verdict": "denied",
            "reason": "blocked",
            "rule": "no-gists",
            "group": "build",
            "generation": 7,
        })]
    );
}

#[test]
fn an_answer_shows_its_records_in_presentation_form() {
    let (telemetry, paper) = start(LogQueries::All, LogFormat::Json);
    let packet = query(name("storage.googleapis.com").as_ref(), RecordType::A);
    let target = name("restricted.googleapis.com");
    let reply = reply(
        &packet,
        &[
            (
                "storage.googleapis.com",
                Rrset::of_name(RecordType::CNAME, 300, target.as_ref()),
            ),
            (
                "restricted.googleapis.com",
                addresses(&["199.36.153.4", "199.36.153.5"]),
            ),
        ],
    );
    telemetry
        .recorder()
        .record(&event(answered(), &packet, &reply));
    assert!(telemetry.flush(PATIENCE));
    let lines = paper.lines();
    assert_eq!(
        lines[0]["rdata"],
        "storage.googleapis.com.\t300\tIN\tCNAME\trestricted.googleapis.com.\n\
         restricted.googleapis.com.\t300\tIN\tA\t199.36.153.4\n\
         restricted.googleapis.com.\t300\tIN\tA\t199.36.153.5"
    );
    assert_eq!(lines[0]["severity"], "INFO");
    assert_eq!(lines[0].get("rule"), None);
}

#[test]
fn logs_the_record_that_the_filter_withheld() {
    let packet = query(name("x.example").as_ref(), RecordType::A);
    let denied = reply(&packet, &[]);
    let filtered = Outcome {
        upstream: Some(UpstreamId(0)),
        check: Some(FilterCheck::Address),
        ..Outcome {
            reason: Reason::Filtered,
            ..blocked()
        }
    };
    let record = |telemetry: &Telemetry, rejected: &str| {
        telemetry.recorder().record(&FinishedQuery {
            rejected: Some(rejected),
            ..event(filtered, &packet, &denied)
        });
        assert!(telemetry.flush(PATIENCE));
    };
    let (telemetry, paper) = start(LogQueries::Denied, LogFormat::Json);
    record(&telemetry, "x.example. A 10.0.0.1");
    record(
        &telemetry,
        &format!("{}ü", "x".repeat(record::REJECTED - 1)),
    );
    let lines = paper.lines();
    let message = "denied x.example. A for 10.0.0.5: filtered";
    for (key, want) in [
        ("severity", "NOTICE"),
        ("message", message),
        ("reason", "filtered"),
        ("upstream", "corp"),
        ("check", "address"),
        ("rejected", "x.example. A 10.0.0.1"),
    ] {
        assert_eq!(lines[0][key], want, "{key}");
    }
    assert_eq!(lines[1]["rejected"], "x".repeat(record::REJECTED - 1));

    let (telemetry, paper) = start(LogQueries::Denied, LogFormat::Text);
    record(&telemetry, "x.example. A 10.0.0.1");
    assert_eq!(
        paper.text(),
        format!(
            "2023-11-14T22:13:20.000250Z NOTICE   {message} rule=no-gists group=build \
             upstream=corp check=address NXDOMAIN UDP 0.012 ms, rejected x.example. A 10.0.0.1\n"
        )
    );
}

#[test]
fn what_is_forwarded_is_routine_and_what_is_observed_is_not() {
    for (reason, severity) in [
        (Reason::Upstream, "INFO"),
        (Reason::Cache, "INFO"),
        (Reason::Stale, "INFO"),
        (Reason::Observed, "NOTICE"),
        (Reason::Timeout, "WARNING"),
        (Reason::Shed, "WARNING"),
    ] {
        assert_eq!(record::severity(&Outcome::new(reason)).as_str(), severity);
    }
}

#[test]
fn what_is_logged_is_what_was_asked_for() {
    let outcomes = [
        (answered(), [false, false, true]),
        (blocked(), [false, true, true]),
        (Outcome::new(Reason::UnknownClient), [false, true, true]),
        (Outcome::new(Reason::Format), [false, false, true]),
        (Outcome::new(Reason::RateLimited), [false, false, true]),
        (Outcome::new(Reason::ChainTooLong), [false, true, true]),
        (Outcome::new(Reason::Filtered), [false, true, true]),
        (Outcome::new(Reason::Upstream), [false, false, true]),
        (Outcome::new(Reason::Observed), [false, true, true]),
        (Outcome::new(Reason::Timeout), [false, true, true]),
        (Outcome::new(Reason::Panic), [true, true, true]),
    ];
    for (outcome, wanted) in outcomes {
        for (queries, want) in [LogQueries::None, LogQueries::Denied, LogQueries::All]
            .into_iter()
            .zip(wanted)
        {
            assert_eq!(
                super::wanted(queries, &outcome),
                want,
                "{queries:?} {outcome:?}"
            );
        }
    }
}

/// Names, records and labels that try to end a line, forge a record or write to the terminal.
#[test]
fn hostile_bytes_break_no_line() {
    let mut hostile = NameBuf::new();
    hostile
        .push_label(b"a\"}\n{\"severity\":\"x")
        .expect("fits");
    hostile
        .push_label(b"\x1b[2J\0\xff\xe2\x80\xae")
        .expect("fits");
    hostile.push_label(&[b'\n'; 63]).expect("fits");
    let packet = query(hostile.as_ref(), RecordType::A);
    let mut txt = Rrset::new(RecordType::TXT, 5);
    txt.push(b"\x13x\nforged.\t5\tIN\tA\t1\x1b").expect("fits");
    txt.push(b"\x05\xff\xfe\"'\\").expect("fits");
    let reply = reply(&packet, &[(".", txt)]);
    for format in [LogFormat::Json, LogFormat::Text] {
        let (telemetry, paper) = start(LogQueries::All, format);
        let labels = Labels {
            groups: vec!["g\n\u{1b}[31m\u{202e}".to_owned()],
            rules: vec!["r\r\n\"".to_owned()],
            upstreams: vec!["u\r\n\u{1b}".to_owned()],
        };
        telemetry.loaded(8, labels, UNIX_EPOCH);
        let filtered = Outcome {
            upstream: Some(UpstreamId(0)),
            check: Some(FilterCheck::Cname),
            ..blocked()
        };
        telemetry.recorder().record(&FinishedQuery {
            generation: 8,
            rejected: Some("x.\n CNAME \u{1b}[2J\u{202e}"),
            ..event(filtered, &packet, &reply)
        });
        telemetry.event(LogSeverity::Info, "m\n\u{1b}x", &[("k", "v\n".into())]);
        assert!(telemetry.flush(PATIENCE));
        let text = paper.text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.ends_with('\n'));
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{text:?}");
        if format == LogFormat::Json {
            let lines = paper.lines();
            let line = lines.iter().find(|line| line["verdict"] == "denied");
            let line = line.expect("the query's");
            assert_eq!(line["queryName"], hostile.as_ref().to_string().as_str());
            let rdata = line["rdata"].as_str().expect("text");
            assert_eq!(rdata.lines().count(), 2, "{rdata:?}");
        } else {
            assert!(!text.contains('\u{202e}'));
        }
    }
}

#[test]
fn any_cut_of_a_message_and_any_noise_is_taken() {
    let packet = query(name("a.b").as_ref(), RecordType::A);
    let whole = reply(&packet, &[("a.b", addresses(&["10.0.0.1", "10.0.0.2"]))]);
    let (telemetry, paper) = start(LogQueries::All, LogFormat::Json);
    let mut recorder = telemetry.recorder();
    for len in 0..=whole.len() {
        recorder.record(&event(answered(), &[], &whole[..len]));
    }
    for at in 0..whole.len() {
        for byte in [0x00, 0x3f, 0xc0, 0xff] {
            let mut noise = whole.clone();
            noise[at] = byte;
            recorder.record(&event(answered(), &packet, &noise));
        }
    }
    assert!(telemetry.flush(PATIENCE));
    let lines = paper.lines();
    assert_eq!(lines.len(), whole.len() * 5 + 1);
    let rdata = |line: &Value| line["rdata"].as_str().map_or(0, |r| r.lines().count());
    assert_eq!(rdata(&lines[0]), 0);
    assert_eq!(
        rdata(&lines[whole.len() - 1]),
        1,
        "a record cut off is left out"
    );
    assert_eq!(rdata(&lines[whole.len()]), 2);
}

#[test]
fn text_is_for_people() {
    let (telemetry, paper) = start(LogQueries::All, LogFormat::Text);
    let packet = query(name("x.example").as_ref(), RecordType::A);
    let denied = reply(&packet, &[]);
    let answer = reply(&packet, &[("x.example", addresses(&["10.9.8.7"]))]);
    let mut recorder = telemetry.recorder();
    recorder.record(&event(blocked(), &packet, &denied));
    recorder.record(&event(answered(), &packet, &answer));
    recorder.record(&event(Outcome::new(Reason::Short), b"\0", b""));
    assert!(telemetry.flush(PATIENCE));
    assert_eq!(
        paper.text(),
        "2023-11-14T22:13:20.000250Z NOTICE   denied x.example. A for 10.0.0.5: blocked rule=no-gists group=build NXDOMAIN UDP 0.012 ms\n\
         2023-11-14T22:13:20.000250Z INFO     answered x.example. A for 10.0.0.5: zone group=build NOERROR UDP 0.012 ms, A 10.9.8.7\n\
         2023-11-14T22:13:20.000250Z INFO     rejected a packet without a question for 10.0.0.5: short dropped UDP 0.012 ms\n"
    );
}

#[test]
fn events_keep_their_fields_and_the_keys_of_the_line() {
    let (telemetry, paper) = start(LogQueries::None, LogFormat::Json);
    let fields = [
        ("address", "udp://0.0.0.0:53".into()),
        ("generation", 7.into()),
        ("severity", "forged".into()),
        ("logging.googleapis.com/labels", "forged".into()),
    ];
    telemetry.event(LogSeverity::Critical, "listening", &fields);
    assert!(telemetry.flush(PATIENCE));
    let text = paper.text();
    assert!(!text.contains("forged"), "{text}");
    let line = &paper.lines()[0];
    assert_eq!(line["severity"], "CRITICAL");
    assert_eq!(line["message"], "listening");
    assert_eq!(line["address"], "udp://0.0.0.0:53");
    assert_eq!(line["generation"], 7);
    assert_eq!(line["logging.googleapis.com/labels"]["log"], "lifecycle");
    let time = line["time"].as_str().expect("text");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
}

#[test]
fn a_waiting_query_takes_what_is_stated() {
    assert!(
        size_of::<QueryRecord>() <= 704,
        "{}",
        size_of::<QueryRecord>()
    );
}

#[test]
fn of_what_went_well_a_sample_is_logged_and_of_the_rest_everything() {
    let paper = Paper::default();
    let settings = LogSettings {
        queries: LogQueries::All,
        sample: 100,
        ..LogSettings::default()
    };
    let telemetry = Telemetry::start_into(&settings, Box::new(paper.clone())).expect("a thread");
    telemetry.loaded(7, Labels::default(), UNIX_EPOCH);
    let packet = query(name("a.b").as_ref(), RecordType::A);
    let mut recorder = telemetry.recorder();
    for at in 0..1_000 {
        recorder.record(&event(answered(), &packet, &[]));
        if at % 100 == 0 {
            recorder.record(&event(blocked(), &packet, &[]));
            recorder.record(&event(Outcome::new(Reason::Timeout), &packet, &[]));
        }
    }
    assert!(telemetry.flush(PATIENCE));
    let lines = paper.lines();
    let rates = |verdict: &str| -> Vec<Option<u64>> {
        let of = lines.iter().filter(|line| line["verdict"] == verdict);
        of.map(|line| line["sampleRate"].as_u64()).collect()
    };
    assert_eq!(rates("answered"), [Some(100); 10], "1000 can be counted");
    assert_eq!(rates("denied"), [None; 10]);
    assert_eq!(rates("failed"), [None; 10]);
}

#[test]
fn of_each_run_one_is_taken_and_not_always_the_same() {
    for (rate, seed) in [(1, 0), (2, 7), (100, 0), (100, u64::MAX), (1_000_000, 3)] {
        let mut sampler = Sampler::new(rate, seed);
        let mut places = Vec::new();
        for _ in 0..4 {
            let run: Vec<_> = (0..rate).filter(|_| sampler.take()).collect();
            assert_eq!(run.len(), 1, "{rate} {seed}");
            places.extend(run);
        }
        let same = places.windows(2).all(|two| two[0] == two[1]);
        assert!(!same || rate <= 2, "{rate} {seed}: {places:?}");
    }
}

#[test]
fn what_comes_in_turns_is_seen_in_equal_parts() {
    let mut sampler = Sampler::new(100, 1);
    let taken = (0..1_000_000u32).filter(|_| sampler.take());
    let even = taken.filter(|at| at % 2 == 0).count();
    assert!((4_700..5_300).contains(&even), "{even} of 10000");
}
