//! Messages with two bytes of length before each, many in flight, answered in any order (RFC 7766
//! section 6.2.1.1).
//!
//! Reading and writing wait side by side: a server that writes before it reads on is read from
//! while we have something to write.

use std::{collections::HashMap, io, pin::pin, time::Duration};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    sync::{mpsc, oneshot},
    time::{self, Instant},
};

use super::{
    connection_state::{ConnectionState, IDLE, StreamRequest},
    reply::{Reply, TransportFault},
    reporter::ServerReporter,
};
use dnsgate_core::dns::upstream_query;

/// Bytes read ahead: most replies with their length in one system call.
const READ_AHEAD: usize = 4096;
/// How long is waited for what a server had sent before it stopped reading. It is here already, or
/// on its way.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The questions on one connection.
#[derive(Default)]
struct Pipeline {
    asked: HashMap<u16, PendingQuery>,
    /// What is yet to be written.
    output: BytesMut,
    /// Whether all that was written has left: TLS keeps some back.
    flushed: bool,
}

struct PendingQuery {
    query: Vec<u8>,
    since: Instant,
    reply: oneshot::Sender<Result<Reply, TransportFault>>,
}

/// Serves the questions of `requests`, until the connection is lost, idle, or nobody's any longer.
/// What is dropped with it is lost, which is how those who wait are told.
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
    loop {
        // Each of these loses nothing when another one is first.
        tokio::select! {
            request = requests.recv() => {
                let Some(request) = request else { return };
                idle.as_mut().reset(Instant::now() + IDLE);
                pipeline.add(request, state.places());
            }
            read = reader.read_buf(&mut input) => {
                let Ok(1..) = read else { return };
                pipeline.answer_all(&mut input, state, reporter);
            }
            written = write(&mut writer, &mut pipeline.output), if !pipeline.is_written() => {
                let Ok(flushed) = written else { break };
                pipeline.flushed = flushed;
            }
            () = &mut idle => {
                if pipeline.is_idle() {
                    return;
                }
                idle.as_mut().reset(Instant::now() + IDLE);
            }
        }
    }
    // The server reads no more, but what it had answered before counts.
    requests.close();
    let end = Instant::now() + LAST_WORDS;
    while let Ok(Ok(1..)) = time::timeout_at(end, reader.read_buf(&mut input)).await {
        pipeline.answer_all(&mut input, state, reporter);
    }
}

/// Takes a whole message off the input.
fn next_message(input: &mut BytesMut) -> Option<Vec<u8>> {
    let (length, rest) = input.split_first_chunk::<2>()?;
    let message = rest
        .get(..usize::from(u16::from_be_bytes(*length)))?
        .to_vec();
    input.advance(2 + message.len());
    Some(message)
}

/// Writes some of the output, or flushes when all is written. Returns whether that was done.
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
    /// Whether there is nothing to write, nor to flush.
    fn is_written(&self) -> bool {
        self.output.is_empty() && self.flushed
    }

    /// Takes a question, under an id of its own. As many as `places` wait for an answer at most.
    fn add(&mut self, request: StreamRequest, places: usize) {
        let StreamRequest { mut query, reply } = request;
        // Those that nobody waits for keep their ids, so that late replies are not taken for those
        // to other questions; up to a point.
        if self.asked.len() >= 2 * places {
            self.asked.retain(|_, asked| !asked.reply.is_closed());
        }
        // There are twice as many ids as questions, and as many again, at least.
        let id = loop {
            let id: u16 = rand::random();
            if !self.asked.contains_key(&id) {
                break id;
            }
        };
        let Some(head) = query.first_chunk_mut::<2>() else {
            return;
        };
        *head = id.to_be_bytes();
        // A query is some three hundred bytes at most.
        self.output
            .extend_from_slice(&(query.len() as u16).to_be_bytes());
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

    /// Hands each whole message to the question that it answers.
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

    /// Hands a message to the question that it answers.
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
        let rtt = asked.since.elapsed();
        let message = upstream_query::with_question(message, &asked.query);
        let _ = asked.reply.send(Ok(Reply { message, rtt }));
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
    async fn it_ends_when_nobody_has_asked_for_a_while() {
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
    async fn it_reads_while_it_cannot_write() {
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
