//! File descriptors: connections must not take those that the store needs.

use rustix::process::{Resource, getrlimit, setrlimit};

use super::limits::ServerLimits;

/// For shards, the log, the catalog and the listeners.
const OWN_DESCRIPTORS: u64 = 512;
/// Listeners that have connections.
const LISTENERS: u64 = 3;
/// So many connections a listener has in any case.
const CONNECTIONS_MIN: u64 = 16;

/// Allows this process as many descriptors as it may have, and bounds connections by them.
pub(crate) fn raise(limits: &mut ServerLimits) {
    let mut allowed = getrlimit(Resource::Nofile);
    if allowed.current != allowed.maximum {
        let raised = rustix::process::Rlimit { current: allowed.maximum, maximum: allowed.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => allowed = raised,
            Err(error) => tracing::debug!("the limit of file descriptors stays as it is: {error}"),
        }
    }
    // None is no limit at all.
    let Some(descriptors) = allowed.current else { return };
    let fits = fitting(descriptors, limits);
    if fits < limits.connections_max {
        tracing::warn!(
            "this process may open {descriptors} files: {fits} connections at one time on each listener, not {}; raise it (ulimit -n, LimitNOFILE) for more",
            limits.connections_max
        );
        limits.connections_max = fits;
        limits.connections_per_peer_max = limits.connections_per_peer_max.min(fits);
    }
}

fn fitting(descriptors: u64, limits: &ServerLimits) -> usize {
    let each = (descriptors.saturating_sub(OWN_DESCRIPTORS) / LISTENERS).max(CONNECTIONS_MIN);
    usize::try_from(each).unwrap_or(usize::MAX).min(limits.connections_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_store() {
        let limits = ServerLimits::default();
        assert_eq!(fitting(1_048_576, &limits), limits.connections_max);
        assert_eq!(fitting(1_024, &limits), 170);
        assert_eq!(fitting(256, &limits), CONNECTIONS_MIN as usize);
    }
}
