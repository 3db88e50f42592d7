//! Builds the browser UI (`web/ui`) through npm when the feature `ui` is on and `ui/dist` is missing or older than
//! its sources. The crate embeds `ui/dist`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// The oldest Node that Vite runs on.
const NODE_MIN: (u32, u32) = (20, 19);
const UI: &str = "ui";
const LOCK_FILE: &str = "ui/package-lock.json";
/// Written last by `npm ci`.
const INSTALLED: &str = "ui/node_modules/.package-lock.json";
/// What the build is done for.
const PAGE: &str = "ui/dist/index.html";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_UI").is_none() {
        return;
    }
    if let Err(reason) = keep_fresh() {
        println!("cargo::error={reason}");
    }
}

/// Leaves `ui/dist` no older than its sources.
fn keep_fresh() -> Result<(), String> {
    for source in sources()? {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    // So that a deleted `dist` is built again.
    println!("cargo::rerun-if-changed={PAGE}");
    if is_fresh()? {
        return Ok(());
    }
    require_node()?;
    // Two builds of different profiles may run at once; the second one finds the work done.
    let lock = File::open(LOCK_FILE).map_err(|error| format!("web/{LOCK_FILE} cannot be read: {error}"))?;
    lock.lock().map_err(|error| format!("web/{LOCK_FILE} cannot be locked: {error}"))?;
    if is_fresh()? {
        return Ok(());
    }
    if modified(Path::new(INSTALLED)) < modified(Path::new(LOCK_FILE)) {
        npm(&["ci", "--no-audit", "--no-fund"])?;
    }
    npm(&["run", "build"])?;
    date_back().map_err(|error| format!("`npm run build` in web/ui left no usable {PAGE}: {error}"))
}

/// The files that the UI is made of: all below `ui` but what is installed, built or hidden.
fn sources() -> Result<Vec<PathBuf>, String> {
    find_sources().map_err(|error| format!("the sources of the browser UI in web/ui cannot be read: {error}"))
}

fn find_sources() -> io::Result<Vec<PathBuf>> {
    let mut files = vec![PathBuf::from("openapi.json")];
    let mut folders = vec![PathBuf::from(UI)];
    while let Some(folder) = folders.pop() {
        // The folder too, so that a new file is noticed; but `ui` itself changes with what is installed and built in it.
        if folder != Path::new(UI) {
            files.push(folder.clone());
        }
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if ["node_modules", "dist"].iter().any(|made| name == OsStr::new(made)) || name.to_string_lossy().starts_with('.') {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// When the youngest source was written; asked again after a build, which may write types among the sources.
fn newest_source() -> Result<Option<SystemTime>, String> {
    Ok(sources()?.iter().filter_map(|source| modified(source)).max())
}

fn is_fresh() -> Result<bool, String> {
    let newest = newest_source()?;
    Ok(modified(Path::new(PAGE)).is_some_and(|built| Some(built) >= newest))
}

/// Gives the page the time of the newest source. Cargo runs this program again when a file it watches is newer than
/// its last run, which a page written during that run would be.
fn date_back() -> io::Result<()> {
    let newest = newest_source().map_err(io::Error::other)?;
    File::options().append(true).open(PAGE)?.set_modified(newest.unwrap_or_else(SystemTime::now))
}

fn require_node() -> Result<(), String> {
    let way_out = "install it, or build with `--no-default-features` to leave the UI out";
    let (major, minor) = NODE_MIN;
    let output = Command::new("node")
        .arg("--version")
        .output()
        .map_err(|_| format!("the browser UI is built with Node >= {major}.{minor}, which is not there: {way_out}"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match parse_version(&version) {
        Some(found) if found >= NODE_MIN => Ok(()),
        _ => Err(format!("the browser UI is built with Node >= {major}.{minor}, but `node --version` says {version:?}: {way_out}")),
    }
}

/// `v20.19.4` as (20, 19).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn npm(arguments: &[&str]) -> Result<(), String> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let shown = format!("npm {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .current_dir(UI)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{shown}` cannot be started ({error}): npm comes with Node"))?;
    if output.status.success() {
        return Ok(());
    }
    for said in [output.stdout, output.stderr] {
        for line in String::from_utf8_lossy(&said).lines() {
            println!("cargo::warning={line}");
        }
    }
    Err(format!("`{shown}` in web/ui failed with {}: its words stand above", output.status))
}
