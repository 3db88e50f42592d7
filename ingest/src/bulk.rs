//! Long work: done by as many threads as there are processors, in the order in which it comes, and giving way to others. Short requests
//! and questions share the processors with so few, however much is under way.

use needle_storage::give_way;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Work on more bytes than this is long.
const LONG_BYTES: usize = 64 << 10;

/// Threads for long work.
pub(crate) struct Bulk {
    /// There until it is dropped.
    threads: Option<Runtime>,
}

impl Bulk {
    pub(crate) fn new() -> Bulk {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let mut builder = Builder::new_current_thread();
        builder.max_blocking_threads(processors).thread_name("needle-bulk").on_thread_start(give_way);
        Bulk { threads: Some(builder.build().expect("a runtime that opens nothing can be made")) }
    }

    /// Runs work on so many bytes where it keeps nobody waiting: among others like it when it is long, beside everything else when it
    /// is short.
    pub(crate) fn spawn<T: Send + 'static>(&self, bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match &self.threads {
            Some(threads) if bytes > LONG_BYTES => threads.spawn_blocking(work),
            _ => tokio::task::spawn_blocking(work),
        }
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        // Whoever drops it must not wait.
        self.threads.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
