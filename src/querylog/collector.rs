//! A log collector behind a Unix stream socket, such as Vector's source `socket` in mode
//! `unix_stream`, one line per message.
//!
//! The collector may start after dnsgate, stop and return. dnsgate connects when there is something
//! to write, with a delay of up to [`LONGEST`]. Lines that the collector had not read when it
//! stopped are lost without being counted.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::clock::monotonic;

/// The first delay before a retry if nobody listened on the socket. It doubles each time.
const SHORTEST: Duration = Duration::from_millis(100);
/// The maximum delay: how long a collector's restart can affect the log beyond its own duration.
const LONGEST: Duration = Duration::from_secs(5);
/// Timeout of a write, or of a connect. A collector that reads nothing for this long is stuck; the
/// lines are dropped to empty the queue.
const PATIENCE: Duration = Duration::from_secs(1);

/// The connection to a collector.
pub(crate) struct Collector {
    path: PathBuf,
    socket: Option<Socket>,
    /// Time of the next attempt, if the last one failed.
    next: Option<Instant>,
    wait: Duration,
}

impl Collector {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            socket: None,
            next: None,
            wait: SHORTEST,
        }
    }

    /// Connects if there is no connection. Returns whether it connected.
    pub(crate) fn connect(&mut self) -> io::Result<bool> {
        if self.socket.is_some() {
            return Ok(false);
        }
        if self.next.is_some_and(|next| monotonic() < next) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        match open(&self.path) {
            Ok(socket) => {
                self.socket = Some(socket);
                (self.next, self.wait) = (None, SHORTEST);
                Ok(true)
            }
            Err(error) => {
                self.next = monotonic().checked_add(self.wait);
                self.wait = LONGEST.min(self.wait * 2);
                Err(error)
            }
        }
    }

    /// Drops the connection. Returns whether there was one.
    pub(crate) fn leave(&mut self) -> bool {
        self.socket.take().is_some()
    }
}

impl Write for Collector {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let socket = self.socket.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        socket.write(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                io::Error::new(io::ErrorKind::TimedOut, "whoever listens does not read")
            }
            _ => error,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Also applies to connect(2), which blocks while the listener's backlog is full.
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        os::unix::net::UnixListener,
    };

    use super::*;

    #[test]
    fn it_waits_longer_and_longer_but_not_for_ever() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut collector = Collector::new(&dir.path().join("none"));
        let mut waits = Vec::new();
        for _ in 0..8 {
            collector.next = None;
            assert!(collector.connect().is_err());
            waits.push(collector.wait.as_millis());
        }
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        let soon = collector.connect().expect_err("too early");
        assert_eq!(soon.kind(), io::ErrorKind::NotConnected);
    }

    #[test]
    fn a_connection_that_is_gone_is_replaced_within_a_write() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("c.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        let to = dnsgate_config::LogOutput::Unix(path);
        let mut output = super::super::output::Output::open(&to)
            .expect("opened")
            .expect("its own");
        for line in ["one\n", "two\n"] {
            let written = output.write(line.as_bytes());
            assert_eq!(written.lost, 0, "{:?}", written.fault);
            let (stream, _) = listener.accept().expect("it came");
            let mut read = String::new();
            BufReader::new(stream).read_line(&mut read).expect("a line");
            assert_eq!(read, line);
        }
    }
}
