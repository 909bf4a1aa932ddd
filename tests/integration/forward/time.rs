//! The one deadline of a query, and the log messages about servers meanwhile.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

use crate::{
    reply::Reply,
    running::{Running, installed},
};

/// A server over UDP that sends, to each query but probes, what `reply` makes of it, a while later. It
/// ends with the process of the test.
fn serve(reply: impl Fn(&[u8]) -> Vec<u8> + Send + 'static, after: Duration) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut packet = [0; 1232];
        while let Ok((len, from)) = socket.recv_from(&mut packet) {
            let query = &packet[..len];
            let is_probe = |label: &[u8]| label.eq_ignore_ascii_case(b"dnsgate-probe");
            let probe = query.windows(13).any(is_probe);
            let reply = if probe {
                answer(query, 3, &[])
            } else {
                reply(query)
            };
            let socket = socket.try_clone().expect("a descriptor");
            let after = if probe { Duration::ZERO } else { after };
            thread::spawn(move || {
                thread::sleep(after);
                // Whoever asked may be gone.
                let _ = socket.send_to(&reply, from);
            });
        }
    });
    address
}

/// The reply with this code, and one record if there are bytes of one.
fn answer(query: &[u8], code: u8, record: &[u8]) -> Vec<u8> {
    let end = query[12..].iter().position(|&len| len == 0);
    let question = &query[12..12 + end.expect("a name's end") + 5];
    let records = u8::from(!record.is_empty());
    let head = [0x81, 0x80 | code, 0, 1, 0, records, 0, 0, 0, 0];
    [&query[..2], &head[..], question, record].concat()
}

/// From a name of one letter below a zone of one letter to the next one in the other zone.
fn next_alias(query: &[u8]) -> Vec<u8> {
    let [letter, zone] = [query[13], query[15]].map(|letter| letter.to_ascii_lowercase());
    let target = [1, letter + 1, 1, zone ^ 3, 7];
    let target = [&target[..], b"example\0"].concat();
    let fixed = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 0, 0, target.len() as u8];
    answer(query, 0, &[&fixed[..], &target].concat())
}

#[test]
fn query_has_one_deadline_for_all_its_upstreams() {
    if !installed(&["dig"]) {
        return;
    }
    const DEADLINE: Duration = Duration::from_millis(1000);
    let servers = [(); 2].map(|()| serve(next_alias, DEADLINE * 9 / 10));
    let dnsgate = Running::start(&format!(
        "google_apis: {{ vip: off }}
upstreams:
  one: {{ servers: [\"udp://{}\"] }}
  two: {{ servers: [\"udp://{}\"] }}
rules:
  - {{ name: one, domains: [.a.example], forward: one, cname: any }}
  - {{ name: two, domains: [.b.example], forward: two, cname: any }}
limits: {{ upstream_timeout: {}ms }}
",
        servers[0],
        servers[1],
        DEADLINE.as_millis()
    ));
    let printed = dnsgate.dig("a.a.example");
    let took = printed
        .lines()
        .find_map(|line| line.strip_prefix(";; Query time: ")?.strip_suffix(" msec"));
    let took: u64 = took.and_then(|ms| ms.parse().ok()).expect("dig says it");
    let took = Duration::from_millis(took);
    let reply = Reply::read(&printed);
    assert_eq!(reply.status, "SERVFAIL", "{printed}");
    assert!(
        reply.ede.ends_with("no server answered in time"),
        "{printed}"
    );
    // Each upstream takes nine tenths of it, and there would be several.
    assert!(took < DEADLINE * 2, "{took:?}");
    // That there was no time left for it says nothing of the second name: it is asked for anew.
    let printed = dnsgate.dig("b.b.example");
    assert!(Reply::read(&printed).ede.starts_with("22 "), "{printed}");
}

#[test]
fn server_is_logged_as_up_only_after_it_was_down() {
    if !installed(&["dig"]) {
        return;
    }
    // What it says does not fit, and TCP is closed.
    let truncated = |query: &[u8]| {
        let mut reply = answer(query, 0, &[]);
        reply[2] |= 2;
        reply
    };
    let server = serve(truncated, Duration::ZERO);
    let dnsgate = Running::start(&format!(
        "google_apis: {{ vip: off }}
upstreams: {{ corp: {{ servers: [\"udp://{server}\"] }} }}
rules: [{{ name: corp, domains: [.corp.example], forward: corp }}]
limits: {{ drain: 0s }}
"
    ));
    for number in 0..10 {
        let printed = dnsgate.dig(&format!("n{number}.corp.example"));
        let reply = Reply::read(&printed);
        let ede = "22 (No Reachable Authority): the server refuses connections: its port is closed";
        assert_eq!(
            (&*reply.status, &*reply.ede),
            ("SERVFAIL", ede),
            "{printed}"
        );
    }
    dnsgate.signal("TERM");
    let (_, lines) = dnsgate.ended();
    let said = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!(said("an upstream's server answers"), 0, "{lines:#?}");
    assert_eq!(
        said("a query to an upstream's server failed"),
        1,
        "{lines:#?}"
    );
    assert_eq!(said("server is down"), 0, "{lines:#?}");
}
