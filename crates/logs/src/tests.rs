//! Every format as records, from lines and files that real servers wrote or that their documentation shows, and what is no
//! log.

use std::{
    fmt::Write as _,
    io::{self, Read as _, Write as _},
};

use proptest::prelude::*;

use super::*;

/// A line for each record, and one for the summary.
fn told(log: &[u8]) -> String {
    let mut text = String::new();
    let read = read(log, |record| {
        let LogRecord {
            format,
            name,
            rtype,
            client,
            transport,
            end,
            times,
            ..
        } = record;
        let _ = write!(
            text,
            "{format}: {name} {rtype} from {client} {}, {end:?} x{times}",
            transport.as_str()
        );
        if let Some(time) = record.time {
            let _ = write!(text, ", {time}");
        }
        for (what, said) in [
            ("network", record.network),
            ("host", record.host),
            ("reason", record.reason),
            ("rule", record.rule),
        ] {
            if let Some(said) = said {
                let _ = write!(text, ", {what} {said}");
            }
        }
        text.push('\n');
    });
    let _ = match read {
        Ok(summary) => writeln!(text, "{summary}"),
        Err(error) => writeln!(text, "error: {error}"),
    };
    text
}

fn packed(data: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(data).expect("memory");
    gzip.finish().expect("memory")
}

#[test]
fn reads_every_format() {
    let mut text = String::new();
    for (name, log) in [
        (
            "cloud-dns.json",
            &include_bytes!("tests/cloud-dns.json")[..],
        ),
        ("route53.json", include_bytes!("tests/route53.json")),
        ("coredns.log", include_bytes!("tests/coredns.log")),
        ("unbound.log", include_bytes!("tests/unbound.log")),
        (
            "unbound-tagged.log",
            include_bytes!("tests/unbound-tagged.log"),
        ),
        ("named.tap", include_bytes!("tests/named.tap")),
        ("dnsgate.log", include_bytes!("tests/dnsgate.log")),
    ] {
        let read = told(log);
        assert_eq!(told(&packed(log)), read, "{name}");
        let _ = write!(text, "## {name}\n{read}\n");
    }
    assert_eq!(text, include_str!("tests/read.txt"), "{text}");
}

/// Many bytes without room for them.
struct Repeated {
    piece: Vec<u8>,
    left: u64,
}

impl io::Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.piece.len().min(buffer.len()).min(self.left as usize);
        buffer[..len].copy_from_slice(&self.piece[..len]);
        self.left -= len as u64;
        Ok(len)
    }
}

#[test]
fn a_line_of_100_mb_is_one_line_without_a_question() {
    let line = |name: &str| {
        format!("{{\"queryName\":\"{name}\",\"queryType\":\"A\",\"sourceIP\":\"10.0.0.1\"}}\n")
    };
    for (piece, rest) in [
        (&b"{\"a\":\""[..], "\"}\n"),
        (b"x", "\n"),
        (b"[[", "\n"),
        (b"{", "\n"),
    ] {
        let long = Repeated {
            piece: piece.repeat(10_000),
            left: 100 << 20,
        };
        let (before, after) = (line("a.example"), format!("{rest}{}", line("b.example")));
        let log = io::Cursor::new(before)
            .chain(long)
            .chain(io::Cursor::new(after));
        let read = read(io::BufReader::with_capacity(1 << 16, log), |_| ());
        let read = read.expect("readable");
        assert_eq!((read.questions, read.others), (2, 1), "{piece:?}");
    }
}

#[test]
fn reports_a_cut_log_with_its_place() {
    let tap = include_bytes!("tests/named.tap");
    let cut = told(&tap[..tap.len() - 40]);
    assert!(
        cut.ends_with("error: the frame stream is cut within frame 19\n"),
        "{cut}"
    );
    let lines = include_bytes!("tests/route53.json");
    let gzip = packed(lines);
    let cut = told(&gzip[..gzip.len() / 2]);
    assert!(cut.contains("error: behind "), "{cut}");
    let garbage = [&gzip[..], b"garbage"].concat();
    assert!(
        told(&garbage).contains("error: behind "),
        "{}",
        told(&garbage)
    );
    // Members one behind another are one file.
    let twice = [&gzip[..], &gzip].concat();
    assert!(
        told(&twice)
            .ends_with("log: 6 questions (Route 53 Resolver), 0 lines without a question\n")
    );
    // A text that is cut has one line less.
    let cut = told(&lines[..lines.len() - 40]);
    assert!(
        cut.ends_with("log: 2 questions (Route 53 Resolver), 1 line without a question\n"),
        "{cut}"
    );
}

#[test]
fn refuses_a_bomb() {
    // A mebibyte of blanks, eighty times: members one behind another. A log may be packed as well as 300 times.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&[b' '; 1 << 20]).expect("memory");
    let bomb = told(&gzip.finish().expect("memory").repeat(80));
    assert!(
        bomb.contains("more than 300 times its size: this is no log"),
        "{bomb}"
    );
    // What a bomb unpacks to is not unpacked again.
    let nested = told(&packed(&packed(b"x")));
    assert!(nested.starts_with("log: 0 questions"), "{nested}");
}

#[test]
fn names_other_formats() {
    for (log, looks) in [
        (&b""[..], "an empty file"),
        (b"\xd4\xc3\xb2\xa1\x02\0\x04\0", "a packet capture"),
        (b"\x28\xb5\x2f\xfd\0", "a zstd file"),
        (b"PK\x03\x04", "a zip file"),
        (b"\x89PNG\r\n\x1a\n\0\xff", "binary data"),
        (b"$TTL 300\n@ IN SOA a. b. 1 2 3 4 5\n", "a zone file"),
        (b"{\"generation\": 2, \"dropped\": 0, \"observed\": []}", "the page /observed"),
        (
            b"03-Nov-2026 10:00:00.0 queries: info: client @0x7 10.0.0.1#1 (a.example): query: a.example IN A + (10.0.0.2)\n",
            "BIND's query log",
        ),
        (b"Nov  3 10:00:00 dnsmasq[7]: query[A] a.example from 10.0.0.1\n", "dnsmasq's"),
        (b"listen: []\nupstreams: {}\n", "a configuration of dnsgate"),
        (b"[{\"a\": 1}]", "JSON with other fields"),
    ] {
        let told = told(log);
        assert!(told.starts_with("log: 0 questions"), "{told}");
        assert!(told.contains(&format!("it looks like {looks}")), "{looks}: {told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever a log is made of: no panic, and nothing is counted twice.
    #[test]
    fn any_bytes_can_be_read(
        pieces in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::sample::select(vec![
                &include_bytes!("tests/cloud-dns.json")[..400],
                include_bytes!("tests/coredns.log"),
                include_bytes!("tests/unbound.log"),
                include_bytes!("tests/named.tap"),
                include_bytes!("tests/dnsgate.log"),
            ]).prop_map(<[u8]>::to_vec),
            Just(b"\n".to_vec()),
        ], 0..6),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        pack in any::<bool>(),
    ) {
        let mut log = pieces.concat();
        if pack {
            log = packed(&log);
        }
        for (at, byte) in flips {
            if !log.is_empty() {
                let at = at.index(log.len());
                log[at] = byte;
            }
        }
        let mut counted = 0;
        let read = read(&log[..], |record| counted += record.times);
        if let Ok(summary) = read {
            prop_assert_eq!(summary.questions, counted);
        }
    }
}
