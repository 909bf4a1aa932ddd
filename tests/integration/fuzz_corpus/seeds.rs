//! Makes the corpus of the fuzz target `upstream`. Each input is described here and held to the outcome that it is for. After a
//! change to this table: `cargo test --test integration -- --ignored write_the_seeds`.

use std::{collections::BTreeMap, error::Error, fs, path::PathBuf};

use dnsgate_core::{
    dns::{Name, RecordType},
    zone::parse_record,
};

use super::upstream;

/// File, question (name, type and perhaps `do`), code, answer, authority, and how the first query ends.
type Seed = (
    &'static str,
    &'static str,
    u8,
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
);

const SOA: &str = "example. 900 SOA ns.example. host.example. 1 2 3 4 60";
/// The metadata server, as an IPv6 address of the translation that RFC 6052 describes.
const NAT64: &str = "www.any.example. 60 AAAA 64:ff9b::169.254.169.254";

#[rustfmt::skip]
const SEEDS: &[Seed] = &[
    ("address", "any A", 0, &["www.any.example. 60 A 192.31.196.1", "www.any.example. 60 A 8.8.8.8"], &[], "upstream"),
    ("beside", "any A", 0, &["www.any.example. 60 A 192.31.196.1", "evil.example. 60 A 10.0.0.1"], &[], "upstream"),
    ("rebinding", "any A", 0, &["www.any.example. 60 A 10.0.0.1"], &[], "filtered"),
    ("metadata-nat64", "any AAAA", 0, &[NAT64], &[], "filtered"),
    ("metadata-mapped", "any AAAA", 0, &["www.any.example. 60 AAAA ::ffff:169.254.169.254"], &[], "filtered"),
    ("this-network-compatible", "any AAAA", 0, &["www.any.example. 60 AAAA ::5"], &[], "filtered"),
    ("outside-the-ranges", "within A", 0, &["www.within.example. 60 A 198.51.100.1"], &[], "filtered"),
    ("inside-the-ranges", "within A", 0, &["www.within.example. 60 A 10.9.0.1"], &[], "upstream"),
    ("hint", "any HTTPS", 0, &["www.any.example. 60 HTTPS 1 . alpn=h2 ipv4hint=192.31.196.1"], &[], "upstream"),
    ("hint-private", "any HTTPS", 0, &["www.any.example. 60 HTTPS 1 . ipv4hint=192.31.196.1,10.0.0.1"], &[], "filtered"),
    ("hint-v6", "within SVCB", 0, &["www.within.example. 60 SVCB 1 . ipv6hint=2001:db8::1,fd00::1"], &[], "filtered"),
    ("chain", "any A", 0, &["www.any.example. 60 CNAME a.cdn.test.", "a.cdn.test. 60 CNAME b.cdn.test.", "b.cdn.test. 30 A 192.31.196.1"], &[], "upstream"),
    ("loop", "any A", 0, &["www.any.example. 60 CNAME a.cdn.test.", "a.cdn.test. 60 CNAME www.any.example."], &[], "upstream_chain"),
    ("alias-allowed", "strict A", 0, &["www.strict.example. 60 CNAME x.brief.test.", "x.brief.test. 60 A 192.31.196.1"], &[], "upstream"),
    ("alias-not-allowed", "strict A", 0, &["www.strict.example. 60 CNAME evil.test.", "evil.test. 60 A 192.31.196.1"], &[], "filtered"),
    ("alias-to-the-denied", "any A", 0, &["www.any.example. 60 CNAME no.any.example.", "no.any.example. 60 A 192.31.196.1"], &[], "filtered"),
    ("alias-to-our-zone", "any A", 0, &["www.any.example. 60 CNAME www.corp.example.", "www.corp.example. 60 A 192.31.196.1"], &[], "filtered"),
    ("alias-to-our-rule", "any A", 0, &["www.any.example. 60 CNAME fixed.example."], &[], "filtered"),
    ("alias-to-the-other", "any A", 0, &["www.any.example. 60 CNAME www.other.example."], &[], "upstream"),
    ("alias-of-ours", "alias A", 0, &["www.any.example. 60 A 192.31.196.1"], &[], "zone"),
    ("alias-of-ours-and-back", "alias A", 0, &["www.any.example. 60 CNAME alias.corp.example."], &[], "upstream_chain"),
    ("alias-asked-for", "any CNAME", 0, &["www.any.example. 60 CNAME a.cdn.test.", "a.cdn.test. 60 CNAME b.test."], &[], "upstream"),
    ("alias-asked-for-not-allowed", "strict CNAME", 0, &["www.strict.example. 60 CNAME a.cdn.test."], &[], "filtered"),
    ("alias-asked-for-denied", "any CNAME", 0, &["www.any.example. 60 CNAME no.any.example."], &[], "filtered"),
    ("documentation", "any A", 0, &["www.any.example. 60 A 192.0.2.1"], &[], "filtered"),
    ("metadata-translated", "any AAAA", 0, &["www.any.example. 60 AAAA ::ffff:0:169.254.169.254"], &[], "filtered"),
    ("metadata-isatap", "any AAAA", 0, &["www.any.example. 60 AAAA 2a00::5efe:169.254.169.254"], &[], "filtered"),
    ("metadata-teredo", "any AAAA", 0, &["www.any.example. 60 AAAA 2001:0:808:808::5601:5601"], &[], "filtered"),
    ("metadata-local-nat64", "any AAAA", 0, &["www.any.example. 60 AAAA 64:ff9b:1:a9fe:a9:fe00:808:808"], &[], "filtered"),
    ("alias-to-the-metadata", "within A", 0, &["www.within.example. 60 CNAME www.corp.example."], &[], "filtered"),
    ("two-aliases", "any A", 0, &["www.any.example. 60 CNAME a.test.", "www.any.example. 60 CNAME b.test."], &[], "upstream_malformed"),
    ("no-such-name", "any A", 3, &[], &[SOA], "upstream"),
    ("no-such-name-elsewhere", "any A", 3, &["www.any.example. 60 CNAME a.cdn.test."], &["cdn.test. 60 SOA . . 1 2 3 4 5", SOA], "upstream"),
    ("no-such-type-without-soa", "any MX", 0, &[], &[], "upstream"),
    ("foreign-soa", "any A", 3, &[], &["evil.test. 60 SOA . . 1 2 3 4 5"], "upstream"),
    ("referral", "any A", 0, &[], &["any.example. 60 NS ns.evil.test."], "upstream_malformed"),
    ("server-failure", "any A", 2, &[], &[], "upstream_error"),
    ("contradiction", "any A", 3, &["www.any.example. 60 A 192.31.196.1"], &[], "upstream_malformed"),
    ("signed", "any A do", 0, &["www.any.example. 60 A 192.31.196.1", "www.any.example. 60 TYPE46 \\# 32 00010803000000000000000000000000000003616e79076578616d706c6500ff"], &["b.any.example. 60 TYPE47 \\# 3 000000", "b.test. 60 TYPE47 \\# 3 000000"], "upstream"),
    ("alias-to-a-referral", "any A", 0, &["www.any.example. 60 CNAME a.any.example."], &["any.example. 60 NS ns.any.example."], "upstream_malformed"),
    ("alias-not-followed", "any A", 0, &["a.any.example. 60 A 192.31.196.1", "www.any.example. 60 CNAME b.any.example."], &[], "upstream"),
    ("alias-to-no-name-asked-for", "any CNAME", 3, &["www.any.example. 60 CNAME a.test."], &["test. 60 SOA . . 1 2 3 4 5"], "upstream"),
    ("dname", "any A do", 0, &["any.example. 60 DNAME within.example.", "www.within.example. 60 A 192.31.196.1"], &[], "upstream"),
    ("dname-of-a-name-above", "any A do", 0, &["example. 60 DNAME test.", "www.any.test. 60 A 192.31.196.1"], &[], "upstream"),
    ("dname-in-a-circle", "any A", 0, &["any.example. 60 DNAME any.example."], &[], "upstream_chain"),
    ("dname-asked-for", "any CNAME do", 0, &["any.example. 60 DNAME within.example."], &[], "upstream"),
    ("too-long-a-name", "any A", 6, &[], &[], "upstream"),
    ("proof-without-soa", "any A do", 0, &[], &["b.any.example. 60 TYPE47 \\# 3 000000", "b.any.example. 60 TYPE46 \\# 32 002f0103000000000000000000000000000003616e79076578616d706c6500ff"], "upstream"),
    ("mail", "any MX", 0, &["www.any.example. 2147483647 MX 10 mail.any.example.", "www.any.example. 60 MX 20 ."], &[], "upstream"),
    ("text", "any TXT", 0, &["www.any.example. 60 TXT \"text\""], &[], "upstream"),
];

/// Inputs that records in presentation form cannot say: after the message of each, how the first query ends.
fn raw() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let header = |answers: u16| {
        let mut message = vec![7, 7, 0x81, 0x80, 0, 1];
        message.extend(answers.to_be_bytes());
        message.extend([0; 4]);
        message.extend(b"\x03www\x03any\x07example\0\0\x01\0\x01");
        message
    };
    let mut chain = header(1000);
    let mut owner = b"\xc0\x0c".to_vec();
    for at in 0..1000 {
        let target = [&[4], format!("{at:04}").as_bytes(), b"\xc0\x10"].concat();
        chain.extend(raw_record(&owner, 5, &target));
        owner = target;
    }
    let mut large = header(3700);
    for at in 0..3700u16 {
        let [high, low] = at.to_be_bytes();
        large.extend(raw_record(b"\xc0\x0c", 1, &[192, 88, high, low]));
    }
    // Each owner is a pointer to the one before it, and all of them are as long as a name can be.
    let mut bomb = header(4000);
    let start = bomb.len() as u16 | 0xc000;
    let label = [&[63][..], &[b'x'; 63]].concat();
    let long = [&label.repeat(3)[..], &[40], &[b'x'; 40], b"\xc0\x10"].concat();
    bomb.extend(raw_record(&long, 5, &start.to_be_bytes()));
    for _ in 1..4000 {
        bomb.extend(raw_record(&start.to_be_bytes(), 5, &start.to_be_bytes()));
    }
    let mut hops = header(1);
    let pointer = hops.len() as u16 | 0xc000;
    hops.extend(raw_record(&pointer.to_be_bytes(), 1, &[192, 31, 196, 1]));
    let whole = [header(1), raw_record(b"\xc0\x0c", 1, &[192, 31, 196, 1])].concat();
    let mut truncated = whole.clone();
    truncated[2] |= 2;
    let mut query = whole.clone();
    query[2] = 1;
    let torn = whole[..whole.len() - 1].to_vec();
    let trailing = [&whole[..], b"!"].concat();
    vec![
        ("thousand-aliases", chain, "upstream_chain"),
        ("sixty-kilobytes", large, "upstream"),
        ("compression-bomb", bomb, "upstream_malformed"),
        ("pointer-to-itself", hops, "upstream_malformed"),
        ("truncated", truncated, "upstream_malformed"),
        ("not-a-response", query, "upstream_malformed"),
        ("torn", torn, "upstream_malformed"),
        ("trailing", trailing, "upstream"),
    ]
}

/// Service bindings that are not as RFC 9460 has them, and how their query ends.
#[rustfmt::skip]
const BINDINGS: &[(&str, &[u8], &str)] = &[
    ("binding-hint-torn", b"\0\x01\0\0\x04\0\x03\x0a\0\0", "filtered"),
    ("binding-length-past-the-end", b"\0\x01\0\0\x04\0\x40\x0a\0\0\x01", "filtered"),
    ("binding-target-compressed", b"\0\x01\xc0\x0c\0\x04\0\x04\x0a\0\0\x01", "filtered"),
    ("binding-keys-out-of-order", b"\0\x01\0\0\x06\0\x00\0\x04\0\x04\x0a\0\0\x01", "filtered"),
    ("binding-hint-twice", b"\0\x01\0\0\x04\0\x04\xc0\0\x02\x01\0\x04\0\x04\x0a\0\0\x01", "filtered"),
    ("binding-alias-with-hint", b"\0\0\0\0\x04\0\x04\x0a\0\0\x01", "filtered"),
    ("binding-short", b"\0", "filtered"),
];

fn raw_record(owner: &[u8], rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let mut wire = owner.to_vec();
    wire.extend(rtype.to_be_bytes());
    wire.extend([0, 1, 0, 0, 0, 60]);
    wire.extend((rdata.len() as u16).to_be_bytes());
    wire.extend(rdata);
    wire
}

/// All inputs by file, and how the first query of each ends.
type Seeds = BTreeMap<&'static str, (Vec<u8>, &'static str)>;

fn seeds() -> Result<Seeds, Box<dyn Error>> {
    let mut seeds = BTreeMap::new();
    for &(file, ask, code, answer, authority, want) in SEEDS {
        // The client is the second one, over TCP, and all is asked again 162 seconds later.
        let mut input = vec![choices(ask)? | 0x80, 0x33, code];
        input.extend([answer.len() as u8, authority.len() as u8, 0]);
        for line in answer.iter().chain(authority) {
            let record = parse_record(line, &Name::root()).map_err(|fault| format!("{fault:?}"))?;
            let RecordType(rtype) = record.rtype;
            let mut wire = raw_record(record.owner.as_ref().wire(), rtype, &record.rdata);
            let ttl_at = record.owner.as_ref().wire().len() + 4;
            wire[ttl_at..ttl_at + 4].copy_from_slice(&record.ttl.to_be_bytes());
            input.extend(wire);
        }
        seeds.insert(file, (input, want));
    }
    for &(file, rdata, want) in BINDINGS {
        let mut input = vec![choices("any HTTPS")? | 0x80, 0x33, 0, 1, 0, 0];
        input.extend(raw_record(b"\xc0\x0c", RecordType::HTTPS.0, rdata));
        seeds.insert(file, (input, want));
    }
    for (file, message, want) in raw() {
        let mut input = vec![choices("any A")?, 0x33];
        input.extend(message);
        seeds.insert(file, (input, want));
    }
    Ok(seeds)
}

/// The first byte of an input.
fn choices(ask: &str) -> Result<u8, String> {
    let place = |list: &[&str], word| {
        let at = list.iter().position(|it| Some(*it) == word);
        at.map(|at| at as u8).ok_or(format!("{ask}?"))
    };
    let mut words = ask.split(' ');
    let name = place(&["any", "within", "strict", "alias"], words.next())?;
    let types = ["A", "AAAA", "HTTPS", "SVCB", "CNAME", "MX", "TXT", "RRSIG"];
    let rtype = place(&types, words.next())?;
    let dnssec_ok = words.next() == Some("do");
    Ok(name | rtype << 2 | u8::from(dnssec_ok) << 5)
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/upstream")
}

#[test]
fn each_seed_reaches_the_outcome_it_is_for() -> Result<(), Box<dyn Error>> {
    let mut faults = Vec::new();
    for (file, (input, want)) in seeds()? {
        let written = fs::read(directory().join(file)).unwrap_or_default();
        if written != input {
            faults.push(format!("{file} is not what the table says"));
        }
        let reason = upstream::run(&input).map(|reason| reason.as_str());
        if reason != Some(want) {
            faults.push(format!("{file}: {reason:?} instead of {want}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

#[test]
#[ignore = "writes into the source tree"]
fn write_the_seeds() -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(directory())?;
    for (file, (input, _)) in seeds()? {
        fs::write(directory().join(file), input)?;
    }
    Ok(())
}
