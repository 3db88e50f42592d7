//! The machine: program, disk, clock, limits of the process.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use needle_ingest::storage::{FolderHealth, folder_health, formats};

use super::{Finding, State};
use crate::settings::Settings;

/// Less free space than this is a warning, in bytes: a log file, a seal and a merge fit in it.
const FREE_BYTES_LOW: u64 = 2 << 30;
/// Less than this is a fault.
const FREE_BYTES_NONE: u64 = 256 << 20;
/// A sync that takes longer makes every sender wait.
const SYNC_SLOW: Duration = Duration::from_millis(200);
/// Each connection and each open shard takes one.
const DESCRIPTORS_LOW: u64 = 4096;

pub(super) fn version() -> Finding {
    let formats: Vec<String> = formats().iter().map(|(what, version)| format!("{what} {version}")).collect();
    Finding::good("program", format!("needle {}, which writes {}", env!("CARGO_PKG_VERSION"), formats.join(", ")))
}

pub(super) fn disk(settings: &Settings) -> Vec<Finding> {
    let folder = &settings.storage.data;
    let health = match folder_health(folder) {
        Ok(health) => health,
        Err(error) => {
            let mend = "let this user read it, or name another folder with --data";
            return vec![Finding::new("disk", State::Broken, format!("{} cannot be looked at: {error}", folder.display()), mend)];
        }
    };
    vec![place(settings, &health), space(&health), sync(&health)]
}

/// Where the folder is.
fn place(settings: &Settings, health: &FolderHealth) -> Finding {
    let (folder, system) = (settings.storage.data.display(), &health.file_system.name);
    let there = match (&health.holder, health.exists) {
        (Some(process), _) => format!("{folder} on {system} is open in process {process}"),
        (None, true) => format!("{folder} on {system} is open in no process"),
        (None, false) => format!("{folder} is not there yet and will be made, on {system}"),
    };
    if health.file_system.is_remote {
        let mend = "keep the data on a disk of this machine: locks and syncs of network file systems may not hold what they promise";
        return Finding::new("data folder", State::Warning, there, mend);
    }
    if health.file_system.is_volatile {
        let mend = "name a folder that outlives this machine or container with --data";
        return Finding::new("data folder", State::Warning, there, mend);
    }
    Finding::good("data folder", there)
}

fn space(health: &FolderHealth) -> Finding {
    let system = &health.file_system;
    let found = format!("{} MiB of {} MiB are free", system.free_bytes >> 20, system.total_bytes >> 20);
    match system.free_bytes {
        ..FREE_BYTES_NONE => {
            Finding::new("disk space", State::Broken, found, "free some space, or keep records for less long with --retention")
        }
        FREE_BYTES_NONE..FREE_BYTES_LOW => Finding::new("disk space", State::Warning, found, "free some space before it is full"),
        _ => Finding::good("disk space", found),
    }
}

fn sync(health: &FolderHealth) -> Finding {
    let folder = health.looked_at.display();
    match &health.synced {
        Ok(took) if *took > SYNC_SLOW => {
            let found = format!("writing and syncing a file in {folder} took {} ms", took.as_millis());
            Finding::new("disk sync", State::Warning, found, "senders wait for it: use a faster disk, or less busy a one")
        }
        Ok(took) => Finding::good("disk sync", format!("a file in {folder} was written and synced in {:.1} ms", took.as_secs_f64() * 1e3)),
        Err(error) => {
            let found = format!("a file in {folder} could not be written and synced: {error}");
            Finding::new(
                "disk sync",
                State::Broken,
                found,
                "let this user write there, free some space, or name another folder with --data",
            )
        }
    }
}

/// The clock by itself: whether it says a time that can be, and goes as fast as the steady one.
pub(super) fn clock() -> Finding {
    const YEAR_2024: u64 = 1_704_067_200;
    const YEAR_2100: u64 = 4_102_444_800;
    const WATCHED: Duration = Duration::from_millis(100);
    let (begun, steady) = (SystemTime::now(), Instant::now());
    std::thread::sleep(WATCHED);
    let elapsed = steady.elapsed();
    let Ok(told) = SystemTime::now().duration_since(begun) else {
        return Finding::new(
            "clock",
            State::Broken,
            "it went backwards while it was watched",
            "see what sets it: chronyc tracking, timedatectl",
        );
    };
    let apart = told.abs_diff(elapsed);
    let since_epoch = begun.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if !(YEAR_2024..YEAR_2100).contains(&since_epoch) {
        return Finding::new(
            "clock",
            State::Broken,
            format!("it says {since_epoch} s since 1970, which cannot be"),
            "set the clock: nothing expires by such a one",
        );
    }
    if apart > WATCHED / 4 {
        let found = format!("in {} ms it went on by {} ms", elapsed.as_millis(), told.as_millis());
        return Finding::new("clock", State::Warning, found, "see what sets it: chronyc tracking, timedatectl");
    }
    Finding::good("clock", format!("it goes steadily ({} µs apart in {} ms)", apart.as_micros(), elapsed.as_millis()))
}

pub(super) fn descriptors() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let words = |limit: Option<u64>| limit.map_or_else(|| "any number".to_owned(), |limit| limit.to_string());
    let found = format!("{} files may be open at one time, and {} if the process asks", words(limit.current), words(limit.maximum));
    match limit.current {
        Some(current) if current < DESCRIPTORS_LOW => {
            let mend =
                format!("each connection and open shard takes one: allow {DESCRIPTORS_LOW} with ulimit -n, or LimitNOFILE in systemd");
            Finding::new("open files", State::Warning, found, mend)
        }
        _ => Finding::good("open files", found),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use needle_ingest::storage::FileSystem;

    use super::*;

    fn health(name: &str, free_bytes: u64) -> FolderHealth {
        let file_system = FileSystem {
            name: name.to_owned(),
            is_remote: name == "nfs",
            is_volatile: name == "tmpfs",
            free_bytes,
            total_bytes: 100 << 30,
        };
        FolderHealth { looked_at: PathBuf::from("/srv"), exists: true, file_system, synced: Ok(Duration::from_millis(3)), holder: None }
    }

    #[test]
    fn network_and_volatile_file_systems_are_warned_of() {
        let settings = Settings::default();
        assert_eq!(place(&settings, &health("ext4", 1)).state, State::Good);
        assert_eq!(place(&settings, &health("nfs", 1)).state, State::Warning);
        assert_eq!(place(&settings, &health("tmpfs", 1)).state, State::Warning);
    }

    #[test]
    fn little_space_is_a_warning_and_none_a_fault() {
        let states = [50 << 30, 1 << 30, 10 << 20].map(|free_bytes| space(&health("ext4", free_bytes)).state);
        assert_eq!(states, [State::Good, State::Warning, State::Broken]);
    }

    #[test]
    fn a_slow_sync_is_a_warning_and_none_a_fault() {
        let with = |synced| sync(&FolderHealth { synced, ..health("ext4", 1) }).state;
        assert_eq!(with(Ok(Duration::from_millis(2))), State::Good);
        assert_eq!(with(Ok(Duration::from_secs(2))), State::Warning);
        assert_eq!(with(Err("no".to_owned())), State::Broken);
    }
}
