//! Messages with a two-byte length prefix, many in flight, answered in any order (RFC 7766 section
//! 6.2.1.1).
//!
//! Reads and writes wait concurrently, so a server that writes before it reads does not block the
//! connection.

use std::{collections::HashMap, io, pin::pin, time::Duration};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    sync::{mpsc, oneshot},
    time::{self, Instant},
};

use super::{
    connection_state::{ConnectionState, IDLE, StreamRequest, idle_for},
    reply::{Reply, TransportFault},
    reporter::ServerReporter,
};
use dnsgate_core::dns::upstream_query::{self, stream_options};

/// Read-ahead in bytes: enough to read most replies with their length in one system call.
const READ_AHEAD: usize = 4096;
/// How long to wait for replies that a server sent before it stopped reading.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The queries on one connection.
struct Pipeline {
    asked: HashMap<u16, PendingQuery>,
    /// Bytes to be written.
    output: BytesMut,
    /// Whether all written bytes have been flushed; TLS buffers some.
    flushed: bool,
    /// How long the connection is kept without a query. Zero: the server wants no further query.
    idle: Duration,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            asked: HashMap::new(),
            output: BytesMut::new(),
            flushed: false,
            idle: IDLE,
        }
    }
}

struct PendingQuery {
    query: Vec<u8>,
    since: Instant,
    reply: oneshot::Sender<Result<Reply, TransportFault>>,
}

/// Serves `requests` until the connection is lost or idle, or nobody holds it. A request that is
/// dropped with it reports a lost connection to its caller.
pub(super) async fn serve<S>(
    stream: S,
    mut requests: mpsc::Receiver<StreamRequest>,
    state: &ConnectionState,
    reporter: &ServerReporter,
) where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = split(stream);
    let mut input = BytesMut::with_capacity(READ_AHEAD);
    let mut pipeline = Pipeline::default();
    let mut idle = pin!(time::sleep(IDLE));
    let mut used = Instant::now();
    loop {
        // Each of these futures is cancellation-safe. In this order, so that all queries that have
        // come leave together; the pool bounds their number.
        tokio::select! {
            biased;
            request = requests.recv(), if !pipeline.is_closing() => {
                let Some(request) = request else { return };
                used = Instant::now();
                pipeline.add(request, state.places());
                while let Ok(request) = requests.try_recv() {
                    pipeline.add(request, state.places());
                }
            }
            read = reader.read_buf(&mut input) => {
                let Ok(1..) = read else { return };
                let before = pipeline.idle;
                pipeline.answer_all(&mut input, state, reporter);
                if pipeline.idle != before {
                    idle.as_mut().reset(used + pipeline.idle);
                }
                if pipeline.is_closing() {
                    // Whoever waits in the queue learns that the connection is lost, and asks again.
                    requests.close();
                    while requests.try_recv().is_ok() {}
                    if pipeline.is_idle() {
                        return;
                    }
                }
            }
            written = write(&mut writer, &mut pipeline.output), if !pipeline.is_written() => {
                let Ok(flushed) = written else { break };
                pipeline.flushed = flushed;
            }
            () = &mut idle => {
                let now = Instant::now();
                let waited = now.duration_since(used);
                if waited >= pipeline.idle && pipeline.is_idle() {
                    return;
                }
                // Looks again when it may be over, also for queries that nobody waits for any more.
                let left = pipeline.idle.saturating_sub(waited);
                idle.as_mut().reset(now + if left.is_zero() { IDLE } else { left });
            }
        }
    }
    // The server no longer reads, but its earlier replies still count.
    requests.close();
    let end = Instant::now() + LAST_WORDS;
    while let Ok(Ok(1..)) = time::timeout_at(end, reader.read_buf(&mut input)).await {
        pipeline.answer_all(&mut input, state, reporter);
    }
}

/// Removes one complete message from the input.
fn next_message(input: &mut BytesMut) -> Option<Vec<u8>> {
    let (length, rest) = input.split_first_chunk::<2>()?;
    let message = rest
        .get(..usize::from(u16::from_be_bytes(*length)))?
        .to_vec();
    input.advance(2 + message.len());
    Some(message)
}

/// Writes some of the output, or flushes if all of it is written. Returns whether it flushed.
async fn write(writer: &mut (impl AsyncWrite + Unpin), output: &mut BytesMut) -> io::Result<bool> {
    if output.is_empty() {
        writer.flush().await?;
        return Ok(true);
    }
    match writer.write_buf(output).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(false),
    }
}

impl Pipeline {
    /// Whether there is nothing to write or to flush.
    fn is_written(&self) -> bool {
        self.output.is_empty() && self.flushed
    }

    /// Adds a query under an ID of its own. At most `places` queries wait for an answer.
    fn add(&mut self, request: StreamRequest, places: usize) {
        let StreamRequest { mut query, reply } = request;
        // Abandoned queries keep their IDs, so that late replies do not match other queries, but
        // only up to a limit.
        if self.asked.len() >= 2 * places {
            self.asked.retain(|_, asked| !asked.reply.is_closed());
        }
        // At most half of the 65536 IDs are in use, because a pipeline has at most 16384 slots.
        let id = loop {
            let id: u16 = rand::random();
            if !self.asked.contains_key(&id) {
                break id;
            }
        };
        // A query has about three hundred bytes at most.
        let Ok(length) = u16::try_from(query.len()) else {
            return;
        };
        let Some(head) = query.first_chunk_mut::<2>() else {
            return;
        };
        *head = id.to_be_bytes();
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output.extend_from_slice(&query);
        let since = Instant::now();
        self.asked.insert(
            id,
            PendingQuery {
                query,
                since,
                reply,
            },
        );
    }

    /// Delivers each complete message to the query that it answers.
    fn answer_all(
        &mut self,
        input: &mut BytesMut,
        state: &ConnectionState,
        reporter: &ServerReporter,
    ) {
        while let Some(message) = next_message(input) {
            state.heard();
            self.answer(message, state, reporter);
        }
    }

    /// Delivers a message to the query that it answers.
    fn answer(&mut self, message: Vec<u8>, state: &ConnectionState, reporter: &ServerReporter) {
        let id = message.first_chunk().map(|id| u16::from_be_bytes(*id));
        let question = id.filter(|id| {
            let asked = self.asked.get(id);
            asked.is_some_and(|asked| upstream_query::is_reply_to(&message, &asked.query))
        });
        let Some(asked) = question.and_then(|id| self.asked.remove(&id)) else {
            reporter.mismatch();
            return;
        };
        state.answered();
        if let Some(server) = stream_options::idle_timeout(&message) {
            self.idle = idle_for(server);
        }
        let rtt = asked.since.elapsed();
        let message = upstream_query::with_question(message, &asked.query);
        let _ = asked.reply.send(Ok(Reply { message, rtt }));
    }

    /// Whether the server has asked to close the connection.
    const fn is_closing(&self) -> bool {
        self.idle.is_zero()
    }

    fn is_idle(&mut self) -> bool {
        self.asked.retain(|_, asked| !asked.reply.is_closed());
        self.asked.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{DuplexStream, duplex};

    use super::*;
    use crate::upstream::{Observer, UpstreamEvent};
    use dnsgate_core::dns::{Name, RecordType, ServerFault};

    struct Deaf;

    impl Observer for Deaf {
        fn observe(&self, _: UpstreamEvent) {}

        fn trouble(&self, _: usize, _: Option<ServerFault>, _: &str) {}
    }

    fn query() -> Vec<u8> {
        let name: Name = "www.example".parse().expect("a name");
        upstream_query::encode(0, name.as_ref(), RecordType::A, false, false)
    }

    /// A connection with room for `room` bytes on the way, and the server's end of it.
    fn connection(room: usize) -> (mpsc::Sender<StreamRequest>, DuplexStream) {
        let (ours, theirs) = duplex(room);
        let (requests, queue) = mpsc::channel(512);
        tokio::spawn(async move {
            let reporter = ServerReporter::new(Arc::new(Deaf), 0);
            serve(ours, queue, &ConnectionState::new(512), &reporter).await;
        });
        (requests, theirs)
    }

    async fn request(
        requests: &mpsc::Sender<StreamRequest>,
    ) -> oneshot::Receiver<Result<Reply, TransportFault>> {
        let (reply, answer) = oneshot::channel();
        let request = StreamRequest {
            query: query(),
            reply,
        };
        requests.send(request).await.expect("it stands");
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_ends() {
        let (requests, _server) = connection(65_536);
        let begin = Instant::now();
        time::sleep(IDLE / 2).await;
        let waiting = request(&requests).await;
        time::sleep(IDLE * 3).await;
        assert!(!requests.is_closed(), "somebody waits");
        drop(waiting);
        requests.closed().await;
        assert!(begin.elapsed() < IDLE * 6);
    }

    #[tokio::test]
    async fn reads_while_it_cannot_write() {
        // A server that answers at once, and reads no further before it has.
        const MANY: usize = 100;
        let (requests, server) = connection(64);
        tokio::spawn(async move {
            let (mut reader, mut writer) = split(server);
            let mut message = vec![0; 2 + query().len()];
            while reader.read_exact(&mut message).await.is_ok() {
                message[4] |= 0x80;
                let _ = writer.write_all(&message).await;
            }
        });
        let mut answers = Vec::new();
        for _ in 0..MANY {
            answers.push(request(&requests).await);
        }
        for answer in answers {
            assert!(answer.await.expect("not lost").is_ok());
        }
    }
}
