//! Shards: their bytes, their rows, and what the catalog and the id directory say of them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::executor::block_on;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};

use super::{Check, Known, REPAIR, RESTORE};
use crate::catalog::{Origins, ShardMeta};
use crate::dead_letter::DEAD_LETTER_FOLDER;
use crate::directory::SoundRuns;
use crate::keep::ShardName;
use crate::objects::TEMPORARY_SUFFIX;
use crate::recover::OWN_FOLDER;
use crate::shard::{Examined, examine};
use crate::wal::Sequence;

impl Check<'_> {
    /// Every shard of the catalog, and every file that looks like one.
    pub(super) fn shards(&mut self, known: Option<&Known>, directory: Option<&SoundRuns>, listed: &[ObjectMeta]) {
        let catalog: BTreeMap<&str, &ShardMeta> =
            known.iter().flat_map(|known| &known.shards).map(|shard| (shard.path.as_str(), shard)).collect();
        let present: BTreeSet<&str> = listed.iter().map(|object| object.location.as_ref()).collect();
        for path in catalog.keys().filter(|path| !present.contains(**path)) {
            self.report.damage(*path, "is missing, and the catalog lists it", RESTORE);
        }
        for object in listed {
            let path = object.location.as_ref();
            match catalog.get(path) {
                _ if path.starts_with(OWN_FOLDER) => self.set_aside(path),
                Some(shard) => self.shard(path, Some(shard), directory),
                None => self.unlisted(object, known, directory),
            }
        }
    }

    /// What was put aside because it could not be used.
    fn set_aside(&mut self, path: &str) {
        let folders = ["undecodable", "damaged", "copies", DEAD_LETTER_FOLDER].map(|folder| format!("{OWN_FOLDER}/{folder}/"));
        if path.ends_with(".damaged") || folders.iter().any(|folder| path.starts_with(folder)) {
            self.report.note(path, "was set aside because it could not be used", "restore what it was from a backup, or remove it");
        }
    }

    /// A file that is no shard of the catalog.
    fn unlisted(&mut self, object: &ObjectMeta, known: Option<&Known>, directory: Option<&SoundRuns>) {
        let path = object.location.as_ref();
        let file = object.location.filename().unwrap_or_default();
        let unfinished = file.strip_suffix(TEMPORARY_SUFFIX);
        let name = unfinished.unwrap_or(file).strip_suffix(".parquet").and_then(ShardName::parse);
        match (name, known) {
            (None, _) => self.report.note(path, "is none of needle's files", "move it elsewhere if it is not meant to be here"),
            (Some(_), _) if unfinished.is_some() => {
                self.report.note(path, "was not written to its end", "nothing: it is removed at the next start");
            }
            (Some(_), Some(known)) if known.replaced.iter().any(|replaced| replaced == path) => {
                self.report.note(path, "was replaced by a merged shard", "nothing: it is removed when it is not needed any more");
            }
            (Some(name), Some(known)) if name.first > known.position.sealed && self.log_holds(&name) => {
                self.report.note(path, "was written and not published before a crash", "nothing: its records are still in the log");
            }
            (Some(_), Some(_)) => {
                self.report.damage(path, "is not in the catalog, so its records are not found", REPAIR);
                self.shard(path, None, directory);
            }
            (Some(_), None) => self.shard(path, None, directory),
        }
    }

    fn log_holds(&self, name: &ShardName) -> bool {
        (name.first.0..=name.last.0).all(|frame| self.logged.contains(&Sequence(frame)))
    }

    fn shard(&mut self, path: &str, known: Option<&ShardMeta>, directory: Option<&SoundRuns>) {
        let bytes = match read_whole(self.objects.as_ref(), path) {
            Ok(bytes) => bytes,
            Err(error) => return self.report.damage(path, format!("cannot be read: {error}"), RESTORE),
        };
        self.report.bytes += bytes.len() as u64;
        self.report.shards += 1;
        let examined = match examine(path, &bytes, known.map(|shard| shard.tail)) {
            Ok(examined) => examined,
            Err(found) => return self.report.damage(path, found, RESTORE),
        };
        for fault in &examined.faults {
            self.report.damage(path, fault, RESTORE);
        }
        self.report.rows += examined.records.len() as u64;
        if let Some((number, other)) = self.numbers.add(path, &examined.records) {
            let found = format!("record {number} is in it and in {other}: it would be found twice");
            self.report.damage(path, found, REPAIR);
        }
        if let Some(known) = known {
            for found in differences(known, &examined.meta) {
                self.report.damage(path, found, REPAIR);
            }
            self.directory_of(known, directory, &examined);
        }
    }

    fn directory_of(&mut self, known: &ShardMeta, directory: Option<&SoundRuns>, examined: &Examined) {
        let Some(directory) = directory.filter(|_| known.origins != Origins::default()) else { return };
        let mend = "run `needle repair`, which has the directory made anew";
        match directory.missed(&known.origins.iter().collect(), &examined.keys) {
            Ok(0) => {}
            Ok(missed) => self.report.damage(&known.path, format!("the id directory does not lead to {missed} of its ids"), mend),
            Err(error) => self.report.damage(&known.path, error.to_string(), mend),
        }
    }
}

/// Where the catalog and a shard's own footer differ.
fn differences(known: &ShardMeta, found: &ShardMeta) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, known: String, found: String| {
        if known != found {
            differences.push(format!("the catalog says {what} {known}, its footer {found}"));
        }
    };
    compare("id", known.id.clone(), found.id.clone());
    compare("tenant", known.tenant.as_str().to_owned(), found.tenant.as_str().to_owned());
    compare("signal", known.signal.to_string(), found.signal.to_string());
    compare("format", known.format.to_string(), found.format.to_string());
    compare("rows", known.rows.to_string(), found.rows.to_string());
    compare("bytes", known.bytes.to_string(), found.bytes.to_string());
    let time = |shard: &ShardMeta| format!("{} to {}", shard.time_min.saturating_i64(), shard.time_max.saturating_i64());
    compare("time", time(known), time(found));
    let records = |shard: &ShardMeta| format!("{} to {}", shard.record_min.0, shard.record_max.0);
    compare("records", records(known), records(found));
    // Shards of the first version do not say of what seals they are made.
    if found.origins != Origins::default() {
        compare("seals", known.origins.to_string(), found.origins.to_string());
    }
    differences
}

/// Reads a whole object.
pub(crate) fn read_whole(objects: &dyn ObjectStore, path: &str) -> Result<Bytes, object_store::Error> {
    block_on(async { objects.get(&ObjectPath::from(path)).await?.bytes().await })
}
