//! Installs, from the package registries, what services in other languages run with. It stays below the target folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::repository;

/// The Python of a virtual environment with the packages of `tests/sdk/python/requirements.txt`.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let requirements = repository().join("tests/sdk/python/requirements.txt");
        let folder = install(&requirements, "python", |folder| {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder), "python3 with its venv module");
            let pip = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--requirement"];
            run(Command::new(folder.join("bin/python")).args(pip).arg(&requirements), "the Python package index");
        });
        folder.join("bin/python")
    })
}

/// A folder with the services of `tests/sdk/node` and their packages.
pub(crate) fn node() -> &'static Path {
    static NODE: OnceLock<PathBuf> = OnceLock::new();
    NODE.get_or_init(|| {
        let source = repository().join("tests/sdk/node");
        let folder = install(&source.join("package-lock.json"), "node", |folder| {
            for file in ["package.json", "package-lock.json", ".npmrc"] {
                std::fs::copy(source.join(file), folder.join(file)).unwrap();
            }
            run(Command::new("npm").args(["ci", "--no-fund", "--no-audit"]).current_dir(folder), "Node.js with npm");
        });
        // The services themselves may have changed since.
        for file in ["interop.cjs", "service.cjs", "telemetry.cjs"] {
            std::fs::copy(source.join(file), folder.join(file)).unwrap();
        }
        folder
    })
}

/// Runs `fill` on an empty folder, unless that was done for this very list before.
fn install(list: &Path, name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk").join(name);
    let wanted = std::fs::read(list).unwrap();
    let done = folder.join("installed");
    if std::fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return folder;
    }
    crate::harness::say(&format!("installing {} into {}", list.display(), folder.display()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(&folder).unwrap();
    fill(&folder);
    std::fs::write(done, wanted).unwrap();
    folder
}

fn run(command: &mut Command, needed: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}: install {needed}, or run `make test`, which does"));
    assert!(output.status.success(), "{command:?} needs {needed}: {}", String::from_utf8_lossy(&output.stderr));
}
