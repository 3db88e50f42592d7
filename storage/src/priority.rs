//! Who goes first when there are fewer processors than threads with work.

/// How much a thread of long work gives way: a third of the share of one that does not (`nice`, sched(7)).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

/// Lets other threads go before this one: for long work that nobody waits for, or that is only one among much like it. What is short,
/// or waited for, is then delayed less by it. Elsewhere than on Linux, where it would be said of the whole process, it does nothing.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a thread of long work keeps the priority of the others");
    }
}
