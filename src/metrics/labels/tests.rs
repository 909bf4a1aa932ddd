use super::*;

#[test]
fn labels_known_types_by_name_and_others_as_other() {
    for &(qtype, mnemonic) in RecordType::NAMED {
        assert_eq!(type_label(type_position(Some(qtype))), mnemonic);
    }
    for number in [0, 3, 256, 258, 65280, u16::MAX] {
        assert_eq!(type_label(type_position(Some(RecordType(number)))), OTHER);
    }
    assert_eq!(type_label(type_position(None)), NONE);
    assert!(TYPES <= usize::from(u8::MAX), "positions fit a byte");
}

#[test]
fn every_code_finds_its_label() {
    for rcode in Rcode::ALL {
        assert_eq!(rcode_label(rcode_position(Some(rcode))), rcode.as_str());
    }
    assert_eq!(rcode_label(rcode_position(None)), NONE);
}

#[test]
fn denials_are_the_reasons_that_deny() {
    for &reason in Reason::ALL {
        let denies = reason.ending() == Ending::Denied;
        assert_eq!(denial_position(reason).is_some(), denies, "{reason:?}");
    }
}

/// How many names have a number.
const NAMES: usize = 65_536;

fn labels(groups: &[&str], rules: &[&str]) -> Labels {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Labels {
        groups: owned(groups),
        rules: owned(rules),
        upstreams: vec!["corp".into()],
    }
}

#[test]
fn a_position_outside_the_configuration_is_other() {
    let names = Names::default();
    names.load(1, labels(&["build"], &["github"]));
    let set = names.of(1);
    let texts = names.texts();
    let text = |id: NameId| &*texts[usize::from(id)];
    assert_eq!(text(set.group_id(Some(GroupId(0)))), "build");
    assert_eq!(text(set.group_id(Some(GroupId(1)))), OTHER);
    assert_eq!(text(set.group_id(None)), NONE);
    assert_eq!(text(set.rule_id(Some(RuleId(0)))), "github");
    assert_eq!(text(set.rule_id(Some(RuleId(u32::MAX)))), OTHER);
    assert_eq!(text(set.rule_id(None)), NONE);
    assert_eq!(set.group(GroupId(0)), "build");
    assert_eq!(set.rule(RuleId(1)), OTHER);
    assert_eq!(set.upstream(UpstreamId(0)), "corp");
    assert_eq!(set.upstream(UpstreamId(1)), OTHER);
    assert_eq!(names.of(2).group(GroupId(0)), OTHER, "never loaded");
}

#[test]
fn a_name_keeps_its_number_over_reloads() {
    let names = Names::default();
    names.load(1, labels(&["build", "web"], &["github", "other"]));
    let before = names.of(1);
    names.load(2, labels(&["lab", "build"], &["github"]));
    let after = names.of(2);
    assert_eq!(after.group_ids()[1], before.group_ids()[0]);
    assert_eq!(
        after.rule_id(Some(RuleId(0))),
        before.rule_id(Some(RuleId(0)))
    );
    assert_eq!(
        before.rule_id(Some(RuleId(1))),
        OTHER_ID,
        "one name, one number"
    );
    for generation in 3..100 {
        names.load(generation, labels(&["lab"], &[]));
    }
    assert_eq!(names.lock().loaded.len(), KEPT);
    assert_eq!(names.newest().0, 99);
}

#[test]
fn names_past_the_bound_are_counted_as_other() {
    let names = Names::default();
    let many: Vec<_> = (0..NAMES).map(|at| format!("r{at}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    names.load(1, labels(&["r0"], &many));
    let set = names.of(1);
    let last = RuleId(u32::try_from(NAMES).expect("fits") - 1);
    assert_eq!(set.rule_id(Some(last)), OTHER_ID);
    assert_eq!(
        set.rule(last),
        format!("r{}", NAMES - 1),
        "the log knows it"
    );
    assert_eq!(names.texts().len(), NAMES);
}

#[test]
fn a_bound_belongs_to_its_own_bucket() {
    assert_eq!(bucket(Duration::ZERO), 0);
    assert_eq!(bucket(Duration::from_micros(10)), 0);
    assert_eq!(bucket(Duration::from_nanos(10_001)), 1);
    assert_eq!(bucket(Duration::from_secs(4)), BOUNDS.len() - 1);
    assert_eq!(bucket(Duration::from_secs(5)), BOUNDS.len());
    assert!(BOUNDS.is_sorted());
}
