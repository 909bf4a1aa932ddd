//! Runs scripts as root in new network and mount namespaces, for programs that cannot be given another port or other files.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::running::{PROGRAM, installed};

/// What every script begins with: the loopback, how to start what ends with the script, and how to wait for dnsgate.
const PRELUDE: &str = r#"
set -euo pipefail
pids=()
start() { "$@" >>"$WORK/log" 2>&1 & pids+=($!); }
stop() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; pids=(); }
trap 'status=$?; [ $status = 0 ] || cat "$WORK/log" >&2; stop; exit $status' EXIT
page() {
    exec 3<>/dev/tcp/127.0.0.1/9153 || return 1
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1:9153\r\n\r\n' "$1" >&3
    cat <&3
    exec 3<&- 3>&-
}
ready() { until page /readyz 2>/dev/null | head -1 | grep -q ' 200 '; do sleep 0.1; done; }
ip link set lo up
touch "$WORK/log"
"#;

/// Runs a bash script in a network of its own and what it prints; `None`, said aloud, where this machine does not let it.
pub(crate) fn run(script: &str, variables: &[(&str, &str)]) -> Option<String> {
    if !installed(&["unshare", "ip", "dig", "bash"]) {
        return None;
    }
    let allowed = Command::new("unshare")
        .args(["--net", "--mount", "true"])
        .stderr(Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        assert!(env::var_os("CI").is_none(), "no namespaces: not root?");
        println!("SKIPPED: no namespaces can be made here (not root?)");
        return None;
    }
    let work = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("timeout");
    // Not one of the programs in it outlives it: they are killed with the first process of their namespace.
    command
        .args(["--signal=KILL", "300", "unshare", "--net", "--mount"])
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["bash", "-c", &format!("{PRELUDE}{script}")])
        .env("WORK", work.path())
        .env("DNSGATE", PROGRAM)
        .env("PATH", path())
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    let output = command.output().expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Some(said)
}

/// Servers and `ip` are where a user's path does not lead.
fn path() -> String {
    format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default())
}

/// systemd-resolved as `scripts/unpack-resolved` unpacks it.
pub(crate) fn resolved() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("scripts/unpack-resolved")).output();
    let output = output.expect("the script runs");
    if output.status.success() {
        let path = String::from_utf8_lossy(&output.stdout);
        return Some(PathBuf::from(path.trim()));
    }
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(env::var_os("CI").is_none(), "no systemd-resolved: {why}");
    println!("SKIPPED: no systemd-resolved: {why}");
    None
}
