//! How much of everything there may be: each limit with its default, its bounds and the reason.
//!
//! Nothing in dnsgate is unbounded, so what bounds it has a name here. A value out of bounds is an
//! error that tells the bounds, never a silent correction.

use std::{fmt, time::Duration};

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

impl Bounded for Duration {
    fn shown(self) -> String {
        match self.as_millis() {
            ms if ms % 1000 != 0 => format!("{ms}ms"),
            _ => format!("{}s", self.as_secs()),
        }
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
pub const TCP_IDLE: Bound<Duration> = Bound {
    default: Duration::from_secs(10),
    least: Duration::from_millis(100),
    most: Duration::from_secs(300),
};

/// How long one message may take, from its first byte to its last, coming in or going out: a
/// sender of one byte a minute is never idle. Any client that means it needs far less than a
/// second; the default leaves room for lost segments.
pub const TCP_MESSAGE: Bound<Duration> = Bound {
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

/// Log events that wait to be written. A full queue drops and counts; it never makes a query wait.
/// An event takes 640 bytes, allocated at the start: 1.3 MiB by default, which is a burst of a few
/// milliseconds at the highest rate that one machine answers.
pub const LOG_QUEUE: Bound<usize> = Bound {
    default: 2_048,
    least: 1,
    most: 1_000_000,
};

/// How long queries are still answered after SIGTERM, with `/readyz` at 503: a load balancer needs
/// this long to look elsewhere. The default is one interval of Google's health checks and half of
/// what `docker stop` waits before it kills; who has several checks to fail sets their product.
pub const DRAIN: Bound<Duration> = Bound {
    default: Duration::from_secs(5),
    least: Duration::ZERO,
    most: Duration::from_secs(300),
};

/// Every limit of a running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`TCP_CONNECTIONS`].
    pub tcp_connections: usize,
    /// See [`TCP_CONNECTIONS_PER_CLIENT`].
    pub tcp_connections_per_client: usize,
    /// See [`TCP_IDLE`].
    pub tcp_idle: Duration,
    /// See [`TCP_MESSAGE`].
    pub tcp_message: Duration,
    /// See [`TCP_PIPELINE`].
    pub tcp_pipeline: usize,
    /// See [`LOG_QUEUE`].
    pub log_queue: usize,
    /// See [`DRAIN`].
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tcp_connections: TCP_CONNECTIONS.default,
            tcp_connections_per_client: TCP_CONNECTIONS_PER_CLIENT.default,
            tcp_idle: TCP_IDLE.default,
            tcp_message: TCP_MESSAGE.default,
            tcp_pipeline: TCP_PIPELINE.default,
            log_queue: LOG_QUEUE.default,
            drain: DRAIN.default,
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
        ] {
            assert_eq!(bound.check(bound.default), Ok(bound.default));
            assert_eq!(bound.check(bound.least), Ok(bound.least));
            assert_eq!(bound.check(bound.most), Ok(bound.most));
            assert!(bound.check(bound.least - 1).is_err());
            assert!(bound.check(bound.most + 1).is_err());
        }
        for bound in [TCP_IDLE, TCP_MESSAGE, DRAIN] {
            assert_eq!(bound.check(bound.default), Ok(bound.default));
            assert!(bound.check(bound.most + Duration::from_millis(1)).is_err());
        }
    }

    #[test]
    fn an_error_tells_the_bounds_as_the_file_would_write_them() {
        let told = |error: OutOfBounds<Duration>| error.to_string();
        assert_eq!(
            TCP_IDLE.check(Duration::ZERO).map_err(told),
            Err("must be from 100ms to 300s (default 10s)".to_owned())
        );
    }
}
