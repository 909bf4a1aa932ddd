//! The UDP sockets toward one server: a few for each thread that asks, each with a random port. A
//! question gets one of them at random.
//!
//! A socket is opened when a question meets its place empty, or meets a socket that has had enough
//! questions, is too old, or was closed because of forgeries. Such a socket ends with its last
//! question. So the cost of opening is shared by many questions when there are many, and a port
//! never lives long.
//!
//! Threads share nothing on a question's path. A socket belongs to the runtime of the thread that
//! opened it.

use std::{
    cell::RefCell,
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    runtime::Handle,
    time::{self, Instant},
};

use super::{
    reply::TransportFault,
    reporter::ServerReporter,
    shared_socket::{SentQuestion, SharedSocket},
};
use crate::upstream::{sockets, upstream_limits::SocketLimits};

/// The sockets toward one server, of all threads.
pub(super) struct SocketPools {
    address: SocketAddr,
    limits: SocketLimits,
    reporter: ServerReporter,
    /// Identifies this in [`POOLS`].
    key: u64,
    /// The runtime that closes sockets which nobody uses any longer.
    runtime: Handle,
    registry: Arc<Mutex<PoolRegistry>>,
}

#[derive(Default)]
struct PoolRegistry {
    pools: Vec<Arc<SocketPool>>,
    /// Whether a task looks for old sockets.
    sweeping: bool,
}

/// The sockets of one thread. The lock is contended only while old sockets are closed.
#[derive(Default)]
struct SocketPool(Mutex<Vec<Option<Arc<SharedSocket>>>>);

/// Gives each server a key.
static KEYS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// This thread's sockets by server. An entry outlives its server until the next one is added.
    static POOLS: RefCell<HashMap<u64, Weak<SocketPool>>> = RefCell::default();
}

impl SocketPools {
    /// Opens nothing yet. Call it within the runtime that will close old sockets.
    pub(super) fn new(address: SocketAddr, limits: SocketLimits, reporter: ServerReporter) -> Self {
        #[cfg(feature = "faults")]
        let limits = crate::faults::spoofable(limits);
        Self {
            address,
            limits,
            reporter,
            key: KEYS.fetch_add(1, Ordering::Relaxed),
            runtime: Handle::current(),
            registry: Arc::default(),
        }
    }

    /// The server's address.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends an encoded query on one of this thread's sockets.
    pub(super) fn send(&self, mut query: Vec<u8>) -> Result<SentQuestion, TransportFault> {
        let (pool, now) = (self.of_thread(), Instant::now());
        match self.pick(&pool, false, now)?.send(&mut query, now) {
            Ok(sent) => Ok(sent),
            Err((fault, true)) => Err(fault),
            // An error of an earlier question, or a full buffer: a new socket has neither.
            Err((_, false)) => {
                let sent = self.pick(&pool, true, now)?.send(&mut query, now);
                sent.map_err(|(fault, _)| fault)
            }
        }
    }

    /// A random socket; a `fresh` one has had no question.
    fn pick(
        &self,
        pool: &SocketPool,
        fresh: bool,
        now: Instant,
    ) -> Result<Arc<SharedSocket>, TransportFault> {
        let mut places = pool.lock();
        if places.is_empty() {
            places.resize_with(self.limits.sockets.max(1), || None);
        }
        let random: u64 = rand::random();
        #[cfg(feature = "faults")]
        let random = if crate::faults::is_spoofable() {
            0
        } else {
            random
        };
        // The remainder of a number below 2^64 is as good as even, and below the length.
        let at = usize::try_from(random % places.len() as u64).unwrap_or_default();
        let usable = |socket: &&Arc<SharedSocket>| socket.takes_questions(now);
        let known = places.get(at).and_then(Option::as_ref);
        if let Some(socket) = known.filter(|_| !fresh).filter(usable) {
            return Ok(Arc::clone(socket));
        }
        let others = || places.iter().flatten().filter(usable);
        let Some(descriptor) = sockets::datagram(others().next().is_some()) else {
            // Few descriptors are left: share a socket that is open.
            return others().next().cloned().ok_or(TransportFault::Busy);
        };
        let (limits, reporter) = (self.limits, self.reporter.clone());
        let socket = SharedSocket::open(self.address, limits, reporter, descriptor)?;
        if let Some(place) = places.get_mut(at) {
            *place = Some(Arc::clone(&socket));
        }
        drop(places);
        self.sweep_later();
        Ok(socket)
    }

    /// This thread's pool.
    fn of_thread(&self) -> Arc<SocketPool> {
        POOLS.with_borrow_mut(|pools| {
            if let Some(known) = pools.get(&self.key).and_then(Weak::upgrade) {
                return known;
            }
            pools.retain(|_, pool| pool.strong_count() > 0);
            let pool = Arc::<SocketPool>::default();
            pools.insert(self.key, Arc::downgrade(&pool));
            lock(&self.registry).pools.push(Arc::clone(&pool));
            pool
        })
    }

    /// Makes sure that old sockets are closed, also if nobody asks any longer.
    fn sweep_later(&self) {
        let mut registry = lock(&self.registry);
        if !registry.sweeping {
            registry.sweeping = true;
            let registry = Arc::downgrade(&self.registry);
            let lifetime = self.limits.lifetime;
            self.runtime.spawn(async move {
                loop {
                    time::sleep(lifetime).await;
                    let registry = registry.upgrade();
                    if registry.is_none_or(|registry| !lock(&registry).sweep()) {
                        return;
                    }
                }
            });
        }
    }
}

impl PoolRegistry {
    /// Closes old sockets that have no question, and lets the others end with their last one. Returns
    /// whether any sockets are left.
    fn sweep(&mut self) -> bool {
        let now = Instant::now();
        // The others belong to threads that have ended.
        self.pools.retain(|pool| Arc::weak_count(pool) > 0);
        let mut left = false;
        for pool in &self.pools {
            for place in &mut *pool.lock() {
                place.take_if(|socket| !socket.takes_questions(now));
                left |= place.is_some();
            }
        }
        self.sweeping = left;
        left
    }
}

impl SocketPool {
    fn lock(&self) -> MutexGuard<'_, Vec<Option<Arc<SharedSocket>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(registry: &Mutex<PoolRegistry>) -> MutexGuard<'_, PoolRegistry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
