//! The targets under libFuzzer, which keeps inputs that take new branches. `FUZZ_TARGET` names one; `FUZZ_SEEDS` is a
//! folder into which its seeds and words are put before it begins. `make fuzz` does all of this.
#![no_main]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::sync::LazyLock;

use needle_fuzz::{TARGETS, Target, try_input, watch};

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = TARGETS.iter().find(|target| target.name == name);
    target.unwrap_or_else(|| panic!("FUZZ_TARGET is {name:?}; there are {:?}", TARGETS.map(|target| target.name)))
});

fn begin() {
    let seeds = (TARGET.seeds)();
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(std::path::PathBuf::from) {
        std::fs::create_dir_all(&folder).unwrap();
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("{number:04}")), seed).unwrap();
        }
        std::fs::write(folder.with_extension("longest"), TARGET.bytes_max.to_string()).unwrap();
        let quoted = |word: &&str| word.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let words: String = TARGET.words.iter().map(|word| format!("\"{}\"\n", quoted(word))).collect();
        std::fs::write(folder.with_extension("words"), words).unwrap();
    }
    // What is made once is no fault of an input.
    seeds.iter().for_each(|seed| (TARGET.read)(seed));
    watch();
}

libfuzzer_sys::fuzz_target!(init: begin(), |input: &[u8]| {
    if let Err(finding) = try_input(*TARGET, input) {
        eprintln!("{}: {}", TARGET.name, finding.0);
        std::process::abort();
    }
});
