//! Each rule on a repository that breaks it, and on one that nearly does.

use crate::source::{RustFile, Text};
use crate::*;

const CLEAN: &str = "[lints]\nworkspace = true\n";

/// A repository of empty rooms, plus `files`.
fn repository(files: &[(&str, &str)]) -> Repository {
    let manifests =
        ["Cargo.toml", "ingest/Cargo.toml", "query/Cargo.toml", "storage/Cargo.toml", "web/Cargo.toml"].map(|path| (path, CLEAN));
    let rest = manifests.iter().filter(|(path, _)| files.iter().all(|(other, _)| other != path));
    Repository::of(files.iter().chain(rest).map(|(path, text)| Text { path: (*path).to_owned(), text: (*text).to_owned() }).collect())
}

/// `rule` complains about exactly the places whose beginnings are `expected`.
fn complains(rule: fn(&Repository) -> Vec<String>, files: &[(&str, &str)], expected: &[&str]) {
    let complaints = rule(&repository(files));
    let told = complaints.len() == expected.len() && complaints.iter().zip(expected).all(|(complaint, start)| complaint.starts_with(start));
    assert!(told, "expected {expected:?}, got {complaints:?}");
}

#[test]
fn a_dependency_against_the_arrows_is_found() {
    complains(
        crate_arrows,
        &[("ingest/Cargo.toml", "[dependencies]\nneedle-query.workspace = true\n")],
        &["ingest/Cargo.toml: depends on needle-query"],
    );
    complains(
        crate_arrows,
        &[("Cargo.toml", "[dev-dependencies]\nneedle-storage.workspace = true\n")],
        &["Cargo.toml: depends on needle-storage"],
    );
    complains(crate_arrows, &[("web/Cargo.toml", "[dependencies]\nneedle-query.workspace = true\n")], &[]);
}

#[test]
fn a_use_against_the_arrows_is_found() {
    complains(use_arrows, &[("web/src/a.rs", "\nuse needle_storage::Store;")], &["web/src/a.rs:2: names needle_storage"]);
    complains(use_arrows, &[("src/a.rs", "fn f() { x!(needle_query::f()) }")], &["src/a.rs:1: names needle_query"]);
    complains(
        use_arrows,
        &[("src/a.rs", "use needle_web::query::QueryEngine; // not needle_query::QueryEngine\nconst A: &str = \"use needle_query::A\";")],
        &[],
    );
}

#[test]
fn a_library_outside_its_room_is_found() {
    complains(kept_libraries, &[("query/Cargo.toml", "[dependencies]\ntantivy = \"1\"\n")], &["query/Cargo.toml: depends on tantivy"]);
    complains(kept_libraries, &[("query/src/a.rs", "fn f() -> ::parquet::Thing { g() }")], &["query/src/a.rs:1: names parquet"]);
    complains(
        kept_libraries,
        &[("query/src/a.rs", "fn f(parquet: u8) { a::parquet::b(parquet) }"), ("storage/src/a.rs", "use parquet::A;")],
        &[],
    );
}

#[test]
fn a_write_past_the_disk_is_found() {
    complains(disk_access, &[("storage/src/wal.rs", "fn f() { std::fs::rename(a, b) }")], &["storage/src/wal.rs:1: calls fs::rename"]);
    complains(disk_access, &[("web/src/a.rs", "use std::fs::File;\nfn f() { File::create(a) }")], &["web/src/a.rs:2: calls File::create"]);
    let allowed = "fn f() { fs::rename(a, b) }";
    complains(disk_access, &[("storage/src/disk.rs", allowed), ("web/build.rs", allowed), ("query/src/a/tests.rs", allowed)], &[]);
    complains(disk_access, &[("query/src/a.rs", "#[cfg(test)]\nmod tests { fn f() { std::fs::write(a, b) } }")], &[]);
}

#[test]
fn a_long_file_is_found_but_not_for_its_tests_and_comments() {
    let statements = "const A: u8 = 1;\n".repeat(FILE_CODE_LINES_MAX + 1);
    complains(long_files, &[("query/src/a.rs", &statements)], &["query/src/a.rs: 801 lines"]);
    let tested =
        format!("{}#[cfg(test)]\nmod tests {{\n{statements}}}\n", "const A: u8 = 1;\n// why\n/// what\n".repeat(FILE_CODE_LINES_MAX - 1));
    complains(long_files, &[("query/src/a.rs", &tested)], &[]);
    complains(long_files, &[("tests/e2e/a.rs", &statements)], &["tests/e2e/a.rs: 801 lines"]);
}

#[test]
fn a_long_function_is_found() {
    let function =
        |lines: usize| format!("impl A {{\n    fn long() {{\n{}    }}\n}}\n", "        call();\n        // why\n\n".repeat(lines - 2));
    complains(long_functions, &[("query/src/a.rs", &function(FUNCTION_CODE_LINES_MAX + 1))], &["query/src/a.rs:2: fn long has 71 lines"]);
    complains(long_functions, &[("query/src/a.rs", &function(FUNCTION_CODE_LINES_MAX))], &[]);
}

#[test]
fn a_second_version_is_found() {
    let package = |name: &str, version: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
    complains(one_version, &[("Cargo.lock", &(package("arrow", "1.0.0") + &package("arrow", "2.0.0")))], &["Cargo.lock: arrow comes in"]);
    complains(one_version, &[("Cargo.lock", &(package("arrow", "1.0.0") + &package("syn", "1.0.0") + &package("syn", "2.0.0")))], &[]);
}

#[test]
fn a_machine_path_is_found() {
    let path = ["see /ho", "me/someone/needle"].concat();
    complains(machine_paths, &[("README.md", &format!("ok\n{path}\n"))], &["README.md:2: names"]);
    let host = ["https://registry.npmjs", ".org/x"].concat();
    complains(
        machine_paths,
        &[("web/ui/package-lock.json", &host), ("Cargo.lock", &["crates", ".io-index"].concat())],
        &["web/ui/package-lock.json:1"],
    );
    complains(machine_paths, &[("README.md", "the homepage, the framework/parts, the roots")], &[]);
}

#[test]
fn a_crate_without_lints_is_found() {
    complains(workspace_lints, &[("web/Cargo.toml", "[package]\nname = \"a\"\n")], &["web/Cargo.toml: add `[lints]`"]);
}

#[test]
fn a_room_without_a_page_is_found() {
    let others = ["ingest/README.md", "query/README.md", "storage/README.md", "deploy/README.md", "README.md", "ARCHITECTURE.md"]
        .map(|path| (path, ""));
    complains(room_pages, &others, &["web/README.md: is missing"]);
}

#[test]
fn a_switched_off_test_is_found() {
    complains(ignored_tests, &[("query/src/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}")], &["query/src/a.rs:2: #[ignore]"]);
    complains(ignored_tests, &[("query/src/a.rs", "#[test]\nfn f() { ignore() }")], &[]);
}

#[test]
fn a_sleeping_test_is_found() {
    complains(sleeping_tests, &[("tests/e2e/a.rs", "fn f() { std::thread::sleep(a) }")], &["tests/e2e/a.rs:1: sleeps"]);
    complains(
        sleeping_tests,
        &[("tests/e2e/harness.rs", "fn f() { sleep(a) }\nfn poll() { sleep(a) }")],
        &["tests/e2e/harness.rs:1: sleeps"],
    );
    complains(
        sleeping_tests,
        &[("query/src/a.rs", "fn f() { sleep(a) }\n#[cfg(test)]\nmod tests { fn g() { sleep(a) } }")],
        &["query/src/a.rs:3: sleeps"],
    );
    complains(sleeping_tests, &[("query/src/a.rs", "#[test]\nfn g() { sleep(a) }\nfn f() { sleep(a) }")], &["query/src/a.rs:2: sleeps"]);
}

#[test]
fn unfinished_work_is_found() {
    complains(unfinished, &[("query/src/a.rs", "fn f() { todo!() }")], &["query/src/a.rs:1: todo!"]);
    complains(unfinished, &[("docs.md", &["a\n// TO", "DO later"].concat())], &["docs.md:2:"]);
    complains(unfinished, &[("query/src/a.rs", "fn todo() {}")], &[]);
}

#[test]
fn an_empty_name_is_found() {
    complains(empty_names, &[("query/src/utils.rs", "")], &["query/src/utils.rs: the name says nothing"]);
    complains(empty_names, &[("query/src/a.rs", "struct ShardManager;")], &["query/src/a.rs:1: ShardManager"]);
}

#[test]
fn a_file_is_read_as_tokens() {
    let file = RustFile::read("a.rs", "/// Doc `use tantivy::A`.\nfn f() -> &'static str {\n    \"}\" // }\n}\nfn g() {}\n").unwrap();
    let functions: Vec<_> = file.functions.iter().map(|function| (&*function.name, function.line, function.code_lines)).collect();
    assert_eq!(functions, [("f", 2, 3), ("g", 5, 1)]);
    assert!(file.names_crate("tantivy").is_none());
    assert!(RustFile::read("a.rs", "fn f( {").is_err());
}
