//! How much of everything there may be: each limit with its default, its bounds and the reason.
//!
//! Nothing in dnsgate is unbounded, so what bounds it has a name here. A value out of bounds is an
//! error that tells the bounds, never a silent correction.

use std::{fmt, time::Duration};

pub use super::value::Bytes;

/// A limit's default and the range in which it may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound<T> {
    /// In force where the file says nothing.
    pub default: T,
    /// The least that may be set.
    pub least: T,
    /// The most that may be set.
    pub most: T,
}

impl<T: PartialOrd + Copy> Bound<T> {
    /// The value, if it is within bounds.
    ///
    /// # Errors
    /// [`OutOfBounds`], which tells them.
    pub fn check(self, value: T) -> Result<T, OutOfBounds<T>> {
        if value < self.least || value > self.most {
            return Err(OutOfBounds(self));
        }
        Ok(value)
    }
}

/// The value is outside the range in which it may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds<T>(Bound<T>);

impl<T: Bounded> fmt::Display for OutOfBounds<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bound {
            default,
            least,
            most,
        } = self.0;
        let (least, most, default) = (least.shown(), most.shown(), default.shown());
        write!(f, "must be from {least} to {most} (default {default})")
    }
}

/// A kind of value that has bounds, and how it is written in the file.
pub trait Bounded: Copy {
    /// The value as the file would have it.
    fn shown(self) -> String;
}

impl Bounded for usize {
    fn shown(self) -> String {
        self.to_string()
    }
}

impl Bounded for u32 {
    fn shown(self) -> String {
        self.to_string()
    }
}

impl Bounded for Duration {
    fn shown(self) -> String {
        match self.as_millis() {
            ms if ms % 1000 != 0 => format!("{ms}ms"),
            _ => seconds(self.as_secs()),
        }
    }
}

/// A span in the largest unit that it is a whole number of, minutes left out: `90s`, `1h`, `7d`.
pub(super) fn seconds(span: u64) -> String {
    match span {
        days if days > 0 && days % 86_400 == 0 => format!("{}d", days / 86_400),
        hours if hours > 0 && hours % 3_600 == 0 => format!("{}h", hours / 3_600),
        seconds => format!("{seconds}s"),
    }
}

/// TCP connections in all. One costs a task and its buffers, about 20 KiB: the default is 20 MiB,
/// the most is what file descriptors commonly allow. No official reference; RFC 7766 section 6.2.2
/// only asks for a limit.
pub const TCP_CONNECTIONS: Bound<usize> = Bound {
    default: 1_000,
    least: 1,
    most: 100_000,
};

/// TCP connections of one source address (RFC 7766 section 6.2.2). Not a handful: behind Cloud DNS
/// the whole VPC comes from few addresses of 35.199.192.0/19. Not all of [`TCP_CONNECTIONS`]: one
/// client must not keep the others out.
pub const TCP_CONNECTIONS_PER_CLIENT: Bound<usize> = Bound {
    default: 100,
    least: 1,
    most: 100_000,
};

/// How long a TCP connection may stay without a query. RFC 7766 section 6.2.3 recommends a few
/// seconds for a server under load, more is a courtesy.
pub const TCP_IDLE_TIMEOUT: Bound<Duration> = Bound {
    default: Duration::from_secs(10),
    least: Duration::from_millis(100),
    most: Duration::from_secs(300),
};

/// How long one message may take, from its first byte to its last, coming in or going out: a
/// sender of one byte a minute is never idle. Any client that means it needs far less than a
/// second; the default leaves room for lost segments.
pub const TCP_MESSAGE_TIMEOUT: Bound<Duration> = Bound {
    default: Duration::from_secs(5),
    least: Duration::from_millis(100),
    most: Duration::from_secs(60),
};

/// Queries of one TCP connection that wait for their answers (RFC 7766 section 6.2.1.1). Beyond
/// it the connection is not read, so that the client waits and our memory does not grow.
pub const TCP_PIPELINE: Bound<usize> = Bound {
    default: 100,
    least: 1,
    most: 10_000,
};

/// Bytes of replies that TCP clients have not read, over all connections, in this process's memory.
/// When there are more, the connection whose client has not read for longest is closed. The default is
/// some 500 of the longest replies; the least is room for a few. No official reference.
pub const TCP_UNREAD: Bound<Bytes> = Bound {
    default: Bytes(32 << 20),
    least: Bytes(1 << 20),
    most: Bytes(4 << 30),
};

/// The same of one connection. What comes later than a client reads finds room for four of the longest
/// replies, or for as many ordinary ones as [`TCP_PIPELINE`] lets wait; a query whose answer finds none is
/// answered SERVFAIL. The least is one of the longest. No official reference.
pub const TCP_UNREAD_PER_CONNECTION: Bound<Bytes> = Bound {
    default: Bytes(256 << 10),
    least: Bytes(64 << 10),
    most: Bytes(64 << 20),
};

/// What the kernel is asked to hold of one TCP connection, each way (`SO_SNDBUF`, `SO_RCVBUF` and
/// `TCP_NOTSENT_LOWAT`; Linux doubles the first two for its own records). Left alone, it would hold up to
/// 4 MiB for a client that does not read and 6 MiB of one that is not read from. The default moves
/// 16 MiB a second at a round trip of 1 ms; raise it where clients are far away and answers long.
pub const TCP_SOCKET_BUFFER: Bound<Bytes> = Bound {
    default: Bytes(16 << 10),
    least: Bytes(4 << 10),
    most: Bytes(4 << 20),
};

/// Log events that wait to be written. A full queue drops and counts; it never makes a query wait.
/// An event takes 640 bytes, allocated at the start: 1.3 MiB by default, which is a burst of a few
/// milliseconds at the highest rate that one machine answers.
pub const LOG_QUEUE: Bound<usize> = Bound {
    default: 2_048,
    least: 1,
    most: 1_000_000,
};

/// Of the queries that were neither denied nor failed, one in so many is logged where all are. What
/// an operator wants to see one by one is never left out, and what is left can be counted again.
/// Beyond the most one line stands for more queries than a line is worth. No official reference.
pub const LOG_SAMPLE: Bound<u32> = Bound {
    default: 1,
    least: 1,
    most: 1_000_000,
};

/// Queries that wait for an upstream, over all clients. Beyond it a query is shed: answered
/// SERVFAIL and counted. Half of the places are reserved, the same number for each client group at
/// each upstream; of the other half no group and no upstream may hold more than four times what is
/// free, so that it is never all one's. A low limit of file descriptors may leave fewer. One costs some 4 KiB while it waits, so the default is 40 MiB, and as many
/// as 5 000 questions a second that all run into the time-out of 2 s. No official reference.
pub const IN_FLIGHT: Bound<usize> = Bound {
    default: 10_000,
    least: 1,
    most: 1_000_000,
};

/// Queries that wait for the answer to one and the same question: an upstream is asked once for all
/// of them. A tenth of [`IN_FLIGHT`]: one name that does not resolve must not take the room of all
/// others, and a VPC full of clients that start together may well ask for one name at once.
pub const COALESCED: Bound<usize> = Bound {
    default: 1_000,
    least: 1,
    most: 100_000,
};

/// Connections to one server of an upstream, over TCP, TLS or HTTPS. Opened only when those that are
/// there have no place left ([`UPSTREAM_PIPELINE`]). Four are enough for any one server; each costs a
/// file descriptor and, with TLS, some 30 KiB. A server that wants fewer closes some. No official
/// reference; RFC 7766 section 6.2.2 recommends as few as will do.
pub const UPSTREAM_CONNECTIONS: Bound<usize> = Bound {
    default: 4,
    least: 1,
    most: 64,
};

/// Questions under way on one connection to an upstream's server (RFC 7766 section 6.2.1.1). Over
/// HTTPS the server may ask for fewer. The default is more than a server is asked in a round trip; the
/// most leaves three of four message ids unused, so that a free one is found at once.
pub const UPSTREAM_PIPELINE: Bound<usize> = Bound {
    default: 512,
    least: 1,
    most: 16_384,
};

/// Questions that are asked at a time of an upstream whose servers are all down; the others fail at
/// once. Each of them finds out whether a server is back, and waits for the whole time-out if none is:
/// ten notice a recovery within a fraction of a second where clients ask, and take next to no room.
/// No official reference.
pub const UPSTREAM_PROBES: Bound<usize> = Bound {
    default: 10,
    least: 1,
    most: 1_000,
};

/// Queries over UDP that one client may send in a second, and as many at once; 0 for any number. Off
/// by default, and so it should be where clients come from few addresses: behind Cloud DNS the whole
/// VPC has those of 35.199.192.0/19, behind a proxy or a published port of Docker one. Where each has
/// its own, a few hundred are more than any that behaves will send. Over TCP a client is held by its
/// connections and their pipelines instead. No official reference.
pub const PER_CLIENT_QPS: Bound<usize> = Bound {
    default: 0,
    least: 0,
    most: 1_000_000,
};

/// Of the queries over [`PER_CLIENT_QPS`] every which one gets an empty reply that sends the client to
/// TCP, 0 for none; the others are dropped. As in BIND and NSD: with 2, a client whose address others
/// forge gets through at its second try in the mean, and a forger has no more sent than it sends.
pub const PER_CLIENT_SLIP: Bound<usize> = Bound {
    default: 2,
    least: 0,
    most: 10,
};

/// The bits of an IPv4 address that make a client of [`PER_CLIENT_QPS`]: all of it. Response rate
/// limiting at public servers takes 24, as it shelters networks that others forge; here it is about
/// clients, and neighbours are unknown clients.
pub const PER_CLIENT_IPV4_PREFIX: Bound<usize> = Bound {
    default: 32,
    least: 8,
    most: 32,
};

/// The bits of an IPv6 address that make a client of [`PER_CLIENT_QPS`]: a network of 64, in which
/// any client can take any address. Google Cloud gives each machine 96 bits of its subnet's.
pub const PER_CLIENT_IPV6_PREFIX: Bound<usize> = Bound {
    default: 64,
    least: 32,
    most: 128,
};

/// How long a query may wait for upstreams, all servers and attempts together. Cloud DNS waits 4 s
/// for a target, and most stub resolvers 5 s: an answer must come before that, even if it is
/// SERVFAIL, or the target counts as dead. So the most leaves half a second for the way.
pub const UPSTREAM_TIMEOUT: Bound<Duration> = Bound {
    default: Duration::from_secs(2),
    least: Duration::from_millis(100),
    most: Duration::from_millis(3_500),
};

/// Datagrams that are no reply to a question, of another id or about something else, after which it is
/// asked again over TCP, where there is nothing to guess (RFC 5452 section 9.3). PowerDNS Recursor does
/// so at the first (`spoof-nearmiss-max`). Two are let pass here: at some ten thousand questions a
/// second a port is used again while a late reply to an earlier question may still come. Whoever
/// guesses then has three tries among some 1.8 thousand million, not as many as fit into the time.
pub const UPSTREAM_NEAR_MISSES: Bound<usize> = Bound {
    default: 3,
    least: 1,
    most: 100,
};

/// How long queries are still answered after SIGTERM, with `/readyz` at 503: a load balancer needs
/// this long to look elsewhere. The default is one interval of Google's health checks and half of
/// what `docker stop` waits before it kills; who has several checks to fail sets their product.
pub const DRAIN: Bound<Duration> = Bound {
    default: Duration::from_secs(5),
    least: Duration::ZERO,
    most: Duration::from_secs(300),
};

/// How long a reload may take until it is given up, and the next one may begin. A million names are
/// read in a second, or in half a minute where a flood leaves the reload a sixtieth of a core; so what
/// takes longer than the default waits for a file system that does not answer, and may wait for ever.
pub const RELOAD_TIMEOUT: Bound<Duration> = Bound {
    default: Duration::from_secs(60),
    least: Duration::from_secs(1),
    most: Duration::from_secs(600),
};

/// Every limit of a running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`TCP_CONNECTIONS`].
    pub tcp_connections: usize,
    /// See [`TCP_CONNECTIONS_PER_CLIENT`].
    pub tcp_connections_per_client: usize,
    /// See [`TCP_IDLE_TIMEOUT`].
    pub tcp_idle_timeout: Duration,
    /// See [`TCP_MESSAGE_TIMEOUT`].
    pub tcp_message_timeout: Duration,
    /// See [`TCP_PIPELINE`].
    pub tcp_pipeline: usize,
    /// See [`TCP_UNREAD`].
    pub tcp_unread: usize,
    /// See [`TCP_UNREAD_PER_CONNECTION`].
    pub tcp_unread_per_connection: usize,
    /// See [`TCP_SOCKET_BUFFER`].
    pub tcp_socket_buffer: usize,
    /// See [`LOG_QUEUE`].
    pub log_queue: usize,
    /// See [`IN_FLIGHT`].
    pub in_flight: usize,
    /// See [`COALESCED`].
    pub coalesced: usize,
    /// See [`UPSTREAM_CONNECTIONS`].
    pub upstream_connections: usize,
    /// See [`UPSTREAM_PIPELINE`].
    pub upstream_pipeline: usize,
    /// See [`UPSTREAM_PROBES`].
    pub upstream_probes: usize,
    /// See [`UPSTREAM_TIMEOUT`].
    pub upstream_timeout: Duration,
    /// See [`UPSTREAM_NEAR_MISSES`].
    pub upstream_near_misses: usize,
    /// See [`DRAIN`].
    pub drain: Duration,
    /// See [`RELOAD_TIMEOUT`].
    pub reload_timeout: Duration,
    /// See [`PER_CLIENT_QPS`].
    pub per_client_qps: usize,
    /// See [`PER_CLIENT_SLIP`].
    pub per_client_slip: usize,
    /// See [`PER_CLIENT_IPV4_PREFIX`].
    pub per_client_ipv4_prefix: usize,
    /// See [`PER_CLIENT_IPV6_PREFIX`].
    pub per_client_ipv6_prefix: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tcp_connections: TCP_CONNECTIONS.default,
            tcp_connections_per_client: TCP_CONNECTIONS_PER_CLIENT.default,
            tcp_idle_timeout: TCP_IDLE_TIMEOUT.default,
            tcp_message_timeout: TCP_MESSAGE_TIMEOUT.default,
            tcp_pipeline: TCP_PIPELINE.default,
            tcp_unread: TCP_UNREAD.default.0,
            tcp_unread_per_connection: TCP_UNREAD_PER_CONNECTION.default.0,
            tcp_socket_buffer: TCP_SOCKET_BUFFER.default.0,
            log_queue: LOG_QUEUE.default,
            in_flight: IN_FLIGHT.default,
            coalesced: COALESCED.default,
            upstream_connections: UPSTREAM_CONNECTIONS.default,
            upstream_pipeline: UPSTREAM_PIPELINE.default,
            upstream_probes: UPSTREAM_PROBES.default,
            upstream_timeout: UPSTREAM_TIMEOUT.default,
            upstream_near_misses: UPSTREAM_NEAR_MISSES.default,
            drain: DRAIN.default,
            reload_timeout: RELOAD_TIMEOUT.default,
            per_client_qps: PER_CLIENT_QPS.default,
            per_client_slip: PER_CLIENT_SLIP.default,
            per_client_ipv4_prefix: PER_CLIENT_IPV4_PREFIX.default,
            per_client_ipv6_prefix: PER_CLIENT_IPV6_PREFIX.default,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_within_bounds_and_bounds_hold() {
        for bound in [
            TCP_CONNECTIONS,
            TCP_CONNECTIONS_PER_CLIENT,
            TCP_PIPELINE,
            LOG_QUEUE,
            IN_FLIGHT,
            COALESCED,
            UPSTREAM_CONNECTIONS,
            UPSTREAM_PIPELINE,
            UPSTREAM_PROBES,
            UPSTREAM_NEAR_MISSES,
            PER_CLIENT_QPS,
            PER_CLIENT_SLIP,
            PER_CLIENT_IPV4_PREFIX,
            PER_CLIENT_IPV6_PREFIX,
        ] {
            assert_eq!(bound.check(bound.default), Ok(bound.default));
            assert_eq!(bound.check(bound.least), Ok(bound.least));
            assert_eq!(bound.check(bound.most), Ok(bound.most));
            let less = bound.least.checked_sub(1);
            assert!(less.is_none_or(|less| bound.check(less).is_err()));
            assert!(bound.check(bound.most + 1).is_err());
        }
        for bound in [TCP_UNREAD, TCP_UNREAD_PER_CONNECTION, TCP_SOCKET_BUFFER] {
            assert_eq!(bound.check(bound.default), Ok(bound.default));
            assert!(bound.check(Bytes(bound.least.0 - 1)).is_err());
            assert!(bound.check(Bytes(bound.most.0 + 1)).is_err());
        }
        for bound in [
            TCP_IDLE_TIMEOUT,
            TCP_MESSAGE_TIMEOUT,
            UPSTREAM_TIMEOUT,
            DRAIN,
            RELOAD_TIMEOUT,
        ] {
            assert_eq!(bound.check(bound.default), Ok(bound.default));
            assert!(bound.check(bound.most + Duration::from_millis(1)).is_err());
        }
    }

    #[test]
    fn an_error_tells_the_bounds_as_the_file_would_write_them() {
        let told = |error: OutOfBounds<Duration>| error.to_string();
        assert_eq!(
            TCP_IDLE_TIMEOUT.check(Duration::ZERO).map_err(told),
            Err("must be from 100ms to 300s (default 10s)".to_owned())
        );
    }
}
