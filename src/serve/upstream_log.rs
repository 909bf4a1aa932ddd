//! Logs the state of an upstream's servers and the reason, at a bounded rate.
//!
//! "Down" and "answers" alternate, each at most once per minute and server. A change within that
//! minute is logged at its end if it still holds.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{runtime::Handle, time};

use crate::{
    clock::monotonic,
    telemetry::{LogSeverity, Telemetry},
};
use dnsgate_core::dns::ServerFault;

/// Minimum time between two lines of one kind about one server. Long enough that a flapping server
/// does not fill the log, short enough that the log still shows the history. There is no official
/// reference for the value.
const PAUSE: Duration = Duration::from_secs(60);

/// The log of one upstream's servers.
#[derive(Clone)]
pub(super) struct UpstreamLog(Arc<LogState>);

struct LogState {
    upstream: Box<str>,
    servers: Vec<String>,
    telemetry: Telemetry,
    notes: Mutex<Vec<ServerNotes>>,
    /// Runs the tasks that wait for the end of a pause.
    runtime: Handle,
}

/// The logged and the actual state of one server.
#[derive(Default)]
struct ServerNotes {
    down: bool,
    logged_down: bool,
    last_down: Option<Instant>,
    last_up: Option<Instant>,
    last_fault: Option<Instant>,
    last_forged: Option<Instant>,
    /// A task is waiting for the end of the pause.
    waits: bool,
    why: LastTrouble,
}

/// The last failure of a server.
#[derive(Default)]
struct LastTrouble {
    /// `None`: timeout.
    fault: Option<ServerFault>,
    detail: String,
}

/// What to log next.
#[derive(Debug, PartialEq, Eq)]
enum NextNotice {
    Nothing,
    LogDown,
    LogUp,
    /// Check again at this time.
    Wait(Instant),
}

impl UpstreamLog {
    /// Creates the log of an upstream with these servers. Call it within the program's tokio
    /// runtime.
    pub(super) fn new(upstream: &str, servers: &[String], telemetry: &Telemetry) -> Self {
        Self(Arc::new(LogState {
            upstream: upstream.into(),
            servers: servers.to_vec(),
            telemetry: telemetry.clone(),
            notes: Mutex::new(servers.iter().map(|_| ServerNotes::default()).collect()),
            runtime: Handle::current(),
        }))
    }

    /// Records why a server failed.
    pub(super) fn trouble(&self, server: usize, fault: Option<ServerFault>, detail: &str) {
        if let Some(note) = self.0.lock().get_mut(server) {
            note.why.set(fault, detail);
        }
    }

    /// Records that a server went up or down.
    pub(super) fn changed(&self, server: usize, down: bool) {
        if let Some(note) = self.0.lock().get_mut(server) {
            note.down = down;
        }
        self.0.check(server);
    }

    /// Logs a failed query to a server, unless the server is known to be down.
    pub(super) fn failed(&self, server: usize) {
        let now = monotonic();
        let fields = self.0.lock().get_mut(server).and_then(|note| {
            let news = !note.down && is_due(&mut note.last_fault, now);
            news.then(|| note.why.fields())
        });
        let Some(fields) = fields else { return };
        let message = "a query to an upstream's server failed";
        self.0.log(LogSeverity::Warning, message, server, fields);
    }

    /// Logs that replies from a server may be forged.
    pub(super) fn forged(&self, server: usize) {
        let now = monotonic();
        let mut notes = self.0.lock();
        let note = notes.get_mut(server);
        if !note.is_some_and(|note| is_due(&mut note.last_forged, now)) {
            return;
        }
        drop(notes);
        let message = "several replies from an upstream's server did not match the query and may be \
                       forged: the query is sent again over TCP";
        self.0
            .log(LogSeverity::Warning, message, server, Vec::new());
    }

    /// Logs a message about a server.
    pub(super) fn log(&self, severity: LogSeverity, message: &str, server: usize) {
        self.0.log(severity, message, server, Vec::new());
    }

    /// Logs that a server's probe came back from another address.
    pub(super) fn copied(&self, server: usize, from: IpAddr) {
        let message = "a loop probe to an upstream's server came back from another address: somebody \
                       reads queries to the server and sends them here, or the server forwards to \
                       dnsgate from that address; the server stays in use";
        let from = vec![("from", json!(from))];
        self.0.log(LogSeverity::Warning, message, server, from);
    }
}

impl LogState {
    /// Logs a change of a server's state, now or at the end of the pause.
    fn check(self: &Arc<Self>, server: usize) {
        let mut notes = self.lock();
        let Some(note) = notes.get_mut(server) else {
            return;
        };
        match note.next(monotonic()) {
            NextNotice::Nothing => {}
            NextNotice::LogUp => {
                drop(notes);
                let message = "an upstream's server answers";
                self.log(LogSeverity::Notice, message, server, Vec::new());
            }
            NextNotice::LogDown => {
                let fields = note.why.fields();
                drop(notes);
                let message = "an upstream's server is down: it gets probes and no queries";
                self.log(LogSeverity::Error, message, server, fields);
            }
            NextNotice::Wait(until) => {
                if !note.waits {
                    note.waits = true;
                    let later = Self::check_later(Arc::downgrade(self), server, until);
                    self.runtime.spawn(later);
                }
            }
        }
    }

    /// Checks again at the end of the pause, if the upstream still exists.
    async fn check_later(inner: Weak<Self>, server: usize, until: Instant) {
        time::sleep_until(until.into()).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        if let Some(note) = inner.lock().get_mut(server) {
            note.waits = false;
        }
        inner.check(server);
    }

    fn log(
        &self,
        severity: LogSeverity,
        message: &str,
        server: usize,
        more: Vec<(&'static str, Value)>,
    ) {
        let mut fields = vec![
            ("upstream", json!(self.upstream)),
            ("server", json!(self.servers.get(server))),
        ];
        fields.extend(more);
        self.telemetry.event(severity, message, &fields);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ServerNotes>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerNotes {
    /// Decides what to log now, and records it as logged.
    fn next(&mut self, now: Instant) -> NextNotice {
        if self.down == self.logged_down {
            return NextNotice::Nothing;
        }
        let last = if self.down {
            &mut self.last_down
        } else {
            &mut self.last_up
        };
        if !is_due(last, now) {
            return NextNotice::Wait(last.map_or(now, |last| last + PAUSE));
        }
        self.logged_down = self.down;
        if self.down {
            NextNotice::LogDown
        } else {
            NextNotice::LogUp
        }
    }
}

/// Whether the pause since `last` is over. If so, a new pause begins now.
fn is_due(last: &mut Option<Instant>, now: Instant) -> bool {
    let due = last.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE);
    if due {
        *last = Some(now);
    }
    due
}

impl LastTrouble {
    fn set(&mut self, fault: Option<ServerFault>, detail: &str) {
        // An empty detail does not replace the detail of the same fault.
        if self.fault != fault || !detail.is_empty() {
            self.fault = fault;
            detail.clone_into(&mut self.detail);
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let reason = self.fault.map_or("timeout", ServerFault::as_str);
        let text = match self.fault {
            None => "the server does not answer in time".to_owned(),
            Some(fault) if self.detail.is_empty() => fault.to_string(),
            Some(fault) => format!("{fault} ({})", self.detail),
        };
        vec![("reason", json!(reason)), ("detail", json!(text))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_down_and_up_alternately_at_most_once_a_minute() {
        use NextNotice::{LogDown, LogUp, Nothing};
        let start = monotonic();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut note = ServerNotes::default();
        for (seconds, down, want) in [
            (0, false, Nothing), // nobody had logged that it was down
            (1, true, LogDown),
            (2, true, Nothing),
            (5, false, LogUp),
            (6, false, Nothing),
            (10, true, NextNotice::Wait(at(61))),
            (20, false, Nothing), // it is up again, which is the last word
            (30, true, NextNotice::Wait(at(61))),
            (61, true, LogDown),
            (62, false, NextNotice::Wait(at(65))),
            (65, false, LogUp),
            (300, true, LogDown),
            (301, false, LogUp),
        ] {
            note.down = down;
            assert_eq!(note.next(at(seconds)), want, "after {seconds} s");
        }
    }

    #[test]
    fn keeps_the_detail_of_the_last_fault() {
        let mut why = LastTrouble::default();
        let mut fields = |fault, detail| {
            why.set(fault, detail);
            why.fields()
                .into_iter()
                .map(|(_, value)| value)
                .collect::<Vec<_>>()
        };
        let name = Some(ServerFault::CertificateName);
        let text = "the server's certificate is for another name (for other.test only)";
        assert_eq!(
            fields(name, "for other.test only"),
            ["certificate_name", text]
        );
        assert_eq!(fields(name, ""), ["certificate_name", text]);
        let text = "the server refuses connections: its port is closed";
        assert_eq!(fields(Some(ServerFault::Refused), ""), ["refused", text]);
        assert_eq!(
            fields(None, ""),
            ["timeout", "the server does not answer in time"]
        );
    }
}
