//! What `deploy/` and the pages tell people to type exists.

use std::collections::BTreeSet;

use crate::harness::{needle, repository, run, stdout_of};

const COMMANDS: [&str; 9] = ["serve", "demo", "grep", "tail", "trace", "services", "send", "completions", "token create"];

/// Files in which people read how to run the program.
const PAGES: [&str; 5] = ["README.md", "CONTRIBUTING.md", "deploy/README.md", "deploy/Dockerfile", "deploy/systemd/needle.service"];

#[test]
fn every_flag_that_is_written_down_exists() {
    let help: String = COMMANDS.iter().map(|command| help_of(command)).collect();
    let known = flags_in(&help);
    assert!(known.contains("--data") && known.len() > 10, "{known:?}");
    for page in PAGES {
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        let ours: String = lines_about_us(&text).collect();
        let unknown: Vec<_> = flags_in(&ours).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{page} names flags that no command has: {unknown:?}");
    }
}

#[test]
fn every_variable_that_is_written_down_exists() {
    let help: String = COMMANDS.iter().map(|command| help_of(command)).collect();
    for page in PAGES {
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        let names = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_')).filter(|word| word.starts_with("NEEDLE_"));
        for name in names {
            assert!(help.contains(name), "{page} names {name}, which no --help does");
        }
    }
}

#[test]
fn the_container_runs_as_nobody_special_and_says_what_it_opens() {
    let file = std::fs::read_to_string(repository().join("deploy/Dockerfile")).unwrap();
    let line =
        |start: &str| file.lines().rev().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in the Dockerfile"));
    assert!(!["USER root", "USER 0"].contains(&line("USER")));
    assert!(line("VOLUME").contains("/data"));
    line("HEALTHCHECK");
    for port in ["4317", "4318", "7117"] {
        assert!(line("EXPOSE").contains(port));
    }
    assert!(!file.contains("--insecure-listen"), "whoever opens the ports to others says so when they start the container");
}

#[test]
fn the_service_unit_gives_no_more_than_it_needs() {
    let unit = std::fs::read_to_string(repository().join("deploy/systemd/needle.service")).unwrap();
    for setting in ["NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=needle", "DynamicUser=yes", "Restart=on-failure"] {
        assert!(unit.lines().any(|line| line == setting), "{setting}");
    }
}

fn help_of(command: &str) -> String {
    let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
    stdout_of(&run(&mut needle(&words)))
}

fn flags_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.len() > 3 && word.starts_with("--") && word.as_bytes()[2].is_ascii_lowercase()).map(str::to_owned).collect()
}

/// Lines that call the program, with those that go on behind a backslash.
fn lines_about_us(text: &str) -> impl Iterator<Item = String> {
    let joined = text.replace("\\\n", " ");
    let ours = |line: &&str| {
        let called = line
            .split_once("needle ")
            .map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default().trim_matches(['`', '"', ',']).to_owned());
        called.is_some_and(|command| COMMANDS.contains(&&*command))
    };
    joined.lines().filter(ours).map(|line| format!("{}\n", behind_our_name(line))).collect::<Vec<_>>().into_iter()
}

/// Without the flags of the program that starts ours (`cargo run --release -- serve`).
fn behind_our_name(line: &str) -> &str {
    line.rsplit_once("needle ").map_or(line, |(_, rest)| rest)
}
