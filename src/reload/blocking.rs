//! Runs work that may block on separate threads, at the lowest priority.
//!
//! Parsing a list of a million names takes half a second of CPU time. At normal priority, queries
//! on the same core would wait for its time slices; at the lowest priority it runs only while no
//! query needs the core.
//!
//! File work may panic, or hang forever on a file system that does not respond. It is abandoned
//! after a timeout. Its thread stays until it ends, and the number of such threads is bounded.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use dnsgate_config::Unquoted;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time,
};

/// The lowest priority: about 1.5 % of a busy core, so that a reload finishes even under a flood.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// Why work failed.
#[derive(Debug)]
pub(crate) enum BlockingError {
    /// The system refused to create a thread.
    NoThread,
    /// The maximum number of earlier attempts already hangs.
    Crowded(usize),
    /// It panicked: a bug.
    Panicked,
    /// It timed out.
    TooLong(Duration),
}

impl std::error::Error for BlockingError {}

impl fmt::Display for BlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.unquoted().fmt(f)
    }
}

impl BlockingError {
    /// The reason, without text from a file.
    pub(crate) fn unquoted(&self) -> Unquoted {
        match self {
            Self::NoThread => Unquoted::from("the system refused a thread for it"),
            Self::Crowded(hanging) => Unquoted::from("")
                .and_number(*hanging as u64) // eight at most
                .and(" earlier attempts still hang; no other begins until one of them ends"),
            Self::Panicked => Unquoted::from(
                "dnsgate panicked: this is a bug; the configuration in force has not changed",
            ),
            Self::TooLong(span) => Unquoted::from("it was given up after ")
                .and_span(*span)
                .and(": a file does not answer, as can happen on a network file system"),
        }
    }
}

/// The threads for one kind of work.
#[derive(Clone, Debug)]
pub(crate) struct BlockingThreads {
    places: Arc<Semaphore>,
    most: usize,
}

impl BlockingThreads {
    /// Allows at most this many threads, including abandoned ones.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// Runs the work, and returns its result if it ends within `patience`.
    ///
    /// # Errors
    /// [`BlockingError`]. A later result is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BlockingError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| BlockingError::Crowded(self.most))?;
        let result = start(place, work).map_err(|_| BlockingError::NoThread)?;
        match time::timeout(patience, result).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(BlockingError::Panicked),
            Err(_) => Err(BlockingError::TooLong(patience)),
        }
    }
}

fn start<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<oneshot::Receiver<T>> {
    #[cfg(feature = "faults")]
    crate::faults::thread()?;
    let (done, result) = oneshot::channel();
    thread::Builder::new()
        .name("blocking".to_owned())
        .spawn(move || {
            give_way();
            // The permit is released when the thread ends, even after a panic.
            let ended = catch_unwind(AssertUnwindSafe(work));
            if let Ok(came_of_it) = ended {
                // An error means that the work was abandoned or dnsgate is stopping.
                let _ = done.send(came_of_it);
            }
            drop(place);
        })?;
    Ok(result)
}

/// Lowers this thread's priority permanently: only root may raise it again.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use rustix::{process::setpriority_process, thread::gettid};
        // On Linux this sets the priority of one thread. If a sandbox forbids it, the work is done
        // at normal priority.
        let _ = setpriority_process(Some(gettid()), NICE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Longer than a busy machine needs, which leaves such a thread little: a panic prints where it
    /// was.
    const PATIENCE: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn lowers_the_priority_of_its_own_thread_only() {
        #[cfg(target_os = "linux")]
        {
            let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid()));
            let before = nice().expect("a priority");
            let its = BlockingThreads::new(1).run(PATIENCE, nice).await;
            assert_eq!(its.expect("a result"), Ok(NICE));
            assert_eq!(nice(), Ok(before));
        }
    }

    #[tokio::test]
    async fn reports_a_panic_and_frees_the_place() {
        let blocking = BlockingThreads::new(1);
        for _ in 0..3 {
            let panicked = blocking.run(PATIENCE, || -> () { panic!("as a test wants it") });
            assert!(matches!(panicked.await, Err(BlockingError::Panicked)));
            // The place is free a moment after that is told.
            while blocking.places.available_permits() == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn gives_up_hanging_work_and_limits_its_number() {
        let blocking = BlockingThreads::new(2);
        let mut held = Vec::new();
        for _ in 0..2 {
            let (end, ended) = mpsc::channel::<()>();
            held.push(end);
            let hangs = blocking.run(Duration::from_millis(1), move || ended.recv().is_err());
            assert!(matches!(hangs.await, Err(BlockingError::TooLong(_))));
        }
        let refused = blocking.run(PATIENCE, || ()).await;
        assert!(
            matches!(refused, Err(BlockingError::Crowded(2))),
            "{refused:?}"
        );
        held.pop();
        while blocking.places.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(blocking.run(PATIENCE, || ()).await.is_ok());
    }
}
