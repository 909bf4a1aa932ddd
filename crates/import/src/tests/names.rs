//! What `*` means in each format: the table of docs/migrate.md, row by row.

use super::*;

/// A pattern in its format, and whether `x.example`, `a.x.example` and `b.a.x.example` are covered: `y` is let through (or, for
/// denials, denied), `n` is not.
const STARS: [(SourceFormat, &str, &str, &str); 13] = [
    (
        SourceFormat::GcloudDns,
        "*.x.example",
        "[{\"name\": \"x.example.\", \"type\": \"SOA\", \"ttl\": 60, \"rrdatas\": [\"a. b. 1 2 3 4 5\"]}, {\"name\": \"*.x.example.\", \"type\": \"A\", \"ttl\": 60, \"rrdatas\": [\"10.0.0.1\"]}]",
        "nyy",
    ),
    (
        SourceFormat::GcloudResponsePolicy,
        "*.x.example",
        "[{\"ruleName\": \"r\", \"dnsName\": \"*.x.example.\", \"behavior\": \"bypassResponsePolicy\"}]",
        "nyy",
    ),
    (
        SourceFormat::Rpz,
        "*.x.example",
        "$ORIGIN rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n*.x.example 60 CNAME rpz-passthru.\n",
        "nyy",
    ),
    (
        SourceFormat::Unbound,
        "x.example",
        "server:\n  access-control: 10.0.0.0/8 allow\n  local-zone: . refuse\n  local-zone: x.example transparent\n",
        "yyy",
    ),
    (
        SourceFormat::Corefile,
        "x.example",
        "x.example {\n  forward . 8.8.8.8\n}\n",
        "yyy",
    ),
    (
        SourceFormat::Route53Firewall,
        "*.x.example",
        "{\"FirewallRules\": [{\"Priority\": 1, \"Action\": \"ALLOW\", \"FirewallDomainListId\": \"list\"}]}",
        "nyy",
    ),
    (
        SourceFormat::FqdnPolicy,
        "matchPattern *.x.example",
        "kind: CiliumNetworkPolicy\nspec:\n  endpointSelector: {}\n  egress: [{toFQDNs: [{matchPattern: \"*.x.example\"}]}]\n",
        "nnn",
    ),
    (
        SourceFormat::FqdnPolicy,
        "matchPattern **.x.example",
        "kind: CiliumNetworkPolicy\nspec:\n  endpointSelector: {}\n  egress: [{toFQDNs: [{matchPattern: \"**.x.example\"}]}]\n",
        "nnn",
    ),
    (
        SourceFormat::FqdnPolicy,
        "pattern *.x.example",
        "kind: FQDNNetworkPolicy\nspec:\n  podSelector: {}\n  egress: [{matches: [{pattern: \"*.x.example\"}]}]\n",
        "nnn",
    ),
    (
        SourceFormat::FqdnPolicy,
        "domainNames *.x.example",
        "kind: ClusterNetworkPolicy\nspec:\n  subject: {namespaces: {}}\n  egress: [{action: Accept, to: [{domainNames: [\"*.x.example\"]}]}]\n",
        "nyy",
    ),
    (SourceFormat::Domains, "*.x.example", "*.x.example\n", "nyy"),
    (SourceFormat::Domains, ".x.example", ".x.example\n", "yyy"),
    (SourceFormat::Domains, "x.example", "x.example\n", "ynn"),
];

#[test]
fn stars_mean_what_each_format_says() {
    for (format, what, text, covered) in STARS {
        let mut files = vec![("file", text)];
        if format == SourceFormat::Route53Firewall {
            files.push(("list.txt", "*.x.example\n"));
        }
        let imported = import_of(format, &files, &options(true, false))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let config = dnsgate_config::parse(&imported.text, "t.yaml", Path::new("")).expect("valid");
        let passes = |name: &str| {
            let verdict = verdict(&config, name);
            if verdict.starts_with("denied") || verdict == "no data" {
                'n'
            } else {
                'y'
            }
        };
        let found: String = ["x.example", "a.x.example", "b.a.x.example"]
            .map(passes)
            .iter()
            .collect();
        assert_eq!(
            found,
            covered,
            "{} {what}\n{}",
            format.as_str(),
            imported.text
        );
        for other in ["example", "ax.example", "x.example.org"] {
            assert!(
                verdict(&config, other).starts_with("denied"),
                "{what}: {other}"
            );
        }
    }
}
