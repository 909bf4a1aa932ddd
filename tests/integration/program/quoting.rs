//! Whoever may ask a running dnsgate may not be allowed to read the files that dnsgate can read. So no admin page quotes them.

use std::{fs, path::Path, process::Command};

use crate::running::{PROGRAM, Running};

/// What stands in the file that only dnsgate may read.
const SECRET: &str = "hunter2";

#[test]
fn admin_pages_do_not_quote_a_refused_file() {
    let write = |dir: &Path, text: &str| {
        fs::write(dir.join("dnsgate.yaml"), text).expect("room");
    };
    let dnsgate = Running::start_with("127.0.0.1", |dir, command| {
        fs::write(dir.join("shadow"), format!("root:{SECRET}!:1\n")).expect("room");
        write(dir, "deny_with: refused\n");
        command.arg("--no-watch");
        command.arg("--config").arg(dir.join("dnsgate.yaml"));
    });
    for text in [
        "rules: [{ name: x, domains_file: shadow, deny: true }]".to_owned(),
        "zones: [{ origin: x.test, file: shadow }]".to_owned(),
        "upstreams: { x: { servers: [\"tls://192.0.2.1\"], ca_file: shadow } }".to_owned(),
        format!("{SECRET}: 1"),
        format!("deny_with: {SECRET}"),
        format!("rules: [{{ name: x, domains: [\"{SECRET}!\"], deny: true }}]"),
        format!("rules: [{{ name: x, domains: [x.test], forward: {SECRET} }}]"),
        format!("clients: {{ {SECRET}: {{ cidrs: [10.0.0.1/8] }} }}"),
        format!(
            "tests: [{{ ask: {SECRET}.test, from: 10.0.0.1, expect: {{ verdict: answered }} }}]"
        ),
        format!("zones: [{{ origin: x.test, records: [\"{SECRET} 300 IN A {SECRET}\"] }}]"),
        format!("a: \"{SECRET}"),
    ] {
        write(dnsgate.dir(), &text);
        let reload = dnsgate.reload();
        assert!(!reload.status.success(), "{text}");
        let said = String::from_utf8_lossy(&reload.stderr).into_owned();
        let pages = [said, dnsgate.get("/readyz").1, dnsgate.get("/").1];
        for page in &pages {
            assert!(!page.contains(SECRET), "{text}: {page}");
            assert!(page.contains("refused"), "{text}: {page}");
        }
        // On the command line, who reads may read the file.
        let file = dnsgate.dir().join("dnsgate.yaml");
        let check = Command::new(PROGRAM).arg("check").arg(file).output();
        let check = check.expect("the program runs");
        let told = [check.stderr, check.stdout].concat();
        let told = String::from_utf8_lossy(&told);
        if !text.contains("ca_file") {
            assert!(told.contains(SECRET), "{text}: {told}");
        }
    }
}
