//! A running dnsgate for tests of the program: started on free ports of loopback, found by its own log line, ended by its
//! process id when the test ends.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// The program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_dnsgate");
/// How long to wait for what must happen soon. Long, because the machine may be busy: a test that
/// passes never waits for all of it.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// How often to look for another port when somebody was quicker.
const TRIES: usize = 10;

/// A dnsgate that said it is ready.
pub(crate) struct Running {
    pub(crate) child: Child,
    /// Standard error, line by line; the channel ends when the process does.
    pub(crate) lines: Receiver<String>,
    /// UDP and TCP.
    pub(crate) port: u16,
    pub(crate) admin: SocketAddr,
    /// Where its configuration is, if it has one.
    pub(crate) _dir: TempDir,
}

impl Running {
    /// With the configuration of this text, or the built-in one if it is empty, on 127.0.0.1.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_on("127.0.0.1", config)
    }

    /// The same on another address, written as in a socket address.
    pub(crate) fn start_on(host: &str, config: &str) -> Self {
        let write = |dir: &Path, command: &mut Command| {
            if !config.is_empty() {
                let file = dir.join("dnsgate.yaml");
                fs::write(&file, config).expect("room for a file");
                command.arg("--config").arg(file);
            }
        };
        Self::start_with(host, write)
    }

    /// The same, with files and arguments that `prepare` adds: it is given an empty directory.
    pub(crate) fn start_with(host: &str, prepare: impl Fn(&Path, &mut Command)) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            match Self::try_start(host, free_port(host), &prepare) {
                Ok(running) => return running,
                Err(error) if error.contains("cannot listen on") => said = error,
                Err(error) => panic!("it ended before it was ready: {error}"),
            }
        }
        panic!("no port is free: {said}")
    }

    /// Starts it; the text of standard error if it ends instead.
    fn try_start(
        host: &str,
        port: u16,
        prepare: impl Fn(&Path, &mut Command),
    ) -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--admin", "127.0.0.1:0"]);
        command.args(["--listen", &format!("{host}:{port}")]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        prepare(dir.path(), &mut command);
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let lines = lines_of(&mut child);
        let mut said = String::new();
        let admin = loop {
            match lines.recv_timeout(SOON) {
                Ok(line) => match admin_of(&line) {
                    Some(admin) => break admin,
                    None => said.push_str(&(line + "\n")),
                },
                Err(_) => {
                    end(&mut child);
                    return Err(said);
                }
            }
        };
        Ok(Self {
            child,
            lines,
            port,
            admin,
            _dir: dir,
        })
    }

    /// Asks with dig at 127.0.0.1; what it printed.
    pub(crate) fn dig(&self, args: &str) -> String {
        dig(self.port, args)
    }

    /// Asks with another client that takes dig's arguments.
    pub(crate) fn client(&self, program: &str, args: &str) -> String {
        client(self.port, program, args)
    }

    /// Where its configuration is.
    pub(crate) fn dir(&self) -> &Path {
        self._dir.path()
    }

    /// Has it read its configuration again, by `dnsgate reload`.
    pub(crate) fn reload(&self) -> Output {
        let admin = format!("http://{}", self.admin);
        let mut reload = Command::new(PROGRAM);
        let run = reload.args(["reload", "--admin", &admin]).output();
        run.expect("the program runs")
    }

    /// The sum of the metrics that begin so.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let (_, page) = self.get("/metrics");
        let values: Vec<f64> = page
            .lines()
            .filter(|line| line.starts_with(series))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse().ok())
            .collect();
        assert!(!values.is_empty(), "no {series} in {page}");
        values.iter().sum::<f64>() as u64
    }

    /// Gets an admin page: the status and the body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(self.admin, path)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
        if thread::panicking() {
            self.lines.iter().for_each(|line| println!("{line}"));
        }
    }
}

/// Asks with dig at this port of 127.0.0.1: for the threads of a test, which cannot share a [`Running`].
pub(crate) fn dig(port: u16, args: &str) -> String {
    let args = format!("@127.0.0.1 +tries=1 +time=10 {args}");
    client(port, "dig", &args)
}

fn client(port: u16, program: &str, args: &str) -> String {
    let output = Command::new(program)
        .args(["-p", &port.to_string()])
        .args(args.split_whitespace())
        .output()
        .expect("the client runs");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Ends a process that this test started.
pub(crate) fn end(child: &mut Child) {
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Sends a process that this test started a signal.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success(), "SIG{name}");
}

/// Standard error, line by line, as it comes.
pub(crate) fn lines_of(child: &mut Child) -> Receiver<String> {
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in stderr.split(b'\n').map_while(Result::ok) {
            // A test that has seen enough no longer listens.
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
    lines
}

/// The admin address, if the line is the one that says "ready", in JSON or as text.
fn admin_of(line: &str) -> Option<SocketAddr> {
    if let Ok(event) = serde_json::from_str::<Value>(line) {
        let ready = event["message"] == "ready";
        return ready.then(|| event["admin"].as_str()?.parse().ok())?;
    }
    let (_, said) = line.split_once(" ready admin=")?;
    said.split_whitespace().next()?.parse().ok()
}

/// A port that is free for both transports at this moment.
pub(crate) fn free_port(host: &str) -> u16 {
    for _ in 0..TRIES {
        let tcp = TcpListener::bind(format!("{host}:0")).expect("a port");
        let port = tcp.local_addr().expect("bound").port();
        if UdpSocket::bind(format!("{host}:{port}")).is_ok() {
            return port;
        }
    }
    panic!("no port of {host} is free for both transports")
}

/// Gets a page by HTTP: the status and the body.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    try_get(address, path).expect("a page")
}

/// The same where nobody may be listening yet.
pub(crate) fn try_get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, SOON).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    // HTTP/1.0: the body ends with the connection and is not in chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// Whether these programs are installed. In CI they must be; elsewhere their absence is told and
/// the test has nothing to do.
pub(crate) fn installed(programs: &[&str]) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &&&str| env::split_paths(&path).any(|dir| dir.join(program).is_file());
    let absent: Vec<_> = programs.iter().filter(|it| !is_there(it)).collect();
    if absent.is_empty() {
        return true;
    }
    skipped(&format!("not installed: {absent:?}"));
    false
}

/// Says that a test has nothing to do on this machine, and why. scripts/test counts these lines, so they go round
/// the capture of the test harness, which keeps the output of what it takes for passed.
///
/// # Panics
/// In CI, where nothing may be skipped.
pub(crate) fn skipped(why: &str) {
    assert!(
        env::var_os("CI").is_none(),
        "nothing is skipped in CI: {why}"
    );
    let _ = writeln!(io::stderr(), "SKIPPED: {why}");
}
