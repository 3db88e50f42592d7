//! The rules of the house, as a test. One function a rule; each complaint says where, what, and how to mend it.
//!
//! Every rule is also tried on small inputs that break it (`tidy/broken.rs`), so that none can pass by being blind.
#![allow(clippy::unwrap_used)]

#[path = "tidy/broken.rs"]
mod broken;
#[path = "tidy/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use source::{RustFile, Text, is_test_file};

/// Who may name whom: `src -> {ingest, web}`, `web -> query -> storage <- ingest`.
const ARROWS: [(&str, &[&str]); 5] =
    [("src", &["ingest", "web"]), ("ingest", &["storage"]), ("query", &["storage"]), ("storage", &[]), ("web", &["query"])];

/// Crates that one room keeps to itself.
const KEPT_IN: [(&str, &[&str]); 2] = [("storage", &["tantivy", "parquet", "rusqlite", "object_store"]), ("query", &["datafusion"])];

/// Crates whose types pass between rooms or libraries, and therefore come in one version.
const ONE_VERSION: [&str; 7] = ["arrow", "parquet", "tonic", "prost", "axum", "hyper", "object_store"];

const FILE_CODE_LINES_MAX: usize = 800;
const FUNCTION_CODE_LINES_MAX: usize = 70;

#[test]
fn crates_depend_along_the_arrows() {
    hold(crate_arrows);
}

#[test]
fn code_names_rooms_along_the_arrows() {
    hold(use_arrows);
}

#[test]
fn libraries_stay_in_their_room() {
    hold(kept_libraries);
}

#[test]
fn only_the_disk_module_writes_files() {
    hold(disk_access);
}

#[test]
fn files_are_short() {
    hold(long_files);
}

#[test]
fn functions_are_short() {
    hold(long_functions);
}

#[test]
fn shared_crates_have_one_version() {
    hold(one_version);
}

#[test]
fn no_file_names_a_machine() {
    hold(machine_paths);
}

#[test]
fn every_crate_takes_the_workspace_lints() {
    hold(workspace_lints);
}

#[test]
fn every_room_has_a_page() {
    hold(room_pages);
}

#[test]
fn no_test_is_switched_off() {
    hold(ignored_tests);
}

#[test]
fn tests_poll_instead_of_sleeping() {
    hold(sleeping_tests);
}

#[test]
fn nothing_is_left_to_be_written() {
    hold(unfinished);
}

#[test]
fn names_say_what_a_thing_is() {
    hold(empty_names);
}

fn crate_arrows(repository: &Repository) -> Vec<String> {
    let mut complaints = Vec::new();
    for (room, allowed) in ARROWS {
        for dependency in repository.dependencies(room) {
            let other = dependency.strip_prefix("needle-").unwrap_or("");
            if is_room(other) && !allowed.contains(&other) {
                complaints.push(format!(
                    "{}: depends on {dependency}: {room} may name {allowed:?} only; ask through one of those, or move the code",
                    manifest_of(room)
                ));
            }
        }
    }
    complaints
}

fn use_arrows(repository: &Repository) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &repository.rust {
        let Some((room, allowed)) = ARROWS.into_iter().find(|(room, _)| file.path.starts_with(&format!("{room}/"))) else { continue };
        for (other, _) in ARROWS.into_iter().filter(|(other, _)| *other != room && !allowed.contains(other)) {
            if let Some(token) = file.names_crate(&format!("needle_{other}")) {
                complaints.push(format!(
                    "{}:{}: names needle_{other}: {room} may name {allowed:?} only; use what those re-export",
                    file.path, token.line
                ));
            }
        }
    }
    complaints
}

fn kept_libraries(repository: &Repository) -> Vec<String> {
    let mut complaints = Vec::new();
    for (keeper, libraries) in KEPT_IN {
        for library in libraries {
            for (room, _) in ARROWS.into_iter().filter(|(room, _)| *room != keeper) {
                if repository.dependencies(room).contains(*library) {
                    complaints
                        .push(format!("{}: depends on {library}: only {keeper} may; ask {keeper} for what you need", manifest_of(room)));
                }
            }
            for file in repository.rust.iter().filter(|file| !file.path.starts_with(&format!("{keeper}/"))) {
                if let Some(token) = file.names_crate(library) {
                    complaints
                        .push(format!("{}:{}: names {library}: only {keeper} may; ask {keeper} for what you need", file.path, token.line));
                }
            }
        }
    }
    complaints
}

fn disk_access(repository: &Repository) -> Vec<String> {
    const WRITES: [&[&str]; 5] =
        [&["fs", "rename"], &["fs", "write"], &["fs", "remove_file"], &["File", "create"], &["File", "create_new"]];
    // The program writes no data itself; build scripts and examples are tools of the one who builds.
    let tool = |path: &str| path.ends_with("build.rs") || path.contains("/examples/");
    let free = |path: &str| path == "storage/src/disk.rs" || path.starts_with("src/") || tool(path) || is_test_file(path);
    let mut complaints = Vec::new();
    for file in repository.rust.iter().filter(|file| !free(&file.path)) {
        for path in WRITES {
            for (_, token) in file.occurrences(path).filter(|(_, token)| !token.in_test) {
                complaints.push(format!(
                    "{}:{}: calls {}: go through the disk of storage/src/disk.rs, so that faults can be injected",
                    file.path,
                    token.line,
                    path.join("::")
                ));
            }
        }
    }
    complaints
}

fn long_files(repository: &Repository) -> Vec<String> {
    let long = repository.rust.iter().filter(|file| file.code_lines() > FILE_CODE_LINES_MAX);
    long.map(|file| {
        let lines = file.code_lines();
        format!("{}: {lines} lines of code, at most {FILE_CODE_LINES_MAX}: split it by what its parts do", file.path)
    })
    .collect()
}

fn long_functions(repository: &Repository) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &repository.rust {
        for function in file.functions.iter().filter(|function| function.code_lines > FUNCTION_CODE_LINES_MAX) {
            complaints.push(format!(
                "{}:{}: fn {} has {} lines of code, at most {FUNCTION_CODE_LINES_MAX}: name its steps and call them",
                file.path, function.line, function.name, function.code_lines
            ));
        }
    }
    complaints
}

fn one_version(repository: &Repository) -> Vec<String> {
    let lock: toml::Table = repository.text("Cargo.lock").parse().expect("Cargo.lock is TOML");
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("Cargo.lock lists packages") {
        let (name, version) = (package["name"].as_str().expect("a name"), package["version"].as_str().expect("a version"));
        versions.entry(name).or_default().insert(version);
    }
    let twice = ONE_VERSION.into_iter().filter_map(|name| versions.get(name).filter(|found| found.len() > 1).map(|found| (name, found)));
    twice
        .map(|(name, found)| {
            format!("Cargo.lock: {name} comes in {found:?}: find who asks for each with `cargo tree -i {name}` and settle on one")
        })
        .collect()
}

fn machine_paths(repository: &Repository) -> Vec<String> {
    // Written in two parts, or this file would be the first to be found.
    let marks: [String; 8] = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["crates", ".io"],
        ["pypi", ".org"],
        ["pythonhosted", ".org"],
        ["npmjs", ".org"],
        ["deb.debian", ".org"],
    ]
    .map(|parts| parts.concat());
    let mut complaints = Vec::new();
    // Cargo writes the name of its index into the lock file itself.
    for text in repository.texts.iter().filter(|text| text.path != "Cargo.lock") {
        for (index, line) in text.text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(*mark)) {
                complaints.push(format!(
                    "{}:{}: names {mark}: a checkout works on any machine and with any mirror; use a relative path or a package name",
                    text.path,
                    index + 1
                ));
            }
        }
    }
    complaints
}

fn workspace_lints(repository: &Repository) -> Vec<String> {
    let rooms = ARROWS.into_iter().map(|(room, _)| room);
    let without = rooms.filter(|room| {
        let lints = repository.manifest(room).get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
        lints != Some(true)
    });
    without.map(|room| format!("{}: add `[lints]` with `workspace = true`", manifest_of(room))).collect()
}

fn room_pages(repository: &Repository) -> Vec<String> {
    let pages =
        ["ingest/README.md", "query/README.md", "storage/README.md", "web/README.md", "deploy/README.md", "README.md", "ARCHITECTURE.md"];
    let missing = pages.into_iter().filter(|page| repository.texts.iter().all(|text| text.path != *page));
    missing.map(|page| format!("{page}: is missing: one page on what the room keeps, promises, and deliberately does not do")).collect()
}

fn ignored_tests(repository: &Repository) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &repository.rust {
        for pair in file.tokens.windows(3).filter(|pair| pair[0].text == "#" && pair[1].text == "[" && pair[2].text == "ignore") {
            complaints.push(format!("{}:{}: #[ignore]: mend the test or delete it", file.path, pair[0].line));
        }
    }
    complaints
}

fn sleeping_tests(repository: &Repository) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &repository.rust {
        for (at, token) in file.tokens.iter().enumerate().filter(|(_, token)| token.text == "sleep" && token.in_test) {
            // The one place that waits, and gives up at a deadline.
            let is_poll = file.path == "tests/e2e/harness.rs" && file.function_around(at).is_some_and(|function| function.name == "poll");
            if !is_poll {
                complaints.push(format!(
                    "{}:{}: sleeps: poll for what you wait for with a deadline (`poll` of tests/e2e/harness.rs), or drive the tick",
                    file.path, token.line
                ));
            }
        }
    }
    complaints
}

fn unfinished(repository: &Repository) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &repository.rust {
        for pair in file.tokens.windows(2).filter(|pair| matches!(&*pair[0].text, "todo" | "unimplemented") && pair[1].text == "!") {
            complaints.push(format!("{}:{}: {}!: write it, or take the door away", file.path, pair[0].line, pair[0].text));
        }
    }
    // In two parts for the same reason as above.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"]].map(|parts| parts.concat());
    for text in repository.texts.iter().filter(|text| !text.path.ends_with(".lock") && !text.path.ends_with("-lock.json")) {
        for (index, line) in text.text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(*mark)) {
                complaints.push(format!("{}:{}: {mark}: do it, or write down the limit where its user reads it", text.path, index + 1));
            }
        }
    }
    complaints
}

fn empty_names(repository: &Repository) -> Vec<String> {
    const NAMES: [&str; 6] = ["utils.rs", "util.rs", "common.rs", "helpers.rs", "helper.rs", "misc.rs"];
    let mut complaints = Vec::new();
    for file in &repository.rust {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if NAMES.contains(&name) {
            complaints.push(format!("{}: the name says nothing: name the file after what it does", file.path));
        }
        let declared = file.tokens.windows(2).filter(|pair| matches!(&*pair[0].text, "struct" | "enum" | "trait"));
        for pair in declared.filter(|pair| ["Manager", "Helper", "Util", "Utils"].iter().any(|suffix| pair[1].text.ends_with(suffix))) {
            complaints.push(format!("{}:{}: {}: name it after what it is", file.path, pair[1].line, pair[1].text));
        }
    }
    complaints
}

/// What the rules look at.
struct Repository {
    texts: Vec<Text>,
    rust: Vec<RustFile>,
}

impl Repository {
    fn of(texts: Vec<Text>) -> Repository {
        let rust = texts.iter().filter(|text| text.path.ends_with(".rs"));
        let rust = rust.map(|text| RustFile::read(&text.path, &text.text).unwrap()).collect();
        Repository { texts, rust }
    }

    fn text(&self, path: &str) -> &str {
        let found = self.texts.iter().find(|text| text.path == path);
        &found.unwrap_or_else(|| panic!("{path} is missing from the repository")).text
    }

    fn manifest(&self, room: &str) -> toml::Table {
        let path = manifest_of(room);
        self.text(&path).parse().unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// All that a room's manifest asks for, also for its tests. The program's end-to-end tests drive it from outside.
    fn dependencies(&self, room: &str) -> BTreeSet<String> {
        let manifest = self.manifest(room);
        let tables =
            ["dependencies", "dev-dependencies", "build-dependencies"].into_iter().filter_map(|table| manifest.get(table)?.as_table());
        tables.flat_map(|table| table.keys().cloned()).collect()
    }
}

fn is_room(name: &str) -> bool {
    ARROWS.iter().any(|(room, _)| *room == name)
}

fn manifest_of(room: &str) -> String {
    if room == "src" { "Cargo.toml".to_owned() } else { format!("{room}/Cargo.toml") }
}

fn hold(rule: fn(&Repository) -> Vec<String>) {
    // Where cargo starts tests. A path that is compiled in may be that of another checkout with the same target folder.
    static OURS: LazyLock<Repository> = LazyLock::new(|| Repository::of(source::texts(Path::new("."))));
    let complaints = rule(&OURS);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
