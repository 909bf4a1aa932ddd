//! Servers that do as they are told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
};

/// The bytes of header and question of a [`question`](super::question)'s query.
const QUESTION: usize = 12 + 33 + 14 + 9 + 4;

/// A query's answer: one address.
pub(super) fn answer(query: &[u8]) -> Vec<u8> {
    let mut reply = error(query, 0);
    reply[7] = 1;
    reply.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x05");
    reply
}

/// A query's reply without records.
pub(super) fn error(query: &[u8], rcode: u8) -> Vec<u8> {
    let mut reply = query[..QUESTION].to_vec();
    reply[2..12].copy_from_slice(&[0x81, 0x80 | rcode, 0, 1, 0, 0, 0, 0, 0, 0]);
    reply
}

/// A header without the question.
pub(super) fn bare(query: &[u8], rcode: u8) -> Vec<u8> {
    with(error(query, rcode), |reply| {
        reply.truncate(12);
        reply[5] = 0;
    })
}

/// A reply with something of it changed.
pub(super) fn with(mut reply: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut reply);
    reply
}

/// A task that ends with the test.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(tokio::spawn(task))
}

/// A query, and where it came from.
type Seen = (Vec<u8>, SocketAddr);

/// A server of datagrams.
pub(super) struct Udp {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _task: Task,
}

impl Udp {
    /// Sends, to the query of this number, what `script` says.
    pub(super) async fn serve<S>(script: S) -> Self
    where
        S: Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        Self::on(socket, script)
    }

    pub(super) fn on<S>(socket: UdpSocket, script: S) -> Self
    where
        S: Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let address = socket.local_addr().expect("bound");
        let noted = Arc::clone(&seen);
        let task = spawn(async move {
            let mut packet = vec![0; 4096];
            for number in 0.. {
                let Ok((len, client)) = socket.recv_from(&mut packet).await else {
                    continue;
                };
                noted
                    .lock()
                    .expect("no panic")
                    .push((packet[..len].to_vec(), client));
                for reply in script(number, &packet[..len]) {
                    let _ = socket.send_to(&reply, client).await;
                }
            }
        });
        Self {
            address,
            seen,
            _task: task,
        }
    }

    /// The queries that came, and where from.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

/// A server of connections.
pub(super) struct Stream {
    pub(super) address: SocketAddr,
    connections: Arc<Mutex<usize>>,
    _task: Task,
}

impl Stream {
    /// Does, with the connection of this number, what `script` says.
    pub(super) async fn serve<S, F>(script: S) -> Self
    where
        S: Fn(usize, TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener, script)
    }

    pub(super) fn on<S, F>(listener: TcpListener, script: S) -> Self
    where
        S: Fn(usize, TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().expect("bound");
        let connections = Arc::new(Mutex::new(0));
        let count = Arc::clone(&connections);
        let task = spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.expect("a connection");
                *count.lock().expect("no panic") += 1;
                open.spawn(script(number, stream));
            }
        });
        Self {
            address,
            connections,
            _task: task,
        }
    }

    /// How many connections came.
    pub(super) fn connections(&self) -> usize {
        *self.connections.lock().expect("no panic")
    }
}

/// The next message of a stream; `None` at its end.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

/// Sends a message.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) {
    let mut framed = (message.len() as u16).to_be_bytes().to_vec();
    framed.extend(message);
    let _ = stream.write_all(&framed).await;
}

/// Answers all that comes on a stream.
pub(super) async fn answer_all(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    while let Some(query) = read(&mut stream).await {
        write(&mut stream, &answer(&query)).await;
    }
}
