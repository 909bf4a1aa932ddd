//! Resolvers in front of dnsgate. After a denial, allowed names beside, above and below the denied name still resolve, and the
//! denial is cached for its time. A resolver that takes one denied `.com` name for proof that `.com` does not exist would deny all
//! of Google.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use serde_json::Value;
use tempfile::TempDir;

use super::space;
use crate::running::{Running, SOON, dig, end, free_port, installed};

/// What dnsgate knows: one name below a denied one, one of another domain. One worker logs the queries in the order in which
/// they came.
pub(crate) const CONFIG: &str = "
workers: 1
clients: { vpc: { cidrs: [127.0.0.0/8] } }
deny_with: nxdomain
rules:
  - { name: deep, domains: [deep.child.denied.com], records: [A 192.0.2.1] }
  - { name: other, domains: [www.allowed.net], records: [A 192.0.2.2] }
limits: { drain: 0s }
";

/// A question, and what must be in dig's output; asked in this order.
pub(crate) const STEPS: &[(&str, &str)] = &[
    // Denied names of one TLD, one below another; built-in denials.
    ("refused-name.com A", "status: NXDOMAIN"),
    ("x.refused-name.com A", "status: NXDOMAIN"),
    ("a.b.net A", "status: NXDOMAIN"),
    ("x.denied.com A", "status: NXDOMAIN"),
    ("printer.corp.internal A", "status: NXDOMAIN"),
    ("use-application-dns.net A", "status: NXDOMAIN"),
    // Names above allowed ones exist, and have nothing.
    ("denied.com A", "status: NOERROR"),
    ("child.denied.com A", "status: NOERROR"),
    ("google.internal A", "status: NOERROR"),
    // What is allowed resolves: the same TLD, below a denied name, below one with no data, of another TLD.
    ("storage.googleapis.com A", "199.36.153.4"),
    ("deep.child.denied.com A", "192.0.2.1"),
    ("www.allowed.net A", "192.0.2.2"),
    ("metadata.google.internal A", "169.254.169.254"),
];

/// A resolver that forwards everything to dnsgate. It ends with this value.
struct Front {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Drop for Front {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Front {
    /// Starts the program that `command` gives for a directory, its port and dnsgate's, and waits for its first answer.
    fn start(gate: u16, command: &dyn Fn(&Path, u16, u16) -> Command) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = free_port("127.0.0.1");
        let log = fs::File::create(dir.path().join("log")).expect("room for a file");
        let child = command(dir.path(), port, gate)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("the resolver runs");
        let mut front = Self {
            child,
            port,
            _dir: dir,
        };
        #[expect(clippy::disallowed_methods, reason = "the shell of this test")]
        let began = Instant::now();
        while !front.ask("www.allowed.net A").contains("192.0.2.2") {
            let ended = front.child.try_wait().expect("a child");
            let log = || fs::read_to_string(front._dir.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "it ended: {}", log());
            assert!(began.elapsed() < SOON, "no answer: {}", log());
        }
        front
    }

    fn ask(&self, question: &str) -> String {
        dig(self.port, &format!("{question} +nosplit"))
    }
}

/// The denied names that dnsgate was asked for since the last call, from its query log. One more question is logged behind all
/// of them.
fn denied_names(gate: &Running, number: usize) -> Vec<String> {
    let last = format!("last-{number}.invalid-marker.net.");
    gate.dig(&last);
    let mut names = Vec::new();
    loop {
        let line = gate.lines.recv_timeout(SOON).expect("the last question");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        match line["queryName"].as_str() {
            Some(name) if name == last => return names,
            Some(name) => names.push(name.to_owned()),
            None => {} // an event, not a query
        }
    }
}

/// Puts one resolver in front of a dnsgate and asks it; a denied name that has been asked for before is forwarded no more than
/// `more` times from then on. What the resolver asks for by itself is not counted: Recursor looks up the servers of the root
/// (`. NS`) some time after its start, and again and again.
fn holds(program: &str, more: usize, command: &dyn Fn(&Path, u16, u16) -> Command) {
    if !installed(&[program, "dig"]) {
        return;
    }
    let gate = Running::start(CONFIG);
    let front = Front::start(gate.port, command);
    for (question, wanted) in STEPS {
        let seen = front.ask(question);
        assert!(seen.contains(wanted), "{program}: {question}: {seen}");
    }
    // Denials are remembered for their 60 s.
    denied_names(&gate, 0);
    for (number, name) in (1..).zip(["refused-name.com", "denied.com"]) {
        for _ in 0..3 {
            front.ask(&format!("{name} A"));
        }
        let all = denied_names(&gate, number);
        let forwarded = all.iter().filter(|it| it.trim_end_matches('.') == name);
        let forwarded = forwarded.count();
        assert!(
            forwarded <= more,
            "{program}: {name} was forwarded {forwarded} times more; all that dnsgate denied: {all:?}"
        );
    }
}

fn put(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("room for a file");
    path.to_string_lossy().into_owned()
}

/// With its own defaults, `root-nx-trust` among them.
#[test]
fn powerdns_recursor_resolves_allowed_names_and_caches_denials() {
    holds("pdns_recursor", 0, &|dir, port, gate| {
        let mut command = Command::new("pdns_recursor");
        command
            .arg(format!("--config-dir={}", dir.display()))
            .arg(format!("--socket-dir={}", dir.display()))
            .arg(format!("--local-address=127.0.0.1:{port}"))
            .arg(format!("--forward-zones-recurse=.=127.0.0.1:{gate}"))
            .args(["--daemon=no", "--write-pid=no", "--setuid=", "--setgid="])
            .args(["--dnssec=off", "--security-poll-suffix="])
            .args(["--allow-from=127.0.0.0/8", "--dont-query="]);
        command
    });
}

#[test]
fn unbound_resolves_allowed_names_and_caches_denials() {
    holds("unbound", 0, &|dir, port, gate| {
        let text = format!(
            "server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  use-syslog: no
  username: \"\"
  chroot: \"\"
  directory: \"{}\"
  pidfile: \"\"
  module-config: iterator
  do-not-query-localhost: no
forward-zone:
  name: .
  forward-addr: 127.0.0.1@{gate}
",
            dir.display()
        );
        let mut command = Command::new("unbound");
        command.args(["-d", "-c", &put(dir, "unbound.conf", &text)]);
        command
    });
}

#[test]
fn bind_resolves_allowed_names_and_caches_denials() {
    holds("named", 0, &|dir, port, gate| {
        let text = format!(
            "options {{ directory \"{}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none;
  session-keyfile none; lock-file none; dnssec-validation no; forward only; forwarders {{ 127.0.0.1 port {gate}; }}; }};
controls {{ }};\n",
            dir.display()
        );
        let mut command = Command::new("named");
        command.args(["-g", "-c", &put(dir, "named.conf", &text)]);
        command
    });
}

/// From 2.90 on it keeps the SOA of a denial as data of the name, asks once more, and takes the name for one without that type:
/// a fault of its own with any name that has a SOA. Then it keeps the denial like the others.
#[test]
fn dnsmasq_resolves_allowed_names_and_caches_denials() {
    holds("dnsmasq", 1, &|_, port, gate| {
        let mut command = Command::new("dnsmasq");
        command
            .args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv"])
            .args(["--no-hosts", "--bind-interfaces", "--pid-file="])
            .args(["--listen-address=127.0.0.1", "--user=root"])
            .arg(format!("--port={port}"))
            .arg(format!("--server=127.0.0.1#{gate}"));
        command
    });
}

#[test]
fn dnsdist_resolves_allowed_names_and_caches_denials() {
    holds("dnsdist", 0, &|dir, port, gate| {
        let text = format!(
            "setSecurityPollSuffix('')
setLocal('127.0.0.1:{port}')
newServer({{address='127.0.0.1:{gate}', healthCheckMode='up', checkName='www.allowed.net.'}})
getPool(''):setCache(newPacketCache(1000))\n"
        );
        let mut command = Command::new("dnsdist");
        command.args(["--supervised", "-C", &put(dir, "dnsdist.conf", &text)]);
        command
    });
}

/// In a network of its own, from the unpacked package: installed, it would take the machine's resolv.conf over.
#[test]
fn systemd_resolved_resolves_allowed_names_and_caches_denials() {
    let Some(resolved) = space::resolved() else {
        return;
    };
    let questions: Vec<_> = STEPS.iter().map(|(question, _)| *question).collect();
    let Some(said) = space::run(
        include_str!("resolved.sh"),
        &[
            ("RESOLVED", resolved.to_string_lossy().as_ref()),
            ("CONFIG", CONFIG),
            ("QUESTIONS", &questions.join("\n")),
            ("AGAIN", "refused-name.com A\ndenied.com A"),
        ],
    ) else {
        return;
    };
    let replies: Vec<_> = said.split("=== ").skip(1).collect();
    for (question, wanted) in STEPS {
        let reply = replies.iter().find(|reply| reply.starts_with(question));
        let reply = reply.unwrap_or_else(|| panic!("no reply to {question}: {said}"));
        assert!(reply.contains(wanted), "{question}: {reply}");
    }
    let mut again = said.lines().filter_map(|line| line.strip_prefix("again "));
    assert!(again.clone().count() == 2, "{said}");
    assert!(again.all(|count| count == "0"), "{said}");
}
