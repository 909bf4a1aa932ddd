//! Property tests: any text, cut and mixed, gives an error or a configuration; no import lets through more than its source.

use proptest::prelude::*;

use super::*;

/// Pieces of every format, from which texts are made.
const PIECES: [&str; 60] = [
    "server:\n",
    "  local-zone: ",
    "\"a.example\"",
    " static\n",
    " transparent\n",
    "  local-data: \"a.example A 10.0.0.1\"\n",
    "forward-zone:\n",
    "  name: .\n",
    "  forward-addr: 10.0.0.1\n",
    "view:\n",
    ". {\n",
    "}\n",
    " forward . 8.8.8.8\n",
    " hosts {\n",
    " template IN A x.example {\n",
    " acl {\n",
    " block net 10.0.0.0/8\n",
    " allow type A net *\n",
    " rewrite name a.example b.example\n",
    "$ORIGIN rpz.\n",
    "@ 60 SOA a. b. 1 2 3 4 5\n",
    "a.example 60 CNAME .\n",
    "*.a.example 60 CNAME rpz-passthru.\n",
    "* 60 A 10.0.0.1\n",
    "32.1.0.0.10.rpz-client-ip 60 CNAME .\n",
    "24.zz.rpz-ip 60 CNAME .\n",
    "$INCLUDE f\n",
    "[",
    "]",
    "{",
    "}",
    "\"ruleName\": \"r\", ",
    "\"dnsName\": \"*.a.example.\", ",
    "\"behavior\": \"bypassResponsePolicy\"",
    "\"Priority\": 1, ",
    "{\"FirewallRules\": [",
    "\"Action\": \"BLOCK\"",
    "---\n",
    "name: a.example.\n",
    "type: A\n",
    "rrdatas: [10.0.0.1]\n",
    "ttl: 60\n",
    "kind: CiliumNetworkPolicy\n",
    "spec:\n",
    "  egress:\n",
    "  - toFQDNs: [{matchName: a.example}]\n",
    "0.0.0.0 a.example\n",
    "||a.example^\n",
    "@@||b.a.example^\n",
    "*.a.example\n",
    ".a.example\n",
    "${x}.example\n",
    "&a ",
    "*a ",
    "\\",
    "\"",
    "\u{feff}",
    "é",
    "\t",
    " ",
];

fn text() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(prop::sample::select(&PIECES[..]), 0..24);
    prop_oneof![4 => pieces.prop_map(|pieces| pieces.concat()), 1 => "\\PC{0,80}"]
}

/// A policy zone with few names, so that they meet.
fn policy_zone() -> impl Strategy<Value = String> {
    let label = prop::sample::select(&["a", "b", "*"][..]);
    let name = prop::collection::vec(label, 1..4).prop_map(|mut labels| {
        // A wildcard is the first label.
        for label in labels.iter_mut().skip(1) {
            if *label == "*" {
                *label = "c";
            }
        }
        labels.join(".")
    });
    let action = prop::sample::select(
        &[
            "CNAME .",
            "CNAME *.",
            "CNAME rpz-passthru.",
            "A 10.0.0.1",
            "CNAME rpz-drop.",
        ][..],
    );
    prop::collection::btree_map(name, action, 0..7).prop_map(|rules| {
        let mut text = "$ORIGIN rpz.\n@ 60 SOA a. b. 1 2 3 4 5\n".to_owned();
        for (name, action) in rules {
            text += &format!("{name} 60 {action}\n");
        }
        text
    })
}

/// What the first policy zone with a match does with a name: a model from the words of the draft, with RFC 4592.
fn model(zones: &[String], name: &str) -> Option<String> {
    zones.iter().find_map(|zone| {
        let rules: Vec<(&str, &str)> = zone
            .lines()
            .skip(2)
            .filter_map(|line| line.split_once(" 60 "))
            .collect();
        let exists = |name: &str| {
            rules
                .iter()
                .any(|(owner, _)| *owner == name || owner.ends_with(&format!(".{name}")))
        };
        if let Some((_, action)) = rules.iter().find(|(owner, _)| *owner == name) {
            return Some((*action).to_owned());
        }
        if exists(name) {
            return None;
        }
        let mut above = name;
        loop {
            above = above.split_once('.').map_or("", |(_, behind)| behind);
            let star = if above.is_empty() {
                "*".to_owned()
            } else {
                format!("*.{above}")
            };
            if let Some((_, action)) = rules.iter().find(|(owner, _)| *owner == star) {
                return Some((*action).to_owned());
            }
            if above.is_empty() || exists(above) {
                return None;
            }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_panics(text in text(), format in 0..9usize, keep: bool) {
        let result = import_of(SourceFormat::ALL[format], &[("f", &text), ("list.txt", "a.example\n")], &options(true, keep));
        if let Err(ImportError::Invalid(why)) = &result {
            prop_assert!(!why.contains("t.yaml"), "{why}");
        }
    }

    #[test]
    fn policy_zones_let_nothing_more_through(zones in prop::collection::vec(policy_zone(), 1..3), keep: bool, upstream: bool) {
        let files: Vec<(String, &str)> = zones.iter().enumerate().map(|(at, zone)| (format!("{at}.rpz"), &**zone)).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, *text)).collect();
        let imported = import_of(SourceFormat::Rpz, &files, &options(upstream, keep)).expect("an import");
        let config = dnsgate_config::parse(&imported.text, "t.yaml", Path::new("")).expect("valid");
        let labels = ["a", "b", "c", "d"];
        let mut names: Vec<String> = labels.map(str::to_owned).to_vec();
        for _ in 0..3 {
            let longer: Vec<String> = names.iter().filter(|name| name.len() < 7).flat_map(|name| labels.map(|label| format!("{label}.{name}"))).collect();
            names.extend(longer);
            names.sort();
            names.dedup();
        }
        for name in &names {
            let ours = verdict(&config, name);
            let theirs = model(&zones, name);
            let fine = match theirs.as_deref() {
                Some("CNAME rpz-passthru.") | None => ours.starts_with("denied") || ours.starts_with("forward"),
                Some("A 10.0.0.1") => ours == "10.0.0.1" || ours.starts_with("denied"),
                Some(_) => ours.starts_with("denied"),
            };
            prop_assert!(fine, "{name}: {theirs:?}, and here {ours}\n{zones:?}\n{}", imported.text);
            if !upstream {
                prop_assert!(!ours.starts_with("forward"));
            }
        }
    }
}
