//! The load: clients that send at a steady pace and check whether each query is answered, once, and with what.
//!
//! A client has a limited number of queries under way, so that no kernel buffer overflows: a reply that it misses was lost by
//! the server. Every name has a number that no other query of the process has.

use std::{
    collections::HashMap,
    env,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    tally::Tally,
    wire::{framed, question, seen},
};

/// A reply that takes longer is lost. A stub resolver waits 5 s; the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Clients over UDP.
const CLIENTS: usize = 2;
/// How often each of them sends, and how many queries at a time: 500 a second, which a busy machine can bear.
const TICK: Duration = Duration::from_millis(4);
const BURST: usize = 2;
/// The pause of the client over TCP between two connections.
const CALL: Duration = Duration::from_millis(20);
/// As many of a client's queries may be in flight: some dozen kilobytes.
const WINDOW: usize = 100;
/// How long is listened for a second reply when every query has its first.
const AFTERMATH: Duration = Duration::from_millis(100);

/// The names of all queries have their numbers from here.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What is asked, and what may be said to it.
#[derive(Clone, Copy)]
pub(crate) struct Questions {
    /// The name for a number, which is part of it.
    pub(crate) name: fn(u64) -> String,
    /// What a reply says, given the name and the reply as [`seen`]; `None` if it must not say that.
    pub(crate) judge: fn(&str, &str) -> Option<&'static str>,
}

/// Names of a zone, and names that are denied: what needs no upstream.
pub(crate) const OWN: Questions = Questions {
    name: |number| match number % 2 {
        0 => format!("q{number}.any.zone.test"),
        _ => format!("q{number}.denied.test"),
    },
    judge: |name, seen| match seen {
        "NOERROR 60 A 10.0.0.1" if name.ends_with(".any.zone.test") => Some("answered"),
        "REFUSED" if name.ends_with(".denied.test") => Some("denied"),
        _ => None,
    },
};
/// The zone of [`OWN`], as the only entry of `zones`.
pub(crate) const ZONES: &str =
    "zones: [{ origin: zone.test, records: [\"*.any 60 IN A 10.0.0.1\"] }]\n";

/// How long each kind of weather lasts, where it has no end of its own: `DNSGATE_CHAOS_SECONDS`, or a little.
pub(crate) fn lasting() -> Duration {
    let seconds = env::var("DNSGATE_CHAOS_SECONDS").ok();
    let seconds = seconds.map_or(3, |text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
}

/// A load that runs.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Tally>>,
}

impl Load {
    /// Clients over UDP.
    pub(crate) fn udp(port: u16, questions: Questions) -> Self {
        Self::udp_in_flight(port, questions, CLIENTS * WINDOW)
    }

    /// Clients over UDP that together have at most so many queries in flight, on a slow machine too.
    pub(crate) fn udp_in_flight(port: u16, questions: Questions, most: usize) -> Self {
        Self::start(
            &[by_datagram as Client; CLIENTS],
            port,
            questions,
            most / CLIENTS,
        )
    }

    /// The same, and one that opens a connection for each query.
    pub(crate) fn both(port: u16, questions: Questions) -> Self {
        let mut clients = vec![by_connection as Client];
        clients.resize(1 + CLIENTS, by_datagram);
        Self::start(&clients, port, questions, WINDOW)
    }

    fn start(clients: &[Client], port: u16, questions: Questions, window: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let spawn = |&client: &Client| {
            let over = Arc::clone(&over);
            thread::spawn(move || client(server, questions, window, &over))
        };
        let clients = clients.iter().map(spawn).collect();
        Self { over, clients }
    }

    /// Sends no more, waits for the replies to what was sent, and tells.
    pub(crate) fn stop(self) -> Tally {
        self.over.store(true, Ordering::Relaxed);
        let tallies = self
            .clients
            .into_iter()
            .map(|it| it.join().expect("counted"));
        tallies.fold(Tally::default(), Tally::and)
    }
}

/// Asks until it is over, or the server gone.
type Client = fn(SocketAddr, Questions, usize, &AtomicBool) -> Tally;

/// Queries under way over UDP.
struct Datagrams {
    socket: UdpSocket,
    questions: Questions,
    /// The most queries in flight.
    window: usize,
    waiting: HashMap<u16, (String, Instant)>,
    tally: Tally,
}

fn by_datagram(
    server: SocketAddr,
    questions: Questions,
    window: usize,
    over: &AtomicBool,
) -> Tally {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(server).expect("connected");
    socket.set_nonblocking(true).expect("set");
    let mut client = Datagrams {
        socket,
        questions,
        window,
        waiting: HashMap::new(),
        tally: Tally::default(),
    };
    while !over.load(Ordering::Relaxed) && !client.tally.closed {
        for _ in 0..BURST {
            client.send();
        }
        client.receive();
        thread::sleep(TICK);
    }
    while !client.waiting.is_empty() {
        client.receive();
        thread::sleep(TICK);
    }
    thread::sleep(AFTERMATH);
    client.receive();
    client.tally
}

impl Datagrams {
    fn send(&mut self) {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = (number & 0xffff) as u16;
        if self.waiting.len() >= self.window || self.waiting.contains_key(&id) {
            return;
        }
        let name = (self.questions.name)(number);
        let packet = question(id, &name);
        let now = Instant::now();
        match self.socket.send(&packet) {
            Ok(_) => {
                self.tally.sent += 1;
                self.waiting.insert(id, (name, now));
            }
            // What is reported here is that an earlier one came too late.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => self.tally.closed = true,
            Err(error) => panic!("a query is not sent: {error}"),
        }
    }

    /// Takes what has come, and gives up what has not.
    fn receive(&mut self) {
        let mut reply = [0; 4096];
        loop {
            match self.socket.recv(&mut reply) {
                Ok(len) => self.take(&reply[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    self.tally.closed = true;
                }
                Err(_) => break,
            }
        }
        // Where nobody listens any more, nothing will come.
        let patience = if self.tally.closed {
            AFTERMATH
        } else {
            PATIENCE
        };
        let unanswered = &mut self.tally.unanswered;
        self.waiting.retain(|_, (_, sent)| {
            let waits = sent.elapsed() < patience;
            if !waits {
                unanswered.push(*sent);
            }
            waits
        });
    }

    fn take(&mut self, reply: &[u8]) {
        let id = reply.first_chunk().map(|&id| u16::from_be_bytes(id));
        let waiting = id.and_then(|id| self.waiting.get(&id).map(|(name, _)| (id, name)));
        let Some((id, line)) = waiting.and_then(|(id, name)| Some((id, seen(name, reply)?))) else {
            self.tally.stray += 1;
            return;
        };
        if let Some((name, sent)) = self.waiting.remove(&id) {
            self.tally.took(sent.elapsed());
            let said = (self.questions.judge)(&name, &line);
            self.tally.count(&name, &line, said);
        }
    }
}

fn by_connection(server: SocketAddr, questions: Questions, _: usize, over: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    while !over.load(Ordering::Relaxed) && !tally.closed {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = (questions.name)(number);
        let sent = Instant::now();
        tally.sent += 1;
        match over_tcp(server, &name) {
            Ok(reply) => {
                tally.took(sent.elapsed());
                match seen(&name, &reply) {
                    Some(line) => tally.count(&name, &line, (questions.judge)(&name, &line)),
                    None => tally.stray += 1,
                }
            }
            Err(error) => {
                tally.unanswered.push(sent);
                tally.closed = error.kind() == ErrorKind::ConnectionRefused;
            }
        }
        thread::sleep(CALL);
    }
    tally
}

/// Asks one question over a connection of its own.
pub(crate) fn over_tcp(server: SocketAddr, name: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&framed(7, name))?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

/// Asks one question over UDP: the reply as [`seen`].
pub(crate) fn ask(port: u16, name: &str) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(("127.0.0.1", port)).expect("connected");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket.send(&question(7, name)).expect("sent");
    let mut reply = [0; 4096];
    let len = socket.recv(&mut reply).expect("a reply");
    seen(name, &reply[..len]).expect("a reply to this question")
}
