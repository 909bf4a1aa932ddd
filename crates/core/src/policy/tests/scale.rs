//! Long lists: what a name costs.

use super::*;

/// As many names as asked for, spread over some thousand parents, as lists of domains are.
fn long_list(count: u32) -> Vec<Pattern> {
    let pattern = |at: u32| match at % 3 {
        0 => format!("host{at}.zone{}.example", at % 4096),
        1 => format!(".svc{at}.zone{}.test", at % 4096),
        _ => format!("*.domain{at}.org"),
    };
    (0..count)
        .map(|at| pattern(at).parse().expect("a pattern"))
        .collect()
}

fn policy_of(patterns: Vec<Pattern>) -> Policy {
    let rule = Rule {
        patterns,
        ..rule("")
    };
    Policy::build(vec![group(None)], vec![rule], DenyWith::Refused).expect("one rule")
}

fn check(count: u32) {
    let patterns = long_list(count);
    let some: Vec<_> = patterns.iter().step_by(997).cloned().collect();
    let policy = policy_of(patterns);
    assert_eq!(policy.pattern_count(), count as usize);
    assert!(policy.shadowed().is_empty());
    let bytes = policy.names.heap_bytes();
    println!("{count} names: {bytes} bytes");
    assert!(
        bytes < 64 * count as usize,
        "{bytes} bytes for {count} names"
    );
    for pattern in some {
        let below = pattern.name().to_name().child(b"a").expect("room");
        for asked in [pattern.name(), below.as_ref()] {
            let verdict = policy.decide(GroupId(0), asked, RecordType::A, at(0));
            assert_eq!(
                rule_of(&verdict).is_some(),
                pattern.matches(asked),
                "{asked}"
            );
        }
    }
}

#[test]
fn a_name_costs_some_tens_of_bytes() {
    check(100_000);
}

#[test]
#[ignore = "ten times as long for the same code; for measurements, with --release"]
fn a_million_names_fit() {
    check(1_000_000);
}
