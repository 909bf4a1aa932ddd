//! The engines: BIND, Unbound, PowerDNS Recursor, each with its policy, in the foreground on a port of 127.0.0.1.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use dnsgate_core::dns::{Name, RecordType};

use crate::{
    differential_nsd::{client::ask_once, wire::Question},
    running::{SOON, end, free_port},
};

/// How often a port is chosen anew, because somebody took it between our look and the start.
const TRIES: usize = 5;
/// How long one look at whether it answers takes.
const LOOK: Duration = Duration::from_millis(200);

/// A running engine. It ends with this value.
pub(super) struct Peer {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Drop for Peer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Peer {
    pub(super) fn bind(dir: &Path, zones: &[PathBuf], upstream: SocketAddr) -> Self {
        let names = zones.iter().map(|path| (zone_of(path), path.display()));
        let (mut listed, mut files) = (String::new(), String::new());
        for (name, path) in names {
            listed += &format!("zone \"{name}\"; ");
            files += &format!("zone \"{name}\" {{ type primary; file \"{path}\"; }};\n");
        }
        let folder = dir.display();
        let (address, port) = (upstream.ip(), upstream.port());
        start(
            dir,
            "named",
            &["-g", "-n", "1", "-c"],
            "named.conf",
            &loaded(zones),
            |own| {
                format!(
                "options {{
  directory \"{folder}\"; listen-on port {own} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  pid-file none; session-keyfile none; recursion yes; allow-query {{ any; }}; allow-recursion {{ any; }};
  forwarders {{ {address} port {port}; }}; forward only; dnssec-validation no; empty-zones-enable no;
  minimal-responses yes; querylog no; notify no; max-cache-ttl 1; max-ncache-ttl 1;
  response-policy {{ {listed}}} qname-wait-recurse no;
}};
server {address} {{ edns no; }};
controls {{ }};
{files}"
            )
            },
        )
    }

    pub(super) fn unbound_with_policies(
        dir: &Path,
        zones: &[PathBuf],
        upstream: SocketAddr,
    ) -> Self {
        let mut text = String::new();
        for path in zones {
            text += &format!(
                "rpz:\n  name: \"{}\"\n  zonefile: \"{}\"\n",
                zone_of(path),
                path.display()
            );
        }
        let upstream = format!(
            "forward-zone:\n  name: \".\"\n  forward-addr: {}@{}\n",
            upstream.ip(),
            upstream.port()
        );
        unbound(dir, &(upstream + &text), &loaded(zones))
    }

    /// With a file of the test, which has its own forward zones.
    pub(super) fn unbound(dir: &Path, text: &str, _: SocketAddr) -> Self {
        unbound(dir, text, &[])
    }

    pub(super) fn recursor(dir: &Path, zones: &[PathBuf], upstream: SocketAddr) -> Self {
        let mut script = String::new();
        for path in zones {
            script += &format!(
                "rpzFile(\"{}\", {{policyName=\"{}\"}})\n",
                path.display(),
                zone_of(path)
            );
        }
        fs::write(dir.join("rpz.lua"), script).expect("room for a file");
        let folder = dir.display().to_string();
        let config_dir = format!("--config-dir={folder}");
        start(
            dir,
            "pdns_recursor",
            &[&config_dir],
            "recursor.conf",
            &loaded(zones),
            |own| {
                format!(
                "socket-dir={folder}\nlocal-address=127.0.0.1\nlocal-port={own}\ndaemon=no\ndnssec=off\nthreads=1\nloglevel=3\nquiet=yes
forward-zones-recurse=.={upstream}\ndont-query=\nlua-config-file={folder}/rpz.lua\nserve-rfc1918=no\nroot-nx-trust=no
qname-minimization=no\nsecurity-poll-suffix=\nhint-file=no\n"
            )
            },
        )
    }
}

/// The name of a policy zone is that of its file.
fn zone_of(path: &Path) -> String {
    path.file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

/// The names that the policy zones deny to show that they are in force.
fn loaded(zones: &[PathBuf]) -> Vec<String> {
    let stem = |path: &PathBuf| {
        path.file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    zones
        .iter()
        .map(|path| format!("loaded.{}.xc", stem(path)))
        .collect()
}

fn unbound(dir: &Path, text: &str, denied: &[String]) -> Peer {
    let folder = dir.display();
    start(
        dir,
        "unbound",
        &["-d", "-c"],
        "unbound.conf",
        denied,
        |own| {
            format!(
                "remote-control:
  control-enable: no
server:
  use-syslog: no
  logfile: \"\"
  username: \"\"
  chroot: \"\"
  directory: \"{folder}\"
  pidfile: \"\"
  num-threads: 1
  so-reuseport: no
  do-ip6: no
  interface: 127.0.0.1@{own}
  port: {own}
  module-config: \"respip iterator\"
  minimal-responses: yes
  do-not-query-localhost: no
  cache-max-ttl: 1
{text}"
            )
        },
    )
}

/// Starts a program with the configuration that `config` gives for a port, and waits until it answers.
fn start(
    dir: &Path,
    program: &str,
    args: &[&str],
    file: &str,
    denied: &[String],
    config: impl Fn(u16) -> String,
) -> Peer {
    let log = dir.join("peer.log");
    for _ in 0..TRIES {
        let port = free_port("127.0.0.1");
        let path = dir.join(file);
        fs::write(&path, config(port)).expect("room for a file");
        let said = fs::File::create(&log).expect("room for a file");
        let mut command = Command::new(program);
        command.args(args);
        if args.last() == Some(&"-c") {
            command.arg(&path);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a file"))
            .stderr(said)
            .spawn();
        let mut peer = Peer {
            child: child.expect("the engine runs"),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        if peer.answers(denied) {
            return peer;
        }
    }
    panic!(
        "{program} does not answer: {}",
        fs::read_to_string(&log).unwrap_or_default()
    );
}

impl Peer {
    /// Whether it answers, and denies the names by which its policies show that they are in force.
    fn answers(&mut self, denied: &[String]) -> bool {
        let question = |name: &str| Question {
            name: name
                .parse::<Name>()
                .expect("a name")
                .as_ref()
                .wire()
                .to_vec(),
            qtype: RecordType::A.0,
            edns: None,
            recursion_desired: true,
            over_tcp: false,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "how long to wait for another program"
        )]
        let begun = Instant::now();
        while begun.elapsed() < SOON && matches!(self.child.try_wait(), Ok(None)) {
            let answered = |name: &str| ask_once(self.address, &question(name), LOOK);
            let is_denied =
                |name: &String| answered(name).is_some_and(|reply| reply[3] & 0x0f == 3);
            if answered("ready.elsewhere.xc").is_some() && denied.iter().all(is_denied) {
                return true;
            }
            thread::sleep(LOOK / 10);
        }
        false
    }
}
