//! Counters and states that are not on a query's way: what they count happens per connection or
//! per reload, so that one atomic each, shared by all, is good enough.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A closed set of labels.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every one, in the order of their positions (`as usize`).
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }
        }
    };
}

labels! {
    /// Why a client's TCP connection ended: the label `why` of `tcp_closed_total`.
    Closed {
        /// The client closed it.
        Client = "client",
        /// No query came for too long.
        Idle = "idle",
        /// A message did not come whole, or a reply was not taken, in time.
        Slow = "slow",
        /// The network failed, or what came was no DNS over TCP.
        Error = "error",
        /// dnsgate is stopping.
        Drain = "drain",
    }
}

labels! {
    /// Which limit was reached: the label `why` of `shed_total`.
    Shed {
        /// TCP connections in all.
        TcpConnections = "tcp_connections",
        /// TCP connections of one client.
        TcpConnectionsPerClient = "tcp_connections_per_client",
    }
}

labels! {
    /// How a reload ended: the label `result` of `reload_total`.
    Reload {
        /// The new configuration is in force.
        Success = "success",
        /// It was refused, and the old one stayed in force.
        Failure = "failure",
    }
}

/// The shared counters. Every method may be called from any thread.
#[derive(Debug, Default)]
pub struct Shared {
    tcp_opened: AtomicU64,
    tcp_closed: [AtomicU64; Closed::ALL.len()],
    shed: [AtomicU64; Shed::ALL.len()],
    reloads: [AtomicU64; Reload::ALL.len()],
    log_dropped: AtomicU64,
    generation: AtomicU64,
    /// Nanoseconds since 1970.
    loaded: AtomicU64,
}

impl Shared {
    /// A client's TCP connection was accepted and is served.
    pub fn tcp_opened(&self) {
        self.tcp_opened.fetch_add(1, Relaxed);
    }

    /// A connection that was counted by [`Self::tcp_opened`] ended.
    pub fn tcp_closed(&self, why: Closed) {
        bump(&self.tcp_closed, why as usize, 1);
    }

    /// Work was refused because a limit was reached.
    pub fn shed(&self, why: Shed) {
        bump(&self.shed, why as usize, 1);
    }

    /// A reload ended.
    pub fn reloaded(&self, result: Reload) {
        bump(&self.reloads, result as usize, 1);
    }

    /// The generation in force, 0 before the first.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub(super) fn loaded(&self, generation: u64, at: SystemTime) {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.loaded.store(super::block::nanos(since), Relaxed);
        self.generation.store(generation, Relaxed);
    }

    pub(super) fn loaded_at(&self) -> Duration {
        Duration::from_nanos(self.loaded.load(Relaxed))
    }

    pub(super) fn log_lost(&self, lines: u64) {
        self.log_dropped.fetch_add(lines, Relaxed);
    }

    pub(super) fn log_dropped(&self) -> u64 {
        self.log_dropped.load(Relaxed)
    }

    pub(super) fn tcp_opened_total(&self) -> u64 {
        self.tcp_opened.load(Relaxed)
    }

    pub(super) fn tcp_closed_total(&self, why: Closed) -> u64 {
        read(&self.tcp_closed, why as usize)
    }

    pub(super) fn shed_total(&self, why: Shed) -> u64 {
        read(&self.shed, why as usize)
    }

    pub(super) fn reload_total(&self, result: Reload) -> u64 {
        read(&self.reloads, result as usize)
    }
}

fn bump(counters: &[AtomicU64], at: usize, by: u64) {
    if let Some(counter) = counters.get(at) {
        counter.fetch_add(by, Relaxed);
    }
}

fn read(counters: &[AtomicU64], at: usize) -> u64 {
    counters.get(at).map_or(0, |counter| counter.load(Relaxed))
}
