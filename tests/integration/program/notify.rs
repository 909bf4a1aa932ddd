//! Notifications to systemd, and the unit file.

use std::{fs, os::unix::net::UnixDatagram, path::Path, process::Command};

use crate::running::{Running, SOON, installed};

const UNIT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/deploy/systemd/dnsgate.service"
);
/// The worst score of exposure that the unit may have, in tenths. What is left: it is a server, binds
/// a port below 1024, has clients anywhere, and one of its threads lowers its own priority.
const WORST: u32 = 17;

/// More messages than come before the one that a test waits for.
const MESSAGES: usize = 1000;

/// The next message that has this line.
fn wait_for(socket: &UnixDatagram, line: &str) -> String {
    let mut message = [0; 4096];
    for _ in 0..MESSAGES {
        let len = socket.recv(&mut message).expect(line);
        let message = String::from_utf8_lossy(&message[..len]).into_owned();
        if message.lines().any(|it| it == line) {
            return message;
        }
    }
    panic!("{line} does not come")
}

#[test]
fn systemd_is_told_each_state_of_the_process() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(SOON)).expect("set");
    let dnsgate = Running::start_with("127.0.0.1", |dir, command| {
        fs::write(dir.join("gate.yaml"), "limits: {drain: 300s}").expect("room");
        command.arg("--config").arg(dir.join("gate.yaml"));
        command.env("NOTIFY_SOCKET", &path);
        command.env("WATCHDOG_USEC", "200000");
        command.env_remove("WATCHDOG_PID");
    });
    let ready = wait_for(&socket, "READY=1");
    assert!(ready.contains("gate.yaml: ok: "), "{ready}");
    wait_for(&socket, "WATCHDOG=1");

    dnsgate.signal("HUP");
    let reloading = wait_for(&socket, "RELOADING=1");
    let time = reloading
        .lines()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(time.is_some_and(|time| time.parse::<u64>().is_ok()));
    let ready = wait_for(&socket, "READY=1");
    assert!(ready.contains("STATUS=reloaded, generation 2: "), "{ready}");

    let config = dnsgate.dir().join("gate.yaml");
    fs::write(&config, "READY=1\nREADY=1\n").expect("room");
    dnsgate.signal("HUP");
    wait_for(&socket, "RELOADING=1");
    let ready = wait_for(&socket, "READY=1");
    assert!(ready.contains("STATUS=reload refused, "), "{ready}");
    assert_eq!(ready.lines().count(), 2, "{ready}");

    dnsgate.signal("TERM");
    let stopping = wait_for(&socket, "STOPPING=1");
    assert!(stopping.contains("STATUS=SIGTERM: draining"), "{stopping}");
    // The drain is watched over, too.
    wait_for(&socket, "WATCHDOG=1");
    dnsgate.signal("TERM");
    assert_eq!(dnsgate.ended().0.code(), Some(0));
}

/// Runs systemd-analyze; whether it was content, and what it said.
fn analyze(args: &[&str], unit: &Path) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(args)
        .arg(unit)
        .output();
    let output = output.expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn unit_is_well_formed_and_hardened() {
    if !installed(&["systemd-analyze"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let unit = dir.path().join("dnsgate.service");
    // It must not depend on what is installed here.
    let text = fs::read_to_string(UNIT).expect("the unit");
    let text = text.replace("/usr/local/bin/dnsgate", crate::running::PROGRAM);
    fs::write(&unit, text).expect("room");

    let threshold = format!("--threshold={WORST}");
    let (good, said) = analyze(
        &["security", "--offline=true", "--no-pager", &threshold],
        &unit,
    );
    let score = said.lines().rfind(|line| line.contains("exposure level"));
    assert!(good, "{said}");
    println!("{}", score.unwrap_or_default());

    let (good, said) = analyze(&["verify", "--man=no"], &unit);
    // Where systemd does not run there is no manager to ask, and other units of the machine may
    // have faults of their own.
    let ours: Vec<_> = said.lines().filter(|it| it.contains("dnsgate")).collect();
    assert!(ours.is_empty(), "{said}");
    println!(
        "verify: {}: {said}",
        if good { "good" } else { "could not" }
    );
}

/// The system calls of a set, and of the sets in it.
fn calls_of(set: &str, calls: &mut Vec<String>) {
    let output = Command::new("systemd-analyze")
        .args(["syscall-filter", "--no-pager", set])
        .output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{set}");
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        match line.strip_prefix("    ") {
            Some(set) if set.starts_with('@') => calls_of(set, calls),
            Some(call) if !call.starts_with('#') => calls.push(call.to_owned()),
            _ => {}
        }
    }
}

#[test]
fn unit_allows_what_dnsgate_needs_on_debian_12() {
    let text = fs::read_to_string(UNIT).expect("the unit");
    let values = |key: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key));
        lines.map(str::to_owned).collect()
    };
    // notify-reload is of systemd 253.
    assert_eq!(values("Type="), ["notify"]);
    assert_eq!(values("ExecReload="), ["kill -HUP $MAINPID"]);
    if !installed(&["systemd-analyze"]) {
        return;
    }
    // As systemd reads it: a first list of what is allowed, then each line adds or takes away.
    let mut allowed: Vec<String> = Vec::new();
    for line in values("SystemCallFilter=") {
        let takes_away = line.starts_with('~');
        let mut calls = Vec::new();
        for item in line.trim_start_matches('~').split_whitespace() {
            match item.starts_with('@') {
                true => calls_of(item, &mut calls),
                false => calls.push(item.to_owned()),
            }
        }
        if takes_away {
            allowed.retain(|call| !calls.contains(call));
        } else {
            allowed.extend(calls);
        }
    }
    for (call, is_needed) in [
        ("setpriority", true), // the thread that reads gives way
        ("prlimit64", true),   // descriptors
        ("recvmmsg", true),
        ("kill", true), // ExecReload
        ("sched_setscheduler", false),
        ("mount", false),
        ("bpf", false),
    ] {
        let is_allowed = allowed.iter().any(|allowed| allowed == call);
        assert_eq!(is_allowed, is_needed, "{call}");
    }
}
