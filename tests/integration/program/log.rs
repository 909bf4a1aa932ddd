//! The log: one line per record, whatever was asked, whether or not somebody reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, BufRead as _, BufReader, Read as _},
    net::UdpSocket,
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::running::{PROGRAM, Running, SOON};

/// Labels that would break a line, end a string, or move a cursor.
const HOSTILE: &[&[u8]] = &[
    b"a\nb",
    b"a\r\n{\"severity\":\"NOTICE\"}",
    b"\"quoted\"",
    b"back\\slash",
    b"\x1b[2J\x1b[31m",
    b"\x00\x01\x7f",
    b"\xff\xfe\xc3\x28",
    "\u{202e}\u{2028}".as_bytes(),
    b"with.dot and space",
    b"${jndi:ldap://x}%n%s",
];

/// Asks for `label.example A` and waits for the refusal.
fn ask(dnsgate: &Running, label: &[u8]) {
    assert_eq!(rcode(dnsgate.port, label), 5, "REFUSED");
}

/// Asks for `label.example A`: the code of the reply.
fn rcode(port: u16, label: &[u8]) -> u8 {
    let len = u8::try_from(label.len()).expect("a label");
    let packet = [
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0",
        &[len][..],
        label,
        b"\x07example\0\0\x01\0\x01",
    ]
    .concat();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(SOON)).expect("a time-out");
    socket.connect(("127.0.0.1", port)).expect("an address");
    socket.send(&packet).expect("room");
    let mut reply = [0; 512];
    let len = socket.recv(&mut reply).expect("a reply");
    assert!(len > 12, "more than a header");
    reply[3] & 15
}

/// Everything logged from "ready" to the end.
fn log_of(dnsgate: Running) -> Vec<String> {
    dnsgate.signal("TERM");
    let (status, lines) = dnsgate.ended();
    assert_eq!(status.code(), Some(0));
    lines
}

#[test]
fn a_denied_query_is_one_line_of_json() {
    let dnsgate = Running::start("limits: { drain: 0s }");
    ask(&dnsgate, b"name");
    let lines = log_of(dnsgate);
    assert_eq!(lines.len(), 3, "denied, draining, stopped: {lines:#?}");
    let line: Value = serde_json::from_str(&lines[0]).expect("JSON");
    let keys: BTreeSet<&str> = line
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let want = BTreeSet::from([
        "severity",
        "message",
        "time",
        "logging.googleapis.com/labels",
        "queryName",
        "queryType",
        "responseCode",
        "sourceIP",
        "protocol",
        "serverLatency",
        "verdict",
        "reason",
        "group",
        "generation",
    ]);
    assert_eq!(keys, want, "no rule and no rdata: there was none");
    for (key, value) in [
        ("queryName", "name.example."),
        ("queryType", "A"),
        ("responseCode", "REFUSED"),
        ("sourceIP", "127.0.0.1"),
        ("protocol", "UDP"),
        ("verdict", "denied"),
        ("reason", "no_rule"),
        ("group", "vpc"),
    ] {
        assert_eq!(line[key], value, "{key}");
    }
    assert!(line["serverLatency"].as_f64().is_some_and(|ms| ms >= 0.0));
    assert_eq!(line["generation"], 1);
}

#[test]
fn names_the_rule_and_logs_all_queries_if_configured() {
    let dnsgate = Running::start(
        "limits: { drain: 0s }
log: { queries: all }
rules:
  - { name: no-names, domains: [.name.example], deny: refused, reason: SEC-1234 }
  - { name: yes, domains: [yes.example], records: [A 10.0.0.1] }",
    );
    ask(&dnsgate, b"name");
    dnsgate.dig("yes.example");
    let lines = log_of(dnsgate);
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["rule"], "no-names");
    assert_eq!(lines[0]["reason"], "blocked");
    assert_eq!(lines[1]["verdict"], "answered");
    assert_eq!(lines[1]["rule"], "yes");
    assert!(
        lines[1]["rdata"]
            .as_str()
            .is_some_and(|rdata| rdata.contains("10.0.0.1"))
    );
    assert_eq!(lines.len(), 4, "two queries, draining, stopped: {lines:#?}");
}

#[test]
fn logs_no_query_if_configured() {
    let dnsgate = Running::start("limits: { drain: 0s }\nlog: { queries: none }");
    ask(&dnsgate, b"name");
    let lines = log_of(dnsgate);
    assert_eq!(lines.len(), 2, "draining, stopped: {lines:#?}");
}

#[test]
fn hostile_names_cannot_break_a_line() {
    for (format, is_json) in [("auto", true), ("json", true), ("text", false)] {
        let dnsgate = Running::start(&format!(
            "limits: {{ drain: 0s }}\nlog: {{ format: {format} }}"
        ));
        for label in HOSTILE {
            ask(&dnsgate, label);
        }
        let lines = log_of(dnsgate);
        assert_eq!(lines.len(), HOSTILE.len() + 2, "{lines:#?}");
        for line in &lines {
            assert!(
                line.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
                "{line:?}"
            );
            assert_eq!(
                serde_json::from_str::<Value>(line).is_ok(),
                is_json,
                "{line}"
            );
        }
        let denied = lines
            .iter()
            .filter(|line| line.contains("denied") && line.contains("no_rule"));
        assert_eq!(denied.count(), HOSTILE.len(), "{lines:#?}");
    }
}

/// Starts with its queries logged to a path in its directory.
fn start_into(kind: &str, name: &str, more: &str) -> Running {
    Running::start_with("127.0.0.1", |dir, command| {
        let (file, path) = (dir.join("dnsgate.yaml"), dir.join(name));
        let output = format!("{kind}:{}", path.display());
        let log = format!("log: {{ queries: all, output: \"{output}\" }}\nlimits: {{ drain: 0s");
        fs::write(&file, format!("{log}{more} }}\n")).expect("room");
        command.arg("--config").arg(file);
    })
}

/// The labels that were asked for with [`ask`], as often as each is in these lines, which must be
/// whole. Probes of dnsgate's own are passed over.
fn labels<'l>(lines: impl Iterator<Item = &'l str>) -> BTreeMap<String, u32> {
    let mut labels = BTreeMap::new();
    for line in lines {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let name = line["queryName"].as_str().expect("a query");
        if let Some(label) = name.strip_suffix(".example.") {
            *labels.entry(label.to_owned()).or_default() += 1;
        }
    }
    labels
}

/// The next event with this message, among others.
fn told(dnsgate: &Running, message: &str) -> Value {
    loop {
        let line = dnsgate.lines.recv_timeout(SOON).expect(message);
        let line: Value = serde_json::from_str(&line).expect("JSON");
        if line["message"]
            .as_str()
            .is_some_and(|it| it.contains(message))
        {
            return line;
        }
    }
}

/// Sets the flag at the end of its scope, after a failed assertion, too.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn rotation_neither_loses_nor_repeats_a_line() {
    const ROTATIONS: usize = 5;
    let dnsgate = start_into("file", "q.log", "");
    let path = dnsgate.dir().join("q.log");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
    let port = dnsgate.port;
    let over = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        // Ends the load whatever happens here: the scope waits for it.
        let end_of_load = SetOnDrop(&over);
        let load = scope.spawn(|| {
            let mut asked = 0u32;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(rcode(port, format!("n{asked}").as_bytes()), 5);
                asked += 1;
            }
            asked
        });
        for number in 0..ROTATIONS {
            fs::rename(&path, path.with_extension(number.to_string())).expect("renamed");
            dnsgate.signal("HUP");
            // The first SIGHUP may come so early that it is handled twice, and logged twice: only the new file counts.
            while !path.exists() {
                told(&dnsgate, "the query log was opened again");
            }
        }
        drop(end_of_load);
        load.join().expect("every query was answered")
    });
    ask(&dnsgate, b"last");
    assert_eq!(dnsgate.metric("dnsgate_log_dropped_total"), 0);
    let dir = tempfile::tempdir().expect("a directory");
    let names = (0..ROTATIONS).map(|it| it.to_string());
    let names: Vec<_> = names.chain(["log".to_owned()]).collect();
    let files: Vec<_> = names.iter().map(|name| path.with_extension(name)).collect();
    // Its directory goes with it.
    dnsgate.signal("TERM");
    told(&dnsgate, "stopped");
    assert!(dnsgate.lines.recv_timeout(SOON).is_err(), "it has ended");
    for (file, name) in files.iter().zip(&names) {
        fs::copy(file, dir.path().join(name)).expect("copied");
    }
    let text = |name: &String| fs::read_to_string(dir.path().join(name)).expect("a text");
    let all: Vec<String> = names.iter().map(text).collect();
    assert!(
        all.iter()
            .all(|text| text.is_empty() || text.ends_with('\n'))
    );
    let seen = labels(all.iter().flat_map(|text| text.lines()));
    assert_eq!(seen.len() as u32, asked + 1, "none is lost");
    assert!(
        seen.values().all(|&times| times == 1),
        "none is there twice"
    );
    assert!(labels(all[ROTATIONS].lines()).contains_key("last"));
}

/// Waits for a connection, asking meanwhile for names that are counted: nobody connects who has
/// nothing to say.
fn accepted(listener: &UnixListener, dnsgate: &Running, asked: &mut u32) -> BufReader<UnixStream> {
    listener.set_nonblocking(true).expect("set");
    for _ in 0..3_000 {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false).expect("set");
            stream.set_read_timeout(Some(SOON)).expect("set");
            return BufReader::new(stream);
        }
        ask(dnsgate, format!("n{asked}").as_bytes());
        *asked += 1;
        thread::sleep(Duration::from_millis(10));
    }
    panic!("nobody connects")
}

/// Asks for a last name and reads up to its line.
fn read_up_to(
    stream: &mut BufReader<UnixStream>,
    dnsgate: &Running,
    asked: &mut u32,
) -> BTreeMap<String, u32> {
    let last = format!("n{asked}");
    ask(dnsgate, last.as_bytes());
    *asked += 1;
    let mut text = String::new();
    while !text.contains(&format!("\"{last}.example.\"")) {
        assert!(stream.read_line(&mut text).expect("a line") > 0, "{text}");
    }
    labels(text.lines())
}

#[test]
fn connects_to_a_collector_that_comes_late_or_returns() {
    const LOST: &str = "queries cannot be logged";
    let dnsgate = start_into("unix", "c.sock", "");
    let path = dnsgate.dir().join("c.sock");
    let dropped = || u32::try_from(dnsgate.metric("dnsgate_log_dropped_total")).expect("few");
    let (mut asked, mut seen) = (0, BTreeMap::new());
    for round in 0..2 {
        // It may have been told before "ready", which is where the lines begin.
        ask(&dnsgate, format!("n{asked}").as_bytes());
        asked += 1;
        if round > 0 {
            assert_eq!(told(&dnsgate, LOST)["severity"], "ERROR");
        }
        let listener = UnixListener::bind(&path).expect("bound");
        let mut stream = accepted(&listener, &dnsgate, &mut asked);
        seen.extend(read_up_to(&mut stream, &dnsgate, &mut asked));
        told(&dnsgate, "queries are logged again");
        fs::remove_file(&path).expect("removed");
    }
    // Probes are lost as well; the names that are missing must have been counted.
    let missing = asked - seen.len() as u32;
    assert!(missing >= 2, "one while nobody was there, twice");
    assert!((missing..missing + 10).contains(&dropped()), "{missing}");
    assert!(
        seen.values().all(|&times| times == 1),
        "none is there twice"
    );
}

#[test]
fn stuck_collector_holds_up_neither_workers_nor_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(dir.path().join("c.sock")).expect("bound");
    let socket = dir.path().join("c.sock").display().to_string();
    let dnsgate = Running::start_with("127.0.0.1", |dir, command| {
        let file = dir.join("dnsgate.yaml");
        let log = format!("log: {{ queries: all, output: \"unix:{socket}\" }}\n");
        let limits = "limits: { drain: 0s, log_queue: 16 }\n";
        fs::write(&file, log + limits).expect("room");
        command.arg("--config").arg(file);
    });
    let (mut stream, _) = listener.accept().expect("it connects at the start");
    // The socket's buffer has room for some hundred lines; the queue is full now and then before.
    let mut asked = 0u32;
    loop {
        ask(&dnsgate, format!("n{asked}").as_bytes());
        asked += 1;
        match dnsgate.lines.try_recv() {
            Ok(line) => {
                assert!(line.contains("whoever listens does not read"), "{line}");
                break;
            }
            Err(_) => assert!(asked < 1_000_000, "it is not stuck"),
        }
    }
    assert!(dnsgate.metric("dnsgate_log_dropped_total") > 0);
    log_of(dnsgate);
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    // What was cut off by the end may be half a line.
    let whole = text.rfind('\n').expect("a line");
    let seen = labels(text[..whole].lines());
    assert!(
        seen.values().all(|&times| times == 1),
        "none is there twice"
    );
    assert!(!seen.is_empty() && (seen.len() as u32) < asked);
}

#[test]
fn queries_go_to_standard_output_and_events_to_standard_error() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let dnsgate = Running::start_with("127.0.0.1", |dir, command| {
        let file = dir.join("dnsgate.yaml");
        let config = "log: { output: stdout }\nlimits: { drain: 0s }\n";
        fs::write(&file, config).expect("room");
        command.arg("--config").arg(file);
        command.stdout(writer.try_clone().expect("a descriptor"));
    });
    drop(writer);
    ask(&dnsgate, b"name");
    let lines = log_of(dnsgate);
    assert_eq!(lines.len(), 2, "draining, stopped: {lines:#?}");
    let text = io::read_to_string(reader).expect("text");
    assert_eq!(labels(text.lines()), [("name".to_owned(), 1)].into());
}

#[test]
fn sampled_lines_state_the_sample_rate() {
    let dnsgate = Running::start(
        "workers: 1
limits: { drain: 0s }
log: { queries: all, sample: 10 }
rules: [{ name: yes, domains: [yes.example], records: [A 10.0.0.1] }]",
    );
    for _ in 0..100 {
        assert_eq!(rcode(dnsgate.port, b"yes"), 0);
    }
    for _ in 0..5 {
        ask(&dnsgate, b"no");
    }
    let lines = log_of(dnsgate);
    let rates = |verdict: &str| -> Vec<Option<u64>> {
        let lines = lines.iter().map(|line| serde_json::from_str(line));
        let lines = lines.map(|line: Result<Value, _>| line.expect("JSON"));
        let of = lines.filter(|line| line["verdict"] == verdict);
        of.map(|line| line["sampleRate"].as_u64()).collect()
    };
    let answered = rates("answered");
    // dnsgate's own questions are not among what is sampled.
    assert_eq!(answered.len(), 10, "{answered:?}");
    assert!(
        answered.iter().all(|&rate| rate == Some(10)),
        "{answered:?}"
    );
    assert_eq!(rates("denied"), [None; 5]);
}

#[test]
fn start_fails_if_the_log_file_cannot_be_opened() {
    let dir = tempfile::tempdir().expect("a directory");
    let start = |output: &Path| {
        let file = dir.path().join("dnsgate.yaml");
        let config = format!("log: {{ output: \"file:{}\" }}\n", output.display());
        fs::write(&file, config).expect("room");
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]);
        let output = command.arg(file).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let said = start(&dir.path().join("none/q.log"));
    assert!(said.contains("q.log: No such file or directory"), "{said}");
    assert!(said.contains("its directory must exist"), "{said}");
    let said = start(dir.path());
    assert!(said.contains("no regular file"), "{said}");
}

#[test]
fn own_probes_are_counted_separately_and_not_logged() {
    let dnsgate = Running::start("log: { queries: all }");
    // A client's question of the same class, and of the same name but for what only dnsgate knows.
    let chaos = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03";
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(SOON)).expect("set");
    socket
        .send_to(chaos, ("127.0.0.1", dnsgate.port))
        .expect("sent");
    socket.recv(&mut [0; 512]).expect("an answer");
    let own = "dnsgate_self_queries_total{result=\"answered\"}";
    // The one at the start, and one of the self-watch.
    while dnsgate.metric(own) < 2 {
        thread::sleep(Duration::from_millis(100));
    }
    let (_, page) = dnsgate.get("/metrics");
    let all = page
        .lines()
        .filter(|line| line.starts_with("dnsgate_queries_total{"));
    let counts = all.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    assert_eq!(counts.sum::<u64>(), 1, "{page}");
    let lines = log_of(dnsgate);
    let of_queries: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("\"queryName\""))
        .collect();
    let [line] = of_queries[..] else {
        panic!("{of_queries:?}")
    };
    assert!(line.contains("\"queryClass\":\"CH\""), "{line}");
}
