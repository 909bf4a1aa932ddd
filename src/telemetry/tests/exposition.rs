//! The metrics page as a whole: its families, and hostile labels.

use super::*;

/// A page with every family and hostile labels.
fn full_page() -> String {
    let telemetry = telemetry();
    let hostile = labels(&["a\"b\\c\nd", "none"], &["ü {}", "other"]);
    telemetry.loaded(1, hostile, UNIX_EPOCH);
    let config = dnsgate_config::default_config();
    let snapshot = Snapshot::new(1, config.policy, config.zones);
    telemetry.note_usage(&Arc::new(snapshot), UNIX_EPOCH);
    let text = "upstreams: { u: { servers: [udp://192.0.2.1] } }\nrules: [{ name: b, domains: [.x], forward: u }]\n";
    let with_budget = dnsgate_config::parse(text, "t.yaml", Path::new("")).expect("valid");
    telemetry.budgets().loaded(&with_budget.policy);
    let mut recorder = telemetry.recorder();
    for outcome in many_outcomes() {
        recorder.record(&event(outcome, Transport::Udp));
    }
    let servers = ["udp://[::1]:53", "https://192.0.2.1:443/\"\n#ü"].map(str::to_owned);
    let ending = [
        ("ü {}", UNIX_EPOCH),
        ("a\"b\\c\nd", UNIX_EPOCH + Duration::from_secs(7)),
    ];
    let ending = ending.map(|(rule, until)| (rule.to_owned(), until));
    telemetry.shared().rules_expire(ending.into());
    let digest = dnsgate_config::default_config().digest;
    telemetry.shared().policy_digest_is(digest);
    let _corp = telemetry.upstream("corp", &servers);
    let _hostile = telemetry.upstream("c\"\n\\", &servers);
    String::from_utf8(telemetry.metrics().expect("a page")).expect("UTF-8")
}

#[test]
#[cfg(target_os = "linux")]
fn the_table_of_families_is_what_is_exported() {
    let page = full_page();
    let mut shown = BTreeMap::new();
    for line in page.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            shown.insert(name, (help, ""));
        }
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            shown.get_mut(name).expect("help comes first").1 = kind;
        }
    }
    let table: BTreeMap<_, _> = families()
        .map(|family| (family.name, (family.help, family.kind.as_str())))
        .collect();
    assert_eq!(shown, table);
    for family in families().filter(|family| !family.labels.is_empty()) {
        let start = format!(
            "{}{}",
            family.name,
            if family.kind == FamilyKind::Histogram {
                "_count{"
            } else {
                "{"
            }
        );
        let line = page.lines().find(|line| line.starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{start}"));
        for label in family.labels {
            assert!(
                line.contains(&format!("{label}=\"")),
                "{line} has no {label}"
            );
        }
    }
}

#[test]
fn no_series_is_exported_twice() {
    let page = full_page();
    let names: Vec<_> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').expect("a value").0)
        .collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(names.len(), distinct.len());
}

#[test]
fn promtool_has_nothing_to_say() {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        // Not println: what the harness takes for passed it keeps to itself.
        let _ = writeln!(io::stderr(), "SKIPPED: not installed: promtool");
        return;
    };
    let mut input = promtool.stdin.take().expect("piped");
    input.write_all(full_page().as_bytes()).expect("it reads");
    drop(input);
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
}
