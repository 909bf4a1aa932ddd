//! What is learnt from query logs.

use std::fmt::Write as _;

use super::*;

/// Lines of Cloud DNS: name, type, client, response code, target, second.
type Line<'l> = (&'l str, &'l str, &'l str, &'l str, &'l str, u32);

fn log(lines: &[Line<'_>]) -> String {
    let mut log = String::new();
    for (name, rtype, client, code, target, second) in lines {
        let network = if client.starts_with("10.8.") {
            "build"
        } else {
            "prod"
        };
        let _ = writeln!(
            log,
            "{}",
            json!({
                "jsonPayload": {
                    "queryName": name, "queryType": rtype, "sourceIP": client, "responseCode": code,
                    "protocol": "UDP", "sourceNetwork": network,
                },
                "resource": {"labels": {"target_type": target}},
                "timestamp": format!("2026-12-01T10:00:{second:02}Z"),
            })
        );
    }
    log
}

const LINES: &[Line<'_>] = &[
    ("api.github.com.", "A", "10.0.0.1", "NOERROR", "external", 1),
    (
        "API.github.com.",
        "AAAA",
        "10.8.0.1",
        "NOERROR",
        "external",
        2,
    ),
    ("api.github.com.", "A", "10.0.0.2", "NOERROR", "external", 3),
    ("pypi.org.", "A", "10.8.0.1", "NOERROR", "external", 4),
    ("pypi.org.", "A", "10.8.0.1", "SERVFAIL", "external", 5),
    (
        "db.corp.example.net.",
        "A",
        "10.0.0.1",
        "NOERROR",
        "private-zone",
        6,
    ),
    (
        "api.github.com.corp.example.net.",
        "A",
        "10.0.0.1",
        "NXDOMAIN",
        "external",
        7,
    ),
    (
        "typo.example.net.",
        "A",
        "10.0.0.1",
        "NXDOMAIN",
        "external",
        8,
    ),
    (
        "once.example.net.",
        "A",
        "10.0.0.1",
        "NXDOMAIN",
        "external",
        9,
    ),
    (
        "once.example.net.",
        "A",
        "10.0.0.1",
        "NOERROR",
        "external",
        10,
    ),
    (
        "storage.googleapis.com.c.proj.internal.",
        "A",
        "10.0.0.1",
        "NXDOMAIN",
        "internal",
        11,
    ),
    ("wpad.", "A", "10.0.0.1", "NXDOMAIN", "external", 12),
    (
        "1.0.0.10.in-addr.arpa.",
        "PTR",
        "10.0.0.1",
        "NOERROR",
        "internal",
        13,
    ),
    (
        "use-application-dns.net.",
        "A",
        "10.0.0.1",
        "NXDOMAIN",
        "external",
        14,
    ),
    (
        "metadata.google.internal.",
        "A",
        "10.0.0.1",
        "NOERROR",
        "internal",
        15,
    ),
    (
        "refused.example.net.",
        "A",
        "10.0.0.1",
        "REFUSED",
        "external",
        16,
    ),
    (
        "a.secret.example.com.",
        "A",
        "10.0.0.1",
        "NOERROR",
        "external",
        17,
    ),
];

fn asked<'p>(log: &str, mut asked: AskedNames<'p>) -> (AskedNames<'p>, dnsgate_logs::LogSummary) {
    let summary = dnsgate_logs::read(log.as_bytes(), |record| asked.add(record)).expect("readable");
    (asked, summary)
}

fn selection(min_clients: usize, include: &[LeftOut]) -> LogSelection {
    LogSelection {
        min_clients,
        include: include.iter().copied().collect(),
        now: now(),
    }
}

fn told(group_by: GroupBy<'_>, selection: &LogSelection, existing: ExistingPolicy<'_>) -> String {
    let table = AskedNames::new(group_by, None, selection.min_clients);
    let (table, summary) = asked(&log(LINES), table);
    let page = log_page(table, summary, selection);
    proposal(&page, "queries.json", "public", existing, 1)
}

#[test]
fn tells_needed_names_from_noise() {
    let told = told(
        GroupBy::Nothing,
        &selection(1, &[]),
        ExistingPolicy::new(None, now()),
    );
    assert_eq!(told, include_str!("logs.txt"), "{told}");
    let text = format!("upstreams: {{ public: {{ servers: [udp://8.8.8.8] }} }}\nrules:\n{told}");
    let pasted = dnsgate_config::parse(&text, "t.yaml", Path::new(""));
    assert!(pasted.is_ok(), "{pasted:?}");
}

#[test]
fn writes_rules_for_the_groups_that_are_asked_for() {
    let before = config("");
    let existing = ExistingPolicy::new(Some(&before.policy), now());
    let of = |text: &str| {
        let lines = text.lines().filter(|line| {
            ["- name", "groups:", "cidrs:", "rule no-secrets"]
                .iter()
                .any(|it| line.contains(it))
        });
        lines.map(str::trim).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        of(&told(
            GroupBy::Policy(&before.policy),
            &selection(1, &[]),
            existing
        )),
        "- name: github.com
groups: [build, vpc]
- name: example.net
groups: [vpc]
- name: pypi.org
groups: [build]
#   a.secret.example.com A from vpc, once: rule no-secrets"
    );
    let no_policy = ExistingPolicy::new(None, now());
    assert_eq!(
        of(&told(GroupBy::Network, &selection(1, &[]), no_policy)),
        "#   prod: { cidrs: ['10.0.0.0/24'] }
#   build: { cidrs: ['10.8.0.0/24'] }
- name: example.com
groups: [prod]
- name: github.com
groups: [build, prod]
- name: example.net
groups: [prod]
- name: pypi.org
groups: [build]"
    );
    let by_prefix = told(GroupBy::Prefix(16), &selection(1, &[]), no_policy);
    assert!(
        by_prefix.contains("#   net-10.8.0.0: { cidrs: ['10.8.0.0/16'] }"),
        "{by_prefix}"
    );
}

#[test]
fn selects_by_clients_time_and_kind() {
    let existing = ExistingPolicy::new(None, now());
    let two = told(GroupBy::Nothing, &selection(2, &[]), existing);
    assert!(
        two.contains("# Left out: 12 names that fewer than 2 clients asked for."),
        "{two}"
    );
    assert!(
        two.contains("api.github.com") && !two.contains("pypi.org"),
        "{two}"
    );
    let all = told(GroupBy::Nothing, &selection(1, &LeftOut::ALL), existing);
    assert!(
        !all.contains("# Left out") && all.contains("      - typo.example.net"),
        "{all}"
    );

    let since = "2026-12-01T10:00:04Z".parse().ok();
    let timeless = "{\"queryName\":\"x.example\",\"queryType\":\"A\",\"sourceIP\":\"10.0.0.1\"}\n";
    let log = log(LINES) + timeless;
    let (table, summary) = asked(&log, AskedNames::new(GroupBy::Nothing, since, 1));
    let page = log_page(table, summary, &selection(1, &[]));
    let late = proposal(&page, "queries.json", "public", existing, 1);
    for line in [
        "  # Left out: 3 questions before the given time.",
        "  # Left out: 1 question without a time in the log.",
    ] {
        assert!(late.contains(line), "{late}");
    }
    assert!(
        late.contains("from 2026-12-01T10:00:04Z to 2026-12-01T10:00:17Z."),
        "{late}"
    );
    assert!(
        !late.contains("      - api.github.com") && late.contains("pypi.org"),
        "{late}"
    );
}

#[test]
fn a_flood_of_random_names_pushes_no_needed_name_out() {
    let mut table = AskedNames::new(GroupBy::Nothing, None, 1).with_room(1000);
    for number in 0..20_000 {
        let random = format!("r{number}.flood.example.net.");
        let lines = [
            (&*random, "A", "10.0.0.1", "NOERROR", "external", 1),
            ("api.github.com.", "A", "10.0.0.1", "NOERROR", "external", 1),
        ];
        (table, _) = asked(&log(&lines), table);
    }
    assert!(table.names.len() <= 1000, "{}", table.names.len());
    let page = log_page(
        table,
        dnsgate_logs::LogSummary::default(),
        &selection(1, &[]),
    );
    let told = proposal(&page, "q", "public", ExistingPolicy::new(None, now()), 2);
    assert!(told.contains("observed 20000 times"), "{told}");
    assert!(
        told.contains("# warning: there was no room for 20000 "),
        "{told}"
    );
}
