//! Making the catalog anew from the shards, which say all it has to know. What is damaged or there twice is moved
//! aside, never removed. It can be interrupted anywhere and done again; where all is sound it does nothing.

mod log;
mod plan;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::{ObjectMeta, ObjectStore};

use crate::catalog::{
    CatalogCopy, JOURNAL_SUFFIX, Origins, Position, Publication, Salvage, SeenRequest, ShardMeta, TombstoneRow, with_suffix, write_catalog,
};
use crate::check::{list, lock_for_reading, read_whole};
use crate::directory::SoundRuns;
use crate::disk::{Disk, FolderLock, LocalDisk};
use crate::keep::ShardName;
use crate::model::{RecordId, UnixNanos};
use crate::objects::DiskObjects;
use crate::recover::{self, CATALOG_FILE, IDS_FOLDER, LOG_FOLDER, OWN_FOLDER, OpenError};
use crate::wal::Sequence;
use log::{LoggedFrames, sealed_before};
use plan::{Leaving, Sound, examine_shard, without_copies};

/// Where damaged shards go, and where copies of others do.
const DAMAGED_FOLDER: &str = "damaged";
const COPIES_FOLDER: &str = "copies";

/// What was done, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RepairReport {
    /// Whether nothing was changed because it was asked so.
    pub dry_run: bool,
    /// Each step, in order; none when there was nothing to repair.
    pub steps: Vec<String>,
    /// What could not be brought back.
    pub losses: Vec<String>,
    /// Shards in the catalog now.
    pub shards: usize,
    /// Records in them.
    pub rows: u64,
}

/// Repairs a data folder that no process has open. With `dry_run` it says what it would do.
pub fn repair(folder: &Path, dry_run: bool) -> Result<RepairReport, OpenError> {
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    let objects: Arc<dyn ObjectStore> = Arc::new(DiskObjects::new(disk.clone(), folder.to_owned()));
    let listed = list(folder, &objects)?;
    let _lock = lock(folder, disk.as_ref(), dry_run)?;
    let mut repair = Repair {
        own: folder.join(OWN_FOLDER),
        folder,
        disk: disk.as_ref(),
        objects,
        report: RepairReport { dry_run, ..RepairReport::default() },
    };
    repair.run(&listed)?;
    Ok(repair.report)
}

fn lock(folder: &Path, disk: &dyn Disk, dry_run: bool) -> Result<Option<FolderLock>, OpenError> {
    if dry_run {
        return lock_for_reading(folder);
    }
    let own = folder.join(OWN_FOLDER);
    disk.create_folder(&own).map_err(|error| OpenError::Unusable { action: "create", path: own.clone(), error })?;
    recover::lock(folder, &own).map(Some)
}

struct Repair<'a> {
    folder: &'a Path,
    own: PathBuf,
    disk: &'a dyn Disk,
    objects: Arc<dyn ObjectStore>,
    report: RepairReport,
}

/// What the new catalog says, and what goes out of the way.
struct Plan {
    publication: Publication,
    tombstones: Vec<TombstoneRow>,
    leaving: Vec<Leaving>,
    /// Shards whose records the log brings back.
    left_to_log: Vec<Sound>,
}

impl Repair<'_> {
    fn run(&mut self, listed: &[ObjectMeta]) -> Result<(), OpenError> {
        if !self.report.dry_run {
            self.finish_swap()?;
        }
        let old = self.salvage()?;
        let log_folder = self.own.join(LOG_FOLDER);
        let log = LoggedFrames::read(self.disk, &log_folder).map_err(unusable("read", &log_folder))?;
        let directory = SoundRuns::read(self.objects.clone(), object_store::path::Path::from(IDS_FOLDER)).ok();
        let plan = self.plan(listed, &old, &log, directory.as_ref());
        self.report.shards = plan.publication.shards.len();
        self.report.rows = plan.publication.shards.iter().map(|shard| shard.rows).sum();
        if !old.is_sound || !says_the_same(&old, &plan.publication) {
            self.replace_catalog(&old, &plan, &log)?;
        }
        for leaving in &plan.leaving {
            self.move_away(leaving)?;
        }
        if !self.report.steps.is_empty() || directory.is_none_or(|runs| !runs.complaints.is_empty()) {
            self.forget_directory(listed)?;
        }
        Ok(())
    }

    /// What the catalog still says; where there is none, the last one that a repair put aside.
    fn salvage(&self) -> Result<Salvage, OpenError> {
        let mut candidates = vec![self.own.join(CATALOG_FILE)];
        candidates.extend(self.old_catalogs()?.into_iter().rev().map(|number| self.old_catalog(number)));
        for (n, path) in candidates.iter().enumerate() {
            if let Ok(copy) = CatalogCopy::of(self.disk, path) {
                let salvage = copy.salvage();
                return Ok(Salvage { is_sound: salvage.is_sound && n == 0, ..salvage });
            }
        }
        Ok(Salvage::default())
    }

    fn plan(&mut self, listed: &[ObjectMeta], old: &Salvage, log: &LoggedFrames, directory: Option<&SoundRuns>) -> Plan {
        let (mut sound, mut leaving) = (Vec::new(), Vec::new());
        for path in listed.iter().map(|object| object.location.as_ref()).filter(|path| !path.starts_with(OWN_FOLDER)) {
            let file = path.rsplit('/').next().unwrap_or(path);
            let Some(name) = file.strip_suffix(".parquet").and_then(ShardName::parse) else { continue };
            let examined = read_whole(self.objects.as_ref(), path).map_err(|error| error.to_string());
            let damaged = |why| Leaving { path: path.to_owned(), name, why, is_copy: false, origins: Origins::default() };
            match examined.map_err(damaged).and_then(|bytes| examine_shard(path, name, &bytes, old)) {
                Ok(shard) => sound.push(shard),
                Err(damaged) => leaving.push(damaged),
            }
        }
        let (kept, copies) = without_copies(sound, old);
        let sealed = self.sealed(&kept, &leaving, old, log);
        leaving.extend(copies);
        let (mut kept, left_to_log): (Vec<Sound>, Vec<Sound>) = kept.into_iter().partition(|shard| shard.name.first <= sealed);
        let known = |shard: &ShardMeta| listed.iter().any(|object| object.location.as_ref() == shard.path);
        let missing = old.shards.iter().filter(|shard| !known(shard));
        let numbers = kept.iter().map(|shard| &shard.meta.origins).chain(leaving.iter().map(|leaving| &leaving.origins));
        let highest = numbers.chain(missing.clone().map(|shard| &shard.origins)).flat_map(Origins::iter).max();
        let highest = highest.max(directory.and_then(SoundRuns::highest_origin)).unwrap_or(0);
        let mut next_origin = old.position.map_or(1, |position| position.next_origin).max(highest + 1);
        for shard in kept.iter_mut().filter(|shard| shard.meta.origins == Origins::default()) {
            shard.meta.origins = Origins::one(next_origin);
            next_origin += 1;
        }
        let next_record = kept.iter().map(|shard| shard.meta.record_max.0 + 1).max().unwrap_or(1).max(log.next_record().0);
        let next_record = RecordId(old.position.map_or(next_record, |position| position.next_record.0.max(next_record)));
        self.report
            .losses
            .extend(missing.map(|shard| format!("{} with {} records is missing: restore it from a backup", shard.path, shard.rows)));
        Plan {
            publication: Publication {
                shards: kept.into_iter().map(|shard| shard.meta).collect(),
                position: Position { sealed, next_record, next_origin },
                seen: seen(old, log, sealed),
                seen_since: UnixNanos::MIN,
            },
            tombstones: old.tombstones.clone(),
            leaving,
            left_to_log,
        }
    }

    /// Up to which frame everything is in shards. The newest seal may not have come to its end before the catalog
    /// was lost, and damaged shards may still be in the log: what the log holds of those is replayed.
    fn sealed(&self, kept: &[Sound], damaged: &[Leaving], old: &Salvage, log: &LoggedFrames) -> Sequence {
        let known = old.position.map(|position| position.sealed).filter(|_| old.is_sound);
        let names: Vec<ShardName> = kept.iter().map(|shard| shard.name).collect();
        let damaged: Vec<ShardName> = damaged.iter().map(|shard| shard.name).collect();
        let unpublished = |name: &&ShardName| known.is_some_and(|sealed| name.first > sealed) && log.holds(name);
        let published = names.iter().chain(&damaged).filter(|name| !unpublished(name)).map(|name| name.last);
        let newest = published.max().max(known).unwrap_or_default();
        let uncertain = names.iter().filter(|name| known.is_none() && name.last == newest && log.holds(name));
        // Deleted records are gone from shards, and still in the log.
        let restored = damaged.iter().filter(|_| !(old.is_sound && old.has_deletions));
        // Without a catalog: frames that no shard has, before some that one has. What was accepted while the log was replayed
        // may have been sealed, and not published, before what was replayed.
        let made: Vec<ShardName> = names.iter().chain(&damaged).copied().collect();
        let skipped = log.without(&made, newest).filter(|_| known.is_none());
        let wanted: Vec<ShardName> = uncertain.chain(restored).copied().chain(skipped).collect();
        sealed_before(&wanted, &names, newest, log)
    }

    fn replace_catalog(&mut self, old: &Salvage, plan: &Plan, log: &LoggedFrames) -> Result<(), OpenError> {
        let Publication { shards, position, seen, .. } = &plan.publication;
        self.report.steps.push(format!(
            "made {OWN_FOLDER}/{CATALOG_FILE} anew: {} shards, everything up to frame {} of the log is in them, {} frames come after",
            shards.len(),
            position.sealed.0,
            log.count_after(position.sealed)
        ));
        for shard in &plan.left_to_log {
            self.report.steps.push(format!("left {} to the log, which still holds its records", shard.meta.path));
        }
        if !old.is_sound {
            self.report.losses.push(format!(
                "the old catalog could not be read whole: {} requests are recognised when they come again, earlier ones would be stored again; {} deletions are known, records of others may be back",
                seen.len(),
                plan.tombstones.len()
            ));
        }
        if self.report.dry_run {
            return Ok(());
        }
        let new = self.own.join(format!("{CATALOG_FILE}.new"));
        for suffix in ["", JOURNAL_SUFFIX, "-shm"] {
            self.remove(&with_suffix(&new, suffix))?;
        }
        write_catalog(&new, &plan.publication, &plan.tombstones)?;
        self.put_aside_catalog()?;
        self.rename(&new, &self.own.join(CATALOG_FILE))
    }

    /// The old catalog gets another name, with the journal that belongs to it.
    fn put_aside_catalog(&mut self) -> Result<(), OpenError> {
        let path = self.own.join(CATALOG_FILE);
        if self.disk.open_read(&path).is_ok() {
            let number = self.old_catalogs()?.last().map_or(1, |last| last + 1);
            self.rename(&path, &self.old_catalog(number))?;
            self.report.steps.push(format!("kept the old one as {}", self.old_catalog(number).display()));
        }
        self.finish_swap()
    }

    /// A catalog that was put aside takes its journal with it, also when that was interrupted. (A journal beside a
    /// new catalog would be played into it.)
    fn finish_swap(&self) -> Result<(), OpenError> {
        let path = self.own.join(CATALOG_FILE);
        if self.disk.open_read(&path).is_ok() {
            return Ok(());
        }
        let journal = with_suffix(&path, JOURNAL_SUFFIX);
        if self.disk.open_read(&journal).is_ok() {
            let number = self.old_catalogs()?.last().copied().unwrap_or(0);
            self.rename(&journal, &with_suffix(&self.old_catalog(number), JOURNAL_SUFFIX))?;
        }
        self.remove(&with_suffix(&path, "-shm"))
    }

    fn old_catalog(&self, number: u32) -> PathBuf {
        self.own.join(format!("{CATALOG_FILE}.{number}.old"))
    }

    /// The numbers of catalogs that were put aside, ascending.
    fn old_catalogs(&self) -> Result<Vec<u32>, OpenError> {
        let entries = self.disk.list(&self.own).map_err(unusable("list", &self.own))?;
        let names = entries.iter().filter_map(|entry| entry.name.to_str());
        let mut numbers: Vec<u32> =
            names.filter_map(|name| name.strip_prefix(CATALOG_FILE)?.strip_prefix('.')?.strip_suffix(".old")?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn move_away(&mut self, leaving: &Leaving) -> Result<(), OpenError> {
        let place = if leaving.is_copy { COPIES_FOLDER } else { DAMAGED_FOLDER };
        let to = self.own.join(place).join(&leaving.path);
        self.report.steps.push(format!("moved {} to {OWN_FOLDER}/{place}: {}", leaving.path, leaving.why));
        if !leaving.is_copy {
            self.report
                .losses
                .push(format!("records of {} are not found unless the log still has them: restore it from a backup", leaving.path));
        }
        if self.report.dry_run {
            return Ok(());
        }
        let folder = to.parent().expect("it is below the data folder");
        self.disk.create_folder(folder).map_err(unusable("create", folder))?;
        let from = self.folder.join(&leaving.path);
        self.rename(&from, &to)?;
        let left = from.parent().expect("it is below the data folder");
        self.disk.sync_folder(left).map_err(unusable("sync", left))
    }

    /// Shards may be others now; the store makes the directory anew from them.
    fn forget_directory(&mut self, listed: &[ObjectMeta]) -> Result<(), OpenError> {
        let runs = listed.iter().map(|object| object.location.as_ref()).filter(|path| path.starts_with(&format!("{IDS_FOLDER}/")));
        let runs: Vec<&str> = runs.collect();
        if runs.is_empty() {
            return Ok(());
        }
        self.report.steps.push(format!("removed the id directory, which is made anew from the shards: {} files", runs.len()));
        if self.report.dry_run {
            return Ok(());
        }
        runs.iter().try_for_each(|path| self.remove(&self.folder.join(path)))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), OpenError> {
        let folder = to.parent().expect("it is below the data folder");
        self.disk.rename(from, to).and_then(|()| self.disk.sync_folder(folder)).map_err(unusable("move", from))
    }

    fn remove(&self, path: &Path) -> Result<(), OpenError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unusable("remove", path)(error)),
            _ => Ok(()),
        }
    }
}

/// Requests to be recognised: those of the old catalog, and those that the log still has.
fn seen(old: &Salvage, log: &LoggedFrames, sealed: Sequence) -> Vec<SeenRequest> {
    let mut seen = old.seen.clone();
    if !old.is_sound {
        seen.extend(log.requests(sealed));
    }
    seen
}

/// Whether the new catalog would be the old one.
fn says_the_same(old: &Salvage, new: &Publication) -> bool {
    let sorted = |shards: &[ShardMeta]| {
        // A column saturates in the year 2262.
        let times = |shard: &ShardMeta| (shard.time_min.saturating_i64(), shard.time_max.saturating_i64());
        let mut shards: Vec<_> = shards
            .iter()
            .map(|shard| (times(shard), ShardMeta { time_min: UnixNanos::MIN, time_max: UnixNanos::MIN, ..shard.clone() }))
            .collect();
        shards.sort_by(|(_, one), (_, other)| one.path.cmp(&other.path));
        shards
    };
    old.position.is_some_and(|position| position.sealed == new.position.sealed && position.next_origin == new.position.next_origin)
        && sorted(&old.shards) == sorted(&new.shards)
}

fn unusable(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> OpenError {
    let path = path.to_owned();
    move |error| OpenError::Unusable { action, path: path.clone(), error }
}
