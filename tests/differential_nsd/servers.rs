//! The two servers, each with the same zones on a port of 127.0.0.1 that nobody else has.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use dnsgate::dns::{Name, RecordType};

use super::{
    client::{Addresses, ask_once},
    wire::Question,
};

/// How long a server may take from its start to its first answer.
const START: Duration = Duration::from_secs(20);
/// How long it may take to end when told to.
const END: Duration = Duration::from_secs(5);
/// Between two looks at whether it has started or ended.
const LOOK: Duration = Duration::from_millis(20);
/// How often a port is chosen anew, because somebody took it between our look and NSD's start.
const PORTS: usize = 3;

/// A zone: its origin and its file.
pub(super) struct ZoneFile {
    pub(super) origin: Name,
    pub(super) path: PathBuf,
}

/// A running server. It ends with this value, so also when the test panics.
pub(super) struct Running {
    child: Child,
    pub(super) addresses: Addresses,
}

impl Drop for Running {
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

impl Running {
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
                let reply = ask_once(self.addresses, question, LOOK * 10);
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
pub(super) fn find_nsd() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join("nsd"))
        .find(|program| program.is_file())
}

/// Starts NSD with the zones; its own files go to `folder`.
pub(super) fn start_nsd(program: &Path, zones: &[ZoneFile], folder: &Path) -> Running {
    let said = folder.join("nsd.log");
    for _ in 0..PORTS {
        let port = free_port();
        let config = folder.join("nsd.conf");
        fs::write(&config, nsd_config(port, zones, folder)).expect("nsd.conf");
        let log = fs::File::create(&said).expect("nsd.log");
        let child = Command::new(program)
            .args(["-d", "-c"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("NSD is started");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut nsd = Running {
            child,
            addresses: Addresses {
                udp: address,
                tcp: address,
            },
        };
        if nsd.answers(zones) {
            return nsd;
        }
    }
    let said = fs::read_to_string(said).unwrap_or_default();
    panic!("NSD does not answer for every zone:\n{said}");
}

/// A port that neither UDP nor TCP has in use now.
fn free_port() -> u16 {
    (0..100)
        .find_map(|_| {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            let port = udp.local_addr().ok()?.port();
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
            Some(port)
        })
        .expect("a free port")
}

/// Unprivileged, in the foreground, without a limit on the rate of questions, and with sizes as dnsgate has them.
fn nsd_config(port: u16, zones: &[ZoneFile], folder: &Path) -> String {
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

/// Starts dnsgate with the zones and nothing else that it would answer from.
pub(super) fn start_dnsgate(zones: &[ZoneFile], folder: &Path) -> Running {
    let config = folder.join("dnsgate.yaml");
    let mut text = "listen: [udp://127.0.0.1:0, tcp://127.0.0.1:0]
admin: 127.0.0.1:0
clients: { all: { cidrs: [127.0.0.0/8] } }
google_apis: { vip: off }
zones:
"
    .to_owned();
    for zone in zones {
        let (origin, path) = (zone.origin.as_ref(), zone.path.display());
        let _ = writeln!(text, "  - {{ origin: \"{origin}\", file: \"{path}\" }}");
    }
    fs::write(&config, text).expect("dnsgate.yaml");
    let mut child = Command::new(env!("CARGO_BIN_EXE_dnsgate"))
        .args(["serve", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("dnsgate is started");
    let stderr = child.stderr.take().expect("a pipe");
    let mut dnsgate = Running {
        child,
        addresses: Addresses {
            udp: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            tcp: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        },
    };
    let (tell, told) = mpsc::channel();
    // It reads to the end, so that dnsgate never waits for room in the pipe.
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    let mut said = String::new();
    while let Ok(line) = told.recv_timeout(START) {
        if let Some(addresses) = addresses_in(&line) {
            dnsgate.addresses = addresses;
            assert!(dnsgate.answers(zones), "dnsgate does not answer");
            return dnsgate;
        }
        said.push_str(&line);
    }
    panic!("dnsgate does not become ready:\n{said}");
}

/// What the log's line "ready" says about where it listens.
fn addresses_in(line: &str) -> Option<Addresses> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let listen = (line["message"] == "ready").then(|| line["listen"].as_array())??;
    let with = |scheme: &str| {
        let mut texts = listen.iter().filter_map(|address| address.as_str());
        texts.find_map(|text| text.strip_prefix(scheme)?.parse().ok())
    };
    Some(Addresses {
        udp: with("udp://")?,
        tcp: with("tcp://")?,
    })
}
