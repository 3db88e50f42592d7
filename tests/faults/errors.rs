//! A disk that is full, fails, is slow, or does less than it was told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Process, StopOnDrop, poll, try_get, try_post};
use crate::oracle::Verdict;
use crate::program::{Life, Tally, live, mounted, start, url};
use crate::random::Random;
use crate::volume::{Fault, Operation, Trap, errno};

const JSON_LINES: [(&str, &str); 1] = [("content-type", "application/x-ndjson")];

/// What a disk may do that does not end the program.
pub(crate) fn any_error(random: &mut Random) -> Trap {
    let error = *random.pick(&[errno::EIO, errno::ENOSPC]);
    let (operation, path, fault) = *random.pick(&[
        (Operation::Write, "/wal/", Fault::Fails(error)),
        (Operation::Write, "/wal/", Fault::Fails(errno::EINTR)),
        (Operation::Write, "/wal/", Fault::Short),
        (Operation::Length, "/wal/", Fault::Fails(error)),
        (Operation::Create, "/wal/", Fault::Fails(error)),
        (Operation::Remove, "/wal/", Fault::Fails(errno::EIO)),
        (Operation::SyncFolder, "/wal", Fault::Fails(errno::EIO)),
        (Operation::Sync, "/wal/", Fault::Fails(errno::EIO)),
        (Operation::Sync, "/wal/", Fault::Slow(Duration::from_millis(200))),
        (Operation::Write, ".parquet.tmp", Fault::Fails(error)),
        (Operation::Write, ".parquet.tmp", Fault::Short),
        (Operation::Sync, ".parquet.tmp", Fault::Fails(errno::EIO)),
        (Operation::Rename, ".parquet.tmp", Fault::Fails(errno::EIO)),
        (Operation::SyncFolder, "/default/", Fault::Fails(errno::EIO)),
        (Operation::Remove, ".parquet", Fault::Fails(errno::EIO)),
        (Operation::Write, "/catalog.db", Fault::Fails(error)),
        (Operation::Write, "/catalog.db", Fault::Short),
        (Operation::Sync, "/catalog.db", Fault::Fails(errno::EIO)),
        (Operation::Write, "/ids/", Fault::Fails(error)),
        (Operation::Rename, "/ids/", Fault::Fails(errno::EIO)),
    ]);
    Trap { operation: Some(operation), path, fault, skipped: random.below(4), times: random.between(1, 4) }
}

/// Errors one after the other on volume after volume. The program is started anew only where it says that it has to be.
pub(crate) fn fail_at_random(seed: u64, errors: u64, until: Instant) -> Option<(Verdict, Tally, u64)> {
    let (mut verdict, mut tally, mut happened) = (Verdict::default(), Tally::default(), 0);
    while happened < errors && Instant::now() < until {
        let number = 20_000 + happened;
        let of_this = (errors - happened).min(20);
        let (found, ended) = live(seed, number, false, |life, process| {
            for _ in 0..of_this {
                fail_once(life, process);
            }
        })?;
        assert!(found.is_good(), "SEED={seed}, volume {number}: {found}");
        verdict.add(&found);
        tally.add(ended);
        happened += of_this;
    }
    Some((verdict, tally, happened))
}

fn fail_once(life: &mut Life<'_>, process: &mut Process) {
    let trap = any_error(&mut life.random);
    life.mounted.volume().traps = vec![trap];
    let deadline = Instant::now() + Duration::from_millis(700);
    poll("the errors", || (life.mounted.volume().traps[0].times == 0 || Instant::now() > deadline).then_some(()));
    life.mounted.volume().traps.clear();
    assert!(!process.has_ended(), "an error of the disk ended the program:\n{}", process.stderr());
    let readiness = readiness(&url(process));
    if readiness.contains("restart needle") {
        let with_cut = life.random.happens(0.5);
        life.end(process, with_cut);
        *process = life.start();
    }
}

fn readiness(url: &str) -> String {
    try_get(&format!("{url}/readyz"), &[]).unwrap().text()
}

/// Fault 30: what was not synced is not acknowledged, and nothing else is until it starts anew.
#[test]
fn after_a_failed_sync_nothing_is_acknowledged_until_a_restart() {
    let Some(mounted) = mounted() else { return };
    let settings = settings("");
    let process = start(&mounted.data(), settings.path(), |_| {}).unwrap();
    assert_eq!(send(&url(&process), 1), 200);
    mounted.volume().traps =
        vec![Trap { operation: Some(Operation::Sync), path: "/wal/", fault: Fault::Fails(errno::EIO), skipped: 0, times: 1 }];
    assert_eq!(send(&url(&process), 2), 503, "its sync failed");
    assert_eq!(send(&url(&process), 3), 503, "a later sync proves nothing");
    let readiness = try_get(&format!("{}/readyz", url(&process)), &[]).unwrap();
    assert_eq!(readiness.status, 503);
    assert!(readiness.text().contains("restart needle"), "{}", readiness.text());
    assert!(found(&url(&process)).contains(&1), "what was there is read");
    drop(process);
    let process = start(&mounted.data(), settings.path(), |_| {}).unwrap();
    for number in [2, 3] {
        assert_eq!(send(&url(&process), number), 200, "whoever was refused sends again");
    }
    assert_eq!(found(&url(&process)), [1, 2, 3]);
}

/// Fault 32.
#[test]
fn writes_that_are_short_or_interrupted_are_finished() {
    let Some(mounted) = mounted() else { return };
    let settings = settings("");
    let process = start(&mounted.data(), settings.path(), |_| {}).unwrap();
    for (number, fault) in [Fault::Short, Fault::Fails(errno::EINTR), Fault::Short].into_iter().enumerate() {
        mounted.volume().traps = vec![Trap { operation: Some(Operation::Write), path: "", fault, skipped: 0, times: 3 }];
        assert_eq!(send(&url(&process), number as u64), 200, "{fault:?}");
        assert_eq!(try_post(&format!("{}/api/v1/admin/flush", url(&process)), &[], b"").unwrap().status, 200);
        assert_eq!(mounted.volume().traps[0].times, 0, "{fault:?} happened");
    }
    assert_eq!(found(&url(&process)), [0, 1, 2]);
}

/// Fault 31: requests wait; when too many wait, they are told to come again. Nothing is lost, and it goes on by itself.
#[test]
fn a_disk_that_stalls_is_waited_for_in_bounded_memory() {
    let Some(mounted) = mounted() else { return };
    // A campaign lets it stall for as long as disks do.
    let stall = Duration::from_secs(if std::env::var("FAULTS").is_ok_and(|count| !count.is_empty()) { 30 } else { 4 });
    let settings = settings("[storage]\nlive_bytes_seal = 100000\nlive_bytes_max = 300000\n");
    let process = start(&mounted.data(), settings.path(), |_| {}).unwrap();
    assert_eq!(send(&url(&process), 0), 200);
    let before = resident_bytes(&process);
    mounted.volume().traps =
        vec![Trap { operation: Some(Operation::Sync), path: "/wal/", fault: Fault::Slow(stall), skipped: 0, times: 1 }];
    let (accepted, pushed_back, most) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let (is_over, address) = (AtomicBool::new(false), url(&process));
    std::thread::scope(|scope| {
        for sender in 1..=64_u64 {
            let (accepted, pushed_back, is_over, address) = (&accepted, &pushed_back, &is_over, &address);
            scope.spawn(move || {
                for number in 0.. {
                    let batch = sender * 100_000 + number;
                    loop {
                        match post(address, &large(batch)).status {
                            200 => {
                                accepted.fetch_add(1, Ordering::Relaxed);
                                break;
                            }
                            429 | 503 => _ = pushed_back.fetch_add(1, Ordering::Relaxed),
                            status => panic!("answered with {status}"),
                        }
                    }
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let stop = StopOnDrop(&is_over);
        let end = Instant::now() + stall + Duration::from_secs(2);
        poll("the end of the stall", || {
            most.fetch_max(resident_bytes(&process), Ordering::Relaxed);
            (Instant::now() > end).then_some(())
        });
        drop(stop);
    });
    let (accepted, pushed_back, more) = (accepted.into_inner(), pushed_back.into_inner(), most.into_inner().saturating_sub(before));
    println!("a stall of {stall:?}: {accepted} accepted, {pushed_back} told to come again, {} MB more memory", more / 1_000_000);
    assert!(pushed_back > 0, "the queue was never full");
    assert!(more < 400_000_000, "{more} bytes more");
    let all = try_get(&format!("{address}/api/v1/aggregate"), &[("q", "service:large | count()")]).unwrap().expect(200);
    assert_eq!(all["rows"][0][0], accepted * 100, "what was accepted is there, once: {all}");
}

/// Faults 25 to 28, on a file system that is really full: senders are told to come again, questions are answered, what
/// expires makes room, and it goes on by itself.
#[test]
fn a_full_disk_refuses_answers_and_frees_itself() {
    let Some(disk) = Tmpfs::of("size=9m") else { return };
    let settings = settings(
        "[storage]
live_bytes_seal = 2000000
live_bytes_max = 8000000
seal_interval_ms = 200
wal_segment_bytes = 1000000
reserve_bytes = 500000
retention_settle_ms = 1000
[retention]
logs = \"40s\"
",
    );
    let process = start(&disk.data(), settings.path(), |_| {}).unwrap();
    let address = url(&process);
    let (mut sent, mut refusal, mut said) = (0_u64, None, String::new());
    poll("a full disk", || {
        let answer = post(&address, &incompressible(sent));
        match answer.status {
            200 => sent += 1,
            429 | 503 => refusal = Some(answer),
            status => panic!("answered with {status}: {}", answer.text()),
        }
        said = readiness(&address);
        (refusal.is_some() && said.contains("No space left")).then_some(())
    });
    let refusal = refusal.expect("it was refused");
    assert!(!refusal.header("retry-after").is_empty(), "{refusal:?}");
    println!("full after {sent} batches: {}; {said}", refusal.text());
    let counted = try_get(&format!("{address}/api/v1/search"), &[("q", "*"), ("limit", "1")]).unwrap().expect(200);
    assert_eq!(counted["completeness"]["state"], "complete", "questions are answered: {counted}");
    poll("room again", || (post(&address, &incompressible(1_000_000 + sent)).status == 200).then_some(()));
    poll("it is ready again", || try_get(&format!("{address}/readyz"), &[]).is_ok_and(|answer| answer.status == 200).then_some(()));
    assert!(!process.has_ended());
}

/// Fault 35: a file system without room for another file.
#[test]
fn a_disk_without_room_for_files_refuses_and_goes_on() {
    let Some(disk) = Tmpfs::of("size=64m,nr_inodes=24") else { return };
    std::fs::write(disk.path().join("filler"), "").unwrap();
    let settings = settings(
        "[storage]\nlive_bytes_seal = 50000\nlive_bytes_max = 1000000\nseal_interval_ms = 50\nwal_segment_bytes = 100000\nmerged_rows_max = 1\n",
    );
    let process = start(&disk.data(), settings.path(), |_| {}).unwrap();
    let address = url(&process);
    let (mut sent, mut number) = (Vec::new(), 0);
    poll("a file that could not be made", || {
        match send(&address, number) {
            200 => sent.push(number),
            429 | 503 => {}
            status => panic!("answered with {status}"),
        }
        number += 1;
        readiness(&address).contains("could not be sealed").then_some(())
    });
    assert_eq!(found(&address), sent, "it answers");
    std::fs::remove_file(disk.path().join("filler")).unwrap();
    poll("it is ready again", || try_get(&format!("{address}/readyz"), &[]).is_ok_and(|answer| answer.status == 200).then_some(()));
    assert_eq!(found(&address), sent);
}

/// A small file system of the kernel's. Dropped, it is unmounted.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn of(options: &str) -> Option<Tmpfs> {
        let folder = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", options, "needle-test"]).arg(folder.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(Tmpfs(folder)),
            other => {
                crate::harness::skip("a file system of limited size", &format!("{other:?}"));
                None
            }
        }
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    fn data(&self) -> std::path::PathBuf {
        self.path().join("data")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn settings(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn post(url: &str, body: &str) -> crate::harness::Answer {
    try_post(&format!("{url}/api/v1/logs"), &JSON_LINES, body.as_bytes()).unwrap()
}

/// Sends one record; the status of the answer.
fn send(url: &str, number: u64) -> u16 {
    post(url, &json!({"time": 1_780_000_000_000_u64 + number, "service": "one", "msg": number.to_string()}).to_string()).status
}

/// The numbers of the records that were sent one by one, ascending.
fn found(url: &str) -> Vec<u64> {
    crate::senders::wait_replayed(url);
    let records = crate::harness::search_at(url, &[("q", "service:one"), ("limit", "1000"), ("order", "asc")]);
    records.iter().map(|record| record["body"].as_str().unwrap().parse().unwrap()).collect()
}

fn large(batch: u64) -> String {
    let line = |number: u64| json!({"time": 1_780_000_000_000_u64 + batch, "service": "large", "msg": format!("{batch} {number} {}", "x".repeat(300))});
    (0..100).map(|number| format!("{}\n", line(number))).collect()
}

/// 500 records of now, of about a kilobyte that no compression makes much smaller.
fn incompressible(batch: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let mut random = Random::of(batch, 9);
    let mut text = || (0..60).map(|_| format!("{:016x}", random.next())).collect::<String>();
    let line = |text: String| -> Value { json!({"time": now, "service": "filler", "msg": text}) };
    (0..500).map(|_| format!("{}\n", line(text()))).collect()
}

/// What of a process is in memory.
pub(crate) fn resident_bytes(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
