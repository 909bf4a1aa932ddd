mod bad;
mod signatures;

use hickory_proto::rr::RData;

use crate::dns::{NameBuf, rrset::wire_rdata};

use super::*;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn rtype(text: &str) -> RecordType {
    text.parse().expect(text)
}

/// `owner TTL TYPE data`, as dig prints it, uncompressed; `TYPE65280 \#hex` is bytes.
fn record(line: &str) -> Vec<u8> {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (owner, ttl, rtype, data) = (name(word()), word(), rtype(word()), word());
    let rdata = match data.strip_prefix("\\#") {
        Some(hex) => (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect(line))
            .collect(),
        None => {
            let rdata = RData::try_from_str(rtype.0.into(), data).expect(line);
            wire_rdata(&rdata).expect(line)
        }
    };
    raw_record(
        owner.as_ref().wire(),
        rtype,
        ttl.parse().expect(line),
        &rdata,
    )
}

fn raw_record(owner: &[u8], rtype: RecordType, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut wire = owner.to_vec();
    wire.extend(rtype.0.to_be_bytes());
    wire.extend([0, 1]);
    wire.extend(ttl.to_be_bytes());
    wire.extend((rdata.len() as u16).to_be_bytes());
    wire.extend(rdata);
    wire
}

/// An RRSIG of `covered` by `signer`, in `record`'s form.
fn rrsig(owner: &str, ttl: u32, covered: &str, signer: &str) -> String {
    let mut rdata = rtype(covered).0.to_be_bytes().to_vec();
    rdata.extend([0; 16]);
    rdata.extend(name(signer).as_ref().wire());
    rdata.extend(b"signature");
    let hex: String = rdata.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{owner} {ttl} RRSIG \\#{hex}")
}

/// The reply to `question` (`name TYPE`) with this code and these sections.
fn reply(question: &str, code: u8, sections: [&[Vec<u8>]; 3]) -> Vec<u8> {
    let (asked, qtype) = question.split_once(' ').expect("name TYPE");
    let mut wire = vec![0x12, 0x34, 0x81, 0x80 | code, 0, 1];
    for section in sections {
        wire.extend((section.len() as u16).to_be_bytes());
    }
    wire.extend(name(asked).as_ref().wire());
    wire.extend(rtype(qtype).0.to_be_bytes());
    wire.extend([0, 1]);
    wire.extend(sections.concat().concat());
    wire
}

fn records(lines: &[&str]) -> Vec<Vec<u8>> {
    lines.iter().map(|line| record(line)).collect()
}

fn parse(question: &str, message: &[u8], dnssec_ok: bool) -> Result<Response, Failure> {
    let (asked, qtype) = question.split_once(' ').expect("name TYPE");
    Response::parse(message, name(asked).as_ref(), rtype(qtype), dnssec_ok)
}

fn show_set(owner: &str, set: &Rrset) -> String {
    let count = if set.len() > 1 {
        format!(" ×{}", set.len())
    } else {
        String::new()
    };
    format!("{owner} {} {}{count}", set.ttl(), set.rtype())
}

/// One line for all there is: the code, the aliases, the end, the answers, then the authority.
fn show(question: NameRef<'_>, response: &Response) -> String {
    let mut parts = vec![response.rcode.as_str().to_owned()];
    let mut owner = question.to_string();
    let show_dname = |dname: &Dname| -> Vec<String> {
        let owner = dname.owner.to_string();
        dname.sets().map(|set| show_set(&owner, set)).collect()
    };
    for alias in &response.aliases {
        parts.extend(alias.dname.iter().flat_map(|dname| show_dname(dname)));
        let sets = [Some(&alias.cname), alias.signatures.as_ref()];
        parts.extend(sets.iter().flatten().map(|set| show_set(&owner, set)));
        owner = alias.target.to_string();
    }
    if response.end != ChainEnd::Name {
        parts.push(format!("{:?}", response.end));
    }
    parts.extend(response.dname.iter().flat_map(|dname| show_dname(dname)));
    parts.extend(response.answers.iter().map(|set| show_set(&owner, set)));
    let authority = response.authority.iter();
    parts.extend(authority.map(|(owner, set)| format!("[{}]", show_set(&owner.to_string(), set))));
    parts.join(", ")
}

fn shown(question: &str, message: &[u8], dnssec_ok: bool) -> String {
    let asked = name(question.split_once(' ').expect("name TYPE").0);
    match parse(question, message, dnssec_ok) {
        Ok(response) => show(asked.as_ref(), &response),
        Err(failure) => format!("{failure:?}"),
    }
}

/// `old.x. 300 DNAME new.x.`
const DNAME: &str = "old.x. 300 DNAME \\#036e6577017800";
const SOA: &str = "x. 900 SOA ns.x. host.x. 1 2 3 4 60";

/// Question, code, answer section, authority section; what is read of it.
type Case = (
    &'static str,
    u8,
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
);

const CASES: &[Case] = &[
    (
        "www.x A",
        0,
        &[
            "WWW.x. 300 A 192.0.2.1",
            "www.X. 60 A 192.0.2.2",
            "www.x. 90 A 192.0.2.1",
        ],
        &[],
        "NOERROR, www.x. 60 A ×2",
    ),
    // Other names, other types, in any order.
    (
        "www.x A",
        0,
        &[
            "evil.y. 300 A 192.0.2.9",
            "b.x. 300 A 192.0.2.1",
            "www.x. 300 TXT \"t\"",
            "a.x. 20 CNAME B.x.",
            "b.x. 300 AAAA 2001:db8::1",
            "www.x. 30 CNAME a.x.",
            "other.x. 1 CNAME evil.y.",
        ],
        &["x. 300 NS evil.y."],
        "NOERROR, www.x. 30 CNAME, a.x. 20 CNAME, b.x. 300 A",
    ),
    // An alias is the answer to a question for it.
    (
        "www.x CNAME",
        0,
        &["www.x. 30 CNAME a.x.", "a.x. 20 CNAME b.x."],
        &[],
        "NOERROR, www.x. 30 CNAME",
    ),
    // The same alias twice is one.
    (
        "www.x A",
        0,
        &[
            "www.x. 30 CNAME a.x.",
            "www.x. 20 CNAME A.X.",
            "a.x. 9 A 192.0.2.1",
        ],
        &[],
        "NOERROR, www.x. 20 CNAME, a.x. 9 A",
    ),
    (
        "www.x A",
        0,
        &[
            "www.x. 30 CNAME a.x.",
            "www.x. 20 CNAME b.x.",
            "a.x. 9 A 192.0.2.1",
        ],
        &[],
        "Malformed",
    ),
    (
        "www.x A",
        0,
        &["www.x. 30 CNAME a.x.", "a.x. 20 CNAME WWW.x."],
        &[SOA],
        "NOERROR, www.x. 30 CNAME, a.x. 20 CNAME, Loop",
    ),
    (
        "x A",
        0,
        &["x. 30 CNAME x."],
        &[],
        "NOERROR, x. 30 CNAME, Loop",
    ),
    // Negative answers.
    ("www.x A", 3, &[], &[SOA], "NXDOMAIN, [x. 60 SOA]"),
    ("www.x A", 0, &[], &[SOA], "NOERROR, [x. 60 SOA]"),
    (
        "x A",
        0,
        &[],
        &["x. 9 SOA ns.x. host.x. 1 2 3 4 60"],
        "NOERROR, [x. 9 SOA]",
    ),
    ("www.x A", 3, &[], &[], "NXDOMAIN"),
    (
        "www.x A",
        3,
        &[],
        &["y. 900 SOA ns.x. host.x. 1 2 3 4 60"],
        "NXDOMAIN",
    ),
    (
        "www.x A",
        3,
        &[],
        &["a.www.x. 900 SOA ns.x. host.x. 1 2 3 4 60"],
        "NXDOMAIN",
    ),
    (
        "www.x A",
        3,
        &["www.x. 30 CNAME a.y."],
        &[
            SOA,
            ". 900 SOA ns.x. host.x. 1 2 3 4 50",
            "y. 900 SOA ns.x. host.x. 1 2 3 4 40",
        ],
        "NXDOMAIN, www.x. 30 CNAME, [y. 40 SOA]",
    ),
    (
        "www.x A",
        0,
        &[],
        &[SOA, "x. 900 SOA ns.x. host.x. 2 2 3 4 60"],
        "Malformed",
    ),
    // A SOA beside an answer says nothing.
    (
        "www.x A",
        0,
        &["www.x. 5 A 192.0.2.1"],
        &[SOA],
        "NOERROR, www.x. 5 A",
    ),
    // Only other servers: a referral is no answer.
    ("www.x A", 0, &[], &["x. 300 NS ns.x."], "Malformed"),
    (
        "www.x A",
        0,
        &[],
        &["x. 300 NS ns.x.", SOA],
        "NOERROR, [x. 60 SOA]",
    ),
    // A name that does not exist has no records.
    ("www.x A", 3, &["www.x. 5 A 192.0.2.1"], &[], "Malformed"),
    // Nothing is said of the name that the chain leads to: it goes on elsewhere.
    (
        "www.x A",
        0,
        &["www.x. 30 CNAME h.sub.x."],
        &["sub.x. 300 NS ns.sub.x."],
        "NOERROR, www.x. 30 CNAME, Open",
    ),
    (
        "www.x A",
        0,
        &["www.x. 30 CNAME a.x.", "a.x. 30 CNAME h.y."],
        &[SOA],
        "NOERROR, www.x. 30 CNAME, a.x. 30 CNAME, Open",
    ),
    (
        "www.x A",
        0,
        &["www.x. 30 CNAME a.x."],
        &["x. 300 NS ns.x.", SOA],
        "NOERROR, www.x. 30 CNAME, [x. 60 SOA]",
    ),
    // The alias that was asked for is there, and its target is not.
    (
        "www.x CNAME",
        3,
        &["www.x. 30 CNAME gone.y."],
        &[SOA, "y. 900 SOA ns.x. host.x. 1 2 3 4 50"],
        "NXDOMAIN, www.x. 30 CNAME, [y. 50 SOA]",
    ),
    // DNAME: the CNAME follows from it, where the server has not made it with its TTL.
    (
        "w.old.x A",
        0,
        &["w.new.x. 60 A 192.0.2.1", DNAME],
        &[],
        "NOERROR, w.old.x. 300 CNAME, w.new.x. 60 A",
    ),
    (
        "w.old.x A",
        0,
        &[DNAME, "w.old.x. 0 CNAME W.NEW.x."],
        &[],
        "NOERROR, w.old.x. 0 CNAME, Open",
    ),
    (
        "w.old.x A",
        0,
        &[
            DNAME,
            "w.old.x. 9 CNAME evil.y.",
            "evil.y. 9 A 192.0.2.1",
            "w.new.x. 60 A 192.0.2.2",
        ],
        &[],
        "NOERROR, w.old.x. 300 CNAME, w.new.x. 60 A",
    ),
    (
        "w.old.x CNAME",
        0,
        &[DNAME],
        &[],
        "NOERROR, w.old.x. 300 CNAME",
    ),
    (
        "w.old.x DNAME",
        0,
        &[DNAME],
        &[],
        "NOERROR, w.old.x. 300 CNAME, Open",
    ),
    // Not of its own name, nor of others.
    ("old.x DNAME", 0, &[DNAME], &[], "NOERROR, old.x. 300 DNAME"),
    (
        "old.x A",
        0,
        &[DNAME, "old.x. 5 A 192.0.2.1"],
        &[],
        "NOERROR, old.x. 5 A",
    ),
    (
        "w.older.x A",
        0,
        &[DNAME, "w.older.x. 5 A 192.0.2.1"],
        &[],
        "NOERROR, w.older.x. 5 A",
    ),
    // A name becomes too long, and where the DNAME is tells the server alone.
    ("w.old.x A", 6, &[], &[], "YXDOMAIN"),
    (
        "www.x A",
        6,
        &["www.x. 9 CNAME w.old.x."],
        &[],
        "YXDOMAIN, www.x. 9 CNAME",
    ),
    ("www.x A", 2, &[], &[], "Code(2)"),
    ("www.x A", 5, &["www.x. 5 A 192.0.2.1"], &[], "Code(5)"),
    // RFC 2181 section 8.
    (
        "www.x A",
        0,
        &["www.x. 2147483648 A 192.0.2.1"],
        &[],
        "NOERROR, www.x. 0 A",
    ),
    (
        "www.x A",
        0,
        &["www.x. 2147483647 A 192.0.2.1"],
        &[],
        "NOERROR, www.x. 2147483647 A",
    ),
    // A type that nobody knows is bytes (RFC 3597).
    (
        "www.x TYPE65280",
        0,
        &["www.x. 5 TYPE65280 \\#c00cff", "www.x. 5 TYPE65281 \\#00"],
        &[],
        "NOERROR, www.x. 5 TYPE65280",
    ),
];

#[test]
fn what_the_question_leads_to() {
    for (question, code, answer, authority, want) in CASES {
        let message = reply(
            question,
            *code,
            [
                &records(answer),
                &records(authority),
                &records(&["x. 1 A 192.0.2.7"]),
            ],
        );
        assert_eq!(
            shown(question, &message, false),
            *want,
            "{question} {answer:?} {authority:?}"
        );
    }
}

/// A label of 63 bytes, four of which are no name.
const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn a_dname_that_leads_to_too_long_a_name() {
    let asked = format!("{LONG}.{LONG}.{LONG}.old.x A");
    let target = format!("{LONG}.x");
    let target = name(&target).as_ref().wire().to_vec();
    let dname = [raw_record(
        b"\x03old\x01x\0",
        RecordType::DNAME,
        300,
        &target,
    )];
    for code in [0, 6] {
        for (dnssec_ok, sections) in [(false, [&dname[..], &[], &[]]), (true, [&dname, &[], &[]])] {
            let message = reply(&asked, code, sections);
            let want = "YXDOMAIN, old.x. 300 DNAME";
            assert_eq!(shown(&asked, &message, dnssec_ok), want, "{code}");
            let response = parse(&asked, &message, dnssec_ok).expect("well-formed");
            assert_eq!((response.ttl(), response.denies()), (300, false));
        }
    }
}

#[test]
fn how_long_it_holds() {
    for (question, code, answer, authority, negative, ttl) in [
        ("x A", 0, &["x. 300 A 192.0.2.1"][..], &[][..], false, 300),
        (
            "x A",
            0,
            &["x. 300 CNAME y.", "y. 20 A 192.0.2.1"],
            &[],
            false,
            20,
        ),
        (
            "x A",
            0,
            &["x. 10 CNAME y.", "y. 20 A 192.0.2.1"],
            &[SOA],
            false,
            10,
        ),
        ("www.x A", 3, &[], &[SOA], true, 60),
        ("www.x A", 0, &[], &[SOA], true, 60),
        ("y A", 3, &["y. 10 CNAME www.x."], &[SOA], true, 10),
        ("y A", 3, &["y. 10 CNAME www.x."], &[], true, 0),
        ("x A", 0, &["x. 10 CNAME x."], &[], false, 10),
        ("x A", 0, &["x. 10 CNAME a.y."], &[], false, 10),
        // The code is of a name that nobody says how long not to ask for.
        ("x CNAME", 3, &["x. 10 CNAME a.y."], &[], false, 0),
        ("y CNAME", 3, &["y. 99 CNAME www.x."], &[SOA], false, 60),
        ("w.old.x A", 6, &[], &[], true, 0),
    ] {
        let message = reply(question, code, [&records(answer), &records(authority), &[]]);
        let response = parse(question, &message, false).expect(question);
        assert_eq!(
            (response.is_negative(), response.ttl()),
            (negative, ttl),
            "{question} {answer:?}"
        );
        assert!(response.bytes() > size_of::<Response>());
    }
}
