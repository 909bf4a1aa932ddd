//! The numbers of entries.

use super::*;

#[test]
fn every_entry_has_a_number_of_its_own() {
    let policy = build(&[
        ".x; types A",
        ".x; types MX; name b",
        "a.x b.x *.c.x",
        "b.x; groups 0",
    ]);
    let policy = policy.expect("no tie");
    let mut seen: Vec<_> = policy.entries(|_| true).collect();
    assert_eq!(seen.len(), policy.pattern_count());
    assert_eq!(policy.entry_counts(), [1, 1, 3, 1]);
    for (id, rule, pattern) in &seen {
        assert!(id.index() < policy.entry_places(), "{pattern}");
        let only: Vec<_> = policy.entries(|other| other == *id).collect();
        assert_eq!(only, [(*id, *rule, pattern.clone())]);
        assert_eq!(policy.entry_of(*rule, pattern), Some(*id));
        assert_eq!(id.is_wide(), !matches!(pattern, Pattern::Exact(_)));
    }
    seen.sort_by_key(|(id, ..)| id.index());
    seen.dedup_by_key(|(id, ..)| id.index());
    assert_eq!(seen.len(), policy.pattern_count());
    let other = "q.x".parse().expect("a pattern");
    assert_eq!(policy.entry_of(RuleId(0), &other), None);
}

#[test]
fn the_verdict_names_the_entry_that_decided() {
    let policy = build(&[".x; types A", "a.x; deny nodata", "b.x; groups 1"]).expect("no tie");
    let used = |asked: &str, qtype| {
        let asked = name(asked);
        let verdict = policy.decide(GroupId(0), asked.as_ref(), qtype, at(0));
        let (rule, entry) = verdict.used()?;
        let found = policy.entries(|id| id == entry).next();
        let (_, of, pattern) = found.expect("an entry");
        assert_eq!(of, rule);
        Some(pattern.to_string())
    };
    assert_eq!(used("y.x", RecordType::A).as_deref(), Some(".x"));
    assert_eq!(used("a.x", RecordType::A).as_deref(), Some("a.x"));
    // A rule that would have allowed another type or group is not used.
    assert_eq!(used("y.x", RecordType::MX), None);
    assert_eq!(used("b.x", RecordType::MX), None);
    assert_eq!(used("b.x", RecordType::A).as_deref(), Some(".x"));
}
