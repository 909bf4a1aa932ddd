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
        "moe.isi.edu. 60 MB 0141034953490345445500",
        "stooges.isi.edu. 60 MG 054c41525259036973690365647500",
    ] {
        assert!(lines.iter().any(|own| own == line), "{line} in {lines:#?}");
    }
}

/// Data as text, and the bytes that they stand for.
#[test]
fn data_of_every_type() {
    for (text, want) in data() {
        let record = parse_record(&format!("x {text}"), &name("z.example"));
        let record = record.unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(record.rdata, want, "{text}");
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn data() -> Vec<(&'static str, Vec<u8>)> {
    const B: &[u8] = b"\x01B\x01z\x07example\0";
    let cat = |parts: &[&[u8]]| parts.concat();
    vec![
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
        ("MD B", B.to_vec()),
        ("NSAP-PTR B", B.to_vec()),
        ("WKS 10.0.0.1 tcp smtp 0 8", b"\x0a\0\0\x01\x06\x80\x80\0\x40".to_vec()),
        ("X25 311061700956", b"\x0c311061700956".to_vec()),
        ("ISDN 150862028003217 004", b"\x0f150862028003217\x03004".to_vec()),
        ("ISDN 1", b"\x011".to_vec()),
        ("RT 10 B", cat(&[b"\0\x0a", B])),
        ("NSAP 0x47.0005.80", b"\x47\0\x05\x80".to_vec()),
        ("PX 10 B .", cat(&[b"\0\x0a", B, b"\0"])),
        ("GPOS -32.6882 116.8652 10.0", b"\x08-32.6882\x08116.8652\x0410.0".to_vec()),
        // RFC 1876 section 4.
        ("LOC 42 21 54 N 71 06 18 W -24m 30m", b"\0\x33\x16\x13\x89\x17\x2d\xd0\x70\xbe\x15\xf0\0\x98\x8d\x20".to_vec()),
        ("LOC 0 S 0 E 0 0 0 0", b"\0\0\0\0\x80\0\0\0\x80\0\0\0\0\x98\x96\x80".to_vec()),
        ("LOC 0 0 0.001 S 180 E 0 19m 90000000m", b"\0\x13\x99\x13\x7f\xff\xff\xff\xa6\x9f\xb2\0\0\x98\x96\x80".to_vec()),
        // RFC 3123 section 5.
        ("APL 1:192.168.32.0/21 !1:192.168.38.0/28", b"\0\x01\x15\x03\xc0\xa8\x20\0\x01\x1c\x83\xc0\xa8\x26".to_vec()),
        ("APL 1:0.0.0.0/0 2:FF00:0:0:0:0:0:0:0/8", b"\0\x01\0\0\0\x02\x08\x01\xff".to_vec()),
        ("APL", vec![]),
        ("CERT PKIX 2 RSASHA256 aGVsbG8=", b"\0\x01\0\x02\x08hello".to_vec()),
        ("DHCID aGVs bG8=", b"hello".to_vec()),
        // RFC 4025 section 3.2.
        ("IPSECKEY 10 1 2 192.0.2.38 AQID", b"\x0a\x01\x02\xc0\0\x02\x26\x01\x02\x03".to_vec()),
        ("IPSECKEY 10 3 2 B AQ ID", cat(&[b"\x0a\x03\x02", B, b"\x01\x02\x03"])),
        ("IPSECKEY 10 0 0 .", b"\x0a\0\0".to_vec()),
        // RFC 8777 section 4.3.
        ("AMTRELAY 10 0 1 203.0.113.15", b"\x0a\x01\xcb\0\x71\x0f".to_vec()),
        ("AMTRELAY 10 1 3 B", cat(&[b"\x0a\x83", B])),
        ("AMTRELAY 0 0 0 .", b"\0\0".to_vec()),
        // RFC 8005 section 5.
        ("HIP 2 200100107B1A AQID B .", cat(&[b"\x06\x02\0\x03\x20\x01\0\x10\x7b\x1a\x01\x02\x03", B, b"\0"])),
        ("HIP 2 20 AQID", b"\x01\x02\0\x03\x20\x01\x02\x03".to_vec()),
        ("NID 10 0014:4fff:ff20:ee64", b"\0\x0a\0\x14\x4f\xff\xff\x20\xee\x64".to_vec()),
        ("L32 10 10.1.2.0", b"\0\x0a\x0a\x01\x02\0".to_vec()),
        ("L64 10 2001:db8:1140:1000", b"\0\x0a\x20\x01\x0d\xb8\x11\x40\x10\0".to_vec()),
        ("LP 10 B", cat(&[b"\0\x0a", B])),
        ("EUI48 00-00-5e-00-53-2a", b"\0\0\x5e\0\x53\x2a".to_vec()),
        ("EUI64 00-00-5E-ef-10-00-00-2a", b"\0\0\x5e\xef\x10\0\0\x2a".to_vec()),
        ("URI 10 1 \"ftp://a\"", b"\0\x0a\0\x01ftp://a".to_vec()),
        ("AVC a \"b\"", b"\x01a\x01b".to_vec()),
        ("RESINFO qnamemin exterr=15", b"\x08qnamemin\x09exterr=15".to_vec()),
        ("ZONEMD 1 1 1 0a0b", b"\0\0\0\x01\x01\x01\x0a\x0b".to_vec()),
        ("DLV 1 RSASHA256 2 00", b"\0\x01\x08\x02\0".to_vec()),
        ("DNSKEY 257 3 ECDSAP256SHA256 aG Vs", b"\x01\x01\x03\x0dhel".to_vec()),
        ("CDNSKEY 0 3 0 AA==", b"\0\0\x03\0\0".to_vec()),
        ("KEY 256 3 5 aGVs", b"\x01\0\x03\x05hel".to_vec()),
        // RFC 4034 section 3.2, with a date and with seconds.
        ("RRSIG A 5 3 86400 20030322173103 20030220173103 2642 B aGVs", cat(&[b"\0\x01\x05\x03\0\x01\x51\x80\x3e\x7c\x9d\xd7\x3e\x55\x10\xd7\x0a\x52", B, b"hel"])),
        ("RRSIG TYPE65280 8 3 0 1 0 1 . aGVs", b"\xff\0\x08\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\x01\0hel".to_vec()),
        ("SIG A 5 3 0 20380119031408 0 1 . aGVs", b"\0\x01\x05\x03\0\0\0\0\x80\0\0\0\0\0\0\0\0\x01\0hel".to_vec()),
        // RFC 4034 section 4.3.
        ("NSEC B A MX RRSIG NSEC TYPE1234", cat(&[B, b"\0\x06\x40\x01\0\0\0\x03\x04\x1b", &[0; 26], b"\x20"])),
        ("NSEC B", B.to_vec()),
        ("NXT B A NS NXT", cat(&[B, b"\x60\0\0\x02"])),
        ("NSEC3 1 1 12 aabb 2t7b4g4vsa5smi47k61mv5bv1a22bojr A", cat(&[b"\x01\x01\0\x0c\x02\xaa\xbb\x14\x17\x4e\xb2\x40\x9f\xe2\x8b\xcb\x48\x87\xa1\x83\x6f\x95\x7f\x0a\x84\x25\xe2\x7b", b"\0\x01\x40"])),
        ("NSEC3PARAM 1 0 0 -", b"\x01\0\0\0\0".to_vec()),
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
        // RFC 9460 appendix D: escapes of strings, and of lists below them.
        ("SVCB 1 foo.example.com. key667=\"hello\\210qoo\"", b"\0\x01\x03foo\x07example\x03com\0\x02\x9b\0\x09hello\xd2qoo".to_vec()),
        ("SVCB 16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"", b"\0\x10\x03foo\x07example\x03org\0\0\x01\0\x0c\x08f\\oo,bar\x02h2".to_vec()),
        ("SVCB 16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2", b"\0\x10\x03foo\x07example\x03org\0\0\x01\0\x0c\x08f\\oo,bar\x02h2".to_vec()),
        ("SVCB 1 B port=53 key65000=\"x y\"", cat(&[b"\0\x01", B, b"\0\x03\0\x02\0\x35\xfd\xe8\0\x03x y"])),
        ("TYPE65280 \\# 4 0A00 0001", vec![10, 0, 0, 1]),
        ("TYPE65280 \\# 0", vec![]),
        ("A \\# 4 0a000001", vec![10, 0, 0, 1]),
        ("RRSIG \\# 1 ff", vec![255]),
    ]
}

/// What only a server of signatures has a use for is left out, names and all; the rest is served.
#[test]
fn a_signed_zone_loads_without_its_signatures() {
    let text = format!(
        "{SOA}@ 60 RRSIG SOA 13 2 60 20300101000000 20260101000000 1 @ AA==\n\
         @ 60 DNSKEY 257 3 13 AA==\n@ 60 NSEC3PARAM 1 0 0 -\n@ 60 CDS 1 13 2 00\n\
         @ 60 CDNSKEY 257 3 13 AA==\n@ 60 ZONEMD 1 1 1 00\n\
         a 60 CNAME b\n  RRSIG CNAME 13 3 60 20300101000000 20260101000000 1 @ AA==\n\
         b 60 A 10.0.0.1\n  NSEC @ A\nc 60 DS 1 13 2 00\nc 60 NS ns.test.\n\
         0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 60 NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A\n"
    );
    assert_eq!(
        read(&text, &[]),
        [
            "a.z.example. 60 CNAME 0162017a076578616d706c6500",
            "b.z.example. 60 A 0a000001",
            "c.z.example. 60 DS 00010d0200",
            "c.z.example. 60 NS 026e73047465737400",
        ]
    );
    let parsed = parse(&text, &[]).expect("a zone");
    assert_eq!(parsed.zone.left_out(), 9);
    let hashed = name("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.z.example");
    let lookup = parsed.zone.lookup(hashed.as_ref(), RecordType::A);
    assert_eq!(lookup, super::super::ZoneLookup::NxDomain);
    // In a zone without signatures the statements of its apex are data as any other.
    let text = format!("{SOA}@ 60 CDS 0 0 0 00\n@ 60 ZONEMD 1 1 1 00\n");
    assert_eq!(read(&text, &[]).len(), 2);
    assert_eq!(parse(&text, &[]).expect("a zone").zone.left_out(), 0);
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
    ("a 1 HTTPS 1 . port=x", 2, 15, "cannot be read"),
    ("a 1 DNSKEY 1 2 3 aGV", 2, 18, "this is not base 64"),
    ("a 1 DNSKEY 1 2 NONE aGVs", 2, 16, "an algorithm, by number"),
    (
        "a 1 DNSKEY 1 2 3",
        2,
        16,
        "flags protocol algorithm public-key",
    ),
    ("a 1 CERT 1 2 3 \"x\"", 2, 16, "without quotation marks"),
    ("a 1 TYPE9999 x", 2, 14, "\\# LENGTH HEXADECIMAL"),
    ("a 1 NULL x", 2, 10, "\\# LENGTH HEXADECIMAL"),
    ("a 1 LOC 42 N 71 W", 2, 17, "the altitude is missing"),
    ("a 1 LOC 42 71 W 1", 2, 17, "N or S is missing"),
    ("a 1 LOC 91 N 71 W 1", 2, 9, "out of range"),
    ("a 1 LOC 90 0 0.001 N 71 W 1", 2, 20, "up to 90 degrees"),
    ("a 1 LOC 42 60 N 71 W 1", 2, 12, "out of range"),
    ("a 1 LOC 4 N 7 W 1 90000000.01", 2, 19, "to 90000000"),
    ("a 1 LOC 4 N 7 W 1 1 1 1 1", 2, 25, "too many words"),
    ("a 1 LOC 4 N 7 W 99999999999", 2, 17, "is not a length"),
    ("a 1 APL 1:10.0.0.0/08", 2, 9, "is not a prefix"),
    ("a 1 APL 1:10.0.0.0/33", 2, 9, "is not a prefix"),
    ("a 1 APL 3:10.0.0.0/8", 2, 9, "is not a prefix"),
    ("a 1 APL 1:::/8", 2, 9, "is not a prefix"),
    ("a 1 EUI48 00-00-5e-00-53", 2, 11, "6 bytes"),
    ("a 1 EUI48 00-00-5e-00-53-+1", 2, 11, "6 bytes"),
    ("a 1 EUI64 00-00-5e-00-53-00", 2, 11, "8 bytes"),
    ("a 1 NID 1 1:2:3", 2, 11, "four groups"),
    ("a 1 NID 1 1:2:3:12345", 2, 11, "four groups"),
    ("a 1 IPSECKEY 10 1 2", 2, 19, "data are missing"),
    ("a 1 IPSECKEY 10 1 2 ::1 AA==", 2, 21, "an IPv4 address"),
    ("a 1 IPSECKEY 10 4 2 . AA==", 2, 17, "from 0 to 3"),
    ("a 1 IPSECKEY 10 0 2 .", 2, 21, "the public key is missing"),
    ("a 1 IPSECKEY 10 0 0 . AA==", 2, 23, "no public key"),
    ("a 1 AMTRELAY 10 2 1 10.0.0.1", 2, 17, "is 0 or 1"),
    ("a 1 AMTRELAY 10 0 0 a", 2, 21, "written as a dot"),
    ("a 1 AMTRELAY 10 0 0 . a", 2, 23, "too many words"),
    ("a 1 HIP 2 20", 2, 11, "data are missing"),
    ("a 1 HIP 2 2x AA==", 2, 11, "is not hexadecimal"),
    ("a 1 NSEC b A AA", 2, 14, "is not a record type"),
    ("a 1 NXT b TYPE128", 2, 11, "below 128"),
    ("a 1 NSEC3 1 0 0 - =", 2, 19, "base 32"),
    ("a 1 NSEC3 1 0 0 abc 00", 2, 17, "an odd number"),
    (
        "a 1 RRSIG A 8 2 1 20301301000000 0 1 . AA==",
        2,
        19,
        "is not a time",
    ),
    ("a 1 RRSIG A 8 2 1 2030 -1 1 . AA==", 2, 24, "is not a time"),
    ("a 1 NSAP 47", 2, 10, "0x and hexadecimal"),
    ("a 1 WKS 10.0.0.1 TCP gopher", 2, 22, "write its port"),
    ("a 1 WKS 10.0.0.1", 2, 9, "address protocol services"),
    ("a 1 ISDN 1 2 3", 2, 14, "too many words"),
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
