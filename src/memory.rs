//! How the allocator keeps memory.

/// Starts this program again, as the same process, with few arenas for glibc's allocator; it reads their number from
/// the environment before `main`, and a number that somebody set is left alone.
///
/// By default every thread gets an arena of its own, which keeps what is given back to it: queries and background
/// work move between threads, so that each arena grows to the largest of them. Measured on two cores: 293 MiB at
/// most with the default, 189 with one arena, at the same CPU time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn limit_arenas() {
    use std::os::unix::process::CommandExt as _;

    const VARIABLE: &str = "MALLOC_ARENA_MAX";
    /// Threads on more cores than this would wait for each other.
    const CORES_PER_ARENA: usize = 4;
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let error = again.args(arguments).env(VARIABLE, cores.div_ceil(CORES_PER_ARENA).to_string()).exec();
    tracing::debug!(%error, "the program could not be started again with few arenas; it takes more memory");
}

/// Other allocators do as they do.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn limit_arenas() {}
