//! `needle doctor`: what may be wrong with this machine, these settings and this server.

mod grpc;
mod machine;
mod ports;
mod round_trip;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use needle_ingest::storage::formats;
use serde::Serialize;

use self::grpc::Grpc;
use super::arguments::ServerArguments;
use super::client::Client;
use super::{Exit, matches_of, report, trust};
use crate::settings::{Effective, ServeFlags, Settings, effective};

/// Look for what is wrong: ports, disk, clock, limits, settings, and a record's way in and out
#[derive(Debug, Args)]
#[command(after_long_help = "Works with and without a running server. With one, a record is sent over gRPC and one over HTTP, found \
again and deleted. Give the flags and variables that `needle serve` is given, so that the same settings are looked at.

Exit codes: 0 all is well, 1 there are warnings, 2 something is broken, 78 the settings cannot be used.")]
pub(crate) struct DoctorCommand {
    /// Read settings from this file (TOML).
    #[arg(long, env = "NEEDLE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// The server's address [default: the address of --http].
    #[arg(long, env = "NEEDLE_URL", value_name = "URL")]
    url: Option<String>,
    /// A token that may send, read and delete (scope admin).
    #[arg(long, env = "NEEDLE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Trust what this authority vouches for, besides those that the system trusts; for https addresses (PEM).
    #[arg(long, env = "NEEDLE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The certificate to show to a server that wants one (PEM).
    #[arg(long, env = "NEEDLE_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM).
    #[arg(long, env = "NEEDLE_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    #[command(flatten)]
    flags: ServeFlags,
}

/// Where the server of these settings is talked to.
pub(super) struct Doors {
    /// As `--url` says.
    server: ServerArguments,
    /// By the ports of the settings.
    http: ServerArguments,
    otlp_http: ServerArguments,
    otlp_grpc: Grpc,
}

impl DoctorCommand {
    fn doors(&self, settings: &Settings) -> anyhow::Result<Doors> {
        let tls = settings.tls()?.is_some();
        let scheme = if tls { "https" } else { "http" };
        let url = self.url.clone().unwrap_or_else(|| format!("{scheme}://{}", settings.http));
        // A certificate is for the name by which the server is known, not for the address that it listens on.
        let host = self.url.as_deref().filter(|_| tls).and_then(host_of);
        let reached = |address: &str| match (&host, address.rsplit_once(':')) {
            (Some(host), Some((_, port))) => format!("{host}:{port}"),
            _ => address.to_owned(),
        };
        let server = ServerArguments {
            url,
            token: self.token.clone(),
            ca_file: self.ca_file.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
            timeout: None,
        };
        let at = |address: &str| ServerArguments { url: format!("{scheme}://{}", reached(address)), ..server.clone() };
        let (http, otlp_http) = (at(&settings.http), at(&settings.otlp_http));
        let tls = if tls { Some(Arc::new(trust::tls_of_grpc(&server)?)) } else { None };
        let otlp_grpc = Grpc { address: reached(&settings.otlp_grpc), tls, token: self.token.clone() };
        Ok(Doors { server, http, otlp_http, otlp_grpc })
    }
}

/// A client all of whose questions together may take so long.
fn client(server: &ServerArguments, timeout: Duration) -> anyhow::Result<Client> {
    Client::new(&ServerArguments { timeout: Some(timeout), ..server.clone() })
}

/// The host of an address, with the brackets of an IPv6 address.
fn host_of(url: &str) -> Option<String> {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    Some(url.parse::<hyper::Uri>().ok()?.host()?.to_owned())
}

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Nothing to do.
    Good,
    /// It could not be looked at, for a reason that is no fault.
    Skipped,
    /// It works, and may not for long.
    Warning,
    /// It does not work.
    Broken,
}

/// What was found about one thing, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    check: String,
    state: State,
    found: String,
    /// What to do about it.
    mend: String,
}

impl Finding {
    pub(super) fn good(check: &str, found: impl Into<String>) -> Finding {
        Finding { check: check.to_owned(), state: State::Good, found: found.into(), mend: "nothing to do".to_owned() }
    }

    pub(super) fn new(check: &str, state: State, found: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { check: check.to_owned(), state, found: found.into(), mend: mend.into() }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    /// The worst that was found.
    state: State,
    version: &'static str,
    /// The versions of what is written to disk.
    formats: Vec<(&'static str, u32)>,
    findings: Vec<Finding>,
    settings: Vec<Effective>,
}

/// Looks at everything and prints what was found.
pub(crate) fn run(command: &DoctorCommand) -> anyhow::Result<Exit> {
    let listed = effective(command.config.as_deref(), &command.flags, &matches_of("doctor"))?;
    let settings = Settings::load(command.config.as_deref(), &command.flags)?;
    let doors = command.doors(&settings)?;

    let mut findings = vec![machine::version()];
    let server = round_trip::readiness(&client(&doors.server, round_trip::TIMEOUT)?);
    let runs = server.state != State::Skipped;
    findings.push(server);
    findings.extend(ports::findings(&settings, &doors)?);
    findings.extend(machine::disk(&settings));
    findings.push(machine::clock());
    findings.push(machine::descriptors());
    findings.extend(round_trip::findings(&doors, runs)?);
    findings.push(set(&listed));

    let state = findings.iter().map(|finding| finding.state).max().unwrap_or(State::Good);
    let report = Report { state, version: env!("CARGO_PKG_VERSION"), formats: formats().to_vec(), findings, settings: listed };
    report::print(&report, command.json, human)?;
    Ok(match state {
        State::Good | State::Skipped => Exit::Found,
        State::Warning => Exit::Nothing,
        State::Broken => Exit::Partial,
    })
}

fn set(settings: &[Effective]) -> Finding {
    let own = settings.iter().filter(|setting| setting.origin != "default").count();
    Finding::good("settings", format!("{} settings fit together, {own} of them set by file, environment or flag", settings.len()))
}

fn human(report: &Report) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let width = report.findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    for Finding { check, state, found, mend } in &report.findings {
        let state = match state {
            State::Good => "good",
            State::Skipped => "skipped",
            State::Warning => "WARNING",
            State::Broken => "BROKEN",
        };
        writeln!(out, "{state:<8} {check:<width$}  {found}; {mend}")?;
    }
    out.push('\n');
    out.push_str(&super::config::human(&report.settings)?);
    Ok(out)
}
