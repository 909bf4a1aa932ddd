//! The configuration changes while dnsgate runs: how a reload begins, who may ask for it, and what clients get meanwhile.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpStream, UdpSocket},
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;

use crate::running::{PROGRAM, Running, SOON};

/// A policy in which everything says `number`: two names, and the name of the rule.
pub(super) fn policy(number: u8) -> String {
    format!(
        "google_apis: {{vip: off}}\n\
         zones: [{{origin: corp.test, file: corp.zone}}]\n\
         rules: [{{name: rule-{number}, domains: [a.test, b.test], records: [A 10.0.0.{number}, A 10.0.1.{number}]}}]\n"
    )
}

pub(super) fn zone(number: u8) -> String {
    format!("@ 300 SOA ns hostmaster {number} 2 3 4 5\n@ 300 NS ns\nns 300 A 10.0.0.{number}\n")
}

/// Starts with these files and arguments, reading `dnsgate.yaml`.
pub(super) fn start(files: &[(&str, &str)], args: &[&str]) -> Running {
    Running::start_with("127.0.0.1", |dir, command| {
        for (name, text) in files {
            put(&dir.join(name), text);
        }
        command.arg("--config").arg(dir.join("dnsgate.yaml"));
        command.args(args);
    })
}

/// Replaces a file as editors do: another one takes its name.
pub(super) fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("room for a file");
    fs::rename(&new, path).expect("renamed");
}

/// One question of class IN, for an address.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        packet.push(u8::try_from(label.len()).expect("a label"));
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

/// Asks for the addresses of a name, and returns the last byte that they have in common.
pub(super) fn ask(socket: &UdpSocket, id: u16, name: &str) -> u8 {
    let packet = question(id, name);
    socket.send(&packet).expect("sent");
    let mut reply = [0; 1232];
    let len = socket.recv(&mut reply).expect("a reply: no query is lost");
    let reply = &reply[..len];
    assert_eq!(reply[..2], packet[..2], "a reply to this query");
    // A compressed name, type, class, TTL, length, address.
    let records: Vec<_> = reply[packet.len()..]
        .chunks(2 + 2 + 2 + 4 + 2 + 4)
        .collect();
    let counts = [0, reply[7], 0, 0, 0, 0];
    assert_eq!(reply[6..12], counts, "answers and nothing else");
    assert_eq!(records.len(), usize::from(reply[7]), "{reply:?}");
    let numbers: Vec<_> = records.iter().map(|record| record[15]).collect();
    assert!(
        numbers.windows(2).all(|two| two[0] == two[1]),
        "{numbers:?}"
    );
    numbers[0]
}

pub(super) fn client(dnsgate: &Running) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket
        .connect(("127.0.0.1", dnsgate.port))
        .expect("connected");
    socket.set_read_timeout(Some(SOON)).expect("set");
    socket
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Running {
    /// The next event that begins so.
    pub(super) fn wait_for_start_of(&self, message: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(SOON).expect(message);
            let event: Value = serde_json::from_str(&line).expect("a line of JSON");
            if event["message"]
                .as_str()
                .is_some_and(|it| it.starts_with(message))
            {
                return event;
            }
        }
    }
}

#[test]
fn reload_under_load_loses_no_query_and_mixes_no_policies() {
    const RELOADS: u8 = 20;
    let files = [("dnsgate.yaml", &*policy(0)), ("corp.zone", &zone(0))];
    let dnsgate = start(&files, &["--no-watch"]);
    let config = dnsgate.dir().join("dnsgate.yaml");
    let over = AtomicBool::new(false);
    let socket = client(&dnsgate);
    let asked = thread::scope(|scope| {
        let load = scope.spawn(|| {
            let (mut asked, mut last) = (0u64, 0);
            while !over.load(Ordering::Relaxed) {
                // One at a time, so as fast as dnsgate answers and no faster: none is shed.
                for name in ["a.test", "b.test"] {
                    let number = ask(&socket, (asked & 0xffff) as u16, name);
                    assert!(number >= last, "a policy that was gone answers: {number}");
                    last = number;
                    asked += 1;
                }
            }
            (asked, last)
        });
        let mut in_force = 0;
        for number in 1..=RELOADS {
            let bad = number % 2 == 0;
            let text = match number % 4 {
                0 => "rules: [".to_owned(),
                2 => policy(number).replace("domains", "domain"),
                _ => policy(number),
            };
            put(&config, &text);
            let output = dnsgate.reload();
            assert_eq!(output.status.success(), !bad, "{output:?}");
            if !bad {
                in_force = number;
            }
            // As soon as the verb has said so, it is so.
            assert_eq!(ask(&client(&dnsgate), 7, "b.test"), in_force);
        }
        over.store(true, Ordering::Relaxed);
        let (asked, last) = load.join().expect("no query was lost");
        assert_eq!(last, in_force);
        asked
    });
    assert!(asked > u64::from(RELOADS), "{asked}");
    let reloads = |result| dnsgate.metric(&format!("dnsgate_reload_total{{result=\"{result}\"}}"));
    assert_eq!((reloads("success"), reloads("rejected")), (10, 10));
    assert_eq!(dnsgate.metric("dnsgate_snapshot_generation"), 11);
    println!("{asked} queries during {RELOADS} reloads, none lost");
}

#[test]
fn reload_prints_the_report_and_readyz_keeps_the_refusal() {
    let files = [("dnsgate.yaml", &*policy(1)), ("corp.zone", &zone(1))];
    let dnsgate = start(&files, &["--no-watch"]);
    let config = dnsgate.dir().join("dnsgate.yaml");
    put(
        &config,
        &(policy(2) + "clients: {all: {cidrs: [\"0.0.0.0/0\"]}}\n"),
    );
    put(&dnsgate.dir().join("corp.zone"), &zone(2));
    let output = dnsgate.reload();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stdout);
    let report = "reloaded, generation 2: added group all, rule rule-2; \
                  changed zone corp.test (records); removed group cloud-dns, group vpc, rule rule-1\n";
    assert!(said.starts_with(report), "{said}");
    // The new configuration's warnings are told like at a start, in the log as well.
    assert!(said.contains(": warning: "), "{said}");
    let warning = dnsgate.wait_for_start_of(&config.display().to_string());
    assert_eq!(warning["severity"], "WARNING", "{warning}");
    let event = dnsgate.wait_for("reloaded");
    assert_eq!(event["asked_by"], "POST /reload");
    assert_eq!(event["generation"], 2);

    for (text_of_it, told) in [
        ("rules: [{nam: x}]\n", ":1:10: error: there is no such key"),
        ("workers: 1\n", "`workers` cannot change"),
        ("log: {output: stdout}\n", "`log.output` cannot change"),
        (
            "workers: 1\nlog: {output: stdout}\n",
            "`workers`, `log.output` cannot change while dnsgate runs; restart it, or put the old values back",
        ),
    ] {
        put(&config, text_of_it);
        let output = dnsgate.reload();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = text(&output.stderr);
        assert!(said.starts_with("dnsgate: reload refused, "), "{said}");
        assert!(said.contains(told), "{said}");
        let (status, ready) = dnsgate.get("/readyz");
        assert_eq!(status, 200, "it serves on");
        assert!(ready.contains("the last reload was refused: "), "{ready}");
    }
    put(&config, &policy(2));
    assert!(dnsgate.reload().status.success());
    assert!(!dnsgate.get("/readyz").1.contains("refused"));
}

#[test]
fn changed_files_are_reloaded_and_a_bad_one_is_reported_once() {
    let files = [("dnsgate.yaml", &*policy(1)), ("corp.zone", &zone(1))];
    let dnsgate = start(&files, &[]);
    let path = |name: &str| dnsgate.dir().join(name);
    let socket = client(&dnsgate);

    put(&path("corp.zone"), &zone(2));
    let event = dnsgate.wait_for("reloaded");
    assert_eq!(
        event["changes"],
        "changed zone corp.test (records: other ones, 3 entries)"
    );
    let changed = event["asked_by"].as_str().expect("a string");
    assert!(changed.ends_with("corp.zone changed"), "{changed}");
    assert_eq!(ask(&socket, 1, "ns.corp.test"), 2);

    put(&path("dnsgate.yaml"), "rules: [");
    dnsgate.wait_for_start_of("reload refused, ");
    // A zone file that the broken configuration does not name is no reason to try again; putting
    // back what was there is.
    put(&path("corp.zone"), &zone(3));
    put(&path("dnsgate.yaml"), &policy(1));
    let event = dnsgate.wait_for("reloaded");
    assert_eq!(
        event["changes"],
        "changed zone corp.test (records: other ones, 3 entries)"
    );
    assert_eq!(
        dnsgate.metric("dnsgate_reload_total{result=\"rejected\"}"),
        1
    );
    assert_eq!(ask(&socket, 2, "ns.corp.test"), 3);

    // Asked for by signal, an unchanged file is read all the same.
    dnsgate.signal("HUP");
    let event = dnsgate.wait_for("reloaded");
    assert_eq!(event["asked_by"], "SIGHUP");
    assert_eq!(event["changes"], "nothing changed");
}

#[test]
fn policy_tests_that_appear_beside_the_file_are_run() {
    let files = [("dnsgate.yaml", &*policy(1)), ("corp.zone", &zone(1))];
    let dnsgate = start(&files, &[]);
    let beside = dnsgate.dir().join("dnsgate.test.yaml");
    let test = |rule: &str| {
        format!("tests: [{{ask: a.test, from: 10.0.0.1, expect: {{rule: {rule}}}}}]\n")
    };
    put(&beside, &test("zone corp.test"));
    let event = dnsgate.wait_for_start_of("reload refused, ");
    let asked_by = event["asked_by"].as_str().expect("a string");
    assert!(asked_by.ends_with("dnsgate.test.yaml changed"), "{event}");
    let message = event["message"].as_str().expect("a string");
    assert!(message.contains("dnsgate.test.yaml:1"), "{event}");
    assert!(dnsgate.get("/readyz").1.contains("refused"));
    put(&beside, &test("rule-1"));
    dnsgate.wait_for("reloaded");
    fs::remove_file(&beside).expect("removed");
    dnsgate.wait_for("reloaded");
    assert!(!dnsgate.get("/readyz").1.contains("refused"));
}

#[test]
fn changes_of_a_kubernetes_volume_are_reloaded() {
    let dnsgate = Running::start_with("127.0.0.1", |dir, command| {
        for number in [1, 2] {
            let data = dir.join(format!("..{number}"));
            fs::create_dir(&data).expect("a directory");
            put(&data.join("dnsgate.yaml"), &policy(number));
            put(&data.join("corp.zone"), &zone(number));
        }
        symlink("..1", dir.join("..data")).expect("linked");
        for name in ["dnsgate.yaml", "corp.zone"] {
            symlink(Path::new("..data").join(name), dir.join(name)).expect("linked");
        }
        command.arg("--config").arg(dir.join("dnsgate.yaml"));
    });
    let socket = client(&dnsgate);
    assert_eq!(ask(&socket, 1, "a.test"), 1);
    let link = |name| dnsgate.dir().join(name);
    symlink("..2", link("..data_tmp")).expect("linked");
    fs::rename(link("..data_tmp"), link("..data")).expect("renamed");
    let event = dnsgate.wait_for("reloaded");
    assert_eq!(
        event["changes"],
        "added rule rule-2; changed zone corp.test (records: other ones, 3 entries); removed rule rule-1"
    );
    assert_eq!(ask(&socket, 2, "a.test"), 2);
    assert_eq!(ask(&socket, 3, "ns.corp.test"), 2);
}

#[test]
fn refuses_requests_of_web_pages_and_without_a_file() {
    let dnsgate = Running::start("");
    let post = |headers: &str| {
        let mut stream = TcpStream::connect(dnsgate.admin).expect("connected");
        stream.set_read_timeout(Some(SOON)).expect("set");
        write!(stream, "POST /reload HTTP/1.1\r\n{headers}\r\n").expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    };
    let host = format!("Host: {}\r\n", dnsgate.admin);
    for (headers, told) in [
        (host.clone(), "no header"),
        (
            format!("{host}X-Dnsgate: reload\r\nOrigin: http://evil.test\r\n"),
            "web page",
        ),
        (
            "Host: evil.test\r\nX-Dnsgate: reload\r\n".to_owned(),
            "the Host",
        ),
    ] {
        let answer = post(&headers);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains(told), "{answer}");
    }
    assert_eq!(
        dnsgate.metric("dnsgate_reload_total{result=\"rejected\"}"),
        0
    );
    let answer = post(&format!("{host}X-Dnsgate: reload\r\n"));
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    let output = dnsgate.reload();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no configuration file"));
    // Nobody there.
    drop(dnsgate);
    let gone = Command::new(PROGRAM)
        .args(["reload", "--admin", "http://127.0.0.1:1"])
        .output();
    let gone = gone.expect("the program runs");
    assert_eq!(gone.status.code(), Some(1));
    assert!(text(&gone.stderr).contains("http://127.0.0.1:1/reload does not answer"));
}

#[test]
fn named_pipe_in_place_of_a_file_holds_up_nothing() {
    let files = [("dnsgate.yaml", &*policy(1)), ("corp.zone", &zone(1))];
    let dnsgate = start(&files, &[]);
    let path = |name: &str| dnsgate.dir().join(name);
    let rejected = || dnsgate.metric("dnsgate_config_rejected");
    for (name, good, told) in [
        ("dnsgate.yaml", policy(1), "is no longer a regular file"),
        (
            "corp.zone",
            zone(1),
            "the file that is named here cannot be read",
        ),
    ] {
        fs::remove_file(path(name)).expect("removed");
        let made = Command::new("mkfifo").arg(path(name)).status();
        assert!(made.expect("mkfifo runs").success());
        let output = dnsgate.reload();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(told), "{name}: {output:?}");
        assert_eq!(rejected(), 1, "{name}");
        assert_eq!(
            ask(&client(&dnsgate), 1, "a.test"),
            1,
            "what was in force is"
        );
        // What was there is put back, and is seen.
        put(&path(name), &good);
        dnsgate.wait_for("reloaded");
        assert_eq!(rejected(), 0, "{name}");
    }
}
