//! Work that can wait, on a thread of its own that gets what the workers leave of the processor.
//!
//! To read a list of a million names is half a second of computing. On a core that a worker needs,
//! too, queries would wait for the time slices of it; so it has none while a query is there.
//!
//! Such work touches files, and what touches files can fail in every way that there is: it panics,
//! or hangs for ever on a file system that does not answer. None of it is passed on: the work is
//! given up after a while, its thread stays behind until it ends, and only so many may stay behind.

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

/// The least share that there is, some 1.5 % of a core that is busy otherwise: a reload ends in a
/// flood, too.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// Why nothing came of some work.
#[derive(Debug)]
pub(crate) enum BlockingError {
    /// The system has no thread for it.
    NoThread,
    /// So many earlier attempts hang.
    Crowded(usize),
    /// It panicked, which is a bug.
    Panicked,
    /// It takes too long.
    TooLong(Duration),
}

impl std::error::Error for BlockingError {}

impl fmt::Display for BlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.unquoted().fmt(f)
    }
}

impl BlockingError {
    /// Why, in words of the program and numbers alone.
    pub(crate) fn unquoted(&self) -> Unquoted {
        match self {
            Self::NoThread => Unquoted::from("the system refuses a thread for it"),
            Self::Crowded(hanging) => Unquoted::from("")
                .and_number(*hanging as u64) // eight at most
                .and(" earlier attempts still hang, and no more are begun until one of them ends"),
            Self::Panicked => Unquoted::from(
                "dnsgate panicked over it: that is a bug, and what was in force still is",
            ),
            Self::TooLong(span) => Unquoted::from("it was given up after ")
                .and_span(*span)
                .and(": a file of it does not answer, as on a network file system"),
        }
    }
}

/// Where work of one kind is done.
#[derive(Clone, Debug)]
pub(crate) struct BlockingThreads {
    places: Arc<Semaphore>,
    most: usize,
}

impl BlockingThreads {
    /// At most so many threads, those included that were given up.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// Does it, and says what came of it, within this time.
    ///
    /// # Errors
    /// [`BlockingError`]. What comes of work later than that is dropped.
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
        .name("aside".to_owned())
        .spawn(move || {
            give_way();
            // Its place is free once nothing of it is left, whatever way it ends.
            let ended = catch_unwind(AssertUnwindSafe(work));
            if let Ok(came_of_it) = ended {
                // Nobody waits any longer: it was given up, or dnsgate ends.
                let _ = done.send(came_of_it);
            }
            drop(place);
        })?;
    Ok(result)
}

/// Lowers this thread's priority, for good: what is lowered, only root may raise.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use rustix::{process::setpriority_process, thread::gettid};
        // To Linux, the priority of "a process" is that of the one thread. Where a sandbox
        // forbids this, the work is done all the same.
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
    async fn only_its_own_thread_gives_way() {
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
    async fn a_panic_is_told_and_leaves_its_place() {
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
    async fn what_hangs_is_given_up_and_only_so_many_may_hang() {
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
