//! No key changes without being told of: each one of the reference is given another value, and so are
//! those that it shows in comments.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::{
    super::{Config, parse},
    keys_of_the_schema,
};

const REFERENCE: &str = include_str!("../../../../config/reference.yaml");

/// Values of every kind that a key may have; those that a key does not take are refused.
const OTHERS: &[&str] = &[
    "7s",
    "3s",
    "2h",
    "true",
    "false",
    "drop",
    "nxdomain",
    "nodata",
    "refused",
    "private",
    "restricted",
    "any",
    "allowed",
    "all",
    "none",
    "text",
    "json",
    "stdout",
    "tcp",
    "128MiB",
    "ordered",
    "spread",
    "answered",
    "denial",
    "denied",
    "32KiB",
    "512KiB",
    "zone",
    "blocked",
    "NXDOMAIN",
    "REFUSED",
    "corp",
    "public",
    "build",
    "vpc",
    "no-lab-secrets",
    "old-db",
    "github",
    "10.98.0.0/16",
    "10.98.0.1",
    "udp://10.98.0.1:53",
    "127.0.0.1:9154",
    "other.example",
    "other.example A",
    "A 10.98.0.1",
    "other A 10.98.0.1",
    "other.example A 10.98.0.1",
    "2098-12-24",
    "documented",
    "MX",
    "client",
    "report",
];

fn config(text: &str) -> Result<Config, String> {
    parse(text, "reference.yaml", Path::new("")).map_err(|report| report.to_string())
}

/// The places of all values in a tree, as JSON pointers.
fn leaves(value: &Value, at: &str, pointers: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                leaves(value, &format!("{at}/{key}"), pointers);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{at}/{index}"), pointers);
            }
        }
        _ => pointers.push(at.to_owned()),
    }
}

/// The values that may take the place of one, those first that look most like it.
fn others(value: &Value) -> Vec<Value> {
    let shape = |text: &str| -> Vec<char> {
        let class = |c: char| match c {
            '0'..='9' => '0',
            'a'..='z' => 'a',
            c => c,
        };
        text.chars().map(class).collect()
    };
    let own = value.as_str().map(shape).unwrap_or_default();
    let alike = |word: &str| {
        let same = shape(word).into_iter().zip(&own);
        same.take_while(|(a, b)| a == *b).count()
    };
    let mut words = OTHERS.to_vec();
    words.sort_by_key(|word| std::cmp::Reverse(alike(word)));
    let words = words.into_iter().map(|word| match word {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        word => Value::from(word),
    });
    let number = value.as_u64().into_iter();
    let numbers = number.flat_map(|it| [it + 1, it.saturating_sub(1)]);
    let flipped = value.as_bool().map(|it| Value::Bool(!it));
    let all = flipped.into_iter().chain(numbers.map(Value::from));
    let all = all.chain(words);
    all.filter(|other| other != value).collect()
}

/// The key of the format that a pointer ends in.
fn key_of<'p>(pointer: &'p str, known: &BTreeSet<&str>) -> &'p str {
    let mut parts = pointer.rsplit('/');
    parts.find(|part| known.contains(part)).expect("a key")
}

#[test]
fn every_key_of_the_reference_is_told_when_it_changes() {
    let keys = keys_of_the_schema();
    let known: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
    let tree: Value = serde_yaml::from_str(REFERENCE).expect("YAML");
    let old = config(REFERENCE).expect("valid");
    let mut pointers = Vec::new();
    leaves(&tree, "", &mut pointers);
    assert!(pointers.len() > 100, "{}", pointers.len());
    let mut told = BTreeSet::new();
    for pointer in &pointers {
        let key = key_of(pointer, &known);
        let value = tree.pointer(pointer).expect("it is there");
        for other in others(value) {
            let mut changed = tree.clone();
            if let Some(place) = changed.pointer_mut(pointer) {
                *place = other.clone();
            }
            // JSON is YAML.
            let Ok(new) = config(&format!("{changed:#}")) else {
                continue;
            };
            let changes = old.contents.changes(&new.contents).to_string();
            // A rule, a zone and what has a name are another one under another.
            let is_named = matches!(key, "name" | "origin");
            assert!(
                changes.contains(key) || is_named && changes.starts_with("added "),
                "{pointer} = {other}: {changes}"
            );
            told.insert(key);
            break;
        }
    }
    // In comments, in files or not to be changed alone.
    let elsewhere = [
        "budget",
        "addresses",
        "ca_file",
        "domains_file",
        "file",
        "mode",
        "observe",
        "origin",
        "name",
        "tests",
        "clients",
        "google_apis",
        "zones",
        "rules",
        "upstreams",
        "built_in",
        "cache",
        "limits",
        "log",
        "expect",
        "version",
        "within",
        "vip",
        "except",
        "types",
        "sample",
    ];
    let untold: Vec<_> = known.iter().filter(|key| !told.contains(*key)).collect();
    let untold: Vec<_> = untold
        .into_iter()
        .filter(|key| !elsewhere.contains(key))
        .collect();
    assert!(untold.is_empty(), "no other value was found for {untold:?}");
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn keys_that_name_files_and_those_that_need_others_are_told_as_well() {
    let dir = tempfile::tempdir().expect("a directory");
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("room");
    let soa = "@ 300 SOA ns hostmaster 1 2 3 4 5\n@ 300 NS ns\nns 300 A 10.0.0.1\n";
    let certificate = |name: &str| {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        made.cert.pem()
    };
    for (list, zone, ca) in [("a", "a.zone", "a.pem"), ("b", "b.zone", "b.pem")] {
        put(list, "x.test\n");
        put(zone, soa);
        put(ca, &certificate(list));
    }
    let read =
        |text: &str| parse(text, "t.yaml", dir.path()).unwrap_or_else(|report| panic!("{report}"));
    let old = "upstreams: {u: {servers: [\"tls://10.9.0.53\"], ca_file: a.pem}}\n\
        rules: [{name: r, domains_file: a, forward: u}]\n\
        zones: [{origin: z.test, file: a.zone}]\n\
        google_apis: {vip: psc, addresses: [10.1.1.5]}\n\
        mode: {observe: u}\n\
        log: {queries: all, sample: 2}\n";
    let before = read(old);
    for (from, to, told) in [
        (
            "a.pem",
            "b.pem",
            "changed upstream u (ca_file: a.pem -> b.pem; certificates: other ones, 1 entry)",
        ),
        (
            "domains_file: a",
            "domains_file: b",
            "changed rule r (domains_file: a -> b)",
        ),
        (
            "a.zone",
            "b.zone",
            "changed zone z.test (file: a.zone -> b.zone)",
        ),
        (
            "[10.1.1.5]",
            "[10.1.1.6]",
            "changed google_apis (addresses: +10.1.1.6 -10.1.1.5)",
        ),
        (
            "vip: psc, addresses: [10.1.1.5]",
            "vip: \"off\"",
            "changed google_apis (vip: psc -> off; addresses: -10.1.1.5)",
        ),
        (
            "mode: {observe: u}",
            "mode: enforce",
            "changed mode (observe u -> enforce)",
        ),
        ("sample: 2", "sample: 3", "changed log (sample: 2 -> 3)"),
        ("", "", "nothing changed"),
    ] {
        let after = read(&old.replace(from, to));
        let changes = before.contents.changes(&after.contents).to_string();
        assert_eq!(changes, told);
    }
    let except = "google_apis: {except: {storage.googleapis.com: private}}";
    let changes = read("").contents.changes(&read(except).contents);
    let told = "changed google_apis (except: +storage.googleapis.com. private)";
    assert_eq!(changes.to_string(), told);
    // What the files say.
    for (name, text, told) in [
        (
            "a",
            "x.test\ny.test\n",
            "changed rule r (names: 1 entry -> 2 entries)",
        ),
        (
            "a",
            "y.test\n",
            "changed rule r (names: other ones, 1 entry)",
        ),
        ("a", "# why\nx.test\n", "nothing changed"),
        (
            "a.zone",
            &soa.replace("10.0.0.1", "10.0.0.2"),
            "changed zone z.test (records: other ones, 3 entries)",
        ),
    ] {
        let before = fs::read(dir.path().join(name)).expect("a file");
        put(name, text);
        let after = read(old);
        fs::write(dir.path().join(name), before).expect("room");
        let changes = read(old).contents.changes(&after.contents).to_string();
        assert_eq!(changes, told);
    }
}

#[test]
fn long_lists_and_large_policies_are_compared_all_the_same() {
    let rules = |last: &str| -> String {
        let names: Vec<String> = (0..100).map(|at| format!("a{at}.test")).collect();
        let long = format!(
            "  - {{name: long, domains: [{}, {last}], deny: true}}\n",
            names.join(", ")
        );
        let reason = "x".repeat(150);
        let many = (0..9_000).map(|at| {
            format!("  - {{name: r{at}, domains: [b{at}.test], deny: true, reason: {reason}}}\n")
        });
        format!("rules:\n{long}{}", many.collect::<String>())
    };
    let old = config(&rules("x.test")).expect("valid");
    let changed = |text: &str| {
        let new = config(text).expect("valid");
        old.contents.changes(&new.contents).to_string()
    };
    assert_eq!(
        changed(&rules("y.test")),
        "changed rule long (domains: other ones, 101 entries)"
    );
    // Beyond what is kept to be shown.
    let new = rules("x.test").replace("b8999.test", "c8999.test");
    let told = changed(&new);
    assert!(told.starts_with("changed rule r8999 (domains: "), "{told}");
    assert_eq!(changed(&rules("x.test")), "nothing changed");
}
