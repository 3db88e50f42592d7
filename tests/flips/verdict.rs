//! What the store and the check made of a damage, and whether that is right.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

use needle_ingest::storage::model::{Record, RecordId};
use needle_ingest::storage::predicate::Predicate;
use needle_ingest::storage::{FindingKind, Store, check, repair};

use crate::damage::{Damage, FileKind};
use crate::folder::{Copy, Original, ask, open};

/// A hang is as bad as a panic.
const DEADLINE: Duration = Duration::from_secs(60);

/// How a damage went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Everything was found; the check says nothing: nobody reads these bytes.
    Unused,
    /// Everything was found, the check names the damage.
    Whole,
    /// What could not be read was said in the answers.
    Partial,
    /// The start was refused, with a way out.
    Refused,
    /// The end of the log is missing or was taken for a write that a crash cut short; where it is there, the check
    /// says so.
    TornTail,
}

/// Damages a copy, checks it, asks it, and sometimes repairs it. An error: what is not as it should be.
pub(crate) fn of(original: &Original, damage: &Damage, with_repair: bool) -> Result<Outcome, String> {
    let files = damage.apply(&original.files);
    std::thread::scope(|scope| {
        let (done, verdict) = mpsc::channel();
        scope.spawn(move || {
            let judged = catch_unwind(AssertUnwindSafe(|| judge(original, damage, &files, with_repair)));
            let judged = judged.unwrap_or_else(|panic| {
                let said = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Err(format!("panic: {}", said.unwrap_or_default()))
            });
            _ = done.send(judged);
        });
        // A thread that hangs cannot be ended: then the whole run is.
        verdict.recv_timeout(DEADLINE).unwrap_or_else(|_| {
            std::process::abort();
        })
    })
}

fn judge(original: &Original, damage: &Damage, files: &BTreeMap<String, Vec<u8>>, with_repair: bool) -> Result<Outcome, String> {
    let copy = Copy::of(files);
    let report = check(copy.path()).map_err(|error| format!("the check gave up: {error}"))?;
    let named: Vec<_> = report.findings.iter().filter(|finding| damage.paths().contains(&finding.path.as_str())).collect();
    let noticed = report.findings.iter().any(|finding| finding.kind == FindingKind::Damage) || !named.is_empty();
    let outcome = match open(copy.path()) {
        Err(error) => {
            let text = error.to_string();
            let has_way_out = ["needle repair", "newer program"].iter().any(|way| text.contains(way));
            if !(has_way_out && text.contains("catalog")) {
                return Err(format!("refused without a way out: {text}"));
            }
            Outcome::Refused
        }
        Ok(store) => {
            let missing = questions(original, &store)?;
            // A file that is missing at the end leaves nothing that could say so.
            let torn = damage.kind == FileKind::Log && (!named.is_empty() || damage.is_end_of_log_missing(original));
            match missing.silent.first() {
                Some(_) if torn && missing.silent.iter().all(|number| original.shard_of[number].is_none()) => Outcome::TornTail,
                Some(number) => return Err(format!("{} records are missing in silence, the first is {number:?}", missing.silent.len())),
                None if missing.said => Outcome::Partial,
                None if noticed => Outcome::Whole,
                None => Outcome::Unused,
            }
        }
    };
    if !noticed && outcome != Outcome::Unused && !damage.is_end_of_log_missing(original) {
        return Err(format!("{outcome:?}, and the check found nothing"));
    }
    if with_repair {
        repaired(original, damage, files)?;
    }
    Ok(outcome)
}

/// Records that were not found.
struct Missing {
    /// Without a word about them in the answer.
    silent: Vec<RecordId>,
    /// Whether an answer said that it is not whole.
    said: bool,
}

/// Asks for everything, for ids and for words. What comes back is what was written, once.
fn questions(original: &Original, store: &Store) -> Result<Missing, String> {
    let (found, failures) = ask(store, &Predicate::All);
    let found = compare(&original.records, &found)?;
    let is_said = |number: &RecordId| match &original.shard_of[number] {
        Some(shard) => failures.iter().any(|failure| failure.contains(shard.as_str())),
        None => failures.iter().any(|failure| failure.contains("frames of the log")),
    };
    let silent: Vec<RecordId> = original.records.keys().filter(|number| !found.contains(number) && !is_said(number)).copied().collect();
    for (what, predicate, expected) in &original.answers {
        let (answer, failures) = ask(store, predicate);
        let answer = compare(&original.records, &answer)?;
        if let Some(number) = answer.iter().find(|number| !expected.contains(number)) {
            return Err(format!("{what} finds record {number:?}, which it did not find before"));
        }
        // What a scan of all finds a narrower question finds, or says that something could not be read.
        let lost = expected.iter().find(|number| found.contains(number) && !answer.contains(number));
        if let Some(number) = lost.filter(|_| failures.is_empty()) {
            return Err(format!("{what} does not find record {number:?}, and says nothing"));
        }
    }
    Ok(Missing { silent, said: !failures.is_empty() })
}

/// The numbers of the records found, which are what was written.
fn compare(written: &BTreeMap<RecordId, Record>, found: &[Record]) -> Result<BTreeSet<RecordId>, String> {
    let mut numbers = BTreeSet::new();
    for record in found {
        let number = record.common().record_id;
        if written.get(&number) != Some(record) {
            return Err(format!("record {number:?} is not what was written"));
        }
        if !numbers.insert(number) {
            return Err(format!("record {number:?} is there twice"));
        }
    }
    Ok(numbers)
}

/// After a repair the check is content, and what is found is what was written.
fn repaired(original: &Original, damage: &Damage, files: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let copy = Copy::of(files);
    let report = repair(copy.path(), false).map_err(|error| format!("not repaired: {error}"))?;
    let again = repair(copy.path(), false).map_err(|error| format!("not repaired again: {error}"))?;
    if !again.steps.is_empty() {
        return Err(format!("a second repair had something to do: {:?}", again.steps));
    }
    let store = open(copy.path()).map_err(|error| format!("not opened after the repair {:?}: {error}", report.steps))?;
    let (found, _) = ask(&store, &Predicate::All);
    let mut written = original.records.clone();
    if report.losses.iter().any(|loss| loss.contains("deletions")) {
        written.extend(original.deleted.clone());
    }
    let found = compare(&written, &found).map_err(|error| format!("after the repair {:?}: {error}", report.steps))?;
    let is_damaged = |number: &RecordId| match &original.shard_of[number] {
        Some(shard) => damage.paths().contains(&shard.as_str()),
        None => damage.kind == FileKind::Log,
    };
    match original.records.keys().find(|number| !found.contains(number) && !is_damaged(number)) {
        Some(number) => Err(format!("record {number:?} is lost by the repair {:?}", report.steps)),
        None => Ok(()),
    }
}
