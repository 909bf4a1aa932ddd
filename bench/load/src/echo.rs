//! The server that does nothing: it sends each query back in the size of a real reply. Its cost is
//! the kernel's cost.
//!
//! It receives and sends as dnsgate does: one thread, one socket, batches of the same size, one
//! system call in and one out. The file has the size of the reply to each question, in the order
//! of the generator's questions; like the generator, the echo identifies a question by its id.

use std::{fs, net::UdpSocket, time::Duration, time::Instant};

use anyhow::{Context as _, ensure};

use super::{
    args::Args,
    batch::{Batch, DATAGRAM, Wait},
    questions,
};

/// Datagrams per system call: as many as in dnsgate.
const BATCH: usize = 32;
/// How often the server checks whether the time is up.
const LOOK: Duration = Duration::from_millis(250);

/// Serves until the time is up, or a signal comes.
pub(crate) fn serve(args: &Args) -> anyhow::Result<()> {
    let text = fs::read_to_string(&args.file).context("the sizes")?;
    let sizes: Vec<usize> = text
        .lines()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("the sizes")?;
    ensure!(
        sizes.len().is_power_of_two() && sizes.iter().all(|&size| size <= DATAGRAM),
        "the sizes are not a power of two, or one is too large"
    );
    let mask = sizes.len() - 1;
    let socket = UdpSocket::bind(args.server).context("no socket")?;
    socket.set_read_timeout(Some(LOOK))?;
    let mut batch = Batch::new(BATCH, true);
    let mut lengths = Vec::with_capacity(BATCH);
    let began = Instant::now();
    while began.elapsed() < args.time {
        let Ok(received) = batch.receive(&socket, Wait::ForOne) else {
            continue;
        };
        lengths.clear();
        for at in 0..received {
            let Some((query, reply)) = batch.pair(at) else {
                continue;
            };
            let size = questions::id(query).and_then(|id| sizes.get(usize::from(id) & mask));
            if let Some(head) = reply.get_mut(..query.len()) {
                head.copy_from_slice(query);
            }
            if let Some(flags) = reply.get_mut(2) {
                *flags |= 0x80;
            }
            lengths.push(size.copied().unwrap_or(query.len()));
        }
        let _ = batch.send(&socket, &lengths);
    }
    Ok(())
}
