//! Counts the results of upstream queries, per server.
//!
//! An upstream's client holds its [`UpstreamCounters`], and the series exist as long as they are
//! held. Otherwise a gauge of a removed server would raise alarms forever, and a file that is
//! reloaded for months with ever new servers would exhaust the memory. A counter that returns later
//! starts at 0, which Prometheus treats as a restart.
//!
//! While a reload replaces an upstream, two may be held for one name. A server that is in both then
//! shares one counter, so that no counter decreases, and the gauges show the second.
//!
//! A query to an upstream costs microseconds and network traffic, so one shared atomic per counter
//! is fast enough.
//!
//! Not here: which server is asked and when it is down (`upstream`; this module does not depend on
//! it).

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{labels::nanos, shared_counters::labels};

labels! {
    /// The result of a query to one server: the label `result` of `upstream_queries_total`.
    UpstreamQueryResult {
        /// NOERROR or NXDOMAIN.
        Answered = "answered",
        /// Another response code.
        ErrorCode = "error_code",
        /// A malformed reply.
        Malformed = "malformed",
        /// No reply in time.
        Timeout = "timeout",
        /// The server's port is closed.
        Refused = "refused",
        /// The server closed its connections without an answer.
        Closed = "closed",
        /// No route to the server, or a firewall on this machine.
        NoRoute = "no_route",
        /// The network failed in another way.
        Unreachable = "unreachable",
        /// The server does not support TLS, or no version or cipher that dnsgate supports.
        Tls = "tls",
        /// The server's certificate is for another name.
        CertificateName = "certificate_name",
        /// The server's certificate has expired.
        CertificateExpired = "certificate_expired",
        /// The server's certificate is not valid yet.
        CertificateNotYetValid = "certificate_not_yet_valid",
        /// The issuer of the server's certificate is not trusted.
        CertificateIssuer = "certificate_issuer",
        /// The server's certificate cannot be accepted for another reason.
        Certificate = "certificate",
        /// The server does not offer HTTP/2.
        NoHttp2 = "http2_missing",
        /// The server answered with an HTTP status other than 200.
        HttpStatus = "http_status",
        /// The HTTP content of the answer is not a DNS message.
        HttpContent = "http_content",
        /// No resources to send the query: no file descriptor, or all connections full.
        Busy = "busy",
        /// Nobody waited for the reply any longer.
        Abandoned = "abandoned",
    }
}

labels! {
    /// Why a query to an upstream failed at once: the label `why` of `upstream_refused_total`.
    UpstreamRefusal {
        /// All its servers are down, and the maximum number of queries is already testing them.
        Down = "down",
        /// Its queries come back to dnsgate.
        Looping = "looping",
    }
}

/// The upper bounds of the buckets of `upstream_rtt_seconds`: from a server on this machine to one
/// across an ocean, up to the deadline of 2 s.
pub(crate) const RTT_BOUNDS: [Duration; 13] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// The number of buckets of one histogram: one per bound, and one above all bounds.
const RTT_BUCKETS: usize = RTT_BOUNDS.len() + 1;

/// The counters of one server.
#[derive(Debug, Default)]
pub(crate) struct ServerCells {
    asked: [AtomicU64; UpstreamQueryResult::ALL.len()],
    buckets: [AtomicU64; RTT_BUCKETS],
    nanos: AtomicU64,
    mismatched: AtomicU64,
    forged: AtomicU64,
}

impl ServerCells {
    pub(crate) fn asked(&self, result: UpstreamQueryResult) -> u64 {
        let cell = self.asked.get(result as usize);
        cell.map_or(0, |cell| cell.load(Relaxed))
    }

    pub(crate) fn buckets(&self) -> [u64; RTT_BUCKETS] {
        self.buckets.each_ref().map(|bucket| bucket.load(Relaxed))
    }

    /// The sum of the histogram, in nanoseconds.
    pub(crate) fn nanos(&self) -> u64 {
        self.nanos.load(Relaxed)
    }

    pub(crate) fn mismatched(&self) -> u64 {
        self.mismatched.load(Relaxed)
    }

    pub(crate) fn forged(&self) -> u64 {
        self.forged.load(Relaxed)
    }
}

/// The counters of an upstream as a whole.
#[derive(Debug, Default)]
pub(crate) struct WholeCells {
    hedged: AtomicU64,
    coalesced: AtomicU64,
    refused: [AtomicU64; UpstreamRefusal::ALL.len()],
}

impl WholeCells {
    pub(crate) fn hedged(&self) -> u64 {
        self.hedged.load(Relaxed)
    }

    pub(crate) fn coalesced(&self) -> u64 {
        self.coalesced.load(Relaxed)
    }

    pub(crate) fn refused(&self, why: UpstreamRefusal) -> u64 {
        let cell = self.refused.get(why as usize);
        cell.map_or(0, |cell| cell.load(Relaxed))
    }
}

#[derive(Debug)]
struct Server {
    label: String,
    cells: Arc<ServerCells>,
    down: AtomicBool,
    looping: AtomicBool,
}

/// The counters of one upstream, created by
/// [`Telemetry::upstream`](crate::telemetry::Telemetry::upstream). A server is identified by its
/// position; unknown positions are ignored. All methods are thread-safe.
#[derive(Debug)]
pub struct UpstreamCounters {
    name: String,
    cells: Arc<WholeCells>,
    servers: Vec<Server>,
}

impl UpstreamCounters {
    /// Counts a query to a server. `rtt` is the time from the query to the reply, if there was one.
    pub fn asked(&self, server: usize, result: UpstreamQueryResult, rtt: Option<Duration>) {
        let Some(Server { cells, .. }) = self.servers.get(server) else {
            return;
        };
        if let Some(cell) = cells.asked.get(result as usize) {
            cell.fetch_add(1, Relaxed);
        }
        let Some(rtt) = rtt else {
            return;
        };
        let bucket = RTT_BOUNDS.partition_point(|&bound| bound < rtt);
        if let Some(cell) = cells.buckets.get(bucket) {
            cell.fetch_add(1, Relaxed);
        }
        cells.nanos.fetch_add(nanos(rtt), Relaxed);
    }

    /// Counts a message that did not match its query and was ignored.
    pub fn mismatched(&self, server: usize) {
        if let Some(server) = self.servers.get(server) {
            server.cells.mismatched.fetch_add(1, Relaxed);
        }
    }

    /// Counts a query that is sent again over TCP because its replies may be forged.
    pub fn forged(&self, server: usize) {
        if let Some(server) = self.servers.get(server) {
            server.cells.forged.fetch_add(1, Relaxed);
        }
    }

    /// Sets whether a server is up. Initially it is.
    pub fn up(&self, server: usize, up: bool) {
        if let Some(server) = self.servers.get(server) {
            server.down.store(!up, Relaxed);
        }
    }

    /// Sets whether a server's queries come back to our own listener. While they do, it is not
    /// used.
    pub fn looping(&self, server: usize, looping: bool) {
        if let Some(server) = self.servers.get(server) {
            server.looping.store(looping, Relaxed);
        }
    }

    /// Counts a hedged query.
    pub fn hedged(&self) {
        self.cells.hedged.fetch_add(1, Relaxed);
    }

    /// Counts a query that joined one already in flight.
    pub fn coalesced(&self) {
        self.cells.coalesced.fetch_add(1, Relaxed);
    }

    /// Counts a query that failed at once.
    pub fn refused(&self, why: UpstreamRefusal) {
        if let Some(cell) = self.cells.refused.get(why as usize) {
            cell.fetch_add(1, Relaxed);
        }
    }

    fn is_looping(&self) -> bool {
        self.servers
            .iter()
            .any(|server| server.looping.load(Relaxed))
    }
}

/// The counters of all upstreams that are held.
#[derive(Debug, Default)]
pub(crate) struct AllUpstreamCounters {
    /// Ordered from oldest to newest.
    held: Mutex<Vec<Weak<UpstreamCounters>>>,
}

impl AllUpstreamCounters {
    /// Creates the counters of a new upstream.
    pub(crate) fn hold(&self, name: &str, servers: &[String]) -> Arc<UpstreamCounters> {
        let mut held = self.lock();
        held.retain(|counters| counters.strong_count() > 0);
        let before: Vec<_> = held
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|counters| counters.name == name)
            .collect();
        let known = |label: &String| {
            let servers = before.iter().flat_map(|counters| &counters.servers);
            let mut same = servers.filter(|server| server.label == *label);
            same.next().map(|server| Arc::clone(&server.cells))
        };
        let whole = before.first().map(|counters| Arc::clone(&counters.cells));
        let servers = servers.iter().map(|label| Server {
            label: label.clone(),
            cells: known(label).unwrap_or_default(),
            down: AtomicBool::new(false),
            looping: AtomicBool::new(false),
        });
        let counters = Arc::new(UpstreamCounters {
            name: name.to_owned(),
            cells: whole.unwrap_or_default(),
            servers: servers.collect(),
        });
        held.push(Arc::downgrade(&counters));
        counters
    }

    /// Reads all counters and gauges.
    pub(crate) fn read(&self) -> UpstreamReadings {
        let held: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let mut read = UpstreamReadings::default();
        // The gauges of a newer upstream replace those of an older one with the same name.
        for counters in held {
            let UpstreamCounters { name, cells, .. } = &*counters;
            read.up.retain(|(of, _), _| of != name);
            read.looping.insert(name.clone(), counters.is_looping());
            read.wholes.insert(name.clone(), Arc::clone(cells));
            for server in &counters.servers {
                let key = (name.clone(), server.label.clone());
                read.up.insert(key.clone(), !server.down.load(Relaxed));
                read.servers.insert(key, Arc::clone(&server.cells));
            }
        }
        read
    }

    /// A poisoned list is still consistent, because each change is one step.
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<UpstreamCounters>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counters and gauges of all upstreams, by the name of the upstream and the server's label.
#[derive(Debug, Default)]
pub(crate) struct UpstreamReadings {
    pub(crate) servers: BTreeMap<(String, String), Arc<ServerCells>>,
    pub(crate) up: BTreeMap<(String, String), bool>,
    pub(crate) wholes: BTreeMap<String, Arc<WholeCells>>,
    pub(crate) looping: BTreeMap<String, bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(servers: &[&str]) -> Vec<String> {
        servers.iter().map(ToString::to_string).collect()
    }

    fn key(name: &str, server: &str) -> (String, String) {
        (name.to_owned(), server.to_owned())
    }

    #[test]
    fn a_server_that_stays_goes_on_counting_and_one_that_goes_is_forgotten() {
        let upstreams = AllUpstreamCounters::default();
        let first = upstreams.hold("corp", &labels(&["udp://a", "udp://b"]));
        first.asked(0, UpstreamQueryResult::Answered, None);
        first.asked(1, UpstreamQueryResult::Timeout, None);
        first.up(0, false);
        first.looping(1, true);
        first.coalesced();
        assert!(upstreams.read().looping["corp"]);

        // The second knows nothing yet of what the first had found out.
        let second = upstreams.hold("corp", &labels(&["udp://c", "udp://a"]));
        second.asked(1, UpstreamQueryResult::Answered, None);
        second.coalesced();
        first.asked(0, UpstreamQueryResult::Answered, None);
        let read = upstreams.read();
        let answered =
            |server: &str| read.servers[&key("corp", server)].asked(UpstreamQueryResult::Answered);
        assert_eq!(answered("udp://a"), 3);
        assert_eq!(read.servers.len(), 3, "the first still counts for b");
        assert_eq!(read.wholes["corp"].coalesced(), 2);
        let up: Vec<_> = read.up.into_iter().collect();
        let want = [
            (key("corp", "udp://a"), true),
            (key("corp", "udp://c"), true),
        ];
        assert_eq!(up, want);
        assert!(!read.looping["corp"]);

        drop(first);
        let servers = upstreams.read().servers;
        assert!(
            servers
                .keys()
                .eq(&[key("corp", "udp://a"), key("corp", "udp://c")])
        );
        drop(second);
        assert!(upstreams.read().servers.is_empty());
        let again = upstreams.hold("corp", &labels(&["udp://a"]));
        assert_eq!(upstreams.lock().len(), 1, "what nobody holds is forgotten");
        assert_eq!(
            again.servers[0].cells.asked(UpstreamQueryResult::Answered),
            0
        );
    }

    #[test]
    fn a_server_that_is_not_there_is_not_counted() {
        let upstreams = AllUpstreamCounters::default();
        let counters = upstreams.hold("corp", &labels(&["udp://a"]));
        counters.asked(1, UpstreamQueryResult::Busy, Some(Duration::ZERO));
        counters.mismatched(1);
        counters.up(1, false);
        counters.looping(1, true);
        let read = upstreams.read();
        let cells = &read.servers[&key("corp", "udp://a")];
        assert_eq!(
            (cells.asked(UpstreamQueryResult::Busy), cells.mismatched()),
            (0, 0)
        );
        assert!(read.up[&key("corp", "udp://a")]);
        assert!(!read.looping["corp"]);
    }

    #[test]
    fn bounds_rise() {
        assert!(RTT_BOUNDS.is_sorted());
    }
}
