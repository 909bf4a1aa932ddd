//! Signatures and proofs of an answer, for clients that validate.

use super::*;

#[test]
fn signatures_come_where_they_were_asked_for() {
    let hash = "TYPE50"; // NSEC3, its data opaque
    let lines = [
        "www.x. 300 CNAME a.y.".to_owned(),
        rrsig("www.x.", 300, "CNAME", "x."),
        "a.y. 200 A 192.0.2.1".to_owned(),
        rrsig("a.y.", 100, "A", "Y."),
        rrsig("a.y.", 100, "AAAA", "y."),
        rrsig("b.y.", 100, "A", "y."),
    ];
    let proofs = [
        "www.x. 50 NSEC \\#00".to_owned(),
        rrsig("www.x.", 40, "NSEC", "x."),
        format!("hash.y. 30 {hash} \\#00"),
        rrsig("hash.y.", 30, "NSEC3", "y."),
        "z. 30 NSEC \\#00".to_owned(),
        rrsig("y.", 30, "NS", "y."),
    ];
    let wire = |lines: &[String]| lines.iter().map(|line| record(line)).collect::<Vec<_>>();
    let message = reply("www.x A", 0, [&wire(&lines), &wire(&proofs), &[]]);
    assert_eq!(
        shown("www.x A", &message, false),
        "NOERROR, www.x. 300 CNAME, a.y. 200 A"
    );
    assert_eq!(
        shown("www.x A", &message, true),
        "NOERROR, www.x. 300 CNAME, www.x. 300 RRSIG, a.y. 200 A, a.y. 100 RRSIG, \
         [www.x. 50 NSEC], [www.x. 40 RRSIG], [hash.y. 30 NSEC3], [hash.y. 30 RRSIG]"
    );

    let denial = [
        SOA.to_owned(),
        rrsig("x.", 900, "SOA", "x."),
        "w.x. 60 NSEC \\#00".to_owned(),
        rrsig("w.x.", 60, "NSEC", "x."),
        "x. 60 NSEC \\#00".to_owned(),
        rrsig("x.", 60, "NSEC", "x."),
        "y. 60 NSEC \\#00".to_owned(),
    ];
    let message = reply("www.x A", 3, [&[], &wire(&denial), &[]]);
    assert_eq!(shown("www.x A", &message, false), "NXDOMAIN, [x. 60 SOA]");
    assert_eq!(
        shown("www.x A", &message, true),
        "NXDOMAIN, [x. 60 SOA], [x. 900 RRSIG], [w.x. 60 NSEC], [w.x. 60 RRSIG], [x. 60 NSEC], \
         [x. 60 RRSIG]"
    );

    // A question for signatures gets them, and is not led away by an alias beside them.
    let message = reply("www.x RRSIG", 0, [&wire(&lines), &[], &[]]);
    assert_eq!(
        shown("www.x RRSIG", &message, false),
        "NOERROR, www.x. 300 RRSIG"
    );
}

/// What of a signed zone says that there is none, and what leads elsewhere in it.
#[test]
fn proofs_and_dnames_come_with_their_signatures() {
    let wire = |lines: &[String]| lines.iter().map(|line| record(line)).collect::<Vec<_>>();
    let denial = [
        "w.x. 60 NSEC \\#00".to_owned(),
        rrsig("w.x.", 60, "NSEC", "x."),
        "x. 60 NSEC \\#00".to_owned(),
        rrsig("x.", 60, "NSEC", "x."),
        "y. 60 NSEC \\#00".to_owned(),
    ];
    // Proofs alone say it as well, where a zone of the name signed them (RFC 4035 section 3.1.3).
    let message = reply("www.x A", 0, [&[], &wire(&denial), &[]]);
    assert_eq!(shown("www.x A", &message, false), "NOERROR");
    assert_eq!(
        shown("www.x A", &message, true),
        "NOERROR, [w.x. 60 NSEC], [w.x. 60 RRSIG], [x. 60 NSEC], [x. 60 RRSIG]"
    );
    let foreign = [denial[4].clone(), rrsig("y.", 60, "NSEC", "y.")];
    let message = reply("www.x A", 0, [&[], &wire(&foreign), &[]]);
    assert_eq!(shown("www.x A", &message, true), "NOERROR");

    // The DNAME has the signature that its CNAME needs.
    let redirected = [
        DNAME.to_owned(),
        rrsig("old.x.", 200, "DNAME", "x."),
        "w.old.x. 300 CNAME w.new.x.".to_owned(),
    ];
    let redirected = wire(&redirected);
    let proof = wire(&denial[..2]);
    for (question, want) in [
        (
            "w.old.x A",
            "NOERROR, old.x. 300 DNAME, old.x. 200 RRSIG, w.old.x. 300 CNAME, Open, \
             [w.x. 60 NSEC], [w.x. 60 RRSIG]",
        ),
        (
            "w.old.x CNAME",
            "NOERROR, old.x. 300 DNAME, old.x. 200 RRSIG, w.old.x. 300 CNAME, [w.x. 60 NSEC], \
             [w.x. 60 RRSIG]",
        ),
    ] {
        let message = reply(question, 0, [&redirected, &proof, &[]]);
        assert_eq!(shown(question, &message, true), want);
    }
}

#[test]
fn proofs_go_with_the_aliases_that_they_are_of() {
    let lines = [
        "www.x. 300 CNAME a.y.".to_owned(),
        rrsig("www.x.", 300, "CNAME", "x."),
        "a.y. 200 CNAME b.z.".to_owned(),
        rrsig("a.y.", 100, "CNAME", "y."),
    ];
    let proofs = [
        "v.x. 50 NSEC \\#00".to_owned(),
        rrsig("v.x.", 40, "NSEC", "x."),
        "0.y. 50 NSEC \\#00".to_owned(),
        rrsig("0.y.", 40, "NSEC", "y."),
    ];
    let wire = |lines: &[String]| lines.iter().map(|line| record(line)).collect::<Vec<_>>();
    let message = reply("www.x A", 0, [&wire(&lines), &wire(&proofs), &[]]);
    let response = parse("www.x A", &message, true).expect("well-formed");
    assert_eq!(response.end, ChainEnd::Open);
    let of = |aliases| -> Vec<String> {
        let proofs = response.proofs(aliases);
        proofs
            .map(|(owner, set)| show_set(&owner.to_string(), set))
            .collect()
    };
    assert_eq!(of(0), [""; 0]);
    assert_eq!(of(1), ["v.x. 50 NSEC", "v.x. 40 RRSIG"]);
    assert_eq!(of(2).len(), 4);
}
