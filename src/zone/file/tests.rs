//! Zone files as tables: text in, records or faults with their places out.

mod hostile;

use std::collections::BTreeMap;

use super::*;
use crate::dns::{NameBuf, Rrset};

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

/// Parses with the files of a map to include.
fn parse(text: &str, files: &[(&str, &str)]) -> Result<ParsedZone, Vec<ZoneFault>> {
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    parse_zone(text, &name("z.example"), &mut |path| {
        let text = files.get(path).map(|text| (*text).to_owned());
        text.ok_or_else(|| "no such file".to_owned())
    })
}

/// A zone's records as lines: owner, TTL, type, data in hexadecimal; sorted.
fn lines(zone: &Zone) -> Vec<String> {
    let line = |(owner, set): (Name, &Rrset)| {
        let line = |rdata: &[u8]| {
            let hex: String = rdata.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{owner} {} {} {hex}", set.ttl(), set.rtype())
        };
        set.rdatas().map(line).collect::<Vec<_>>()
    };
    let mut lines: Vec<_> = zone.rrsets().flat_map(line).collect();
    lines.sort();
    lines
}

/// The lines of a zone besides its SOA.
fn read(text: &str, files: &[(&str, &str)]) -> Vec<String> {
    match parse(text, files) {
        Ok(parsed) => lines(&parsed.zone)
            .into_iter()
            .filter(|line| !line.contains(" SOA "))
            .collect(),
        Err(faults) => panic!("{text:?}: {faults:#?}"),
    }
}

const SOA: &str = "@ 60 SOA a. b. 1 2 3 4 5\n";

/// What stands behind the SOA, and the records that it makes.
const ENTRIES: &[(&str, &[&str])] = &[
    // Owner, TTL and origin.
    (
        "a 10 A 1.2.3.4\n  A 1.2.3.5\n\tTXT x",
        &[
            "a.z.example. 10 A 01020304",
            "a.z.example. 10 A 01020305",
            "a.z.example. 10 TXT 0178",
        ],
    ),
    (
        "$TTL 1h\na 10 A 1.2.3.4\nb A 1.2.3.4",
        &["a.z.example. 10 A 01020304", "b.z.example. 3600 A 01020304"],
    ),
    (
        "$ttl 5\n$Origin sub\na A 1.2.3.4\n@ A 1.2.3.4\n$ORIGIN z.example.\na A 1.2.3.4",
        &[
            "a.sub.z.example. 5 A 01020304",
            "a.z.example. 5 A 01020304",
            "sub.z.example. 5 A 01020304",
        ],
    ),
    // TTL and class in either order, in any case.
    (
        "a 10 IN A 1.2.3.4\nb in 10 a 1.2.3.4\nc CLASS1 10 TYPE1 1.2.3.4\nd IN A 1.2.3.4",
        &[
            "a.z.example. 10 A 01020304",
            "b.z.example. 10 A 01020304",
            "c.z.example. 10 A 01020304",
            "d.z.example. 10 A 01020304",
        ],
    ),
    (
        "a 1w2d3h4m5s A 1.2.3.4\nb 1H30M A 1.2.3.4",
        &[
            "a.z.example. 788645 A 01020304",
            "b.z.example. 5400 A 01020304",
        ],
    ),
    // Names that look like something else.
    (
        "a 1 A 1.2.3.4\nin 1 A 1.2.3.4\n300 1 A 1.2.3.4\n\\$TTL 1 A 1.2.3.4\n\\@ 1 A 1.2.3.4",
        &[
            r"300.z.example. 1 A 01020304",
            r"\$ttl.z.example. 1 A 01020304",
            r"\@.z.example. 1 A 01020304",
            "a.z.example. 1 A 01020304",
            "in.z.example. 1 A 01020304",
        ],
    ),
    // Parentheses, comments, blank lines, line ends of two kinds and none at the end.
    (
        "; c ( \" \\\r\n\r\na 1 ( A ; c )\r\n  1.2.3.4 )\r\n(b 1 A\n1.2.3.4)",
        &["a.z.example. 1 A 01020304", "b.z.example. 1 A 01020304"],
    ),
    (
        " \t\n  ; only a comment\na 1 A 1.2.3.4;c\n   \n  A(1.2.3.5)",
        &["a.z.example. 1 A 01020304", "a.z.example. 1 A 01020305"],
    ),
];

#[test]
fn entries_inherit_from_those_before() {
    for &(text, want) in ENTRIES {
        assert_eq!(read(&format!("{SOA}{text}"), &[]), want, "{text}");
    }
}

/// RFC 1035 section 5.3, with the file that it includes.
#[test]
fn rfc1035_section_5_3() {
    let text = r"
@   IN  SOA     VENERA      Action\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        NS      VAXA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32

VAXA    A       10.2.0.27
        A       128.9.0.33


$INCLUDE <SUBSYS>ISI-MAILBOXES.TXT
";
    let mailboxes = "
    MOE     MB      A.ISI.EDU.
    LARRY   MB      A.ISI.EDU.
    CURLEY  MB      A.ISI.EDU.
    STOOGES MG      MOE
            MG      LARRY
            MG      CURLEY
"
    .replace("\n    ", "\n");
    let parsed = parse_zone(text, &name("ISI.EDU"), &mut |path| {
        assert_eq!(path, "<SUBSYS>ISI-MAILBOXES.TXT");
        Ok(mailboxes.clone())
    })
    .expect("the RFC's own example");
    assert_eq!(parsed.included, ["<SUBSYS>ISI-MAILBOXES.TXT"]);
    let soa = parsed.zone.soa();
    let want = b"\x06VENERA\x03isi\x03edu\0\x0eAction.domains\x03isi\x03edu\0\
        \0\0\0\x14\0\0\x1c\x20\0\0\x02\x58\0\x36\xee\x80\0\0\0\x3c";
    assert_eq!(soa.rdatas().collect::<Vec<_>>(), [&want[..]]);
    let lines = lines(&parsed.zone);
    assert_eq!(lines.len(), 17, "{lines:#?}");
    for line in [
        "a.isi.edu. 60 A 1a030067",
        "vaxa.isi.edu. 60 A 80090021",
        "isi.edu. 60 MX 000a0656454e455241036973690365647500",
        "moe.isi.edu. 60 TYPE7 0141034953490345445500",
        "stooges.isi.edu. 60 TYPE8 054c41525259036973690365647500",
    ] {
        assert!(lines.iter().any(|own| own == line), "{line} in {lines:#?}");
    }
}

/// Data as text, and the bytes that they stand for.
#[test]
fn data_of_every_type() {
    const B: &[u8] = b"\x01B\x01z\x07example\0";
    let cat = |parts: &[&[u8]]| parts.concat();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("A 10.0.0.5", vec![10, 0, 0, 5]),
        ("AAAA fd00::1", cat(&[b"\xfd\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\x01"])),
        ("NS B", B.to_vec()),
        ("CNAME B.", b"\x01B\0".to_vec()),
        ("PTR @", b"\x01z\x07example\0".to_vec()),
        ("DNAME .", b"\0".to_vec()),
        ("CNAME a\\.b\\032\\200.", b"\x05a.b \xc8\0".to_vec()),
        ("CNAME _x.a_.", b"\x02_x\x02a_\0".to_vec()),
        ("SOA B . 4294967295 1h 1m 1d 0", cat(&[B, b"\0\xff\xff\xff\xff\0\0\x0e\x10\0\0\0\x3c\0\x01\x51\x80\0\0\0\0"])),
        ("MX 65535 B", cat(&[b"\xff\xff", B])),
        ("TXT a \"b c\" \\065\\\"\\200 é \"\"", b"\x01a\x03b c\x03A\"\xc8\x02\xc3\xa9\0".to_vec()),
        ("TXT \"a\"\"b;(\"", b"\x01a\x03b;(".to_vec()),
        ("HINFO PC \"un ix\"", b"\x02PC\x05un ix".to_vec()),
        ("SRV 1 2 53 B", cat(&[b"\0\x01\0\x02\0\x35", B])),
        ("NAPTR 1 2 u E2U+sip \"!^.*$!sip:a\\\\1!\" .", b"\0\x01\0\x02\x01u\x07E2U+sip\x0e!^.*$!sip:a\\1!\0".to_vec()),
        ("CAA 128 issue \"ca.example; a=b\"", b"\x80\x05issueca.example; a=b".to_vec()),
        ("DS 1 8 2 00FF ab", b"\0\x01\x08\x02\0\xff\xab".to_vec()),
        ("TLSA 3 1 1 0a0B", b"\x03\x01\x01\x0a\x0b".to_vec()),
        ("SMIMEA 3 1 1 0a", b"\x03\x01\x01\x0a".to_vec()),
        ("SSHFP 4 2 0a0b", b"\x04\x02\x0a\x0b".to_vec()),
        ("OPENPGPKEY ( aGVs\nbG8= )", b"hello".to_vec()),
        ("CERT 1 2 8 aGVs bG8=", b"\0\x01\0\x02\x08hello".to_vec()),
        ("CSYNC 66 3 a NS aaaa", b"\0\0\0\x42\0\x03\0\x04\x60\0\0\x08".to_vec()),
        ("RP B .", cat(&[B, b"\0"])),
        ("AFSDB 1 B", cat(&[b"\0\x01", B])),
        ("SPF \"v=spf1 -all\"", b"\x0bv=spf1 -all".to_vec()),
        ("HTTPS 0 B", cat(&[b"\0\0", B])),
        ("HTTPS 1 . alpn=\"h2,h3\" port=443", b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x01\xbb".to_vec()),
        // Ascending on the wire, whatever the order in the text (RFC 9460 section 2.2).
        ("SVCB 16 B ipv6hint=fd00::1 ipv4hint=10.0.0.1,10.0.0.2 mandatory=port,alpn alpn=h2 port=53", cat(&[
            b"\0\x10", B, b"\0\0\0\x04\0\x01\0\x03\0\x01\0\x03\x02h2\0\x03\0\x02\0\x35",
            b"\0\x04\0\x08\x0a\0\0\x01\x0a\0\0\x02\0\x06\0\x10\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
        ])),
        ("SVCB 1 . key65400=hi dohpath=/q{?dns} no-default-alpn alpn=h2", b"\0\x01\0\0\x01\0\x03\x02h2\0\x02\0\0\0\x07\0\x08/q{?dns}\xff\x78\0\x02hi".to_vec()),
        ("HTTPS 1 . ech=aGVsbG8=", b"\0\x01\0\0\x05\0\x05hello".to_vec()),
        ("TYPE65280 \\# 4 0A00 0001", vec![10, 0, 0, 1]),
        ("TYPE65280 \\# 0", vec![]),
        ("A \\# 4 0a000001", vec![10, 0, 0, 1]),
        ("RRSIG \\# 1 ff", vec![255]),
    ];
    for (text, want) in table {
        let record = parse_record(&format!("x {text}"), &name("z.example"));
        let record = record.unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(record.rdata, want, "{text}");
    }
}

#[test]
fn inline_records() {
    for (text, want) in [
        ("db 300 IN A 10.0.0.5", "db.z.example. 300 A"),
        ("*.svc 60 IN CNAME ingress", "*.svc.z.example. 60 CNAME"),
        ("  @ TXT x ; comment\n", "z.example. 300 TXT"),
        ("Other.Test. 1h AAAA ::1", "other.test. 3600 AAAA"),
    ] {
        let record = parse_record(text, &name("z.example")).expect(text);
        let shown = format!("{} {} {}", record.owner, record.ttl, record.rtype);
        assert_eq!(shown, want, "{text}");
    }
    for (text, column, part) in [
        ("", 1, "no record"),
        ("; nothing", 1, "no record"),
        ("db", 1, "the entry ends here"),
        (
            "db A 10.0.0.256",
            6,
            "\"10.0.0.256\" is not an IPv4 address",
        ),
        ("db 300 IN A 10.0.0.5\nb A 10.0.0.6", 1, "a second record"),
        ("$ORIGIN x.", 1, "a directive belongs into a zone file"),
        ("bücher A 10.0.0.5", 1, "xn--"),
    ] {
        let fault = parse_record(text, &name("z.example")).expect_err(text);
        assert_eq!(fault.column, column, "{text}: {fault}");
        assert!(fault.message.contains(part), "{text}: {fault}");
    }
}

#[test]
fn included_files() {
    let files = [
        (
            "sub/a.zone",
            "x 1 A 1.2.3.4\n$INCLUDE b.zone\n$ORIGIN lost\n",
        ),
        (
            "sub/b.zone",
            "  A 1.2.3.5\n$INCLUDE \"/abs/c d.zone\" other\n",
        ),
        ("/abs/c d.zone", "@ 2 A 1.2.3.6"),
    ];
    let text = format!("{SOA}$INCLUDE sub/a.zone inc ; comment\ny 3 A 1.2.3.7\n");
    assert_eq!(
        read(&text, &files),
        [
            "other.inc.z.example. 2 A 01020306",
            "x.inc.z.example. 1 A 01020304",
            "x.inc.z.example. 1 A 01020305",
            "y.z.example. 3 A 01020307",
        ]
    );
    let parsed = parse(&text, &files).expect("good");
    assert_eq!(
        parsed.included,
        ["sub/a.zone", "sub/b.zone", "/abs/c d.zone"]
    );
    // The including file's owner stands.
    let text = format!("{SOA}y 3 A 1.2.3.7\n$INCLUDE f\n TXT t\n");
    assert_eq!(
        read(&text, &[("f", "x 1 A 1.2.3.4")]),
        [
            "x.z.example. 1 A 01020304",
            "y.z.example. 1 TXT 0174",
            "y.z.example. 3 A 01020307"
        ]
    );
}

/// Each fault: what stands behind the SOA, then line, column and a part of the message.
const FAULTS: &[(&str, u32, u32, &str)] = &[
    // The form of entries.
    ("a 1 A (1.2.3.4", 2, 7, "never closed"),
    ("a 1 A 1.2.3.4)", 2, 14, "closes none"),
    ("a 1 TXT ( x\n( y )", 3, 1, "close the one of line 2 first"),
    ("a 1 TXT \"x\n", 2, 9, "not closed on its line"),
    ("a 1 TXT \"x\\", 2, 11, "a backslash at the end"),
    ("a 1 TXT x\\\n", 2, 10, "a backslash at the end"),
    ("a 1 TXT x\0y", 2, 10, "a control character (byte 0)"),
    ("a 1 TXT \"x\x07y\"", 2, 11, "a control character (byte 7)"),
    ("a 1 TXT x\ry", 2, 10, "a control character (byte 13)"),
    ("a 1 TXT x\"y\"", 2, 10, "a quotation mark inside a word"),
    ("a 1 TXT x=\"y\"", 2, 9, "put the whole word into quotes"),
    ("é. 1 TXT x\n", 2, 1, "xn--"),
    ("a 1 TXT é \"", 2, 11, "not closed"),
    // Names, TTL, class, type.
    ("a..b 1 A 1.2.3.4", 2, 1, "two dots in a row"),
    ("\"a\" 1 A 1.2.3.4", 2, 1, "without quotation marks"),
    ("a\\256 1 A 1.2.3.4", 2, 1, "a backslash"),
    ("a 1x A 1.2.3.4", 2, 3, "\"1x\" is not a TTL"),
    ("a 2147483648 A 1.2.3.4", 2, 3, "is not a TTL"),
    ("a 99999999999w A 1.2.3.4", 2, 3, "is not a TTL"),
    ("a 1 CH A 1.2.3.4", 2, 5, "only the class IN"),
    ("a class3 A 1.2.3.4", 2, 3, "only the class IN"),
    ("a 1 AA 1.2.3.4", 2, 5, "\"AA\" is not a record type"),
    ("a 1 \"A\" 1.2.3.4", 2, 5, "without quotation marks"),
    ("A 1.2.3.4", 2, 3, "\"1.2.3.4\" is not a TTL"),
    ("a 1 IN", 2, 5, "the entry ends here"),
    ("a", 2, 1, "the entry ends here"),
    // Data.
    ("a 1 A", 2, 5, "A is followed by an IPv4 address"),
    ("a 1 A 1.2.3", 2, 7, "\"1.2.3\" is not an IPv4 address"),
    ("a 1 A \"1.2.3.4\"", 2, 7, "is not an IPv4 address"),
    ("a 1 A 1.2.3.4 5", 2, 15, "too many words"),
    ("a 1 AAAA 1.2.3.4", 2, 10, "is not an IPv6 address"),
    ("a 1 MX b", 2, 8, "MX is followed by preference name"),
    ("a 1 MX 10", 2, 8, "data are missing behind this"),
    ("a 1 MX 65536 b", 2, 8, "0 to 65535"),
    ("a 1 MX +5 b", 2, 8, "0 to 65535"),
    ("a 1 MX 5 b..c", 2, 10, "two dots in a row"),
    ("a 1 CAA 0 is-sue x", 2, 11, "letters and digits"),
    ("a 1 DS 1 2 3 0g", 2, 14, "not hexadecimal"),
    ("a 1 DS 1 2 3 0", 2, 14, "odd number"),
    ("a 1 HTTPS 1 . alpn=,", 2, 15, "empty"),
    ("a 1 HTTPS 1 . alpn", 2, 15, "needs a value"),
    ("a 1 HTTPS 1 . alpn=\"", 2, 20, "not closed"),
    ("a 1 HTTPS 1 . port=1 port=2", 2, 22, "twice"),
    ("a 1 HTTPS 1 . bogus=1", 2, 15, "is not a parameter"),
    ("a 1 HTTPS 1 . key01=1", 2, 15, "is not a parameter"),
    (
        "a 1 HTTPS 1",
        2,
        11,
        "followed by priority target parameters",
    ),
    ("a 1 HTTPS 1 . port=x", 2, 5, "cannot be read"),
    ("a 1 DNSKEY 1 2 3 aGVs", 2, 5, "\\# LENGTH HEXADECIMAL"),
    (
        "a 1 CERT 1 2 3 \"x\"",
        2,
        16,
        "characters that CERT cannot have",
    ),
    ("a 1 TYPE9999 x", 2, 5, "\\# LENGTH HEXADECIMAL"),
    ("a 1 TYPE9999 \\#", 2, 14, "followed by the length"),
    (
        "a 1 TYPE9999 \\# 2 00",
        2,
        17,
        "says 2 bytes, but there are 1",
    ),
    ("a 1 A \\# 3 010203", 2, 1, "do not have the form"),
    // Directives.
    ("$ORIGIN", 2, 1, "followed by one name"),
    ("$TTL x", 2, 6, "is not a TTL"),
    ("$TTL 1 2", 2, 1, "followed by one time"),
    ("$GENERATE 1-2 a$ A 10.0.0.$", 2, 1, "BIND's own"),
    ("$BOGUS", 2, 1, "is not a directive"),
    ("$INCLUDE", 2, 1, "followed by a file"),
    (
        "$INCLUDE nowhere",
        2,
        10,
        "cannot read \"nowhere\": no such file",
    ),
    // The zone.
    ("b.test. 1 A 1.2.3.4", 2, 1, "outside the zone z.example."),
    (
        "a 1 CNAME b\nb 1 TXT x\na 1 A 1.2.3.4",
        2,
        1,
        "this name has A as well",
    ),
    ("a 1 CNAME b\n\na 1 CNAME c", 4, 1, "there are 2"),
    ("\n  1 SOA a. b. 1 2 3 4 6", 3, 3, "there are 2"),
];

#[test]
fn faults_have_places() {
    for &(text, line, column, part) in FAULTS {
        let faults = parse(&format!("{SOA}{text}"), &[]).expect_err(text);
        let [fault] = faults.as_slice() else {
            panic!("{text:?}: {faults:#?}");
        };
        assert_eq!(
            (fault.line, fault.column),
            (line, column),
            "{text:?}: {fault}"
        );
        assert!(fault.message.contains(part), "{text:?}: {fault}");
        assert_eq!(fault.file, None);
    }
}

#[test]
fn a_zone_file_brings_a_soa_and_a_ttl() {
    for (text, want) in [
        ("", "1:1: z.example. SOA: the zone has no SOA record"),
        (
            "a 1 A 1.2.3.4",
            "1:1: z.example. SOA: the zone has no SOA record",
        ),
        ("a A 1.2.3.4", "1:1: no TTL: write one"),
        ("  A 1.2.3.4\n@ 1 SOA a. b. 1 2 3 4 5", "1:3: no TTL"),
        (
            " 1 A 1.2.3.4\n@ 1 SOA a. b. 1 2 3 4 5",
            "1:2: no name for this record",
        ),
    ] {
        let faults = parse(text, &[]).expect_err(text);
        assert_eq!(faults.len(), 1, "{text}: {faults:?}");
        assert!(
            faults[0].to_string().starts_with(want),
            "{text}: {}",
            faults[0]
        );
    }
}

#[test]
fn all_faults_are_reported_at_once() {
    let text = format!(
        "{SOA}a 1 A x\nb 1 A 1.2.3.4\n  A y\nc..d 1 A 1.2.3.4\n  A 1.2.3.4\n\
         $INCLUDE f\ne 1 CNAME b\ne 1 A 1.2.3.4\nf 1 TXT \"\n  1 CNAME g\n"
    );
    let faults = parse(&text, &[("f", "x 1 A z\n\n y")]).expect_err("faults");
    let shown: Vec<_> = faults
        .iter()
        .map(|fault| {
            format!(
                "{}:{}:{}",
                fault.file.as_deref().unwrap_or(""),
                fault.line,
                fault.column
            )
        })
        .collect();
    // Not line 6: its name is the one of line 5, and that is reported. Nor line 11.
    assert_eq!(
        shown,
        [":2:7", ":4:5", ":5:1", ":8:1", ":10:9", "f:1:7", "f:3:2"]
    );
    let text = format!("{SOA}{}", "a 1 A x\n".repeat(1000));
    assert_eq!(parse(&text, &[]).expect_err("faults").len(), MAX_FAULTS);
}

#[test]
fn owners_are_compared_without_case_and_data_keep_theirs() {
    let read = read(
        &format!("{SOA}$ORIGIN Z.Example.\nWWW 1 CNAME Web\nwww 1 CNAME Web"),
        &[],
    );
    assert_eq!(
        read,
        ["www.z.example. 1 CNAME 03576562015a074578616d706c6500"]
    );
    let record = parse_record("A.B A 10.0.0.1", &name("Z.Example")).expect("good");
    let (canonical, _) = NameBuf::read(record.owner.as_ref().wire()).expect("a name");
    assert_eq!(canonical.as_ref(), record.owner.as_ref());
}
