use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, UNIX_EPOCH},
};

use socket2::{Domain, Socket, Type};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    connection_limits::{BoundedListener, Bounds},
    pages::{router, serve_bounded, uptime},
    request_checks::Hosts,
    *,
};
use crate::telemetry::{Labels, LogSettings, Telemetry};
use dnsgate_config::Unquoted;

const PATIENCE: Duration = Duration::from_secs(20);

fn telemetry() -> Telemetry {
    let telemetry =
        Telemetry::start_into(&LogSettings::default(), Box::new(io::sink())).expect("starts");
    telemetry.loaded(3, Labels::default(), UNIX_EPOCH);
    telemetry
}

/// The admin port on a runtime of its own, so that tests may block.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
    runtime: tokio::runtime::Runtime,
    requests: mpsc::Receiver<AdminRequest>,
}

const FEW: Bounds = Bounds {
    heads: 4,
    pages: 4,
    per_address: 2,
    head: PATIENCE,
    whole: PATIENCE,
};

fn run(telemetry: Telemetry, bounds: Bounds) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel();
    let (sender, requests) = mpsc::channel(1);
    let pages = router(telemetry, Hosts::new(&[]), sender);
    let task = runtime.spawn(serve_bounded(
        BoundedListener::new(listener, bounds),
        pages,
        async {
            let _ = stopped.await;
        },
    ));
    Running {
        address,
        stop,
        task,
        runtime,
        requests,
    }
}

impl Running {
    fn connect(&self) -> TcpStream {
        self.connect_from(1)
    }

    /// A connection from 127.0.0.`last`.
    fn connect_from(&self, last: u8) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let source = SocketAddr::from(([127, 0, 0, last], 0));
        socket.bind(&source.into()).expect("an address of ours");
        socket.connect(&self.address.into()).expect("connects");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream
    }

    /// The whole response, which ends when the server closes.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("written");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .expect("read to its end");
        response
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }
}

fn code(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn pages_answer_one_request_a_connection() {
    let admin = run(telemetry(), FEW);
    let cases = [
        ("/", "200", "text/html; charset=utf-8", "generation 3"),
        (
            "/metrics",
            "200",
            "text/plain; version=0.0.4",
            "\ndnsgate_snapshot_generation 3\n",
        ),
        ("/livez", "200", "text/plain; charset=utf-8", "alive\n"),
        (
            "/readyz",
            "503",
            "text/plain; charset=utf-8",
            "generation 3\n",
        ),
        (
            "/observed",
            "200",
            "application/json",
            r#"{"generation":3,"dropped":0,"observed":[]}"#,
        ),
        ("/else", "404", "", ""),
    ];
    for (path, want, content_type, body) in cases {
        let response = admin.get(path);
        assert_eq!(code(&response), want, "{path}: {response}");
        let (head, page) = response.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("connection: close"), "{head}");
        assert!(head.contains(&format!("content-type: {content_type}")) || want == "404");
        assert!(page.contains(body), "{path}: {page}");
    }
    assert_eq!(
        code(&admin.ask("POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        "405"
    );
    assert_eq!(code(&admin.ask("nonsense\r\n\r\n")), "400");
}

#[test]
fn readiness_follows_health() {
    let telemetry = telemetry();
    let admin = run(telemetry.clone(), FEW);
    telemetry.health().starting("<udp> is not bound");
    let response = admin.get("/readyz");
    assert_eq!(code(&response), "503");
    assert!(
        response.contains("starting: <udp> is not bound\n"),
        "{response}"
    );
    assert!(admin.get("/").contains("&lt;udp&gt;"));
    telemetry.health().ready();
    let response = admin.get("/readyz");
    assert_eq!(code(&response), "200");
    assert!(response.ends_with("ready\ngeneration 3\n"), "{response}");
    telemetry.health().draining("SIGTERM");
    let response = admin.get("/readyz");
    assert_eq!(code(&response), "503");
    assert!(response.contains("draining: SIGTERM\n"), "{response}");
    assert_eq!(code(&admin.get("/livez")), "200");
}

#[test]
fn nothing_that_an_upstream_does_has_a_say_in_readiness() {
    let telemetry = telemetry();
    let admin = run(telemetry.clone(), FEW);
    let servers = ["udp://a", "udp://b"].map(str::to_owned);
    let counters = telemetry.upstream("corp", &servers);
    counters.looping(1, true);
    counters.up(0, false);
    let response = admin.get("/readyz");
    assert!(response.contains("starting: "), "{response}");
    telemetry.health().ready();
    let response = admin.get("/readyz");
    assert_eq!(code(&response), "200");
    assert!(response.ends_with("ready\ngeneration 3\n"), "{response}");
    assert_eq!(code(&admin.get("/livez")), "200");
}

#[test]
fn what_is_wrong_is_told_where_it_matters() {
    let telemetry = telemetry();
    let admin = run(telemetry.clone(), FEW);
    telemetry.health().ready();
    telemetry
        .health()
        .reloaded(Some(&Unquoted::from("<gate>:1:1: error: no")));
    let response = admin.get("/readyz");
    assert_eq!(code(&response), "200");
    assert!(
        response.ends_with("generation 3\nthe last reload was refused: <gate>:1:1: error: no\n"),
        "{response}"
    );
    assert!(
        admin
            .get("/")
            .contains("the last reload was refused: &lt;gate&gt;")
    );
    telemetry.health().reloaded(None);
    assert!(admin.get("/readyz").ends_with("generation 3\n"));
    let digest = dnsgate_config::default_config().digest;
    telemetry.shared().policy_digest_is(digest);
    let page = admin.get("/readyz");
    assert!(page.ends_with(&format!("generation 3\npolicy {digest}\n")));

    let listener = SocketAddr::from(([127, 0, 0, 1], 53));
    telemetry.health().answers(listener, false);
    let response = admin.get("/livez");
    assert_eq!(code(&response), "503");
    assert!(response.contains("udp://127.0.0.1:53 does not answer"));
    telemetry.health().answers(listener, true);
    assert_eq!(code(&admin.get("/livez")), "200");
}

#[test]
fn a_reload_is_asked_for_and_its_end_is_the_answer() {
    let telemetry = telemetry();
    let mut admin = run(telemetry.clone(), FEW);
    let request = "POST /reload HTTP/1.1\r\nHost: localhost\r\nX-Dnsgate: reload\r\n\r\n";
    let response = admin.ask(request);
    assert_eq!(code(&response), "503", "not ready yet: {response}");
    telemetry.health().ready();
    assert_eq!(code(&admin.get("/reload")), "405");
    let forbidden = admin.ask("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(code(&forbidden), "403");
    for (result, want) in [
        (ReloadResult::Reloaded, "200"),
        (ReloadResult::Impossible, "409"),
        (ReloadResult::Invalid, "422"),
    ] {
        let mut stream = admin.connect();
        stream.write_all(request.as_bytes()).expect("written");
        let asked = admin.runtime.block_on(admin.requests.recv());
        let Some(AdminRequest::Reload(asked)) = asked else {
            panic!("{asked:?}");
        };
        asked.answer(ReloadAnswer {
            result,
            report: Unquoted::from("the report"),
        });
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("read");
        assert_eq!(code(&response), want);
        assert!(response.ends_with("\r\n\r\nthe report\n"), "{response}");
    }
    admin.requests.close();
    assert_eq!(code(&admin.ask(request)), "503");
}

#[test]
fn an_explanation_is_for_programs_of_this_machine() {
    let telemetry = telemetry();
    let mut admin = run(telemetry.clone(), FEW);
    let request = |query: &str, header: &str| {
        format!("GET /explain{query} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n")
    };
    const OURS: &str = "X-Dnsgate: explain\r\n";
    let good = request("?name=a.b&type=TXT", OURS);
    assert_eq!(code(&admin.ask(&good)), "503", "not ready yet");
    telemetry.health().ready();
    for (query, header, want) in [
        ("?name=a.b", "", "403"),
        ("?name=a.b", "X-Dnsgate: reload\r\n", "403"),
        ("", OURS, "400"),
        ("?name=a..b", OURS, "400"),
    ] {
        assert_eq!(code(&admin.ask(&request(query, header))), want, "{query}");
    }
    let mut stream = admin.connect();
    stream.write_all(good.as_bytes()).expect("written");
    let asked = admin.runtime.block_on(admin.requests.recv());
    let Some(AdminRequest::Explain(asked)) = asked else {
        panic!("{asked:?}");
    };
    let ExplainQuestion { name, rtype, .. } = asked.question();
    assert_eq!(format!("{name} {rtype}"), "a.b. TXT");
    asked.answer("because\n".to_owned());
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("read");
    assert!(response.ends_with("\r\n\r\nbecause\n"), "{response}");
}

/// Reads until the server ends the connection, which must not take as long as a test may.
fn ended(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // An end or a reset, but no time-out of ours.
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_ne!(error.kind(), io::ErrorKind::WouldBlock);
    }
    rest
}

#[test]
fn slow_and_silent_clients_are_cut_off() {
    let head = Duration::from_millis(300);
    let admin = run(telemetry(), Bounds { head, ..FEW });
    let mut silent = admin.connect();
    let mut slow = admin.connect();
    slow.write_all(b"GET /livez HT").expect("written");
    for stream in [&mut silent, &mut slow] {
        assert_eq!(ended(stream), b"");
    }
    assert_eq!(code(&admin.get("/livez")), "200");
}

/// Connections that say nothing fill all places again and again, from one address and from many:
/// they push each other out, and nobody waits for them.
#[test]
fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let telemetry = telemetry();
    telemetry.health().ready();
    let admin = run(telemetry, FEW);
    let mut own = admin.connect();
    own.write_all(b"GET /readyz HTTP/1.1\r\n").expect("written");
    let mut crowd: Vec<_> = (0..20).map(|_| admin.connect_from(99)).collect();
    // Those of one address have gone for its own later ones; ours has not.
    for stream in &mut crowd[..18] {
        assert_eq!(ended(stream), b"");
    }
    own.write_all(b"Host: localhost\r\n\r\n").expect("written");
    assert!(ended(&mut own).starts_with(b"HTTP/1.1 200"));
    crowd.extend((100..110).map(|last| admin.connect_from(last)));
    assert_eq!(code(&admin.get("/readyz")), "200");
    // Of the last there are as many as there are places, less the one that was just used.
    for stream in &mut crowd[18..26] {
        assert_eq!(ended(stream), b"");
    }
}

/// Pages that take long have places of their own, which those of health do not compete for.
#[test]
fn pages_do_not_stand_in_the_way_of_health() {
    let telemetry = telemetry();
    telemetry.health().ready();
    let mut admin = run(telemetry, FEW);
    let request = "POST /reload HTTP/1.1\r\nHost: localhost\r\nX-Dnsgate: reload\r\n\r\n";
    let mut waiting: Vec<_> = (0..8)
        .map(|at| {
            let mut stream = admin.connect_from(50 + at);
            stream.write_all(request.as_bytes()).expect("written");
            assert_eq!(code(&admin.get("/readyz")), "200");
            stream
        })
        .collect();
    // The oldest made room for the last.
    for stream in &mut waiting[..4] {
        assert_eq!(ended(stream), b"");
    }
    admin.requests.close();
}

#[test]
fn a_client_that_always_has_another_byte_meets_the_deadline_too() {
    let head = Duration::from_millis(300);
    let admin = run(telemetry(), Bounds { head, ..FEW });
    let mut dripping = admin.connect();
    dripping
        .write_all(b"GET /livez HTTP/1.1\r\nx: ")
        .expect("written");
    let begun = crate::clock::monotonic();
    while dripping.write_all(b"y").is_ok() {
        assert!(begun.elapsed() < PATIENCE, "still served");
        std::thread::yield_now();
    }
    assert_eq!(code(&admin.get("/livez")), "200");
}

#[test]
fn no_page_is_for_a_browser_that_was_led_here() {
    let admin = run(telemetry(), FEW);
    for path in [
        "/",
        "/metrics",
        "/livez",
        "/readyz",
        "/observed",
        "/explain",
        "/else",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: rebound.example:9153\r\n\r\n");
        let response = admin.ask(&request);
        assert_eq!(code(&response), "403", "{path}");
        assert!(response.contains("admin_hosts"), "{response}");
    }
}

#[test]
fn it_stops_when_told() {
    let admin = run(telemetry(), FEW);
    assert_eq!(code(&admin.get("/livez")), "200");
    let Running {
        address,
        stop,
        task,
        runtime,
        ..
    } = admin;
    stop.send(()).expect("it runs");
    let ended = runtime.block_on(async { tokio::time::timeout(PATIENCE, task).await });
    assert!(matches!(ended, Ok(Ok(Ok(())))), "{ended:?}");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn uptime_reads_well() {
    for (seconds, text) in [
        (0, "00:00:00"),
        (3_661, "01:01:01"),
        (266_706, "3d 02:05:06"),
    ] {
        assert_eq!(uptime(Duration::from_secs(seconds)), text);
    }
}
