//! The command line, parsed by hand: its only user is a script.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use anyhow::{Context as _, bail, ensure};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Serve.
    Echo,
    /// Ask over UDP.
    Udp,
    /// Ask over TCP.
    Tcp,
    /// Serve as the upstream of forwarders.
    Upstream,
}

/// The longest run.
const MAX_TIME: Duration = Duration::from_secs(3600);
/// The most sockets or connections at a time.
const MAX_SOCKETS: usize = 64;
/// The most queries without an answer, per socket.
const MAX_WINDOW: usize = 1024;
/// The longest delay of the upstream.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// The most queries of one run.
const MAX_COUNT: u64 = 100_000_000;

/// The arguments.
#[derive(Debug)]
pub(crate) struct Args {
    /// What to do.
    pub(crate) verb: Verb,
    /// The server's address, a loopback address.
    pub(crate) server: SocketAddr,
    /// The file of questions; for the echo the sizes of the replies; none for the upstream.
    pub(crate) file: PathBuf,
    /// How long the run lasts.
    pub(crate) time: Duration,
    /// After how many queries the run ends, if that is earlier.
    pub(crate) count: u64,
    /// Queries per second; `None` for as fast as the answers come.
    pub(crate) rate: Option<u32>,
    /// Sockets, or connections at a time.
    pub(crate) sockets: usize,
    /// Queries that wait for their answers, per socket.
    pub(crate) window: usize,
    /// Whether to keep one TCP connection.
    pub(crate) keep: bool,
    /// The number of this run, if no name may be asked for twice, in this run or in others.
    pub(crate) fresh: Option<u32>,
    /// How long the upstream waits before it replies.
    pub(crate) delay: Duration,
}

impl Args {
    /// Reads `VERB ADDRESS [FILE] [--option value]…`.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let usage = "load udp|tcp|echo ADDRESS:PORT FILE [--seconds N] [--count N] [--rate N] \
                     [--sockets N] [--window N] [--keep] [--fresh N], or \
                     load upstream ADDRESS:PORT [--seconds N] [--delay-ms N]";
        let mut next = || words.next().context(usage);
        let verb = match next()?.as_str() {
            "echo" => Verb::Echo,
            "udp" => Verb::Udp,
            "tcp" => Verb::Tcp,
            "upstream" => Verb::Upstream,
            _ => bail!(usage),
        };
        let mut args = Self {
            verb,
            server: next()?.parse().context(usage)?,
            file: match verb {
                Verb::Upstream => PathBuf::new(),
                _ => next()?.into(),
            },
            time: Duration::from_secs(1),
            count: MAX_COUNT,
            rate: None,
            sockets: 4,
            window: 48,
            keep: false,
            fresh: None,
            delay: Duration::ZERO,
        };
        while let Some(option) = words.next() {
            let value = &mut words;
            match option.as_str() {
                "--seconds" => args.time = Duration::try_from_secs_f64(number(&option, value)?)?,
                "--count" => args.count = number(&option, value)?,
                "--rate" => args.rate = Some(number(&option, value)?),
                "--sockets" => args.sockets = number(&option, value)?,
                "--window" => args.window = number(&option, value)?,
                "--keep" => args.keep = true,
                "--fresh" => args.fresh = Some(number(&option, value)?),
                "--delay-ms" => args.delay = Duration::from_millis(number(&option, value)?),
                _ => bail!("{option}? {usage}"),
            }
        }
        args.check()
    }

    fn check(self) -> anyhow::Result<Self> {
        ensure!(
            self.server.ip().is_loopback(),
            "{} is not this machine's loopback: nothing else is ever addressed",
            self.server
        );
        ensure!(self.time <= MAX_TIME, "at most {MAX_TIME:?}");
        ensure!(self.count <= MAX_COUNT, "at most {MAX_COUNT} queries");
        ensure!((1..=MAX_SOCKETS).contains(&self.sockets), "--sockets");
        ensure!((1..=MAX_WINDOW).contains(&self.window), "--window");
        ensure!(self.rate != Some(0), "--rate");
        ensure!(self.delay <= MAX_DELAY, "at most {MAX_DELAY:?}");
        Ok(self)
    }
}

fn number<T: FromStr>(option: &str, words: &mut impl Iterator<Item = String>) -> anyhow::Result<T> {
    words
        .next()
        .and_then(|word| word.parse().ok())
        .with_context(|| format!("{option} wants a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> anyhow::Result<Args> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn only_this_machine_and_only_for_a_time() {
        for (line, fine) in [
            ("udp 127.0.0.1:5300 q", true),
            ("udp [::1]:5300 q --rate 1000 --seconds 0.5", true),
            ("udp 192.0.2.1:53 q", false),
            ("echo 0.0.0.0:53 q", false),
            ("udp 127.0.0.1:5300 q --seconds 4000", false),
            ("udp 127.0.0.1:5300 q --window 70000", false),
            ("udp 127.0.0.1:5300 q --sockets 0", false),
            ("udp 127.0.0.1:5300 q --rate", false),
            ("udp 127.0.0.1:5300", false),
            ("upstream 127.0.0.1:5300 --delay-ms 20", true),
            ("upstream 127.0.0.1:5300 --delay-ms 2000", false),
            ("dig 127.0.0.1:5300 q", false),
        ] {
            assert_eq!(parse(line).is_ok(), fine, "{line}");
        }
    }
}
