//! Unbound as an upstream: a resolver that has all its data from zone files and asks nobody.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
};

use dnsgate_core::dns::{Name, RecordType};
use tempfile::TempDir;

use crate::{
    differential_nsd::{client::ask_once, wire::Question},
    running::{SOON, end, free_port, installed, lines_of, signal},
};

/// How often a port is chosen anew, because somebody took it between our look and Unbound's start.
const TRIES: usize = 10;
/// The zone above all others: what is in none of them does not exist.
const ROOT: &str =
    ". 300 IN SOA ns. h. 1 3600 600 86400 300\n. 300 IN NS ns.\nns. 300 IN A 192.31.196.53\n";
/// The zone that most tests ask for, with its origin.
pub(crate) const CORP: (&str, &str) = ("corp.example", include_str!("corp.zone"));

/// A running Unbound. It ends with this value, so also when the test panics.
pub(crate) struct Unbound {
    child: Child,
    /// UDP and TCP.
    pub(crate) address: SocketAddr,
    /// DNS over TLS, where it has a certificate.
    pub(crate) tls: SocketAddr,
    /// DNS over HTTPS, likewise.
    pub(crate) https: SocketAddr,
    _dir: TempDir,
}

/// A certificate and its key, as PEM.
pub(crate) struct Certified {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Unbound {
    /// With the zone of most tests.
    pub(crate) fn start() -> Self {
        Self::with(&[CORP], None)
    }

    /// With these zones, each its origin and its text; encrypted, too, where there is a certificate.
    pub(crate) fn with(zones: &[(&str, &str)], certified: Option<&Certified>) -> Self {
        Self::configured(&|dir, [_, tls, https]| {
            // Not even where a zone delegates to.
            let mut config = "  do-not-query-address: 0.0.0.0/0\n".to_owned();
            if let Some(certified) = certified {
                put(dir, "server.pem", &certified.certificate);
                put(dir, "server.key", &certified.key);
                config += &encrypted(dir, tls, https);
            }
            for zone in zones {
                config += &auth_zone(dir, *zone);
            }
            config
        })
    }

    /// With nothing of its own below `example`: it asks another server.
    pub(crate) fn forwarding_to(server: SocketAddr) -> Self {
        let (address, port) = (server.ip(), server.port());
        Self::configured(&|_, _| {
            format!(
                "  do-not-query-localhost: no
forward-zone:
  name: \"example\"
  forward-addr: {address}@{port}
"
            )
        })
    }

    /// With nothing of its own below `zone`: it asks the server on this port, and validates with this key (a DNSKEY).
    pub(crate) fn validating(zone: &str, port: u16, key: &str) -> Self {
        Self::configured(&|_, _| {
            format!(
                "  do-not-query-localhost: no
  module-config: \"validator iterator\"
  trust-anchor: \"{key}\"
forward-zone:
  name: \"{zone}\"
  forward-addr: 127.0.0.1@{port}
"
            )
        })
    }

    /// `config` gives the end of its configuration, for the directory and the ports.
    fn configured(config: &dyn Fn(&Path, [u16; 3]) -> String) -> Self {
        let mut said = String::new();
        for _ in 0..TRIES {
            match Self::try_start(config) {
                Ok(unbound) => return unbound,
                Err(error) => said = error,
            }
        }
        panic!("Unbound does not start: {said}")
    }

    fn try_start(config: &dyn Fn(&Path, [u16; 3]) -> String) -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let ports = [(); 3].map(|()| free_port("127.0.0.1"));
        let [plain, tls, https] = ports;
        let mut config = server(dir.path(), plain) + &config(dir.path(), ports);
        config += &auth_zone(dir.path(), (".", ROOT));
        let file = put(dir.path(), "unbound.conf", &config);
        let mut child = Command::new("unbound")
            .args(["-d", "-c", &file])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Unbound runs");
        let lines = lines_of(&mut child);
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let unbound = Self {
            child,
            address: at(plain),
            tls: at(tls),
            https: at(https),
            _dir: dir,
        };
        let mut said = String::new();
        // Its sockets are open before it says so.
        while let Ok(line) = lines.recv_timeout(SOON) {
            if line.contains("start of service") {
                return unbound.answers().then_some(unbound).ok_or(said);
            }
            said += &line;
        }
        Err(said)
    }

    fn answers(&self) -> bool {
        let root: Name = ".".parse().expect("a name");
        let question = |over_tcp| Question {
            name: root.as_ref().wire().to_vec(),
            qtype: RecordType::SOA.0,
            edns: None,
            recursion_desired: true,
            over_tcp,
        };
        [false, true].map(question).iter().all(|question| {
            let reply = ask_once(self.address, question, SOON);
            reply.is_some_and(|reply| reply[3] & 0x0f == 0)
        })
    }

    /// Sends it a signal: `KILL`, or `STOP`, after which it is there and says nothing.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Whether Unbound and these programs are installed; otherwise the test has nothing to do.
pub(crate) fn have(programs: &[&str]) -> bool {
    installed(&[&["unbound"], programs].concat())
}

/// Writes a file and returns its path.
fn put(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("room for a file");
    path.to_str().expect("a path of letters").to_owned()
}

/// A resolver in the foreground, of one thread, that sends no more over UDP than dnsgate does and
/// makes no exception of `test`.
fn server(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "remote-control:
  control-enable: no
server:
  use-syslog: no
  logfile: \"\"
  username: \"\"
  chroot: \"\"
  directory: \"{dir}\"
  pidfile: \"\"
  num-threads: 1
  so-reuseport: no
  do-ip6: no
  interface: 127.0.0.1@{port}
  port: {port}
  module-config: \"iterator\"
  minimal-responses: yes
  rrset-roundrobin: no
  max-udp-size: 1232
  local-zone: \"test\" nodefault
"
    )
}

fn auth_zone(dir: &Path, (origin, text): (&str, &str)) -> String {
    let file = put(dir, &format!("{origin}zone"), text);
    format!(
        "auth-zone:
  name: \"{origin}\"
  zonefile: \"{file}\"
  for-downstream: no
  for-upstream: yes
"
    )
}

/// The options that must stand in the section `server`.
fn encrypted(dir: &Path, tls: u16, https: u16) -> String {
    let dir = dir.display();
    format!(
        "  interface: 127.0.0.1@{tls}
  interface: 127.0.0.1@{https}
  tls-port: {tls}
  https-port: {https}
  http-endpoint: \"/dns-query\"
  tls-service-pem: \"{dir}/server.pem\"
  tls-service-key: \"{dir}/server.key\"
"
    )
}
