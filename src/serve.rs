//! `needle serve`: all rooms in one process.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use jiff::Timestamp;
use needle_ingest::storage::Store;
use needle_ingest::{Ingest, decoder};
use needle_web::query::QueryEngine;
use needle_web::{Web, WebMetrics};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::{Exit, Unusable};
use crate::doorkeeping::DoorKeeping;
use crate::server::{Form, ServerMetrics, Serving, raise_descriptors};
use crate::settings::{ServeFlags, Settings};
use crate::shutdown::Signals;
use crate::telemetry;
use crate::tokens::{Scope, TokenBook, TokenFile};

/// Run everything on one machine
#[derive(Debug, Args)]
#[command(after_long_help = "Settings come from defaults, then --config, then NEEDLE_... in the environment, then flags.
SIGTERM and Ctrl-C finish what is under way and exit with 0; a second one ends at once. Unusable settings exit with 78.

Example: OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 my-service, then open http://127.0.0.1:7117")]
pub(crate) struct ServeCommand {
    /// Read settings from this file (TOML).
    #[arg(long, env = "NEEDLE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Follow a retention that is shorter than at the last start even if it takes more than half of what is stored; for this
    /// start only, so neither the environment nor the file can say it.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    flags: ServeFlags,
}

/// Runs it until a signal comes.
pub(crate) fn run(command: &ServeCommand) -> anyhow::Result<Exit> {
    crate::memory::limit_arenas();
    let mut settings = Settings::load(command.config.as_deref(), &command.flags)?;
    settings.storage.shorter_retention_is_meant = command.yes;
    telemetry::start(&settings.log)?;
    raise_descriptors(&mut settings.server);
    warn_of_few_files();
    // Before a port is taken.
    let tokens = TokenFile::of(&settings.storage.data).read().map_err(|error| Unusable(error.to_string()))?;
    let now = Timestamp::now();
    settings.exposure(tokens.iter().any(|token| token.is_good(now)))?;
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let listeners = Listeners::bind(&settings).await?;
        let mut server = Server::start(&settings, listeners).await?;
        server.announce();
        let failure = server.run_until(signals.next()).await;
        tokio::select! {
            () = server.stop() => {}
            signal = signals.next() => {
                tracing::warn!("{signal} again: ending at once; what was acknowledged is in the log and comes back at the next start");
                std::process::exit(130);
            }
        }
        failure.map(|()| Exit::Found)
    })
}

/// Files that are wanted: a connection takes one, and so do shards that are read.
const OPEN_FILES_WANTED: u64 = 1024;

/// With fewer it works, and connections wait for each other.
fn warn_of_few_files() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(limit) = limit.filter(|limit| *limit < OPEN_FILES_WANTED) {
        tracing::warn!(
            "at most {limit} open files are allowed, so connections may have to wait: allow {OPEN_FILES_WANTED} or more (`ulimit -n`, LimitNOFILE=)"
        );
    }
}

/// A runtime on all cores.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot be started")
}

/// Ports that are ours, before anything is served on them.
pub(crate) struct Listeners {
    pub(crate) otlp_grpc: TcpListener,
    pub(crate) otlp_http: TcpListener,
    pub(crate) http: TcpListener,
}

impl Listeners {
    /// Takes the ports of the settings.
    pub(crate) async fn bind(settings: &Settings) -> Result<Listeners, Unusable> {
        Ok(Listeners {
            otlp_grpc: bind("otlp-grpc", settings.listen_address("otlp-grpc", &settings.otlp_grpc)?).await?,
            otlp_http: bind("otlp-http", settings.listen_address("otlp-http", &settings.otlp_http)?).await?,
            http: bind("http", settings.listen_address("http", &settings.http)?).await?,
        })
    }
}

async fn bind(name: &str, address: SocketAddr) -> Result<TcpListener, Unusable> {
    TcpListener::bind(address).await.map_err(|error| refused_port(name, address, &error))
}

/// Why a port cannot be had, and the way out.
fn refused_port(name: &str, address: SocketAddr, error: &io::Error) -> Unusable {
    let free = SocketAddr::new(address.ip(), 0);
    Unusable(match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} for {name} is in use: end the process that has it (perhaps another needle), or choose another port with --{name} {free} (0 picks a free one)",
        ),
        io::ErrorKind::PermissionDenied => {
            format!("no permission to listen on {address} for {name}: choose a port above 1023 with --{name} {free} (0 picks a free one)")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{address} for {name} is no address of this machine: choose one that is with --{name} 127.0.0.1:{}", address.port())
        }
        _ => format!("{address} for {name} cannot be listened on: {error}"),
    })
}

/// The running rooms.
pub(crate) struct Server {
    store: Arc<Store>,
    ingest: Ingest,
    web: Web,
    listening: JoinSet<&'static str>,
    shutdown: CancellationToken,
    cut: CancellationToken,
    drain_timeout: Duration,
    shutdown_timeout: Duration,
    /// Name and address of every listener.
    pub(crate) addresses: [(&'static str, SocketAddr); 3],
}

impl Server {
    /// Opens the data folder and serves on all listeners.
    pub(crate) async fn start(settings: &Settings, listeners: Listeners) -> anyhow::Result<Server> {
        let tokens = TokenBook::open(TokenFile::of(&settings.storage.data)).map_err(|error| Unusable(error.to_string()))?;
        let address = |listener: &TcpListener| listener.local_addr().context("a listener has no address");
        let addresses = [
            ("otlp-grpc", address(&listeners.otlp_grpc)?),
            ("otlp-http", address(&listeners.otlp_http)?),
            ("http", address(&listeners.http)?),
        ];
        let mut registry = telemetry::registry();
        let (storage, decode) = (settings.storage.clone(), decoder(&settings.ingest));
        // Replays the log, which reads and writes files.
        let opened = tokio::task::spawn_blocking(move || (Store::open(&storage, decode, &mut registry), registry));
        let (store, mut registry) = opened.await.context("the data folder was not opened")?;
        let store = store.map_err(|error| Unusable(error.to_string()))?;
        let ingest = Ingest::new(store.clone(), settings.ingest.clone(), &mut registry);
        let engine = QueryEngine::with_settings(store.clone(), settings.query.clone(), &mut registry);
        let door = DoorKeeping::open(settings, tokens, &ingest, &mut registry)?;
        let (web_metrics, metrics) = (WebMetrics::register(&mut registry), ServerMetrics::register(&mut registry));
        let further = door.ingest_routes(ingest.routes()).merge(door.guard.session_routes());
        let web = Web::new(engine, settings.web.clone(), Arc::new(registry), further).with_metrics(web_metrics);
        let (shutdown, cut) = (CancellationToken::new(), CancellationToken::new());
        let limits = Arc::new(settings.server.clone());
        let serving = Serving { limits, metrics, tls: door.tls.clone(), shutdown: shutdown.clone(), cut: cut.clone() };
        let mut listening = JoinSet::new();
        for (name, listener, routes) in [
            ("otlp-grpc", listeners.otlp_grpc, door.guard.require(Scope::Ingest, Form::OtlpGrpc, ingest.grpc_routes())),
            ("otlp-http", listeners.otlp_http, door.ingest_routes(ingest.http_routes())),
            ("http", listeners.http, web.router(|access, routes| door.web_routes(access, routes))),
        ] {
            let (serving, routes) = (serving.clone(), door.guard.around(routes));
            listening.spawn(async move {
                serving.serve(name, listener, routes).await;
                name
            });
        }
        door.keep_looking(&shutdown);
        let shutdown_timeout = Duration::from_millis(settings.shutdown_timeout_ms);
        let drain_timeout = settings.server.drain_timeout();
        Ok(Server { store, ingest, web, listening, shutdown, cut, drain_timeout, shutdown_timeout, addresses })
    }

    /// Says on stderr where it listens: lines that scripts wait for.
    pub(crate) fn announce(&self) {
        let mut lines: String = self.addresses.iter().map(|(name, address)| format!("listening on {name} {address}\n")).collect();
        lines.push_str("ready\n");
        // Where stderr is closed nobody waits for it.
        let _ = io::stderr().write_all(lines.as_bytes());
    }

    /// Serves until `end`, or until a listener fails.
    pub(crate) async fn run_until(&mut self, end: impl Future<Output = &'static str>) -> anyhow::Result<()> {
        tokio::select! {
            reason = end => {
                tracing::info!("{reason}: finishing what is under way");
                Ok(())
            }
            Some(ended) = self.listening.join_next() => match ended {
                Ok(name) => Err(anyhow!("the listener {name} ended by itself")),
                Err(error) => Err(anyhow!("a listener failed: {error}")),
            },
        }
    }

    /// Stops accepting, finishes requests within the drain timeout and cuts the others, seals what is in memory; all of it
    /// within the deadline.
    pub(crate) async fn stop(&mut self) {
        let drained = async {
            let requests = async {
                // Before the listeners close: who comes meanwhile is told to come again, instead of finding nobody.
                self.web.close();
                self.ingest.drain().await;
                self.shutdown.cancel();
                listen_to_the_end(&mut self.listening).await;
            };
            if tokio::time::timeout(self.drain_timeout, requests).await.is_err() {
                self.shutdown.cancel();
                self.cut.cancel();
                listen_to_the_end(&mut self.listening).await;
            }
            self.store.shutdown().await;
        };
        if tokio::time::timeout(self.shutdown_timeout, drained).await.is_err() {
            let seconds = self.shutdown_timeout.as_secs();
            tracing::warn!("not all was finished within {seconds} s: what was acknowledged is in the log and comes back at the next start");
        }
    }
}

async fn listen_to_the_end(listening: &mut JoinSet<&'static str>) {
    while let Some(ended) = listening.join_next().await {
        if let Err(error) = ended {
            tracing::warn!("a listener did not end well: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_a_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind("http", address).await.unwrap_err().0;
        assert!(error.contains(&format!("{address} for http is in use")), "{error}");
        assert!(error.contains("--http 127.0.0.1:0"), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_named() {
        let error = bind("otlp-grpc", "192.0.2.1:4317".parse().unwrap()).await.unwrap_err().0;
        assert!(error.contains("192.0.2.1:4317 for otlp-grpc is no address of this machine"), "{error}");
    }
}
