//! Replies that no honest server sends.

use proptest::prelude::*;

use super::*;

const QUESTION: &str = "www.x A";
/// Where the first record begins in a reply to it.
const BODY: usize = 12 + 7 + 4;

fn small() -> Vec<u8> {
    let answer = records(&[
        "www.x. 300 CNAME a.x.",
        "a.x. 300 A 192.0.2.1",
        "a.x. 300 A 192.0.2.2",
    ]);
    let opt = vec![b"\0\0\x29\x04\xd0\0\0\0\0\0\0".to_vec()];
    reply(QUESTION, 0, [&answer, &records(&[SOA]), &opt])
}

/// A reply with one or more answers of these bytes.
fn with_answers(answers: &[Vec<u8>]) -> Vec<u8> {
    reply(QUESTION, 0, [answers, &[], &[]])
}

#[test]
fn a_reply_that_is_cut_off_anywhere() {
    let whole = small();
    let all = parse(QUESTION, &whole, true).expect("well-formed");
    let answer = with_answers(&records(&[
        "www.x. 300 CNAME a.x.",
        "a.x. 300 A 192.0.2.1",
        "a.x. 300 A 192.0.2.2",
    ]))
    .len();
    // What is behind the answer does not matter to it.
    for len in 0..whole.len() {
        let cut = parse(QUESTION, &whole[..len], true);
        let want = if len < answer {
            Err(Failure::Malformed)
        } else {
            Ok(all.clone())
        };
        assert_eq!(cut, want, "{len} bytes");
    }
    let longer = [&whole[..], b"\0\xff trailing"].concat();
    assert_eq!(parse(QUESTION, &longer, true), Ok(all));

    // That there is none must be said in full.
    let denial = reply(QUESTION, 3, [&[], &records(&[SOA]), &[]]);
    for len in 0..denial.len() {
        let cut = parse(QUESTION, &denial[..len], true);
        assert_eq!(cut, Err(Failure::Malformed), "{len} bytes");
    }
    let more = reply(QUESTION, 3, [&[], &[record(SOA), vec![0xc0]], &[]]);
    assert_eq!(shown(QUESTION, &more, true), "NXDOMAIN, [x. 60 SOA]");
}

#[test]
fn a_malformed_record_costs_that_record() {
    let www = b"\x03www\x01x\0";
    let good = record("www.x. 60 A 192.0.2.1");
    let alias = record("www.x. 60 CNAME a.x.");
    let bad = |owner: &[u8], rtype: &str| raw_record(owner, self::rtype(rtype), 60, b"\0\0");
    let other = b"\x01a\x01x\0";
    let nobody = b"\xff\xff";
    let answer = "NOERROR, www.x. 60 A";
    for (what, records, want) in [
        (
            "another name's",
            vec![bad(other, "A"), good.clone()],
            answer,
        ),
        (
            "another type's",
            vec![bad(www, "AAAA"), good.clone()],
            answer,
        ),
        (
            "an alias beside what was asked for",
            vec![bad(www, "CNAME"), good.clone()],
            answer,
        ),
        ("nobody's", vec![bad(nobody, "TXT"), good.clone()], answer),
        (
            "what was asked for",
            vec![bad(www, "A"), good.clone()],
            "Malformed",
        ),
        ("the alias", vec![bad(www, "CNAME")], "Malformed"),
        (
            "the alias's target",
            vec![alias.clone(), bad(other, "A")],
            "Malformed",
        ),
        (
            "perhaps what was asked for",
            vec![bad(nobody, "A")],
            "Malformed",
        ),
        ("a DNAME above", vec![bad(b"\x01x\0", "DNAME")], "Malformed"),
        (
            "a DNAME beside",
            vec![bad(other, "DNAME"), good.clone()],
            answer,
        ),
        (
            "two aliases beside the chain",
            vec![
                record("b.x. 60 CNAME c.x."),
                record("b.x. 60 CNAME d.x."),
                good.clone(),
            ],
            answer,
        ),
    ] {
        let message = with_answers(&records);
        assert_eq!(shown(QUESTION, &message, true), want, "{what}");
    }
}

#[test]
fn a_malformed_record_behind_the_answer_costs_it_nothing() {
    let good = record("www.x. 60 A 192.0.2.1");
    let answer = "NOERROR, www.x. 60 A";
    let bad = |owner: &[u8], rtype: &str| raw_record(owner, self::rtype(rtype), 60, b"\0\0");
    // Of the authority section it costs what it would have said.
    let message = reply(QUESTION, 3, [&[], &[bad(b"\x01x\0", "SOA")], &[]]);
    assert_eq!(shown(QUESTION, &message, true), "NXDOMAIN");
    // And nothing in the additional section: a name of no form, a length behind the end.
    for additional in [
        &b"\x80"[..],
        b"\0\0\x01\0\x01\0\0\0\0\xff\xff",
        b"",
        b"\xc0\x0c",
    ] {
        let message = reply(
            QUESTION,
            0,
            [std::slice::from_ref(&good), &[], &[additional.to_vec()]],
        );
        assert_eq!(shown(QUESTION, &message, true), answer, "{additional:?}");
    }
}

#[test]
fn a_header_or_question_that_is_not_ours() {
    for (what, at, byte) in [
        ("QR=0", 2, 0x01),
        ("NOTIFY", 2, 0xa1),
        ("TC", 2, 0x83),
        ("no question", 5, 0),
        ("two questions", 5, 2),
        ("all the answers there could be", 6, 0xff),
        ("another name", 13, b'v'),
        ("another type", 20, 28),
        ("another class", 22, 3),
    ] {
        let mut message = small();
        message[at] = byte;
        assert_eq!(shown(QUESTION, &message, true), "Malformed", "{what}");
    }
    // The letters of the name may come back in any case.
    let mut message = small();
    message[13] = b'W';
    assert!(parse(QUESTION, &message, true).is_ok());
}

#[test]
fn codes_above_15_are_in_the_opt_record() {
    let opt = |upper: u8| vec![vec![0, 0, 41, 4, 0xd0, upper, 0, 0, 0, 0, 0]];
    for (low, upper, want) in [
        (0, 0, "NOERROR"),
        (0, 1, "Code(16)"),
        (3, 0, "NXDOMAIN"),
        (3, 2, "Code(35)"),
        (15, 255, "Code(4095)"),
    ] {
        let message = reply(QUESTION, low, [&[], &[], &opt(upper)]);
        assert_eq!(shown(QUESTION, &message, false), want);
    }
    let two = [opt(0), opt(0)].concat();
    let below = vec![[b"\x01a", &opt(0)[0][..]].concat()];
    let torn = vec![b"\0\0\x29\x04\xd0\0\0\0\0\0\x03\0\x0a\0".to_vec()];
    // One that is not as it should be is nobody's.
    for (what, sections) in [
        ("two OPT records", [&[][..], &[], &two]),
        ("OPT below a name", [&[], &[], &below]),
        ("OPT as an answer", [&two[..1], &[], &[]]),
        ("a torn option", [&[], &[], &torn]),
    ] {
        let message = reply(QUESTION, 0, sections);
        assert_eq!(shown(QUESTION, &message, false), "NOERROR", "{what}");
    }
    let two = [opt(1), opt(0)].concat();
    let message = reply(QUESTION, 0, [&[], &[], &two]);
    assert_eq!(shown(QUESTION, &message, false), "Code(16)");
}

#[test]
fn data_without_the_form_of_its_type() {
    let cases: [(&str, &str, &[u8]); 21] = [
        ("A of 3", "A", b"\0\0\0"),
        ("A of 5", "A", b"\0\0\0\0\0"),
        ("A of nothing", "A", b""),
        ("AAAA of 4", "AAAA", b"\0\0\0\0"),
        ("CNAME of nothing", "CNAME", b""),
        ("CNAME without its root", "CNAME", b"\x01a"),
        ("CNAME and a byte", "CNAME", b"\x01a\0!"),
        ("two names", "CNAME", b"\x01a\0\x01b\0"),
        ("a label of 64", "CNAME", b"\x40a\0"),
        ("a pointer to itself", "CNAME", b"\xc0\x28"),
        ("a pointer into the header", "CNAME", b"\xc0\x04"),
        ("a pointer beyond", "CNAME", b"\xff\xff"),
        ("half a pointer", "CNAME", b"\xc0"),
        ("a label and a pointer to it", "CNAME", b"\x01a\xc0\x28"),
        ("SOA of two names", "SOA", b"\0\0"),
        ("SOA too long", "SOA", &[0; 23]),
        ("MX without a name", "MX", b"\0\x05"),
        ("SRV in short", "SRV", b"\0\0\0\0\0"),
        ("NAPTR with a long string", "NAPTR", b"\0\0\0\0\x09abc\0"),
        ("RRSIG of nothing", "RRSIG", b""),
        ("RRSIG without signer", "RRSIG", &[0; 18]),
    ];
    for (what, rtype, rdata) in cases {
        let bad = raw_record(b"\x03www\x01x\0", self::rtype(rtype), 300, rdata);
        for section in 0..3 {
            let mut sections = [&[][..]; 3];
            let bad = [bad.clone()];
            sections[section] = &bad;
            let message = reply(QUESTION, 0, sections);
            let leads = section == 0 && ["A", "CNAME"].contains(&rtype);
            assert_eq!(
                shown(QUESTION, &message, true),
                if leads { "Malformed" } else { "NOERROR" },
                "{what} in {section}"
            );
        }
    }
    // Of another class they are nobody's business.
    let mut chaos = raw_record(b"\x03www\x01x\0", RecordType::A, 300, b"\0\0\0");
    chaos[7 + 3] = 3;
    let message = with_answers(&[chaos, record("www.x. 300 A 192.0.2.1")]);
    assert_eq!(shown(QUESTION, &message, true), "NOERROR, www.x. 300 A");
}

#[test]
fn names_in_data_are_written_out_with_their_letters() {
    // A pointer to the question's `x`.
    const X: &[u8] = b"\xc0\x10";
    for (question, rdata, want) in [
        ("www.x CNAME", [b"\x01A", X].concat(), &b"\x01A\x01x\0"[..]),
        (
            "www.x MX",
            [b"\0\x05\x01A", X].concat(),
            b"\0\x05\x01A\x01x\0",
        ),
        (
            "www.x SRV",
            [b"\0\x01\0\x02\0\x03", X].concat(),
            b"\0\x01\0\x02\0\x03\x01x\0",
        ),
        (
            "www.x NAPTR",
            [b"\0\x01\0\x02\x01S\0\0", X].concat(),
            b"\0\x01\0\x02\x01S\0\0\x01x\0",
        ),
        ("www.x PTR", b"\xc0\x0c".to_vec(), b"\x03www\x01x\0"),
        // Not for us to understand: bytes.
        ("www.x TXT", b"\x02\xc0\x0c".to_vec(), b"\x02\xc0\x0c"),
    ] {
        let qtype = rtype(question.split_once(' ').expect("name TYPE").1);
        let answer = raw_record(b"\xc0\x0c", qtype, 300, &rdata);
        let response = parse(question, &reply(question, 0, [&[answer], &[], &[]]), false);
        let response = response.expect(question);
        let data: Vec<&[u8]> = response.answers[0].rdatas().collect();
        assert_eq!(data, [want], "{question}");
    }
}

#[test]
fn chains_without_end() {
    let chain = |aliases: usize| {
        let alias = |at| record(&format!("n{at}.x. 300 CNAME n{}.x.", at + 1));
        let mut lines = vec![record("www.x. 300 CNAME n1.x.")];
        lines.extend((1..aliases).map(alias));
        lines.push(record(&format!("n{aliases}.x. 300 A 192.0.2.1")));
        lines
    };
    for (aliases, end, answers) in [
        (MAX_ALIASES, ChainEnd::Name, 1),
        (MAX_ALIASES + 1, ChainEnd::TooLong, 0),
        (1000, ChainEnd::TooLong, 0),
    ] {
        let mut answers_of = chain(aliases);
        for reversed in [false, true] {
            if reversed {
                answers_of.reverse();
            }
            let response = parse(QUESTION, &with_answers(&answers_of), true).expect("well-formed");
            assert_eq!(response.aliases.len(), MAX_ALIASES);
            assert_eq!(
                (response.end, response.answers.len()),
                (end, answers),
                "{aliases}"
            );
        }
    }
    // Longer than anything, and in a circle.
    let mut circle = chain(9);
    circle.pop();
    circle.push(record("n9.x. 300 CNAME n4.x."));
    let response = parse(QUESTION, &with_answers(&circle), true).expect("well-formed");
    assert_eq!((response.end, response.aliases.len()), (ChainEnd::Loop, 10));
    assert!(!response.is_negative());
}

#[test]
fn as_much_as_a_message_holds() {
    let addresses: Vec<_> = (0..4000u16)
        .map(|at| {
            raw_record(
                b"\xc0\x0c",
                RecordType::A,
                300,
                &[10, 0, (at >> 8) as u8, at as u8],
            )
        })
        .collect();
    let message = with_answers(&addresses);
    assert!(message.len() > 60_000);
    let response = parse(QUESTION, &message, false).expect("well-formed");
    assert_eq!(response.answers[0].len(), 4000);
    let same = vec![addresses[0].clone(); 4000];
    let response = parse(QUESTION, &with_answers(&same), false).expect("well-formed");
    assert_eq!(response.answers[0].len(), 1);
    assert!(response.bytes() < 1000, "{}", response.bytes());
}

#[test]
fn compression_bombs() {
    // A name of 254 bytes, for thousands of two-byte pointers to lead to.
    let long: Vec<u8> = [b"\x3f", &[b'a'; 63][..]].concat().repeat(3);
    let long = [&long[..], b"\x3d", &[b'b'; 61], b"\0"].concat();
    let begin = raw_record(&long, RecordType::TXT, 300, b"\0");
    let target = (0xc000 | BODY as u16).to_be_bytes();

    let mx = |at: u16| {
        let rdata = [at.to_be_bytes(), target].concat();
        raw_record(b"\xc0\x0c", RecordType::MX, 300, &rdata)
    };
    let bomb: Vec<_> = std::iter::once(begin.clone())
        .chain((0..4000).map(mx))
        .collect();
    let message = reply("www.x MX", 0, [&bomb, &[], &[]]);
    assert_eq!(shown("www.x MX", &message, false), "Malformed");
    // Where nobody asked for them, they are stepped over.
    assert_eq!(
        shown(QUESTION, &with_answers(&bomb[..3000]), false),
        "NOERROR"
    );

    // Owners, each its own.
    let owner = |at: u16| {
        let unique = [0x80 | (at >> 7) as u8, 0x80 | (at & 0x7f) as u8];
        let labels = [&[2][..], &unique, &[0xc0, BODY as u8 + 64]].concat();
        raw_record(&labels, RecordType::A, 300, &[0; 4])
    };
    let bomb: Vec<_> = std::iter::once(begin).chain((0..3000).map(owner)).collect();
    assert_eq!(shown(QUESTION, &with_answers(&bomb), false), "Malformed");

    // A ladder of pointers, each to the one before, and thousands of names from its top.
    let ladder: Vec<u8> = (0..6000u16)
        .flat_map(|at| {
            (0xc000
                | if at == 0 {
                    12
                } else {
                    BODY as u16 + 11 + 2 * (at - 1)
                })
            .to_be_bytes()
        })
        .collect();
    let ladder = raw_record(b"\0", RecordType::TXT, 300, &ladder);
    let top = (0xc000 | (BODY as u16 + 11 + 2 * 5999)).to_be_bytes();
    let climb = raw_record(&top, RecordType::A, 300, &[192, 0, 2, 1]);
    let mut climbs = vec![ladder, climb.clone()];
    assert_eq!(
        shown(QUESTION, &with_answers(&climbs), false),
        "NOERROR, www.x. 300 A"
    );
    climbs.extend(vec![climb; 2000]);
    assert_eq!(shown(QUESTION, &with_answers(&climbs), false), "Malformed");
}

/// Every owner of what is in `responses` is where it may be.
fn assert_on_the_chain(question: NameRef<'_>, qtype: RecordType, response: &Response) {
    assert!(response.aliases.len() <= MAX_ALIASES);
    let mut chain = vec![question];
    for alias in &response.aliases {
        assert_eq!(
            (alias.cname.rtype(), alias.cname.len()),
            (RecordType::CNAME, 1)
        );
        let target = NameBuf::read(alias.cname.target().expect("a target"))
            .expect("a name")
            .0;
        assert_eq!(target.as_ref(), alias.target.as_ref());
        chain.push(alias.target.as_ref());
    }
    assert_eq!(response.last_name(question), chain[chain.len() - 1]);
    for (at, set) in response.answers.iter().enumerate() {
        assert!(!set.is_empty());
        assert_eq!(set.rtype(), if at == 0 { qtype } else { RecordType::RRSIG });
        let len = [RecordType::A, RecordType::AAAA]
            .iter()
            .position(|&it| it == set.rtype());
        if let Some(at) = len {
            assert!(set.rdatas().all(|rdata| rdata.len() == [4, 16][at]));
        }
    }
    for (owner, set) in &response.authority {
        assert!(matches!(
            set.rtype(),
            RecordType::SOA | RecordType::NSEC | RecordType::NSEC3 | RecordType::RRSIG
        ));
        if set.rtype() == RecordType::SOA {
            assert!(response.denies() || response.rcode != Rcode::NoError);
            assert!(response.last_name(question).is_within(owner.as_ref()));
        }
    }
    assert!(response.bytes() < 300 << 10);
}

proptest! {
    #[test]
    fn any_bytes_at_all(body in prop::collection::vec(any::<u8>(), 0..600), counts in any::<[u8; 3]>()) {
        let mut message = reply(QUESTION, 0, [&[], &[], &[]]);
        for (at, count) in counts.into_iter().enumerate() {
            message[7 + 2 * at] = count % 4;
        }
        message.extend(body);
        let asked = name("www.x");
        if let Ok(response) = parse(QUESTION, &message, true) {
            assert_on_the_chain(asked.as_ref(), RecordType::A, &response);
        }
    }

    #[test]
    fn a_few_bytes_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut message = small();
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        let asked = name("www.x");
        if let Ok(response) = parse(QUESTION, &message, true) {
            assert_on_the_chain(asked.as_ref(), RecordType::A, &response);
        }
    }

    /// DNAMEs, against text: a suffix is cut off and another one put in its place.
    #[test]
    fn dnames_by_the_naive_walk(
        dnames in prop::collection::vec((0..4u8, 0..4u8), 0..4),
        aliases in prop::collection::vec((0..4u8, 0..4u8), 0..4),
        address in 0..4u8,
    ) {
        let mut dnames = dnames;
        dnames.sort_unstable();
        dnames.dedup_by_key(|&mut (from, _)| from);
        let mut aliases = aliases;
        aliases.sort_unstable();
        aliases.dedup_by_key(|&mut (from, _)| from);
        let host = |at: u8| format!("www.d{at}.x.");
        let mut lines: Vec<Vec<u8>> = dnames
            .iter()
            .map(|&(from, to)| {
                let target = name(&format!("d{to}.x"));
                let owner = name(&format!("d{from}.x"));
                raw_record(owner.as_ref().wire(), RecordType::DNAME, 300, target.as_ref().wire())
            })
            .collect();
        lines.extend(aliases.iter().map(|&(from, to)| record(&format!("{} 60 CNAME {}", host(from), host(to)))));
        lines.push(record(&format!("{} 9 A 192.0.2.1", host(address))));
        let question = "www.d0.x A";
        let response = parse(question, &reply(question, 0, [&lines, &[], &[]]), true).unwrap();
        assert_on_the_chain(name("www.d0.x").as_ref(), RecordType::A, &response);

        let (mut here, mut chain) = (0, Vec::new());
        while here != address && chain.len() <= MAX_ALIASES {
            let of = |list: &[(u8, u8)]| list.iter().find(|&&(from, _)| from == here).map(|&(_, to)| to);
            let Some(to) = of(&dnames).or(of(&aliases)) else { break };
            let known = to == 0 || chain.contains(&to);
            chain.push(to);
            here = to;
            if known {
                break;
            }
        }
        let aliases: Vec<String> = response.aliases.iter().map(|alias| alias.target.to_string()).collect();
        prop_assert_eq!(aliases, chain.iter().map(|&at| host(at)).collect::<Vec<_>>());
        for alias in &response.aliases {
            let ttl = if alias.dname.is_some() { 300 } else { 60 };
            prop_assert!(alias.cname.ttl() == ttl || alias.cname.ttl() == 60);
        }
        prop_assert_eq!(response.answers.is_empty(), response.end != ChainEnd::Name || here != address);
    }

    /// Against a walk that looks through all records at each step.
    #[test]
    fn the_chain_by_the_naive_walk(
        aliases in prop::collection::vec((0..14u8, 0..14u8), 0..20),
        addresses in prop::collection::vec((0..14u8, any::<u8>(), 0..100u32), 0..20),
    ) {
        let owner = |at: u8| if at == 0 { "www.x.".to_owned() } else { format!("n{at}.x.") };
        let mut aliases = aliases;
        aliases.sort_by_key(|&(from, _)| from);
        aliases.dedup_by_key(|&mut (from, _)| from);
        let mut lines: Vec<String> = aliases
            .iter()
            .map(|&(from, to)| format!("{} 300 CNAME {}", owner(from), owner(to)))
            .collect();
        lines.extend(addresses.iter().map(|&(at, last, ttl)| format!("{} {ttl} A 192.0.2.{last}", owner(at))));
        let records: Vec<_> = lines.iter().map(|line| record(line)).collect();
        let response = parse(QUESTION, &with_answers(&records), false).unwrap();
        assert_on_the_chain(name("www.x").as_ref(), RecordType::A, &response);

        let (mut here, mut seen, mut end) = (0, vec![0], ChainEnd::Name);
        let at = |here| addresses.iter().filter(move |&&(at, ..)| at == here);
        while at(here).next().is_none() {
            let Some(&(_, to)) = aliases.iter().find(|&&(from, _)| from == here) else { break };
            if seen.len() > MAX_ALIASES {
                end = ChainEnd::TooLong;
                break;
            }
            here = to;
            let known = seen.contains(&to);
            seen.push(to);
            if known {
                end = ChainEnd::Loop;
                break;
            }
        }
        if end == ChainEnd::Name && seen.len() > 1 && at(here).next().is_none() {
            end = ChainEnd::Open; // nothing is said of the last name
        }
        prop_assert_eq!(response.end, end);
        let aliases: Vec<String> = response.aliases.iter().map(|alias| alias.target.to_string()).collect();
        prop_assert_eq!(aliases, seen[1..].iter().map(|&at| owner(at)).collect::<Vec<_>>());
        if end == ChainEnd::Name {
            let mut want: Vec<u8> = at(here).map(|&(_, last, _)| last).collect();
            want.sort_unstable();
            want.dedup();
            let mut got: Vec<u8> = response.answers.iter().flat_map(|set| set.rdatas().map(|rdata| rdata[3])).collect();
            got.sort_unstable();
            prop_assert_eq!(got, want);
            let ttl = at(here).map(|&(.., ttl)| ttl).min();
            prop_assert_eq!(response.answers.first().map(Rrset::ttl), ttl);
        } else {
            prop_assert!(response.answers.is_empty());
        }
    }
}
