//! A host without IPv6, with the listeners of the reference: dnsgate answers over IPv4 and logs what is missing.

use std::{env, fs, process::Command};

use crate::running::{PROGRAM, installed};

/// In a network of its own whose IPv6 is switched off, as that of a container often is: it starts the program,
/// waits until it is ready, asks, and prints the reply and the log.
const SCRIPT: &str = r#"
ip link set lo up
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1 || exit 77
"$0" serve --config "$1/dnsgate.yaml" 2>"$1/log" & gate=$!
for _ in $(seq 200); do "$0" healthcheck >/dev/null 2>&1 && break; kill -0 $gate || break; sleep 0.1; done
dig @127.0.0.1 restricted.googleapis.com +short +tries=3
kill $gate; wait $gate
cat "$1/log"
"#;

#[test]
fn host_without_ipv6_is_served_over_ipv4() {
    if !installed(&["unshare", "ip", "sysctl", "dig"]) {
        return;
    }
    let may = Command::new("unshare").args(["-n", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        assert!(env::var_os("CI").is_none(), "no namespace is to be had");
        println!("SKIPPED: a network namespace needs root");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let config = "clients: { own: { cidrs: [127.0.0.0/8] } }
listen: [udp://0.0.0.0:53, tcp://0.0.0.0:53, \"udp://[::]:53\", \"tcp://[::]:53\"]
limits: { drain: 0s }
";
    fs::write(dir.path().join("dnsgate.yaml"), config).expect("room");
    let mut shell = Command::new("unshare");
    shell
        .args(["-n", "bash", "-c", SCRIPT, PROGRAM])
        .arg(dir.path());
    let output = shell.output().expect("it runs");
    if output.status.code() == Some(77) {
        println!("SKIPPED: IPv6 cannot be switched off here");
        return;
    }
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("199.36.153.4"), "{said}");
    assert!(said.contains("this host has no IPv6"), "{said}");
}
