//! A crowd at the admin port: connections that send nothing or half a request come as fast as they are closed. The health pages
//! answer all the same, and queries are not affected.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::{
    gate::Gate,
    load::{Load, OWN, PATIENCE, ZONES, lasting},
};

/// The besiegers, each with one connection at a time.
const BESIEGERS: usize = 64;
/// How long one of them waits with a connection that is not closed.
const HOLD: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

/// Ends the siege with the test, however that ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection to the admin port with half a request, or without a word.
fn besiege(number: usize, admin: SocketAddr) -> Option<TcpStream> {
    let last = u8::try_from(90 + number % 4).ok()?;
    let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.bind(&source.into()).ok()?;
    socket.connect_timeout(&admin.into(), PATIENCE).ok()?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(HOLD)).ok()?;
    if number.is_multiple_of(2) {
        stream.write_all(b"GET /readyz HTTP/1.1\r\nX: ").ok()?;
    }
    Some(stream)
}

#[test]
fn crowd_at_the_admin_port_costs_no_query() {
    let config = format!(
        "google_apis: {{ vip: off }}\nlog: {{ queries: none }}\ncache: {{ size: 1MiB }}\n{ZONES}"
    );
    let gate = Gate::start(&config);
    let admin = gate.running.admin;
    let load = Load::both(gate.port(), OWN);
    let (over, opened) = (AtomicBool::new(false), AtomicU64::new(0));
    let asked = thread::scope(|scope| {
        let over = Over(&over);
        for number in 0..BESIEGERS {
            let (ended, opened) = (over.0, &opened);
            scope.spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    if let Some(stream) = besiege(number, admin) {
                        opened.fetch_add(1, Ordering::Relaxed);
                        // Until it is closed, or for a while.
                        let _ = stream.peek(&mut [0; 1]);
                    }
                }
            });
        }
        let (began, mut asked) = (Instant::now(), 0);
        while began.elapsed() < lasting() {
            for page in ["/readyz", "/livez"] {
                let (status, body) = gate.running.get(page);
                assert_eq!(status, 200, "{page}: {body}");
                asked += 1;
            }
            thread::sleep(LOOK);
        }
        asked
    });
    let tally = load.stop();
    let opened = opened.into_inner();
    assert!(
        opened > BESIEGERS as u64,
        "{opened} connections are no siege"
    );
    let note = format!("{opened} connections that said nothing, {asked} of {asked} health pages");
    gate.holds("the admin port under siege", &tally, &note);
}
