//! A real Prometheus scrapes a real dnsgate with the configuration of `deploy` and counts the queries. promtool checks the
//! metrics, the configuration and the alert rules.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::running::{Running, SOON, end, free_port, installed, try_get};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How long between two looks at what must become true, and how many looks.
const PAUSE: Duration = Duration::from_millis(100);
const LOOKS: u32 = 600;

/// A Prometheus of this test.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    dir: TempDir,
}

impl Prometheus {
    /// Starts one with the files of `deploy`, at another target and more often.
    fn scraping(target: SocketAddr) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let config = fs::read_to_string(deployed("prometheus.yml")).expect("a text");
        for part in ["127.0.0.1:9153", "15s"] {
            assert!(config.contains(part), "{part}");
        }
        let config = config
            .replace("127.0.0.1:9153", &target.to_string())
            .replace("15s", "500ms");
        fs::write(dir.path().join("prometheus.yml"), config).expect("room");
        let rules = dir.path().join("prometheus-rules.yml");
        fs::copy(deployed("prometheus-rules.yml"), rules).expect("room");
        let address = format!("127.0.0.1:{}", free_port("127.0.0.1"));
        let log = fs::File::create(dir.path().join("log")).expect("room");
        let child = Command::new("prometheus")
            .arg(format!("--web.listen-address={address}"))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Prometheus runs");
        let address = address.parse().expect("an address");
        Self {
            child,
            address,
            dir,
        }
    }

    /// A page of its HTTP API, once it has one.
    fn api(&self, path: &str) -> Option<Value> {
        let (status, body) = try_get(self.address, path)?;
        let value: Value = serde_json::from_str(&body).ok()?;
        (status == 200).then_some(value)
    }

    /// The only value of an expression, as far as it has one.
    fn value(&self, expression: &str) -> Option<f64> {
        let escaped = expression.bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "%{byte:02x}");
            text
        });
        let answer = self.api(&format!("/api/v1/query?query={escaped}"))?;
        match answer["data"]["result"].as_array()?.as_slice() {
            [only] => only["value"][1].as_str()?.parse().ok(),
            _ => None,
        }
    }

    /// Waits until an expression has this value.
    fn wait_for(&self, expression: &str, want: f64) {
        let mut seen = None;
        self.wait(expression, || {
            seen = self.value(expression);
            seen == Some(want)
        });
    }

    fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        for _ in 0..LOOKS {
            if done() {
                return;
            }
            thread::sleep(PAUSE);
        }
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        panic!("{what}: not within {:?}\n{log}", PAUSE * LOOKS);
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A file that ships.
fn deployed(name: &str) -> String {
    format!("{ROOT}/deploy/{name}")
}

/// Asks for a name again and again over one socket; each question gets a reply.
fn ask(dnsgate: &Running, name: &[u8], count: usize) {
    let head = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0";
    let packet = [&head[..], name, b"\0\0\x01\0\x01"].concat();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(SOON)).expect("a time-out");
    socket
        .connect(("127.0.0.1", dnsgate.port))
        .expect("an address");
    for _ in 0..count {
        socket.send(&packet).expect("room");
        let mut reply = [0; 512];
        let len = socket.recv(&mut reply).expect("a reply");
        assert_eq!(reply.get(..2), head.get(..2), "{len} bytes");
    }
}

#[test]
fn prometheus_counts_every_query() {
    if !installed(&["prometheus", "dig"]) {
        return;
    }
    let dnsgate = Running::start("");
    let prometheus = Prometheus::scraping(dnsgate.admin);
    prometheus.wait_for("up{job=\"dnsgate\"}", 1.0);
    prometheus.wait_for("dnsgate_ready", 1.0);

    for transport in ["+notcp", "+tcp"] {
        for name in ["storage.googleapis.com", "example.com"] {
            dnsgate.dig(&format!("{transport} {name}"));
        }
    }
    ask(&dnsgate, b"\x07storage\x0agoogleapis\x03com", 70);
    ask(&dnsgate, b"\x07example\x03com", 30);
    for (expression, want) in [
        // All but dnsgate's own probe, which goes on.
        ("sum(dnsgate_queries_total{verdict!=\"rejected\"})", 104.0),
        ("sum(dnsgate_queries_total{verdict=\"answered\"})", 72.0),
        ("sum(dnsgate_queries_total{verdict=\"denied\"})", 32.0),
        ("sum(dnsgate_queries_total{transport=\"tcp\"})", 2.0),
        ("sum(dnsgate_denied_total)", 32.0),
        (
            "sum(dnsgate_query_duration_seconds_count{verdict!=\"rejected\"})",
            104.0,
        ),
    ] {
        prometheus.wait_for(expression, want);
    }

    // The alert rules are evaluated without a fault, and none of them has a reason to fire.
    let alerts = fs::read_to_string(deployed("prometheus-rules.yml")).expect("a text");
    let alerts = alerts.matches("- alert: ").count();
    prometheus.wait("rules evaluated", || {
        let rules = prometheus.api("/api/v1/rules").unwrap_or_default();
        let rules = rules["data"]["groups"][0]["rules"].clone();
        let rules = rules.as_array().map_or(&[][..], Vec::as_slice);
        rules.len() == alerts && rules.iter().all(|rule| rule["health"] == "ok")
    });
    assert_eq!(
        prometheus.value("count(ALERTS{alertstate=\"firing\"})"),
        None
    );
}

/// Runs promtool, with some text to read: whether it is content, and what it said.
fn promtool(args: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new("promtool")
        .args(args)
        .current_dir(ROOT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

#[test]
fn promtool_accepts_the_metrics() {
    if !installed(&["promtool", "dig"]) {
        return;
    }
    let dnsgate = Running::start("");
    for ask in [
        "storage.googleapis.com",
        "+tcp example.com",
        "example.com AXFR",
    ] {
        dnsgate.dig(ask);
    }
    let (_, page) = dnsgate.get("/metrics");
    assert_eq!(
        promtool(&["check", "metrics"], &page),
        (true, String::new())
    );
}

#[test]
fn promtool_accepts_the_files_of_deploy() {
    if !installed(&["promtool"]) {
        return;
    }
    for args in [
        ["check", "config", "deploy/prometheus.yml"],
        ["check", "rules", "deploy/prometheus-rules.yml"],
        ["test", "rules", "deploy/prometheus-rules.test.yml"],
        ["test", "rules", "deploy/prometheus-rules-days.test.yml"],
    ] {
        let (good, said) = promtool(&args, "");
        assert!(good && !said.contains("FAILED"), "{args:?}: {said}");
    }
}

#[test]
fn readme_and_deploy_have_the_same_scrape_configuration() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("a text");
    let (_, block) = readme
        .split_once("```yaml\n# prometheus.yml\n")
        .expect("it");
    let (block, _) = block.split_once("```").expect("its end");
    let shown: Value = serde_yaml::from_str(block).expect("YAML");
    let ships = fs::read_to_string(deployed("prometheus.yml")).expect("a text");
    let ships: Value = serde_yaml::from_str(&ships).expect("YAML");
    assert_eq!(shown["scrape_configs"], ships["scrape_configs"]);
}
