//! The limits: one table with the default, bounds, reason and metric of each limit.
//!
//! Every resource in dnsgate has a limit, and each limit has a name here. A value out of bounds is an error that
//! states the bounds; it is never corrected silently. The `limits` section of `config/reference.yaml` repeats this
//! table; [`reference()`] generates its text.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

pub use super::value::Bytes;
use super::{
    error::Faults,
    given::{At, Given, Span},
    value::{Count, Interval},
};

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

impl Bounded for u32 {
    fn shown(self) -> String {
        self.to_string()
    }
}

/// A kind of limit: how it is written, and as what it is used.
pub(super) trait LimitKind: Bounded + PartialOrd {
    /// As what it is used.
    type Plain;
    fn plain(self) -> Self::Plain;
    fn of(plain: Self::Plain) -> Self;

    /// The value in JSON, which has numbers.
    fn json(self) -> serde_json::Value {
        let text = self.shown();
        text.parse::<u64>().map_or_else(|_| text.into(), Into::into)
    }
}

/// Kinds that wrap what they are used as.
macro_rules! kinds {
    ($($kind:ident: $plain:ty;)+) => {
        $(impl LimitKind for $kind {
            type Plain = $plain;

            fn plain(self) -> $plain {
                self.0
            }

            fn of(plain: $plain) -> Self {
                Self(plain)
            }
        })+
    };
}

kinds! {
    Bytes: usize;
    Count: usize;
    Interval: Duration;
}

/// As what a kind of limit is used.
macro_rules! plain {
    (Interval) => {
        Duration
    };
    ($count:ident) => {
        usize
    };
}

/// A span in the largest unit that it is a whole number of, minutes left out: `90s`, `1h`, `7d`.
pub(super) fn seconds(span: u64) -> String {
    match span {
        days if days > 0 && days % 86_400 == 0 => format!("{}d", days / 86_400),
        hours if hours > 0 && hours % 3_600 == 0 => format!("{}h", hours / 3_600),
        seconds => format!("{seconds}s"),
    }
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What the table says of one limit.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Its key under `limits`.
    pub key: &'static str,
    /// What it bounds, its range, the reason, the metric and the default: the lines of the reference.
    pub lines: &'static [&'static str],
    /// Its default, the least and the most, as the file has them.
    pub bounds: fn() -> [String; 3],
}

/// Makes of the table the structures of limits, their reader and their comparison.
macro_rules! limits {
    ($($(#[doc = $line:literal])+ $key:ident: $kind:ident = $default:expr, from $least:expr, to $most:expr;)+) => {
        /// Every limit of a running server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $line])+ pub $key: plain!($kind),)+
        }

        /// The bounds of every limit.
        struct Bounds {
            $($key: Bound<$kind>,)+
        }

        const BOUNDS: Bounds = Bounds {
            $($key: Bound { default: $kind($default), least: $kind($least), most: $kind($most) },)+
        };

        impl Default for Limits {
            fn default() -> Self {
                Self { $($key: BOUNDS.$key.default.plain(),)+ }
            }
        }

        impl Limits {
            /// Each limit as the file would write it.
            pub(super) fn shown(&self) -> Vec<(&'static str, String)> {
                let Self { $($key),+ } = *self;
                vec![$((stringify!($key), $kind::of($key).shown())),+]
            }
        }

        /// The `limits` section.
        #[derive(Debug, Default, Deserialize, JsonSchema)]
        #[serde(default, rename = "limits")]
        #[schemars(rename = "Limits", deny_unknown_fields)]
        pub(super) struct LimitsSection {
            $(
                $(#[doc = $line])+
                #[schemars(extend("default" = BOUNDS.$key.default.json()))]
                pub(super) $key: Given<$kind>,
            )+
            #[serde(rename = "")]
            #[schemars(skip)]
            pub(super) span: Span,
        }

        impl LimitsSection {
            /// The limits: as given, if that is within bounds, else the default.
            pub(super) fn limits(&self, faults: &mut Faults<'_>) -> Limits {
                Limits {
                    $($key: within(stringify!($key), *self.$key, BOUNDS.$key, faults).plain(),)+
                }
            }
        }

        /// The table.
        pub const TABLE: &[Limit] = &[
            $(Limit {
                key: stringify!($key),
                lines: &[$($line),+],
                bounds: || {
                    let Bound { default, least, most } = BOUNDS.$key;
                    [default, least, most].map(Bounded::shown)
                },
            }),+
        ];
    };
}

limits! {
    /// TCP connections in all, from 1 to 100000; each costs about 20 KiB. One more closes the connection
    /// that has waited longest: dnsgate_shed_total, connection_evicted. Default: 1000.
    tcp_connections: Count = 1_000, from 1, to 100_000;

    /// TCP connections of one address, from 1 to `tcp_connections`. Not just a few, because behind Cloud
    /// DNS the whole VPC has few addresses; not all, so that one client cannot keep the others out. One
    /// more is closed at once: dnsgate_shed_total, connection_refused. Default: 100.
    tcp_connections_per_client: Count = 100, from 1, to 100_000;

    /// How long a connection may be without a query, from 100ms to 300s (RFC 7766 section 6.2.3).
    /// Then it is closed: dnsgate_tcp_limited_total. Default: 10s.
    tcp_idle_timeout: Interval = secs(10), from millis(100), to secs(300);

    /// How long one message may take from its first byte to its last, from 100ms to 60s, so that slow
    /// senders do not stay; and how long a client may take to read one reply. Beyond it the connection is
    /// closed: dnsgate_tcp_limited_total. Default: 5s.
    tcp_message_timeout: Interval = secs(5), from millis(100), to secs(60);

    /// Queries of one connection that wait for their answers, from 1 to 10000. At the limit dnsgate stops
    /// reading from the connection: dnsgate_tcp_limited_total. Default: 100.
    tcp_pipeline: Count = 100, from 1, to 10_000;

    /// Bytes of replies that TCP clients have not read, over all connections, from 1MiB to 4GiB. Beyond
    /// it, the connection whose client has not read for longest is closed: dnsgate_tcp_limited_total;
    /// dnsgate_tcp_unread_bytes shows how many bytes there are. Default: 32MiB.
    tcp_unread: Bytes = 32 << 20, from 1 << 20, to 4 << 30;

    /// The same for one connection, from 64KiB to 64MiB, at most `tcp_unread`. While a client does not
    /// read, dnsgate does not read from it either; its earlier queries are answered SERVFAIL once their
    /// answers do not fit: dnsgate_tcp_limited_total. After `tcp_message_timeout` it is closed. Default: 256KiB.
    tcp_unread_per_connection: Bytes = 256 << 10, from 64 << 10, to 64 << 20;

    /// Bytes that the kernel may buffer for one connection, each way, from 4KiB to 4MiB (SO_SNDBUF,
    /// SO_RCVBUF, TCP_NOTSENT_LOWAT). More helps if clients are far away. Default: 16KiB.
    tcp_socket_buffer: Bytes = 16 << 10, from 4 << 10, to 4 << 20;

    /// Log lines that wait to be written, from 1 to 1000000, of about 700 bytes each; more are dropped:
    /// dnsgate_log_dropped_total. Default: 2048.
    log_queue: Count = 2_048, from 1, to 1_000_000;

    /// Queries that wait for an upstream, from 1 to 1000000; more are answered SERVFAIL, or from an expired
    /// entry of the cache: dnsgate_shed_total, in_flight. The default is enough for 5000 a second that all wait the full 2s.
    /// Half of the places are reserved, the same number for each client group at each upstream: while
    /// fewer of its queries wait there, none is refused, whatever other groups do. The other half is
    /// shared, but no group and no upstream takes more than four times the places that are free in it. A
    /// low limit of file descriptors may leave fewer places; dnsgate logs that at the start. Default: 10000.
    in_flight: Count = 10_000, from 1, to 1_000_000;

    /// Queries that wait for the answer to one question, which is asked once for all of them: from 1 to
    /// 100000, not above `in_flight`. Fewer than that, so that a name that does not resolve cannot keep the
    /// others out. More are answered SERVFAIL, or from an expired entry of the
    /// cache: dnsgate_shed_total, coalesced. Default: 1000.
    coalesced: Count = 1_000, from 1, to 100_000;

    /// Connections to one server of an upstream over TCP, TLS or HTTPS, from 1 to 64. One more is opened
    /// when the others are full; when all are full: dnsgate_shed_total, upstream_pipeline. Default: 4.
    upstream_connections: Count = 4, from 1, to 64;

    /// Questions in flight on one of these connections, from 1 to 16384; over HTTPS the server may ask for
    /// fewer. No client group takes more than four times the places of a server that are free. A query
    /// without a place is answered SERVFAIL, or from an expired entry of the cache: dnsgate_shed_total,
    /// upstream_pipeline. Default: 512.
    upstream_pipeline: Count = 512, from 1, to 16_384;

    /// Questions at a time to an upstream whose servers are all down, from 1 to 1000: they find out whether
    /// a server is back. The others fail at once, or are answered from the cache by
    /// `serve_stale`: dnsgate_upstream_refused_total, down. Default: 10.
    upstream_probes: Count = 10, from 1, to 1_000;

    /// How long a query waits for upstreams in all, however many its aliases lead to, from 100ms to
    /// 3500ms: Cloud DNS waits 4 s for a target, and treats a slower one as dead. Then the query is
    /// answered SERVFAIL, or from the cache:
    /// dnsgate_upstream_queries_total, timeout. Default: 2s.
    upstream_timeout: Interval = secs(2), from millis(100), to millis(3_500);

    /// UDP sockets toward one server for each worker, from 1 to 256, each with a random port. A question
    /// goes out on one of them at random. More of them make it no harder to forge a reply to one question:
    /// docs/security.md says why. Fewer are read more cheaply. Default: 16.
    upstream_sockets: Count = 16, from 1, to 256;

    /// Questions that one of these sockets takes in its life, each with an id that it never used before,
    /// from 1 to 1024. Opening a socket costs as much as a question, so with 128 it costs one per cent.
    /// 1 gives each question a port of its own. Default: 128.
    upstream_socket_questions: Count = 128, from 1, to 1_024;

    /// How long one of these sockets takes questions, from 100ms to 60s. An attacker who tries ports by the
    /// ICMP messages of a machine, of which Linux sends 1000 a second, needs 28s for all of them; so a port
    /// is nearly always gone before it is found. Default: 2s.
    upstream_socket_lifetime: Interval = secs(2), from millis(100), to secs(60);

    /// Datagrams on one of these sockets that match no question (another id, another question), from 1 to
    /// 100, after which it is closed and its questions are asked again over TCP, because somebody may be
    /// forging replies. Late replies and copies do not count: dnsgate_upstream_forged_total. Default: 1.
    upstream_near_misses: Count = 1, from 1, to 100;

    /// How long queries are still answered after SIGTERM while /readyz says 503, from 0s to 300s: the
    /// time that a load balancer needs to stop sending queries. Default: 5s.
    drain: Interval = secs(5), from secs(0), to secs(300);

    /// How long a reload may take, from 1s to 600s. Then it is abandoned, the old configuration stays, and
    /// the next reload may begin: dnsgate_reload_total, rejected. A million names take a second; a longer
    /// reload waits for a file that does not answer, as on a network file system. Default: 60s.
    reload_timeout: Interval = secs(60), from secs(1), to secs(600);

    /// Queries over UDP that one client may send in a second, and as many at once after a second of
    /// silence, from 0 to 1000000; 0 for any number. More are dropped, or sent to TCP as below, which
    /// needs a TCP listener: dnsgate_shed_total, per_client_qps. Over TCP the two limits on a client's
    /// connections hold instead. Leave it at 0 if clients come from few addresses: behind Cloud DNS the
    /// whole VPC has the addresses of 35.199.192.0/19, behind a proxy or a published port of Docker one.
    /// It takes 512 KiB, and a few clients may share their limit with another. Default: 0.
    per_client_qps: Count = 0, from 0, to 1_000_000;

    /// Of the queries over that limit, answer one in N with an empty reply with TC, which sends the client
    /// to TCP, where it is answered: dnsgate_truncated_total; N from 0 to 10, 0 for none. Real clients come
    /// back, and a client whose address is forged gets no more replies than queries in its name. Default: 2.
    per_client_slip: Count = 2, from 0, to 10;

    /// The bits of an IPv4 address that identify a client, from 8 to 32. Default: 32.
    per_client_ipv4_prefix: Count = 32, from 8, to 32;

    /// The bits of an IPv6 address that identify a client, from 32 to 128. If a client can take any address
    /// of its network, use the network's length. On Google Cloud a machine has 96. Default: 64.
    per_client_ipv6_prefix: Count = 64, from 32, to 128;

    /// Memory for the counters of budgets and the names that they have learnt, from 1MiB to 1GiB. A counter
    /// takes about 400 bytes, and 8 KiB at most, for each party, rule and registered domain of one window;
    /// a party has at most 256 domains of its own in a rule, and one counter for all others. When the
    /// memory is full, further parties and domains of a rule share one counter, and its budget:
    /// dnsgate_budget_overflow_total. The default is enough for 10000 clients with a dozen domains each.
    /// Default: 64MiB.
    budget_memory: Bytes = 64 << 20, from 1 << 20, to 1 << 30;

}

/// Of the queries that were neither denied nor failed, one in this many is logged where all are. Beyond the most
/// one line stands for more queries than a line is worth. No official reference.
pub const LOG_SAMPLE: Bound<u32> = Bound {
    default: 1,
    least: 1,
    most: 1_000_000,
};

/// The value given, if there is one and it is within bounds.
pub(super) fn within<T: Bounded + PartialOrd>(
    key: &str,
    given: Option<At<T>>,
    bound: Bound<T>,
    faults: &mut Faults<'_>,
) -> T {
    let Some(given) = given else {
        return bound.default;
    };
    bound.check(given.value).unwrap_or_else(|error| {
        faults.push(given.place, format!("`{key}` {error}"));
        bound.default
    })
}

/// The `limits` section of the reference: each limit with what the table says of it, and its default.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from("limits:\n");
    for limit in TABLE {
        for line in limit.lines {
            text.push_str(&format!("  #{line}\n"));
        }
        let [default, ..] = (limit.bounds)();
        text.push_str(&format!("  {}: {default}\n", limit.key));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_its_own_bounds() {
        for limit in TABLE {
            let [default, least, most] = (limit.bounds)();
            let text = limit.lines.concat();
            let told = |what: String| assert!(text.contains(&what), "{}: {what}", limit.key);
            told(format!("Default: {default}."));
            if limit.key != "tcp_connections_per_client" {
                told(format!("from {least} to {most}"));
            }
        }
    }

    #[test]
    fn defaults_are_within_bounds_and_bounds_hold() {
        let bound = BOUNDS.tcp_connections;
        assert_eq!(bound.check(bound.least), Ok(bound.least));
        assert_eq!(bound.check(bound.most), Ok(bound.most));
        assert!(bound.check(Count(0)).is_err());
        assert!(bound.check(Count(bound.most.0 + 1)).is_err());
        let mut faults = Faults::new("t", "");
        assert_eq!(
            LimitsSection::default().limits(&mut faults),
            Limits::default()
        );
        for limit in TABLE {
            let [default, ..] = (limit.bounds)();
            let text = format!("limits: {{{}: {default}}}", limit.key);
            assert_eq!(
                crate::tests::config(&text).startup.limits,
                Limits::default(),
                "{text}"
            );
        }
    }

    #[test]
    fn an_error_tells_the_bounds_as_the_file_would_write_them() {
        let told = |error: OutOfBounds<Interval>| error.to_string();
        assert_eq!(
            BOUNDS
                .tcp_idle_timeout
                .check(Interval(Duration::ZERO))
                .map_err(told),
            Err("must be from 100ms to 300s (default 10s)".to_owned())
        );
    }
}
