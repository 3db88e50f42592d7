//! Starts the program on free ports and a folder of its own, speaks to it, and stops it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A hung program fails the test instead of the whole run. No test asserts how fast something is.
const DEADLINE: Duration = Duration::from_secs(120);

/// The program under test.
pub(crate) const NEEDLE: &str = env!("CARGO_BIN_EXE_needle");

/// Records asked for at once when all are wanted.
const PAGE_RECORDS: &str = "1000";

/// A running `needle serve`. Dropped, it is killed and its folder removed.
pub(crate) struct Server {
    process: Process,
    data: TempDir,
    flags: Vec<String>,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::start_with(&[])
    }

    /// With more flags than the ports and the folder.
    pub(crate) fn start_with(flags: &[&str]) -> Server {
        let data = tempfile::tempdir().unwrap();
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Server { process: Process::serve(data.path(), &flags), data, flags }
    }

    /// On a folder that is not empty, with more flags.
    pub(crate) fn start_on_with(data: TempDir, flags: &[&str]) -> Server {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Server { process: Process::serve(data.path(), &flags), data, flags }
    }

    /// On a folder that is not empty.
    pub(crate) fn start_on(data: TempDir) -> Server {
        Server { process: Process::serve(data.path(), &[]), data, flags: Vec::new() }
    }

    /// One that was started in some other way, on `data`.
    pub(crate) fn started(process: Process, data: TempDir) -> Server {
        process.wait_for("ready");
        Server { process, data, flags: Vec::new() }
    }

    /// Waits for the end of the program; its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.process.wait()
    }

    /// Ends the program at once, as a crash does: nothing it holds in memory is written.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks the program to stop and waits until it did; its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.process.signal(rustix::process::Signal::TERM);
        self.process.wait()
    }

    /// Starts again on the same folder.
    pub(crate) fn start_again(&mut self) {
        self.process = Process::serve(self.data.path(), &self.flags);
    }

    /// Starts again on the same folder, with these flags from now on.
    pub(crate) fn start_again_with(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self.start_again();
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// The base of the API and UI.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.process.address("http"))
    }

    /// The base of OTLP over HTTP.
    pub(crate) fn otlp_http(&self) -> String {
        format!("http://{}", self.process.address("otlp-http"))
    }

    /// The endpoint of OTLP over gRPC.
    pub(crate) fn otlp_grpc(&self) -> String {
        format!("http://{}", self.process.address("otlp-grpc"))
    }

    pub(crate) fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        try_get(&format!("{}{path}", self.url()), parameters).expect("an answer over HTTP")
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: impl AsRef<[u8]>) -> Answer {
        post(&format!("{}{path}", self.url()), &[("content-type", content_type)], body.as_ref())
    }

    /// Seals all live records into shards.
    pub(crate) fn flush(&self) {
        self.post("/api/v1/admin/flush", "application/json", "").expect(200);
    }

    /// JSON log lines, all of which must be accepted.
    pub(crate) fn send_lines(&self, lines: &[Value]) {
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let answer = self.post("/api/v1/logs", "application/x-ndjson", body).expect(200);
        assert_eq!(answer["accepted"], lines.len(), "{answer}");
    }

    /// Every record that matches, newest first, by following the cursor.
    pub(crate) fn search(&self, query: &str) -> Vec<Value> {
        self.search_with(&[("q", query), ("limit", PAGE_RECORDS)])
    }

    /// Every record that the parameters ask for, by following the cursor.
    pub(crate) fn search_with(&self, parameters: &[(&str, &str)]) -> Vec<Value> {
        search_at(&self.url(), parameters)
    }

    /// The whole journey of an id, which must exist.
    pub(crate) fn journey(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/journey/{id}"), &[]).expect(200)
    }

    /// Runs a client command against this server, without a terminal.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        run(&mut self.command(arguments))
    }

    /// A client command, to be run by the caller.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = needle(arguments);
        command.env("NEEDLE_URL", self.url()).stdin(Stdio::null());
        command
    }
}

/// The program with these arguments and none of the caller's settings.
pub(crate) fn needle(arguments: &[&str]) -> Command {
    let mut command = Command::new(NEEDLE);
    command.args(arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NEEDLE_")) {
        command.env_remove(name);
    }
    for name in ["NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end, which must come.
pub(crate) fn run(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    finish(&mut child, &format!("the end of {command:?}"))
}

/// The output of a command that ends by itself, however long it takes.
pub(crate) fn run_to_the_end(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// The output of a child whose stdout and stderr are piped, unless they were taken; killed when it does not end.
pub(crate) fn finish(child: &mut Child, what: &str) -> Output {
    let stdout = child.stdout.take().map(read_to_end);
    let stderr = child.stderr.take().map(read_to_end);
    let deadline = Instant::now() + DEADLINE;
    let status = poll(what, || {
        if Instant::now() + Duration::from_secs(1) > deadline {
            child.kill().unwrap();
        }
        child.try_wait().unwrap()
    });
    let joined = |reader: Option<JoinHandle<Vec<u8>>>| reader.map_or_else(Vec::new, |reader| reader.join().unwrap());
    Output { status, stdout: joined(stdout), stderr: joined(stderr) }
}

fn read_to_end(mut stream: impl std::io::Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// A running process whose stderr is read all the time.
pub(crate) struct Process {
    child: Child,
    stderr: Arc<Mutex<String>>,
    stdout: Arc<Mutex<String>>,
}

impl Process {
    fn serve(data: &Path, flags: &[String]) -> Process {
        let mut command = needle(&["serve", "--data"]);
        command.arg(data).args(flags);
        for listener in ["--otlp-grpc", "--otlp-http", "--http"].into_iter().filter(|name| flags.iter().all(|flag| flag != name)) {
            command.args([listener, "127.0.0.1:0"]);
        }
        let process = Process::spawn(&mut command);
        process.wait_for("ready");
        process
    }

    /// Starts `command`.
    pub(crate) fn spawn(command: &mut Command) -> Process {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = follow(child.stderr.take().expect("stderr is piped"));
        let stdout = follow(child.stdout.take().expect("stdout is piped"));
        Process { child, stderr, stdout }
    }

    /// Waits for a line of stderr that is `line`.
    pub(crate) fn wait_for(&self, line: &str) {
        poll(&format!("`{line}` on stderr"), || {
            let stderr = self.stderr();
            assert!(!self.has_ended(), "the program ended before it said `{line}`; it said:\n{stderr}");
            stderr.lines().any(|found| found == line).then_some(())
        });
    }

    /// What it said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// What it said on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// Where the listener `name` listens, by the line on stderr.
    pub(crate) fn address(&self, name: &str) -> String {
        let stderr = self.stderr();
        let prefix = format!("listening on {name} ");
        let line = stderr.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("no line `{prefix}ADDRESS` in:\n{stderr}")).to_owned()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; the exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        poll("the end of the program", || self.child.try_wait().unwrap()).code()
    }

    /// Whether the process is no more, without taking its exit code.
    pub(crate) fn has_ended(&self) -> bool {
        let options =
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOHANG | rustix::process::WaitIdOptions::NOWAIT;
        let status = rustix::process::waitid(rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&self.child)), options);
        !matches!(status, Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when the process has ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(stream: impl std::io::Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&text);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            written.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    text
}

/// An answer over HTTP, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn of(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
        Answer::try_of(result).expect("an answer over HTTP")
    }

    fn try_of(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, ureq::Error> {
        let (head, body) = result?.into_parts();
        let body = body.into_with_config().limit(u64::MAX).read_to_vec()?;
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("status {}, not JSON ({error}): {}", self.status, self.text()))
    }

    /// The body as JSON, of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }
}

pub(crate) fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    try_post(url, headers, body).expect("an answer over HTTP")
}

/// Bytes of memory that the server had at most.
#[cfg(target_os = "linux")]
pub(crate) fn memory_bytes_most(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process().id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The value of a metric.
pub(crate) fn metric(server: &Server, name: &str) -> u64 {
    let text = server.get("/metrics", &[]).text();
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

/// For servers that may die on the way.
pub(crate) fn try_post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, ureq::Error> {
    let request = headers.iter().fold(agent().post(url), |request, (name, value)| request.header(*name, *value));
    Answer::try_of(request.send(body))
}

/// For servers that may die on the way.
pub(crate) fn try_get(url: &str, parameters: &[(&str, &str)]) -> Result<Answer, ureq::Error> {
    Answer::try_of(agent().get(url).query_pairs(parameters.iter().copied()).call())
}

/// Every record that the parameters ask the server at `url` for, by following the cursor.
pub(crate) fn search_at(url: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
    let mut records = Vec::new();
    for_each_page_at(url, parameters, &mut |mut page| records.append(&mut page));
    records
}

/// The same, of which only a page is in memory.
pub(crate) fn for_each_page_at(url: &str, parameters: &[(&str, &str)], take: &mut dyn FnMut(Vec<Value>)) {
    let mut cursor: Option<String> = None;
    loop {
        let mut parameters = parameters.to_vec();
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page = try_get(&format!("{url}/api/v1/search"), &parameters).expect("an answer over HTTP").expect(200);
        assert_eq!(page["completeness"]["state"], "complete", "{}", page["completeness"]);
        take(std::mem::take(page["records"].as_array_mut().expect("an answer to a search has records")));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return;
        }
    }
}

/// A request with any method and no body.
pub(crate) fn request(method: &str, url: &str) -> Answer {
    request_with(method, url, &[])
}

/// And some headers.
pub(crate) fn request_with(method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
    let request =
        headers.iter().fold(ureq::http::Request::builder().method(method).uri(url), |request, (name, value)| request.header(*name, *value));
    Answer::of(agent().run(request.body(()).unwrap()))
}

fn agent() -> ureq::Agent {
    let settings = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE)).proxy(None);
    settings.build().into()
}

/// Asks again until there is an answer, and gives up at the deadline.
pub(crate) fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain for {what}", DEADLINE.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends the other threads of a scope, also when an assertion fails in this one: the scope waits for all of them, and a
/// test that waits for ever says nothing.
pub(crate) struct StopOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Says, past the capture of the test runner, that and why something was not tried.
pub(crate) fn skip(what: &str, reason: &str) {
    say(&format!("skipped: {what}: {reason}"));
}

/// Says something on stderr that the test runner does not hold back.
pub(crate) fn say(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Real data that does not belong to the repository; none when it is not there.
pub(crate) fn shared_data(folder: &str) -> Option<PathBuf> {
    let path = repository().parent()?.join("shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    skip(folder, "there is no ../shared/data beside the repository");
    None
}

/// Where cargo starts tests. A path that is compiled in may be that of another checkout with the same target folder.
pub(crate) fn repository() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| std::env::current_dir().unwrap());
    &FOLDER
}

/// Stdout of a command that must have succeeded.
#[track_caller]
pub(crate) fn stdout_of(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The objects of JSON lines.
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"))).collect()
}
