//! A client that asks one server many questions at once, with a limit on the number under way.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    thread,
    time::Duration,
};

use super::wire::Question;

/// Questions under way at once. Their replies fit into a socket's buffer together, so that none is lost for want of
/// room there.
const WINDOW: usize = 48;
/// How long a reply may take before what is under way is asked again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often that may happen in a row.
const TRIES: usize = 15;

/// The reply to each question, in the order of the questions.
pub(crate) fn ask_all(server: SocketAddr, questions: &[Question]) -> Vec<Vec<u8>> {
    let numbered = questions.iter().enumerate();
    let (by_tcp, by_udp) = numbered.partition(|(_, question)| question.over_tcp);
    let mut replies = vec![Vec::new(); questions.len()];
    thread::scope(|scope| {
        let streamed = scope.spawn(move || over_tcp(server, by_tcp));
        for (at, reply) in over_udp(server, by_udp) {
            replies[at] = reply;
        }
        for (at, reply) in streamed.join().expect("the thread of TCP") {
            replies[at] = reply;
        }
    });
    replies
}

type Numbered<'q> = VecDeque<(usize, &'q Question)>;

/// The id of a question: no two in one window share it.
fn id(at: usize) -> u16 {
    (at % 65_536) as u16
}

fn over_udp(server: SocketAddr, mut waiting: Numbered<'_>) -> Vec<(usize, Vec<u8>)> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("an address");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut under_way: HashMap<u16, (usize, &Question)> = HashMap::new();
    let mut replies = Vec::new();
    let mut buffer = vec![0; 65_535];
    let mut tries = 0;
    while !(waiting.is_empty() && under_way.is_empty()) {
        while under_way.len() < WINDOW
            && let Some((at, question)) = waiting.pop_front()
        {
            socket.send(&question.packet(id(at))).expect("sent");
            under_way.insert(id(at), (at, question));
        }
        match socket.recv(&mut buffer) {
            Ok(len) => {
                // What comes twice, because it was asked again, is no longer under way.
                if let Some(&[high, low]) = buffer[..len].first_chunk()
                    && let Some((at, _)) = under_way.remove(&u16::from_be_bytes([high, low]))
                {
                    replies.push((at, buffer[..len].to_vec()));
                    tries = 0;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                tries += 1;
                let asked = under_way.values().next();
                assert!(tries <= TRIES, "{server} does not answer {asked:?}");
                for (&id, (_, question)) in &under_way {
                    socket.send(&question.packet(id)).expect("sent");
                }
            }
            Err(error) => panic!("udp://{server}: {error}"),
        }
    }
    replies
}

fn over_tcp(server: SocketAddr, mut waiting: Numbered<'_>) -> Vec<(usize, Vec<u8>)> {
    let mut stream = TcpStream::connect(server).expect("a connection");
    stream
        .set_read_timeout(Some(PATIENCE * TRIES as u32))
        .expect("a timeout");
    let mut under_way: HashMap<u16, usize> = HashMap::new();
    let mut replies = Vec::new();
    while !(waiting.is_empty() && under_way.is_empty()) {
        let mut batch = Vec::new();
        while under_way.len() < WINDOW
            && let Some((at, question)) = waiting.pop_front()
        {
            batch.extend(framed(&question.packet(id(at))));
            under_way.insert(id(at), at);
        }
        stream.write_all(&batch).expect("sent");
        let reply = read_framed(&mut stream).expect("a reply");
        let id = u16::from_be_bytes([reply[0], reply[1]]);
        let at = under_way.remove(&id).expect("a reply to what is under way");
        replies.push((at, reply));
    }
    replies
}

/// The reply to one question within a short time, if there is one.
pub(crate) fn ask_once(server: SocketAddr, question: &Question, wait: Duration) -> Option<Vec<u8>> {
    let packet = question.packet(1);
    if question.over_tcp {
        let mut stream = TcpStream::connect_timeout(&server, wait).ok()?;
        stream.set_read_timeout(Some(wait)).ok()?;
        stream.write_all(&framed(&packet)).ok()?;
        return read_framed(&mut stream).ok();
    }
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(wait)).ok()?;
    socket.send(&packet).ok()?;
    let mut reply = vec![0; 65_535];
    let len = socket.recv(&mut reply).ok()?;
    reply.truncate(len);
    Some(reply)
}

fn framed(packet: &[u8]) -> Vec<u8> {
    let len = u16::try_from(packet.len()).expect("a short packet");
    [&len.to_be_bytes(), packet].concat()
}

fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}
