use super::*;

#[test]
fn the_default_is_what_an_empty_file_is() {
    let default = default_config();
    let empty = parse("", "t", Path::new("")).expect("valid");
    assert_eq!(
        default.summary,
        "config/default.yaml: ok: 2 client groups, 1 zone (googleapis.com), 0 rules, sealed (no upstreams)"
    );
    assert_eq!((default.listen, default.admin), (empty.listen, empty.admin));
}
