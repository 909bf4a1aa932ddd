//! Formats without an engine to compare with: tables that follow their documentation.

use super::*;

/// CoreDNS: plugins in the order of plugin.cfg; blocks by the longest zone (manual, "Configuration"); acl, template, hosts, forward,
/// rewrite, view by the README of each plugin.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn corefiles_follow_the_manual() {
    let cases = [
        // hosts without fallthrough ends the search for its zones (plugin/hosts: "fallthrough").
        Case {
            files: &[
                (
                    "Corefile",
                    "example {\n  hosts h example {\n  10.0.0.1 a.example\n  }\n  forward . 8.8.8.8\n}\n",
                ),
                ("h", "\n"),
            ],
            format: SourceFormat::Corefile,
            asked: &[
                ("a.example", "10.0.0.1"),
                ("a.example AAAA", "no data"),
                ("b.example", "denied"),
            ],
            ..Case::default()
        },
        // The file that hosts reads by default is on another machine: nothing of the zone is let through.
        Case {
            files: &[(
                "Corefile",
                "example {\n  hosts {\n  10.0.0.1 a.example\n  fallthrough\n  }\n  forward . 8.8.8.8\n}\n",
            )],
            asked: &[("a.example", "10.0.0.1"), ("b.example", "denied")],
            told: &["/etc/hosts is not here"],
            ..Case::default()
        },
        // A block with a longer zone takes its names from the others, whatever it does with them.
        Case {
            files: &[(
                "Corefile",
                "example {\n  forward . 8.8.8.8\n}\nsub.example {\n  errors\n}\n",
            )],
            asked: &[
                ("a.example", "forward example-servers"),
                ("a.sub.example", "denied"),
            ],
            ..Case::default()
        },
        // acl: the first line with a match decides; types.
        Case {
            files: &[(
                "Corefile",
                "example {\n  acl {\n  allow net 10.1.0.0/16\n  filter type AAAA net 10.0.0.0/8\n  drop net 192.168.0.0/16\n  }\n  forward . 8.8.8.8\n}\n",
            )],
            asked: &[
                ("a.example AAAA @10.1.0.1", "forward example-servers"),
                ("a.example AAAA @10.2.0.1", "denied nodata"),
                ("a.example @10.2.0.1", "forward example-servers"),
                ("a.example @192.168.0.1", "denied drop"),
                ("a.example @172.16.0.1", "forward example-servers"),
            ],
            ..Case::default()
        },
        // template: a regular expression chooses names; a rule cannot.
        Case {
            files: &[(
                "Corefile",
                "example {\n  template IN A {\n  match \"^a[.]example[.]$\"\n  answer \"{{ .Name }} 60 IN A 10.0.0.1\"\n  fallthrough\n  }\n  forward . 8.8.8.8\n}\n",
            )],
            asked: &[
                ("b.example", "denied"),
                ("b.example MX", "forward example-servers"),
            ],
            told: &["regular expression"],
            ..Case::default()
        },
        // template without match answers every name of its zones, for its type.
        Case {
            files: &[(
                "Corefile",
                "example {\n  template IN A x.example {\n  answer \"{{ .Name }} 60 IN A 10.0.0.1\"\n  }\n  forward . 8.8.8.8\n}\n",
            )],
            asked: &[
                ("a.x.example", "10.0.0.1"),
                ("a.x.example AAAA", "forward example-servers"),
                ("a.example", "forward example-servers"),
            ],
            ..Case::default()
        },
        // forward . is what CoreDNS does with every other name; except is not forwarded.
        Case {
            files: &[(
                "Corefile",
                ". {\n  forward . 8.8.8.8 {\n  except corp.example\n  }\n}\n",
            )],
            keep: true,
            asked: &[
                ("a.example", "forward root-servers"),
                ("a.corp.example", "denied"),
            ],
            ..Case::default()
        },
        Case {
            files: &[("Corefile", ". {\n  forward . 8.8.8.8\n}\n")],
            asked: &[("a.example", "denied")],
            told: &["denies what no rule allows"],
            ..Case::default()
        },
        // A plugin that is not known may deny; a variable is not filled in; a rewrite that cannot be said.
        Case {
            files: &[(
                "Corefile",
                "a.example {\n  adblock\n  forward . 8.8.8.8\n}\nb.example {\n  forward . {$UPSTREAM}\n}\nc.example {\n  rewrite name regex (.*) {1}.example\n  forward . 8.8.8.8\n}\n",
            )],
            asked: &[
                ("x.a.example", "denied"),
                ("x.b.example", "denied"),
                ("x.c.example", "denied"),
            ],
            told: &[
                "adblock",
                "variable of the environment",
                "which names it changes",
            ],
            ..Case::default()
        },
        // view: ranges of clients become a group.
        Case {
            files: &[(
                "Corefile",
                "example {\n  view build {\n  expr incidr(client_ip(), '10.8.0.0/16')\n  }\n  forward . 8.8.8.8\n}\nexample {\n  errors\n}\n",
            )],
            asked: &[
                ("a.example @10.8.0.1", "forward example-servers"),
                ("a.example @10.9.0.1", "denied"),
            ],
            ..Case::default()
        },
        // Cluster data are elsewhere.
        Case {
            files: &[(
                "Corefile",
                ".:53 {\n  kubernetes cluster.local in-addr.arpa ip6.arpa {\n  fallthrough in-addr.arpa ip6.arpa\n  }\n  forward . /etc/resolv.conf\n}\n",
            )],
            keep: true,
            asked: &[
                ("a.cluster.local", "denied nxdomain"),
                ("a.example", "forward public"),
            ],
            told: &["--upstream kubernetes=SERVER", "/etc/resolv.conf"],
            ..Case::default()
        },
    ];
    cases.iter().for_each(Case::check);
}

/// DNS Firewall: Developer Guide, "Rule settings in DNS Firewall" and "Rule actions in DNS Firewall".
#[test]
fn firewall_rules_follow_the_developer_guide() {
    let cases = [
        // By priority, whatever the order in the file; a query type.
        Case {
            files: &[
                (
                    "r.json",
                    "{\"FirewallRules\": [{\"Name\": \"all\", \"Priority\": 9, \"Action\": \"BLOCK\", \"BlockResponse\": \"NXDOMAIN\", \"FirewallDomainListId\": \"all\"}, {\"Name\": \"a\", \"Priority\": 2, \"Action\": \"ALLOW\", \"Qtype\": \"A\", \"FirewallDomainListId\": \"good\"}]}",
                ),
                ("all.txt", "*\n"),
                ("good.txt", "good.example\n"),
            ],
            asked: &[
                ("good.example", "forward public"),
                ("good.example AAAA", "denied nodata"),
                ("x.example", "denied nxdomain"),
            ],
            ..Case::default()
        },
        // An override is an alias.
        Case {
            files: &[
                (
                    "r.json",
                    "{\"FirewallRules\": [{\"Name\": \"o\", \"Priority\": 1, \"Action\": \"BLOCK\", \"BlockResponse\": \"OVERRIDE\", \"BlockOverrideDomain\": \"page.example\", \"BlockOverrideTtl\": 60, \"BlockOverrideDnsType\": \"CNAME\", \"FirewallDomainListId\": \"bad\"}]}",
                ),
                ("bad.txt", "bad.example\n"),
            ],
            asked: &[("bad.example", "page.example.")],
            ..Case::default()
        },
        // A name in a block list that cannot be read closes what could be it.
        Case {
            files: &[
                (
                    "r.json",
                    "{\"FirewallRules\": [{\"Name\": \"b\", \"Priority\": 1, \"Action\": \"BLOCK\", \"FirewallDomainListId\": \"bad\"}, {\"Name\": \"g\", \"Priority\": 2, \"Action\": \"ALLOW\", \"FirewallDomainListId\": \"good\"}]}",
                ),
                ("bad.txt", "a*.corp.example\n"),
                ("good.txt", "x.corp.example\ny.example\n"),
            ],
            asked: &[
                ("x.corp.example", "denied"),
                ("y.example", "forward public"),
            ],
            ..Case::default()
        },
    ];
    cases.iter().for_each(Case::check);
    for (rules, told) in [
        ("[{\"Action\": \"ALLOW\"}]", "no priority"),
        (
            "[{\"Priority\": 1, \"Action\": \"ALLOW\"}, {\"Priority\": 1, \"Action\": \"BLOCK\"}]",
            "the priority 1",
        ),
        (
            "[{\"Priority\": 1, \"FirewallRuleGroupId\": \"a\"}, {\"Priority\": 2, \"FirewallRuleGroupId\": \"b\"}]",
            "several rule groups",
        ),
    ] {
        let text = format!("{{\"FirewallRules\": {rules}}}");
        let error = import_of(
            SourceFormat::Route53Firewall,
            &[("r.json", &text)],
            &options(true, false),
        );
        let error = error.map(|import| import.text).expect_err(told).to_string();
        assert!(error.contains(told), "{error}");
    }
}

/// Unbound: unbound.conf(5), "local-zone", "access-control", "view". The engine itself is asked in the program's integration tests.
#[test]
fn views_and_refused_ranges_of_unbound_become_groups() {
    let case = Case {
        files: &[(
            "unbound.conf",
            "server:\n  access-control: 10.0.0.0/8 allow\n  access-control-view: 10.8.0.0/16 build\n  local-zone: . refuse\n  local-zone: a.example transparent\nview:\n  name: build\n  local-zone: . refuse\n  local-zone: b.example transparent\nforward-zone:\n  name: .\n  forward-tls-upstream: yes\n  forward-addr: 8.8.8.8@853#dns.google\n",
        )],
        asked: &[
            ("x.a.example", "forward forward-root"),
            ("x.b.example", "denied"),
            ("x.a.example @10.8.0.1", "denied"),
            ("x.b.example @10.8.0.1", "forward forward-root"),
            ("x.a.example @172.16.0.1", "unknown client"),
        ],
        upstream: false,
        ..Case::default()
    };
    case.check();
}

/// A zone of type `always_null` has addresses of its own for the types of which its names have no data.
#[test]
fn data_of_some_types_leaves_the_zone_its_answers_of_the_others() {
    let case = Case {
        files: &[(
            "unbound.conf",
            "server:\n  access-control: 10.0.0.0/8 allow\n  local-zone: null.example always_null\n  local-data: \"a.null.example A 10.0.0.1\"\n  local-data: \"null.example A 10.0.0.1\"\n  local-data: \"null.example AAAA fd00::1\"\n  local-data: 't.null.example TXT \"t\"'\n",
        )],
        format: SourceFormat::Unbound,
        asked: &[
            ("x.null.example", "0.0.0.0"),
            ("a.null.example", "10.0.0.1"),
            ("a.null.example AAAA", "::"),
            ("null.example AAAA", "fd00::1"),
            ("null.example TXT", "denied nodata"),
            ("t.null.example", "0.0.0.0"),
        ],
        upstream: false,
        ..Case::default()
    };
    case.check();
}

/// Selectors become groups by the operator's table; without one the policy is left out.
#[test]
fn selectors_need_the_operators_table() {
    let text = "kind: CiliumNetworkPolicy\nmetadata: {name: p}\nspec:\n  endpointSelector: {matchLabels: {app: web, tier: front}}\n  egress: [{toFQDNs: [{matchName: a.example}]}]\n";
    let mut options = options(true, false);
    let imported = import_of(SourceFormat::Auto, &[("p.yaml", text)], &options).expect("an import");
    check_answers(&imported, &[("a.example", "denied")]);
    assert!(
        imported
            .report
            .to_string()
            .contains("--group app=web,tier=front=CIDR"),
        "{}",
        imported.report
    );
    options.groups = vec![(
        "app=web,tier=front".to_owned(),
        "10.5.0.0/16".parse().expect("a range"),
    )];
    let imported = import_of(SourceFormat::Auto, &[("p.yaml", text)], &options).expect("an import");
    check_answers(
        &imported,
        &[
            ("a.example @10.5.1.1", "forward public"),
            ("a.example", "denied"),
        ],
    );
}
