//! The result of a run, as one line of JSON.

use std::{fmt, time::Duration};

use super::histogram::Histogram;

/// Counts and times of one run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Queries sent.
    pub(crate) sent: u64,
    /// Right replies.
    pub(crate) answered: u64,
    /// Replies with the wrong code or number of answers.
    pub(crate) wrong: u64,
    /// Replies that match no waiting query.
    pub(crate) stray: u64,
    /// Queries without a reply.
    pub(crate) lost: u64,
    /// From the first query to the last reply, or to the end of the time.
    pub(crate) time: Duration,
    /// From sending a query to its reply; only at a fixed rate.
    pub(crate) latency: Option<Histogram>,
}

impl Report {
    /// Adds the counts of another part of the same run.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.wrong += other.wrong;
        self.stray += other.stray;
        self.lost += other.lost;
        self.time = self.time.max(other.time);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{\"sent\":{},\"answered\":{},\"wrong\":{},\"stray\":{},\"lost\":{},\"seconds\":{:.6}",
            self.sent,
            self.answered,
            self.wrong,
            self.stray,
            self.lost,
            self.time.as_secs_f64()
        )?;
        if let Some(latency) = &self.latency {
            for (name, part) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
                if let Some(nanoseconds) = latency.quantile(part) {
                    write!(f, ",\"{name}_us\":{:.1}", nanoseconds as f64 / 1e3)?;
                }
            }
            if let Some(nanoseconds) = latency.mean() {
                write!(f, ",\"mean_us\":{:.1}", nanoseconds as f64 / 1e3)?;
            }
        }
        write!(f, "}}")
    }
}
