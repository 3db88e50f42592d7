//! What an input may not do: panic, in the end or on the way, and take more memory than it is worth.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once};

use peak_alloc::PeakAlloc;

use crate::Target;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// An input may take this many times its length.
pub(crate) const TIMES_MAX: usize = 4;

/// Panics since the last input, on any thread: where, and whether it was in our code.
static PANICS: Mutex<Vec<(String, bool)>> = Mutex::new(Vec::new());

/// Whether an input is being tried. Other panics are printed.
static TRYING: AtomicBool = AtomicBool::new(false);

/// What was wrong with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(pub String);

/// Takes note of panics from now on, instead of printing them.
pub fn watch() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(take_note);
}

fn take_note() {
    let printing = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !TRYING.load(Ordering::Relaxed) {
            return printing(panic);
        }
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // Crates from outside lie below the folder of a registry, the standard library below that of the compiler.
        let ours = !place.starts_with('/');
        PANICS.lock().unwrap().push((format!("{place}: {}", text.unwrap_or("a panic without words")), ours));
    }));
}

/// Tries an input. Panics of crates from outside that the program caught are no findings: that is what it promises.
pub fn try_input(target: &Target, input: &[u8]) -> Result<(), Finding> {
    PANICS.lock().unwrap().clear();
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    TRYING.store(true, Ordering::Relaxed);
    let escaped = catch_unwind(AssertUnwindSafe(|| (target.read)(input))).is_err();
    TRYING.store(false, Ordering::Relaxed);
    let taken = ALLOCATOR.peak_usage().saturating_sub(before);
    let panics = std::mem::take(&mut *PANICS.lock().unwrap());
    if let Some((panic, _)) = panics.into_iter().find(|(_, ours)| escaped || *ours) {
        return Err(Finding(panic));
    }
    let allowed = (TIMES_MAX * input.len()).max(target.memory_bytes);
    if taken > allowed {
        return Err(Finding(format!("{} bytes of input took {taken} bytes of memory, more than {allowed}", input.len())));
    }
    Ok(())
}
