//! Runs a target on inputs of a seed, for so many runs or so long.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Finding, Mutator, Target, try_input, watch};

/// An input that takes longer hangs.
const HANG: Duration = Duration::from_secs(60);

/// How long a target is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Of what inputs are made.
    pub seed: u64,
    /// How many.
    pub runs: u64,
    /// And for how long at most.
    pub duration: Option<Duration>,
}

/// Tries a target; how often, or what it did with which input.
pub fn drive(target: &Target, effort: Effort) -> Result<u64, (Finding, Vec<u8>)> {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    // What is made once is no fault of an input.
    for seed in &seeds {
        (target.read)(seed);
    }
    watch();
    let watched = Watchdog::start(target.name);
    let began = Instant::now();
    let mut mutator = Mutator::new(effort.seed, target.words, target.bytes_max);
    let mut done = 0;
    while done < effort.runs && effort.duration.is_none_or(|duration| began.elapsed() < duration) {
        let input = mutator.input(&seeds);
        watched.begin(&input);
        try_input(target, &input).map_err(|finding| (finding, input))?;
        done += 1;
    }
    Ok(done)
}

/// Ends the process when an input hangs, and says which.
struct Watchdog {
    inputs: Option<Sender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    fn start(target: &'static str) -> Watchdog {
        let (sender, inputs) = channel::<Vec<u8>>();
        let thread = std::thread::spawn(move || {
            let mut last = None;
            loop {
                match inputs.recv_timeout(HANG) {
                    Ok(input) => last = Some(input),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let Some(input) = last.take() else { continue };
                        eprintln!(
                            "{target}: an input of {} bytes takes longer than {HANG:?}: {}",
                            input.len(),
                            keep(target, &input).display()
                        );
                        std::process::exit(1);
                    }
                }
            }
        });
        Watchdog { inputs: Some(sender), thread: Some(thread) }
    }

    fn begin(&self, input: &[u8]) {
        // It ends only with this.
        let _ = self.inputs.as_ref().expect("it is there until it is dropped").send(input.to_vec());
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.inputs = None;
        let _ = self.thread.take().expect("it is joined once").join();
    }
}

/// Writes an input to a file that `make fuzz INPUT=` takes; where it is.
pub fn keep(target: &str, input: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("needle-fuzz-{target}-{:08x}", crc32fast::hash(input)));
    // Whoever cannot write there still has the message.
    let _ = std::fs::write(&path, input);
    path
}
