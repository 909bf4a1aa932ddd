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
#[test]
fn probe() {
    let text = std::fs::read_to_string("/tmp/cfgprobe/cases.txt").unwrap();
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_798_761_600);
    for case in text.split("====\n") {
        println!("---- {case}");
        match parse(case, "t.yaml", Path::new("/nowhere")) {
            Ok(config) => {
                println!("{}", config.summary);
                for w in config.warnings(now) {
                    println!("{w}");
                }
            }
            Err(report) => println!("{report}"),
        }
    }
}
