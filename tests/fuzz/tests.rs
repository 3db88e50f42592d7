//! A short run of every target; `make fuzz` runs them for as long as it is told.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::time::Duration;

use needle_fuzz::drive::{Effort, drive, keep};
use needle_fuzz::{Random, TARGETS, try_input, watch};

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}: give a number")))
}

/// One after the other: all of them allocate from the same counter.
#[test]
fn no_bytes_break_a_reader() {
    let only = std::env::var("TARGET").ok().filter(|name| !name.is_empty());
    let targets: Vec<_> = TARGETS.iter().filter(|target| only.as_ref().is_none_or(|name| name == target.name)).collect();
    assert!(!targets.is_empty(), "there is no target {only:?}; there are {:?}", TARGETS.map(|target| target.name));
    if let Some(path) = std::env::var_os("INPUT").filter(|path| !path.is_empty()) {
        let input = std::fs::read(path).unwrap();
        (targets[0].read)(&input);
        watch();
        return assert_eq!(try_input(targets[0], &input), Ok(()));
    }
    let (seed, duration) = (number("SEED").unwrap_or(1), number("DURATION").map(Duration::from_secs));
    for target in targets {
        let runs = number("RUNS").unwrap_or(if duration.is_some() { u64::MAX } else { target.short_runs });
        let done = drive(target, Effort { seed, runs, duration });
        match done {
            Ok(done) => eprintln!("{}: {done} inputs of seed {seed}", target.name),
            Err((finding, input)) => {
                panic!("{}, seed {seed}: {}; the input: {}", target.name, finding.0, keep(target.name, &input).display());
            }
        }
    }
}

#[test]
fn a_campaign_tries_every_target() {
    let script = include_str!("run.sh");
    let missing: Vec<&str> = TARGETS.iter().map(|target| target.name).filter(|name| !script.contains(name)).collect();
    assert!(missing.is_empty(), "run.sh does not name {missing:?}");
}

#[test]
fn the_same_seed_makes_the_same_inputs() {
    let seeds = vec![b"{\"msg\":\"paid\"}".to_vec(), vec![0; 40]];
    let inputs = |seed| {
        let mut mutator = needle_fuzz::Mutator::new(seed, &["null"], 100);
        (0..200).map(|_| mutator.input(&seeds)).collect::<Vec<_>>()
    };
    assert_eq!(inputs(7), inputs(7));
    assert_ne!(inputs(7), inputs(8));
    assert!(inputs(7).iter().all(|input| input.len() <= 100));
    assert_ne!(Random(1).next(), Random(2).next());
}
