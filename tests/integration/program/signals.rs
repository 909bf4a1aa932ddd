//! Signals that come before dnsgate is ready.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::Receiver,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::running::{PROGRAM, SOON, end, lines_of};

/// The moments after the start at which a signal is sent, beside the first at which one is caught.
const MOMENTS: u64 = 14;

/// A dnsgate that begins to start, whose end is waited for.
struct Starting {
    child: Child,
    lines: Receiver<String>,
}

impl Starting {
    fn new(config: &std::path::Path) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.arg("--config").arg(config);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
        let lines = lines_of(&mut child);
        Self { child, lines }
    }

    /// Whether the process has handlers for the signal by now: before that, which is before `main`,
    /// what it does is the kernel's.
    fn catches(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let caught = status.lines().find_map(|it| it.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_some_and(|mask| mask & 1 << (signal.as_raw() - 1) != 0)
    }

    fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it is there");
    }

    /// Waits for a line with this message.
    fn waits_for(&self, message: &str) -> bool {
        let wanted = format!("\"message\":\"{message}");
        let mut lines = std::iter::from_fn(|| self.lines.recv_timeout(SOON).ok());
        lines.any(|line| line.contains(&wanted))
    }

    fn ended(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

#[test]
fn stop_signal_before_ready_exits_with_0() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("gate.yaml");
    fs::write(&config, "limits: {drain: 0s}").expect("room");
    for signal in [Signal::TERM, Signal::INT] {
        for moment in 0..=MOMENTS {
            let starting = Starting::new(&config);
            if moment == 0 {
                while !starting.catches(signal) {}
            } else {
                // From nothing at all to some 80 ms, when it is ready on a machine at rest.
                thread::sleep(Duration::from_micros((1 << moment) * 10 - 20));
            }
            let caught = starting.catches(signal);
            starting.send(signal);
            let status = starting.ended();
            let good = status.code() == Some(0);
            let before_main = !caught && status.signal() == Some(signal.as_raw());
            assert!(good || before_main, "{signal:?} at {moment}: {status}");
        }
    }
}

#[test]
fn sighup_before_ready_reloads_once_it_is_caught() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("gate.yaml");
    fs::write(&config, "limits: {drain: 0s}").expect("room");
    for moment in 0..=MOMENTS {
        let starting = Starting::new(&config);
        if moment == 0 {
            while !starting.catches(Signal::HUP) {}
        } else {
            thread::sleep(Duration::from_micros((1 << moment) * 10 - 20));
        }
        let caught = starting.catches(Signal::HUP);
        starting.send(Signal::HUP);
        if !starting.waits_for("ready") {
            let status = starting.ended();
            let before_main = !caught && status.signal() == Some(Signal::HUP.as_raw());
            assert!(before_main, "at {moment}: {status}");
            continue;
        }
        if caught {
            assert!(starting.waits_for("reloaded"), "at {moment}: it was kept");
        }
        starting.send(Signal::TERM);
        assert_eq!(starting.ended().code(), Some(0), "at {moment}");
    }
}

#[test]
fn stop_signal_ends_a_start_that_is_held_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let pipe = dir.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    // Nobody writes to it.
    let starting = Starting::new(&pipe);
    while !starting.catches(Signal::TERM) {}
    starting.send(Signal::HUP);
    starting.send(Signal::TERM);
    assert_eq!(starting.ended().code(), Some(0));

    // Somebody does in the end, and the hang-up before is a reload that cannot be.
    let starting = Starting::new(&pipe);
    while !starting.catches(Signal::HUP) {}
    starting.send(Signal::HUP);
    fs::write(&pipe, "limits: {drain: 0s}").expect("a reader");
    assert!(starting.waits_for("ready"));
    assert!(starting.waits_for("reload refused, "));
    starting.send(Signal::TERM);
    assert_eq!(starting.ended().code(), Some(0));
}

#[test]
fn signals_end_other_verbs_as_usual() {
    let dir = tempfile::tempdir().expect("a directory");
    let pipe = dir.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let mut command = Command::new(PROGRAM);
    command.arg("check").arg(&pipe).stdin(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let lines = lines_of(&mut child);
    let starting = Starting { child, lines };
    starting.send(Signal::TERM);
    assert_eq!(starting.ended().signal(), Some(Signal::TERM.as_raw()));
}
