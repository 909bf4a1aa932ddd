//! Traps that real files hold.

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_trap_is_kept_out_of() {
    let cases = [
        // An owner that repeats the policy zone's name and has lost its final dot is about that longer name.
        Case {
            files: &[(
                "a.rpz",
                "$ORIGIN rpz.example.\n$TTL 60\n@ SOA a. b. 1 2 3 4 5\nbad.test.rpz.example CNAME .\ngood.test.rpz.example. CNAME rpz-passthru.\n",
            )],
            asked: &[
                ("bad.test.rpz.example", "denied nxdomain"),
                ("good.test", "forward public"),
            ],
            told: &["repeats the policy zone's name"],
            ..Case::default()
        },
        // Without $ORIGIN an absolute owner names the zone, if the SOA's does.
        Case {
            files: &[(
                "a.rpz",
                "rpz.example. 60 SOA a. b. 1 2 3 4 5\nok.test.rpz.example. 60 CNAME rpz-passthru.\n",
            )],
            asked: &[
                ("ok.test", "forward public"),
                ("ok.test.rpz.example", "denied"),
            ],
            ..Case::default()
        },
        // `*x` is a label, not a wildcard.
        Case {
            files: &[(
                "a.rpz",
                "$ORIGIN rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n*open.test 60 CNAME rpz-passthru.\n",
            )],
            asked: &[
                ("a.open.test", "denied"),
                ("xopen.test", "denied"),
                ("*open.test", "forward public"),
            ],
            ..Case::default()
        },
        // A wildcard stops at names that exist below it.
        Case {
            files: &[(
                "a.rpz",
                "$ORIGIN rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n*.open.test 60 CNAME rpz-passthru.\na.b.open.test 60 CNAME .\n",
            )],
            asked: &[
                ("x.open.test", "forward public"),
                ("b.open.test", "denied"),
                ("c.b.open.test", "denied"),
                ("a.b.open.test", "denied nxdomain"),
            ],
            told: &["RFC 4592"],
            ..Case::default()
        },
        // A zone's data: the same, by the zone itself.
        Case {
            files: &[(
                "a.zone",
                "x.example. 60 IN SOA a. b. 1 2 3 4 5\n*.x.example. 60 IN A 10.0.0.1\na.b.x.example. 60 IN A 10.0.0.2\n",
            )],
            asked: &[
                ("q.x.example", "10.0.0.1"),
                ("c.b.x.example", "denied nxdomain"),
            ],
            ..Case::default()
        },
        // What is not filled in is no name: nothing below its readable end is let through.
        Case {
            format: SourceFormat::GcloudResponsePolicy,
            files: &[(
                "a.json",
                "[{\"ruleName\": \"r\", \"dnsName\": \"${env}.corp.example.\", \"behavior\": \"bypassResponsePolicy\"}, {\"ruleName\": \"s\", \"dnsName\": \"a.corp.example.\", \"behavior\": \"bypassResponsePolicy\"}, {\"ruleName\": \"t\", \"dnsName\": \"b.example.\", \"behavior\": \"bypassResponsePolicy\"}]",
            )],
            asked: &[
                ("a.corp.example", "denied"),
                ("b.example", "forward public"),
            ],
            told: &["placeholder"],
            ..Case::default()
        },
        // A list that stands elsewhere: nothing that comes after it is let through.
        Case {
            format: SourceFormat::Route53Firewall,
            files: &[
                (
                    "rules.json",
                    "{\"FirewallRules\": [{\"Priority\": 1, \"Action\": \"ALLOW\", \"FirewallDomainListId\": \"one\"}, {\"Priority\": 2, \"Action\": \"BLOCK\", \"FirewallDomainListId\": \"managed\"}, {\"Priority\": 3, \"Action\": \"ALLOW\", \"FirewallDomainListId\": \"two\"}]}",
                ),
                ("one.txt", "one.example\n"),
                ("two.txt", "two.example\n"),
            ],
            keep: true,
            asked: &[
                ("one.example", "forward public"),
                ("two.example", "denied"),
                ("other.example", "denied"),
            ],
            told: &["lists that AWS manages cannot be exported"],
            ..Case::default()
        },
        // A rule's name and its data's name differ.
        Case {
            files: &[(
                "a.json",
                "[{\"ruleName\": \"r\", \"dnsName\": \"a.example.\", \"localData\": {\"localDatas\": [{\"name\": \"b.example.\", \"type\": \"A\", \"ttl\": 60, \"rrdatas\": [\"10.0.0.1\"]}]}}]",
            )],
            asked: &[("a.example", "denied nodata"), ("b.example", "denied")],
            told: &["its data is for b.example."],
            ..Case::default()
        },
        // The same name and type in two documents, with other data; and with the same.
        Case {
            files: &[(
                "a.yaml",
                "---\nname: x.example.\ntype: SOA\nttl: 60\nrrdatas: [a. b. 1 2 3 4 5]\n---\nname: a.x.example.\ntype: A\nttl: 60\nrrdatas: [10.0.0.1]\n---\nname: a.x.example.\ntype: A\nttl: 60\nrrdatas: [10.0.0.2]\n---\nname: b.x.example.\ntype: A\nttl: 60\nrrdatas: [10.0.0.3]\n---\nname: b.x.example.\ntype: A\nttl: 60\nrrdatas: [10.0.0.3]\n",
            )],
            asked: &[
                ("a.x.example", "denied nxdomain"),
                ("b.x.example", "10.0.0.3"),
            ],
            told: &["twice with different data"],
            ..Case::default()
        },
        // Anchors belong to their document.
        Case {
            files: &[(
                "a.yaml",
                "---\nname: x.example.\ntype: SOA\nttl: 60\nrrdatas: [a. b. 1 2 3 4 5]\n---\nname: a.x.example.\ntype: A\nttl: &t 60\nrrdatas: &d [10.0.0.1]\n---\nname: b.x.example.\ntype: A\nttl: &t 61\nrrdatas: &d [10.0.0.2]\n---\nname: c.x.example.\ntype: A\nttl: 60\nrrdatas: &d [10.0.0.3]\nsignatureRrdatas: *d\n",
            )],
            asked: &[
                ("a.x.example", "10.0.0.1"),
                ("b.x.example", "10.0.0.2"),
                ("c.x.example", "10.0.0.3"),
            ],
            ..Case::default()
        },
        // A catch-all that answers every name with one address lets no name through.
        Case {
            files: &[(
                "a.rpz",
                "$ORIGIN rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n* 60 A 10.0.0.1\nok.test 60 CNAME rpz-passthru.\n",
            )],
            asked: &[
                ("x.example", "10.0.0.1"),
                ("ok.test", "forward public"),
                ("x.ok.test", "denied"),
            ],
            ..Case::default()
        },
        // No final newline, CRLF, and a byte order mark.
        Case {
            files: &[("a.txt", "\u{feff}a.example\r\nb.example")],
            asked: &[
                ("a.example", "forward public"),
                ("b.example", "forward public"),
            ],
            ..Case::default()
        },
        // Order counts in policy zones: what the first says stands.
        Case {
            files: &[
                (
                    "1.rpz",
                    "$ORIGIN one.rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n*.ok.test 60 CNAME rpz-passthru.\nx.test 60 CNAME .\n",
                ),
                (
                    "2.rpz",
                    "$ORIGIN two.rpz.\n@ 60 SOA a. b. 1 2 3 4 5\nbad.ok.test 60 CNAME .\nx.test 60 CNAME rpz-passthru.\n",
                ),
            ],
            format: SourceFormat::Rpz,
            asked: &[
                ("bad.ok.test", "forward public"),
                ("x.test", "denied nxdomain"),
            ],
            ..Case::default()
        },
        // A trigger on answers may deny what comes after it; what comes before it stands.
        Case {
            files: &[(
                "1.rpz",
                "$ORIGIN one.rpz.\n@ 60 SOA a. b. 1 2 3 4 5\nok.test 60 CNAME rpz-passthru.\n32.1.0.0.10.rpz-ip 60 CNAME .\n",
            )],
            keep: true,
            asked: &[("ok.test", "forward public"), ("other.test", "denied")],
            told: &["rpz-ip trigger"],
            ..Case::default()
        },
        // The most specific range of clients decides only in its own zone: a client of 10.1.0.0/16 is denied by the first.
        Case {
            files: &[
                (
                    "1.rpz",
                    "$ORIGIN one.rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n8.0.0.0.10.rpz-client-ip 60 CNAME .\n",
                ),
                (
                    "2.rpz",
                    "$ORIGIN two.rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n16.0.0.1.10.rpz-client-ip 60 CNAME rpz-passthru.\n",
                ),
            ],
            asked: &[
                ("x.example @10.1.0.1", "denied"),
                ("x.example @10.2.0.1", "denied"),
            ],
            ..Case::default()
        },
        Case {
            files: &[(
                "1.rpz",
                "$ORIGIN one.rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n8.0.0.0.10.rpz-client-ip 60 CNAME .\n16.0.0.1.10.rpz-client-ip 60 CNAME rpz-passthru.\n0.0.0.0.0.rpz-client-ip 60 CNAME .\nok.example 60 CNAME rpz-passthru.\n",
            )],
            asked: &[
                ("x.example @10.1.0.1", "forward public"),
                ("ok.example @10.2.0.1", "denied"),
                ("ok.example @172.16.0.1", "denied"),
                ("ok.example @fd00::1", "forward public"),
            ],
            ..Case::default()
        },
        // What is let through forwards some types; the others must not fall to data of a shorter name.
        Case {
            files: &[(
                "1.rpz",
                "$ORIGIN one.rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n*.test 60 TXT text\nok.test 60 CNAME rpz-passthru.\n",
            )],
            asked: &[
                ("ok.test", "forward public"),
                ("ok.test TXT", "denied"),
                ("x.test TXT", "\"text\""),
            ],
            ..Case::default()
        },
        // Zones of different networks: a zone here is for every client.
        Case {
            files: &[(
                "z.json",
                "[{\"name\": \"a\", \"dnsName\": \"a.example.\", \"privateVisibilityConfig\": {\"networks\": [{\"networkUrl\": \"one\"}]}, \"forwardingConfig\": {\"targetNameServers\": [{\"ipv4Address\": \"10.0.0.1\"}]}}, {\"name\": \"b\", \"dnsName\": \"b.example.\", \"privateVisibilityConfig\": {\"networks\": [{\"networkUrl\": \"two\"}]}, \"forwardingConfig\": {\"targetNameServers\": [{\"ipv4Address\": \"10.0.0.2\"}]}}]",
            )],
            asked: &[("x.a.example", "forward a"), ("x.b.example", "denied")],
            told: &["other networks see it"],
            ..Case::default()
        },
        // A record that cannot be read leaves no room for a wildcard.
        Case {
            files: &[(
                "z.json",
                "[{\"name\": \"x.example.\", \"type\": \"SOA\", \"ttl\": 60, \"rrdatas\": [\"a. b. 1 2 3 4 5\"]}, {\"name\": \"*.x.example.\", \"type\": \"A\", \"ttl\": 60, \"rrdatas\": [\"10.0.0.1\"]}, {\"name\": \"a.x.example.\", \"type\": \"A\", \"ttl\": 60, \"rrdatas\": [\"10.0.0.300\"]}]",
            )],
            asked: &[
                ("b.x.example", "10.0.0.1"),
                ("a.x.example", "denied nodata"),
                ("c.a.x.example", "denied nodata"),
            ],
            ..Case::default()
        },
        // Everything else, if the operator wants it.
        Case {
            files: &[(
                "1.rpz",
                "$ORIGIN one.rpz.\n@ 60 SOA a. b. 1 2 3 4 5\nbad.test 60 CNAME .\n",
            )],
            keep: true,
            asked: &[
                ("bad.test", "denied nodata"),
                ("other.test", "forward public"),
            ],
            ..Case::default()
        },
        // Exceptions without an upstream stay denied, and shield from later zones.
        Case {
            files: &[
                (
                    "1.rpz",
                    "$ORIGIN one.rpz.\n@ 60 SOA a. b. 1 2 3 4 5\nok.test 60 CNAME rpz-passthru.\n",
                ),
                (
                    "2.rpz",
                    "$ORIGIN two.rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n*.test 60 A 10.0.0.1\n",
                ),
            ],
            upstream: false,
            format: SourceFormat::Rpz,
            asked: &[("ok.test", "denied"), ("x.test", "10.0.0.1")],
            told: &["no upstream was named"],
            ..Case::default()
        },
    ];
    cases.iter().for_each(Case::check);
}

/// Files that cannot be imported, and what is said about them.
#[test]
fn what_cannot_be_read_is_an_error_with_its_place() {
    for (format, text, told) in [
        (
            SourceFormat::Rpz,
            "$ORIGIN rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n$INCLUDE absent\n",
            "f:3",
        ),
        (
            SourceFormat::Rpz,
            "@TTL 60\n@ 60 IN SOA a. b. 1 2 3 4 5\nx CNAME .\n",
            "f:1",
        ),
        (
            SourceFormat::GcloudDns,
            "---\nadditions:\n- kind: dns#resourceRecordSet\n  name: a.example.\n  type: A\n  ttl: 60\n  rrdatas: [10.0.0.1]\ndeletions: []\n",
            "pending transaction",
        ),
        (
            SourceFormat::Auto,
            "---\nadditions:\n- kind: dns#resourceRecordSet\n",
            "pending transaction",
        ),
        (
            SourceFormat::GcloudDns,
            "kind: dns#resourceRecordSet\nname: [\n",
            "f:",
        ),
        (
            SourceFormat::GcloudDns,
            "$TTL 60\nwww IN A 10.0.0.1\n",
            "--origin",
        ),
        (SourceFormat::Unbound, "server:\n  local-zone: \"a\n", "f:2"),
        (
            SourceFormat::Unbound,
            "server:\n  include: \"f\"\n",
            "include each other",
        ),
        (SourceFormat::Corefile, ". {\n  forward . 8.8.8.8\n", "f:2"),
        (
            SourceFormat::Corefile,
            ". {\n  errors\n  import absent\n}\n",
            "f:3",
        ),
        (
            SourceFormat::Route53Firewall,
            "{\"Domains\": [\"a.example\"]}",
            "lists without rules",
        ),
        (
            SourceFormat::Domains,
            ". {\n  forward . 8.8.8.8\n}\n",
            "dnsgate import corefile",
        ),
        (
            SourceFormat::Unbound,
            "$ORIGIN rpz.\n@ 60 IN SOA a. b. 1 2 3 4 5\nx 60 CNAME .\n",
            "dnsgate import rpz",
        ),
        (
            SourceFormat::Auto,
            "nothing of the kind\n",
            "none of the formats",
        ),
        (SourceFormat::Auto, "", "none of the formats"),
    ] {
        let error =
            import_of(format, &[("f", text)], &options(true, false)).map(|import| import.text);
        let error = error.expect_err(text).to_string();
        assert!(error.contains(told), "{text:?}: {error}");
    }
}
