//! Work that can wait, on a thread of its own that gets what the workers leave of the processor.
//!
//! To read a list of a million names is half a second of computing. On a core that a worker needs,
//! too, queries would wait for the time slices of it; so it has none while a query is there.

use std::thread;

use anyhow::Context as _;
use tokio::sync::oneshot;

/// The least share that there is, some 1.5 % of a core that is busy otherwise: a reload ends in a
/// flood, too.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// Does it, and says what came of it.
///
/// # Errors
/// When there is no thread to be had, or the work panicked, which is a bug.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let (done, result) = oneshot::channel();
    thread::Builder::new()
        .name("aside".to_owned())
        .spawn(move || {
            give_way();
            // Nobody waits any longer: dnsgate ends.
            let _ = done.send(work());
        })
        .context("cannot start a thread to read the configuration")?;
    result
        .await
        .context("the thread that read the configuration panicked")
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
    use super::*;

    #[tokio::test]
    async fn only_its_own_thread_gives_way() {
        #[cfg(target_os = "linux")]
        {
            let nice = || rustix::process::getpriority_process(Some(rustix::thread::gettid()));
            let before = nice().expect("a priority");
            assert_eq!(aside(nice).await.expect("a result"), Ok(NICE));
            assert_eq!(nice(), Ok(before));
        }
    }

    #[tokio::test]
    async fn a_panic_is_told() {
        let result = aside(|| -> () { panic!("as a test wants it") }).await;
        let error = result.expect_err("no result");
        assert!(error.to_string().contains("panicked"), "{error}");
    }
}
