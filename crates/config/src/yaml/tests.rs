//! Trees of texts, and what is not YAML.

use super::*;

/// The tree in one line: scalars in quotes, `-` for nothing, `!` for what was reported.
fn shown(node: &Node) -> String {
    match &node.value {
        Value::Null => "-".to_owned(),
        Value::Bad => "!".to_owned(),
        Value::Scalar(text) => format!("{text:?}"),
        Value::Seq(items) => {
            format!(
                "[{}]",
                items.iter().map(shown).collect::<Vec<_>>().join(" ")
            )
        }
        Value::Map(entries) => {
            let pair = |e: &Entry| format!("{}={}", e.name(), shown(&e.node));
            format!(
                "{{{}}}",
                entries.iter().map(pair).collect::<Vec<_>>().join(" ")
            )
        }
    }
}

fn read(text: &str) -> (String, String) {
    let mut faults = Faults::new("t", text);
    let tree = shown(&parse(text, &mut faults));
    let notices = faults.into_report();
    let places: Vec<_> = notices
        .notices()
        .iter()
        .map(|n| format!("{}:{} {}", n.line, n.column, n.message))
        .collect();
    (tree, places.join("\n"))
}

#[test]
fn scalars_keep_their_spelling() {
    for (text, tree) in [
        ("", "-"),
        ("# only a comment\n", "-"),
        ("---\n...\n", "-"),
        (
            "a: 007\nb: 1e3\nc: no\nd: 0x10\n",
            r#"{a="007" b="1e3" c="no" d="0x10"}"#,
        ),
        (
            "a: ~\nb:\nc: null\nd: \"null\"\ne: ''",
            r#"{a=- b=- c=- d="null" e=""}"#,
        ),
        (
            "[.x, \"*.x\", ::1/128, 'udp://[::]:53']",
            r#"[".x" "*.x" "::1/128" "udp://[::]:53"]"#,
        ),
        ("- {a: 1, a: 2}\n- \"\\x41\"\n", r#"[{a="1" a="2"} "A"]"#),
        ("a: long\n  text\n", r#"{a="long text"}"#),
    ] {
        assert_eq!(read(text), (tree.to_owned(), String::new()), "{text}");
    }
}

#[test]
fn every_value_knows_its_place() {
    let mut faults = Faults::new("t", "");
    let tree = parse("rules:\n  - näme: [ä, b]\n", &mut faults);
    let Value::Map(entries) = tree.value else {
        panic!("mapping")
    };
    let Value::Seq(rules) = &entries[0].node.value else {
        panic!("list")
    };
    let Value::Map(rule) = &rules[0].value else {
        panic!("mapping")
    };
    let Value::Seq(names) = &rule[0].node.value else {
        panic!("list")
    };
    assert_eq!(rule[0].key.place, Place { line: 2, column: 5 });
    assert_eq!(
        names[1].place,
        Place {
            line: 2,
            column: 15
        }
    );
}

#[test]
fn what_is_left_out_of_yaml_is_reported_and_reading_goes_on() {
    for (text, tree, places) in [
        (
            "[*.x, b]",
            r#"[! "b"]"#,
            "1:2 in YAML a value that begins with * is an alias, and there is no anchor \".x\"",
        ),
        (
            "a: &b 1\nc: *b\n",
            r#"{a="1" c=!}"#,
            "1:4 YAML anchors (`&…`) are not used in this file; write the value out where it is needed\n2:4 YAML aliases (`*…`) are not used in this file; write the value out",
        ),
        (
            "a: !!int 1",
            "{a=!}",
            "1:10 a YAML tag (`!…`) has no meaning here",
        ),
        (
            "a: 1\n---\nb: 2\n",
            r#"{a="1"}"#,
            "2:1 a second YAML document begins here; write one file with one document",
        ),
        (
            "? [a]\n: 1\nb: 2\n",
            r#"{b="2"}"#,
            "1:3 a key must be a word, not a list or a mapping",
        ),
        (
            ": 1\nb: 2\n",
            r#"{b="2"}"#,
            "1:1 a key is missing before this colon",
        ),
        (
            "*x : 1\nb: 2\n",
            r#"{b="2"}"#,
            "1:1 in YAML a value that begins with * is an alias, and there is no anchor \"x\"",
        ),
    ] {
        assert_eq!(read(text), (tree.to_owned(), places.to_owned()), "{text}");
    }
}

#[test]
fn values_are_bounded() {
    let told = format!("there are more than {MAX_NODES} values in this file");
    for value in ["a,", "*a , ", "[],"] {
        let text = format!("[{}]", value.repeat(MAX_NODES));
        let mut faults = Faults::new("t", &text);
        assert_eq!(parse(&text, &mut faults).value, Value::Bad, "{value}");
        let report = faults.into_report();
        let last = report
            .notices()
            .last()
            .map(|notice| notice.message.as_str());
        // Of a million aliases the first hundred are listed.
        assert!(
            last == Some(&told) || report.count() > MAX_NODES - 2,
            "{value}: {last:?}"
        );
    }
}

#[test]
fn what_is_not_yaml_is_told_once() {
    let deep = "[".repeat(MAX_DEPTH + 1);
    for (text, places) in [
        (
            "[*]",
            "1:2 in YAML a value that begins with * or & is an alias or an anchor",
        ),
        (
            "a:\n\t- b\n",
            "2:2 YAML is indented with spaces; there is a tab here",
        ),
        (
            "a: @b",
            "1:4 a value cannot begin with this character in YAML",
        ),
        ("a: [b", "1:4 this is not YAML: unclosed bracket '['"),
        ("a: 'b", "1:4 this is not YAML: unclosed quote"),
        (
            &deep,
            "1:13 this is nested more than 12 levels deep; no key of this file needs that",
        ),
    ] {
        assert_eq!(read(text), ("!".to_owned(), places.to_owned()), "{text}");
    }
}
