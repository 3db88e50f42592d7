//! The program that is measured: started on a folder of its own, watched from outside, stopped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness;

/// The data folder and the settings file of a server, in a folder of its own.
const DATA: &str = "data";
const SETTINGS: &str = "needle.toml";

/// A server under measurement. Dropped, it is killed and its folder removed.
pub(crate) struct Program {
    child: Child,
    folder: TempDir,
    core: Option<usize>,
    addresses: BTreeMap<String, String>,
    /// From the start of the process to its word that it is ready.
    pub(crate) start: Duration,
}

/// What a process used of the processors, by thread, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Cpu {
    threads: BTreeMap<String, u64>,
    whole: Duration,
}

impl Program {
    /// On an empty folder, with lines of a settings file, on this core only.
    pub(crate) fn start(settings: &str, core: Option<usize>) -> Result<Program, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SETTINGS), settings).unwrap();
        let (child, addresses, start) = serve(folder.path(), core)?;
        Ok(Program { child, folder, core, addresses, start })
    }

    /// Ends it as a crash does and starts it again on its folder.
    pub(crate) fn crash(&mut self) {
        self.child.kill().unwrap();
        self.start_again();
    }

    /// Asks it to stop and starts it again on its folder.
    pub(crate) fn restart(&mut self) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM).unwrap();
        self.start_again();
    }

    fn start_again(&mut self) {
        self.child.wait().unwrap();
        (self.child, self.addresses, self.start) = serve(self.folder.path(), self.core).expect("it started here before");
    }

    /// The base of the API.
    pub(crate) fn api(&self) -> String {
        format!("http://{}", self.addresses["http"])
    }

    /// The base of OTLP over HTTP.
    pub(crate) fn otlp(&self) -> String {
        format!("http://{}", self.addresses["otlp-http"])
    }

    /// A token of its tenant, once the program knows it.
    pub(crate) fn token(&self, scope: &str, tenant: &str) -> String {
        let mut create = harness::needle(&["token", "create", "--scope", scope, "--tenant", tenant, "--data"]);
        let created = create.arg(self.folder.path().join(DATA)).output().expect("a token is made");
        let token = String::from_utf8(created.stdout).expect("it prints text").trim().to_owned();
        let agent = crate::load::agent();
        harness::poll("the token to be known", || {
            let asked = agent.get(format!("{}/metrics", self.api())).header("authorization", format!("Bearer {token}"));
            (agent.get(format!("{}/metrics", self.api())).call().ok()?.status() == 401 && asked.call().ok()?.status() == 200).then_some(())
        });
        token
    }

    pub(crate) fn cpu(&self) -> Cpu {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().map(|entry| entry.unwrap());
        // A thread may end while it is looked at.
        let used = |path: &Path| std::fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok();
        let threads = tasks.filter_map(|task| Some((task.file_name().into_string().ok()?, used(&task.path())?))).collect();
        Cpu { threads, whole: self.whole_cpu() }
    }

    /// Of all threads, also of those that have ended, in ticks of the clock (10 ms).
    fn whole_cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').expect("the name stands in parentheses").1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// The most memory it held since it was started.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// The memory it holds.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
        1024 * line.trim_end_matches("kB").trim().parse::<u64>().unwrap()
    }

    /// What its data takes on disk: without the log that is kept ready, and all of it.
    pub(crate) fn disk_bytes(&self) -> (u64, u64) {
        let data = self.folder.path().join(DATA);
        let all = allocated_bytes(&data);
        (all - allocated_bytes(&data.join("_needle/wal")), all)
    }

    /// What `needle shard` says of its largest shard, without columns that take nearly nothing.
    pub(crate) fn largest_shard(&self) -> String {
        let largest = shards(&self.folder.path().join(DATA)).into_iter().max_by_key(|path| path.metadata().unwrap().len());
        let largest = largest.expect("something was sealed");
        let shown = harness::needle(&["shard"]).arg(largest).output().expect("the inspector runs");
        let text = String::from_utf8(shown.stdout).expect("it prints text");
        let nearly_nothing = |line: &&str| line.split_whitespace().nth(2).is_some_and(|each| each.starts_with("0.0"));
        text.lines().filter(|line| !nearly_nothing(line)).map(|line| format!("{line}\n")).collect()
    }

    /// The sum of all samples with these words in their line; none when there are no such samples.
    pub(crate) fn metric(&self, words: &str) -> Option<f64> {
        let text = ureq::get(format!("{}/metrics", self.api())).call().unwrap().body_mut().read_to_string().unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#') && line.contains(words));
        samples.map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).reduce(|sum, sample| Some(sum? + sample?))?
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail when the process has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cpu {
    /// What was used since `before`. The threads' own times are exact but forget threads that have ended; the process's time
    /// remembers them but counts in ticks, of which one at either end may be missing.
    pub(crate) fn since(&self, before: &Cpu) -> Duration {
        let threads = self.threads.iter().map(|(thread, used)| used.saturating_sub(before.threads.get(thread).copied().unwrap_or(0)));
        let exact = Duration::from_nanos(threads.sum());
        let ticks = self.whole.saturating_sub(before.whole);
        let two_ticks = Duration::from_secs_f64(2.0 / rustix::param::clock_ticks_per_second() as f64);
        if ticks > exact + two_ticks { ticks } else { exact }
    }
}

/// The shards below a folder.
fn shards(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => shards(&path),
            false if path.extension().is_some_and(|extension| extension == "parquet") => vec![path],
            false => Vec::new(),
        })
        .collect()
}

fn serve(folder: &Path, core: Option<usize>) -> Result<(Child, BTreeMap<String, String>, Duration), String> {
    let any_port = "127.0.0.1:0";
    let settings = folder.join(SETTINGS);
    let mut plain = harness::needle(&["serve", "--otlp-grpc", any_port, "--otlp-http", any_port, "--http", any_port]);
    plain.arg("--config").arg(settings).arg("--data").arg(folder.join(DATA)).env("NEEDLE_LOG", "warn");
    let mut command = on_core(plain, core);
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
    let (addresses, said) = listen(&mut stderr);
    let taken = start.elapsed();
    if said.lines().last() != Some("ready") {
        // It has ended, or closed stderr, and is of no use.
        let _ = child.kill();
        child.wait().map_err(|error| error.to_string())?;
        return Err(said);
    }
    // What it says later goes where ours goes, and never fills the pipe.
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::stderr()));
    Ok((child, addresses, taken))
}

/// `taskset` becomes the program, so that the child's id is the program's.
fn on_core(plain: Command, core: Option<usize>) -> Command {
    let Some(core) = core else { return plain };
    let mut pinned = Command::new("taskset");
    pinned.arg("-c").arg(core.to_string()).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => pinned.env(name, value),
            None => pinned.env_remove(name),
        };
    }
    pinned
}

/// The listeners by name, and all that was said until the server was ready or gone.
fn listen(stderr: &mut BufReader<ChildStderr>) -> (BTreeMap<String, String>, String) {
    let (mut addresses, mut said) = (BTreeMap::new(), String::new());
    for line in stderr.lines().map_while(Result::ok) {
        if let Some((name, address)) = line.strip_prefix("listening on ").and_then(|rest| rest.split_once(' ')) {
            addresses.insert(name.to_owned(), address.to_owned());
        }
        said.push_str(&line);
        said.push('\n');
        if line == "ready" {
            break;
        }
    }
    (addresses, said)
}

/// Blocks on disk below a folder, as `du` counts them.
fn allocated_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |path: std::path::PathBuf| match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => allocated_bytes(&path),
        Ok(metadata) => metadata.blocks() * 512,
        // Removed since it was listed.
        Err(_) => 0,
    };
    entries.map(|entry| size(entry.unwrap().path())).sum()
}

/// The core that the server gets to itself: the last one, where there are several and `taskset` is installed.
pub(crate) fn core() -> Option<usize> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pins = Command::new("taskset").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    (cores > 1 && pins).then_some(cores - 1)
}

/// Where the figures come from, in a sentence.
pub(crate) fn machine(core: Option<usize>) -> String {
    let model = value_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "a processor without a name".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory_kilobytes: f64 =
        value_of("/proc/meminfo", "MemTotal").and_then(|text| text.strip_suffix(" kB")?.parse().ok()).unwrap_or(f64::NAN);
    let pinned = core.map_or("not pinned".to_owned(), |core| format!("pinned to core {core}"));
    format!("{cores} cores of {model}, {:.0} GB of memory; the server {pinned}, its settings the defaults.", memory_kilobytes / 1e6)
}

/// The first `name : value` of a file of the system.
fn value_of(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim().to_owned()))
}
