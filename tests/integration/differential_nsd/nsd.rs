//! NSD with the zones, on a port of 127.0.0.1 that was free, and dnsgate's configuration for the same zones.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use dnsgate_core::dns::{Name, RecordType};

use super::{client::ask_once, wire::Question};
use crate::running::free_port;

/// How long NSD may take from its start to its first answer.
const START: Duration = Duration::from_secs(20);
/// How long it may take to end when told to.
const END: Duration = Duration::from_secs(5);
/// Between two looks at whether it has started or ended.
const LOOK: Duration = Duration::from_millis(20);
/// How often a port is chosen anew, because somebody took it between our look and NSD's start.
const PORTS: usize = 3;

/// A zone: its origin and its file.
pub(crate) struct ZoneFile {
    pub(crate) origin: Name,
    pub(crate) path: PathBuf,
}

/// A running NSD. It ends with this value, so also when the test panics.
pub(crate) struct Nsd {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Nsd {
    fn drop(&mut self) {
        // NSD is several processes, and the first ends the others when it is asked to, not when it is killed.
        let asked = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &self.child.id().to_string()])
            .status();
        let ended = asked.is_ok_and(|status| status.success()) && self.ends_within(END);
        if !ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Nsd {
    fn ends_within(&mut self, time: Duration) -> bool {
        looks(time).any(|()| !matches!(self.child.try_wait(), Ok(None)))
    }

    /// Whether it answered for every zone, over UDP and TCP, before it ended or time was up.
    fn answers(&mut self, zones: &[ZoneFile]) -> bool {
        let mut questions: Vec<Question> = zones
            .iter()
            .flat_map(|zone| [false, true].map(|over_tcp| soa_of(zone, over_tcp)))
            .collect();
        looks(START).any(|()| {
            questions.retain(|question| {
                let reply = ask_once(self.address, question, LOOK * 10);
                reply.is_none_or(|reply| reply.get(3).is_none_or(|flags| flags & 0x0f != 0))
            });
            questions.is_empty() || !matches!(self.child.try_wait(), Ok(None))
        }) && questions.is_empty()
    }
}

fn soa_of(zone: &ZoneFile, over_tcp: bool) -> Question {
    Question {
        name: zone.origin.as_ref().wire().to_vec(),
        qtype: RecordType::SOA.0,
        edns: None,
        recursion_desired: false,
        over_tcp,
    }
}

/// Moments at which to look again, for as long as `time`.
fn looks(time: Duration) -> impl Iterator<Item = ()> {
    let count = time.as_millis() / LOOK.as_millis();
    (0..count).map(|look| {
        if look > 0 {
            thread::sleep(LOOK);
        }
    })
}

/// Where NSD is: in PATH, or where Debian puts servers, which is not in everybody's PATH.
pub(crate) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join("nsd"))
        .find(|program| program.is_file())
}

/// Starts NSD with the zones; its own files go to `folder`.
pub(crate) fn start(program: &Path, zones: &[ZoneFile], folder: &Path) -> Nsd {
    let said = folder.join("nsd.log");
    for _ in 0..PORTS {
        let port = free_port("127.0.0.1");
        let file = folder.join("nsd.conf");
        fs::write(&file, config(port, zones, folder)).expect("nsd.conf");
        let log = fs::File::create(&said).expect("nsd.log");
        let child = Command::new(program)
            .args(["-d", "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("NSD is started");
        let mut nsd = Nsd {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        if nsd.answers(zones) {
            return nsd;
        }
    }
    let said = fs::read_to_string(said).unwrap_or_default();
    panic!("NSD does not answer for every zone:\n{said}");
}

/// Unprivileged, in the foreground, without a limit on the rate of questions, and with sizes as dnsgate has them.
fn config(port: u16, zones: &[ZoneFile], folder: &Path) -> String {
    let folder = folder.display();
    let mut text = format!(
        "server:
  ip-address: 127.0.0.1@{port}
  do-ip6: no
  server-count: 1
  username: \"\"
  chroot: \"\"
  zonesdir: \"{folder}\"
  database: \"\"
  pidfile: \"\"
  xfrdfile: \"{folder}/xfrd.state\"
  zonelistfile: \"{folder}/zone.list\"
  xfrdir: \"{folder}\"
  minimal-responses: yes
  round-robin: no
  refuse-any: no
  ipv4-edns-size: 1232
  tcp-timeout: 60
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
"
    );
    for zone in zones {
        let (origin, path) = (zone.origin.as_ref(), zone.path.display());
        let _ = write!(
            text,
            "zone:\n  name: \"{origin}\"\n  zonefile: \"{path}\"\n"
        );
    }
    text
}

/// dnsgate's configuration: the zones and nothing else that it would answer from.
pub(crate) fn dnsgate_config(zones: &[ZoneFile]) -> String {
    let mut text = "clients: { all: { cidrs: [127.0.0.0/8] } }
google_apis: { vip: off }
built_in: { search: false }
zones:
"
    .to_owned();
    for zone in zones {
        let (origin, path) = (zone.origin.as_ref(), zone.path.display());
        let _ = writeln!(text, "  - {{ origin: \"{origin}\", file: \"{path}\" }}");
    }
    text
}
