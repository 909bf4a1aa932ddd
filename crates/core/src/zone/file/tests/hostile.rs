//! Texts that nobody should write: no panic, no hang, no unbounded memory.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;

const TEN_MEGABYTES: usize = 10 << 20;

/// Long texts of one kind: each must end in a verdict. Quadratic reading of any of them would
/// take hours.
#[test]
fn long_texts_are_read_in_linear_time() {
    for unit in [
        "(",
        ")",
        "\"",
        "\\",
        ";",
        "\\\n",
        "\"\n",
        "(\n",
        ")\n",
        "x",
        "x ",
        "x\n",
        " ",
        "\n",
        "\r",
        "\r\n",
        "$",
        "$TTL 1\n",
        "$ORIGIN a\n",
        "\0",
        "é",
        "@ ",
        "()",
        "(\n)",
        "\"\" ",
        "x=\"\"",
        "1",
        "a 1 TXT \"\"\n",
        "a 1 TXT (\n\"\"\n)\n",
        "a.",
        "\\1",
        "\\000",
        "=\"",
    ] {
        let text = unit.repeat(TEN_MEGABYTES / 40 / unit.len());
        for text in [
            text.clone(),
            format!("{SOA}a 1 TXT {text}"),
            format!("{SOA}a 1 TXT ( {text} )"),
            format!("{SOA}a 1 TYPE9 \\# 5 {text}"),
            format!("{SOA}a 1 HTTPS 1 . {text}"),
            format!("{SOA}a 1 OPENPGPKEY {text}"),
        ] {
            let _ = parse(&text, &[]);
            let _ = parse_record(&text, &name("z.example"));
        }
    }
}

#[test]
fn lines_of_ten_megabytes() {
    let line = "x".repeat(TEN_MEGABYTES);
    for text in [
        format!("{line} 1 A 1.2.3.4"),
        format!("a 1 A {line}"),
        format!("a 1 {line} x"),
        format!("a 1 TXT {line}"),
        format!("a 1 TXT \"{line}\""),
        format!("a 1 CSYNC 1 1 {line}"),
        format!("a 1 HTTPS 1 . alpn={line}"),
        format!("a 1 HTTPS 1 . {line}"),
        format!("a 1 OPENPGPKEY {line}"),
        format!("$ORIGIN {line}"),
        format!("$INCLUDE {line}"),
        format!("${line}"),
    ] {
        let faults = parse(&format!("{SOA}{text}"), &[]).expect_err("too long");
        assert_eq!(faults[0].line, 2);
        assert!(
            faults[0].message.len() < 1000,
            "a message of {}",
            faults[0].message.len()
        );
    }
    let comment = format!("{SOA};{line}\na 1 A 1.2.3.4 ;{line}");
    assert!(parse(&comment, &[]).is_ok());
}

#[test]
fn inclusion_ends() {
    // Itself, once and thrice; and by two levels that fan out.
    for text in [
        "$INCLUDE self\n",
        "$INCLUDE self\n$INCLUDE self\n$INCLUDE self\n",
    ] {
        let asked = Cell::new(0usize);
        let found = parse_zone(&format!("{SOA}{text}"), &name("z.example"), &mut |_| {
            asked.set(asked.get() + 1);
            Ok(text.to_owned())
        });
        let faults = found.expect_err("endless");
        assert!(
            faults[0].message.contains("does one include itself?"),
            "{}",
            faults[0]
        );
        assert!(asked.get() <= MAX_INCLUDES);
    }
    let large = "; comment\n".repeat(1 << 20);
    let text = format!("{SOA}{}", "$INCLUDE large\n".repeat(50));
    let found = parse_zone(&text, &name("z.example"), &mut |_| Ok(large.clone()));
    assert!(found.expect_err("too much")[0].message.contains("MiB"));
}

/// What hickory-proto's readers have trouble with, given in every type that they read.
#[test]
fn odd_words_in_every_type() {
    let words = [
        "\"",
        "\"\"",
        "\\",
        "\\#",
        "\\\"",
        "@",
        "$",
        "$TTL",
        "(",
        "()",
        "=",
        "alpn=",
        "alpn=,",
        "alpn=\"",
        "alpn=a,,b",
        "alpn=\"\"",
        "mandatory=",
        "mandatory=,",
        "ipv4hint=é",
        "key65535=x",
        "key=é",
        "é",
        "éé",
        "\u{a0}",
        "0",
        "-1",
        "65536",
        "99999999999999999999",
        ".",
        "..",
        "a..",
        "0é",
        "=é",
    ];
    let types = RecordType::NAMED.iter().map(|(_, name)| (*name).to_owned());
    let rare = ["TYPE0", "TYPE1", "TYPE65305", "TYPE65535", "MB", "SPF"].map(str::to_owned);
    for rtype in types.chain(rare) {
        for first in words {
            for second in words {
                for text in [
                    format!("a 1 {rtype} {first}"),
                    format!("a 1 {rtype} {first} {second}"),
                    format!("a 1 {rtype} 1 . {first} {second}"),
                    format!("a 1 {rtype} 1 1 1 {first}{second}"),
                ] {
                    let _ = parse_record(&text, &name("z.example"));
                }
            }
        }
    }
}

/// Pieces of zone files, whole and broken.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "a",
            "@",
            "*",
            "b.c",
            " ",
            "  ",
            "\t",
            "\n",
            "\n",
            "\r\n",
            "(",
            ")",
            ";",
            "\"",
            "\\",
            "$ORIGIN ",
            "$TTL ",
            "$INCLUDE ",
            "1h",
            "300",
            "IN",
            "CH",
            " A ",
            " TXT ",
            " CNAME ",
            " NS ",
            " DNAME ",
            " SOA a. b. 1 2 3 4 5\n",
            " 10.0.0.1\n",
            "\\# 4 0a000001",
            " HTTPS 1 . ",
            "alpn=",
            ",",
            "=",
            "\0",
            "é",
            "\u{feff}",
            ".",
            "f",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn any_text_gets_a_verdict(text in pieces(), included in pieces()) {
        let lines = u32::try_from(text.lines().count().max(included.lines().count())).unwrap() + 1;
        let found = parse(&text, &[("f", &included)]);
        for fault in found.err().into_iter().flatten() {
            prop_assert!(fault.line >= 1 && fault.line <= lines, "{}", fault);
            prop_assert!(fault.column >= 1 && !fault.message.is_empty());
        }
        let _ = parse_record(&text, &name("z.example"));
    }

    /// What was read and written again as generic records (RFC 3597) reads the same.
    #[test]
    fn generic_form_reads_back(labels in prop::collection::vec("[a-z*]{1,3}", 1..4), rdata in prop::collection::vec(any::<u8>(), 0..40)) {
        let hex: String = rdata.iter().map(|byte| format!("{byte:02x} ")).collect();
        let text = format!("{} 7 IN TYPE65280 \\# {} ( {hex} )", labels.join("."), rdata.len());
        let record = parse_record(&text, &name("z.example")).expect("good");
        prop_assert_eq!(record.rdata, rdata);
        prop_assert_eq!(record.ttl, 7);
    }
}

/// Enough records to show anything that is not linear.
#[test]
fn two_hundred_thousand_records() {
    let mut text = SOA.to_owned();
    for at in 0..100_000u32 {
        let [_, a, b, c] = at.to_be_bytes();
        let rack = at % 1000;
        text.push_str(&format!("host-{at}.rack-{rack} 300 IN A 10.{a}.{b}.{c}\n"));
        text.push_str(&format!("  300 TXT \"{at}\"\n"));
    }
    let zone = parse(&text, &[]).expect("good").zone;
    assert_eq!(zone.rrset_count(), 200_001);
    let last = name("host-99999.rack-999.z.example");
    assert!(zone.addresses(last.as_ref()).0.is_some());
}
