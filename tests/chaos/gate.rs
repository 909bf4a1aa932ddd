//! The dnsgate of a test: with its memory limited, started with what the test leaves out, and judged at the end.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use crate::{
    group::Group,
    load::PATIENCE,
    running::{PROGRAM, Running, SOON, free_port, signal, skipped, try_get},
    tally::Tally,
};

/// What it may have, in bytes: what a small container gets.
const MEMORY: u64 = 64 << 20;

/// How often to look whether something has come about.
const LOOK: Duration = Duration::from_millis(20);

/// How often to look for another port when somebody was quicker.
const TRIES: usize = 10;

/// Whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

/// One dnsgate, and the turn of its scenario. Dropped in this order: the process, its group, the turn.
pub(crate) struct Gate {
    pub(crate) running: Running,
    group: Option<Group>,
    _turn: MutexGuard<'static, ()>,
}

impl Gate {
    /// With the configuration of this text.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, "", |_, _| {})
    }

    /// The same after these commands of the shell, with arguments and an environment that `prepare` adds.
    pub(crate) fn start_with(
        config: &str,
        shell: &str,
        prepare: impl Fn(&Path, &mut Command),
    ) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let group = Group::make(MEMORY);
        let script = script(shell, group.as_ref());
        let running = Running::start_with("127.0.0.1", |dir, command| {
            write_config(dir, config);
            command.arg("--config").arg(dir.join("dnsgate.yaml"));
            prepare(dir, command);
            *command = by_shell(&script, command);
        });
        Self::new(running, group, turn)
    }

    /// The same, whose standard error is a pipe that nobody reads.
    pub(crate) fn start_unread(config: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let group = Group::make(MEMORY);
        let script = script("", group.as_ref());
        let running = (0..TRIES).find_map(|_| try_unread(&script, config));
        Self::new(running.expect("a port"), group, turn)
    }

    fn new(running: Running, group: Option<Group>, turn: MutexGuard<'static, ()>) -> Self {
        if let Some(group) = &group {
            assert!(group.holds(running.child.id()), "it is not in its group");
        }
        Self {
            running,
            group,
            _turn: turn,
        }
    }

    /// Waits for the end of the process.
    pub(crate) fn ended(&mut self, patience: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.running.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(began.elapsed() < patience, "it does not end");
            thread::sleep(LOOK);
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.running.port
    }

    pub(crate) fn metric(&self, series: &str) -> u64 {
        self.running.metric(series)
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.running.child, name);
    }

    /// A line of `/proc/PID/status`, in KiB.
    fn memory(&self, key: &str) -> u64 {
        let file = format!("/proc/{}/status", self.running.child.id());
        let status = fs::read_to_string(file).expect("it runs");
        let value = status.lines().find_map(|line| line.strip_prefix(key));
        let value = value.and_then(|rest| rest.split_whitespace().nth(1));
        value.and_then(|text| text.parse().ok()).expect(key)
    }

    /// The most memory that it has had until now, in KiB.
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM")
    }

    /// The memory that it has now, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS")
    }

    /// What it has used of a processor, in hundredths of a second.
    pub(crate) fn cpu(&self) -> u64 {
        let file = format!("/proc/{}/stat", self.running.child.id());
        let stat = fs::read_to_string(file).expect("it runs");
        let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
        let fields = fields.split(' ').skip(11).take(2);
        fields.filter_map(|field| field.parse::<u64>().ok()).sum()
    }

    /// What holds in every weather: no panic, no worker stuck, no query lost, doubled or answered wrongly, memory
    /// within its bound. Prints the row.
    pub(crate) fn holds(&self, scenario: &str, tally: &Tally, note: &str) {
        assert_eq!(self.metric("dnsgate_panics_total"), 0);
        assert_eq!(self.running.get("/livez").0, 200);
        assert!(!tally.closed, "{scenario}: the port was closed");
        if tally.wrong > 0 {
            self.show_failures();
        }
        self.judge(scenario, tally, self.peak(), note);
    }

    /// Prints the counters that say why queries failed.
    fn show_failures(&self) {
        let (_, page) = self.running.get("/metrics");
        let why = ["dnsgate_shed_", "dnsgate_upstream_"];
        let failures = page.lines().filter(|line| {
            let counts = !line.ends_with(" 0") && !line.contains("_bucket");
            counts && why.iter().any(|prefix| line.starts_with(prefix))
        });
        for line in failures {
            println!("{line}");
        }
    }

    /// The same of a dnsgate that may be gone by now, and had so much memory before, in KiB.
    pub(crate) fn judge(&self, scenario: &str, tally: &Tally, peak: u64, note: &str) {
        let held = if self.group.is_some() { "yes" } else { "no" };
        let (lost, sent) = (tally.lost(), tally.sent);
        let (stray, wrong) = (tally.stray, tally.wrong);
        let (median, slowest) = (tally.percentile(500), tally.percentile(1000));
        let mut said = String::new();
        for (what, count) in &tally.said {
            let _ = write!(said, "{count} {what}; ");
        }
        println!(
            "\nROW\t{scenario}\t{sent}\t{lost}\t{stray}\t{wrong}\t{median}\t{slowest}\t{peak}\t{held}\t{said}{note}"
        );
        assert_eq!(lost, 0, "{scenario}: lost, or not answered in {PATIENCE:?}");
        assert_eq!(stray, 0, "{scenario}: answered twice, or unasked");
        assert_eq!(wrong, 0, "{scenario}: {:#?}", tally.shown);
        assert!(sent > 0, "{scenario}: nothing was asked");
        assert!(peak * 1024 <= MEMORY, "{scenario}: {peak} KiB");
    }
}

/// It cannot say where it is ready, so it is asked where it was told to be. `None` when somebody has that port.
fn try_unread(script: &str, config: &str) -> Option<Running> {
    let dir = tempfile::tempdir().expect("a directory");
    write_config(dir.path(), config);
    let (port, admin) = (free_port("127.0.0.1"), free_port("127.0.0.1"));
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
    command.args(["--admin", &format!("127.0.0.1:{admin}"), "--config"]);
    command.arg(dir.path().join("dnsgate.yaml"));
    let child = by_shell(script, &command)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut running = Running {
        child,
        lines: mpsc::channel().1,
        port,
        admin: ([127, 0, 0, 1], admin).into(),
        _dir: dir,
    };
    let began = Instant::now();
    while try_get(running.admin, "/readyz").is_none_or(|(status, _)| status != 200) {
        if running.child.try_wait().expect("it is ours").is_some() {
            return None;
        }
        assert!(began.elapsed() < SOON, "it is not ready");
        thread::sleep(LOOK);
    }
    Some(running)
}

/// Puts a configuration where it is read, whole. The names of these tests end in `.test`, which does not exist whatever the way to
/// deny is: that is switched off, so that a denial looks as the configuration says.
pub(crate) fn write_config(dir: &Path, text: &str) {
    let (new, file) = (dir.join("new"), dir.join("dnsgate.yaml"));
    let text = format!("{text}\nbuilt_in: {{ search: false }}\n");
    fs::write(&new, text).expect("room for a file");
    fs::rename(&new, file).expect("renamed");
}

/// What the shell does before it becomes dnsgate, which ends with the thread of its test whatever ends that.
fn script(shell: &str, group: Option<&Group>) -> String {
    let join = group.map(|group| format!("echo $$ >'{}' &&", group.members().display()));
    let join = join.unwrap_or_default();
    format!("{join} {shell} exec setpriv --pdeathsig KILL \"$0\" \"$@\"")
}

/// The command, by way of the shell.
fn by_shell(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, PROGRAM]).args(command.get_args());
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(key, value);
        }
    }
    shell
}

/// Lets this process, and those that it starts, have as many descriptors as they may.
pub(crate) fn many_descriptors(needed: u64) -> bool {
    let id = std::process::id().to_string();
    let limit = format!("--nofile={}:", needed);
    let raised = Command::new("prlimit")
        .args(["--pid", &id, &limit])
        .status();
    if raised.is_ok_and(|status| status.success()) {
        return true;
    }
    skipped(&format!("{needed} descriptors are needed"));
    false
}
