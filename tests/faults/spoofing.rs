//! An attacker who sees no query forges replies of an upstream's server. He knows the question, the server, every open port
//! toward it and the ID of the last query for a name of his own; the server is slow. docs/security.md says how often he may
//! succeed. A build with one port, IDs that count and no random letter case falls to him at once, so this test can fail.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use crate::running::{Running, SOON};

/// Questions that he attacks.
const QUESTIONS: u16 = 40;
/// Forged replies to each open port for each question.
const GUESSES: u16 = 50;
/// The true address of every name, and the forged one.
const TRUE: [u8; 4] = [8, 8, 8, 8];
const FORGED: [u8; 4] = [9, 9, 9, 9];

/// A query or reply for an address of `name`; an answer if there is one.
fn message(id: u16, name: &str, answer: Option<[u8; 4]>) -> Vec<u8> {
    let flags: [u8; 2] = if answer.is_some() {
        [0x81, 0x80]
    } else {
        [1, 0]
    };
    let mut out = id.to_be_bytes().to_vec();
    out.extend(flags);
    out.extend([0, 1, 0, u8::from(answer.is_some()), 0, 0, 0, 0]);
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).expect("short"));
        out.extend(label.as_bytes());
    }
    out.extend([0, 0, 1, 0, 1]);
    if let Some(address) = answer {
        out.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04");
        out.extend(address);
    }
    out
}

/// The true reply to a query: its header and question, and the address.
fn reply(query: &[u8]) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    let mut out = query[..end + 5].to_vec();
    out[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    out.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04");
    out.extend(TRUE);
    out
}

/// The upstream's server. It answers over TCP at once, over UDP at once for names of the attacker, and otherwise when told.
struct Server {
    socket: Arc<UdpSocket>,
    port: u16,
    /// The ID of the last query for a name of the attacker.
    seen: Receiver<u16>,
    /// A query for another name has come.
    asked: Receiver<()>,
    go_on: Sender<()>,
    ended: Arc<AtomicBool>,
}

impl Server {
    fn start() -> Self {
        let (socket, listener) = loop {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("bound");
            if let Ok(socket) = UdpSocket::bind(address) {
                break (Arc::new(socket), listener);
            }
        };
        let port = socket.local_addr().expect("bound").port();
        thread::spawn(move || over_tcp(&listener));
        let (see, seen) = mpsc::channel();
        let (ask, asked) = mpsc::channel();
        let (go_on, told) = mpsc::channel::<()>();
        let ended = Arc::new(AtomicBool::new(false));
        let slow = Arc::<Mutex<Vec<_>>>::default();
        let (replies, held) = (Arc::clone(&socket), Arc::clone(&slow));
        thread::spawn(move || {
            while told.recv().is_ok() {
                for (query, client) in held.lock().expect("no panic").drain(..) {
                    let query: Vec<u8> = query;
                    let _ = replies.send_to(&reply(&query), client);
                }
            }
        });
        let (queries, end) = (Arc::clone(&socket), Arc::clone(&ended));
        queries
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a socket");
        thread::spawn(move || {
            let mut packet = [0; 512];
            while !end.load(Ordering::Relaxed) {
                let Ok((len, client)) = queries.recv_from(&mut packet) else {
                    continue;
                };
                let query = packet[..len].to_vec();
                let name = query[13..].to_ascii_lowercase();
                if name.starts_with(b"victim") {
                    slow.lock().expect("no panic").push((query, client));
                    let _ = ask.send(());
                    continue;
                }
                if name.starts_with(b"own") {
                    let _ = see.send(u16::from_be_bytes([query[0], query[1]]));
                }
                let _ = queries.send_to(&reply(&query), client);
            }
        });
        Self {
            socket,
            port,
            seen,
            asked,
            go_on,
            ended,
        }
    }

    /// Every local port that is connected to the server, as the kernel lists them.
    fn ports(&self) -> Vec<u16> {
        let table = fs::read_to_string("/proc/net/udp").expect("Linux");
        let remote = format!("0100007F:{:04X}", self.port);
        let to_server = table.lines().filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, to) = (fields.next()?, fields.next()?);
            let port = local.rsplit_once(':')?.1;
            (to == remote).then(|| u16::from_str_radix(port, 16).ok())?
        });
        to_server.collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Answers each query over TCP. Ends with the process.
fn over_tcp(listener: &TcpListener) {
    use std::io::{Read as _, Write as _};
    for mut stream in listener.incoming().map_while(Result::ok) {
        thread::spawn(move || {
            let mut len = [0; 2];
            while stream.read_exact(&mut len).is_ok() {
                let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
                if stream.read_exact(&mut query).is_err() {
                    return;
                }
                let reply = reply(&query);
                let framed = [
                    &u16::try_from(reply.len()).expect("short").to_be_bytes(),
                    &*reply,
                ]
                .concat();
                if stream.write_all(&framed).is_err() {
                    return;
                }
            }
        });
    }
}

/// The address that dnsgate answers, after `meanwhile`.
fn asked(dnsgate: &Running, name: &str, meanwhile: impl FnOnce()) -> [u8; 4] {
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    client.set_read_timeout(Some(SOON)).expect("a socket");
    let query = message(7, name, None);
    client
        .send_to(&query, ("127.0.0.1", dnsgate.port))
        .expect("sent");
    meanwhile();
    let mut packet = [0; 512];
    let len = client.recv(&mut packet).expect("an answer");
    *packet[..len].last_chunk().expect("an address")
}

/// How many of the attacked questions got the forged address.
fn believed(spoofable: bool) -> usize {
    let server = Server::start();
    let config = format!(
        "workers: 1\ncache: {{size: 0}}\nlimits: {{drain: 0s}}\n\
         upstreams: {{one: {{servers: [\"udp://127.0.0.1:{}\"]}}}}\n\
         rules: [{{name: theirs, domains: [.dnsgate-test.example], forward: one}}]\n",
        server.port
    );
    let dnsgate = Running::start_with("127.0.0.1", |dir, command| {
        fs::write(dir.join("gate.yaml"), &config).expect("room");
        command.arg("--config").arg(dir.join("gate.yaml"));
        if spoofable {
            command.env("DNSGATE_SPOOFABLE", "yes");
        }
    });
    let mut believed = 0;
    for number in 0..QUESTIONS {
        let own = asked(
            &dnsgate,
            &format!("own-{number}.dnsgate-test.example"),
            || {},
        );
        assert_eq!(own, TRUE);
        let last = server.seen.recv_timeout(SOON).expect("his query");
        let name = format!("victim-{number}.dnsgate-test.example");
        let flood = || {
            server.asked.recv_timeout(SOON).expect("the query");
            let ports = server.ports();
            assert!(!ports.is_empty(), "he knows the ports");
            for guess in 0..GUESSES {
                // The next numbers first, then numbers from everywhere.
                let id = match guess {
                    0..8 => last.wrapping_add(guess + 1),
                    _ => guess.wrapping_mul(40_503).wrapping_add(number),
                };
                let forged = message(id, &name, Some(FORGED));
                for &port in &ports {
                    let _ = server.socket.send_to(&forged, ("127.0.0.1", port));
                }
            }
            server.go_on.send(()).expect("it runs");
        };
        believed += usize::from(asked(&dnsgate, &name, flood) == FORGED);
    }
    if !spoofable {
        // Each question went to TCP as soon as a guess had met its socket.
        assert!(dnsgate.metric("dnsgate_upstream_forged_total") >= u64::from(QUESTIONS));
    }
    believed
}

#[test]
fn attacker_who_knows_all_ports_never_succeeds() {
    assert_eq!(believed(false), 0);
}

#[test]
fn attacker_succeeds_against_one_port_and_ids_that_count() {
    assert_eq!(believed(true), usize::from(QUESTIONS));
}
