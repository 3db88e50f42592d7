//! By what a thread with nothing to do is woken.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Rings until it was heard once.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    is_ringing: Mutex<bool>,
    rung: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.is_ringing.lock() = true;
        self.rung.notify_all();
    }

    /// Waits until it rings, or for so long.
    pub(crate) fn wait_for(&self, interval: Duration) {
        let mut is_ringing = self.is_ringing.lock();
        if !*is_ringing {
            self.rung.wait_for(&mut is_ringing, interval);
        }
        *is_ringing = false;
    }
}
