//! `dnsgate learn`, from a page to a configuration that `check` takes.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use crate::running::PROGRAM;

const PAGE: &str = r#"{"generation": 2, "dropped": 0, "observed": [
  {"name": "api.github.com", "type": "A", "group": "vpc", "rule": null, "count": 7,
   "firstSeen": "2026-12-01T10:00:00Z", "lastSeen": "2026-12-02T10:00:00Z"},
  {"name": "gist.github.com", "type": "A", "group": "vpc", "rule": "gists", "count": 3,
   "firstSeen": "2026-12-01T10:00:00Z", "lastSeen": "2026-12-02T10:00:00Z"}]}"#;
const CONFIG: &str = "upstreams: { public: { servers: [udp://8.8.8.8] } }
mode: { observe: public }
clients: { vpc: { cidrs: [127.0.0.0/8] } }
rules:
  - { name: gists, domains: [gist.github.com], deny: nxdomain }
";

fn run(args: &[&str], input: &str) -> (bool, String, String) {
    let mut child = Command::new(PROGRAM)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    // Who does not read it has ended; that is seen below.
    let _ = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(input.as_bytes()));
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().expect("an end");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.success(), text(stdout), text(stderr))
}

/// An admin page that is asked once.
fn serve(status: &'static str, body: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a request");
            request.extend(byte);
        }
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).expect("a reader");
        let request = String::from_utf8(request).expect("UTF-8");
        request.lines().next().unwrap_or_default().to_owned()
    });
    (address, asked)
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("room");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn learns_the_same_from_admin_port_file_and_standard_input() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = write(dir.path(), "dnsgate.yaml", CONFIG);
    let page = write(dir.path(), "observed.json", PAGE);
    let (address, asked) = serve("200 OK", PAGE);
    let address = address.to_string();
    let mut texts = Vec::new();
    for (source, input) in [(&*address, ""), (&*page, ""), ("-", PAGE)] {
        let (good, text, errors) = run(&["learn", source, "--config", &config], input);
        assert!(good && errors.is_empty(), "{source}: {errors}");
        let (head, rules) = text.split_once('\n').expect("lines");
        assert!(head.starts_with("  # From "), "{head}");
        texts.push(rules.to_owned());
    }
    assert_eq!(asked.join().expect("no panic"), "GET /observed HTTP/1.1");
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");

    // Pasted, it allows what was asked for and still denies what a rule denies.
    let enforced = CONFIG.replace("mode: { observe: public }\n", "");
    let tests = "tests:
  - { ask: api.github.com, from: 127.0.0.1, expect: { rule: github.com, upstream: public } }
  - { ask: gist.github.com, from: 127.0.0.1, expect: { rule: gists } }
  - { ask: www.github.com, from: 127.0.0.1, expect: { reason: no_rule } }
";
    let pasted = write(
        dir.path(),
        "pasted.yaml",
        &format!("{enforced}{}{tests}", texts[0]),
    );
    let (good, said, errors) = run(&["check", &pasted], "");
    assert!(
        good && said.contains("2 rules") && errors.is_empty(),
        "{said}{errors}"
    );
}

#[test]
fn reports_input_that_it_cannot_learn_from() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = write(dir.path(), "dnsgate.yaml", CONFIG);
    let (address, _asked) = serve("404 Not Found", "");
    let url = format!("http://{address}");
    for (args, input, wrong) in [
        (
            vec!["-", "--config", &config],
            "ready",
            "neither the page /observed nor a question to learn from; log: 0 questions, 1 line without a question",
        ),
        (vec!["-"], PAGE, "--upstream NAME"),
        (
            vec!["-", "--config", &config, "--upstream", "pubic"],
            PAGE,
            "no upstream \"pubic\"; it has public",
        ),
        (
            vec!["there-is-none.json", "--upstream", "public"],
            "",
            "cannot be read",
        ),
        (
            vec![&*url, "--upstream", "public"],
            "",
            "/observed does not exist",
        ),
    ] {
        let args = [vec!["learn"], args].concat();
        let (good, said, errors) = run(&args, input);
        assert!(
            !good && said.is_empty() && errors.contains(wrong),
            "{args:?}: {errors}"
        );
    }
}
