//! Questions to zones, as tables that read like dig; the sense of zones; and lookup held against a
//! naive reading of the RFCs.

mod naive_zone;

use super::*;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn zone(origin: &str, text: &str) -> Zone {
    match parse_zone(
        text,
        &name(origin),
        &mut |_| Err("no files here".to_owned()),
    ) {
        Ok(parsed) => parsed.zone,
        Err(faults) => panic!("{faults:#?}"),
    }
}

/// The same for texts that stand indented here: a zone file gives meaning to leading blanks.
fn flush(origin: &str, text: &str) -> Zone {
    let lines: Vec<_> = text.lines().map(str::trim_start).collect();
    zone(origin, &lines.join("\n"))
}

/// The name at the start of wire form, as text in the letters that it has.
fn wire_text(mut wire: &[u8]) -> String {
    let mut text = String::new();
    while let Some((&len, rest)) = wire.split_first().filter(|&(&len, _)| len > 0) {
        let (label, after) = rest.split_at(usize::from(len));
        text.push_str(&String::from_utf8_lossy(label));
        text.push('.');
        wire = after;
    }
    text
}

fn show_set(set: &Rrset) -> String {
    let data = set.rdatas().map(|rdata| match set.rtype() {
        RecordType::A => rdata
            .iter()
            .map(u8::to_string)
            .collect::<Vec<_>>()
            .join("."),
        RecordType::NS | RecordType::CNAME | RecordType::DNAME | RecordType::PTR => {
            wire_text(rdata)
        }
        RecordType::MX => wire_text(rdata.get(2..).unwrap_or_default()),
        RecordType::TXT => String::from_utf8_lossy(rdata.get(1..).unwrap_or_default()).into_owned(),
        _ => "…".to_owned(),
    });
    let data: Vec<_> = data.collect();
    format!("{} {}", set.rtype(), data.join(" "))
}

fn show(lookup: ZoneLookup<'_>) -> String {
    match lookup {
        ZoneLookup::Found(set) => show_set(set),
        ZoneLookup::Alias(set) => format!("alias {}", show_set(set)),
        ZoneLookup::Dname {
            owner_labels,
            dname,
        } => format!("{owner_labels} {}", show_set(dname)),
        ZoneLookup::Exists => "exists".to_owned(),
        ZoneLookup::NoData => "nodata".to_owned(),
        ZoneLookup::NxDomain => "nxdomain".to_owned(),
        ZoneLookup::Referral { cut_labels, ns } => {
            format!("referral {cut_labels} {}", show_set(ns))
        }
    }
}

/// Each line: name, type, what the zone says.
fn ask(zone: &Zone, table: &[(&str, &str, &str)]) {
    for (qname, qtype, want) in table {
        let said = zone.lookup(name(qname).as_ref(), qtype.parse().expect(qtype));
        assert_eq!(show(said), *want, "{qname} {qtype}");
    }
}

const RFC4592: &str = r#"
$ORIGIN example.
example.                 3600 IN  SOA   ns.example.com. admin.example.com. 1 2 3 4 5
example.                 3600     NS    ns.example.com.
example.                 3600     NS    ns.example.net.
*.example.               3600     TXT   "this is a wildcard"
*.example.               3600     MX    10 host1.example.
sub.*.example.           3600     TXT   "this is not a wildcard"
host1.example.           3600     A     192.0.2.1
_ssh._tcp.host1.example. 3600     SRV   0 0 22 host1.example.
_ssh._tcp.host2.example. 3600     SRV   0 0 22 host2.example.
subdel.example.          3600     NS    ns.example.com.
subdel.example.          3600     NS    ns.example.net.
"#;

/// RFC 4592 section 2.2.1: "The following responses would be synthesized from one of the
/// wildcards in the zone".
#[test]
fn rfc4592_synthesised() {
    let zone = zone("example", RFC4592);
    ask(
        &zone,
        &[
            // the answer will be a "host3.example. IN MX ..."
            ("host3.example", "MX", "MX host1.example."),
            // the answer will reflect "no error, but no data" because there is no A RR set at
            // '*.example.'
            ("host3.example", "A", "nodata"),
            // the answer will be "foo.bar.example. IN TXT ..." because bar.example. does not
            // exist, but the wildcard does.
            ("foo.bar.example", "TXT", "TXT this is a wildcard"),
        ],
    );
}

/// RFC 4592 section 2.2.1: "The following responses would not be synthesized from any of the
/// wildcards in the zone".
#[test]
fn rfc4592_not_synthesised() {
    let zone = zone("example", RFC4592);
    ask(
        &zone,
        &[
            // because host1.example. exists
            ("host1.example", "MX", "nodata"),
            // because sub.*.example. exists
            ("sub.*.example", "MX", "nodata"),
            // because _tcp.host1.example. exists (without data)
            ("_telnet._tcp.host1.example", "SRV", "nxdomain"),
            // because subdel.example. exists (and is a zone cut)
            (
                "host.subdel.example",
                "A",
                "referral 2 NS ns.example.com. ns.example.net.",
            ),
            // because *.example. exists
            ("ghost.*.example", "MX", "nxdomain"),
        ],
    );
}

/// RFC 4592 section 3.3.1: the table of closest enclosers and sources of synthesis.
#[test]
fn rfc4592_closest_enclosers() {
    let zone = zone("example", RFC4592);
    ask(
        &zone,
        &[
            ("host3.example", "TXT", "TXT this is a wildcard"), // example. / *.example.
            ("_telnet._tcp.host1.example", "TXT", "nxdomain"),  // _tcp.host1.example. / none
            ("_dns._udp.host2.example", "TXT", "nxdomain"),     // host2.example. / none
            (
                "_telnet._tcp.host3.example",
                "TXT",
                "TXT this is a wildcard",
            ), // example.
            ("_chat._udp.host3.example", "TXT", "TXT this is a wildcard"), // example.
            ("foobar.*.example", "TXT", "nxdomain"),            // *.example. / none
        ],
    );
}

/// RFC 4592 section 2.2.2: empty non-terminals exist, and section 2.1.1: the asterisk label is
/// one like any other when it is asked for.
#[test]
fn rfc4592_empty_non_terminals_and_literal_asterisks() {
    let zone = zone("example", RFC4592);
    ask(
        &zone,
        &[
            ("host2.example", "TXT", "nodata"),
            ("_tcp.host2.example", "MX", "nodata"),
            ("_tcp.host1.example", "ANY", "nodata"),
            ("*.example", "TXT", "TXT this is a wildcard"),
            ("*.example", "A", "nodata"),
            ("sub.*.example", "TXT", "TXT this is not a wildcard"),
            ("x*.example", "TXT", "TXT this is a wildcard"), // only a whole label is a wildcard
            ("**.example", "TXT", "TXT this is a wildcard"),
            ("example", "TXT", "nodata"), // the wildcard is below the apex, not at it
            ("host3.example", "ANY", "exists"),
        ],
    );
}

#[test]
fn wildcards_of_aliases_and_of_nothing() {
    let zone = flush(
        "googleapis.com",
        "@ 300 SOA ns.invalid. nobody.invalid. 1 2 3 4 60
         * 300 CNAME restricted
         restricted 300 A 199.36.153.4
         a.*.deep 300 A 10.0.0.1",
    );
    ask(
        &zone,
        &[
            (
                "storage.googleapis.com",
                "A",
                "alias CNAME restricted.googleapis.com.",
            ),
            (
                "storage.googleapis.com",
                "HTTPS",
                "alias CNAME restricted.googleapis.com.",
            ),
            (
                "storage.googleapis.com",
                "CNAME",
                "CNAME restricted.googleapis.com.",
            ),
            (
                "storage.googleapis.com",
                "ANY",
                "alias CNAME restricted.googleapis.com.",
            ),
            (
                "a.b.c.storage.googleapis.com",
                "A",
                "alias CNAME restricted.googleapis.com.",
            ),
            ("restricted.googleapis.com", "A", "A 199.36.153.4"),
            ("restricted.googleapis.com", "AAAA", "nodata"),
            ("x.restricted.googleapis.com", "A", "nxdomain"),
            ("googleapis.com", "A", "nodata"),
            // The source of synthesis is an empty non-terminal.
            ("x.deep.googleapis.com", "A", "nodata"),
            ("a.x.deep.googleapis.com", "A", "nodata"),
            ("a.*.deep.googleapis.com", "A", "A 10.0.0.1"),
        ],
    );
}

/// The part of the root zone in RFC 1034 section 6.1 that its questions in section 6.2 touch.
const RFC1034: &str = "
.       IN      SOA     SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. (
                                870611          ;serial
                                1800            ;refresh every 30 min
                                300             ;retry every 5 min
                                604800          ;expire after a week
                                86400)          ;minimum of a day
                NS      A.ISI.EDU.
                NS      C.ISI.EDU.
                NS      SRI-NIC.ARPA.

MIL.    86400   NS      SRI-NIC.ARPA.
        86400   NS      A.ISI.EDU.

EDU.    86400   NS      SRI-NIC.ARPA.
        86400   NS      C.ISI.EDU.

SRI-NIC.ARPA.   A       26.0.0.73
                A       10.0.0.51
                MX      0 SRI-NIC.ARPA.
                HINFO   DEC-2060 TOPS20

ACC.ARPA.       A       26.6.0.65
                HINFO   PDP-11/70 UNIX
                MX      10 ACC.ARPA.

USC-ISIC.ARPA.  CNAME   C.ISI.EDU.

73.0.0.26.IN-ADDR.ARPA.  PTR    SRI-NIC.ARPA.

SRI-NIC.ARPA. 86400   A       26.0.0.73
A.ISI.EDU. 86400 A 26.3.0.103
C.ISI.EDU. 86400 A 10.0.0.52
";

#[test]
fn rfc1034_section_6_2() {
    let zone = zone(".", RFC1034);
    ask(
        &zone,
        &[
            ("SRI-NIC.ARPA", "A", "A 26.0.0.73 10.0.0.51"), // 6.2.1
            ("SRI-NIC.ARPA", "ANY", "exists"),              // 6.2.2
            ("SRI-NIC.ARPA", "MX", "MX SRI-NIC.ARPA."),     // 6.2.3
            ("SRI-NIC.ARPA", "NS", "nodata"),               // 6.2.4
            ("SIR-NIC.ARPA", "A", "nxdomain"),              // 6.2.5
            ("BRL.MIL", "A", "referral 1 NS SRI-NIC.ARPA. A.ISI.EDU."), // 6.2.6
            ("USC-ISIC.ARPA", "A", "alias CNAME C.ISI.EDU."), // 6.2.7
            ("C.ISI.EDU", "A", "referral 1 NS SRI-NIC.ARPA. C.ISI.EDU."),
            ("USC-ISIC.ARPA", "CNAME", "CNAME C.ISI.EDU."), // 6.2.8
            (".", "NS", "NS A.ISI.EDU. C.ISI.EDU. SRI-NIC.ARPA."),
            ("ARPA", "A", "nodata"),
        ],
    );
    assert_eq!(zone.soa().ttl(), 86400);
}

const DELEGATIONS: &str = "$TTL 300
         @ SOA ns nobody 1 2 3 4 60
         @ NS ns
         ns A 10.0.0.53
         sub NS ns.sub
         sub NS ns
         sub DS 1 8 2 00ff
         ns.sub A 10.1.0.53
         ns.sub AAAA fd00::53
         bare NS ns.bare
         x.cut.bare A 10.9.9.9
         * TXT wild";

#[test]
fn delegations() {
    let zone = flush("corp.example", DELEGATIONS);
    ask(
        &zone,
        &[
            ("corp.example", "NS", "NS ns.corp.example."), // the apex is no cut
            (
                "sub.corp.example",
                "A",
                "referral 3 NS ns.sub.corp.example. ns.corp.example.",
            ),
            (
                "sub.corp.example",
                "NS",
                "referral 3 NS ns.sub.corp.example. ns.corp.example.",
            ),
            (
                "sub.corp.example",
                "ANY",
                "referral 3 NS ns.sub.corp.example. ns.corp.example.",
            ),
            (
                "a.b.sub.corp.example",
                "A",
                "referral 3 NS ns.sub.corp.example. ns.corp.example.",
            ),
            // RFC 4035 section 3.1.4.1: the DS is the parent's.
            ("sub.corp.example", "DS", "DS …"),
            ("bare.corp.example", "DS", "nodata"),
            (
                "a.sub.corp.example",
                "DS",
                "referral 3 NS ns.sub.corp.example. ns.corp.example.",
            ),
            ("corp.example", "DS", "nodata"),
            // Glue and whatever else is below a cut is not ours to answer with.
            (
                "ns.sub.corp.example",
                "A",
                "referral 3 NS ns.sub.corp.example. ns.corp.example.",
            ),
            (
                "x.cut.bare.corp.example",
                "A",
                "referral 3 NS ns.bare.corp.example.",
            ),
            (
                "y.cut.bare.corp.example",
                "TXT",
                "referral 3 NS ns.bare.corp.example.",
            ),
            ("sub2.corp.example", "TXT", "TXT wild"),
        ],
    );
}

#[test]
fn addresses_below_cuts_are_glue() {
    let zone = flush("corp.example", DELEGATIONS);
    let (v4, v6) = zone.addresses(name("ns.sub.corp.example").as_ref());
    assert_eq!((v4.map(Rrset::len), v6.map(Rrset::len)), (Some(1), Some(1)));
    for nowhere in [
        "ns.bare.corp.example",
        "x.corp.example",
        "ns.sub.corp.example.org",
        ".",
    ] {
        assert_eq!(
            zone.addresses(name(nowhere).as_ref()),
            (None, None),
            "{nowhere}"
        );
    }
}

/// RFC 6672 section 2.2, table 1: which names a DNAME applies to.
#[test]
fn rfc6672_matches() {
    for (qname, owner, matches) in [
        ("com", "example.com", false),
        ("example.com", "example.com", false), // section 2.3: not its owner
        ("a.example.com", "example.com", true),
        ("a.b.example.com", "example.com", true),
        ("ab.example.com", "b.example.com", false),
        ("foo.example.com", "example.com", true),
        ("a.x.example.com", "x.example.com", true),
        ("cyc.example.com", "example.com", true),
        ("shortloop.x.x", "x", true),
        ("shortloop.x", "x", true),
    ] {
        let text = format!(". 60 SOA a. b. 1 2 3 4 5\n{owner}. 60 DNAME example.net.");
        let zone = zone(".", &text);
        let said = zone.lookup(name(qname).as_ref(), RecordType::A);
        let labels = name(owner).as_ref().label_count();
        let found =
            matches!(said, ZoneLookup::Dname { owner_labels, .. } if owner_labels == labels);
        assert_eq!(found, matches, "{qname} {owner}: {said:?}");
    }
}

/// RFC 6672 section 2.3: "the DNAME owner may hold other data" and is answered as any name.
#[test]
fn rfc6672_the_owner_itself() {
    let owner = flush(
        "example",
        "@ 60 SOA a. b. 1 2 3 4 5
         d 60 DNAME other.test.
         d 60 A 10.0.0.1
         * 60 TXT wild",
    );
    ask(
        &owner,
        &[
            ("d.example", "DNAME", "DNAME other.test."),
            ("d.example", "A", "A 10.0.0.1"),
            ("d.example", "MX", "nodata"),
            ("d.example", "ANY", "exists"),
            ("x.d.example", "A", "2 DNAME other.test."),
            ("x.d.example", "DNAME", "2 DNAME other.test."),
            ("*.d.example", "ANY", "2 DNAME other.test."),
            ("xd.example", "TXT", "TXT wild"),
        ],
    );
    let all = zone(
        "example",
        "@ 60 SOA a. b. 1 2 3 4 5\n@ 60 DNAME x.test.\n@ 60 NS a.",
    );
    ask(
        &all,
        &[
            ("a.b.example", "A", "1 DNAME x.test."),
            ("example", "NS", "NS a."),
        ],
    );
}

/// RFC 2308 section 3: "The TTL of this record is set from the minimum of the MINIMUM field of the
/// SOA record and the TTL of the SOA itself".
#[test]
fn rfc2308_negative_ttl() {
    for (ttl, minimum, negative) in [(3600, 60, 60), (60, 3600, 60), (0, 5, 0), (300, 300, 300)] {
        let zone = zone("x", &format!("@ {ttl} SOA a. b. 1 2 3 4 {minimum}"));
        assert_eq!(zone.negative_soa().ttl(), negative, "{ttl} {minimum}");
        assert_eq!(zone.soa().ttl(), ttl);
        assert!(zone.negative_soa().rdatas().eq(zone.soa().rdatas()));
    }
}

#[test]
fn names_outside_the_zone_do_not_exist() {
    let zone = zone("corp.example", "@ 60 SOA a. b. 1 2 3 4 5\n* 60 TXT x");
    ask(
        &zone,
        &[
            ("example", "TXT", "nxdomain"),
            ("evilcorp.example", "TXT", "nxdomain"),
            (r"evil\.corp.example", "TXT", "nxdomain"),
            ("corp.example.org", "TXT", "nxdomain"),
            (".", "SOA", "nxdomain"),
            ("CORP.Example", "SOA", "SOA …"),
        ],
    );
}

#[test]
fn inline_zones_get_soa_and_ns() {
    let mut builder = ZoneBuilder::new(name("lab.example")).with_default_soa();
    for text in [
        "db 300 IN A 10.0.0.5",
        "*.svc 60 IN CNAME ingress",
        "db A 10.0.0.6",
    ] {
        let record = parse_record(text, &name("lab.example")).expect(text);
        let added = builder.add(
            record.owner.as_ref(),
            record.ttl,
            record.rtype,
            &record.rdata,
        );
        assert_eq!(added, Ok(()), "{text}");
    }
    let zone = builder.finish().expect("sense");
    ask(
        &zone,
        &[
            ("lab.example", "SOA", "SOA …"),
            ("lab.example", "NS", "NS dnsgate.invalid."),
            ("db.lab.example", "A", "A 10.0.0.5 10.0.0.6"),
            ("a.svc.lab.example", "A", "alias CNAME ingress.lab.example."),
            ("svc.lab.example", "A", "nodata"),
            ("x.lab.example", "A", "nxdomain"),
        ],
    );
    assert_eq!((zone.soa().ttl(), zone.negative_soa().ttl()), (300, 300));
    let soa = zone.soa().rdatas().next().expect("one");
    assert_eq!(wire_text(soa), "dnsgate.invalid.");
    assert_eq!(zone.rrset_count(), 4);
    assert_eq!(zone.rrsets().count(), 4);
    let owners: Vec<_> = zone.rrsets().map(|(owner, _)| owner.to_string()).collect();
    assert!(
        owners.contains(&"*.svc.lab.example.".to_owned()),
        "{owners:?}"
    );
    // What the operator states stands.
    let mut builder = ZoneBuilder::new(name("x")).with_default_soa();
    let record = parse_record("@ 60 SOA mine. me. 1 2 3 4 5", &name("x")).expect("record");
    let _ = builder.add(record.owner.as_ref(), 60, record.rtype, &record.rdata);
    let zone = builder.finish().expect("sense");
    assert_eq!(wire_text(zone.soa().rdatas().next().expect("one")), "mine.");
}

#[test]
fn sets_take_the_least_ttl_and_each_record_once() {
    let zone = zone(
        "x",
        "@ 60 SOA a. b. 1 2 3 4 5\na 300 A 10.0.0.1\na 100 A 10.0.0.2\na 200 A 10.0.0.1",
    );
    let ZoneLookup::Found(set) = zone.lookup(name("a.x").as_ref(), RecordType::A) else {
        panic!("no set");
    };
    assert_eq!((set.ttl(), set.len()), (100, 2));
}

/// What [`ZoneBuilder::finish`] says to records, the SOA being added where `soa` says so.
fn complaints(soa: bool, records: &[&str]) -> Vec<String> {
    let origin = name("z.example");
    let mut builder = ZoneBuilder::new(origin.clone());
    let soa = soa.then_some("@ 60 SOA a. b. 1 2 3 4 5");
    let mut found = Vec::new();
    for text in soa.iter().chain(records) {
        let record = parse_record(text, &origin).expect(text);
        let owner = record.owner.as_ref();
        if let Err(error) = builder.add(owner, record.ttl, record.rtype, &record.rdata) {
            found.push(error.to_string());
        }
    }
    found.extend(
        builder
            .finish()
            .err()
            .into_iter()
            .flatten()
            .map(|error| error.to_string()),
    );
    found
}

/// Records beside a SOA, and how the one complaint about them begins.
const SENSELESS: &[(&[&str], &str)] = &[
    (
        &["a.z.example.org. A 10.0.0.1"],
        "a.z.example.org. A: the name is outside the zone z.example.",
    ),
    (
        &["evilz.example. A 10.0.0.1"],
        "evilz.example. A: the name is outside",
    ),
    (
        &["a CNAME b", "a A 10.0.0.1"],
        "a.z.example. CNAME: a CNAME cannot stand beside other data; this name has A",
    ),
    (
        &["a TXT b", "a CNAME b"],
        "a.z.example. CNAME: a CNAME cannot stand beside other data; this name has TXT",
    ),
    (
        &["@ CNAME b"],
        "z.example. CNAME: a CNAME cannot stand beside other data; this name has SOA",
    ),
    (
        &["a CNAME b", "a DNAME b"],
        "a.z.example. CNAME: a CNAME cannot stand beside other data; this name has DNAME",
    ),
    (
        &["a CNAME b", "a CNAME c"],
        "a.z.example. CNAME: a name has one record of this type at most; there are 2",
    ),
    (
        &["a DNAME b", "a DNAME c"],
        "a.z.example. DNAME: a name has one record",
    ),
    (
        &["@ SOA c. d. 1 2 3 4 5"],
        "z.example. SOA: a name has one record of this type at most",
    ),
    (
        &["a SOA c. d. 1 2 3 4 5"],
        "a.z.example. SOA: the SOA record belongs to the zone's origin z.example.",
    ),
    (
        &["* NS a."],
        "*.z.example. NS: a wildcard cannot have this type",
    ),
    (
        &["*.a DNAME a."],
        "*.a.z.example. DNAME: a wildcard cannot have this type",
    ),
    (
        &["a DNAME b.", "x.y.a TXT x"],
        "a.z.example. DNAME: a DNAME aliases all names below it, so none can exist there; there is x.y.a.z.example.",
    ),
    (
        &["a DNAME b.", "a NS b."],
        "a.z.example. DNAME: a DNAME cannot stand beside the NS",
    ),
    (
        &[r"a CNAME \# 3 010203"],
        "a.z.example. CNAME: the data do not have the form",
    ),
    (
        &[r"a A \# 3 010203"],
        "a.z.example. A: the data do not have the form",
    ),
    (
        &[r"a SOA \# 2 0000"],
        "a.z.example. SOA: the data do not have the form",
    ),
    (
        &[r"a MX \# 3 0000C0"],
        "a.z.example. MX: the data do not have the form",
    ),
    (
        &[r"a ANY \# 0"],
        "a.z.example. ANY: this type is for questions only",
    ),
    (
        &[r"a TYPE251 \# 0"],
        "a.z.example. IXFR: this type is for questions only",
    ),
];

#[test]
fn zones_without_sense_are_refused() {
    for &(records, want) in SENSELESS {
        let found = complaints(true, records);
        assert!(
            found.len() == 1 && found[0].starts_with(want),
            "{records:?}: {found:#?}"
        );
    }
    assert!(
        complaints(false, &["a A 10.0.0.1"])[0].starts_with("z.example. SOA: the zone has no SOA")
    );
    for sense in [
        &["a CNAME b", "a CNAME b", "x.a A 10.0.0.1"][..],
        &["a CNAME b", r"a TYPE46 \# 1 00", r"a NSEC \# 1 00"],
        &["@ NS b", "@ DNAME b.", "@ TXT x"],
        &["a NS b", "x.a A 10.0.0.1", "*.x.a TXT x"],
    ] {
        assert_eq!(complaints(true, sense), Vec::<String>::new(), "{sense:?}");
    }
}

#[test]
fn sets_too_large_for_a_reply_are_refused() {
    let mut builder = ZoneBuilder::new(name("x")).with_default_soa();
    for at in 0..4000u32 {
        let added = builder.add(name("a.x").as_ref(), 1, RecordType::A, &at.to_be_bytes());
        assert_eq!(added, Ok(()));
    }
    assert!(builder.finish().is_ok());
    let mut builder = ZoneBuilder::new(name("x")).with_default_soa();
    let mut refused = 0;
    for at in 0..10_000u32 {
        let added = builder.add(name("a.x").as_ref(), 1, RecordType::A, &at.to_be_bytes());
        refused += usize::from(added.is_err());
    }
    assert!(refused > 0);
    let errors = builder.finish().expect_err("too large");
    assert_eq!(errors[0].problem, ZoneProblem::LargeSet);
    assert!(errors[0].record.is_some());
}

#[test]
fn repeated_records_of_a_large_set_count_once() {
    let origin: Name = "example".parse().expect("a name");
    let mut builder = ZoneBuilder::new(origin.clone()).with_default_soa();
    for _ in 0..2 {
        for at in 0..100 {
            let added = builder.add(origin.as_ref(), 300, RecordType::A, &[10, 0, 0, at]);
            assert_eq!(added, Ok(()));
        }
    }
    let zone = builder.finish().expect("a zone");
    let mut sets = zone
        .rrsets()
        .filter(|(_, set)| set.rtype() == RecordType::A);
    assert_eq!(sets.next().map(|(_, set)| set.len()), Some(100));
}

#[test]
fn the_types_of_a_name_are_bounded() {
    let origin: Name = "example".parse().expect("a name");
    let mut builder = ZoneBuilder::new(origin.clone()).with_default_soa();
    let mut add = |number| builder.add(origin.as_ref(), 300, RecordType(number), b"x");
    for number in 0..1_000 {
        assert_eq!(add(60_000 - number), Ok(()));
    }
    let error = add(1_000).expect_err("one too many");
    assert!(
        error.to_string().contains("more than 1000 types"),
        "{error}"
    );
}
